"""How time and memory grow with videos, categories and snippets: `python -m benchmarks.growth`

Random numbers, preset `paper` at width 128, one thread; seconds are the processor's, the least of two. Each size runs in a process
of its own, whose peak memory is told beyond what it holds once everything is imported. The last columns say how many times as much
a size takes as the one before it, beside how many times as large it is.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch

from benchmarks import stages
from cmpae_toolkit import decode
from cmpae_toolkit.config import presets
from cmpae_toolkit.inference import predict, score
from cmpae_toolkit.method import Moment
from cmpae_toolkit.train import Training, in_order

BASE = {"videos": 128, "categories": 25, "snippets": 10}
GROWN = {"videos": (128, 256, 512), "categories": (25, 100, 500), "snippets": (10, 60, 600)}
FEWER = {"snippets": {"videos": 32}}  # so that 600 snippets of every video fit a small machine
STREAMS = {"audio": (1, 128), "frames": (8, 512), "clip": (1, 128)}
WIDTH, BATCH = 128, 32
REPEATS = 2
PARTS = ("epoch", "predict", "thresholds", "score")


def measured(axis: str, size: int) -> dict[str, float]:
    """The processor's seconds of each part and the peak memory in MB, in a process of their own."""
    command = [sys.executable, "-m", "benchmarks.growth", "--here", axis, str(size)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


def measure(axis: str, size: int) -> dict[str, float]:
    """An epoch, a prediction, the choice of thresholds and the scores at one size."""
    sizes = BASE | FEWER.get(axis, {}) | {axis: size}
    before = _peak()
    video_set = stages.videos(sizes["videos"], snippets=sizes["snippets"], categories=sizes["categories"], streams=STREAMS)
    config = presets["paper"].changed(width=WIDTH, batch_size=BATCH)
    training = Training(config, video_set, video_set, stages.noise(sizes["categories"]), "cpu")
    batches = in_order(video_set, config)

    def epoch() -> None:
        training.model.train()
        for number, batch in enumerate(training.train_loader.batches(batches)):
            training.step(batch, Moment(2, number, len(batches)))

    seconds = {"epoch": _best(epoch)}
    seconds["predict"] = _best(lambda: predict(training.model, video_set))
    evidence, thresholds = predict(training.model, video_set), training.model.thresholds()
    choice = (evidence, video_set.reference, thresholds, "visual", config.threshold_candidates)
    seconds["thresholds"] = _best(lambda: decode.choose_video_thresholds(*choice))
    seconds["score"] = _best(lambda: score(config, training.model.decode(evidence, thresholds), video_set.reference))
    return seconds | {"peak_mb": _peak() - before}


def table(found: dict[tuple[str, int], dict[str, float]]) -> pd.DataFrame:
    """A row a size; in brackets how many times as much as at the size before."""
    rows = []
    for axis, sizes in GROWN.items():
        if not all((axis, size) in found for size in sizes):
            continue
        for i, size in enumerate(sizes):
            here, before = found[axis, size], None if i == 0 else found[axis, sizes[i - 1]]
            row = {"": f"{size} {axis}", "larger": "" if before is None else f"x {size / sizes[i - 1]:g}"}
            for name in (*PARTS, "peak_mb"):
                shown = f"{here[name]:.0f}" if name == "peak_mb" else f"{here[name]:.3g}"
                row[name] = shown if before is None or not before[name] else f"{shown} (x {here[name] / before[name]:.1f})"
            rows.append(row)
    return pd.DataFrame(rows).rename(columns={"peak_mb": "peak MB"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--axes", nargs="+", choices=GROWN, default=list(GROWN))
    parser.add_argument("--json", type=Path, help="write the numbers here; sizes that are there already are not measured again")
    parser.add_argument("--here", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        torch.set_num_threads(1)
        print(json.dumps(measure(options.here[0], int(options.here[1]))))
        return
    known = json.loads(options.json.read_text()) if options.json and options.json.is_file() else {}
    for axis in options.axes:
        for size in GROWN[axis]:
            known[f"{axis} {size}"] = known.get(f"{axis} {size}") or measured(axis, size)
            if options.json:
                options.json.write_text(json.dumps(known, indent=1) + "\n")
    found = {(key.split()[0], int(key.split()[1])): value for key, value in known.items()}
    print(table(found).to_markdown(index=False, disable_numparse=True))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e6 / 1024)


def _best(call: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    return min(times)


if __name__ == "__main__":
    main()
