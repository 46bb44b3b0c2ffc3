"""What became of the claims of Tables 5 and 6, and the F-scores of single categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from .._files import write_text
from ..errors import InputError
from . import statistics
from .ablations import SAME
from .identity import categories_of
from .records import collect
from .rows import FULL, paper_table

CLAIMS: dict[str, tuple[str, str]] = {  # what Tables 5 and 6 claim: the better row, the worse row, as labels of runs
    "EDL helps the backbone": ("EDL", "backbone (JoMoLD)"),
    "PAEC helps EDL": ("EDL + PAEC", "EDL"),
    "JML helps EDL": ("EDL + JML", "EDL"),
    "PAEC helps EDL + JML": (FULL, "EDL + JML"),
    "JML helps EDL + PAEC": (FULL, "EDL + PAEC"),
    "better than both cross-modal": (FULL, "both cross-modal"),
    "better than exchange": (FULL, "exchange uni/cross"),
    "u_av helps": (FULL, "w/o u_av"),
    "u_uni helps": (FULL, "w/o u_uni"),
    "delta(c) helps": (FULL, "w/o delta(c)"),
}
MORE_CLAIMS: dict[str, tuple[str, str]] = {  # not of the paper: the same of the released code, and with pooled opinions
    "PAEC helps the released code": ("released code", "released code w/o PAEC"),
    "JML helps the released code": ("released code", "released code w/o JML"),
    "both help the released code": ("released code", "released code w/o both"),
    "EDL helps the backbone, opinions pooled": ("EDL, opinions pooled", "backbone (JoMoLD)"),
    "PAEC helps EDL, opinions pooled": ("EDL + PAEC, opinions pooled", "EDL, opinions pooled"),
    "JML helps EDL, opinions pooled": ("EDL + JML, opinions pooled", "EDL, opinions pooled"),
    "PAEC helps EDL + JML, opinions pooled": (f"{FULL}, opinions pooled", "EDL + JML, opinions pooled"),
    "JML helps EDL + PAEC, opinions pooled": (f"{FULL}, opinions pooled", "EDL + PAEC, opinions pooled"),
    "pooling opinions helps EDL": ("EDL, opinions pooled", "EDL"),
    "pooling opinions helps the full model": (f"{FULL}, opinions pooled", FULL),
}


def claims_table(runs: pd.DataFrame, score: str = "segment.type", which: Mapping[str, tuple[str, str]] = CLAIMS) -> pd.DataFrame:
    """What became of each claim on one data set (`collect`'s runs): columns claim, printed (on LLP), n, difference, ± (95 % over
    seeds), verdict: "holds" or "the reverse" where the interval leaves 0 out, else "undecided"; and the verdict "after Holm", which
    allows for the number of claims in `which`. Claims without runs are left out.

    >>> from cmpae_toolkit.studies import collect
    >>> list(claims_table(collect("tables", "small")))
    ['claim', 'printed', 'n', 'difference', '±', 'verdict', 'after Holm']
    """
    printed = {SAME.get(m, m): row for n in (6, 5) for m, row in paper_table(f"table_{n}")["rows"].items()}
    at = paper_table("table_5")["columns"].index(f"{score} AVVP")
    rows, p_values = [], []
    for claim, (better, worse) in which.items():
        differences = statistics.by_seed(runs[runs["variant"] == better], runs[runs["variant"] == worse], score)
        if not len(differences):
            continue
        mean, half = differences.mean(), statistics.half_width(differences)
        verdict = "holds" if mean - half > 0 else "the reverse" if mean + half < 0 else "undecided"
        p_values.append(statistics.p_value(differences))
        in_print = printed[better][at] - printed[worse][at] if better in printed else np.nan
        rows.append({"claim": claim, "printed": in_print, "n": len(differences), "difference": mean, "±": half, "verdict": verdict})
    known = statistics.holm(p_values) < 1 - statistics.CONFIDENCE
    return pd.DataFrame(rows).assign(**{"after Holm": [row["verdict"] if k else "undecided" for row, k in zip(rows, known, strict=True)]})


def category_scores(runs: pd.DataFrame) -> pd.DataFrame:
    """F of every category in percent, of `collect`'s runs: a row each with data, variant, seed, level, track,
    category and F; categories that occur in no roll of a track are left out."""
    rows = []
    for run in runs.itertuples():
        categories = categories_of(run.record)
        for level, tracks in run.record["per_category"].items():
            for track, values in tracks.items():
                about = (run.data, run.variant, run.seed, level, track)
                rows += [(*about, c, f) for c, f in zip(categories, values, strict=True) if f is not None]
    return pd.DataFrame(rows, columns=["data", "variant", "seed", "level", "track", "category", "F"])


def write_categories(results: str | Path, data_names: Sequence[str], out: str | Path) -> Path:
    """`per_category.csv`: mean, standard deviation and number of runs of every category's F, by data, variant, level and track."""
    found = pd.concat([category_scores(collect(results, name)) for name in data_names])
    keys = ["data", "variant", "level", "track", "category"]
    path = Path(out) / "per_category.csv"
    write_text(path, found.groupby(keys, sort=False)["F"].agg(["mean", "std", "count"]).round(2).reset_index().to_csv(index=False))
    return path


def per_category(runs: pd.DataFrame, label: str, against: str, level: str = "segment") -> pd.DataFrame:
    """F of each category and track in percent, mean over seeds, of two variants: columns category, track, and the two labels.

    >>> from cmpae_toolkit.studies import collect
    >>> list(per_category(collect("tables", "small"), "EDL", "EDL + PAEC"))
    ['category', 'track', 'EDL', 'EDL + PAEC']
    """
    for name in (label, against):
        if not (runs["variant"] == name).any():
            raise InputError(f"there is no finished run of {name!r} here.")
    scores = category_scores(runs[runs["variant"].isin([label, against])])
    scores = scores[scores["level"] == level]
    table = scores.pivot_table(index=["category", "track"], columns="variant", values="F", sort=False).dropna()
    return table[[label, against]].rename_axis(columns=None).reset_index()
