"""What each choice in the preset `improved` is worth: it is taken back to what `paper` has, one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ..config import Config
from . import statistics
from .ablations import table_runs
from .grid import jobs, run_grid

FULL = "improved"
CHOICES: dict[str, tuple[str, ...]] = {  # name -> the fields of IMPROVED that are one choice
    "pooled opinions": ("pooling",),
    "the additive selector": ("selector",),
    "dropout in the selector": ("selector_dropout",),
    "audio weight 2": ("audio_weight",),
    "the mixture at inference": ("inference_self_share",),
    "snippet threshold 0.4": ("snippet_threshold",),
    "searched thresholds": ("search_thresholds", "threshold_shrinkage", "threshold_epoch"),
}


def variants() -> dict[str, dict[str, Any]]:
    """label -> changes in `improved`: nothing, then each choice as `paper` has it."""
    paper = Config()
    return {FULL: {}} | {f"w/o {name}": {field: getattr(paper, field) for field in fields} for name, fields in CHOICES.items()}


def run(
    data: Sequence[str] = ("small",), *, seeds: int = 5, out: Path = Path("runs/leave_one_out"), workers: int = 1, extend: bool = False
) -> pd.DataFrame:
    """Trains what is missing in `out` and returns `summary`. `extend`: as in `differences.run`."""
    grid = [j for seed in range(seeds) for name in data for j in jobs(variants(), table_runs(name)[FULL], [name], [seed])]
    return summary(run_grid(grid, out, workers=workers, extend="leave_one_out" if extend else None))


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Of each variant and data set: n, type F at both levels, and their differences to `improved`, paired by seed, with ± (95 %)."""
    return statistics.summarise(runs, FULL)
