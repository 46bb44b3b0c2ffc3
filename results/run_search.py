"""Chooses the size and schedule of Tables 5 and 6 on val: the same settings for every row, none of them ever scored on test.

    python results/run_search.py --data small real_media --seeds 0 1

One JSON a run in `results/search`. A setting is judged by the mean over four rows of Table 5 (backbone to full model alike) of
the val score at the epoch chosen on val, so that no row is favoured. `real_media` is a folder of real data that is not part
of this repository.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from cmpae_toolkit import data
from cmpae_toolkit.config import Config, config_for
from cmpae_toolkit.studies.ablations import TABLE_5
from cmpae_toolkit.studies.grid import jobs, run_grid

ROWS = ("backbone (JoMoLD)", "EDL", "EDL + PAEC", "EDL + PAEC + JML")
OUT = Path(__file__).parent / "search"
REAL_SIZE: dict[str, int] = dict(width=128, batch_size=64, epochs=15, estimator_epochs=15, decay_epochs=4)
SETTINGS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "softplus": dict(evidence_function="softplus"),
    "learning rate x 2": dict(learning_rate=1e-3),
    "25 epochs": dict(epochs=25, decay_epochs=6),
    # not the paper's: do a larger weight, the released code's way of pooling, or its selector let PAEC and JML gain?
    "mutual weight 10": dict(mutual_weight=10.0),
    "logits pooled": dict(pooling="logits"),
    "logits pooled, additive selector": dict(pooling="logits", selector="additive"),
}


def base_config(data_name: str) -> Config:
    """The preset `paper` in the size for one data set."""
    return config_for(data_name, "paper").changed(**({} if data.simulated_size(data_name) else REAL_SIZE))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["small"], help="names of data sets, or folders (default: small)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="default: 0")
    parser.add_argument("--workers", type=int, default=1, help="processes, one thread each (default: 1)")
    options = parser.parse_args()
    variants = {f"{s}: {row}": setting | TABLE_5[row] for s, setting in SETTINGS.items() for row in ROWS}
    grid = [
        job for seed in options.seeds for name in options.data for job in jobs(variants, base_config(name), [name], [seed], "val")
    ]
    table = run_grid(grid, OUT, workers=options.workers)
    table[["setting", "row"]] = table["variant"].str.split(": ", expand=True)
    table["val mean"] = [pd.read_json(file, typ="series")["history"] for file in table["file"]]
    table["val mean"] = table["val mean"].map(lambda history: max(history["mean"]))
    print(table.pivot_table(index=["data", "setting"], columns="row", values="val mean", margins=True).round(2).to_string())


if __name__ == "__main__":
    main()
