"""From probabilities to event rolls: thresholds, choosing them on validation, events as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import metrics
from ._fields import Share, fits
from .config import MODALITIES, TRACKS, MethodConfig
from .errors import InputError

ANSWER_STEPS = 101  # candidates for AVE's one threshold: 0, 0.01, ..., 1


@dataclass(frozen=True)
class Thresholds:
    """Parsing: a category is open in a modality where its video probability reaches `video` (modality, category), and active
    in the snippets whose probability reaches `snippet` (modality, category). Localization: `both`, what the product of the audio
    and visual snippet probability must reach. All comparisons are >=; values in 0..1.

    >>> Thresholds(("Speech", "Dog"), video=np.full((2, 2), 0.5), snippet=np.full((2, 2), 0.4)).gate
    'modality'
    """

    categories: tuple[str, ...]
    video: np.ndarray
    snippet: np.ndarray
    gate: str = "modality"
    both: float | None = None

    @classmethod
    def of(cls, config: MethodConfig, categories: Sequence[str]) -> Thresholds:
        """The config's thresholds, the same for every category."""
        shape = (len(MODALITIES), len(categories))
        video = np.array([[config.audio_video_threshold], [config.visual_video_threshold]])
        video = np.broadcast_to(video, shape).copy()
        both = config.snippet_threshold**2 if config.task == "localization" else None
        return cls(tuple(categories), video, np.full(shape, config.snippet_threshold), config.gate, both)

    def to_dict(self) -> dict[str, Any]:
        """`{"gate", "video": {modality: {category: value}}, "snippet": {...}}`, for JSON."""
        named = {
            level: {m: dict(zip(self.categories, map(float, row), strict=True)) for m, row in zip(MODALITIES, rows, strict=True)}
            for level, rows in (("video", self.video), ("snippet", self.snippet))
        }
        return {"gate": self.gate, "both": self.both, **named}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], categories: Sequence[str]) -> Thresholds:
        """Reads `to_dict`'s form, in any order of the names. Raises InputError on missing or unknown ones, or values not in 0..1."""
        if not isinstance(values, Mapping):
            raise InputError("the thresholds of a checkpoint are an object of named values.")
        arrays, gate, both = {}, values.get("gate", "modality"), values.get("both")
        for level in ("video", "snippet"):
            for modality in MODALITIES:
                row = _entry(_entry(values, level), modality)
                if set(row) != set(categories):
                    odd = sorted(set(row) ^ set(categories))
                    raise InputError(f"the {modality} {level} thresholds are not for these categories: {', '.join(odd[:5])} differ.")
            rows = [[values[level][m][c] for c in categories] for m in MODALITIES]
            if not all(fits(x, Share) for row in rows for x in row):
                raise InputError(f"the {level} thresholds of a checkpoint must be numbers in 0..1.")
            arrays[level] = np.array(rows, dtype=float)
        if gate not in ("modality", "joint") or not fits(both, Share | None):
            raise InputError(f"the thresholds of a checkpoint have the gate {gate!r} and both = {both!r}, which they cannot have.")
        return cls(tuple(categories), arrays["video"], arrays["snippet"], gate, both)


def _entry(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A named object inside an object, or an empty one."""
    found = values.get(name, {})
    return found if isinstance(found, Mapping) else {}


def event_rolls(snippet: np.ndarray, video: np.ndarray, joint: np.ndarray, thresholds: Thresholds) -> np.ndarray:
    """Probabilities -> boolean rolls (video, modality, snippet, category).

    `snippet` (video, modality, snippet, category), `video` (video, modality, category), `joint` (video, category).

    >>> thresholds = Thresholds(("Dog",), video=np.full((2, 1), 0.5), snippet=np.full((2, 1), 0.5))
    >>> snippet, video = np.array([0.2, 0.7, 0.9]).reshape(1, 1, 3, 1).repeat(2, axis=1), np.array([[[0.8], [0.3]]])
    >>> event_rolls(snippet, video, np.array([[0.8]]), thresholds)[0, :, :, 0].astype(int).tolist()  # the visual video is closed
    [[0, 1, 1], [0, 0, 0]]
    """
    gate = video if thresholds.gate == "modality" else np.broadcast_to(np.asarray(joint)[:, None], np.shape(video))
    is_open = np.asarray(gate) >= thresholds.video
    return (np.asarray(snippet) >= thresholds.snippet[:, None]) & is_open[:, :, None]


def decode(evidence, thresholds: Thresholds) -> np.ndarray:
    """Boolean rolls (video, modality, snippet, category) of a method's `Evidence`; nothing happens where there is no snippet.

    >>> from cmpae_toolkit import load, predict
    >>> from cmpae_toolkit.checkpoint import shipped_run
    >>> run, videos = shipped_run(), load("small", "test").subset(range(4))
    >>> decode(predict(run.model, videos), run.thresholds).shape
    (4, 2, 10, 25)
    """
    p = probabilities(evidence)
    if evidence.answer is not None:
        roll = _roll_of_answers(evidence.answer.cpu().numpy(), p["snippet"].shape)
    elif thresholds.both is None:
        roll = event_rolls(p["snippet"], p["video"], p["joint"], thresholds)
    else:
        chosen, product = _answer_and_product(p)
        roll = np.zeros_like(p["snippet"], dtype=bool)
        np.put_along_axis(roll, chosen[:, None, None, None], _is_event(product, thresholds.both)[:, None, :, None], axis=3)
    return roll if evidence.valid is None else roll & evidence.valid.cpu().numpy()[..., None]


def _roll_of_answers(answer: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The highest of each snippet's scores (video, snippet, category + 1) as an event of both modalities; the last is background."""
    chosen = np.eye(answer.shape[-1], dtype=bool)[answer.argmax(-1)][..., :-1]
    return np.broadcast_to(chosen[:, None], shape).copy()


def choose_answer_threshold(evidence, reference: np.ndarray, start: Thresholds) -> Thresholds:
    """For AVE: the threshold on audio x visual snippet probability with the best accuracy on validation (ties: the larger).

    >>> from cmpae_toolkit.method import Evidence
    >>> from cmpae_toolkit.opinion import PointEstimate
    >>> heard = PointEstimate(torch.tensor([0.9, 0.3]).view(1, 1, 2, 1).expand(1, 2, 2, 1))  # in the first of two seconds
    >>> start = Thresholds(("Dog",), np.full((2, 1), 0.5), np.full((2, 1), 0.5), both=0.25)
    >>> reference = np.array([True, False]).reshape(1, 1, 2, 1).repeat(2, axis=1)
    >>> choose_answer_threshold(Evidence(heard, heard[:, :, 0], heard[:, 0, 0]), reference, start).both > 0.25
    True
    """
    chosen, product = _answer_and_product(probabilities(evidence))
    right = metrics.answers(reference, None if evidence.valid is None else evidence.valid.any(1).sum(1).cpu().numpy())
    is_event, is_background = right == chosen[:, None], right == reference.shape[3]
    candidates = np.linspace(0, 1, ANSWER_STEPS)
    accuracy = [np.where(_is_event(product, c), is_event, is_background).mean() for c in candidates]
    best = len(candidates) - 1 - int(np.argmax(accuracy[::-1]))
    return replace(start, both=float(candidates[best]))


def _is_event(product: np.ndarray, threshold: float) -> np.ndarray:
    """Whether a snippet is one; never where the product is 0, by which CMBS says that it is background."""
    return (product >= threshold) & (product > 0)


def _answer_and_product(p: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The video's category by joint probability (video,), and audio x visual snippet probability of it (video, snippet)."""
    chosen = p["joint"].argmax(-1)
    return chosen, np.take_along_axis(p["snippet"].prod(1), chosen[:, None, None], axis=2)[..., 0]


def probabilities(evidence) -> dict[str, np.ndarray]:
    """The snippet, video and joint probabilities of an `Evidence` as arrays.

    >>> from cmpae_toolkit import load, predict
    >>> from cmpae_toolkit.checkpoint import shipped_run
    >>> {k: p.shape for k, p in probabilities(predict(shipped_run().model, load("small", "test").subset(range(4)))).items()}
    {'snippet': (4, 2, 10, 25), 'video': (4, 2, 25), 'joint': (4, 25)}
    """
    return {name: getattr(evidence, name).probability.detach().cpu().numpy() for name in ("snippet", "video", "joint")}


def choose_thresholds(config: MethodConfig, evidence, reference: np.ndarray, start: Thresholds) -> Thresholds:
    """`choose_video_thresholds` for each modality that the config names, one after the other from `start`.

    >>> from cmpae_toolkit import load, predict
    >>> from cmpae_toolkit.checkpoint import shipped_run
    >>> run, videos = shipped_run(), load("small", "val").subset(range(8))
    >>> config = run.config.changed(search_thresholds=("visual",))
    >>> choose_thresholds(config, predict(run.model, videos), videos.reference, run.thresholds).video.shape
    (2, 25)
    """
    for modality in config.search_thresholds:
        candidates, shrinkage = config.threshold_candidates, config.threshold_shrinkage
        start = choose_video_thresholds(evidence, reference, start, modality, candidates, shrinkage)
    return start


def choose_video_thresholds(
    evidence, reference: np.ndarray, start: Thresholds, modality: str, candidates: Sequence[float], shrinkage: float = 0.0
) -> Thresholds:
    """Per category the video threshold with the best event-level F of that modality's track on validation (ties: the larger).

    One category at a time with the others at their value in `start`, from one forward pass: changing one category's
    threshold changes only that category's term in each video's mean. Cost: linear in videos, categories and candidates.
    A `reference` of weak labels (video, category) asks for the best video-level F instead. `shrinkage` in 0..1 draws what was found
    back towards `start`, for validation sets in which a category occurs a few times only.

    >>> from cmpae_toolkit import load, predict
    >>> from cmpae_toolkit.checkpoint import shipped_run
    >>> run, videos = shipped_run(), load("small", "val").subset(range(8))
    >>> found = choose_video_thresholds(predict(run.model, videos), videos.reference, run.thresholds, "audio", (0.4, 0.6))
    >>> sorted(set(found.video[0].tolist()))
    [0.6]
    """
    m = MODALITIES.index(modality)
    p = probabilities(evidence)
    exists = True if evidence.valid is None else evidence.valid.cpu().numpy()[..., None]

    def terms(video_thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        video = start.video.copy()
        video[m] = video_thresholds
        roll = event_rolls(p["snippet"], p["video"], p["joint"], replace(start, video=video)) & exists
        if np.ndim(reference) == 2:  # weak labels: a whole video is one snippet, of either modality
            return metrics.category_f(metrics.segment_counts(metrics.video_level(roll)[:, None, None], reference[:, None, None])[:, :, 0])
        return metrics.category_f(metrics.event_counts(roll[:, m : m + 1], reference[:, m : m + 1])[:, :, 0])

    f_start, occurs_start = terms(start.video[m])
    f_others = f_start.sum(1, keepdims=True) - f_start
    number_others = occurs_start.sum(1, keepdims=True) - occurs_start
    ordered = sorted(candidates)
    scores = []
    for candidate in ordered:
        f, occurs = terms(np.full(len(start.categories), candidate))
        number = number_others + occurs
        scores.append(np.where(number > 0, (f_others + f) / np.maximum(number, 1), 1.0).mean(0))
    # rounding, so that equal scores reached by different sums tie; the last of the tied is the larger threshold
    best = len(ordered) - 1 - np.argmax(np.round(scores, 12)[::-1], axis=0)
    video = start.video.copy()
    video[m] = (1 - shrinkage) * np.asarray(ordered)[best] + shrinkage * start.video[m]
    return replace(start, video=video)


def event_table(rolls: np.ndarray, evidence, categories: Sequence[str], names: Sequence[str]) -> list[dict[str, Any]]:
    """Lists each decoded event as a row: filename, onset and offset in snippets (half-open), category, track, probability, vacuity.

    Probability and vacuity are means over the event's snippets (of both modalities for the track audio_visual); the vacuity is None
    where it is unknown. `rolls` and the evidence are (video, modality, snippet, category).

    >>> from cmpae_toolkit.method import Evidence
    >>> from cmpae_toolkit.opinion import PointEstimate
    >>> sure = PointEstimate(torch.full((1, 2, 3, 1), 0.75))
    >>> event_table(np.array([[[[0], [1], [1]], [[0], [0], [0]]]], bool), Evidence(sure, sure, sure), ["Dog"], ["a"])
    [{'filename': 'a', 'onset': 1, 'offset': 3, 'category': 'Dog', 'track': 'audio', 'probability': 0.75, 'vacuity': None}]
    """
    snippet = probabilities(evidence)["snippet"]
    vacuity = evidence.snippet.vacuity
    vacuity = None if vacuity is None else vacuity.detach().cpu().numpy()
    rows = []
    for v, track, c, onset, offset in metrics.events(metrics.with_audio_visual(np.asarray(rolls))).tolist():
        span = (v, slice(None) if track == 2 else track, ..., slice(onset, offset), c)
        rows.append(dict(
            filename=names[v], onset=onset, offset=offset, category=categories[c], track=TRACKS[track],
            probability=float(snippet[span].mean()), vacuity=None if vacuity is None else float(vacuity[span].mean()),
        ))
    return rows
