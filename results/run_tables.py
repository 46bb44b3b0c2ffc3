"""Trains the runs of Tables 1 to 6: `results/tables`, one JSON a run, seed by seed, so that whoever stops early has whole seeds.

    python results/run_tables.py --data small real_media simulated-ave simulated-avep --seeds 0 1 2 3 4

Finished runs are never repeated. `real_media` is a folder of real data that is not part of this repository. `cmpae tables`
makes the tables from these files, and trains what is missing.
"""

import argparse
from pathlib import Path

from cmpae_toolkit.experiments import Job, run_grid, summarise
from cmpae_toolkit.grids import table_runs

OUT = Path(__file__).parent / "tables"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["small"], help="names of data sets, or folders (default: small)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], help="default: 0 1 2 3 4")
    parser.add_argument("--only", nargs="+", metavar="LABEL", help="labels of the runs (default: all)")
    parser.add_argument("--workers", type=int, default=1, help="processes, one thread each (default: 1)")
    options = parser.parse_args()
    grid = [
        Job(label, config.changed(seed=seed), name)
        for seed in options.seeds for name in options.data for label, config in table_runs(name).items()
        if options.only is None or label in options.only
    ]
    table = run_grid(grid, OUT, workers=options.workers)
    print(summarise(table, "EDL + PAEC + JML").round(2).to_string(index=False))


if __name__ == "__main__":
    main()
