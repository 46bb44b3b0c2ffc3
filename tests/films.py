"""Tiny films for tests: pictures tell their number and their second, tones their second."""

from fractions import Fraction
from pathlib import Path

import numpy as np

RATE = 16_000  # Hz
PIXELS = {"mjpeg": "yuvj420p", "gif": "rgb8"}  # of codecs that take no yuv420p


def picture(number, second=0, size=(64, 48)):
    """Its brightness tells the number, the colour of its middle second % 3, and a bright left edge which way is up."""
    width, height = size
    shown = np.full((height, width, 3), 40 + 10 * (number % 16), np.uint8)
    shown[height // 4 : -height // 4, width // 4 : -width // 4, second % 3] = 250
    shown[:, : width // 4] = 255
    return shown


def tone(seconds, rate=RATE, channels=1, start=0.0):
    """A tone of 500 Hz in the first second, 1000 in the next, and so on, and again from the eleventh: (channel, sample)."""
    t = start + np.arange(round(seconds * rate)) / rate
    return np.tile((0.5 * np.sin(2 * np.pi * 500 * (1 + t.astype(int) % 10) * t)).astype(np.float32), (channels, 1))


def make_film(path, seconds=1.0, fps=10, *, video="libx264", audio="aac", size=(64, 48), rate=RATE, layout="mono", times=None,
              pixels=None, late_sound=0.0, late_pictures=0.0, sound_seconds=None, format=None, gap=None):
    """Writes a film in these codecs, None for a track that is left out. `times` are the pictures' own stamps, the sound lasts
    `sound_seconds` and leaves `gap` (from, to) out, and either track may be late."""
    import av

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=format) as out:
        pictures = video and out.add_stream(video, rate=fps)
        sound = audio and out.add_stream(audio, rate=rate, layout=layout)
        if pictures:
            (pictures.width, pictures.height), pictures.pix_fmt = size, pixels or PIXELS.get(video, "yuv420p")
            if video == "libx265":  # it speaks on standard error
                pictures.options = {"x265-params": "log-level=none"}
            if video != "mpeg2video":  # it knows its own rates only
                pictures.codec_context.time_base = Fraction(1, 1000)
            for number, time in enumerate([i / fps for i in range(round(seconds * fps))] if times is None else times):
                frame = av.VideoFrame.from_ndarray(picture(number, int(time), size), format="rgb24").reformat(format=pictures.pix_fmt)
                frame.pts, frame.time_base = round(1000 * (time + late_pictures)), Fraction(1, 1000)
                out.mux(pictures.encode(frame))
            out.mux(pictures.encode())
        if sound:
            samples = tone(seconds if sound_seconds is None else sound_seconds, rate, sound.layout.nb_channels)
            length = sound.codec_context.frame_size or 1024
            resampler = av.AudioResampler(format=sound.format.name, layout=layout, rate=rate)
            for start in range(0, samples.shape[1], length):
                if gap and gap[0] <= start / rate < gap[1]:
                    continue
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, start : start + length]), format="fltp", layout=layout)
                frame.sample_rate, frame.pts, frame.time_base = rate, start + round(late_sound * rate), Fraction(1, rate)
                for each in resampler.resample(frame):
                    out.mux(sound.encode(each))
            out.mux(sound.encode())
    return Path(path)
