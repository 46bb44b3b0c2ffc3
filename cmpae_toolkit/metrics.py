"""F-scores of audio-visual video parsing, the accuracy of audio-visual event localisation, and the events of a roll. NumPy only.

Rolls are boolean with axes (video, modality, snippet, category); the modalities are audio, then visual. A video's F is
2 TP / (2 TP + FP + FN) per category, averaged over the categories that occur in its estimate or reference (1 when none
does). A score is the mean over videos, in percent. The tracks are `audio`, `visual` and `audio_visual` (both at once); `type` is
the mean of their scores, and `event` adds the counts of audio and visual before F.
The segment level counts snippets. The event level counts events, maximal runs of snippets: an estimated event is a true positive
when its IoU with a reference event of its category is at least 0.5. At 0.5 no event can match two others, so counting
needs no assignment step (two disjoint runs that do not touch cannot both cover half of the same run).
Two further tracks, which CoLeaF (ECCV 2024) added, are kept out of all means: `audible_only` counts sound where nothing of its
category is seen, `visible_only` the reverse (`exclusive`).
"""

from __future__ import annotations

import numpy as np

from .errors import InputError

LEVELS = ("segment", "event")
SCORES = ("audio", "visual", "audio_visual", "type", "event")
ONE_SIDED = ("audible_only", "visible_only")  # beside the ten where they are asked for; in no mean
IOU_THRESHOLD = 0.5


def f_scores(estimate: np.ndarray, reference: np.ndarray, one_sided: bool = False) -> dict[str, dict[str, float]]:
    """Computes the ten F-scores in percent: `{"segment": {"audio", "visual", "audio_visual", "type", "event"}, "event": {...}}`.

    `estimate` and `reference` are boolean (video, 2, snippet, category). `one_sided` adds "audible_only" and "visible_only" to each
    level. Raises InputError on other shapes or values, or no video.

    >>> reference = np.zeros((1, 2, 10, 3), dtype=bool)
    >>> reference[0, :, 2:6, 1] = True  # seen and heard in four snippets
    >>> estimate = reference.copy()
    >>> estimate[0, 0, 4:6] = False  # heard in two of them only
    >>> scores = f_scores(estimate, reference)
    >>> round(scores["segment"]["audio"], 1), scores["event"]["audio"], scores["segment"]["visual"]
    (66.7, 100.0, 100.0)
    >>> f_scores(estimate, reference, one_sided=True)["segment"]["visible_only"]  # seen but not heard, it says of two snippets: never
    0.0
    """
    per_video = scores_per_video(estimate, reference, one_sided)
    return {level: {name: float(scores.mean() * 100) for name, scores in per_video[level].items()} for level in LEVELS}


def scores_per_video(estimate: np.ndarray, reference: np.ndarray, one_sided: bool = False) -> dict[str, dict[str, np.ndarray]]:
    """Computes the scores of `f_scores` before the mean over videos, as arrays (video,) in 0..1. Raises InputError as it does.

    >>> roll = np.zeros((2, 2, 10, 3), bool)
    >>> roll[0, :, 2:5, 1] = True
    >>> scores_per_video(np.zeros_like(roll), roll)["segment"]["type"].tolist()  # nothing is found, and nothing is there
    [0.0, 1.0]
    """
    estimate, reference = _checked(estimate, reference)
    result = {}
    for level, count in (("segment", segment_counts), ("event", event_counts)):
        audio, visual, both = np.moveaxis(count(with_audio_visual(estimate), with_audio_visual(reference)), 2, 0)
        scores = {"audio": video_f(audio), "visual": video_f(visual), "audio_visual": video_f(both)}
        scores["type"] = np.mean(list(scores.values()), axis=0)
        result[level] = scores | {"event": video_f(audio + visual)}
        if one_sided:
            alone = np.moveaxis(count(exclusive(estimate), exclusive(reference)), 2, 0)
            result[level] |= dict(zip(ONE_SIDED, map(video_f, alone), strict=True))
    return result


def category_scores(estimate: np.ndarray, reference: np.ndarray, one_sided: bool = False) -> dict[str, dict[str, np.ndarray]]:
    """Computes F of each category in percent from counts that are added over all videos.

    The result is `{"segment": {"audio", "visual", "audio_visual"}, "event": {...}}` of arrays (category,), NaN where a category occurs
    in no roll of a track; `one_sided` adds tracks as in `f_scores`. It is not the usual headline, which averages within each video
    first; there a frequent category counts in many videos. Raises InputError as `f_scores` does.

    >>> roll = np.zeros((1, 2, 10, 2), bool)
    >>> roll[0, :, 2:6, 1] = True
    >>> category_scores(roll, roll)["event"]["audio"].tolist()
    [nan, 100.0]
    """
    estimate, reference = _checked(estimate, reference)
    result = {}
    for level, count in (("segment", segment_counts), ("event", event_counts)):
        f, occurs = category_f(count(with_audio_visual(estimate), with_audio_visual(reference)).sum(axis=1))
        result[level] = dict(zip(SCORES, np.where(occurs, 100 * f, np.nan), strict=False))
        if one_sided:
            f, occurs = category_f(count(exclusive(estimate), exclusive(reference)).sum(axis=1))
            result[level] |= dict(zip(ONE_SIDED, np.where(occurs, 100 * f, np.nan), strict=True))
    return result


VIDEO_SCORES = ("micro", "macro")  # against weak labels alone


def video_level(roll: np.ndarray) -> np.ndarray:
    """Tells which categories a roll has anywhere in a video: (video, modality, snippet, category) -> (video, category).

    >>> roll = np.zeros((1, 2, 10, 3), bool)
    >>> roll[0, 1, 4, 2] = True
    >>> video_level(roll).tolist()
    [[False, False, True]]
    """
    return np.asarray(roll, dtype=bool).any(axis=(1, 2))


def video_scores(estimate: np.ndarray, labels: np.ndarray) -> dict[str, dict[str, float]]:
    """Computes the F-scores in percent of a roll against video-level labels (video, category), which say nothing of time or modality.

    `{"video": {"micro", "macro"}}`: micro adds the counts over all categories, macro is the mean of F over the categories that occur.
    Raises InputError where the shapes do not fit, or there is no video.

    >>> roll = np.zeros((2, 2, 3, 2), dtype=bool)
    >>> roll[0, 1, 2, 0] = True
    >>> video_scores(roll, np.array([[1, 0], [0, 1]]))["video"]["macro"]
    50.0
    """
    there, labels = video_level(_roll("estimate", estimate)), np.asarray(labels) > 0.5
    if there.shape != labels.shape or not len(labels):
        raise InputError(f"video-level scores compare arrays (video, category) with at least one video: {there.shape}, {labels.shape}.")
    hit = (there & labels).sum(0)
    counts = np.stack([hit, there.sum(0) - hit, labels.sum(0) - hit])
    f, occurs = category_f(counts)
    micro, something = category_f(counts.sum(1))
    return {"video": {
        "micro": float(100 * micro) if something else 100.0, "macro": float(100 * f[occurs].mean()) if occurs.any() else 100.0,
    }}


def video_floors(labels: np.ndarray) -> dict[str, dict[str, dict[str, float]]]:
    """Scores two answers that a video-level result must be read against: nothing, and every category in every video.

    >>> list(video_floors(np.array([[1, 0, 0], [0, 1, 1]])))
    ['predict nothing', 'every category everywhere']
    """
    labels = np.asarray(labels)
    everything = np.ones((len(labels), 2, 1, labels.shape[1]), dtype=bool)
    return {
        "predict nothing": video_scores(np.zeros_like(everything), labels), "every category everywhere": video_scores(everything, labels),
    }


def mean_score(scores: dict[str, dict[str, float]]) -> float:
    """Averages the ten F-scores, as the paper's Table 1 and the choice of an epoch do; at video level its two.

    >>> roll = np.ones((1, 2, 10, 3), bool)
    >>> mean_score(f_scores(roll, roll))
    100.0
    """
    if "video" in scores:
        return float(np.mean(list(scores["video"].values())))
    return float(np.mean([scores[level][name] for level in LEVELS for name in SCORES]))


SCORE_NAMES = ("mean", "accuracy", *(f"{level}.{score}" for level in LEVELS for score in SCORES))  # what `pick_score` knows


def pick_score(scores: dict[str, dict[str, float]], name: str) -> float:
    """Takes one number of `f_scores`: "mean" (of all ten), level and track as in "event.audio", or "accuracy" where there is one.

    Of `video_scores`, which know no tracks, it is always the mean. Raises InputError on other names.

    >>> pick_score({"segment": {"audio": 50.0, "type": 40.0}, "event": {"audio": 30.0}}, "event.audio")
    30.0
    """
    if name == "mean" or ("video" in scores and name != "accuracy"):
        return mean_score(scores)
    if name in scores and isinstance(scores[name], float):
        return scores[name]
    level, _, track = name.partition(".")
    if level not in LEVELS or track not in SCORES:
        raise InputError(f"there is no score {name!r}: use 'mean' or one such as 'segment.type' or 'event.audio'.")
    return scores[level][track]


def floors(
    weak_labels: np.ndarray, reference: np.ndarray, one_sided: bool = False, valid: np.ndarray | None = None
) -> dict[str, dict[str, dict[str, float]]]:
    """Scores two answers that a result must be read against: nothing, and the true weak labels on every snippet of both modalities.

    `weak_labels` is (video, category), `reference` a roll. The second answer knows the labels, so it is a yardstick and not a bar to
    beat in every column. `one_sided` as in `f_scores`; `valid` (video, modality, snippet) says where there is a snippet to paint.

    >>> reference = np.zeros((1, 2, 10, 3), bool)
    >>> reference[0, :, 2:6, 1] = True
    >>> found = floors(np.array([[0, 1, 0]]), reference)
    >>> {name: round(scores["segment"]["type"], 1) for name, scores in found.items()}  # 2 x 4 / (2 x 4 + 6)
    {'predict nothing': 0.0, 'true weak labels everywhere': 57.1}
    """
    painted = painted_everywhere(weak_labels, reference.shape, valid)
    return {
        "predict nothing": f_scores(np.zeros_like(reference), reference, one_sided),
        "true weak labels everywhere": f_scores(painted, reference, one_sided),
    }


def painted_everywhere(weak_labels: np.ndarray, shape: tuple[int, ...], valid: np.ndarray | None = None) -> np.ndarray:
    """Makes a roll of a shape in which each weak label (video, category) lasts throughout, wherever there is a snippet (`valid`).

    >>> painted_everywhere(np.array([[0, 1]]), (1, 2, 3, 2)).sum()
    np.int64(6)
    """
    painted = np.broadcast_to(np.asarray(weak_labels)[:, None, None, :] > 0.5, shape)
    return painted if valid is None else painted & np.asarray(valid)[..., None]


def with_audio_visual(roll: np.ndarray) -> np.ndarray:
    """Adds the track audio AND visual: (video, 2, snippet, category) -> (video, 3, snippet, category).

    >>> with_audio_visual(np.array([[[[True], [True]], [[False], [True]]]]))[0, 2, :, 0].tolist()  # heard twice, seen once
    [False, True]
    """
    return np.concatenate([roll, roll[:, :1] & roll[:, 1:]], axis=1)


def exclusive(roll: np.ndarray) -> np.ndarray:
    """Keeps of each modality what the other does not have in the same snippet: (video, 2, snippet, category), bool.

    >>> roll = np.array([[[[True], [True]], [[False], [True]]]])  # heard in both snippets, seen in the second
    >>> exclusive(roll)[0, :, :, 0].tolist()
    [[True, False], [False, False]]
    """
    return roll & ~roll[:, ::-1]


def events(roll: np.ndarray, axis: int = -2) -> np.ndarray:
    """Lists the events of a roll, its maximal runs of True along `axis`: by default the snippets of (..., snippet, category).

    Each row of the result is one event: its index on the other axes in their order, its onset, and its offset (exclusive). Rows are
    sorted by these columns. A roll (video, modality, snippet, category) gives (event, 5) whole numbers: video, modality, category,
    onset, offset.

    >>> events(np.array([True, True, False, True]), axis=0).tolist()
    [[0, 2], [3, 4]]
    """
    along = np.moveaxis(np.asarray(roll, dtype=bool), axis, -1)
    closed = np.pad(along, [(0, 0)] * (along.ndim - 1) + [(1, 1)])
    changes = np.argwhere(closed[..., 1:] != closed[..., :-1])  # onset and offset take turns
    return np.column_stack([changes[::2], changes[1::2, -1]])


def segment_counts(estimate: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Counts true positives, false positives and false negatives in snippets: (3, video, track, category).

    >>> reference, estimate = np.zeros((2, 1, 1, 10, 1), bool)
    >>> reference[..., 2:6, :], estimate[..., 3:8, :] = True, True
    >>> segment_counts(estimate, reference).ravel().tolist()  # right, false, missed
    [3, 2, 1]
    """
    hit = (estimate & reference).sum(axis=2)
    return np.stack([hit, estimate.sum(axis=2) - hit, reference.sum(axis=2) - hit])


def event_counts(estimate: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Counts true positives, false positives and false negatives in events: (3, video, track, category).

    >>> reference, estimate = np.zeros((2, 1, 1, 10, 1), bool)
    >>> reference[..., 2:6, :], estimate[..., 3:8, :] = True, True
    >>> event_counts(estimate, reference).ravel().tolist()  # they share 3 of 6 seconds
    [1, 0, 0]
    """
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
    """The events of a boolean array (row, snippet) as `events` finds them, with what counting them needs; faster for whole sets."""

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
        """Finds the run in which each run of `inner`, a subset of this roll, lies."""
        return np.searchsorted(self.start, inner.start, side="right") - 1


def video_f(counts: np.ndarray) -> np.ndarray:
    """Averages F over the categories of each video: counts (3, video, category) -> (video,) in 0..1.

    >>> video_f(np.array([[[3, 0]], [[2, 0]], [[4, 0]]])).tolist()  # the second category does not occur: 6 / (6 + 2 + 4)
    [0.5]
    """
    f, occurs = category_f(counts)
    number = occurs.sum(axis=-1)
    return np.where(number > 0, f.sum(axis=-1) / np.maximum(number, 1), 1.0)


def category_f(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes F of each category in each video, 0 where it does not occur, and whether it occurs: both (video, category).

    >>> [x.tolist() for x in category_f(np.array([[[3, 0]], [[2, 0]], [[4, 0]]]))]
    [[[0.5, 0.0]], [[True, False]]]
    """
    hit, wrong, missed = counts
    total = 2 * hit + wrong + missed
    return 2 * hit / np.maximum(total, 1), total > 0


def answers(roll: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
    """Reads one answer a snippet (video, snippet) from a roll: the category seen and heard, or the category count for background.

    Where videos have different `lengths` (video,), the answer is -1 beyond a video's last snippet.

    >>> roll = np.zeros((1, 2, 3, 4), bool)
    >>> roll[0, :, 1, 2] = True
    >>> answers(roll).tolist()
    [[4, 2, 4]]
    """
    both = np.asarray(roll, bool).all(axis=1)
    found = np.where(both.any(-1), both.argmax(-1), both.shape[-1])
    return found if lengths is None else np.where(np.arange(found.shape[1]) < np.asarray(lengths)[:, None], found, -1)


def ave_accuracy(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Computes the share of snippets with the right answer, in percent; background is an answer too.

    Both arrays are whole numbers (video, snippet); snippets whose reference is below 0 do not exist and do not count. Raises InputError
    on other shapes or types.

    >>> ave_accuracy(np.array([[0, 0, 2, 2]]), np.array([[0, 1, 2, 2]]))
    75.0
    """
    estimate, reference = np.asarray(estimate), np.asarray(reference)
    if estimate.shape != reference.shape or estimate.ndim != 2 or estimate.size == 0:
        raise InputError(f"accuracy compares two arrays (video, snippet), got {estimate.shape} and {reference.shape}.")
    if not all(np.issubdtype(x.dtype, np.integer) for x in (estimate, reference)):
        raise InputError(f"accuracy compares category numbers, got {estimate.dtype} and {reference.dtype}: use integers.")
    exists = reference >= 0
    if not exists.any():
        raise InputError("accuracy needs at least one snippet that exists.")
    return float((estimate == reference)[exists].mean() * 100)


def _checked(estimate: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    estimate, reference = np.asarray(estimate), np.asarray(reference)
    if estimate.shape != reference.shape:
        raise InputError(f"estimate {estimate.shape} and reference {reference.shape} must have the same shape.")
    return _roll("estimate", estimate), _roll("reference", reference)


def _roll(what: str, roll: np.ndarray) -> np.ndarray:
    roll = np.asarray(roll)
    if roll.ndim != 4 or roll.shape[1] != 2 or roll.size == 0:
        raise InputError(f"rolls are (video, 2, snippet, category) with at least one video, got {roll.shape}.")
    if roll.dtype != bool and not np.isin(roll, (0, 1)).all():
        raise InputError(f"the {what} must be boolean (event active or not), got {roll.dtype} with other values than 0 and 1.")
    return roll.astype(bool)
