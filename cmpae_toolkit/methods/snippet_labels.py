"""Labels of snippets, which VALOR, LEAP and UWAV learn from: read from files, made of a teacher's scores, or of a HAN trained first.

VALOR's authors published theirs, made with CLIP and CLAP; `cmpae labels` makes such files of a data set's own CLIP and CLAP streams.
Where there is neither, `snippet_labels="han"` trains a HAN on the weak labels and takes its answers, which is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._files import save_array, write_json
from ..config import MODALITIES, HANConfig
from ..data.videoset import VideoSet
from ..errors import InputError
from ..inference import predict
from ..method import Fit, Supervision
from .han import HAN

LABEL = "snippet_label"  # (video, modality, snippet, category) in 0..1: the name of the target in `Supervision`
EVENTS = "events"  # (modality), how many events a training snippet has in the mean: the name of a constant there
BY_HAN = "han"


class OnSnippetLabels(HAN):
    """A method on HAN's heads that learns from labels of snippets, wherever its config's `snippet_labels` says they come from."""

    @classmethod
    def stage(cls, config: HANConfig) -> HANConfig | None:
        """The HAN that is trained first, as published but in this method's width and batches; None where labels are read."""
        if config.snippet_labels != BY_HAN:
            return None
        return HANConfig(width=config.width, batch_size=config.batch_size, seed=config.seed)

    @classmethod
    def prepare(cls, config: HANConfig, train_set: VideoSet, val_set: VideoSet, fit: Fit) -> Supervision:
        stage = cls.stage(config)
        if stage is None:
            return supervision(read_snippet_labels(config.snippet_labels, train_set), train_set)
        run = fit(stage, train_set, val_set)
        scores = predict(run.model, train_set).snippet.probability
        made = labels_of_scores(scores.numpy(), run.thresholds.snippet, train_set.weak_labels)
        return supervision(torch.from_numpy(made).float(), train_set)

    @classmethod
    def check(cls, supervision: Supervision) -> None:
        """Raises InputError where there are no labels of snippets, or any outside 0..1."""
        made = supervision.targets.get(LABEL)
        if made is None or not bool(((made >= 0) & (made <= 1)).all()):
            raise InputError(f"this method learns from labels of snippets: the supervision needs {LABEL!r} with numbers in 0..1.")


def supervision(labels: Tensor, train_set: VideoSet) -> Supervision:
    """Labels of a training set's snippets, 0 where a snippet does not exist, and how many events a snippet has in the mean."""
    exists = torch.ones(labels.shape[:3]) if train_set.valid is None else torch.as_tensor(train_set.valid)
    labels = labels * exists.unsqueeze(-1)
    return Supervision({LABEL: labels}, {EVENTS: (labels > 0.5).sum((0, 2, 3)) / exists.sum((0, 2)).clamp_min(1)})


def labels_of_scores(scores: np.ndarray, thresholds: np.ndarray, weak_labels: np.ndarray) -> np.ndarray:
    """A teacher's scores (video, modality, snippet, category) as labels, bool: what reaches its threshold, within the weak label.

    `thresholds` (modality, category), `weak_labels` (video, category).

    >>> scores = np.array([0.2, 0.7, 0.9]).reshape(1, 1, 3, 1).repeat(2, axis=1)
    >>> labels_of_scores(scores, np.array([[0.7], [0.8]]), np.ones((1, 1)))[0, :, :, 0].astype(int).tolist()
    [[0, 1, 1], [0, 0, 1]]
    """
    return (scores >= thresholds[:, None]) & (np.asarray(weak_labels) > 0.5)[:, None, None]


def choose_thresholds(scores: np.ndarray, reference: np.ndarray, weak_labels: np.ndarray) -> np.ndarray:
    """For each modality and category the threshold (modality, category) with the best F over a validation set's snippets.

    Only videos with the category's weak label count, since elsewhere no label is ever made, and finite scores. Infinity, so that
    nothing is labelled, where the category never occurs in the modality; the middle of the others' where no video has the label.

    >>> scores = np.array([0.2, 0.7, 0.9]).reshape(1, 1, 3, 1).repeat(2, axis=1)
    >>> reference = np.array([[0, 1, 1], [0, 0, 1]], bool).reshape(1, 2, 3, 1)
    >>> choose_thresholds(scores, reference, np.ones((1, 1))).round(2).tolist()
    [[0.45], [0.8]]
    """
    weak = np.asarray(weak_labels) > 0.5
    chosen = np.full((scores.shape[1], scores.shape[3]), np.nan)
    for m, c in np.ndindex(chosen.shape):
        score, occurs = (x[weak[:, c], m, :, c].ravel() for x in (scores, reference))
        exists = np.isfinite(score)
        if exists.any():
            chosen[m, c] = best_threshold(score[exists], occurs[exists])[0] if occurs[exists].any() else np.inf
    for row in chosen:
        usable = row[np.isfinite(row)]
        row[np.isnan(row)] = np.median(usable) if usable.size else np.inf
    return chosen


def best_threshold(score: np.ndarray, occurs: np.ndarray) -> tuple[float, float]:
    """The threshold with the best F of `score > threshold`, and that F in 0..1, as UWAV's authors choose theirs.

    Midpoints between neighbouring scores are tried, and what lies below them all; the lowest of the best is taken, so none is a score.

    >>> best_threshold(np.array([1.0, 2.0, 4.0]), np.array([False, False, True]))
    (3.0, 1.0)
    """
    order = np.argsort(score)
    score, hits = score[order], occurs[order]
    values, first = np.unique(score, return_index=True)  # each value, and the first of the sorted scores that have it
    candidates = np.append(values[0] - 1, (values[1:] + values[:-1]) / 2)
    found = hits.sum() - np.append(0, hits.cumsum())[first]
    f = 2 * found / (len(score) - first + hits.sum())
    return float(candidates[f.argmax()]), float(f.max())


def make(
    teacher: Callable[[VideoSet], np.ndarray], train_set: VideoSet, val_set: VideoSet, folder: str | Path
) -> dict[str, Any]:
    """Writes a teacher's labels of the training set to `folder`, its thresholds chosen on val, and tells how good they are there.

    `teacher` gives scores (video, modality, snippet, category). Returns, and writes as `labels.json`: `thresholds`, modality -> category
    -> value, None where nothing is labelled; `f_on_val`, modality -> F in percent of all of val's snippets under its weak labels,
    flattering, since the thresholds come from there. Raises InputError where val has no labels of snippets.
    """
    if val_set.reference is None:
        raise InputError(f"{val_set.title} has no labels of snippets, from which a teacher's thresholds are chosen.")
    scores = teacher(val_set)
    if val_set.valid is not None:
        scores = np.where(np.asarray(val_set.valid)[..., None], scores, -np.inf)
    thresholds = choose_thresholds(scores, val_set.reference, val_set.weak_labels)
    of_val = labels_of_scores(scores, thresholds, val_set.weak_labels)
    common, either = (of_val & val_set.reference).sum((0, 2, 3)), of_val.sum((0, 2, 3)) + val_set.reference.sum((0, 2, 3))
    told = {
        "thresholds": {
            m: {c: float(x) if np.isfinite(x) else None for c, x in zip(train_set.categories, row, strict=True)}
            for m, row in zip(MODALITIES, thresholds, strict=True)
        },
        "f_on_val": {m: round(float(200 * c / max(1, e)), 1) for m, c, e in zip(MODALITIES, common, either, strict=True)},
    }
    write_snippet_labels(labels_of_scores(teacher(train_set), thresholds, train_set.weak_labels), train_set, folder)
    write_json(Path(folder) / "labels.json", told)
    return told


def write_snippet_labels(labels: np.ndarray, video_set: VideoSet, folder: str | Path) -> None:
    """Writes labels (video, modality, snippet, category) as `folder`/<modality>/<id>.npy, which `read_snippet_labels` reads."""
    for name, of_video in zip(video_set.ids, np.asarray(labels, np.uint8), strict=True):
        for modality, array in zip(MODALITIES, of_video, strict=True):
            save_array(Path(folder) / modality / f"{name}.npy", array)


def read_snippet_labels(folder: str | Path, video_set: VideoSet) -> Tensor:
    """The labels of a set's snippets from `folder`/<modality>/<id>.npy: (video, modality, snippet, category), in 0..1, float32.

    A file holds all snippets of a video or those that it has; a modality that a video lacks needs none. Raises InputError where a
    file is missing, of another shape, or holds other numbers.
    """
    if not str(folder) or not Path(folder).is_dir():
        raise InputError(
            f"labels of snippets are needed: set snippet_labels to their folder, {str(folder)!r} is none, or to {BY_HAN!r}, which "
            "trains HAN for them first."
        )
    snippets, categories = video_set.snippets, len(video_set.categories)
    made = torch.zeros(len(video_set), len(MODALITIES), snippets, categories)
    lengths = [snippets] * len(video_set) if video_set.lengths is None else video_set.lengths
    for i, (name, length) in enumerate(zip(video_set.ids, lengths, strict=True)):
        for m, modality in enumerate(MODALITIES):
            if video_set.present is not None and not video_set.present[i, m]:
                continue
            path = Path(folder) / modality / f"{name}.npy"
            array = read_numbers(path)
            if array.shape not in ((snippets, categories), (length, categories)) or not ((array >= 0) & (array <= 1)).all():
                raise InputError(f"{path} must hold labels in 0..1 of shape {(int(length), categories)}, one a snippet and category.")
            made[i, m, :length] = torch.from_numpy(array[:length])
    return made


def read_numbers(path: Path) -> np.ndarray:
    """The array of an `.npy` file in float32. Raises InputError where it is missing or holds anything else than numbers."""
    try:
        return np.load(path, allow_pickle=False).astype(np.float32)
    except (OSError, EOFError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path} cannot be read as an array of numbers ({str(error).splitlines()[0]}).") from None
