"""Training: learning, determinism, resume, epoch and threshold choice, noise ratios, checkpoints, and bad input."""

import dataclasses
import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from cmpae_toolkit import batches, decode, inference, metrics, model, train
from cmpae_toolkit.checkpoint import CONFIG, MODEL, STATE, load_run, provenance
from cmpae_toolkit.config import Config, config_for, presets
from cmpae_toolkit.data import load
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.inference import evaluate, predict
from cmpae_toolkit.method import Supervision
from cmpae_toolkit.methods import get
from cmpae_toolkit.methods.jomold import estimate_noise_ratios
from cmpae_toolkit.model import CMPAE
from cmpae_toolkit.train import fit

NO_NOISE = Supervision(constants={"noise_ratios": torch.zeros(2, 25)})
QUICK = dict(width=16, batch_size=32, epochs=3, estimator_epochs=1, decay_epochs=2)


@pytest.fixture(scope="module")
def config():
    return Config(**QUICK)


@pytest.fixture(scope="module")
def run(config, tiny):
    return fit(config, tiny[0], tiny[1], progress=False)


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.model.state_dict().values(), b.model.state_dict().values(), strict=True))


def test_learns_beyond_predicting_nothing(tiny):
    config = config_for("tiny").changed(epochs=12, decay_epochs=12, learning_rate=3e-3)
    run = fit(config, tiny[0], tiny[1], progress=False)
    history = run.history
    assert list(history["epoch"]) == list(range(1, 13))
    assert history["loss"].iloc[-1] < 0.8 * history["loss"].iloc[0]  # the contrastive term stays above 0
    nothing = metrics.floors(tiny[2].weak_labels, tiny[2].reference)["predict nothing"]
    assert evaluate(run, tiny[2])["segment"]["type"] > nothing["segment"]["type"] + 5


def test_same_seed_same_weights_and_the_callers_generator_is_left_alone(config, tiny, run):
    torch.manual_seed(123)
    expected = torch.rand(1)
    torch.manual_seed(123)
    again = fit(config, tiny[0], tiny[1], progress=False)
    assert torch.equal(torch.rand(1), expected)
    assert same_weights(run, again)
    other = fit(config.changed(seed=1), tiny[0], tiny[1], progress=False)
    assert not same_weights(run, other)


def test_resume_after_a_kill_is_exact(config, tiny, run, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    step, epochs = train.Training.run_epoch, []

    def killed_in_epoch_3(self, epoch):
        if epoch == 3:
            raise Killed
        epochs.append(epoch)
        return step(self, epoch)

    monkeypatch.setattr(train.Training, "run_epoch", killed_in_epoch_3)
    with pytest.raises(Killed):
        fit(config, tiny[0], tiny[1], folder=tmp_path, progress=False)
    assert (tmp_path / STATE).is_file() and not (tmp_path / MODEL).exists()
    monkeypatch.setattr(train.Training, "run_epoch", lambda self, epoch: (epochs.append(epoch), step(self, epoch))[1])
    resumed = fit(config, tiny[0], tiny[1], folder=tmp_path, resume=True, progress=False)
    assert epochs == [1, 2, 3]
    assert same_weights(run, resumed)
    assert resumed.best_epoch == run.best_epoch
    columns = [c for c in run.history if c != "seconds"]
    np.testing.assert_array_equal(resumed.history[columns], run.history[columns])


def test_resume_of_another_run_is_refused(config, tiny, tmp_path):
    fit(config.changed(epochs=1), tiny[0], tiny[1], folder=tmp_path, progress=False)
    with pytest.raises(InputError, match=r"another run \(config.learning_rate"):
        fit(config.changed(epochs=1, learning_rate=1e-3), tiny[0], tiny[1], folder=tmp_path, resume=True, progress=False)
    (tmp_path / STATE).write_bytes((tmp_path / STATE).read_bytes()[:1000])
    with pytest.raises(InputError, match="damaged or cut short"):
        fit(config.changed(epochs=1), tiny[0], tiny[1], folder=tmp_path, resume=True, progress=False)


def test_best_epoch_is_chosen_on_val_later_wins(config, tiny):
    run = fit(config.changed(epochs=4, select_epoch_by="event.audio"), tiny[0], tiny[1], progress=False)
    scores = run.history["event.audio"].to_numpy()
    assert run.best_epoch == len(scores) - np.argmax(scores[::-1])
    reproduced = metrics.f_scores(decode.decode(predict(run.model, tiny[1]), run.thresholds), tiny[1].reference)
    assert reproduced["event"]["audio"] == pytest.approx(scores.max())


def test_thresholds_come_from_their_epochs_weights(tiny):
    """The released schedule: 40 % of 5 epochs is epoch 2; stopping there chooses the same thresholds."""
    config = presets["released"].changed(**QUICK)
    five = fit(config.changed(epochs=5, decay_epochs=9), tiny[0], tiny[1], progress=False)
    two = fit(config.changed(epochs=2, decay_epochs=9, threshold_epoch=1.0), tiny[0], tiny[1], progress=False)
    np.testing.assert_array_equal(five.thresholds.video, two.thresholds.video)
    assert (five.thresholds.video[1] != 0.45).any() and (five.thresholds.video[0] == 0.45).all()


def test_thresholds_of_the_best_epoch(config, tiny):
    """Without a `threshold_epoch` they are chosen with the weights that are kept."""
    searched = config.changed(epochs=3, search_thresholds=("visual",), threshold_epoch=None)
    run = fit(searched, tiny[0], tiny[1], progress=False)
    evidence, start = predict(run.model, tiny[1]), run.model.thresholds()
    again = decode.choose_thresholds(searched, evidence, tiny[1].reference, start)
    np.testing.assert_array_equal(run.thresholds.video, again.video)
    assert (run.thresholds.video != start.video).any()


def test_learning_rate_decays_in_steps(run):
    assert run.history["learning_rate"].tolist() == pytest.approx([5e-4, 5e-4, 5e-4 * 0.25])


@pytest.mark.parametrize("name", ["tiny", "simulated-tiny-ave", "simulated-tiny-avep"])
@pytest.mark.parametrize("preset", presets)
def test_every_preset_trains_and_scores_on_every_kind_of_data(preset, name):
    train_set, val_set, test_set = (load(name, split) for split in ("train", "val", "test"))
    train_set = train_set.subset(range(64))
    run = fit(presets[preset].adopting(**QUICK | dict(epochs=1)), train_set, val_set, progress=False)
    scores = evaluate(run, test_set)
    assert all(0 <= scores[level][name] <= 100 for level in metrics.LEVELS for name in metrics.SCORES)


def test_localization_is_scored_by_accuracy(tiny):
    run = fit(presets["ave"].changed(**QUICK), tiny[0], tiny[1], progress=False)
    scores = run.history["accuracy"].to_numpy()
    assert run.best_epoch == len(scores) - np.argmax(scores[::-1])
    assert evaluate(run, tiny[1])["accuracy"] == pytest.approx(scores.max())
    background = 100 * (metrics.answers(tiny[1].reference) == len(tiny[1].categories)).mean()
    assert scores.max() >= background - 1e-9  # a threshold of 1 answers background everywhere
    assert 0 < run.thresholds.both <= 1


def test_training_alternates_the_teacher(config, tiny, monkeypatch):
    seen = []
    genuine = model.training_losses
    monkeypatch.setattr(model, "training_losses", lambda *given: (seen.append(given[4]), genuine(*given))[1])
    fit(config.changed(epochs=1), tiny[0], tiny[1], supervision=NO_NOISE, progress=False)
    assert seen == ["joint", "modality", "joint"]  # 96 videos in batches of 32


def test_noise_ratios_are_estimated_once(config, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("CMPAE_HOME", str(tmp_path))
    quiet = partial(fit, progress=False)
    first = estimate_noise_ratios(config, tiny[0], tiny[1], quiet)
    assert first.shape == (2, 25) and ((first >= 0) & (first <= 1)).all() and first.max() > 0
    (file,) = (tmp_path / "noise_ratios").iterdir()
    again = partial(pytest.fail, "trained again")
    assert torch.equal(estimate_noise_ratios(config.changed(epochs=9), tiny[0], tiny[1], again), first)
    file.write_text(file.read_text()[:40])
    with pytest.raises(InputError, match="damaged or cut short"):
        estimate_noise_ratios(config, tiny[0], tiny[1], again)


def test_denoising_changes_training(config, tiny, run):
    without = fit(config.changed(denoise=False), tiny[0], tiny[1], progress=False)
    assert not same_weights(run, without)


def test_prediction_mixes_as_the_preset_says(tiny):
    torch.manual_seed(0)
    model = CMPAE(presets["released"].changed(width=16), tiny[2].spec)
    cross, alone = (predict(model, tiny[2], cross_attention=c) for c in (True, False))
    mixed = predict(model, tiny[2])
    torch.testing.assert_close(mixed.video.probability, 0.7 * cross.video.probability + 0.3 * alone.video.probability)
    torch.testing.assert_close(mixed.snippet.vacuity, 0.7 * cross.snippet.vacuity + 0.3 * alone.snippet.vacuity)
    plain = CMPAE(Config(width=16), tiny[2].spec)
    assert torch.equal(predict(plain, tiny[2]).video.log_alpha, predict(plain, tiny[2], cross_attention=True).video.log_alpha)


def test_prediction_batches_do_not_matter(tiny, run, monkeypatch):
    whole = predict(run.model, tiny[2])
    monkeypatch.setattr(inference, "prediction_batch", lambda *_: 7)
    torch.testing.assert_close(predict(run.model, tiny[2]).snippet.probability, whole.snippet.probability)


def test_mixed_precision_stays_close(tiny, run):
    exact, fast = (predict(run.model, tiny[2], mixed_precision=m).snippet.probability for m in (False, True))
    assert fast.dtype == torch.float32 and not torch.equal(exact, fast)
    torch.testing.assert_close(exact, fast, atol=0.05, rtol=0)


@pytest.mark.parametrize("there", [True, False])
def test_auto_is_bfloat16_where_the_processor_has_it(there, tiny, tmp_path, monkeypatch):
    """What was really used is kept with the run and in its provenance."""
    monkeypatch.setattr(batches, "has_bfloat16", lambda device: there)
    config = presets["paper"].changed(width=8, epochs=1, denoise=False)
    auto, asked = (fit(config, *tiny[:2], mixed_precision=m, device="cpu", progress=False) for m in ("auto", there))
    assert auto.precision == asked.precision == ("bfloat16" if there else "float32") and same_weights(auto, asked)
    assert load_run(auto.save(tmp_path)).precision == auto.precision == provenance(auto, tiny[2], "cpu")["precision"]


def test_precisions_that_there_are_not(tiny):
    with pytest.raises(InputError, match="True, False or 'auto'"):
        fit(presets["paper"].changed(width=8, denoise=False), *tiny[:2], mixed_precision="fast", progress=False)


@pytest.mark.parametrize("flags, there", [({"sse4", "avx512_bf16"}, True), ({"bf16", "neon"}, True), ({"avx512_f"}, False)])
def test_bfloat16_is_looked_up_in_the_processors_flags(flags, there, monkeypatch):
    monkeypatch.setattr(batches, "_cpu_flags", lambda: flags)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert batches.has_bfloat16.__wrapped__(torch.device("cpu")) is there


def test_checkpoint_round_trip(run, tiny, tmp_path):
    run.save(tmp_path / "a")
    again = load_run(tmp_path / "a")
    assert again.config == run.config and again.spec == run.spec and same_weights(run, again)
    assert evaluate(again, tiny[2]) == evaluate(run, tiny[2])
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["config.json", "history.csv", "model.safetensors"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / CONFIG).unlink(), "config.json is missing"),
        (lambda folder: (folder / CONFIG).write_text("{"), "not readable JSON"),
        (lambda folder: (folder / MODEL).unlink(), "model.safetensors is missing"),
        (lambda folder: (folder / MODEL).write_bytes((folder / MODEL).read_bytes()[:5000]), "no whole safetensors file"),
        (lambda folder: edit(folder, lambda d: d["config"].update(width=8)), "of another configuration"),
        (lambda folder: edit(folder, lambda d: d["config"].update(depth=8)), "'depth' is not a config field"),
        (lambda folder: edit(folder, lambda d: d.pop("spec")), "'spec' is missing or broken"),
        (lambda folder: edit(folder, lambda d: d["spec"].pop("streams")), "data description of a checkpoint is incomplete"),
        (lambda folder: edit(folder, lambda d: d["thresholds"]["video"]["audio"].pop("Dog")), "Dog differ"),
    ],
)
def test_broken_checkpoints_are_named(run, tmp_path, spoil, message):
    run.save(tmp_path)
    spoil(tmp_path)
    with pytest.raises(InputError, match=message):
        load_run(tmp_path)


def edit(folder, change):
    description = json.loads((folder / CONFIG).read_text())
    change(description)
    (folder / CONFIG).write_text(json.dumps(description))


def test_data_that_do_not_fit_are_named(run, config, tiny):
    train_set, val_set, test_set = tiny
    renamed = dataclasses.replace(test_set, categories=("Bus", *test_set.categories[1:]))
    with pytest.raises(InputError, match="Bus"):
        evaluate(run, renamed)
    narrow = dataclasses.replace(test_set, features={**test_set.features, "audio": test_set.features["audio"][:, :, :3]})
    with pytest.raises(InputError, match="needs the stream 'audio'"):
        evaluate(run, narrow)
    with pytest.raises(InputError, match="no labels to evaluate"):
        evaluate(run, dataclasses.replace(test_set, reference=None, weak_labels=None))
    with pytest.raises(InputError, match="no labels to choose"):
        fit(config, train_set, dataclasses.replace(val_set, reference=None, weak_labels=None), progress=False)
    with pytest.raises(InputError, match="no weak labels"):
        fit(config, dataclasses.replace(train_set, weak_labels=None), val_set, progress=False)
    with pytest.raises(InputError, match="holds no video"):
        predict(run.model, test_set.subset([]))


def test_a_diverging_run_says_so(config, tiny):
    huge = dataclasses.replace(tiny[0], features={n: x.astype(np.float32) * 1e30 for n, x in tiny[0].features.items()})
    with pytest.raises(InputError, match=r"the loss is .* in epoch 1"):
        fit(config, huge, tiny[1], supervision=NO_NOISE, progress=False)


def test_unknown_device():
    with pytest.raises(InputError, match="'warp' cannot be used"):
        batches.choose_device("warp")


@pytest.mark.requires_cuda
def test_gpu_training_agrees_with_cpu(config, tiny):
    runs = [fit(config.changed(attention_dropout=0, visual_dropout=0), tiny[0], tiny[1], device=d, progress=False) for d in ("cpu", "cuda")]
    np.testing.assert_allclose(runs[0].history["loss"], runs[1].history["loss"], rtol=1e-3)


def test_a_run_without_history_is_saved_and_read(tiny, run, tmp_path):
    untrained = dataclasses.replace(run, history=pd.DataFrame())
    assert load_run(untrained.save(tmp_path)).history.empty


def test_what_does_not_fit_together_is_refused_before_training(tiny, monkeypatch):
    monkeypatch.setattr("cmpae_toolkit.train.Training", None)
    config = presets["paper"].changed(width=8, epochs=1)

    @dataclasses.dataclass(frozen=True)
    class Forgetful(Config):
        extra: int = 3

    for odd, said in (
        (Forgetful(), "Forgetful is no config of the method 'cmpae'"),
        (config.changed(select_epoch_by="event.audoi"), "no score 'event.audoi'"),
        (config.changed(select_epoch_by="accuracy"), "no score 'accuracy' for parsing"),
        (get("avel").Config(task="parsing"), "avel is a method for localization"),
        (get("leap").Config(task="localization"), "leap is a method for parsing"),
    ):
        with pytest.raises(InputError, match=said):
            fit(odd, *tiny[:2], progress=False)
    with pytest.raises(InputError, match="'threshold_candidates' is empty"):
        config.changed(search_thresholds=("audio",), threshold_candidates=())


def test_the_last_epoch_stands_where_none_is_chosen(tiny):
    run = fit(presets["paper"].changed(**QUICK, select_epoch_by="last"), *tiny[:2], supervision=NO_NOISE, progress=False)
    assert run.best_epoch == QUICK["epochs"]
