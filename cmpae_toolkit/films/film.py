"""One film: what happens in it, its sound, its pictures, and both as an mp4 file.

A film's sound is the sum of its things' tracks, of what passes by, and of the scene's ambience; a picture shows them over the
scene's background. A thing is heard in exactly the snippets of its audio roll and drawn in exactly those of its visual roll.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import BinaryIO

import numpy as np

from ..data.simulation.world import generator
from ..extract.decoding import need_av
from ..metrics import events
from .canvas import HEIGHT, WIDTH, Pen
from .rhythm import TAU, Instance
from .scenes import BACKGROUNDS, PASSING, ambience
from .sounds import RATE, level
from .world import CATEGORIES, THINGS, Thing, setting, timelines

FPS = 10  # pictures a second
SLOTS = (0.2, 0.5, 0.8)  # where across the picture things live, so that none hides another
FADE = 0.03  # seconds in which a sound begins and ends
GROWING = 0.25  # seconds in which a thing appears and goes
PASSING_SHARE = 0.4  # of the films, per modality, in which something passes by without being an event
PASSING_LEVEL = 0.35  # how loud it is beside an event
BEHIND = ("Wind", "Bell", "Clock")  # drawn first; rain is drawn last
ENCODER = {"crf": "27", "preset": "veryfast", "tune": "zerolatency"}  # of x264, which looking ahead writes other bytes each time


@dataclass(frozen=True, eq=False)
class Film:
    """What happens in a film: `roll` (modality, snippet, category), bool; everything else follows from `id` and `seed`."""

    id: str
    scene: str
    roll: np.ndarray
    seed: int = 0
    passing: tuple[tuple[int, float, float] | None, ...] = field(init=False)  # per modality: kind, onset, offset (s)
    instances: dict[str, Instance] = field(init=False)

    def __post_init__(self) -> None:
        rng = self.generator("instances")
        slots = dict(zip(rng.permutation(np.flatnonzero(self.roll.any(axis=(0, 1)))), np.resize(rng.permutation(SLOTS), 12), strict=False))
        instances = {CATEGORIES[c]: Instance.draw(rng, x, THINGS[CATEGORIES[c]].down) for c, x in sorted(slots.items())}
        passing = []
        for name, kinds in PASSING.items():
            onset, there, kind = rng.uniform(0, 7), rng.random() < PASSING_SHARE, int(rng.integers(len(kinds)))
            passing.append((kind, onset, onset + rng.uniform(1, 3)) if there else None)
            instances[name] = Instance.draw(rng, rng.choice(SLOTS) + rng.choice([-0.15, 0.15]), kinds[kind][1])
        object.__setattr__(self, "instances", instances)
        object.__setattr__(self, "passing", tuple(passing))

    @property
    def seconds(self) -> float:
        return float(self.roll.shape[1])

    def generator(self, *purpose: str) -> np.random.Generator:
        return generator(self.seed, "film", self.id, *purpose)

    def spans(self, modality: int, category: str) -> list[tuple[int, int]]:
        """Lists first and one past the last snippet of each run of a category."""
        return list(map(tuple, events(self.roll[modality, :, CATEGORIES.index(category)], axis=0).tolist()))

    def names(self, modality: int) -> list[str]:
        """Lists the categories that occur in a modality."""
        return [CATEGORIES[c] for c in np.flatnonzero(self.roll[modality].any(axis=0))]

    # ---- Sound ----

    def track(self, category: str) -> np.ndarray:
        """Makes the sound of one category alone (sample); silent outside its events."""
        samples, own = np.zeros(int(self.seconds * RATE), np.float32), self.instances.get(category)
        for onset, offset in self.spans(0, category):
            samples[onset * RATE : offset * RATE] = own.level * _played(THINGS[category].sound, onset, offset, own)
        return samples

    def sound(self) -> np.ndarray:
        """Makes the whole sound (sample) in -1..1, mono at 16 kHz."""
        mix = ambience(self.scene, int(self.seconds * RATE), self.generator("ambience")).astype(np.float32)
        for category in self.names(0):
            mix += self.track(category)
        if self.passing[0]:
            kind, onset, offset = self.passing[0]
            part = _played(PASSING["passing sound"][kind][0], onset, offset, self.instances["passing sound"])
            mix[int(onset * RATE) :][: len(part)] += PASSING_LEVEL * part
        return mix * min(1, 0.95 / float(np.abs(mix).max()))

    # ---- Pictures ----

    @cached_property
    def background(self) -> np.ndarray:
        """Draws the scene without anything in it: (height, width, 3), float32 in 0..1."""
        picture = BACKGROUNDS[self.scene](self.generator("background"))
        return picture * self.generator("light").uniform(0.85, 1.0, 3).astype(np.float32)

    def picture(self, t: float, only: Collection[str] | None = None) -> np.ndarray:
        """Draws the picture at a time (s): (height, width, 3), uint8; with `only`, no other things than these, and nothing passing."""
        canvas = self.background.copy()
        if self.passing[1] and only is None:
            kind, onset, offset = self.passing[1]
            sight, down = PASSING["passing sight"][kind]
            self._draw(Pen(canvas), "passing sight", Thing("", None, sight, down, 14), t, [(onset, offset)])
        shown = sorted(self.names(1), key=lambda name: (name not in BEHIND, name == "Rain", self.instances[name].y))
        for category in shown:
            if only is None or category in only:
                thing = THINGS[category]
                self._draw(Pen(canvas), category, thing, t, self.spans(1, category))
        return (255 * np.clip(canvas, 0, 1) + 0.5).astype(np.uint8)

    def pictures(self) -> Iterator[np.ndarray]:
        """Draws all pictures in order, each at the middle of the time for which it is shown."""
        return (self.picture((k + 0.5) / FPS) for k in range(int(self.seconds * FPS)))

    def _draw(self, pen: Pen, name: str, thing: Thing, t: float, spans: Sequence[tuple[float, float]]) -> None:
        for onset, offset in spans:
            if onset <= t < offset:
                own = self.instances[name]
                grown = 0.35 + 0.65 * np.sin(np.pi / 2 * min(1.0, (t - onset) / GROWING, (offset - t) / GROWING))
                turn = TAU * (t * own.tempo / 7 + own.phase)
                x, y = own.x * WIDTH + own.drift * np.sin(turn), own.y * HEIGHT + own.drift / 3 * np.sin(1.7 * turn)
                if thing.drives:
                    x = np.clip(own.x * WIDTH + 4 * own.drift * np.sin(turn), 30, WIDTH - 30)
                    pen = pen.with_(mirrored=bool(np.cos(turn) < 0))
                thing.sight(pen.with_(x=float(x), y=float(y), scale=thing.scale * own.size * grown), t, own)


def _played(sound, onset: float, offset: float, own: Instance) -> np.ndarray:
    """Plays a sound from onset to offset (s) at the common loudness, beginning and ending softly."""
    t = onset + np.arange(round((offset - onset) * RATE)) / RATE
    edge = np.clip(np.minimum(t - onset, offset - t) / FADE, 0, 1)
    return (level(sound(t, own)) * edge).astype(np.float32)


def films(split: str, videos: int, seed: int = 0) -> list[Film]:
    """Gives the first so many films of a split."""
    lines = timelines(split, videos, seed)
    scenes = setting().scenes
    return [
        Film(f"{split}{number:05d}", scenes[scene], roll, seed)
        for number, (scene, roll) in enumerate(zip(lines.scene, lines.rolls, strict=True))
    ]


def write_mp4(film: Film, file: BinaryIO) -> None:
    """Writes a film as H.264 and AAC in an mp4 container, which browsers and players play. InputError without PyAV."""
    av = need_av()
    with av.open(file, "w", format="mp4") as out:
        video = out.add_stream("libx264", rate=FPS, options=ENCODER)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.thread_count = 1  # films are made side by side
        sound = out.add_stream("aac", rate=RATE, layout="mono")
        sound.bit_rate = 40_000
        for picture in film.pictures():
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(video.encode())
        frame = av.AudioFrame.from_ndarray(film.sound()[None], format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), 0
        for packet in (*sound.encode(frame), *sound.encode()):
            out.mux(packet)
