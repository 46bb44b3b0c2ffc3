"""Reading `results/evidence_study`: stored runs as a table, and means over seeds with intervals, paired where they are compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from .._files import flat, read_json
from ..errors import InputError

LEFT_OUT = ("config", "thresholds", "versions")


def read(folder: str | Path) -> pd.DataFrame:
    """A row a stored run: `data` (title), `kind` ("paper", "ensemble", "amount", or the name of a loss), `seed`, and every number under its
    path in the file, such as "errors.all.audio.vacuity.aurc". Raises InputError when there is none."""
    rows = []
    for file in sorted(Path(folder).rglob("*.json")):
        stored = {k: v for k, v in read_json(file).items() if k not in LEFT_OUT}
        kind = stored.pop("loss", None) or stored.pop("kind", "ensemble" if "seeds" in stored else "paper")
        title = stored.pop("data")["title"]
        rows.append({"data": title, "kind": kind, "seed": stored.pop("seed", None)} | flat(stored))
    if not rows:
        raise InputError(f"{folder} holds no stored run: `python results/run_evidence_study.py` makes them.")
    return pd.DataFrame(rows)


def half_width(values: np.ndarray) -> float:
    """Of the 95 % interval of a mean over seeds (Student's t); NaN for a single one."""
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return float("nan")
    return float(student_t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))


def summary(runs: pd.DataFrame, columns: Mapping[str, str], against: str | None = None) -> pd.DataFrame:
    """Per data set and name (the index): n, mean over seeds and its 95 % half-width, and the same of the difference, paired by seed, to the
    entry named `against`. `columns`: name -> column of `read`. Raises InputError for a column that no run has."""
    missing = [path for path in columns.values() if path not in runs]
    if missing:
        raise InputError(f"no stored run has {missing[0]!r}.")
    rows = []
    for title, group in runs.groupby("data", sort=False):
        for name, path in columns.items():
            values = group[path].dropna()
            row = {"data": title, "name": name, "n": len(values), "mean": values.mean(), "±": half_width(values)}
            if against is not None:
                gap = (group[path] - group[columns[against]]).dropna()
                row |= {"difference": gap.mean(), "± of it": half_width(gap)}
            rows.append(row)
    return pd.DataFrame(rows).set_index(["data", "name"])


def by_kind(runs: pd.DataFrame, path: str, against: str = "paper") -> pd.DataFrame:
    """Per data set and kind of run (the index): as `summary` of one column; differences are to the kind `against`, paired by seed."""
    rows = []
    for (title, kind), group in runs.groupby(["data", "kind"], sort=False):
        reference = runs[(runs["data"] == title) & (runs["kind"] == against)].set_index("seed")[path]
        gap = (group.set_index("seed")[path] - reference).dropna()
        values = group[path].dropna()
        row = {"data": title, "name": kind, "n": len(values), "mean": values.mean(), "±": half_width(values)}
        rows.append(row | {"difference": gap.mean(), "± of it": half_width(gap)})
    return pd.DataFrame(rows).set_index(["data", "name"])
