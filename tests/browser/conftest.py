"""A real Chromium (Debian's) driven through playwright, and servers started for one test and ended by it."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 180  # seconds at most for one thing to happen, on a slow and busy machine


def chromium():
    """The browser's path, or None: CMPAE_CHROMIUM, or what Debian and others call it."""
    named = os.environ.get("CMPAE_CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")  # not longer: playwright's event loop must have ended before nbval starts its own
def browser():
    if chromium() is None:
        pytest.skip("no Chromium here: install Debian's package `chromium`, or name one in CMPAE_CHROMIUM")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def artefacts():
    """Where screenshots stay: CMPAE_TEST_ARTEFACTS, by default build/test-artefacts/, which git ignores."""
    folder = Path(os.environ.get("CMPAE_TEST_ARTEFACTS") or ROOT / "build" / "test-artefacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


FAILED = pytest.StashKey()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    item.stash[FAILED] = report.failed
    return report


@pytest.fixture
def page(browser, artefacts, request):
    """A page that waits patiently, and leaves a screenshot of where a test failed."""
    context = browser.new_context(viewport={"width": 1400, "height": 1100})
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    yield page
    if request.node.stash.get(FAILED, False):
        page.screenshot(path=artefacts / f"failed_{request.node.name[:60]}.png")
    context.close()


@contextlib.contextmanager
def served(command, folder, probe):
    """`command` (with {port} in it) as a server in its own process group and with its own settings, ended in any case."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {f"JUPYTER_{name}_DIR": str(folder / f".{name.lower()}") for name in ("CONFIG", "DATA", "RUNTIME")}
    own |= {"JUPYTERLAB_SETTINGS_DIR": str(folder / ".settings"), "JUPYTERLAB_WORKSPACES_DIR": str(folder / ".workspaces")}
    kernels = {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]), "HOME": str(folder)}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *(part.format(port=port) for part in command)], cwd=folder, env=os.environ | own | kernels,
            stdout=log, stderr=log, start_new_session=True,
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/{probe}", process, folder / "server.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


def _wait_for(url, process, log):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
    raise AssertionError(f"no server at {url}:\n{log.read_text(errors='replace')[-3000:]}")
