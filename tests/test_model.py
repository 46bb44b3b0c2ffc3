"""The network: shapes, equations by hand, the paper's claim, and that every config field matters."""

import dataclasses
from typing import Literal, get_args, get_origin

import numpy as np
import pytest
import torch

from cmpae_toolkit._fields import hints
from cmpae_toolkit.config import RISKS, Config, DataSpec, StreamSpec, presets
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.losses import total, training_losses
from cmpae_toolkit.method import Batch, Evidence, Moment
from cmpae_toolkit.methods import get
from cmpae_toolkit.model import CMPAE
from cmpae_toolkit.opinion import Opinion, PointEstimate
from cmpae_toolkit.studies.ablations import TABLE_5, TABLE_6

CATEGORIES = ("Dog", "Cat", "Car")
SPEC = DataSpec(CATEGORIES, 4, {
    "audio": StreamSpec(6, 1, "audio"), "frames": StreamSpec(10, 2, "visual"), "clip": StreamSpec(5, 1, "visual"),
})


def features(videos=5, spec=SPEC, seed=0):
    rng = np.random.default_rng(seed)
    return {n: rng.random((videos, spec.snippets * s.per_snippet, s.width), np.float32) for n, s in spec.streams.items()}


def build(config=None, spec=SPEC, seed=0, **changes):
    torch.manual_seed(seed)
    config = (config or Config(width=16)).changed(**changes)
    return get(config.method)(config, spec).eval()


@pytest.mark.parametrize("cross", [True, False])
@pytest.mark.parametrize("preset", presets)
def test_shapes(preset, cross):
    evidence = build(presets[preset].changed(width=16))(features(), cross_attention=cross)
    assert evidence.snippet.shape == (5, 2, 4, 3) and evidence.video.shape == (5, 2, 3) and evidence.joint.shape == (5, 3)
    assert evidence.features.shape == (5, 2, 4, 16) and evidence.attention.shape == (5, 2, 4, 3)
    torch.testing.assert_close(evidence.attention.sum(2), torch.ones(5, 2, 3))
    for judgement in (evidence.snippet, evidence.video, evidence.joint):
        assert ((judgement.probability > 0) & (judgement.probability < 1)).all()
        if getattr(presets[preset], "evidential", False):
            assert judgement.vacuity.shape == judgement.shape
            assert ((judgement.vacuity > 0) & (judgement.vacuity <= 1)).all()
        else:
            assert judgement.vacuity is None


@pytest.mark.parametrize("preset", ["paper", "released"])
def test_presence_is_uni_modal_and_absence_is_not(preset):
    """The paper's claim: with self-attention only, another visual input leaves audio presence as it is and moves audio absence."""
    model = build(presets[preset].changed(width=16))
    first, other = features(), features(seed=1)
    swapped = {**first, "frames": other["frames"], "clip": other["clip"]}
    with torch.no_grad():
        before, after = (model(x, cross_attention=False).snippet[:, 0] for x in (first, swapped))
    assert torch.equal(before.presence, after.presence)
    assert ((before.absence - after.absence).abs() > 1e-4).float().mean() > 0.9
    with torch.no_grad():  # with cross-attention the visual input reaches presence as well
        assert not torch.allclose(model(first).snippet[:, 0].presence, model(swapped).snippet[:, 0].presence)


def test_equations_by_hand():
    """Eq. 2, 3, the video evidence and Eq. 6 written out from the parameters of a paper model."""
    model = build()
    x = features(2)
    with torch.no_grad():
        evidence = model(x)
        a, v = evidence.features.unbind(1)
        leaky = torch.nn.functional.leaky_relu
        c = model.collector
        for m, own in enumerate((a, v)):
            selector = leaky(c.selectors[("audio", "visual")[m]](a + v), 0.2)
            presence, absence = c.presence(own).exp(), c.absence(own * (selector + 1)).exp()
            torch.testing.assert_close(evidence.snippet.presence[:, m], presence, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(evidence.snippet.absence[:, m], absence, rtol=1e-4, atol=1e-5)
            attention = model.temporal_attention.layer(own).softmax(1)
            torch.testing.assert_close(evidence.video.presence[:, m], (attention * presence).sum(1), rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(evidence.video.absence[:, m], (attention * absence).sum(1), rtol=1e-4, atol=1e-5)
        joint = model.joint_branch.head(leaky(model.joint_branch.layer(a + v), 0.2)).exp()
        attention = evidence.attention.mean(1)
        torch.testing.assert_close(evidence.joint.presence, (attention * joint[..., :3]).sum(1), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(evidence.joint.absence, (attention * joint[..., 3:]).sum(1), rtol=1e-4, atol=1e-5)


def test_frames_mean_before_or_after_the_linear_layer():
    model = build()
    embedding = model.embedding["visual"]
    x = torch.as_tensor(features()["frames"])
    after = embedding.layers["frames"](x.unflatten(1, (4, 2))).mean(2)
    torch.testing.assert_close(embedding.embed("frames", x), after)


@pytest.mark.parametrize(
    "streams",
    [
        {"audio": StreamSpec(7, 1, "audio"), "frames": StreamSpec(9, 49, "visual")},  # AVE: positions as frames, no clip
        {"audio": StreamSpec(7, 1, "audio"), "clap": StreamSpec(3, 1, "audio"), "clip_image": StreamSpec(9, 3, "visual")},
    ],
)
def test_other_streams(streams):
    spec = DataSpec(("A", "B"), 6, streams)
    evidence = build(spec=spec)(features(spec=spec))
    assert evidence.snippet.shape == (5, 2, 6, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.pop("clip"), "needs the feature stream 'clip'"),
        (lambda x: x.update(clip=x["clip"][:, :, :4]), "'clip' has shape"),
        (lambda x: x.update(frames=x["frames"][:, :7]), "'frames' has shape"),
        (lambda x: x.update(frames=x["frames"][:, :6]), "streams disagree"),
        (lambda x: x.update(audio=x["audio"][:3]), "streams disagree"),
    ],
)
def test_wrong_input_is_named(change, message):
    x = features()
    change(x)
    with pytest.raises(InputError, match=message):
        build()(x)


def test_one_modality_is_not_enough():
    with pytest.raises(InputError, match="one of each modality"):
        CMPAE(Config(), DataSpec(CATEGORIES, 4, {"audio": StreamSpec(6, 1, "audio")}))


def test_evidence_can_be_cut_and_joined():
    evidence = build()(features())
    again = Evidence.concatenate([evidence[:2], evidence[2:]])
    assert isinstance(again.video, Opinion) and torch.equal(again.video.log_alpha, evidence.video.log_alpha)
    points = build(presets["han"].changed(width=16))(features())
    assert isinstance(Evidence.concatenate([points, points]).joint, PointEstimate)


# ---- every config field of the model, labels and losses changes an output or a loss -------------------------------------

OTHER_VALUE = {
    "width": 24, "attention_dropout": 0.5, "visual_dropout": 0.0, "self_attention_share": 0.5, "selector_dropout": 0.5,
    "evidence_temperature": 0.5, "evidence_clamp": 0.1, "audio_weight": 2.0, "visual_weight": 2.0, "joint_weight": 2.0,
    "contrastive_weight": 2.0, "mutual_weight": 2.0, "kl_weight": 0.5, "joint_vacuity_floor": 0.99, "audio_smoothing": 0.8,
    "visual_smoothing": 0.8, "noise_warm_up_epochs": 0.1, "kl_epochs": 3, "prior_weight": 0.2, "fisher_weight": 0.5,
}
TRAINING_ONLY = {  # proven in test_train.py, test_decode.py, and "order" in methods/test_ave_methods.py
    "denoise", "audio_noise_threshold", "visual_noise_threshold", "epochs", "estimator_epochs", "batch_size", "learning_rate", "decay",
    "decay_epochs", "select_epoch_by", "seed", "inference_self_share", "gate", "audio_video_threshold", "visual_video_threshold",
    "snippet_threshold", "task", "search_thresholds", "threshold_candidates", "threshold_epoch", "threshold_shrinkage", "schedule",
    "warm_up_epochs", "optimizer", "weight_decay", "clip_gradient", "order",
}
CONTEXT = {"kl_epochs": {"kl_weight": 0.5}, "fisher_weight": {"risk": "fisher"}}  # a field that only matters beside another one


def signature(config):
    """Everything a training step yields: two steps' losses with their gradients' norm, with fixed randomness."""
    model = build(config)
    with torch.no_grad():
        for layer in (model.collector.presence, model.collector.absence):
            if layer is not None:  # equal evidence in both modalities for one category, so that ties occur
                layer.weight[0], layer.bias[0] = 0, 0.3
    torch.manual_seed(1)
    model.train()
    weak = torch.tensor([[1.0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 0], [0, 1, 1]])
    numbers = []
    for batch in (2, 3):
        given = Batch(model.as_tensors(features()), weak, constants={"noise_ratios": torch.full((2, 3), 0.7)})
        named, training_labels = model.losses_and_labels(given, Moment(1, batch, 4))
        loss = total(named, model.config)
        loss.backward()
        gradient = sum(p.grad.abs().sum().item() for p in model.parameters() if p.grad is not None)
        numbers += [loss.item(), gradient, training_labels.sum().item()]
    return numbers


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Config) if f.name not in TRAINING_ONLY])
def test_every_field_matters(name):
    base = Config(width=16).changed(**CONTEXT.get(name, {}))
    value = getattr(base, name)
    if name == "risk":  # a name in the registry, or a place
        others = [risk for risk in RISKS if risk != value]
    elif get_origin(hints(Config)[name]) is Literal:
        others = [choice for choice in get_args(hints(Config)[name]) if choice != value]
    elif isinstance(value, bool):
        others = [not value]
    else:
        others = [OTHER_VALUE[name]]
    before = signature(base)
    for other in others:
        assert signature(base.changed(**{name: other})) != pytest.approx(before, rel=1e-5), f"{name} = {other}"


def test_table_rows_are_different_models():
    rows = {**{f"5: {n}": c for n, c in TABLE_5.items()}, **{f"6: {n}": c for n, c in TABLE_6.items()}}
    seen = {name: signature(Config(width=16).changed(**changes)) for name, changes in rows.items()}
    assert seen["5: EDL + JML"] == seen["6: both uni-modal"]  # one configuration under two names, see the paper's tables
    assert seen["5: EDL + PAEC + JML"] == seen["6: CMPAE"]
    distinct = {tuple(np.round(v, 5)) for v in seen.values()}
    assert len(distinct) == len(seen) - 2


def test_weights_scale_named_losses():
    named = training_losses(build()(features()), torch.rand(5, 2, 3).round(), torch.rand(5, 3).round(), Config())
    assert set(named) == {"audio", "visual", "joint", "contrastive", "mutual"}
    heavier = Config(audio_weight=3.0)
    torch.testing.assert_close(total(named, heavier) - total(named, Config()), 2 * named["audio"])
