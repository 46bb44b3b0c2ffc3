"""What a thing's sound and its picture share: one film's own version of a thing, and the clock that both of them follow.

The bell swings as it rings and the mouth opens with the syllable, because sound and picture ask the same functions of time. Times
are seconds since the film began, as numbers or arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TAU = 2 * np.pi


@dataclass(frozen=True)
class Instance:
    """One film's version of a thing. `pitch`, `tempo`, `level` and `size` are factors around 1; `hue` and `phase` are in 0..1.

    `x` and `y` (0..1) say where in the picture it lives, `drift` how far it moves about (pixels); `seed` draws what else varies.
    """

    pitch: float
    tempo: float
    level: float
    size: float
    hue: float
    phase: float
    x: float
    y: float
    drift: float
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator, x: float, y: float) -> Instance:
        """Draws a version that lives near (x, y)."""
        pitch, tempo, level, size = np.exp(np.array([0.12, 0.12, 0.3, 0.1]) * np.clip(rng.standard_normal(4), -2, 2))
        hue, phase, dx, dy = rng.random(4)
        near = x + 0.08 * (dx - 0.5), y + 0.06 * (dy - 0.5)
        return cls(pitch, tempo, level, size, hue, phase, *near, rng.uniform(3, 9), int(rng.integers(2**31)))

    def generator(self, *purpose: int) -> np.random.Generator:
        """Independent random numbers for each purpose."""
        return np.random.default_rng([self.seed, *purpose])


def stroke(t, own: Instance, period: float):
    """Says how long ago the last stroke was (s), and which it was, of strokes that come every `period` seconds at tempo 1."""
    every = period / own.tempo
    beats = t / every + own.phase
    return (beats % 1) * every, np.floor(beats).astype(int)


def wave(t, own: Instance, period: float):
    """Goes up and down between -1 and 1, once in `period` seconds at tempo 1."""
    return np.sin(TAU * (t * own.tempo / period + own.phase))


def gust(t, own: Instance):
    """Says how strongly the wind blows, in 0..1; never quite still."""
    return 0.55 + 0.3 * wave(t, own, 3.1) + 0.15 * wave(t + 1, own, 1.3)


def syllable(t, own: Instance):
    """Says how far the mouth is open, in 0..1, and which syllable it is; four or so a second, some of them swallowed."""
    since, number = stroke(t, own, 0.27)
    strength = own.generator(1).uniform(0.25, 1, 64)[number % 64]
    return strength * np.sin(np.pi * np.clip(since / (0.27 / own.tempo), 0, 1)) ** 0.7, number


def chirp(t, own: Instance):
    """Says how strongly the cricket sings, in 0..1: trains of four pulses, and a rest."""
    since, _ = stroke(t, own, 0.42)
    return np.where(since < 0.24, np.sin(np.pi * (since / 0.06 % 1)) ** 2, 0.0)


def blast(t, own: Instance):
    """Says whether the whistle is blown, in 0..1."""
    since, _ = stroke(t, own, 0.75)
    return np.clip(since / 0.02, 0, 1) * np.clip((0.52 / own.tempo - since) / 0.04, 0, 1)


def beep(t, own: Instance):
    """Says whether the alarm clock beeps, in 0..1: three short ones and a rest."""
    since, _ = stroke(t, own, 0.8)
    part = since * own.tempo / 0.17
    return np.where(part < 3, np.clip((part % 1) / 0.08, 0, 1) * np.clip((0.75 - part % 1) / 0.08, 0, 1), 0.0)


DRUM = (1.0, 0.35, 0.6, 0.35, 0.9, 0.35, 0.7, 0.8)  # how hard the strokes of a bar are


def drum_stroke(t, own: Instance):
    """Says how long ago the last stroke was (s), how hard it was, and which hand struck (0 or 1)."""
    since, number = stroke(t, own, 0.25)
    return since, np.array(DRUM)[number % len(DRUM)], number % 2
