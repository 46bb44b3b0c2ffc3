"""Every measured row of the README's results is the rounded content of a committed run, and its links and fields exist."""

import json
import re
from pathlib import Path

import pytest

from cmpae_toolkit import metrics
from cmpae_toolkit.config import Config, presets
from cmpae_toolkit.studies import claims, tables
from cmpae_toolkit.studies.ablations import DIFFERENCES
from cmpae_toolkit.studies.records import collect

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
RUNS = {
    "CMPAE, preset `paper`, width 128": "cmpae_toolkit/assets/simulated_small/run.json",
    "CMPAE, preset `paper`": "paper", "CMPAE, preset `released`": "released", "JoMoLD, preset `jomold`": "jomold",  # of full_size
}


def stored(source):
    full_size = collect("full_size").set_index("variant")["record"]
    return full_size[source] if source in full_size else json.loads((ROOT / source).read_text())


@pytest.mark.parametrize("name", RUNS)
def test_result_rows_are_the_stored_runs(name):
    run = stored(RUNS[name])
    expected = [f"{run['scores']['test'][level][score]:.1f}" for level in metrics.LEVELS for score in metrics.SCORES]
    assert f"| {name} | {' | '.join(expected)} |" in TEXT
    preset = re.search(r"`(\w+)`", name)[1]
    quick = {"width", "batch_size", "epochs", "estimator_epochs", "decay_epochs"}
    assert not set(Config.from_dict(run["config"]).difference(presets[preset])) - quick


def test_floor_rows_are_the_stored_floors():
    for file in ("cmpae_toolkit/assets/simulated_small/run.json", "paper"):
        for name, floor in stored(file)["floors"]["test"].items():
            expected = [f"{floor[level][score]:.1f}" for level in metrics.LEVELS for score in metrics.SCORES]
            assert f"| {name} | {' | '.join(expected)} |" in TEXT


def test_five_seed_rows_are_the_stored_runs():
    text = tables.make(2, "tables", ["small", "real_media"]).text().set_index(["method", "data"])
    block = TEXT.split("| type F, segment / event level |")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines()[2:]]
    assert len(rows) == 7
    for method, *cells in rows:
        for data, cell in zip(("simulated small (test)", "real_media (test)"), cells, strict=True):
            found = text.loc[(method, data)]
            assert cell == f"{found['seg. type']} / {found['event-level type']}", (method, data)


def test_claims_are_the_stored_runs():
    """Every "a ± b" of the paragraphs on Tables 5 and 6 is a paired difference of the stored runs, or its negative."""
    block = TEXT.split("**Which of the paper's conclusions hold here**")[1].split("**One run in full.**")[0]
    said = {(float(a), float(b)) for a, b in re.findall(r"([+-]?\d+\.\d) ± (\d+\.\d)", block.replace("\n", " "))}
    measured = set()
    for name in ("small", "real_media"):
        for row in claims.claims_table(collect("tables", name), which=claims.CLAIMS | claims.MORE_CLAIMS).round(1).itertuples():
            measured |= {(row.difference, row._5), (-row.difference, row._5)}
    assert len(said) >= 8 and said <= measured


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

    modules = (
        "attention|calibration|config|decode|dirichlet|experiments|fusion|grids|inference|labels|losses|metrics|model|opinion|paired|"
        "stacked|steps|tables|uncertainty"
    )
    found = re.findall(rf"`({modules})\.([\w.]+)", TEXT)
    assert len(found) > 30
    for module, path in found:
        if path == "py":  # a file's name
            continue
        owner = importlib.import_module(f"cmpae_toolkit.{module}")
        for part in path.split("."):
            owner = getattr(owner, part)
