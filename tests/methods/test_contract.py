"""What every method keeps to: shapes, gradients, losses, checkpoints, blindness to test, any length, missing modalities."""

import dataclasses
from functools import partial

import numpy as np
import pytest
import torch

from cmpae_toolkit.batches import take
from cmpae_toolkit.checkpoint import load_run
from cmpae_toolkit.config import DataSpec, JoMoLDConfig, StreamSpec, presets
from cmpae_toolkit.data.videoset import VideoSet
from cmpae_toolkit.decode import Thresholds
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.inference import predict
from cmpae_toolkit.method import Batch, Moment, Supervision
from cmpae_toolkit.methods import METHODS, dhhn, get, valor
from cmpae_toolkit.train import Training, fit

CATEGORIES = ("Dog", "Cat", "Car")
STREAMS = {"audio": StreamSpec(6, 1, "audio"), "frames": StreamSpec(10, 2, "visual"), "clip": StreamSpec(5, 1, "visual")}
# every method in its own defaults, and CMPAE in the presets that take other paths through it
CONFIGS = {name: get(name).Config() for name in METHODS} | {n: presets[n] for n in ("released", "jomold")}
CONFIGS |= {"opinions pooled": presets["paper"].changed(pooling="opinions")}
CONFIGS |= {"CMPAE's backbone": presets["paper"].changed(evidential=False, absence_from="uni_modal", joint="mmil", mutual_weight=0.0)}
CONFIGS |= {"MM-Pyramid, tracks exchanged, MA's labels": get("mm_pyramid").Config(swap_streams=True, label_source="exchange")}
CONFIGS |= {"VALOR+": get("valor").Config(**valor.PLUS)}
CONFIGS |= {"CVCMS with its contrast": get("cvcms").Config(contrastive_after=0)}
CONFIGS |= {"DHHN on weak labels": get("dhhn").Config(**dhhn.WEAK)}
CONFIGS |= {"LEAP on HAN's layer": get("leap").Config(encoder="hybrid", similarity="product")}
CONFIGS |= {"CoLeaF's later epochs": get("coleaf").Config(early_epochs=0)}
QUICK = dict(width=8, batch_size=8, epochs=2, estimator_epochs=1, attention_heads=2, class_width=4)
DROPOUTS = ("attention_dropout", "visual_dropout", "selector_dropout", "interaction_dropout", "class_dropout", "reference_dropout")
NO_DROPOUT = dict.fromkeys((*DROPOUTS, "dropout"), 0.0)
CPU = torch.device("cpu")

every_method = pytest.mark.parametrize("name", CONFIGS)


def videos(count=12, snippets=7, seed=0, split="train", **fields):
    rng = np.random.default_rng(seed)
    features = {n: rng.standard_normal((count, snippets * s.per_snippet, s.width), np.float32) for n, s in STREAMS.items()}
    reference = rng.random((count, 2, snippets, 3)) < 0.3
    weak = reference.any((1, 2)).astype(np.float32)
    ids = tuple(f"{split}{i:03d}" for i in range(count))
    return VideoSet("made", split, CATEGORIES, ids, features, {n: s.modality for n, s in STREAMS.items()}, weak, reference, **fields)


def build(name, snippets=7, seed=0, **changes):
    config = CONFIGS[name].adopting(**QUICK, **changes)
    torch.manual_seed(seed)
    return get(config.method)(config, DataSpec(CATEGORIES, snippets, STREAMS))


def supervision(config, video_set):
    """What the methods' own procedures would make: noise ratios, or labels of each modality from the reference."""
    if isinstance(config, JoMoLDConfig):
        return Supervision(constants={"noise_ratios": torch.full((2, 3), 0.5)})
    made, reference = {}, torch.from_numpy(video_set.reference).float()
    if hasattr(config, "label_source"):
        made["modality_label"] = reference.amax(2)
    if hasattr(config, "snippet_labels"):
        made["snippet_label"] = reference
    return Supervision(made, {"events": torch.tensor([0.9, 1.1])} if config.method == "uwav" else {})


def batch_of(video_set, model, index=None):
    index = np.arange(len(video_set)) if index is None else index
    return take(video_set, index, CPU, supervision(model.config, video_set))


def losses_of(model, batch, moment):
    """A batch's losses as numbers; what a method draws for them is drawn alike each time."""
    torch.manual_seed(4)
    return {n: v.item() for n, v in model.train().losses(batch, moment).items()}


def judgements(evidence):
    return evidence.snippet, evidence.video, evidence.joint


@every_method
@pytest.mark.parametrize("snippets", [7, 13])
def test_shapes_at_any_length(name, snippets):
    model, video_set = build(name, snippets).eval(), videos(snippets=snippets)
    with torch.no_grad():
        evidence = model.infer(batch_of(video_set, model).features)
    shapes = [(12, 2, snippets, 3), (12, 2, 3), (12, 3)]
    assert [tuple(j.probability.shape) for j in judgements(evidence)] == shapes
    assert all(((j.probability >= 0) & (j.probability <= 1)).all() for j in judgements(evidence))
    rolls = model.decode(evidence, model.thresholds())
    assert rolls.shape == shapes[0] and rolls.dtype == bool


@every_method
def test_gradients_reach_every_parameter_and_losses_are_finite(name):
    model, reached = build(name).train(), set()
    for moment in (Moment(2, 0, 4), Moment(2, 1, 4)):
        named = model.losses(batch_of(videos(), model), moment)
        assert named and all(v.ndim == 0 and v.isfinite() for v in named.values())
        model.zero_grad()
        sum(named.values()).backward()
        reached |= {n for n, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert reached == {n for n, _ in model.named_parameters()}


@every_method
def test_checkpoint_round_trip(name, tmp_path):
    train_set, val_set = videos(), videos(seed=1, split="val")
    config = CONFIGS[name].adopting(**QUICK)
    run = fit(config, train_set, val_set, supervision=supervision(config, train_set), progress=False)
    again = load_run(run.save(tmp_path))
    assert type(again.model) is type(run.model) is get(config.method)
    assert again.config == run.config and again.thresholds.to_dict() == run.thresholds.to_dict()
    first, second = (predict(r.model, val_set) for r in (run, again))
    assert all(torch.equal(a.probability, b.probability) for a, b in zip(judgements(first), judgements(second), strict=True))


def write_snippet_labels(video_set, folder):
    """A file for each training video and modality, as teachers of other methods leave them."""
    for m, modality in enumerate(("audio", "visual")):
        (folder / modality).mkdir(parents=True)
        for name, roll in zip(video_set.ids, video_set.reference[:, m], strict=True):
            np.save(folder / modality / f"{name}.npy", roll.astype(np.float32))
    return folder


@every_method
def test_prepare_is_deterministic_and_blind_to_test(name, tmp_path, monkeypatch):
    """It is given train and val alone; twice, from two empty caches, it makes the same; and the caller's generator stays as it was."""
    train_set, val_set = videos(), videos(seed=1, split="val")
    config = CONFIGS[name].adopting(**QUICK, snippet_labels=str(write_snippet_labels(train_set, tmp_path / "labels")))
    made = []
    for place in ("a", "b"):
        monkeypatch.setenv("CMPAE_HOME", str(tmp_path / place))
        state = torch.random.get_rng_state()
        made.append(get(config.method).prepare(config, train_set, val_set, partial(fit, progress=False)))
        assert torch.equal(torch.random.get_rng_state(), state)
    for part in ("targets", "constants"):
        first, second = (getattr(m, part) for m in made)
        assert first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def padded(video_set, snippets):
    """The same videos with noise behind their ends, and their true lengths."""
    rng, count = np.random.default_rng(9), len(video_set)
    features = {}
    for n, x in video_set.features.items():
        more = (snippets - video_set.snippets) * STREAMS[n].per_snippet
        features[n] = np.concatenate([x, rng.standard_normal((count, more, x.shape[2]), np.float32) * 50], axis=1)
    reference = np.concatenate([video_set.reference, np.zeros((count, 2, snippets - video_set.snippets, 3), bool)], axis=2)
    lengths = np.full(count, video_set.snippets)
    return dataclasses.replace(video_set, features=features, reference=reference, lengths=lengths)


@every_method
def test_padding_changes_nothing(name):
    """Evidence, losses and rolls of videos are those without the padding, whatever stands in it."""
    short = videos()
    long = padded(short, 11)
    model = build(name, **NO_DROPOUT)
    plain, filled = (batch_of(v, model) for v in (short, long))
    for moment in (Moment(2, 0, 4), Moment(2, 1, 4)):
        losses = [losses_of(model, b, moment) for b in (plain, filled)]
        assert losses[1] == pytest.approx(losses[0], rel=1e-4, abs=1e-6)
    model.eval()
    with torch.no_grad():
        one, other = (model.infer(b.features, b.valid) for b in (plain, filled))
    torch.testing.assert_close(other.snippet.probability[:, :, :7], one.snippet.probability, rtol=1e-4, atol=1e-5)
    for a, b in ((one.video, other.video), (one.joint, other.joint)):
        torch.testing.assert_close(b.probability, a.probability, rtol=1e-4, atol=1e-5)
    rolls = [model.decode(e, Thresholds.of(model.config, CATEGORIES)) for e in (one, other)]
    assert np.array_equal(rolls[1][:, :, :7], rolls[0]) and not rolls[1][:, :, 7:].any()


@every_method
def test_a_missing_modality_is_left_out(name):
    """What stands in its place changes nothing, its track says nothing, and every loss stays finite."""
    video_set = videos()
    present = np.ones((12, 2), bool)
    present[::3, 0] = False
    present[1::3, 1] = False
    other = {n: np.where(present[:, 0 if s.modality == "audio" else 1, None, None], x, 7.0).astype(np.float32)
             for (n, s), x in zip(STREAMS.items(), video_set.features.values(), strict=True)}
    sets = [dataclasses.replace(video_set, features=f, present=present) for f in (video_set.features, other)]
    model = build(name, **NO_DROPOUT)
    batches = [batch_of(v, model) for v in sets]
    for moment in (Moment(2, 0, 4), Moment(2, 1, 4)):
        losses = [losses_of(model, b, moment) for b in batches]
        assert losses[1] == pytest.approx(losses[0], rel=1e-4, abs=1e-6) and np.isfinite(list(losses[0].values())).all()
    model.eval()
    with torch.no_grad():
        one, two = (model.infer(b.features, b.valid) for b in batches)
    torch.testing.assert_close(two.joint.probability, one.joint.probability, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(two.video.probability[present], one.video.probability[present], rtol=1e-4, atol=1e-5)
    assert not model.decode(one, Thresholds.of(model.config, CATEGORIES))[~present].any()


@every_method
def test_videos_of_several_lengths_are_those_alone(name):
    """A film of 11 snippets beside one of 7: each is judged as in a set of its own kind."""
    short, long = videos(4), videos(4, snippets=11, seed=3)
    filled = padded(short, 11)
    together = dataclasses.replace(
        long, ids=(*filled.ids, *(f"x{i}" for i in range(4))), filenames=(),
        weak_labels=np.concatenate([filled.weak_labels, long.weak_labels]),
        features={n: np.concatenate([filled.features[n], long.features[n]]) for n in STREAMS},
        reference=np.concatenate([filled.reference, long.reference]), lengths=np.array([7] * 4 + [11] * 4),
    )
    model = build(name).eval()
    both, alone = predict(model, together), predict(model, long)
    torch.testing.assert_close(both.video.probability[4:], alone.video.probability, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(both.video.probability[:4], predict(model, short).video.probability, rtol=1e-4, atol=1e-5)


@every_method
def test_resume_is_exact(name, tmp_path):
    train_set, val_set = videos(), videos(seed=1, split="val")
    config = CONFIGS[name].adopting(**QUICK).changed(epochs=3)
    given = dict(supervision=supervision(config, train_set), progress=False)
    whole = fit(config, train_set, val_set, **given)
    training = Training(config, train_set, val_set, given["supervision"], "cpu")
    training.run_epoch(1)
    training.state().save(tmp_path / "training_state.safetensors")
    resumed = fit(config, train_set, val_set, **given, folder=tmp_path, resume=True)
    assert all(torch.equal(a, b) for a, b in zip(whole.model.state_dict().values(), resumed.model.state_dict().values(), strict=True))
    assert whole.thresholds.to_dict() == resumed.thresholds.to_dict()


def test_a_state_of_another_precision_or_val_set_is_refused(tmp_path):
    train_set, val_set, config = videos(), videos(seed=1, split="val"), CONFIGS["han"].adopting(**QUICK)
    fit(config, train_set, val_set, folder=tmp_path, progress=False)
    with pytest.raises(InputError, match="val differ"):
        fit(config, train_set, videos(seed=2, split="val"), folder=tmp_path, resume=True, progress=False)
    with pytest.raises(InputError, match="precision differ"):
        fit(config, train_set, val_set, folder=tmp_path, resume=True, mixed_precision=True, progress=False)


def test_unknown_methods_are_named():
    with pytest.raises(InputError, match=r"no method 'best' \(No module named 'best'\): use one of cmpae"):
        get("best")
    assert get("cmpae_toolkit.methods.han:HAN").__name__ == "HAN"


def test_batches_hold_their_rows_of_the_targets():
    video_set = videos()
    made = Supervision({"number": torch.arange(12)}, {"one": torch.ones(1)})
    batch = take(video_set, np.array([3, 1]), CPU, made)
    assert batch.targets["number"].tolist() == [3, 1] and batch.constants["one"] == 1 and len(batch) == 2
    assert isinstance(batch, Batch) and batch.valid is None
