"""Does cross-modal absence evidence let one modality speak for the other? Events that are only audible, or only visible.

Of the categories that occur in one modality of a video only, how many are (wrongly) found in the other one ("false alarms"); of
those that occur in a modality, how many are found there ("found"). Every run of a grid stores both shares of its test split.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..config import MODALITIES


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
    """The mean over seeds of `collect`'s runs that have them: rows (data, variant), columns (modality, what), in percent."""
    runs = runs[["one_sided" in record for record in runs["record"]]]
    flat = [{(m, what): v for m, both in record["one_sided"].items() for what, v in both.items()} for record in runs["record"]]
    table = pd.DataFrame(flat, index=runs.index, columns=pd.MultiIndex.from_product([MODALITIES, ("false alarms", "found")]), dtype=float)
    return table.groupby([runs["data"], runs["variant"]]).mean()
