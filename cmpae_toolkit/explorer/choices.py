"""What there is to explore: the data sets that can be named, and the checkpoints found beside the reader."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .. import data
from ..checkpoint import CHECKPOINT, CONFIG, MODEL

SHIPPED = CHECKPOINT
SPLITS = ("train", "val", "test")
PLACES = (".", "..")  # a notebook's folder and the one above, each with its `runs/`


def data_sets() -> list[str]:
    """Names that `data.load` knows: what the environment names, the simulated sets, and the published ones."""
    simulated = [*(f"simulated-{n}" for n in ("ave", "avep")), *(n for n in data.names if n != "full")]
    return list(dict.fromkeys([data.default_name(), *sorted(simulated, reverse=True), *data.published]))


def checkpoints(places: Sequence[str | Path] = PLACES) -> dict[str, Path]:
    """Label -> folder of every saved run in `runs/` of the places and under CMPAE_HOME, the shipped one first."""
    found = {"shipped: simulated small, preset paper": SHIPPED}
    for place in (*places, data.home()):
        for config in sorted(Path(place).expanduser().glob(f"runs/*/{CONFIG}")):
            if (config.parent / MODEL).is_file():
                found.setdefault(f"runs/{config.parent.name}", config.parent)
    return found
