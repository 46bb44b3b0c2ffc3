"""The project's own rules: imports point one way, the environments agree, `import` stays light, no machine is named."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "cmpae_toolkit"

# each layer may import from the ones before it
LAYERS = [
    {"errors", "paired", "special"}, {"config", "opinion", "metrics", "calibration", "media", "data.home"},
    {"plots", "labels", "losses", "decode", "attention", "uncertainty", "fusion", "dirichlet"}, {"data"}, {"model", "probes"},
    {"runs", "compare", "loading", "steps"}, {"released", "inference"}, {"graphs"}, {"loop"}, {"train"},
    {"stacked", "what_if", "trust", "choices"}, {"explorer_page"}, {"explorer", "report", "study"}, {"experiments", "grids"},
    {"table_rows"}, {"tables"}, {"cli"},
]


def layer_of(module):
    for number, names in enumerate(LAYERS):
        if module in names:
            return number
    room, _, rest = module.partition(".")
    if rest and room in ("data", "plots"):
        return layer_of(room)
    raise AssertionError(f"{module} is in no layer: say in LAYERS where it belongs")


def imported(path):
    """Modules of the toolkit that a file imports at any depth, as "config" or "data.home"."""
    package = path.relative_to(PACKAGE).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = package[: len(package) - node.level + 1] + tuple((node.module or "").split(".") if node.module else ())
        for name in node.names if not node.module or base in (("data",), ("plots",)) else [None]:
            target = base if name is None else (*base, name.name)
            if (PACKAGE.joinpath(*target).with_suffix(".py")).is_file() or (PACKAGE.joinpath(*target)).is_dir():
                yield ".".join(target)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_point_one_way(path):
    module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
    if module == "__init__":
        return
    own = layer_of(module)
    for other in imported(path):
        same_room = module.split(".")[0] == other.split(".")[0] in ("data", "plots")
        assert layer_of(other) < own or same_room, f"{module} imports {other}"


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


def test_import_is_light():
    """No matplotlib, no widgets, no pandas, no scikit-learn or torchmetrics for the core."""
    code = "import sys, cmpae_toolkit, cmpae_toolkit.metrics, cmpae_toolkit.losses, cmpae_toolkit.model, cmpae_toolkit.calibration; "
    code += "print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"matplotlib", "ipywidgets", "seaborn", "pandas", "sklearn", "torchmetrics"} & set(loaded)


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
