"""Signal features of films: what a spectrogram and a small picture say without any network.

They score lower than a network's features, yet need no weights and no connection. Sound: log-mel bands of each second, their mean,
deviation, maximum and change. Pictures, four a second: the colours of a coarse grid, the directions of edges in a coarser one, and
where something moved since the picture before.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from ..config import StreamSpec
from ..errors import InputError
from .canvas import HEIGHT, WIDTH
from .film import FPS, need_av
from .sounds import RATE

BANDS, WINDOW, HOP = 48, 400, 160  # log-mel bands; samples
PICTURES, CELL, COARSE, DIRECTIONS = 4, 24, 48, 8  # pictures a second; pixels; pixels; directions of edges
WIDTHS = {"audio": 4 * BANDS, "frames": 3 * 48 + 12 * DIRECTIONS + 48}
STREAMS = {"audio": StreamSpec(WIDTHS["audio"], 1, "audio"), "frames": StreamSpec(WIDTHS["frames"], PICTURES, "visual")}


def read_mp4(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads a film of `write_mp4`: samples (sample) in -1..1 and pictures (picture, height, width, 3), uint8, both whole seconds long.

    A file that cannot be read is an InputError.
    """
    av = need_av()
    try:
        with av.open(str(path)) as film:
            to_rgb = av.video.reformatter.VideoReformatter()  # one for all: to make one takes longer than to use it
            pictures = np.stack([to_rgb.reformat(frame, format="rgb24").to_ndarray() for frame in film.decode(video=0)])
            film.seek(0)
            sound = np.concatenate([frame.to_ndarray()[0] for frame in film.decode(audio=0)])
    except (av.FFmpegError, ValueError, IndexError) as error:
        raise InputError(f"{path}: this film cannot be read ({error}): remove it and make it again.") from None
    seconds = len(pictures) // FPS
    return np.pad(sound, (0, max(0, seconds * RATE - len(sound))))[: seconds * RATE], pictures[: seconds * FPS]


def signal_features(path: Path) -> dict[str, np.ndarray]:
    """Gives the features of one film, stream -> (position, width), float16: a position a second of "audio", four of "frames"."""
    sound, pictures = read_mp4(path)
    audio = np.stack([sound_features(part) for part in sound.reshape(-1, RATE)])
    middles = ((np.arange(PICTURES * len(pictures) // FPS) + 0.5) * FPS / PICTURES).astype(int)
    frames = np.stack([picture_features(pictures[k], pictures[max(0, k - 1)]) for k in middles])
    return {"audio": audio.astype(np.float16), "frames": frames.astype(np.float16)}


def sound_features(samples: np.ndarray) -> np.ndarray:
    """Describes one second of sound (sample) in 4 x 48 values: mean, deviation, maximum and change of each log-mel band."""
    parts = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(parts, 512)) ** 2
    bands = np.log10(power @ _mel_filters().T + 1e-4) / 2
    return np.concatenate([bands.mean(0), bands.std(0), bands.max(0), np.abs(np.diff(bands, axis=0)).mean(0)])


def picture_features(picture: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Describes a picture (height, width, 3), uint8, and what has moved since the one before."""
    now, then = picture.astype(np.float32) / 255, before.astype(np.float32) / 255
    grey = now.mean(2)
    down, across = np.gradient(grey)
    strength = np.hypot(down, across)
    direction = ((np.arctan2(down, across) / np.pi % 1) * DIRECTIONS).astype(int) % DIRECTIONS
    cell = np.add.outer(np.arange(HEIGHT) // COARSE * (WIDTH // COARSE), np.arange(WIDTH) // COARSE)
    edges = np.bincount((DIRECTIONS * cell + direction).ravel(), strength.ravel(), DIRECTIONS * (cell.max() + 1)) / COARSE**2
    moved = _cells(np.abs(now - then).mean(2), CELL)
    colours = np.stack([_cells(now[..., c], CELL) for c in range(3)])
    return np.concatenate([colours.ravel(), 10 * edges, 10 * moved.ravel()])


def _cells(values: np.ndarray, size: int) -> np.ndarray:
    """The means of square cells of an array (height, width)."""
    height, width = values.shape
    return values.reshape(height // size, size, width // size, size).mean(axis=(1, 3))


@cache
def _mel_filters() -> np.ndarray:
    """(band, bin of a 512-point spectrum): triangles, evenly spaced in mel from 60 Hz to half the rate."""
    edges = 700 * (np.exp(np.linspace(np.log1p(60 / 700), np.log1p(RATE / 2 / 700), BANDS + 2)) - 1)
    low, middle, high = (edges[k : k + BANDS, None] for k in range(3))
    frequency = np.linspace(0, RATE / 2, 257)
    return np.clip(np.minimum((frequency - low) / (middle - low), (high - frequency) / (high - middle)), 0, None)
