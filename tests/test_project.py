"""The project's own rules: imports point one way, the environments agree, `import` stays light, no machine is named."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import cmpae_toolkit

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "cmpae_toolkit"


def test_imports_point_one_way():
    """The contracts stand in pyproject.toml."""
    result = subprocess.run([Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-3000:]


def requirements(entries):
    split = (re.fullmatch(r"([\w.-]+)(.*)", entry) for entry in entries)
    return {m[1].lower().replace("pytorch", "torch").replace("_", "-"): m[2] for m in split}


def test_environments_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = requirements([*project["dependencies"], *(entry for extra in project["optional-dependencies"].values() for entry in extra)])
    *listed, with_pip = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = requirements([*listed, *with_pip["pip"]])
    assert conda.pop("python") == project["requires-python"] and conda.pop("pip") == ""
    assert conda == wanted
    lock = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line and not line.startswith("#")]
    assert all("==" in line for line in lock) and wanted.keys() <= requirements(lock).keys()
    assert "torch==2.13.0" in lock
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == cmpae_toolkit.__version__


def loaded_by(code):
    script = f"import sys; {code}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_toolkit_imports_nothing():
    assert not {"torch", "numpy", "pandas", "matplotlib", "ipywidgets"} & loaded_by("import cmpae_toolkit; dir(cmpae_toolkit)")


def test_the_core_draws_nothing():
    loaded = loaded_by("from cmpae_toolkit import metrics, losses, model, evidence, fit")
    assert not {"matplotlib", "ipywidgets", "seaborn", "sklearn"} & loaded


def test_public_names():
    assert {"Opinion", "Config", "presets", "fit", "predict", "evaluate", "load", "f_scores", "Run"} <= set(dir(cmpae_toolkit))
    for name in dir(cmpae_toolkit):
        assert getattr(cmpae_toolkit, name) is not None
    from cmpae_toolkit import fit, load, losses, presets

    assert callable(fit) and callable(load) and callable(losses.bayes_risk) and "paper" in presets
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        cmpae_toolkit.fitt  # noqa: B018


WINGS = ("data", "evidence", "explorer", "extract", "methods", "plots", "studies")


@pytest.mark.parametrize("wing", WINGS)
def test_a_wing_shows_its_public_names_only(wing):
    module = importlib.import_module(f"cmpae_toolkit.{wing}")
    assert dir(module) == sorted(module.__all__) == sorted(set(module.__all__))
    for name in dir(module):
        owner = getattr(getattr(module, name), "__module__", "cmpae_toolkit")
        assert not name.startswith("_") and owner.startswith("cmpae_toolkit"), f"{wing}.{name} is of {owner}"


def tracked():
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    return [ROOT / name for name in listing.stdout.splitlines()] if listing.returncode == 0 else []


def test_nothing_names_a_machine_or_exceeds_its_size():
    for path in tracked():
        if not path.is_file():
            continue
        assert path.stat().st_size < 5_000_000, path
        if path.suffix == ".ipynb":
            assert path.stat().st_size <= 400_000, f"{path.name}: {path.stat().st_size} bytes"
        if path.suffix in {".py", ".md", ".ipynb", ".toml", ".yml", ".json", ".cff", ".lock", ".cfg", ".csv"} or path.name == "Makefile":
            found = re.search(r"/(?:work|farm|root|home)/[a-z]", path.read_text(encoding="utf-8"))
            assert not found, f"{path}: {found}"


def test_no_size_or_device_is_hard_coded():
    """No literal 25, 10 or "cuda" below config and data."""
    for name in ("opinion", "losses", "model", "labels", "decode", "metrics"):
        for node in ast.walk(ast.parse((PACKAGE / f"{name}.py").read_text())):
            assert not (isinstance(node, ast.Constant) and node.value in (25, 10, "cuda")), f"{name}.py:{node.lineno}"


def test_nothing_unpickles():
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        assert "allow_pickle=True" not in text and "import pickle" not in text and "weights_only=False" not in text, path
