"""Films read as those of LLP's published features were, quirks and all: for checkpoints that were trained on those features.

Pictures: eight a second as ffmpeg's option -r chooses them, 0.09 to 0.17 s early, through JPEG, then 80 of them, evenly spread, however
long the film lasts. Sound: at 44.1 kHz and 16 bit, of which each 1/16000 s takes the nearest sample, without a filter, so that what
lies above 8 kHz folds back. Films with less sound than 9.975 s have no published features, and are refused here, too.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .decoding import Film, Notes, Snippet, frames_of, look_at, need_av, turn_of, turned, whole_sound

SNIPPETS, PICTURES, PER_SECOND = 10, 8, 8  # of a film; of a snippet; of a second, before 80 are taken
CLEVER, DECODED, RATE = 1.1, 44_100, 16_000  # output frames by which ffmpeg lets a picture be off; Hz; Hz
LONGEST, LEAST = 12.0, 9.975  # seconds: of a film; of its sound
TURN = 3  # bytes before a JPEG: how it is to be turned


def snippets(
    path: str | Path, *, seconds: float = 1.0, pictures: int = PICTURES, rate: int = RATE, notes: Notes | None = None
) -> Iterator[Snippet]:
    """The ten snippets of a film of ten seconds; the arguments are those of `decoding.snippets`, and have one value each.

    Raises InputError where the film is longer than 12 s (cut it first), or has no picture or too little sound.
    """
    if (seconds, pictures, rate) != (1.0, PICTURES, RATE):
        raise InputError("the published features have snippets of one second, with eight pictures and sound of 16 kHz.")
    notes, film = Notes() if notes is None else notes, look_at(path)
    if film.seconds is not None and film.seconds > LONGEST:
        raise InputError(f"{film.path.name} lasts {film.seconds:.1f} s: cut it to ten, as the films of the published features were.")
    heard = decimated(whole_sound(film.path, DECODED))
    if len(heard) < LEAST * RATE:
        raise InputError(f"{film.path.name} has {len(heard) / RATE:.1f} s of sound: there are no published features of less than {LEAST}.")
    shown = _shown(film, notes)
    if not shown:
        raise InputError(f"{film.path.name} has no picture: there are no published features of such films.")
    eighty = [shown[k] for k in np.round(np.linspace(0, len(shown) - 1, SNIPPETS * PICTURES)).astype(int)]
    for t in range(SNIPPETS):
        sound = heard[t * RATE : (t + 1) * RATE]
        yield Snippet(np.pad(sound, (0, RATE - len(sound))), tuple(map(_decoded, eighty[t * PICTURES : (t + 1) * PICTURES])), 1.0)


def chosen(times: Sequence[float], rate: float) -> list[int]:
    """Which frames stand for an output of 8 a second: their numbers, one after the other, by ffmpeg's rule for constant rates.

    `times`: the frames' stamps in seconds from the film's start; `rate`: how many frames a second the film says it has. A frame is
    written when it lies no more than 1.1 output frames before its turn, with its own length added, and repeated where turns stay empty.
    """
    length, found, filled = round(PER_SECOND / rate) or PER_SECOND / rate, [], [0, 0, 0]  # of slow films ffmpeg rounds it
    for number, time in enumerate(times):
        before = PER_SECOND * time - len(found)
        behind = before + length
        before = 0.0 if before < 0 < behind else before
        count, earlier = 1, 0
        if behind < -CLEVER:
            count = 0
        elif behind > CLEVER:
            count = round(behind)
            earlier = min(count, round(before - 0.6)) if before > CLEVER else 0
        earlier = earlier if number else 0
        found += [number - 1] * earlier + [number] * (count - earlier)
        filled = [*filled[1:], earlier]
    return found + [len(times) - 1] * (sorted(filled)[1] if len(times) else 0)


def decimated(sound: np.ndarray) -> np.ndarray:
    """Samples (sample,) at 44.1 kHz -> at 16 kHz: the nearest of each, of 16 bit, within 0.99."""
    nearest = np.round(np.arange(int(len(sound) * RATE / DECODED)) * DECODED / RATE).astype(int)
    coarse = np.round(np.clip(sound[nearest[nearest < len(sound)]], -0.99, 0.99) * 32767)
    return (coarse / 32768).astype(np.float32)


def _shown(film: Film, notes: Notes) -> list[bytes]:
    """The chosen pictures as JPEG; a first pass over the film reads the times alone."""
    av = need_av()
    times = [time for time, _ in frames_of(film, 0, Notes())]
    if not times:
        return []
    wanted = chosen(times, film.frame_rate)
    encoder, made = None, {}
    for number, (_, frame) in enumerate(frames_of(film, 0, notes)):
        if number in made or number not in wanted:
            continue
        if encoder is None or (encoder.width, encoder.height) != (frame.width, frame.height):
            encoder = av.CodecContext.create("mjpeg", "w")  # with the library's own rate, as ffmpeg without an option
            encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "yuvj420p"
            encoder.time_base, encoder.framerate, encoder.thread_count = Fraction(1, PER_SECOND), Fraction(PER_SECOND), 1
        picture = frame.reformat(format="yuvj420p", interpolation="BICUBIC", src_color_range="MPEG", dst_color_range="JPEG")
        picture.pts, picture.time_base = len(made), Fraction(1, PER_SECOND)
        made[number] = bytes(turn_of(frame)) + b"".join(bytes(packet) for packet in encoder.encode(picture))
    return [made[number] for number in wanted if number in made]


def _decoded(jpeg: bytes) -> np.ndarray:
    from PIL import Image

    with Image.open(io.BytesIO(jpeg[TURN:])) as image:
        return turned(np.asarray(image.convert("RGB")), jpeg[:TURN])


def about() -> dict[str, Any]:
    """What provenance says beside the networks."""
    return {
        "as released": "80 of the pictures that ffmpeg -r 8 chooses, through JPEG; sound of 44.1 kHz brought to 16 kHz by nearest samples",
    }
