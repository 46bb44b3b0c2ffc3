"""F-scores of audio-visual video parsing, and the accuracy of audio-visual event localisation. NumPy only.

Conventions. Rolls are boolean, axes (video, modality, snippet, category), modality order audio, visual. A video's F is
2 TP / (2 TP + FP + FN) per category, averaged over the categories that occur in its estimate or reference (1 when none
does); a score is the mean over videos, in percent. Tracks: `audio`, `visual`, `audio_visual` (both at once), `event`
(counts of audio and visual added before F); `type` is the mean of the first three.
Segment level counts snippets. Event level counts events, maximal runs of snippets: an estimated event is a true positive
when its IoU with a reference event of its category is at least 0.5. At 0.5 no event can match two others, so counting
needs no assignment step (two disjoint, non-touching runs cannot both cover half of the same run).
"""

from __future__ import annotations

import numpy as np

from .errors import InputError

LEVELS = ("segment", "event")
SCORES = ("audio", "visual", "audio_visual", "type", "event")
IOU_THRESHOLD = 0.5


def f_scores(estimate: np.ndarray, reference: np.ndarray) -> dict[str, dict[str, float]]:
    """The ten F-scores in percent: `{"segment": {"audio", "visual", "audio_visual", "type", "event"}, "event": {...}}`.

    `estimate`, `reference`: boolean (video, 2, snippet, category). Raises InputError on other shapes or values, or no video.
    """
    per_video = scores_per_video(estimate, reference)
    return {level: {name: float(scores.mean() * 100) for name, scores in per_video[level].items()} for level in LEVELS}


def scores_per_video(estimate: np.ndarray, reference: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """As `f_scores`, before the mean over videos: arrays (video,) in 0..1."""
    estimate, reference = _checked(estimate, reference)
    result = {}
    for level, count in (("segment", segment_counts), ("event", event_counts)):
        audio, visual, both = np.moveaxis(count(with_audio_visual(estimate), with_audio_visual(reference)), 2, 0)
        scores = {"audio": video_f(audio), "visual": video_f(visual), "audio_visual": video_f(both)}
        scores["type"] = np.mean(list(scores.values()), axis=0)
        result[level] = scores | {"event": video_f(audio + visual)}
    return result


def category_scores(estimate: np.ndarray, reference: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """F of each category in percent, its counts added over all videos: `{"segment": {"audio", "visual", "audio_visual"}, "event": ...}`.

    Arrays (category,), NaN where a category occurs in no roll of a track. Not the usual headline, which averages within each
    video first; there a frequent category counts in many videos. Raises InputError as `f_scores`.
    """
    estimate, reference = _checked(estimate, reference)
    result = {}
    for level, count in (("segment", segment_counts), ("event", event_counts)):
        f, occurs = category_f(count(with_audio_visual(estimate), with_audio_visual(reference)).sum(axis=1))
        result[level] = dict(zip(SCORES, np.where(occurs, 100 * f, np.nan), strict=False))
    return result


def mean_score(scores: dict[str, dict[str, float]]) -> float:
    """The mean of the ten F-scores, by which the paper's Table 1 and the choice of an epoch go."""
    return float(np.mean([scores[level][name] for level in LEVELS for name in SCORES]))


def pick_score(scores: dict[str, dict[str, float]], name: str) -> float:
    """One number of `f_scores`: "mean" (of all ten), level and track as in "event.audio", or "accuracy" where there is one."""
    if name == "mean":
        return mean_score(scores)
    if name in scores and isinstance(scores[name], float):
        return scores[name]
    level, _, track = name.partition(".")
    if level not in LEVELS or track not in SCORES:
        raise InputError(f"there is no score {name!r}: use 'mean' or one such as 'segment.type' or 'event.audio'.")
    return scores[level][track]


def floors(weak_labels: np.ndarray, reference: np.ndarray) -> dict[str, dict[str, dict[str, float]]]:
    """What a result must be read against: predicting nothing, and the true weak labels on every snippet of both modalities.

    `weak_labels` (video, category). The second knows the labels: a yardstick, not a bar to beat in every column.
    """
    painted = np.broadcast_to(np.asarray(weak_labels)[:, None, None, :] > 0.5, reference.shape)
    return {
        "predict nothing": f_scores(np.zeros_like(reference), reference),
        "true weak labels everywhere": f_scores(painted, reference),
    }


def with_audio_visual(roll: np.ndarray) -> np.ndarray:
    """(video, 2, snippet, category) -> (video, 3, snippet, category): the third track is audio AND visual."""
    return np.concatenate([roll, roll[:, :1] & roll[:, 1:]], axis=1)


def events(roll: np.ndarray) -> np.ndarray:
    """The events of a roll (video, track, snippet, category), bool: maximal runs of snippets, each a row of whole numbers.

    Columns: video, track, category, onset, offset (in snippets, half-open), in the order of the columns. Raises InputError on another
    number of axes.

    >>> roll = np.zeros((1, 2, 5, 1), bool)
    >>> roll[0, 1, 1:3] = True
    >>> events(roll).tolist()
    [[0, 1, 0, 1, 3]]
    """
    if np.ndim(roll) != 4:
        raise InputError(f"a roll has the axes video, track, snippet, category; this one has the shape {np.shape(roll)}.")
    if not np.size(roll):
        return np.zeros((0, 5), int)
    by_category = np.moveaxis(np.asarray(roll, dtype=bool), 2, 3)
    videos, tracks, categories, snippets = by_category.shape
    runs = _Runs(by_category.reshape(-1, snippets))
    onset = runs.start % snippets
    video, track, category = np.unravel_index(runs.row, (videos, tracks, categories))
    return np.stack([video, track, category, onset, onset + runs.length], axis=1)


def segment_counts(estimate: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """True positives, false positives, false negatives in snippets: (3, video, track, category)."""
    hit = (estimate & reference).sum(axis=2)
    return np.stack([hit, estimate.sum(axis=2) - hit, reference.sum(axis=2) - hit])


def event_counts(estimate: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """True positives, false positives, false negatives in events: (3, video, track, category)."""
    videos, tracks, snippets, categories = estimate.shape
    rows = videos * tracks * categories
    estimated, referenced = (_Runs(np.moveaxis(roll, 2, 3).reshape(rows, snippets)) for roll in (estimate, reference))
    # each run of the intersection is exactly one pair of an estimated and a reference event that meet
    meeting = _Runs(estimated.roll & referenced.roll)
    first, second = estimated.index_at(meeting), referenced.index_at(meeting)
    union = estimated.length[first] + referenced.length[second] - meeting.length
    matched = meeting.length >= IOU_THRESHOLD * union
    hit = np.bincount(meeting.row[matched], minlength=rows)
    counts = np.stack([hit, estimated.count(rows) - hit, referenced.count(rows) - hit])
    return counts.reshape(3, videos, tracks, categories)


class _Runs:
    """Maximal runs of True in each row of a boolean array (row, snippet): their rows and lengths, in reading order."""

    def __init__(self, roll: np.ndarray) -> None:
        self.roll = roll
        before = np.zeros_like(roll)
        before[:, 1:] = roll[:, :-1]
        self.starts = roll & ~before
        self.start = np.flatnonzero(self.starts)
        after = np.zeros_like(roll)
        after[:, :-1] = roll[:, 1:]
        self.length = np.flatnonzero(roll & ~after) - self.start + 1
        self.row = self.start // roll.shape[1]

    def count(self, rows: int) -> np.ndarray:
        return np.bincount(self.row, minlength=rows)

    def index_at(self, inner: _Runs) -> np.ndarray:
        """Which run each run of `inner` (a subset of this roll) lies in."""
        return np.searchsorted(self.start, inner.start, side="right") - 1


def video_f(counts: np.ndarray) -> np.ndarray:
    """F of each video: `counts` (3, video, category) of true and false positives and false negatives -> (video,) in 0..1."""
    f, occurs = category_f(counts)
    number = occurs.sum(axis=-1)
    return np.where(number > 0, f.sum(axis=-1) / np.maximum(number, 1), 1.0)


def category_f(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F of each category in each video (0 where it does not occur), and whether it occurs: both (video, category)."""
    hit, wrong, missed = counts
    total = 2 * hit + wrong + missed
    return 2 * hit / np.maximum(total, 1), total > 0


def answers(roll: np.ndarray) -> np.ndarray:
    """One answer a snippet (video, snippet): the category that is audible and visible, or the category count for background."""
    both = np.asarray(roll, bool).all(axis=1)
    return np.where(both.any(-1), both.argmax(-1), both.shape[-1])


def ave_accuracy(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Share of snippets with the right answer, in percent. Integer arrays (video, snippet); background is an answer too."""
    estimate, reference = np.asarray(estimate), np.asarray(reference)
    if estimate.shape != reference.shape or estimate.ndim != 2 or estimate.size == 0:
        raise InputError(f"accuracy compares two arrays (video, snippet), got {estimate.shape} and {reference.shape}.")
    if not all(np.issubdtype(x.dtype, np.integer) for x in (estimate, reference)):
        raise InputError(f"accuracy compares category numbers, got {estimate.dtype} and {reference.dtype}: use integers.")
    return float((estimate == reference).mean() * 100)


def _checked(estimate: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    estimate, reference = np.asarray(estimate), np.asarray(reference)
    if estimate.shape != reference.shape:
        raise InputError(f"estimate {estimate.shape} and reference {reference.shape} must have the same shape.")
    if reference.ndim != 4 or reference.shape[1] != 2 or reference.size == 0:
        raise InputError(f"rolls are (video, 2, snippet, category) with at least one video, got {reference.shape}.")
    for what, roll in (("estimate", estimate), ("reference", reference)):
        if roll.dtype != bool and not np.isin(roll, (0, 1)).all():
            raise InputError(f"the {what} must be boolean (event active or not), got {roll.dtype} with other values than 0 and 1.")
    return estimate.astype(bool), reference.astype(bool)
