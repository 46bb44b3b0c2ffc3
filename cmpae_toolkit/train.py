"""Training in one call: `fit`, and the noise ratios that training labels need; `predict` and `evaluate` stand beside it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from . import labels
from .config import NOISE_ESTIMATOR, Config
from .data.home import home
from .data.videoset import VideoSet
from .errors import InputError
from .inference import evaluate, mix, predict, score
from .loading import choose_device, take
from .loop import Training
from .runs import STATE, Run, TrainingState, check_same_data, read_json, write_json
from .steps import training_step

__all__ = [
    "check_trainable", "choose_device", "estimate_noise_ratios", "evaluate", "fit", "mix", "predict", "score", "take", "training_step",
]


def fit(
    config: Config, train_set: VideoSet, val_set: VideoSet, *, ratios: Tensor | None = None, device: str | None = None,
    folder: str | Path | None = None, resume: bool = False, mixed_precision: bool = False, graphed: bool = False,
    progress: bool = True,
) -> Run:
    """Trains on weak labels; the epoch, and thresholds where the config asks for it, are chosen on `val_set`.

    `ratios`: noise ratios (modality, category), estimated first when the config denoises and none are given. With a
    `folder` the state is saved each epoch, and `resume=True` goes on from it: on CPU to the same weights as without the
    interruption. `mixed_precision`: bfloat16 where it is safe. `graphed`: on a GPU, each step is replayed from a CUDA graph
    (`graphs.StaticStep`). Raises InputError when the sets lack labels or do not fit together.
    """
    check_trainable(train_set, val_set)
    if config.denoise and ratios is None:
        ratios = estimate_noise_ratios(config, train_set, val_set, device=device, progress=progress)
    training = Training(config, train_set, val_set, ratios if config.denoise else None, device, mixed_precision, graphed)
    state_file = None if folder is None else Path(folder) / STATE
    if state_file is not None and resume and state_file.is_file():
        training.restore(TrainingState.load(state_file, training.key))
    with tqdm(range(training.epoch + 1, config.epochs + 1), desc="training", disable=not progress) as epochs:
        for epoch in epochs:
            row = training.run_epoch(epoch)
            epochs.set_postfix(loss=f"{row['loss']:.3f}", val=f"{row['mean']:.1f}")
            if state_file is not None:
                training.state().save(state_file)
    return training.finish()


def estimator_config(config: Config) -> Config:
    """The config of the network that estimates the noise ratios for runs of `config`: JoMoLD's, in their size and schedule."""
    shared = ("width", "batch_size", "learning_rate", "decay", "decay_epochs", "seed", "audio_noise_threshold", "visual_noise_threshold")
    kept = {name: getattr(config, name) for name in shared}
    return Config(**NOISE_ESTIMATOR).changed(epochs=config.estimator_epochs, **kept)


def estimate_noise_ratios(
    config: Config, train_set: VideoSet, val_set: VideoSet, *, device: str | None = None, progress: bool = True, cache: bool = True
) -> Tensor:
    """JoMoLD's noise ratios (modality, category): trains its estimator, then compares p with its mean. float64, in 0..1.

    Kept under `CMPAE_HOME` per data set, seed and estimator, so that every preset of one grid uses the same ratios.
    """
    estimator = estimator_config(config)
    key = repr((estimator, train_set.checksum(), val_set.checksum()))
    file = home() / "noise_ratios" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
    if cache and file.is_file():
        return torch.tensor(read_json(file)["ratios"], dtype=torch.float64)
    if progress:
        tqdm.write(f"estimating the noise ratios of {train_set.title} once (JoMoLD's first stage)")
    run = fit(estimator, train_set, val_set, device=device, progress=progress)
    probability = predict(run.model, train_set).video.probability
    ratios = labels.noise_ratios(probability, torch.as_tensor(train_set.weak_labels), estimator)
    if cache:
        write_json(file, {"data": train_set.title, "categories": train_set.categories, "ratios": ratios.tolist()})
    return ratios


def check_trainable(train_set: VideoSet, val_set: VideoSet) -> None:
    """Raises InputError unless the one has weak labels, the other a reference, and both the same form."""
    if train_set.weak_labels is None or not len(train_set):
        raise InputError(f"{train_set.title} has no weak labels to train on.")
    if val_set.reference is None or not len(val_set):
        raise InputError(f"{val_set.title} has no dense annotations to choose the epoch by.")
    check_same_data(train_set.spec, val_set.spec, val_set.title)
