"""The AVE methods: parity with outputs recorded from their authors' code, and what the recordings cannot show."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from recipe import SEED, ave_inputs, golden, parameters, without_dropout

from cmpae_toolkit import losses, released
from cmpae_toolkit.batches import take
from cmpae_toolkit.config import DataSpec, StreamSpec
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.method import Batch, Moment
from cmpae_toolkit.methods import get
from cmpae_toolkit.methods.psp import Propagation

METHODS = ("avel", "psp", "cmran", "cmbs")
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
        video = {"video_probability": scores.video.softmax(-1)}
        if not hasattr(model, "relevance_and_category"):
            return video | {"snippet_score": scores.answer}
        relevance, category = model.relevance_and_category(features, None, True)
        return video | {"event_relevance": relevance, "category_score": category}


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
SCHEDULES = {
    "avel": [1e-3] * 250, "psp": [1e-3] * 80 + [8e-4] * 80 + [6.4e-4] * 140,
    "cmran": [5e-4] * 5 + [2.5e-4] * 15 + [1.25e-4] * 20 + [6.25e-5] * 160,
    "cmbs": [6e-4] * 10 + [3e-4] * 10 + [1.5e-4] * 20 + [7.5e-5] * 160,
}


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
    """The paper's mean over time is not the released code's maximum."""
    features = {n: torch.randn(2, 5 * s.per_snippet, s.width) for n, s in STREAMS.items()}
    for pooling, by_hand in (("mean", torch.mean), ("max", torch.amax)):
        model = get("avel")(get("avel").Config(pooling=pooling), DataSpec(CATEGORIES, 5, STREAMS))
        scores = model.scores(features)
        torch.testing.assert_close(scores.video, by_hand(scores.answer, 1))


def test_only_the_released_soft_margin_has_a_floor():
    """Right and sure: the loss of scores and the cross-entropy come to nothing, that of probabilities stops at 0.6 with 4 answers."""
    features = {n: torch.randn(2, 5 * s.per_snippet, s.width) for n, s in STREAMS.items()}
    model, found = get("avel")(get("avel").Config(), DataSpec(CATEGORIES, 5, STREAMS)), {}
    torch.nn.init.zeros_(model.classifier.weight)
    model.classifier.bias.data = torch.tensor([30.0, -30, -30, -30])
    for risk in ("soft_margin_of_probability", "soft_margin_of_score", "cross_entropy"):
        model.config = model.config.changed(risk=risk)
        found[risk] = model.losses(Batch(features, torch.tensor([[1.0, 0, 0]] * 2)), Moment(1, 0, 1))["joint"].item()
    floor = (np.log1p(np.exp(-1)) + 3 * np.log(2)) / 4
    assert found == pytest.approx({"soft_margin_of_probability": floor, "soft_margin_of_score": 0, "cross_entropy": 0}, abs=1e-6)


def test_propagation_by_hand():
    """Two snippets: match 4 3 / 0 12 over sqrt(4), rows over their sums 4/7 3/7 / 0 1; the cut of 0.9 / 2 drops the 3/7."""
    layer = Propagation(4, dropout=0.0, cut=0.9)
    layer.norm = torch.nn.Identity()
    for part in (*layer.compared, *layer.passed):
        torch.nn.init.eye_(part.weight)
    visual = torch.tensor([[1.0, 0, 0, 0], [0, 3, 0, -1]])
    audio = torch.tensor([[4.0, 0, 0, -5], [3, 4, 0, 0]])
    with torch.no_grad():
        out = layer(torch.stack([audio, visual])[None])[0]
    torch.testing.assert_close(out[1, 0], visual[0] + 4 / 7 * audio[0].relu())
    torch.testing.assert_close(out[1, 1], visual[1] + audio[1])
    torch.testing.assert_close(out[0, 0], audio[0] + visual[0])  # match transposed: 4 0 / 3 12, over their sums 1 0 / 1/5 4/5
    torch.testing.assert_close(out[0, 1], audio[1] + 4 / 5 * visual[1].relu())


def test_psps_temporal_weight_is_at_least_a_half():
    """sigmoid(relu(w s)): a snippet counts half where w s is negative."""
    model = get("psp")(get("psp").Config(), DataSpec(CATEGORIES, 5, STREAMS)).eval()
    features = {n: torch.randn(2, 5 * s.per_snippet, s.width) for n, s in STREAMS.items()}
    answers = {}
    with torch.no_grad():
        for weight in (0.0, -1e6, 1e6):
            model.temporal_weight.weight.fill_(weight)
            answers[weight] = model.scores(features).answer
    ratio = torch.stack([answers[-1e6] / answers[0.0], answers[1e6] / answers[0.0]])
    assert set(ratio.round(decimals=3).unique().tolist()) == {1.0, 2.0} and (ratio.sum(0) - 3).abs().max() < 1e-3


def test_psps_shares_are_a_marked_cheat(tiny):
    config = get("psp").Config(label="share")
    with pytest.raises(InputError, match="no dense annotations"):
        get("psp").prepare(config, tiny[0], tiny[1], None)
    reference = np.zeros((2, 2, 10, len(tiny[1].categories)), bool)
    reference[0, :, 2:5, 1] = True
    dense = replace(tiny[1].subset([0, 1]), reference=reference, lengths=np.array([6, 10]))
    made = get("psp").prepare(config, dense, tiny[1], None)
    shares = made.targets["answer_share"]
    assert shares[0, [1, -1]].tolist() == [0.5, 0.5] and shares[1, -1] == 1 and shares.sum() == 2
    model = get("psp")(config, dense.spec)
    assert torch.equal(model.label(take(dense, np.array([1, 0]), torch.device("cpu"), made)), shares[[1, 0]])
    assert get("psp").prepare(get("psp").Config(), dense, tiny[1], None).targets == {}


@every_method
def test_data_without_a_modality_are_refused(name):
    with pytest.raises(InputError, match="at least one of each modality"):
        get(name)(get(name).Config(), DataSpec(CATEGORIES, 10, {"audio": STREAMS["audio"]}))
