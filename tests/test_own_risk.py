"""An evidential risk of one's own: by the place of its function or by a name in the registry, in training and behind a checkpoint."""

import json

import own_risks
import pytest
import torch

from cmpae_toolkit import losses, methods
from cmpae_toolkit.checkpoint import load_run
from cmpae_toolkit.config import Config
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.inference import predict
from cmpae_toolkit.method import Supervision
from cmpae_toolkit.opinion import Opinion
from cmpae_toolkit.train import fit

QUICK = Config(width=8, batch_size=32, epochs=1, denoise=False)
PLACE = "own_risks:absolute"


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(losses.RISKS, "absolute", own_risks.absolute)
    return "absolute"


def test_every_name_is_a_function_of_opinion_and_label():
    opinion, label = Opinion(torch.tensor([2.0, 0.5]), torch.tensor([0.1, 3.0])), torch.tensor([1.0, 0.0])
    values = {name: losses.evidence_risk(opinion, label, name) for name in losses.RISKS}
    assert all(value.shape == label.shape for value in values.values())
    torch.testing.assert_close(values["log"], losses.bayes_risk(opinion, label, "log"))
    torch.testing.assert_close(values["digamma"], losses.bayes_risk(opinion, label))
    weighted = losses.evidence_risk(opinion, label, "fisher", 0.5)
    torch.testing.assert_close(weighted, losses.fisher_risk(opinion, label, 0.5))
    assert not torch.equal(weighted, values["fisher"])


def test_it_is_what_the_network_is_trained_with(tiny, registered):
    """By its place and by its name: the same weights, and others than those of the paper's risk."""
    runs = {risk: fit(QUICK.changed(risk=risk), *tiny[:2], progress=False) for risk in (PLACE, registered, "log")}
    weights = {risk: run.model.collector.presence.weight for risk, run in runs.items()}
    assert torch.equal(weights[PLACE], weights[registered]) and not torch.equal(weights[PLACE], weights["log"])


def test_it_survives_save_and_load(tiny, registered, tmp_path, monkeypatch):
    config = QUICK.changed(risk=PLACE)
    run = fit(config, *tiny[:2], progress=False)
    again = load_run(run.save(tmp_path / "place"))
    assert again.config == config and json.loads((tmp_path / "place" / "config.json").read_text())["config"]["risk"] == PLACE
    assert torch.equal(predict(again.model, tiny[2]).joint.probability, predict(run.model, tiny[2]).joint.probability)
    named = fit(QUICK.changed(risk=registered), *tiny[:2], progress=False).save(tmp_path / "name")
    assert load_run(named).config.risk == registered
    monkeypatch.delitem(losses.RISKS, registered)
    with pytest.raises(InputError, match=r"'risk' is 'absolute': use .* another name in losses\.RISKS"):
        load_run(named)


@pytest.mark.parametrize("risk", ["own_risks:nothing", "no_such_module:absolute"])
def test_one_that_is_not_there_is_refused_before_anything_is_trained(risk, tiny):
    def fit_nothing(*_):
        raise AssertionError("an estimator was trained")

    with pytest.raises(InputError, match=f"there is no risk '{risk}'"):
        methods.get("cmpae").prepare(QUICK.changed(risk=risk, denoise=True), *tiny[:2], fit_nothing)


def test_one_that_reduces_is_refused(tiny):
    with pytest.raises(InputError, match=r"'own_risks:reduced' gives \(\) for labels \(32, 2, 25\): it must not reduce them"):
        fit(QUICK.changed(risk="own_risks:reduced"), *tiny[:2], supervision=Supervision(), progress=False)
