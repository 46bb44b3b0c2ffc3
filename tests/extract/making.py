"""Tiny films for tests: a picture whose brightness tells the frame's number, and a tone whose pitch tells the second."""

from fractions import Fraction

import av
import numpy as np

RATE = 16000


def picture(number, size=(64, 48)):
    """Grey of a brightness that tells the number, with a bright left edge that shows which way is up."""
    shown = np.full((size[1], size[0], 3), 40 + 10 * (number % 16), np.uint8)
    shown[:, : size[0] // 4] = 255
    return shown


def tone(seconds, rate=RATE, channels=1, start=0.0):
    """A tone of 500 Hz in the first second, 1000 in the next, and so on: (channel, sample)."""
    t = start + np.arange(round(seconds * rate)) / rate
    return np.tile((0.5 * np.sin(2 * np.pi * 500 * (1 + t.astype(int)) * t)).astype(np.float32), (channels, 1))


def write(path, seconds=1.0, fps=10, *, codec="mpeg4", sound="aac", size=(64, 48), rate=RATE, layout="mono", times=None,
          late_sound=0.0, late_pictures=0.0, sound_seconds=None, format=None, pictures=True, gap=None):
    """Writes a film; `times` are the frames' own stamps, `gap` (from, to) leaves sound out; None for a codec leaves a track out."""
    with av.open(str(path), "w", format=format) as out:
        video = audio = None
        if pictures and codec:
            video = out.add_stream(codec, rate=fps)
            video.width, video.height = size
            video.pix_fmt = {"mjpeg": "yuvj420p", "ffv1": "yuv420p", "gif": "rgb8"}.get(codec, "yuv420p")
            if codec != "mpeg2video":  # it knows its own rates only
                video.codec_context.time_base = Fraction(1, 1000)
        if sound:
            audio = out.add_stream(sound, rate=rate)
            audio.layout = layout
        if video is not None:
            times = [i / fps for i in range(round(seconds * fps))] if times is None else times
            for number, time in enumerate(times):
                frame = av.VideoFrame.from_ndarray(picture(number, size), format="rgb24").reformat(format=video.pix_fmt)
                frame.pts, frame.time_base = round(1000 * (time + late_pictures)), Fraction(1, 1000)
                out.mux(video.encode(frame))
            out.mux(video.encode())
        if audio is not None:
            lasts = seconds if sound_seconds is None else sound_seconds
            samples = tone(lasts, rate, len(audio.layout.channels))
            size_of = audio.codec_context.frame_size or 1024
            resampler = av.AudioResampler(format=audio.format.name, layout=layout, rate=rate)
            for start in range(0, samples.shape[1], size_of):
                if gap and gap[0] <= start / rate < gap[1]:
                    continue
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, start : start + size_of]), format="fltp", layout=layout)
                frame.sample_rate, frame.pts, frame.time_base = rate, start + round(late_sound * rate), Fraction(1, rate)
                for each in resampler.resample(frame):
                    out.mux(audio.encode(each))
            out.mux(audio.encode())
    return path
