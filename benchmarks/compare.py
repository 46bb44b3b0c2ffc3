"""How many times as fast as its plain twin a training step is: `python -m benchmarks.compare`

For `released` and `paper`, in float32 and, where the processor has it, in bfloat16: the seconds of the plain twin (`twin.py`), of the
machine's own floor (`floors.py`), and of ours; all taken in turn in one process, the least of a few. Every row is also held against
the twin of `released`, the step that the authors' code takes whatever the paper says. With several threads all of it is measured
once for each way of binding them to cores (`BINDINGS`), in a process of its own, since OpenMP reads these variables when it starts.
Below each table: an epoch of `make run` on one thread and on all.

    python -m benchmarks.compare --threads 2                              # on an idle machine
    python -m benchmarks.compare --threads 1 --clock cpu --videos 64      # on a busy machine
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable

import pandas as pd
import torch

from benchmarks import stages
from cmpae_toolkit import load
from cmpae_toolkit.config import MethodConfig, config_for
from cmpae_toolkit.train import Training, seeded

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
BINDINGS = {
    "free": {},
    "close": {"OMP_PROC_BIND": "close", "OMP_PLACES": "cores"},
    "spread": {"OMP_PROC_BIND": "spread", "OMP_PLACES": "cores"},
    "free and asleep between products": {"OMP_WAIT_POLICY": "passive"},
}


def compared(rows: list[stages.Row]) -> pd.DataFrame:
    """A row for each preset and precision; times in seconds. "released / ours" holds every row against the released step's twin."""
    released = next(row.plain for row in rows if row.stage.endswith(" released"))
    return pd.DataFrame({
        "step": [row.stage.rpartition(" ")[2] for row in rows], "precision": [row.note for row in rows],
        "plain / ours": [row.plain / row.seconds for row in rows], "released / ours": [released / row.seconds for row in rows],
        "ours / floor": [row.seconds / row.floor for row in rows],
        "plain": [row.plain for row in rows], "floor": [row.floor for row in rows], "ours": [row.seconds for row in rows],
    })


def small_epoch(config: MethodConfig, threads: int, clock: Callable[[], float] = time.perf_counter, repeats: int = 3) -> dict[int, float]:
    """Seconds of one training epoch on simulated `small`, with one thread and with `threads` of them, in turn; the least of a few."""
    training = Training(config, load("small", "train"), load("small", "val"), stages.noise(), "cpu")

    def epoch(count: int) -> None:
        torch.set_num_threads(count)
        with seeded(0):
            training.train_batches(1)

    return stages.best_in_turn({count: lambda count=count: epoch(count) for count in {1, threads}}, clock, repeats)


def in_each_binding(threads: int) -> None:
    """This command again, in a process for each way of binding threads."""
    for name, variables in BINDINGS.items():
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)} | variables
        subprocess.run([sys.executable, "-m", "benchmarks.compare", *sys.argv[1:], "--binding", name], env=environment, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: %(default)s")
    parser.add_argument("--videos", type=int, default=128, help="in a batch (default: %(default)s)")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: the processor's seconds of all threads (default: wall)")
    parser.add_argument("--repeats", type=int, default=3, help="of each, of which the least counts (default: %(default)s)")
    parser.add_argument("--binding", choices=BINDINGS, help="says how threads are bound already; without it each way is measured")
    options = parser.parse_args()
    if options.threads > 1 and options.binding is None:
        return in_each_binding(options.threads)
    torch.set_num_threads(options.threads)
    rows = list(stages.step(0.0, CLOCKS[options.clock], options.videos, options.repeats))
    print(compared(rows).round(3).to_markdown(index=False))
    print(f"\n{options.threads} threads, {options.binding or 'free'}, {options.videos} videos of random numbers in LLP's shapes; the floor "
          "is float32's.")
    for threads, seconds in small_epoch(config_for("small"), options.threads, CLOCKS[options.clock], options.repeats).items():
        print(f"An epoch of `make run`, {threads} threads: {seconds:.2f} s")
    print(flush=True)


if __name__ == "__main__":
    main()
