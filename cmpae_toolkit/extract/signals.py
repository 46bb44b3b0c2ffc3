"""Hand-made features of sound and pictures: what a spectrogram and a small picture say without any network.

They need no weights and no connection, and score lower than a network's features. Sound: log-mel bands of a snippet, their mean,
deviation, maximum and change. Pictures, four a snippet: the colours of a coarse grid, the directions of edges in a coarser one, and
where something moved since the picture before.
"""

from __future__ import annotations

from functools import cache

import numpy as np

RATE, PICTURES = 16000, 4  # Hz; pictures a snippet
BANDS, WINDOW, HOP = 48, 400, 160  # log-mel bands; samples
WIDTH, HEIGHT, CELL, COARSE, DIRECTIONS = 192, 144, 24, 48, 8  # pixels; directions of edges


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Gives the log-mel bands (frame, 48) of a sound (sample,) at 16 kHz, a frame every 10 ms: -2 where it is silent, 1 more for 20 dB."""
    samples = np.pad(samples, (0, max(0, WINDOW + HOP - len(samples))))
    parts = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP] * np.hanning(WINDOW)
    return np.log10(np.abs(np.fft.rfft(parts, 512)) ** 2 @ _mel_filters().T + 1e-4) / 2


def sound_features(samples: np.ndarray) -> np.ndarray:
    """Describes a snippet's sound (sample,) at 16 kHz in 4 x 48 values: mean, deviation, maximum, change of each log-mel band."""
    bands = log_mel(samples)
    return np.concatenate([bands.mean(0), bands.std(0), bands.max(0), np.abs(np.diff(bands, axis=0)).mean(0)])


def picture_features(picture: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Describes a picture (height, width, 3), uint8, and what moved since the one before, in 288 values; both are first stretched to
    192 x 144."""
    now, then = (_stretched(each).astype(np.float32) / 255 for each in (picture, before))
    down, across = np.gradient(now.mean(2))
    direction = ((np.arctan2(down, across) / np.pi % 1) * DIRECTIONS).astype(int) % DIRECTIONS
    cell = np.add.outer(np.arange(HEIGHT) // COARSE * (WIDTH // COARSE), np.arange(WIDTH) // COARSE)
    edges = np.bincount((DIRECTIONS * cell + direction).ravel(), np.hypot(down, across).ravel(), DIRECTIONS * (cell.max() + 1))
    colours = [_cells(now[..., c]) for c in range(3)]
    return np.concatenate([*colours, 10 * edges / COARSE**2, 10 * _cells(np.abs(now - then).mean(2))])


def features(sound: np.ndarray | None, pictures: tuple[np.ndarray, ...], before: np.ndarray | None) -> dict[str, np.ndarray]:
    """The streams of one snippet: "audio" (1, 192) and "frames" (4, 288); a modality that is not there has none."""
    found = {} if sound is None else {"audio": sound_features(sound)[None]}
    if pictures:
        earlier = (pictures[0] if before is None else before, *pictures[:-1])
        found["frames"] = np.stack([picture_features(p, q) for p, q in zip(pictures, earlier, strict=True)])
    return found


def _stretched(picture: np.ndarray) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((WIDTH, HEIGHT), Image.Resampling.BOX))


def _cells(values: np.ndarray) -> np.ndarray:
    """The means of square cells of an array (height, width), row by row."""
    return values.reshape(HEIGHT // CELL, CELL, WIDTH // CELL, CELL).mean(axis=(1, 3)).ravel()


@cache
def _mel_filters() -> np.ndarray:
    """(band, bin of a 512-point spectrum): triangles, evenly spaced in mel from 60 Hz to half the rate."""
    edges = 700 * (np.exp(np.linspace(np.log1p(60 / 700), np.log1p(RATE / 2 / 700), BANDS + 2)) - 1)
    low, middle, high = (edges[k : k + BANDS, None] for k in range(3))
    frequency = np.linspace(0, RATE / 2, 257)
    return np.clip(np.minimum((frequency - low) / (middle - low), (high - frequency) / (high - middle)), 0, None)
