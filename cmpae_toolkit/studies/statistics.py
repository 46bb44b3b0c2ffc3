"""Differences between runs, paired: by seed (Student's t), and by video (bootstrap), each with its 95 % interval."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import bootstrap
from scipy.stats import t as student_t

CONFIDENCE = 0.95
RESAMPLES = 2000


def half_width(values: Iterable[float]) -> float:
    """Half the 95 % interval of a mean over seeds (Student's t); NaN for fewer than two values."""
    values = np.asarray(list(values), float)
    if len(values) < 2:
        return float("nan")
    return float(student_t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))


def by_seed(runs: pd.DataFrame, reference: pd.DataFrame, score: str) -> pd.Series:
    """runs - reference of one score, a value for each seed that both have."""
    return (runs.set_index("seed")[score] - reference.set_index("seed")[score]).dropna()


def over_videos(differences: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """The 95 % percentile interval of a mean over videos; `differences` (video,), each the mean over seeds.

    It says how far the difference depends on which test videos were drawn, with these trained models; the interval over seeds
    says how far it depends on the training.
    """
    found = bootstrap(
        (np.asarray(differences, float),), np.mean, n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method="percentile",
        rng=np.random.default_rng(seed),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def summarise(table: pd.DataFrame, against: str, scores: Iterable[str] = ("segment.type", "event.type")) -> pd.DataFrame:
    """Of `experiments.collect`'s runs, per data set and variant: mean, standard deviation and n of each score, and its difference
    to the variant `against`, paired by seed, with the half-width of its 95 % interval ("±")."""
    rows = []
    for (title, variant), runs in table.groupby(["data", "variant"], sort=False):
        row: dict[str, Any] = {"data": title, "variant": variant, "n": len(runs)}
        reference = table[(table["data"] == title) & (table["variant"] == against)]
        for name in scores:
            paired = by_seed(runs, reference, name)
            row |= {name: runs[name].mean(), f"{name} sd": runs[name].std(), f"{name} difference": paired.mean()}
            row[f"{name} ±"] = half_width(paired)
        rows.append(row)
    return pd.DataFrame(rows)
