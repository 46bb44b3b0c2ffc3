"""Every measured row of the README's results is the rounded content of a committed run, and its links and fields exist."""

import json
import re
from pathlib import Path

import pytest

from cmpae_toolkit import metrics
from cmpae_toolkit.config import DIFFERENCES, Config, presets

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
RUNS = {
    "CMPAE, preset `paper`, width 128": "cmpae_toolkit/assets/simulated_small/run.json",
    "CMPAE, preset `paper`": "results/real_media/paper.json",
    "CMPAE, preset `released`": "results/real_media/released.json", "JoMoLD, preset `jomold`": "results/real_media/jomold.json",
}


@pytest.mark.parametrize("name", RUNS)
def test_result_rows_are_the_stored_runs(name):
    run = json.loads((ROOT / RUNS[name]).read_text())
    expected = [f"{run['scores']['test'][level][score]:.1f}" for level in metrics.LEVELS for score in metrics.SCORES]
    assert f"| {name} | {' | '.join(expected)} |" in TEXT
    preset = re.search(r"`(\w+)`", name)[1]
    quick = {"width", "batch_size", "epochs", "estimator_epochs", "decay_epochs"}
    assert not set(Config.from_dict(run["config"]).difference(presets[preset])) - quick


def test_floor_rows_are_the_stored_floors():
    for file in ("cmpae_toolkit/assets/simulated_small/run.json", "results/real_media/paper.json"):
        for name, floor in json.loads((ROOT / file).read_text())["floors"]["test"].items():
            expected = [f"{floor[level][score]:.1f}" for level in metrics.LEVELS for score in metrics.SCORES]
            assert f"| {name} | {' | '.join(expected)} |" in TEXT


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_every_difference_names_its_fields():
    section = TEXT[TEXT.index("## Paper → released code") : TEXT.index("## Results")]
    for name, changes in DIFFERENCES.items():
        for field in changes:
            assert f"`{field}`" in section or (field.endswith("_threshold") and "`*_threshold`" in section), f"{name}: {field}"


def test_named_functions_exist():
    import importlib

    for module, path in re.findall(r"`(losses|model|opinion|decode|metrics|labels)\.([\w.]+)`", TEXT):
        owner = importlib.import_module(f"cmpae_toolkit.{module}")
        for part in path.split("."):
            owner = getattr(owner, part)
