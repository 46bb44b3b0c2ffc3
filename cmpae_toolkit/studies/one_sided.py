"""Does cross-modal absence evidence let one modality speak for the other? Events that are only audible, or only visible.

For each row of Table 5, on test: of the categories that occur in one modality of a video only, how many are (wrongly) found in
the other one ("false alarms"); of those that occur in a modality, how many are found there ("found").
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..config import MODALITIES
from .ablations import TABLE_5, table_runs
from .grid import Job, Trained, run_grid


def run(data: Sequence[str] = ("small",), *, seeds: int = 3, out: Path = Path("runs/one_sided"), workers: int = 1) -> pd.DataFrame:
    """Trains what is missing in `out` and returns the mean shares."""
    grid = [Job(row, table_runs(name)[row].changed(seed=seed), name) for seed in range(seeds) for name in data for row in TABLE_5]
    return mean_shares(run_grid(grid, out, workers=workers, measures={"shares": measured_shares}))


def measured_shares(trained: Trained) -> dict[str, dict[str, float | None]]:
    """`shares` of a trained run on test."""
    return shares(trained.rolls, trained.test_set.reference)


def shares(estimate: np.ndarray, reference: np.ndarray) -> dict[str, dict[str, float | None]]:
    """Percent of (video, category) pairs, by modality: "false alarms" where only the other modality has the event, and "found".

    Rolls (video, modality, snippet, category), bool; None where there is no such pair.
    """
    found, occurs = estimate.any(axis=2), reference.any(axis=2)
    result = {}
    for m, modality in enumerate(MODALITIES):
        only_other = occurs[:, 1 - m] & ~occurs[:, m]
        which = {"false alarms": only_other, "found": occurs[:, m]}
        result[modality] = {what: 100 * float(found[:, m][pairs].mean()) if pairs.any() else None for what, pairs in which.items()}
    return result


def mean_shares(runs: pd.DataFrame) -> pd.DataFrame:
    """The mean over seeds: rows (data, variant), columns (modality, what), in percent."""
    flat = [{(m, what): v for m, both in record["shares"].items() for what, v in both.items()} for record in runs["record"]]
    table = pd.DataFrame(flat, index=runs.index, columns=pd.MultiIndex.from_product([MODALITIES, ("false alarms", "found")]), dtype=float)
    return table.groupby([runs["data"], runs["variant"]]).mean()
