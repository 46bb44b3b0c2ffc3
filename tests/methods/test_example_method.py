"""The example of docs/methods.md is a method like the toolkit's own: it keeps to the contract, and it learns."""

import inspect
import sys
from pathlib import Path

import pytest
import test_contract as contract

from cmpae_toolkit.inference import evaluate, floors
from cmpae_toolkit.train import fit

DOCS = Path(__file__).parents[2] / "docs"
TESTS = [f for name, f in inspect.getmembers(contract, inspect.isfunction) if name.startswith("test_")]
CHECKS = [f for f in TESTS if "name" in inspect.signature(f).parameters]  # those of every method


@pytest.fixture
def config(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    from example_method import PoolingConfig

    monkeypatch.setitem(contract.CONFIGS, "example", PoolingConfig())
    yield PoolingConfig()
    sys.modules.pop("example_method")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_to_the_contract(check, config, tmp_path, monkeypatch):
    given = {"name": "example", "snippets": 7, "tmp_path": tmp_path, "monkeypatch": monkeypatch}
    check(**{name: given[name] for name in inspect.signature(check).parameters})


def test_it_learns(config, tiny):
    """Its type F is above that of predicting nothing."""
    train_set, val_set, test_set = tiny
    run = fit(config.changed(batch_size=8, learning_rate=5e-3), train_set, val_set, progress=False)
    nothing = floors(test_set)["predict nothing"]["segment"]["type"]
    assert evaluate(run, test_set)["segment"]["type"] > nothing + 5


def test_it_is_short():
    assert len((DOCS / "example_method.py").read_text().splitlines()) < 60
