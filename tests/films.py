"""Tiny films for tests: each second has its own colour and tone, so that a picture tells when it is of."""

from fractions import Fraction
from pathlib import Path

import numpy as np

RATE, SOUND = 10, 48_000  # frames and samples a second
COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200))


def make_film(path: Path, seconds: int = 10, video: str = "libx264", audio: str = "aac", size: tuple[int, int] = (64, 36)) -> Path:
    """Writes a film in these codecs: second t has the colour t % 3 and a tone of 300 + 60 t Hz."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as film:
        picture, sound = film.add_stream(video, rate=RATE), film.add_stream(audio, rate=SOUND)
        (picture.width, picture.height), picture.pix_fmt, sound.layout = size, "yuv420p", "mono"
        for i in range(seconds * RATE):
            pixels = np.broadcast_to(np.array(COLOURS[i // RATE % 3], np.uint8), (size[1], size[0], 3))
            film.mux(picture.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
        film.mux(picture.encode(None))
        for k in range(seconds * 50):
            time = (np.arange(SOUND // 50) + k * (SOUND // 50)) / SOUND
            wave = 0.3 * np.sin(2 * np.pi * (300 + 60 * (k // 50)) * time)
            frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = SOUND, k * (SOUND // 50), Fraction(1, SOUND)
            film.mux(sound.encode(frame))
        film.mux(sound.encode(None))
    return path
