"""How long the explorer takes from a moved control to the new picture: `python benchmarks/explorer.py [--out FILE.json]`.

Every kind of update on one video of the simulated `small` set, with the run that ships, on the CPU: median and maximum in
milliseconds, and beside them what the still figure takes. The browser's own drawing of the SVG is not in it; the test in
tests/browser shows that it follows.
"""

import argparse
import itertools
import json
import platform
import statistics
import sys
import time
from pathlib import Path

import torch

from cmpae_toolkit import data, plots, report
from cmpae_toolkit.explorer import Explorer, draw

# control -> values that are set in turn; the first update of each kind is counted like all others
UPDATES = {
    "snippet": (1, 2, 3, 4), "video_threshold": (0.2, 0.4, 0.6), "snippet_threshold": (0.1, 0.3, 0.7), "own": (True, False),
    "level": ("video", "snippet"), "log": (True, False), "video": (3, 7, 11, 15), "categories": (("Speech",), data.LLP_CATEGORIES, ()),
    "mute_audio": (True, False), "mute_visual": (True, False), "scale_audio": (0.5, 2.0), "scale_visual": (0.5, 2.0), "swap": (5, -1), "alone": (True, False),
    "order": ("most vacuous", "wrong and confident", "as listed"), "search": ("dog", "speech", ""),
}


def measure(repeats: int) -> dict[str, list[float]]:
    """Milliseconds of every update of each kind."""
    run, videos = report.shipped_run(), data.load("small", "test")
    explorer = Explorer(run, videos)
    times: dict[str, list[float]] = {control: [] for control in UPDATES}
    for _ in range(repeats):
        for control, value in itertools.chain.from_iterable(((c, v) for v in values) for c, values in UPDATES.items()):
            if explorer.controls[control].value == value:
                continue
            start = time.perf_counter()
            explorer.controls[control].value = value
            times[control].append(1000 * (time.perf_counter() - start))
    start = time.perf_counter()
    plots.png(draw(explorer.state))
    return times | {"(the still figure)": [1000 * (time.perf_counter() - start)]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    times = measure(arguments.repeats)
    rows = {control: {"median_ms": statistics.median(t), "max_ms": max(t), "updates": len(t)} for control, t in times.items()}
    print(f"{'update':20s} {'median ms':>10s} {'max ms':>8s} {'updates':>8s}")
    for control, row in rows.items():
        print(f"{control:20s} {row['median_ms']:10.1f} {row['max_ms']:8.1f} {row['updates']:8d}")
    live = [t for control, ts in times.items() if control in UPDATES for t in ts]
    result = {
        "updates": {c: {k: round(v, 1) for k, v in row.items()} for c, row in rows.items()}, "threads": torch.get_num_threads(),
        "all": {"median_ms": round(statistics.median(live), 1), "max_ms": round(max(live), 1)},
        "python": platform.python_version(), "torch": torch.__version__,
    }
    print(json.dumps(result))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
