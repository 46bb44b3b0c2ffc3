"""How the things of the films sound, made of sines and noise at 16 kHz.

Each function takes times (sample), in seconds since the film began, and one film's version of the thing, and returns samples
(sample) of no particular loudness; `level` brings them to one.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from .rhythm import TAU, Instance, beep, blast, chirp, drum_stroke, gust, stroke, syllable, wave

RATE = 16_000  # samples a second
LOUD, PEAK = 0.09, 0.7  # the root mean square and the peak that a sound has at most, at level 1

VOWELS = {  # the first three formants of each (Hz)
    "a": (730, 1090, 2440), "e": (530, 1840, 2480), "i": (270, 2290, 3010), "o": (570, 840, 2410), "u": (300, 870, 2240),
}


def level(sound: np.ndarray) -> np.ndarray:
    """Brings a sound to the common loudness, short strokes by their peak."""
    return sound * min(LOUD / max(1e-9, float(np.sqrt(np.mean(sound**2)))), PEAK / max(1e-9, float(np.abs(sound).max())))


def noise(rng: np.random.Generator, samples: int, low: float, high: float, slope: float = 0.0) -> np.ndarray:
    """Makes noise between two frequencies (Hz) with soft edges; its power falls by 2 `slope` powers of the frequency."""
    size = 1 << max(1, samples - 1).bit_length()  # quick to transform, whatever the length
    spectrum = np.fft.rfft(rng.standard_normal(size).astype(np.float32))
    frequency = np.fft.rfftfreq(size, 1 / RATE) + 1
    spectrum *= frequency**-slope / (1 + (low / frequency) ** 4) / (1 + (frequency / high) ** 4)
    made = np.fft.irfft(spectrum, size)[:samples]
    return (made / max(1e-9, made.std())).astype(np.float32)


def rung(since: np.ndarray, pitch: float, partials: dict[float, tuple[float, float]]) -> np.ndarray:
    """Makes a struck or plucked tone, `since` seconds after the stroke; partials are multiple -> (amplitude, seconds to fade)."""
    tone = sum(a * np.exp(-since / fade) * np.sin(TAU * pitch * multiple * since) for multiple, (a, fade) in partials.items())
    return tone * np.clip(since / 0.003, 0, 1)


def harmonics(frequency: np.ndarray, amplitudes: tuple[float, ...]) -> np.ndarray:
    """Makes a tone whose frequency (Hz) may change from sample to sample."""
    phase = TAU * np.cumsum(frequency, dtype=np.float64) / RATE
    return sum(a * np.sin(k * phase) for k, a in enumerate(amplitudes, 1) if a)


def bell(t: np.ndarray, own: Instance) -> np.ndarray:
    since, _ = stroke(t, own, 1.3)
    return rung(since, 430 * own.pitch, {
        0.5: (0.5, 1.6), 1: (1, 1.2), 1.19: (0.7, 1), 1.5: (0.5, 0.9), 2: (0.9, 0.8), 2.51: (0.4, 0.5), 3.01: (0.4, 0.4), 4.2: (0.3, 0.2),
    })


def siren(t: np.ndarray, own: Instance) -> np.ndarray:
    return harmonics(own.pitch * (900 + 330 * wave(t, own, 2.2)), (1, 0, 0.4, 0, 0.15))


def alarm(t: np.ndarray, own: Instance) -> np.ndarray:
    """Sounds in the siren's band, so that the ear has to go by the rhythm."""
    return beep(t, own) * harmonics(np.full(len(t), 1010 * own.pitch), (1, 0, 0.4, 0, 0.15))


def drum(t: np.ndarray, own: Instance) -> np.ndarray:
    since, force, hand = drum_stroke(t, own)
    skin = np.exp(-since / 0.09) * np.sin(TAU * own.pitch * (92 * since + 3.2 * (1 - np.exp(-since / 0.03))))
    snare = np.exp(-since / 0.05) * noise(own.generator(2), len(t), 1200, 6000)
    return force * np.clip(since / 0.002, 0, 1) * (skin + (0.1 + 0.25 * hand) * snare)


def whistle(t: np.ndarray, own: Instance) -> np.ndarray:
    pea = np.sin(TAU * 31 * own.tempo * t)
    tone = harmonics(2750 * own.pitch * (1 + 0.035 * pea), (1, 0.12)) * (1 + 0.4 * pea)
    return blast(t, own) * (tone + 0.15 * noise(own.generator(2), len(t), 2000, 7000))


def engine(t: np.ndarray, own: Instance) -> np.ndarray:
    speed = 46 * own.pitch * (1 + 0.12 * wave(t, own, 4) + 0.02 * wave(t, own, 0.31))
    strokes = harmonics(speed, (0.8, 1, 0.5, 0.8, 0.3, 0.4, 0.2, 0.3, 0.15, 0.2))
    return strokes * (1 + 0.3 * noise(own.generator(2), len(t), 5, 30)) + 0.35 * noise(own.generator(3), len(t), 150, 1200, 0.5)


def rain(t: np.ndarray, own: Instance) -> np.ndarray:
    rng = own.generator(2)
    drops = np.where(rng.random(len(t)) < 90 / RATE, rng.exponential(1, len(t)), 0)
    ring = np.exp(-np.arange(400) / 60) * np.sin(TAU * 2300 * own.pitch * np.arange(400) / RATE)
    return noise(rng, len(t), 900, 7000, 0.3) + 2.5 * np.convolve(drops, ring)[: len(t)]


def crickets(t: np.ndarray, own: Instance) -> np.ndarray:
    tone = harmonics(np.full(len(t), 4300 * own.pitch), (1,)) + 0.5 * harmonics(np.full(len(t), 4420 * own.pitch), (1,))
    return chirp(t, own) * tone


def clock(t: np.ndarray, own: Instance) -> np.ndarray:
    since, number = stroke(t, own, 0.5)
    pitch = np.where(number % 2, 1900, 2300) * own.pitch
    tick = np.exp(-since / 0.012) * np.sin(TAU * pitch * since) + 0.6 * np.exp(-since / 0.03) * np.sin(TAU * 0.31 * pitch * since)
    return tick * np.clip(since / 0.0005, 0, 1)


def plucked_string(t: np.ndarray, own: Instance) -> np.ndarray:
    since, number = stroke(t, own, 0.4)
    tune = own.generator(2).choice([1, 9 / 8, 5 / 4, 3 / 2, 5 / 3, 2], 32)[number % 32]
    return rung(since, 196 * own.pitch * tune, {k: (np.sin(0.2 * np.pi * k) / k, 0.7 / k**0.7) for k in range(1, 12)})


def speech(t: np.ndarray, own: Instance) -> np.ndarray:
    """Babbles: a vowel a syllable, hissing consonants between some of them, and a melody that falls."""
    opening, number = syllable(t, own)
    rng = own.generator(3)
    voice = 105 if own.hue < 0.5 else 195  # Hz
    melody = 1 + 0.12 * wave(t, own, 2.6) + 0.08 * rng.uniform(-1, 1, 64)[number % 64]
    phase = np.cumsum(voice * own.pitch * melody, dtype=np.float64) / RATE
    tables = _vowel_tables(voice)
    vowel = rng.integers(len(tables), size=64)[number % 64]
    voiced = tables[vowel, (phase % 1 * tables.shape[1]).astype(int)]
    hissing = (rng.random(64) < 0.35)[number % 64] * np.clip(0.3 - opening, 0, 0.3)
    return opening * voiced + hissing * noise(own.generator(4), len(t), 2500, 6500)


@cache
def _vowel_tables(voice: int) -> np.ndarray:
    """(vowel, point): one period of each vowel, its harmonics as strong as its formants let them be."""
    harmonic = np.arange(1, 3800 // voice)
    tables = []
    for formants in VOWELS.values():
        strength = sum(1 / (k + 1) / (1 + ((voice * harmonic - f) / (70 + 30 * k)) ** 2) for k, f in enumerate(formants))
        turn = TAU * np.random.default_rng(0).random(len(harmonic))
        period = sum(s * np.sin(TAU * h * np.arange(1024) / 1024 + a) for s, h, a in zip(strength, harmonic, turn, strict=True))
        tables.append(period / period.std())
    return np.array(tables, np.float32)


def wind(t: np.ndarray, own: Instance) -> np.ndarray:
    """Roars low in a lull and whistles higher in a gust."""
    blow, rng = gust(t, own), own.generator(2)
    low, high = noise(rng, len(t), 90, 380 * own.pitch, 0.3), noise(rng, len(t), 450 * own.pitch, 900 * own.pitch)
    return blow * low + 0.7 * np.clip(blow - 0.4, 0, 1) * high
