"""Memory of packing and of training from the packed store, at LLP's full size: 10,000 / 649 / 1,200 videos in LLP's published layout.

    python benchmarks/memory.py --json memory.json

A temporary folder is filled with random numbers of LLP's shapes (audio 10 x 128, frames 80 x 2048, clip 10 x 512, float32 as
published: 8.0 GB, and 4.0 GB of stores in float16); nothing of it is data, and it is deleted in the end. Then, each in a process
of its own whose /proc/PID/status is read every 5 ms: packing of the three splits, verifying the train store,
and one epoch of `fit` from the memory-mapped store (preset `released`, width 512, batch 128; the
noise ratios are given, as their estimator is trained by the same loop).

VmRSS counts all pages in memory, those of mapped files too, which the system takes back when it needs them; RssAnon counts what
the process itself holds. Linux only: no other system tells the two apart in this way.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

VIDEOS = {"train": 10_000, "val": 649, "test": 1_200}
SHAPES = {"audio": (10, 128), "frames": (80, 2048), "clip": (10, 512)}
FIELDS = {"VmRSS": "peak_rss", "VmHWM": "peak_rss", "RssAnon": "peak_anonymous"}
EVERY = 0.005  # seconds between two samples


def peak_memory(task: Callable[..., object], *args: object) -> dict[str, float]:
    """Run a function in a process of its own and return its peaks in bytes: `peak_rss` (kept by the kernel) and `peak_anonymous`.

    `peak_anonymous` is sampled, so a peak of less than a few milliseconds may be missed. A failed task ends the program.
    """
    process = multiprocessing.get_context("spawn").Process(target=task, args=args)
    peaks, started = dict.fromkeys(FIELDS.values(), 0), time.monotonic()
    process.start()
    while process.exitcode is None:
        for field, size in _status(process.pid).items():
            peaks[field] = max(peaks[field], size)
        process.join(EVERY)
    if process.exitcode:
        sys.exit(f"{task.__name__} ended with status {process.exitcode}")
    return {**peaks, "seconds": time.monotonic() - started}


def _status(pid: int | None) -> dict[str, int]:
    """The sizes of a running process in bytes; nothing once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    told = {name: value for name, _, value in (line.partition(":") for line in lines) if name in FIELDS}
    sizes: dict[str, int] = {}
    for name, value in told.items():
        sizes[FIELDS[name]] = max(sizes.get(FIELDS[name], 0), 1024 * int(value.split()[0]))
    return sizes


def make_folder(folder: Path, videos: dict[str, int]) -> None:
    """LLP's layout with random features: a different block of one long row of random numbers for each video and stream."""
    from cmpae_toolkit.data import LLP_CATEGORIES
    from cmpae_toolkit.data.features import PUBLISHED_STREAMS
    from cmpae_toolkit.data.lists import DENSE_COLUMNS, WEAK_COLUMNS, write_rows

    rng = np.random.default_rng(0)
    noise = np.maximum(rng.standard_normal(4_000_000, dtype=np.float32), 0)
    dense = []
    for split, count in videos.items():
        names = [(f"{split:_<6}{number:05d}", LLP_CATEGORIES[number % len(LLP_CATEGORIES)]) for number in range(count)]
        rows = [(f"{video}_0_10", category) for video, category in names]
        write_rows(folder / f"AVVP_{split}{'' if split == 'train' else '_pd'}.csv", WEAK_COLUMNS, rows)
        dense += [] if split == "train" else [(filename, 2, 8, category) for filename, category in rows]
        for stream, shape in SHAPES.items():
            (folder / "feats" / PUBLISHED_STREAMS[stream]).mkdir(parents=True, exist_ok=True)
            for video, _ in names:
                start = rng.integers(len(noise) - np.prod(shape))
                np.save(folder / "feats" / PUBLISHED_STREAMS[stream] / f"{video}.npy", noise[start:][: np.prod(shape)].reshape(shape))
    for modality in ("audio", "visual"):
        write_rows(folder / f"AVVP_eval_{modality}.csv", DENSE_COLUMNS, dense)


def nothing() -> None:
    """What the toolkit needs before it does anything."""
    import cmpae_toolkit.data
    import cmpae_toolkit.train  # noqa: F401


def pack_split(folder: Path, split: str, out: Path) -> None:
    from cmpae_toolkit.data import pack

    pack(folder, split, out, progress=False)


def verify_store(store: Path) -> None:
    from cmpae_toolkit.data import verify

    verify(store)


def train_epoch(train_store: Path, val_store: Path, epochs: int) -> None:
    """`fit` as a user calls it, or (no epochs) only what must be there before: the opened stores and the model."""
    import torch

    from cmpae_toolkit.config import presets
    from cmpae_toolkit.data import open_store
    from cmpae_toolkit.method import Supervision
    from cmpae_toolkit.model import CMPAE
    from cmpae_toolkit.train import fit

    torch.set_num_threads(1)
    train_set, val_set = open_store(train_store), open_store(val_store)
    config = presets["released"].changed(epochs=max(1, epochs), width=512, batch_size=128)
    if not epochs:
        CMPAE(config, train_set.spec)
        return
    noise = Supervision(constants={"noise_ratios": torch.full((2, len(train_set.categories)), 0.1)})
    fit(config, train_set, val_set, supervision=noise, device="cpu", progress=False)


def measure(place: Path, videos: dict[str, int], epochs: int) -> dict[str, dict[str, float]]:
    """All measurements, by what was done; `place` must be empty and is left full."""
    folder, stores = place / "llp", {split: place / "stores" / split for split in videos}
    os.environ["CMPAE_HOME"] = str(place / "home")  # whatever is cached goes away with the rest
    results = {"import the toolkit": peak_memory(nothing)}
    results["make the folder"] = peak_memory(make_folder, folder, videos)
    for split, store in stores.items():
        results[f"pack {split}"] = peak_memory(pack_split, folder, split, store)
    results["verify train"] = peak_memory(verify_store, stores["train"])
    shutil.rmtree(folder)  # the stores need nothing else
    results["open the stores, make the model"] = peak_memory(train_epoch, stores["train"], stores["val"], 0)
    results[f"train from the store, epochs: {epochs}"] = peak_memory(train_epoch, stores["train"], stores["val"], epochs)
    return results


def report(results: dict[str, dict[str, float]], videos: dict[str, int]) -> str:
    lines = [f"random features of LLP's shapes, videos: {', '.join(f'{count:,} {split}' for split, count in videos.items())}", ""]
    lines.append(f"{'':<43}{'VmRSS':>10}{'RssAnon':>10}{'time':>9}   (peaks, MB of 10^6 bytes)")
    for what, peaks in results.items():
        lines.append(f"{what:<43}{peaks['peak_rss'] / 1e6:>10,.0f}{peaks['peak_anonymous'] / 1e6:>10,.0f}{peaks['seconds']:>7,.0f} s")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="of LLP's number of videos (default: %(default)s, all)")
    parser.add_argument("--epochs", type=int, default=1, help="of training; 79 steps each at full size (default: %(default)s)")
    parser.add_argument("--place", type=Path, help="where the temporary folder is made; 12 GB at full size (default: the system's)")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    options = parser.parse_args(argv)
    if not sys.platform.startswith("linux"):
        print("This measurement reads /proc/PID/status, which only Linux has.", file=sys.stderr)
        return 2
    videos = {split: max(1, round(options.share * count)) for split, count in VIDEOS.items()}
    needed = 1.6 * sum(videos.values()) * sum(4 * int(np.prod(shape)) for shape in SHAPES.values())
    with tempfile.TemporaryDirectory(prefix="cmpae-memory-", dir=options.place) as place:
        free = shutil.disk_usage(place).free
        if free < needed:
            print(f"{place}: {needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} free: choose another --place.", file=sys.stderr)
            return 2
        results = measure(Path(place), videos, options.epochs)
    print(report(results, videos))
    text = json.dumps({"videos": videos, "bytes": results}, indent=1) + "\n"
    if options.json:
        options.json.write_text(text)
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
