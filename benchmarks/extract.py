"""How long films take to become features, stage by stage, and in how much memory: `python -m benchmarks.extract`

The films are made here, H.264 with AAC: drifting stripes and a sweeping tone. Seconds are the processor's, of one thread, for a whole
film: the pictures read, beside what decoding all of them takes in any case, the sound read, features computed, features written. Each
film and network runs in a process of its own, whose peak memory while it extracts is told beyond what imports and the
network's weights hold. The hour-long film is small and has five pictures a second; it becomes 360 videos.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd

FILMS = {  # seconds, width, height, pictures a second, Hz
    "10 s, 320 x 240": (10, 320, 240, 25, 44_100),
    "10 s, 1920 x 1080": (10, 1920, 1080, 25, 48_000),
    "10 minutes, 160 x 120": (600, 160, 120, 5, 16_000),
    "an hour, 160 x 120": (3600, 160, 120, 5, 16_000),
}
NETWORKS = ("handmade", "light")
BRIEF = 100  # seconds: longer films are not given to `light`, whose time is that of their ten-second clips
STAGES = ("the codec alone", "pictures", "sound", "features", "writing")


def make(path: Path, seconds: int, width: int, height: int, fps: int, rate: int) -> None:
    """Writes a film."""
    import av

    with av.open(str(path), "w") as out:
        pictures = out.add_stream("libx264", rate=fps, options={"preset": "veryfast", "threads": "1"})
        sound = out.add_stream("aac", rate=rate, layout="mono")
        pictures.width, pictures.height, pictures.pix_fmt = width, height, "yuv420p"
        across, down = np.arange(2 * width, dtype=np.uint8), np.arange(height, dtype=np.uint8)[:, None]
        stripes = np.stack([across ^ down, across + down, across // 2 + 0 * down], axis=-1)
        for number in range(seconds * fps):
            start = 3 * number % width
            shown = np.ascontiguousarray(stripes[:, start : start + width])
            out.mux(pictures.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        out.mux(pictures.encode())
        for start in range(0, seconds * rate, 1024):
            t = np.arange(start, min(start + 1024, seconds * rate)) / rate
            wave = (0.3 * np.sin(2000 * t * (1 + t % 1))).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            out.mux(sound.encode(frame))
        out.mux(sound.encode())


def measured(film: Path, networks: str) -> dict[str, float]:
    """The seconds of each stage, videos a second and peak MB, in a process of their own."""
    command = [sys.executable, "-m", "benchmarks.extract", "--here", str(film), networks]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


def measure(film: Path, networks: str) -> dict[str, float]:
    """The same, here."""
    import torch

    from cmpae_toolkit._files import save_array
    from cmpae_toolkit.extract import decoding, extract
    from cmpae_toolkit.extract import networks as nets

    torch.set_num_threads(1)
    chosen = nets.get(networks)
    silence, black = np.zeros(chosen.rate, np.float32), (np.zeros((256, 341, 3), np.uint8),) * chosen.pictures
    chosen.compute(silence, black, None)  # once, so that what a network sets up is not counted
    before = peak()
    with tempfile.TemporaryDirectory() as place:
        started = time.process_time()
        report = extract(film, Path(place, "set"), networks=chosen, progress=False)
        whole, most = time.process_time() - started, peak() - before
        about = decoding.look_at(film)
        seconds = {
            "the codec alone": spent(lambda: last(decoding.frames_of(about, 0, decoding.Notes()))),
            "pictures": spent(lambda: last(decoding._sight(about, 1.0, chosen.pictures, decoding.Notes()))),
            "sound": spent(lambda: last(decoding._sound(about, 1.0, chosen.rate, decoding.Notes()))),
        }
        snippets = decoding.snippets(film, pictures=chosen.pictures, rate=chosen.rate)
        seconds["features"] = spent_on(snippets, lambda each: chosen.compute(each.sound, each.pictures, None))
        made = [np.load(path) for path in Path(place, "set", "feats").rglob("*.npy")]
        seconds["writing"] = spent(lambda: [save_array(Path(place, "again.npy"), each) for each in made])
    return {"videos": report.videos, "whole": whole, "peak": most, **seconds}


def spent(call: Callable[[], object]) -> float:
    """The processor's seconds of a call."""
    started = time.process_time()
    call()
    return time.process_time() - started


def spent_on(items: Iterator, call: Callable[[object], object]) -> float:
    """The processor's seconds of calls with each item, without those of the iterator."""
    return sum(spent(lambda item=item: call(item)) for item in items)


def last(items: Iterator) -> None:
    for _ in items:
        pass


def peak() -> float:
    """MB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e6 / 1024)


def table(found: dict[tuple[str, str], dict[str, float]]) -> pd.DataFrame:
    """A row for each film and network."""
    rows = []
    for (film, networks), values in found.items():
        row = {"film": film, "network": f"`{networks}`"} | {stage: f"{values[stage]:.2g}" for stage in STAGES}
        rows.append(row | {
            "all of it": f"{values['whole']:.3g}", "videos a second and core": f"{values['videos'] / values['whole']:.2g}",
            "peak MB": f"{values['peak']:.0f}",
        })
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", nargs="+", choices=FILMS, default=list(FILMS))
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--here", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(Path(options.here[0]), options.here[1])))
        return
    found = {}
    with tempfile.TemporaryDirectory(prefix="cmpae-films-") as place:
        for number, name in enumerate(options.films):
            film = Path(place, f"film{number}.mp4")
            make(film, *FILMS[name])
            for networks in options.networks:
                if networks == "handmade" or FILMS[name][0] < BRIEF:
                    found[name, networks] = measured(film, networks)
                    print(name, networks, json.dumps(found[name, networks]), file=sys.stderr)
    print(table(found).to_markdown(index=False, disable_numparse=True))


if __name__ == "__main__":
    main()
