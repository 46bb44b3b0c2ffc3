"""How long the explorer takes from a moved control to the new picture: `python benchmarks/explorer.py [--out FILE.json]`.

Every kind of update on one video of the simulated `small` set, with the run that ships, on the CPU: median and maximum in
milliseconds as a clock on the wall sees it, and the maximum of the processor's time, which other jobs on the machine do not
lengthen; at the end what the still figure takes. What the browser needs to draw is not in it; tests/browser/test_view.py measures
that.
"""

import argparse
import itertools
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from cmpae_toolkit import checkpoint, data, plots
from cmpae_toolkit.explorer import Explorer

STILL = "(the still figure)"
# control -> values that are set in turn; the first update of each kind is counted like all others
UPDATES = {
    "snippet": (1, 2, 3, 4), "video_threshold": (0.2, 0.4, 0.6), "snippet_threshold": (0.1, 0.3, 0.7), "own": (True, False),
    "level": ("video", "snippet"), "log": (True, False), "video": (3, 7, 11, 15), "categories": (("Speech",), data.LLP_CATEGORIES, ()),
    "mute_audio": (True, False), "mute_visual": (True, False), "scale_audio": (0.5, 2.0), "scale_visual": (0.5, 2.0),
    "swap": (5, -1), "alone": (True, False),
    "order": ("most vacuous", "wrong and confident", "as listed"), "search": ("dog", "speech", ""),
}


def timed(action: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds on the wall and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return 1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu)


def measure(repeats: int) -> dict[str, list[tuple[float, float]]]:
    """Both times of every update of each kind."""
    run, videos = checkpoint.shipped_run(), data.load("small", "test")
    explorer = Explorer(run, videos)
    times: dict[str, list[tuple[float, float]]] = {control: [] for control in UPDATES}
    for _ in range(repeats):
        for control, value in itertools.chain.from_iterable(((c, v) for v in values) for c, values in UPDATES.items()):
            if explorer.controls[control].value != value:
                times[control].append(timed(lambda c=control, v=value: setattr(explorer.controls[c], "value", v)))
    return times | {STILL: [timed(lambda: plots.png(plots.figure_3(explorer.state)))]}


def summary(times: Sequence[tuple[float, float]]) -> dict[str, float]:
    walls, cpus = zip(*times, strict=True)
    numbers = {"median_ms": statistics.median(walls), "max_ms": max(walls), "max_cpu_ms": max(cpus)}
    return {name: round(value, 1) for name, value in numbers.items()} | {"updates": len(times)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    times = measure(arguments.repeats)
    rows = {control: summary(t) for control, t in times.items()}
    rows["all updates"] = summary([t for control, ts in times.items() if control in UPDATES for t in ts])
    print(f"{'update':20s}" + "".join(f"{name.replace('_', ' '):>12s}" for name in rows[STILL]))
    for control, row in rows.items():
        print(f"{control:20s}" + "".join(f"{value:12g}" for value in row.values()))
    result = {"updates": rows, "threads": torch.get_num_threads(), "python": platform.python_version(), "torch": torch.__version__}
    print(json.dumps(result))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
