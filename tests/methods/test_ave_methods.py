"""The AVE methods: parity with outputs recorded from their authors' code, and what the recordings cannot show."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from recipe import SEED, ave_inputs, golden, parameters, without_dropout
from safetensors.torch import save_file

from cmpae_toolkit import losses, released
from cmpae_toolkit.batches import autocast, take
from cmpae_toolkit.config import DataSpec, StreamSpec
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.method import Batch, Moment
from cmpae_toolkit.methods import get
from cmpae_toolkit.methods.cmbs import mean_of_highest
from cmpae_toolkit.methods.psp import Propagation
from cmpae_toolkit.train import in_order

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


def test_other_sizes_load_and_wrong_states_are_named(tmp_path):
    state = parameters("psp")
    for key, rows in (("L2.weight", 6), ("attention.affine_v.weight", 9), ("attention.affine_g.weight", 9)):
        state[key] = state[key][:rows]
    state["W3.weight"], state["attention.affine_h.weight"] = state["W3.weight"][:, :6], state["attention.affine_h.weight"][:, :9]
    save_file({key: torch.from_numpy(value.copy()) for key, value in state.items()}, tmp_path / "psp.safetensors")
    run = released.load_checkpoint(tmp_path / "psp.safetensors", "psp")
    assert len(run.spec.categories) == 5 and run.spec.streams["frames"] == StreamSpec(512, 9, "visual")
    with pytest.raises(InputError, match=r"hidden.weight has shape \(64, 7\)"):
        released.load_state_dict(state | {"L1.weight": np.zeros((64, 7))}, "psp")
    with pytest.raises(InputError, match=r"classifier\.weight' is missing or misshapen"):
        released.load_state_dict({key: value for key, value in state.items() if key != "L2.weight"}, "psp")
    with pytest.raises(InputError, match=r"classifier\.weight has shape"):
        released.load_state_dict(parameters("cmbs") | {"CAS_model.classifier.0.weight": np.zeros((29, 256, 2))}, "cmbs")
    with pytest.raises(InputError, match="is not one of the released code"):
        released.load_state_dict(state, "avel")


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


class Labels(list):
    """Weak labels of a training set, as the order of its batches sees them."""

    @property
    def weak_labels(self):
        return np.array(self)


def test_batches_by_category():
    """As AVEL's file is sorted: videos of one category together, background last, and no batch that is not full."""
    videos = Labels(np.eye(4)[[2, 3, 0, 2, 1, 0, 3], :3])  # 3 is background
    config = get("avel").Config().changed(order="category", batch_size=2)
    assert [batch.tolist() for batch in in_order(videos, config)] == [[2, 5], [4, 0], [3, 1]]
    assert [batch.tolist() for batch in in_order(Labels(videos[:6]), config)] == [[2, 5], [4, 0], [3, 1]]
    assert [len(batch) for batch in in_order(videos, config.changed(batch_size=9))] == [7]
    assert [len(batch) for batch in in_order(videos, config.changed(order="shuffled"))] == [2, 2, 2, 1]


@every_method
def test_background_is_the_label_of_a_video_without_one(name):
    model = get(name)(get(name).Config(), DataSpec(CATEGORIES, 10, STREAMS))
    weak = torch.tensor([[0.0, 1, 0], [0, 0, 0], [1, 0, 1]])
    assert model.label(Batch({}, weak)).tolist() == [[0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 1, 0]]


def test_avels_readings_differ():
    """The paper's mean over time is not the released code's maximum."""
    features = some()
    for pooling, by_hand in (("mean", torch.mean), ("max", torch.amax)):
        model = get("avel")(get("avel").Config(pooling=pooling), DataSpec(CATEGORIES, 5, STREAMS))
        scores = model.scores(features)
        torch.testing.assert_close(scores.video, by_hand(scores.answer, 1))


def test_only_the_released_soft_margin_has_a_floor():
    """Right and sure: the loss of scores and the cross-entropy come to nothing, that of probabilities stops at 0.6 with 4 answers."""
    features = some()
    model, found = get("avel")(get("avel").Config(), DataSpec(CATEGORIES, 5, STREAMS)), {}
    torch.nn.init.zeros_(model.classifier.weight)
    model.classifier.bias.data = torch.tensor([30.0, -30, -30, -30])
    for risk in ("soft_margin_of_probability", "soft_margin_of_score", "cross_entropy"):
        model.config = model.config.changed(risk=risk)
        found[risk] = model.losses(Batch(features, torch.tensor([[1.0, 0, 0]] * 2)), Moment(1, 0, 1))["joint"].item()
    floor = (np.log1p(np.exp(-1)) + 3 * np.log(2)) / 4
    assert found == pytest.approx({"soft_margin_of_probability": floor, "soft_margin_of_score": 0, "cross_entropy": 0}, abs=1e-6)


@pytest.mark.parametrize("risk", ["soft_margin_of_probability", "cross_entropy"])
def test_bfloat16_keeps_the_gradient_of_a_confident_mistake(risk):
    """Its softmax has small differences whose sign bfloat16 loses."""
    model = get("avel")(get("avel").Config(risk=risk), DataSpec(CATEGORIES, 5, STREAMS))
    torch.nn.init.zeros_(model.classifier.weight)
    model.classifier.bias.data, features, found = torch.tensor([9.0, 0, 0, 0]), some(), {}
    for mixed in (False, True):
        model.zero_grad()
        with autocast(torch.device("cpu"), mixed):
            loss = model.losses(Batch(features, torch.tensor([[0, 1.0, 0]] * 2)), Moment(1, 0, 1))["joint"]
        loss.backward()
        found[mixed] = model.classifier.bias.grad.clone()
    assert found[False][0] > 0 > found[False][1]
    torch.testing.assert_close(found[True], found[False], rtol=0.02, atol=1e-7)


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
    features = some()
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


def some(streams=STREAMS, videos=2, snippets=5):
    return {n: torch.randn(videos, snippets * s.per_snippet, s.width) for n, s in streams.items()}


@pytest.mark.parametrize("name", ["cmran", "cmbs"])
def test_transformers_know_no_order(name):
    """Snippets in another order get the same answers in that order, and the video the same."""
    model = get(name)(get(name).Config(), DataSpec(CATEGORIES, 5, STREAMS)).eval()
    features, order = some(), torch.tensor([3, 0, 4, 1, 2])
    moved = {n: x.unflatten(1, (5, -1))[:, order].flatten(1, 2) for n, x in features.items()}
    with torch.no_grad():
        first, second = model.scores(features), model.scores(moved)
    torch.testing.assert_close(second.snippet, first.snippet[:, order])
    torch.testing.assert_close(second.video, first.video)


def test_cmran_answers_background_where_the_gate_is_closed():
    model = get("cmran")(get("cmran").Config(), DataSpec(CATEGORIES, 5, STREAMS)).eval()
    features = some()
    with torch.no_grad():
        relevance, _ = model.relevance_and_category(features, None, True)
        model.relevance.bias -= relevance.median()
        model.category.bias += torch.tensor([0, 100.0, 0, 0])
        rolls = model.decode(model(features), model.thresholds())
    is_open = (relevance > relevance.median()).numpy()
    assert 0 < is_open.sum() < is_open.size
    assert np.array_equal(rolls, np.broadcast_to((is_open[..., None] & np.array([False, True, False]))[:, None], rolls.shape))


def test_cmbs_gate_in_both_readings():
    """As released every snippet gets the video's answer; else those whose gate reaches a threshold, and none where it is background."""
    model = get("cmbs")(get("cmbs").Config(), DataSpec(CATEGORIES, 5, STREAMS)).eval()
    features = some()
    with torch.no_grad():
        model.gates[0].weight *= 5
        gate, category = model.relevance_and_category(features, None, True)
        evidence = model(features)
        model.config = model.config.changed(event_gate="always_open")
        released_rolls = model.decode(model(features), model.thresholds())
    answer = np.eye(4, dtype=bool)[category.argmax(-1)][:, None, None, :3]
    assert np.array_equal(released_rolls, np.broadcast_to(answer, released_rolls.shape))
    rolls = model.decode(evidence, replace(model.thresholds(), both=gate.median().item() ** 2 + 1e-7))
    wanted = (gate > gate.median()).numpy()[..., None] & answer[:, 0]
    assert (gate > gate.median()).sum() == 5 and np.array_equal(rolls, np.broadcast_to(wanted[:, None], rolls.shape))
    with torch.no_grad():
        model.classifier.weight[3] = 10 * model.classifier.weight.abs().sum(0)
        model.config, audible = model.config.changed(event_gate="threshold"), {n: x.abs() for n, x in features.items()}
        said = model(audible)
    _, category = model.relevance_and_category(audible, None, True)
    assert (said.snippet.probability.amax((1, 2, 3)) == 0).tolist() == (category.argmax(-1) == 3).tolist()


def test_the_mean_of_the_highest():
    """The 2 highest of those that exist; fewer where there are fewer, 0 where there is none."""
    x = torch.tensor([[5.0, 1, 3, 9]] * 4).unsqueeze(-1)
    exists = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]], dtype=torch.bool)
    valid = torch.stack([exists, torch.zeros_like(exists)], dim=1)
    assert mean_of_highest(x, 2, valid).flatten().tolist() == [7, 4, 1, 0]
    assert mean_of_highest(x, 2, None).flatten().tolist() == [7] * 4 and mean_of_highest(x, 9, None)[0] == 4.5


@every_method
def test_further_visual_streams_are_heard(name):
    """A second visual stream changes the answer as the mean over its positions, whatever their order."""
    streams = STREAMS | {"clip": StreamSpec(5, 2, "visual")}
    model = get(name)(get(name).Config(), DataSpec(CATEGORIES, 5, streams)).eval()
    features = some(streams)
    swapped = features | {"clip": features["clip"].unflatten(1, (5, 2)).flip(2).flatten(1, 2)}
    other = features | {"clip": features["clip"] + 1}
    with torch.no_grad():
        video = [model.scores(f).video for f in (features, swapped, other)]
    torch.testing.assert_close(video[1], video[0])
    assert model.attended == "frames" and (video[2] - video[0]).abs().min() > 0


@every_method
def test_cross_attention_can_be_left_out(name):
    model = get(name)(get(name).Config(), DataSpec(CATEGORIES, 5, STREAMS)).eval()
    features = some()
    with torch.no_grad():
        both, alone = model(features), model(features, cross_attention=False)
    assert not torch.allclose(both.joint.probability, alone.joint.probability, atol=1e-6)
    if hasattr(model, "encoder"):  # the sound's features do not know the picture
        sound = torch.randn(2, 5, 6)
        one, two = (model.encoder((sound, torch.randn(2, 5, 512)), None, False)[1][:, 0] for _ in range(2))
        assert torch.equal(one, two)


FIELDS = {
    "avel": dict(pooling="max", risk="cross_entropy"),
    "psp": dict(attention_dropout=0.9, cut=0.2, risk="soft_margin_of_score"),
    "cmran": dict(visual_dropout=0.9, attention_dropout=0.9, relevance_threshold=0.0, risk="cross_entropy"),
    "cmbs": dict(visual_dropout=0.9, attention_dropout=0.9, interaction_dropout=0.9, alpha=0.9, beta=0.1, gamma=0.2, pooled_snippets=1,
                 event_gate="always_open", risk="cross_entropy"),
}


@pytest.mark.parametrize(("name", "field"), [(name, field) for name, fields in FIELDS.items() for field in fields])
def test_every_own_field_matters(name, field):
    """It changes an answer or the loss, with all random numbers the same."""
    features, found = some(), []
    batch = Batch(features, torch.tensor([[1.0, 0, 0], [0, 0, 0]]))
    for config in (get(name).Config(), get(name).Config().changed(**{field: FIELDS[name][field]})):
        torch.manual_seed(0)
        model = get(name)(config, DataSpec(CATEGORIES, 5, STREAMS))
        if field == "relevance_threshold":  # all gates are closed, then open
            torch.nn.init.constant_(model.relevance.bias, -9.0)
            torch.nn.init.constant_(model.category.bias[:1], 9.0)
        answer = model.scores(features).answer
        found.append([model.losses(batch, Moment(1, 0, 1))["joint"].item(), None if answer is None else answer.argmax(-1).tolist()])
    assert found[0] != found[1]


@every_method
def test_data_without_a_modality_are_refused(name):
    with pytest.raises(InputError, match="at least one of each modality"):
        get(name)(get(name).Config(), DataSpec(CATEGORIES, 10, {"audio": STREAMS["audio"]}))
