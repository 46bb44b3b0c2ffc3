"""Whether bfloat16 moves any score: the same seeds in float32 and in bfloat16, their differences with paired intervals.

    python -m benchmarks.precision --data small --presets paper released --seeds 5 --json precision.json

Runs are those of the tables (`studies.ablations`): their size and schedule, on CMPAE_HOME's noise ratios, which both share. Finished
runs are read from the file, so that the command goes on where it was cut off.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import torch

from cmpae_toolkit import data
from cmpae_toolkit._files import flat
from cmpae_toolkit.config import MethodConfig
from cmpae_toolkit.inference import evaluate
from cmpae_toolkit.studies import statistics
from cmpae_toolkit.studies.ablations import table_runs
from cmpae_toolkit.studies.rows import FULL, TEN
from cmpae_toolkit.train import fit

PRESETS = {"paper": FULL, "released": "released code"}  # preset -> its label in the tables


def configs(data_name: str, presets: Iterable[str]) -> dict[str, MethodConfig]:
    """The configs of the tables for a data set, by preset."""
    runs = table_runs(data_name)
    return {preset: runs[PRESETS[preset]] for preset in presets}


def run(config: MethodConfig, sets: dict[str, data.VideoSet], is_mixed: bool) -> dict:
    """Test scores of one run, and the processor's seconds that training took."""
    started = time.process_time()
    trained = fit(config, sets["train"], sets["val"], mixed_precision=is_mixed, progress=False)
    seconds = time.process_time() - started
    scores = flat(evaluate(trained, sets["test"]))
    return {"seconds": round(seconds, 1)} | {name: scores[name] for name in TEN}


def differences(rows: Iterable[dict]) -> pd.DataFrame:
    """For each data set, preset and score the mean in float32, and of bfloat16 minus float32 the mean and its 95 % interval."""
    table = pd.DataFrame(rows).set_index(["data", "preset", "seed", "precision"])[list(TEN)].sort_index()
    exact, fast = (table.xs(name, level="precision") for name in ("float32", "bfloat16"))
    found = []
    for (name, preset), moved in (fast - exact).dropna().groupby(["data", "preset"]):
        for score in moved:
            mean, half = moved[score].mean(), statistics.half_width(moved[score])
            found.append({
                "data": name, "preset": preset, "seeds": len(moved), "score": score, "float32": exact.loc[moved.index, score].mean(),
                "difference": mean, "from": mean - half, "to": mean + half,
            })
    return pd.DataFrame(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["small"], help="names or folders (default: small)")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=["paper"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("precision.json"), help="finished runs (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = json.loads(options.json.read_text()) if options.json.is_file() else []
    known = {(row["data"], row["preset"], row["seed"], row["precision"]) for row in rows}
    for name in options.data:
        sets = {split: data.load(name, split) for split in data.splits}
        for seed in range(options.seeds):
            for preset, config in configs(name, options.presets).items():
                for precision in ("float32", "bfloat16"):
                    key = (Path(name).name, preset, seed, precision)
                    if key in known:
                        continue
                    found = run(config.changed(seed=seed), sets, precision == "bfloat16")
                    rows.append(dict(zip(("data", "preset", "seed", "precision"), key, strict=True)) | found)
                    options.json.write_text(json.dumps(rows, indent=1) + "\n")
    print(differences(rows).round(2).to_markdown(index=False))


if __name__ == "__main__":
    main()
