"""Means over seeds and differences paired by seed (Student's t) or by video (bootstrap), each with its 95 % interval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import bootstrap, ttest_1samp

from ..errors import InputError

CONFIDENCE = 0.95
RESAMPLES = 2000


def half_width(values: Iterable[float]) -> float:
    """Half the 95 % interval of a mean over seeds (Student's t); NaN for fewer than two values."""
    values = np.asarray(list(values), float)
    if len(values) < 2:
        return float("nan")
    interval = ttest_1samp(values - values[0], 0.0).confidence_interval(CONFIDENCE)  # the shift leaves equal values exactly 0
    return float(interval.high - interval.low) / 2


def by_seed(runs: pd.DataFrame, reference: pd.DataFrame, score: str) -> pd.Series:
    """runs - reference of one score, a value for each seed that both have."""
    return (runs.set_index("seed")[score] - reference.set_index("seed")[score]).dropna()


def p_value(values: Iterable[float]) -> float:
    """Of the two-sided test (Student's t) that the mean over seeds is 0; 1 for fewer than two values."""
    values = np.asarray(list(values), float)
    if len(values) < 2:
        return 1.0
    return float(ttest_1samp(values, 0.0).pvalue) if np.ptp(values) else float(not values.any())


def holm(p_values: Iterable[float]) -> np.ndarray:
    """p-values of a family of tests, made larger so that the chance of *any* false finding stays at the level that one test has
    alone (Holm 1979): the k-th smallest of n times n - k + 1, never below the one before, at most 1."""
    p = np.asarray(list(p_values), float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return adjusted


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


def compare(values: pd.DataFrame, against: str | None = None) -> pd.DataFrame:
    """A row for each column of `values` (seed, name): n, mean, sd and ± (half the 95 % interval) over the seeds that have it.

    `against` names a column: `difference` and `± of it` are those of the differences to it, paired by seed.
    """
    rows = {}
    for name, column in values.items():
        own = column.dropna()
        rows[name] = {"n": len(own), "mean": own.mean(), "sd": own.std(), "±": half_width(own)}
        if against is not None:
            gap = (column - values[against]).dropna()
            rows[name] |= {"difference": gap.mean(), "± of it": half_width(gap)}
    return pd.DataFrame.from_dict(rows, orient="index")


def summarise(runs: pd.DataFrame, against: str, scores: Iterable[str] = ("segment.type", "event.type")) -> pd.DataFrame:
    """For each data set and variant of `collect`'s runs: n, and of each score its mean, standard deviation ("sd"), and difference to
    the variant `against`, paired by seed, with half the 95 % interval of the difference ("±").

    >>> from cmpae_toolkit.studies import collect
    >>> summarise(collect("tables", "small"), against="JoMoLD").columns[:3].tolist()
    ['data', 'variant', 'n']
    """
    rows = []
    for title, group in runs.groupby("data", sort=False):
        compared = {name: compare(_by_variant(group, name), against) for name in scores}
        for variant, of_variant in group.groupby("variant", sort=False):
            row: dict[str, Any] = {"data": title, "variant": variant, "n": len(of_variant)}
            for name, table in compared.items():
                found = table.loc[variant]
                row |= {name: found["mean"], f"{name} sd": found["sd"], f"{name} difference": found["difference"]}
                row[f"{name} ±"] = found["± of it"]
            rows.append(row)
    return pd.DataFrame(rows)


def _by_variant(runs: pd.DataFrame, column: str) -> pd.DataFrame:
    """(seed, variant)"""
    return runs.pivot(index="seed", columns="variant", values=column)[list(dict.fromkeys(runs["variant"]))]


def summary(runs: pd.DataFrame, columns: Mapping[str, str], against: str | None = None) -> pd.DataFrame:
    """`compare` for each data set of `collect`'s runs: indexed by data and name. `columns`: name -> column of `runs`.

    Raises InputError for a column that no run has.
    """
    missing = [path for path in columns.values() if path not in runs]
    if missing:
        raise InputError(f"no stored run has {missing[0]!r}.")
    parts = {}
    for title, group in runs.groupby("data", sort=False):
        values = group.set_index("seed")[list(columns.values())].set_axis(list(columns), axis=1)
        parts[title] = compare(values, against).drop(columns="sd")
    return pd.concat(parts, names=["data", "name"]).reset_index().set_index(["data", "name"])  # sorted levels, for `unstack`
