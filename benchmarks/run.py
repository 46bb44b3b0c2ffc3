"""Times every stage against the machine's own floor and prints a table: `make bench`, or

    python -m benchmarks.run --stages epoch predict --threads 2 --json bench.json

Each stage runs in a process of its own, so that its peak memory is its own. The floor of training and prediction is their
arithmetic at the rate of this machine's matrix product, that of all else the bytes moved at the rate of its copy, all measured
in the same process (`floors.py`). "plain" is how many times as long the plain twin of a
step takes (`twin.py`). Nothing here is asserted: a busy machine is a slow one.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import subprocess
import sys
from pathlib import Path

import pandas as pd
import torch

from benchmarks import floors
from benchmarks.stages import STAGES
from cmpae_toolkit.checkpoint import machine, versions


def measure(stage: str, threads: int) -> None:
    """One stage in this process; its rows as JSON lines, each with the process's peak memory so far."""
    torch.set_num_threads(threads)
    copy = floors.copy_rate()
    for row in STAGES[stage](copy):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        print(json.dumps(dataclasses.asdict(row) | {"peak_mb": round(peak / 1e6)}), flush=True)


def measured(stage: str, threads: int) -> list[dict]:
    command = [sys.executable, "-m", "benchmarks.run", "--stage-here", stage, "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"]  # killed, say, without a word
        print(f"{stage}: {said[-1]}", file=sys.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def table(rows: list[dict]) -> pd.DataFrame:
    shown = pd.DataFrame(rows)
    shown["plain"] = [f"{p / s:.2f} x" if p else "" for p, s in zip(shown["plain"], shown["seconds"], strict=True)]
    shown["ratio"] = (shown["seconds"] / shown["floor"]).where(shown["floor"] > 0)
    shown["seconds"] = [f"{s:.4g}{' *' if e else ''}" for s, e in zip(shown["seconds"], shown["extrapolated"], strict=True)]
    shown["floor"] = [f"{f:.3g}" if f else "" for f in shown["floor"]]
    shown["ratio"] = [f"{r:.2f}" if r == r else "" for r in shown["ratio"]]
    return shown[["stage", "size", "seconds", "floor", "ratio", "plain", "peak_mb", "note"]].rename(columns={"peak_mb": "peak MB"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", nargs="+", choices=STAGES, help="default: all; gpu only where there is one")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: %(default)s")
    parser.add_argument("--json", type=Path, help="write the rows with machine and versions here")
    parser.add_argument("--stage-here", choices=STAGES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage_here:
        measure(options.stage_here, options.threads)
        return
    stages = options.stages or [s for s in STAGES if s != "gpu" or torch.cuda.is_available()]
    rows = [row for stage in stages for row in measured(stage, options.threads)]
    print(table(rows).to_string(index=False))
    print(f"\n{options.threads} threads; * extrapolated from a few steps; floor and seconds in s"
          + ("" if torch.cuda.is_available() else "; no GPU here: its stage was not measured"))
    if options.json:
        about = {"machine": machine(), "versions": versions(), "threads": options.threads}
        options.json.write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
