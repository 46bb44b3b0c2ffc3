"""The examples of docs are methods like the toolkit's own: they keep to the contract, and they learn."""

import importlib
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


EXAMPLES = {"example_method": "PoolingConfig", "example_head": "AddedConfig"}


@pytest.fixture(params=EXAMPLES)
def config(request, monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    config = getattr(importlib.import_module(request.param), EXAMPLES[request.param])()
    monkeypatch.setitem(contract.CONFIGS, "example", config)
    yield config
    sys.modules.pop(request.param)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_to_the_contract(check, config, tmp_path, monkeypatch):
    given = {"name": "example", "snippets": 7, "tmp_path": tmp_path, "monkeypatch": monkeypatch}
    check(**{name: given[name] for name in inspect.signature(check).parameters})


def test_it_learns(config, tiny):
    """Its type F is above that of predicting nothing."""
    train_set, val_set, test_set = tiny
    quick = config.adopting(width=64, batch_size=8, learning_rate=5e-3, epochs=15, decay_epochs=15, estimator_epochs=3)
    run = fit(quick, train_set, val_set, progress=False)
    nothing = floors(test_set)["predict nothing"]["segment"]["type"]
    assert evaluate(run, test_set)["segment"]["type"] > nothing + 5


def test_it_is_short():
    assert all(len((DOCS / f"{name}.py").read_text().splitlines()) < 60 for name in EXAMPLES)
