"""The AVE methods: parity with outputs recorded from their authors' code, and what the recordings cannot show."""

import numpy as np
import pytest
import torch
from recipe import SEED, ave_inputs, golden, parameters, without_dropout

from cmpae_toolkit import losses, released
from cmpae_toolkit.config import DataSpec, StreamSpec
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.method import Batch, Moment
from cmpae_toolkit.methods import get

METHODS = ("avel",)
every_method = pytest.mark.parametrize("name", METHODS)
STREAMS = {"audio": StreamSpec(6, 1, "audio"), "frames": StreamSpec(8, 4, "visual")}
CATEGORIES = ("Dog", "Cat", "Car")


@pytest.fixture(scope="module")
def recorded():
    return golden("ave")


def outputs(model, features):
    """What was recorded, by its name there."""
    with torch.no_grad():
        scores = model.scores(features)
    return {"video_probability": scores.video.softmax(-1), "snippet_score": scores.answer}


def assert_outputs(model, recorded, prefix, tolerance):
    ours = outputs(model, ave_inputs(SEED, 3))
    names = [key.removeprefix(prefix) for key in recorded if key.startswith(prefix) and key.count("/") == prefix.count("/")]
    assert set(names) - {"losses"} == set(ours)
    for name, value in ours.items():
        np.testing.assert_allclose(value, recorded[prefix + name], atol=tolerance, rtol=tolerance)


@every_method
def test_outputs(name, recorded):
    model = released.load_state_dict(parameters(name), name)
    assert not model.training and len(model.spec.categories) == 28
    assert_outputs(model, recorded, f"{name}/", 1e-5)
    with torch.no_grad():
        evidence = model(ave_inputs(SEED, 3))
    np.testing.assert_allclose(evidence.joint.probability, recorded[f"{name}/video_probability"][:, :28], atol=1e-5)
    assert torch.equal(evidence.video.probability[:, 0], evidence.joint.probability)


def recorded_batch(model, seed):
    features = {n: torch.from_numpy(x) for n, x in ave_inputs(seed, 8).items()}
    answer = np.random.default_rng([seed, 9]).integers(0, 29, 8)
    return Batch(features, torch.eye(29)[answer][:, :28])  # background: no weak label


@every_method
def test_two_training_steps(name, recorded):
    """Losses within 1e-5, outputs after two Adam steps within 2e-3 of the recorded ones: a first step makes rounding as large as any."""
    model = without_dropout(released.load_state_dict(parameters(name), name))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step, seed in enumerate((301, 302)):
        loss = losses.total(model.losses(recorded_batch(model, seed), Moment(1, step, 2)), model.config)
        assert loss.item() == pytest.approx(float(recorded[f"{name}/losses"][step]), rel=1e-5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert_outputs(model.eval(), recorded, f"{name}/after/", 2e-3)


# the published rates, epoch by epoch
SCHEDULES = {"avel": [1e-3] * 250}


@every_method
def test_learning_rates(name):
    config = get(name).Config()
    model = get(name)(config, DataSpec(CATEGORIES, 10, STREAMS))
    rates = [model.learning_rate(epoch) for epoch in range(1, config.epochs + 1)]
    assert rates == pytest.approx(SCHEDULES[name], rel=1e-12)
    model.config = config.changed(schedule="cosine", warm_up_epochs=2)
    assert model.learning_rate(1) == config.learning_rate / 2 and model.learning_rate(config.epochs) < 1e-3 * config.learning_rate


@every_method
def test_background_is_the_label_of_a_video_without_one(name):
    model = get(name)(get(name).Config(), DataSpec(CATEGORIES, 10, STREAMS))
    weak = torch.tensor([[0.0, 1, 0], [0, 0, 0], [1, 0, 1]])
    assert model.label(Batch({}, weak)).tolist() == [[0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 1, 0]]


def test_avels_readings_differ():
    """The paper's mean over time is not the released code's maximum; a soft-margin loss of a softmax stays above 0.6."""
    features = {n: torch.randn(2, 5 * s.per_snippet, s.width) for n, s in STREAMS.items()}
    video = {}
    for pooling in ("mean", "max"):
        torch.manual_seed(0)
        model = get("avel")(get("avel").Config(pooling=pooling), DataSpec(CATEGORIES, 5, STREAMS))
        scores = model.scores(features)
        video[pooling] = scores.video
        torch.testing.assert_close(scores.video, getattr(scores.answer, {"mean": "mean", "max": "amax"}[pooling])(1))
    assert (video["max"] > video["mean"]).all()
    batch = Batch(features, torch.tensor([[1.0, 0, 0], [0, 0, 0]]))
    for risk in ("soft_margin_of_probability", "soft_margin_of_score", "cross_entropy"):
        model.config = model.config.changed(risk=risk)
        with torch.no_grad():
            model.classifier.weight.zero_(), model.classifier.bias.copy_(torch.tensor([60.0, -60, -60, -60]))
        loss = model.losses(Batch(features, torch.tensor([[1.0, 0, 0]] * 2)), Moment(1, 0, 1))["joint"]
        assert (loss > 0.57) == (risk == "soft_margin_of_probability")
    assert model.losses(batch, Moment(1, 0, 1))["joint"] > 1


@every_method
def test_data_without_a_modality_are_refused(name):
    with pytest.raises(InputError, match="at least one of each modality"):
        get(name)(get(name).Config(), DataSpec(CATEGORIES, 10, {"audio": STREAMS["audio"]}))
