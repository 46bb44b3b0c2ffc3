"""The parts of one record of the evidence study: errors, fusion, calibration, known against unknown input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import metrics
from ..checkpoint import Run
from ..data.videoset import VideoSet
from ..decode import decode
from ..evidence import calibration
from ..method import Evidence
from . import evidence_measures as measures


def errors(
    run: Run, evidence: Evidence, reference: np.ndarray, names: Sequence[str], more: Mapping[str, np.ndarray] | None = None
) -> dict[str, Any]:
    """Do uncertainties know the errors, over all decisions ("all") and over those decoded as active ("active")?

    `names`: of `evidence_measures.decisions`; `more`: other uncertainties (video, track, snippet, category).
    """
    found = measures.decisions(evidence)
    said = metrics.with_audio_visual(decode(evidence, run.thresholds))
    if not (said == (found["probability"] >= measures.OPEN)).all():
        raise ValueError("decisions and decoding disagree: this study is for thresholds of 1/2")
    return of_errors({name: found[name] for name in names} | dict(more or {}), said, said != metrics.with_audio_visual(reference))


def of_errors(uncertain: Mapping[str, np.ndarray], said: np.ndarray, wrong: np.ndarray) -> dict[str, Any]:
    """`evidence_measures.error_scores` over all entries, and over those that were said to be active."""
    return {"all": measures.error_scores(uncertain, wrong), "active": measures.error_scores(uncertain, wrong, said)}


def fused(run: Run, val: Evidence, val_set: VideoSet, test: Evidence, test_set: VideoSet) -> dict[str, Any]:
    """F-scores of the audio-visual track by rule, thresholds chosen on val; `AND at 1/2` is the paper's."""
    references = [s.reference.all(1) for s in (val_set, test_set)]
    record = measures.track_record(val, run.thresholds, val_set.reference)
    sources = {"": (val, test), "discounted ": (measures.trusted(val, record), measures.trusted(test, record))}
    rules = [("", name) for name in measures.RULES] + [("discounted ", name) for name in ("averaging", "constraint")]
    result = {"AND at 1/2": {"thresholds": [0.5, 0.5], **measures.both_scores(decode(test, run.thresholds).all(1), references[1])}}
    for kind, name in rules:
        p_val, (snippet, video) = (measures.by_rule(measures.RULES[name], e) for e in sources[kind])
        at_snippet, at_video = measures.choose_both(p_val, references[0])
        roll = (snippet >= at_snippet) & (video >= at_video)[:, None]
        result[kind + name] = {"thresholds": [at_snippet, at_video], **measures.both_scores(roll, references[1])}
    return result


def calibrated(val: Evidence, val_set: VideoSet, test: Evidence, test_set: VideoSet) -> dict[str, Any]:
    """Calibration of snippet and video probabilities on test, as they are and at the temperature chosen on val."""
    result = {}
    for level, label in (("snippet", lambda s: s.reference), ("video", lambda s: s.reference.any(2))):
        p_val, p = (getattr(e, level).probability.numpy() for e in (val, test))
        found = calibration.temperature(p_val, label(val_set))
        result[level] = {"temperature": found}
        for when, q in (("before", p), ("after", calibration.rescale(p, found))):
            result[level][when] = probability_scores(q, label(test_set))
    return result


def probability_scores(p: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Three expected calibration errors, Brier score, negative log likelihood, and the bins of the reliability diagram."""
    bins = calibration.reliability(p, y)
    schemes = {f"ece_{scheme}": calibration.ece(p, y, scheme=scheme) for scheme in ("equal_width", "equal_mass", "category")}
    shown = {"count": bins.count.tolist(), "probability": bins.probability.round(5).tolist(), "frequency": bins.frequency.round(5).tolist()}
    return schemes | {"brier": calibration.brier(p, y), "nll": calibration.nll(p, y), "bins": shown}


def compared(known: dict[str, np.ndarray], unknown: dict[str, np.ndarray]) -> dict[str, Any]:
    """AUROC and FPR95 of each uncertainty (video,) of known against unknown videos, and both medians of vacuity."""
    result = {name: calibration.detection(known[name], unknown[name]) for name in known}
    return result | {"median vacuity": [float(np.median(side["vacuity"])) for side in (known, unknown)]}


def snippets(passes: Sequence[Evidence]) -> np.ndarray:
    """Snippet probabilities (member, video, modality, snippet, category) of several models or dropout passes."""
    return np.stack([e.snippet.probability.numpy() for e in passes])
