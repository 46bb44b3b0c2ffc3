"""How many times as fast as its plain twin a training step is: `python -m benchmarks.compare`

For `released` and `paper`, in float32 and, where the processor has it, in bfloat16: the seconds of the plain twin (`twin.py`), of the
machine's own floor (`floors.py`), and of ours; all taken in turn in one process, the least of a few. Every row is also held against
the twin of `released`, the step that the authors' code takes whatever the paper says.

    python -m benchmarks.compare --threads 1 --clock cpu --videos 64      # on a busy machine
"""

from __future__ import annotations

import argparse
import time

import pandas as pd
import torch

from benchmarks import stages

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def compared(rows: list[stages.Row]) -> pd.DataFrame:
    """A row for each preset and precision; times in seconds. "released / ours" holds every row against the released step's twin."""
    released = next(row.plain for row in rows if row.stage.endswith(" released"))
    return pd.DataFrame({
        "step": [row.stage.rpartition(" ")[2] for row in rows], "precision": [row.note for row in rows],
        "plain / ours": [row.plain / row.seconds for row in rows], "released / ours": [released / row.seconds for row in rows],
        "ours / floor": [row.seconds / row.floor for row in rows],
        "plain": [row.plain for row in rows], "floor": [row.floor for row in rows], "ours": [row.seconds for row in rows],
    })


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: %(default)s")
    parser.add_argument("--videos", type=int, default=128, help="in a batch (default: %(default)s)")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: the processor's seconds of all threads (default: wall)")
    parser.add_argument("--repeats", type=int, default=3, help="of each, of which the least counts (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = list(stages.step(0.0, CLOCKS[options.clock], options.videos, options.repeats))
    print(compared(rows).round(3).to_markdown(index=False))
    print(f"\n{options.threads} threads, {options.videos} videos of random numbers in LLP's shapes; the floor is float32's.")


if __name__ == "__main__":
    main()
