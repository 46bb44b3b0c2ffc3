"""Signal features of films, those of `extract.signals`, read from the files that `write_mp4` wrote.

A picture is compared with the film's very picture before it, a tenth of a second earlier; `extract` compares the pictures that it takes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..config import StreamSpec
from ..errors import InputError
from ..extract.decoding import need_av
from ..extract.signals import BANDS, DIRECTIONS, PICTURES, picture_features, sound_features
from .film import FPS
from .sounds import RATE

STREAMS = {"audio": StreamSpec(4 * BANDS, 1, "audio"), "frames": StreamSpec(3 * 48 + 12 * DIRECTIONS + 48, PICTURES, "visual")}


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
