"""Trains `paper`, `released`, `jomold`, and `paper` with each single difference of the released code: the numbers of notebook 10.

The stored files of `results/differences` were made with

    python results/run_differences.py --data small real_media --seeds 0 1 2

one JSON a run (`cmpae_toolkit.experiments`): data set x variant x seed. Finished runs are never repeated, so the same call goes
on after an interruption, and more seeds only add files. A run takes about half a minute on one CPU core.
`real_media` is a folder of real data that is not part of this repository.

Every variant keeps the size and the schedule of its data set's base config (width, batch, epochs, decay), so that it differs
from `paper` in the named fields only. Simulated sets use `config_for`; all others `REAL_SIZE`, a quarter of the paper's width,
so that the grid fits a laptop.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cmpae_toolkit import data
from cmpae_toolkit.config import JOMOLD, RELEASED, Config, config_for
from cmpae_toolkit.studies.ablations import DIFFERENCES
from cmpae_toolkit.studies.grid import Job, jobs, run_grid
from cmpae_toolkit.studies.statistics import summarise

OUT = Path(__file__).parent / "differences"
KEPT = ("width", "batch_size", "epochs", "estimator_epochs", "decay_epochs")
REAL_SIZE: dict[str, int] = dict(width=128, batch_size=64, epochs=15, estimator_epochs=15, decay_epochs=4)


def base_config(data_name: str) -> Config:
    """The preset `paper` in the size for one data set."""
    return config_for(data_name, "paper") if data.simulated_size(data_name) else config_for(data_name, "paper").changed(**REAL_SIZE)


def variants(base: Config) -> dict[str, dict[str, Any]]:
    """Three presets and the single differences, as the fields that each changes in `base`."""
    kept = {name: getattr(base, name) for name in KEPT}
    return {"paper": {}, "released": RELEASED | kept, "jomold": JOMOLD | kept, **DIFFERENCES}


def grid(data_names: Sequence[str], seeds: Sequence[int]) -> list[Job]:
    """All runs, seed by seed: whoever stops early has whole seeds."""
    bases = {name: base_config(name) for name in data_names}
    return [job for seed in seeds for name, base in bases.items() for job in jobs(variants(base), base, [name], [seed])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["small"], help="names of data sets, or folders (default: small)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument("--workers", type=int, default=1, help="processes, one thread each (default: 1)")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the JSON files (default: differences, beside this script)")
    options = parser.parse_args()
    table = run_grid(grid(options.data, options.seeds), options.out, workers=options.workers)
    print(summarise(table, "paper").round(2).to_string(index=False))


if __name__ == "__main__":
    main()
