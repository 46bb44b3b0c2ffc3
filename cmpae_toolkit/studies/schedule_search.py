"""Chooses the size and schedule of Tables 5 and 6 on val: the same settings for every row, none of them ever scored on test.

A setting is judged by the mean over four rows of Table 5 (backbone to full model alike) of the val score at the epoch chosen on
val, so that no row is favoured. Of the settings that come within one standard error of the best, the cheapest is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from .ablations import FASTER, LONGER, TABLE_5, study_config
from .grid import Job, jobs, run_grid

ROWS = ("backbone (JoMoLD)", "EDL", "EDL + PAEC", "EDL + PAEC + JML")
SETTINGS: dict[str, dict[str, Any]] = {  # the cheapest first
    "as it is": {}, "learning rate x 2": FASTER, "25 epochs": LONGER, "25 epochs, learning rate x 2": LONGER | FASTER,
}


def run(
    data: Sequence[str] = ("small",), *, seeds: int = 1, out: Path = Path("runs/schedule_search"), workers: int = 1, extend: bool = False
) -> pd.DataFrame:
    """Trains what is missing in `out` and returns the val scores. `extend`: as in `differences.run`."""
    return val_scores(run_grid(grid(data, range(seeds)), out, workers=workers, extend="schedule_search" if extend else None))


def grid(data_names: Sequence[str], seeds: Sequence[int]) -> list[Job]:
    """All runs, seed by seed; they are scored on val."""
    variants = {f"{s}: {row}": setting | TABLE_5[row] for s, setting in SETTINGS.items() for row in ROWS}
    return [job for seed in seeds for name in data_names for job in jobs(variants, study_config(name), [name], [seed], "val")]


def val_scores(runs: pd.DataFrame) -> pd.DataFrame:
    """The best val score, which the epoch is chosen by, in percent, the mean over seeds: rows (data, setting), columns the rows of
    Table 5."""
    runs = runs.assign(val=[max(record["history"]["chosen_by"]) for record in runs["record"]])
    runs[["setting", "row"]] = runs["variant"].str.split(": ", expand=True)
    return runs.pivot_table(index=["data", "setting"], columns="row", values="val")[list(ROWS)]


def choose(scores: pd.DataFrame) -> pd.Series:
    """data -> the setting to take, of `val_scores`: the first in the order of SETTINGS, which is that of cost, whose mean over the
    rows of Table 5 lies within one standard error, of the paired difference over these rows, of the best one's."""
    found = {}
    for name, table in scores.groupby(level="data"):
        table = table.droplevel("data").loc[list(SETTINGS)]
        behind = table.loc[table.mean(axis=1).idxmax()] - table
        near = behind.mean(axis=1) <= behind.std(axis=1) / len(ROWS) ** 0.5
        found[name] = near.idxmax()
    return pd.Series(found, name="setting")
