"""What a trained model says of a data set, and how it scores: `predict`, `evaluate`."""

from __future__ import annotations

import contextlib

import numpy as np
import torch
from tqdm.auto import tqdm

from . import decode, metrics
from .config import Config
from .data.videoset import VideoSet
from .errors import InputError
from .loading import Loader, prediction_batch, read_ahead
from .model import CMPAE, Evidence
from .opinion import PointEstimate
from .runs import Run, check_same_data


def predict(
    model: CMPAE, video_set: VideoSet, *, cross_attention: bool | None = None, mixed_precision: bool = False, progress: bool = False,
    loader: Loader | None = None,
) -> Evidence:
    """The model's evidence for every video, on the CPU.

    By default as the preset infers: with cross-attention, mixed with the probabilities without it where
    `inference_self_share` says so (the mixture is a point estimate). True or False asks for one pass of that kind.
    `loader`: of this set, where it is predicted more than once.
    """
    check_same_data(model.spec, video_set.spec, video_set.title)
    if not len(video_set):
        raise InputError(f"{video_set.title} holds no video to predict.")
    share = model.config.inference_self_share if cross_attention is None else 0.0
    device = next(model.parameters()).device
    size = prediction_batch(model.spec, model.config, device)
    indices = np.array_split(np.arange(len(video_set)), range(size, len(video_set), size))
    was_training = model.training
    model.eval()
    parts = []
    with torch.inference_mode(), autocast(device, mixed_precision):
        batches = read_ahead(video_set, indices, device) if loader is None else loader.batches(indices)
        for features, _ in tqdm(batches, total=len(indices), desc="predicting", disable=not progress):
            embedded = model.embed(features)
            evidence = mix(*model.judge_both(embedded), share) if share else model.judge(embedded, cross_attention is not False)
            parts.append(evidence.apply(lambda x: x.float().cpu()))
    model.train(was_training)
    return Evidence.concatenate(parts)


def mix(cross: Evidence, alone: Evidence, share: float) -> Evidence:
    """Probabilities and vacuities (1 - share) * with cross-attention + share * without, as the released code infers."""
    mixed = {}
    for name in ("snippet", "video", "joint"):
        a, b = getattr(cross, name), getattr(alone, name)
        vacuity = None if a.vacuity is None else (1 - share) * a.vacuity + share * b.vacuity
        mixed[name] = PointEstimate((1 - share) * a.probability + share * b.probability, vacuity)
    return Evidence(**mixed, attention=cross.attention, features=cross.features)


def evaluate(run: Run, video_set: VideoSet) -> dict[str, dict[str, float]]:
    """The ten F-scores of a run in percent, as `metrics.f_scores`; for AVE's task also "accuracy".

    Raises InputError when the set has no reference.
    """
    if video_set.reference is None:
        raise InputError(f"{video_set.title} has no dense annotations to evaluate against: use val or test.")
    return score(run.config, decode.decode(predict(run.model, video_set), run.thresholds), video_set.reference)


def score(config: Config, estimate: np.ndarray, reference: np.ndarray) -> dict:
    """The scores of the config's task: `metrics.f_scores`, and for localization the accuracy over all snippets."""
    scores: dict = metrics.f_scores(estimate, reference)
    if config.task == "localization":
        scores["accuracy"] = metrics.ave_accuracy(metrics.answers(estimate), metrics.answers(reference))
    return scores


def autocast(device: torch.device, enabled: bool, cache: bool = True) -> contextlib.AbstractContextManager:
    """bfloat16 where it is safe, when asked for; without its cache of cast weights where a graph is recorded."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled, cache_enabled=cache)
