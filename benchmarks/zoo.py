"""Processor seconds of a training epoch of any method on simulated data, from a few of its steps: `python -m benchmarks.zoo`

    python -m benchmarks.zoo cmbs simulated-ave --steps 2
    python -m benchmarks.zoo cmbs simulated-ave --steps 2 --bfloat16
"""

from __future__ import annotations

import argparse
import time

import torch

from cmpae_toolkit import load
from cmpae_toolkit.config import MODALITIES, MethodConfig
from cmpae_toolkit.data.videoset import VideoSet
from cmpae_toolkit.method import Moment, Supervision
from cmpae_toolkit.methods import METHODS, get
from cmpae_toolkit.methods.snippet_labels import EVENTS, LABEL
from cmpae_toolkit.train import Training, in_order, seeded

LATE = 4  # an epoch by which every method has all of its losses


def epoch_seconds(config: MethodConfig, train_set: VideoSet, val_set: VideoSet, steps: int, mixed: bool = False) -> float:
    """The least of `steps` steps, after one that warms up, times the steps of an epoch; earlier stages are left out."""
    supervision = Supervision()
    if hasattr(config, "snippet_labels"):  # which a teacher would have made
        shape = len(train_set), len(MODALITIES), train_set.snippets, len(train_set.categories)
        supervision = Supervision({LABEL: torch.zeros(shape)}, {EVENTS: torch.ones(2)})
    training = Training(config, train_set, val_set, supervision, "cpu", mixed)
    training.model.train()
    times = []
    with seeded(0):
        batches = in_order(train_set, config)
        for number, batch in enumerate(training.train_loader.batches(batches[: steps + 1])):
            started = time.process_time()
            training.step(batch, Moment(LATE, number, len(batches)))
            times.append(time.process_time() - started)
    return min(times[1:]) * len(batches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=sorted(METHODS))
    parser.add_argument("data", help="a simulated set")
    parser.add_argument("--steps", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--bfloat16", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets = (load(options.data, split) for split in ("train", "val"))
    seconds = epoch_seconds(get(options.method).Config(), *sets, options.steps, options.bfloat16)
    print(f"{options.method}, {options.data}: {seconds:.1f} processor seconds an epoch on one thread")


if __name__ == "__main__":
    main()
