"""Notebook 09 as a reader uses it: in a real JupyterLab with a real kernel, and as a page by Voila."""

import html
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, served

NOTEBOOK = "09_evidence_explorer.ipynb"


@pytest.fixture
def folder(tmp_path):
    """A copy of the notebook; what it writes goes nowhere near the checkout. JupyterLab is dark, and keeps all cells in the page."""
    shutil.copy(ROOT / "notebooks" / NOTEBOOK, tmp_path)
    settings = {
        "notebook-extension/tracker": '{"windowingMode": "none"}', "apputils-extension/notification": '{"fetchNews": "false"}',
        "apputils-extension/themes": '{"theme": "JupyterLab Dark"}',
    }
    for name, text in settings.items():
        file = tmp_path / ".settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def changed(page, before):
    """The picture's markup once it is another."""
    page.wait_for_function("(before) => document.querySelector('.cmpae svg').outerHTML !== before", arg=before)
    return markup(page)


def markup(page):
    return page.evaluate("document.querySelector('.cmpae svg').outerHTML")


def use_the_explorer(page, artefacts, name):
    """Move a slider, choose another video, mute audio: the picture follows each, in its markup and in its pixels."""
    picture = page.locator(".cmpae svg").first
    picture.scroll_into_view_if_needed()
    pixels, now = [picture.screenshot()], markup(page)
    slider = page.locator(".widget-slider:has(.widget-label:text-is('snippet')) .noUi-handle").first
    slider.focus()
    slider.press("ArrowRight")
    now = changed(page, now)
    assert "at 1 to 2 s" in now
    pixels.append(picture.screenshot())
    page.locator(".widget-dropdown:has(.widget-label:text-is('video')) select").select_option(index=3)
    now = changed(page, now)
    pixels.append(picture.screenshot())
    page.get_by_label("mute audio").check()
    now = changed(page, now)
    assert "audio muted" in now
    pixels.append(picture.screenshot(path=artefacts / f"{name}_muted.png"))
    assert len(set(pixels)) == len(pixels)
    box = page.locator(".cmpae svg rect.here").first.bounding_box()  # at 1 to 2 s
    page.mouse.move(box["x"] + box["width"] * 3.5, box["y"] + 5)
    page.wait_for_function("document.querySelector('.cmpae svg').textContent.includes('at 4 to 5 s')")
    page.wait_for_function(
        "[...document.querySelectorAll('.widget-slider')].some((s) => /snippet/.test(s.textContent) && /4/.test(s.textContent))"
    )
    assert page.locator(".cmpae p.caption").first.inner_text() == page.locator(".cmpae svg").get_attribute("aria-label")
    page.screenshot(path=artefacts / f"{name}.png")


def written(folder):
    """Pictures and pages that reading the notebook left behind."""
    return [path for path in folder.rglob("*") if path.suffix in (".png", ".html") and not path.name.startswith("jpserver-")]


def test_jupyterlab_runs_the_notebook_and_its_explorer(page, folder, artefacts):
    command = [
        "jupyterlab", "--no-browser", "--port={port}", "--port-retries=0", "--allow-root", "--IdentityProvider.token=secret",
        "--ServerApp.root_dir=.", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=None",
    ]
    with served(command, folder, "api?token=secret") as address:
        page.goto(f"{address}/lab/tree/{NOTEBOOK}?token=secret")
        page.wait_for_selector(".jp-Notebook")
        page.wait_for_selector("text=/ipykernel.* Idle/")  # earlier, running cells would ask which kernel is meant
        page.locator("li.lm-MenuBar-item:has-text('Run')").click()
        page.locator("li.lm-Menu-item[data-command='runmenu:run-all']").click()
        page.wait_for_selector(".cmpae svg", state="attached")
        page.wait_for_function("![...document.querySelectorAll('.jp-InputPrompt')].some((p) => p.textContent.includes('*'))")
        use_the_explorer(page, artefacts, "jupyterlab")
        ink = page.evaluate("getComputedStyle(document.querySelector('.cmpae svg text.title')).fill")
        assert ink == "rgb(236, 236, 236)", "light words on the dark theme"
        assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']:has-text('Error')").count() == 0
        assert not written(folder)


def test_voila_serves_the_notebook(page, folder, artefacts):
    pytest.importorskip("voila", reason="voila is not installed: pip install -e '.[app]'")
    assert os.environ.get("CMPAE_DATA", "small") in ("", "small")
    with served(["voila", NOTEBOOK, "--no-browser", "--port={port}", "--Voila.ip=127.0.0.1"], folder, "voila/static/voila.js") as address:
        page.goto(address)
        page.wait_for_selector(".cmpae svg", state="attached")
        use_the_explorer(page, artefacts, "voila")
        assert page.locator("pre:has-text('Traceback')").count() == 0
        assert not written(folder)


def started_by_make(target, options):
    """What `make target` runs once the environment is ready, with this environment's programs instead of `.venv`'s."""
    command = ["make", "--no-print-directory", "--dry-run", "-o", ".venv/.ready", target, f"OPTIONS={options}"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip().splitlines()
    assert len(told) == 1, told
    program, *arguments = shlex.split(told[0])
    assert program.startswith(".venv/bin/")
    module = {"jupyter": "jupyter", "cmpae": "cmpae_toolkit.cli"}[Path(program).name]
    return [module, *(str(ROOT / a) if a.endswith(".ipynb") else a for a in arguments)]


def test_make_lab_opens_the_start_page(page, tmp_path, artefacts):
    options = "--no-browser --port={port} --allow-root --IdentityProvider.token=secret --ServerApp.password="
    with served(started_by_make("lab", options), tmp_path, "api?token=secret") as address:
        opened = "".join(file.read_text() for file in (tmp_path / ".runtime").glob("jpserver-*-open.html"))
        where = re.search(r"url=http://[^/]+(/lab/tree/00_start_here\.ipynb\?[^\"]*)", opened)
        assert where, opened  # what a browser is told to open, were one started
        page.goto(address + html.unescape(where[1]))
        page.wait_for_selector(".jp-Notebook h1:has-text('00 Start here')")
        page.screenshot(path=artefacts / "start_page.png")


def test_make_explorer_serves_the_explorer_alone(page, tmp_path, artefacts):
    """Any video of the split is computed when it is chosen; nothing is written, and nothing outside this machine is asked."""
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    with served(started_by_make("explorer", "--no-browser --port={port}"), tmp_path, "") as address:
        before = set(tmp_path.rglob("*"))
        page.goto(address)
        page.wait_for_selector("#picture svg")
        assert "good: F at the 90% quantile" in page.locator("#video optgroup").first.get_attribute("label")
        page.fill("#search", "00042")
        page.wait_for_function("document.querySelector('#picture svg text.title').textContent.includes('00042')")
        page.select_option("#change", label="visual muted")
        assert "visual muted" in page.locator("#picture").inner_html()
        page.screenshot(path=artefacts / "served.png")
        assert all(url.startswith((address, "blob:", "data:")) for url in asked) and set(tmp_path.rglob("*")) == before
