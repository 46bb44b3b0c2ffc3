"""Does cross-modal absence evidence let one modality speak for the other? Events that are only audible, or only visible.

    python results/run_one_sided.py --data real_media small --seeds 0 1 2

For each row of Table 5, on test: of the categories that occur in one modality of a video only, how many are (wrongly) found in
the other one ("false alarms"); of those that occur in a modality, how many are found there ("found"). One JSON a run in
`results/one_sided`. `real_media` is a folder of real data that is not part of this repository.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from cmpae_toolkit import data
from cmpae_toolkit._files import read_json, write_json
from cmpae_toolkit.config import MODALITIES
from cmpae_toolkit.decode import decode
from cmpae_toolkit.inference import predict
from cmpae_toolkit.studies.ablations import table_runs
from cmpae_toolkit.studies.grid import Job
from cmpae_toolkit.train import fit

OUT = Path(__file__).parent / "one_sided"
ROWS = ("backbone (JoMoLD)", "EDL", "EDL + PAEC", "EDL + JML", "EDL + PAEC + JML")


def shares(estimate: np.ndarray, reference: np.ndarray) -> dict[str, dict[str, float]]:
    """Percent of (video, category) pairs, by modality: "false alarms" where only the other modality has the event, and "found"."""
    found, occurs = estimate.any(axis=2), reference.any(axis=2)
    result = {}
    for m, modality in enumerate(MODALITIES):
        only_other = occurs[:, 1 - m] & ~occurs[:, m]
        result[modality] = {
            "false alarms": 100 * float(found[:, m][only_other].mean()), "found": 100 * float(found[:, m][occurs[:, m]].mean()),
        }
    return result


def run(job: Job) -> dict:
    train_set, val_set, test_set = (data.load(job.data, split) for split in ("train", "val", "test"))
    trained = fit(job.config, train_set, val_set, progress=False)
    estimate = decode(predict(trained.model, test_set), trained.thresholds)
    return {"variant": job.variant, "seed": job.config.seed, "data": test_set.title, "shares": shares(estimate, test_set.reference)}


def summary(folder: Path = OUT) -> pd.DataFrame:
    """Mean over seeds: rows (data, variant), columns (modality, what), in percent."""
    rows = []
    for file in sorted(folder.rglob("*.json")):
        stored = read_json(file)
        flat = {(m, what): value for m, both in stored["shares"].items() for what, value in both.items()}
        rows.append({("", "data"): stored["data"], ("", "variant"): stored["variant"], **flat})
    means = pd.DataFrame(rows).groupby([("", "data"), ("", "variant")]).mean().rename_axis(["data", "variant"])
    return means.set_axis(pd.MultiIndex.from_tuples(means.columns), axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["small"], help="names of data sets, or folders (default: small)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="default: 0 1 2")
    options = parser.parse_args()
    grid = [
        Job(row, table_runs(name)[row].changed(seed=seed), name) for seed in options.seeds for name in options.data for row in ROWS
    ]
    for job in tqdm([job for job in grid if not (OUT / job.file).is_file()]):
        write_json(OUT / job.file, run(job))
    print(summary().round(1).to_string())


if __name__ == "__main__":
    main()
