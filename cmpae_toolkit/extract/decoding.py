"""One reader for films and sounds: snippet by snippet, by the time that is stamped on each frame, with memory that does not grow.

Sound and pictures are read by two passes over the file, each decoding its own stream only, so that neither waits for the other in
memory however the file is laid out. Both count from the earliest start of the two streams. At time t the picture is the last frame
stamped at t or before; the sound lies where its stamps say, with silence where packets are missing. What is odd becomes a note.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import get_ident
from typing import Any

import numpy as np

from ..errors import InputError

SHORTER, LONGEST = 256, 1024  # pixels of a picture's shorter side, and at most of its longer one
JUMP = 600  # seconds: where stamps leap further the rest of a stream is not believed
SLACK = 0.02  # seconds by which sound may lie beside its stamp before it is moved
LISTS = {"concat", "dash", "hls", "sdp"}  # formats that hold no film, but name others
DAMAGED = (  # of pictures, of sound: one, many
    ("One packet of pictures is damaged.", "{} packets of pictures are damaged."),
    ("One packet of sound is damaged.", "{} packets of sound are damaged."),
)
EARLIER = (
    ("One picture is stamped long before others, and left out.", "{} pictures are stamped long before others, and left out."),
    ("One piece of sound is stamped long before others, and left out.", "{} pieces of sound are stamped long before others, and left out."),
)
TWICE = ("One piece of sound is there twice, and taken once.", "{} pieces of sound are there twice, and taken once.")
GAP = ("One gap in the sound is filled with silence.", "{} gaps in the sound are filled with silence.")


@dataclass(frozen=True)
class Film:
    """What a file says of itself. `start`: the earliest stamp of its streams in seconds; `rate` in Hz, `size` (width, height) in
    pixels and `frame_rate`, pictures a second, None where there is no sound or no picture; `seconds` may be unknown."""

    path: Path
    start: float
    seconds: float | None
    rate: int | None
    size: tuple[int, int] | None
    frame_rate: float | None


@dataclass
class Notes:
    """What was odd while a film was read, as sentences; what may happen often is counted."""

    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    sentences: list[str] = field(default_factory=list)

    def count(self, what: tuple[str, str]) -> None:
        """Counts something, of which there are two sentences: of one, and of {} many."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def say(self, sentence: str) -> None:
        """Says something once."""
        if sentence not in self.sentences:
            self.sentences.append(sentence)

    def texts(self) -> list[str]:
        """Gives all notes as sentences."""
        return [one if number == 1 else many.format(number) for (one, many), number in self.counts.items()] + self.sentences


@dataclass(frozen=True)
class Snippet:
    """A snippet's sound (sample,), mono, float32 in -1..1, or None; its pictures (height, width, 3), uint8, or none; and which share
    in 0..1 of it the film lasts."""

    sound: np.ndarray | None
    pictures: tuple[np.ndarray, ...]
    share: float


def need_av() -> Any:
    """Gives PyAV, or an InputError that says how to get it."""
    try:
        import av
    except ImportError:
        raise InputError("films are read with PyAV: `pip install av`.") from None
    return av


def look_at(path: str | Path) -> Film:
    """Reads what a file says of itself. Raises InputError where it is no film and no sound, or holds neither."""
    with _opened(Path(path)) as container:
        video, audio = _streams(container)
        starts = [float(s.start_time * s.time_base) for s in (video, audio) if s is not None and s.start_time is not None]
        seconds = None if container.duration is None else container.duration / 1e6
        return Film(
            Path(path), min(starts, default=0.0), seconds,
            None if audio is None else audio.rate,
            None if video is None else (video.codec_context.width, video.codec_context.height),
            None if video is None else float(video.guessed_rate or 25),
        )


def whole_sound(path: str | Path, rate: int, end: float = math.inf) -> np.ndarray:
    """Reads a film's sound alone: (sample,), mono, float32 in -1..1, at `rate` Hz; empty where there is none. `end`: the second from
    which on nothing more needs to be read."""
    parts, held = [np.zeros(0, np.float32)], 0
    for part in _placed(look_at(path), rate, Notes()):
        parts.append(part)
        held += len(part)
        if held >= end * rate:
            break
    return np.concatenate(parts)


def stills(path: str | Path, number: int, span: tuple[float, float] | None = None) -> list[np.ndarray]:
    """Reads the pictures (height, width, 3), uint8, in the middles of `number` equal parts of a film, or of `span`, in seconds.

    Raises InputError where there is no picture.
    """
    film, held, found = look_at(path), None, []
    start, end = span or (0.0, film.seconds or max((time for time, _ in frames_of(film, 0, Notes())), default=0.0))
    asked = start + (end - start) * (np.arange(number) + 0.5) / number
    for time, frame in frames_of(film, 0, Notes()):
        while held is not None and len(found) < number and asked[len(found)] < time - 1e-9:
            found.append(_picture(held))
        held = frame
        if len(found) == number:
            break
    if held is None:
        raise InputError(f"{film.path.name}: there is no picture in it.")
    return found + [_picture(held)] * (number - len(found))


def snippets(
    path: str | Path, *, seconds: float = 1.0, pictures: int = 4, rate: int = 16000, notes: Notes | None = None
) -> Iterator[Snippet]:
    """Reads a film's snippets of `seconds` one after the other: sound at `rate` Hz, and `pictures` of each, from the middles of their
    shares of it, with a shorter side of 256 pixels.

    Where a stream ends before the other, silence follows, or its last picture stays; both are noted, as are damaged packets.
    Raises InputError where the file cannot be read, or nothing in it can be decoded.
    """
    notes, film = Notes() if notes is None else notes, look_at(path)
    sound, sight = _sound(film, seconds, rate, notes), _sight(film, seconds, pictures, notes)
    number = round(seconds * rate)
    ended, last, count = {}, None, 0
    while True:
        heard, seen = next(sound, None), next(sight, None)
        if heard is None and seen is None:
            break
        for name, found in (("sound", heard), ("pictures", seen)):
            if found is None:
                ended.setdefault(name, count)
        last = seen[0][-1] if seen is not None else last
        share = max(0.0 if heard is None else heard[1], 0.0 if seen is None else seen[1])
        silence = np.zeros(number, np.float32) if ended.get("sound") else None
        still = () if last is None else (last,) * pictures
        yield Snippet(silence if heard is None else heard[0], still if seen is None else seen[0], share)
        count += 1
    if not count:
        raise InputError(" ".join([f"{Path(path).name}: there is no sound and no picture in it that can be decoded.", *notes.texts()]))
    for name, at in ended.items():
        if at == 0:
            notes.say(f"There {'is' if name == 'sound' else 'are'} no {name} in it.")
        elif count - at > 1:
            notes.say(f"The {name} end{'s' * (name == 'sound')} at {at * seconds:g} of {count * seconds:g} s.")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """An open container; whatever PyAV says of the file becomes an InputError."""
    av = need_av()
    try:
        if path.is_dir():
            next(path.iterdir(), None)  # where it may not be read, that is the reason
        if not path.is_file():
            raise InputError(f"{path.name}: there is no such file, or it is a folder, a device or a broken link.")
        if not path.stat().st_size:
            raise InputError(f"{path.name}: the file is empty.")
        # "concat:a.mp4" is a file's name, too; and no file may send for another one
        with av.open(f"file:{path.absolute()}", metadata_errors="replace", options={"protocol_whitelist": "file"}) as container:
            if container.format.name in LISTS:
                raise InputError(f"{path.name}: this is a list of other files, and no film: give those.")
            if all(s is None for s in _streams(container)):
                raise InputError(f"{path.name}: there is neither sound nor film in it.")
            yield container
    except InputError:
        raise
    except av.InvalidDataError:
        raise InputError(f"{path.name}: this file cannot be read as a film or a sound. It is damaged, or something else.") from None
    except (av.FFmpegError, OSError, ValueError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise InputError(f"{path.name}: this cannot be read ({reason}).") from None


def _streams(container: Any) -> tuple[Any, Any]:
    """The first video stream that is no cover picture, and the first sound; None where there is none that can be decoded."""
    import av

    def usable(stream: Any) -> bool:
        return stream.codec_context is not None and not (stream.disposition & av.stream.Disposition.attached_pic)

    video = next((s for s in container.streams.video if usable(s) and s.codec_context.width), None)
    audio = next((s for s in container.streams.audio if usable(s) and s.codec_context.sample_rate), None)
    return video, audio


def frames_of(film: Film, kind: int, notes: Notes) -> Iterator[tuple[float, Any]]:
    """The frames of the video (0) or the sound (1) as (seconds since the film's start, frame); damaged packets are counted."""
    with _opened(film.path) as container:
        stream = _streams(container)[kind]
        if stream is None:
            return
        stream.codec_context.thread_count = 1
        time = 0.0
        for packet in _packets(container, stream, notes):
            try:
                decoded = packet.decode()
            except (need_av().FFmpegError, ValueError):
                notes.count(DAMAGED[kind])
                continue
            for frame in decoded:
                if frame.pts is not None and frame.time_base:
                    stamped = float(frame.pts * frame.time_base) - film.start
                    if stamped - time > JUMP:
                        notes.say(f"The stamps leap from {time:.0f} to {stamped:.0f} s: the rest is left out.")
                        return
                    if stamped < time - 1:
                        notes.count(EARLIER[kind])
                        continue
                    time = stamped
                yield time, frame
                # where stamps are missing each frame follows the one before
                step = frame.samples / frame.sample_rate if kind else 1 / float(stream.average_rate or 25)
                time += step if frame.pts is None else 0


def _packets(container: Any, stream: Any, notes: Notes) -> Iterator[Any]:
    """The packets of a stream, until the file ends or is cut off."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (need_av().FFmpegError, ValueError):
            notes.say("The file is cut off or damaged: what comes after that is lost.")
            return
        yield packet


def _sight(film: Film, seconds: float, count: int, notes: Notes) -> Iterator[tuple[tuple[np.ndarray, ...], float]]:
    """(the pictures of a snippet, the share of it that has frames); one decoded frame is kept at a time."""
    held, end, number, chosen = None, 0.0, 0, []
    picture: np.ndarray | None = None
    step = seconds / count

    def take(until: float) -> Iterator[tuple[tuple[np.ndarray, ...], float]]:
        """Shows the held frame at all asked times before `until`, and gives the snippets that this completes."""
        nonlocal number, picture, chosen
        while (number + 0.5) * step < until - 1e-9:
            picture = _picture(held) if picture is None else picture
            chosen.append(picture)
            number += 1
            if len(chosen) == count:
                yield tuple(chosen), 1.0
                chosen = []

    for time, frame in frames_of(film, 0, notes):
        if held is not None:  # before the first frame there is none: it stands for what comes before it, too
            yield from take(time)
        held, picture = frame, None
        length = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.04
        end = max(end, time + min(length, JUMP))
    if held is None:
        return
    yield from take(end)
    started = number // count * seconds
    if end > started + 1e-6:
        picture = _picture(held) if picture is None else picture
        share = min(1.0, (end - started) / seconds)
        yield tuple(chosen + [picture] * (count - len(chosen))), share


def _picture(frame: Any) -> np.ndarray:
    """A frame as it is meant to be seen: RGB, upright, small."""
    scale = SHORTER / min(frame.width, frame.height)
    width, height = (min(LONGEST, max(1, round(side * scale))) for side in (frame.width, frame.height))
    rgb = _reformatter(get_ident()).reformat(frame, width=width, height=height, format="rgb24", interpolation="AREA").to_ndarray()
    return turned(rgb, turn_of(frame))


@cache
def _reformatter(thread: int) -> Any:
    """One for all frames of a thread: it keeps its tables while sizes and formats stay, where a frame's own would be made for it alone."""
    need_av()
    from av.video.reformatter import VideoReformatter

    return VideoReformatter()


def turn_of(frame: Any) -> tuple[bool, bool, bool]:
    """How its film says that a frame is to be turned: whether rows become columns, and whether rows and columns are then reversed."""
    from av.sidedata.sidedata import Type

    matrix = frame.side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return False, False, False
    (a, b), (c, d) = np.frombuffer(bytes(matrix)[:36], np.int32).reshape(3, 3)[:2, :2].astype(int)  # x, y -> a x + c y, b x + d y
    swapped = abs(b) > abs(a)
    across, down = (c, b) if swapped else (a, d)
    return bool(swapped), bool(down < 0), bool(across < 0)


def turned(picture: np.ndarray, turn: Sequence[bool]) -> np.ndarray:
    """A picture (height, width, 3) as `turn_of` says; cameras for selfies mirror it, too."""
    swapped, down, across = turn
    picture = picture.swapaxes(0, 1) if swapped else picture
    return np.ascontiguousarray(picture[:: -1 if down else 1, :: -1 if across else 1])


def _sound(film: Film, seconds: float, rate: int, notes: Notes) -> Iterator[tuple[np.ndarray, float]]:
    """(the samples of a snippet, the share of it that has sound)."""
    length, parts, held = round(seconds * rate), [], 0
    for part in _placed(film, rate, notes):
        parts.append(part)
        held += len(part)
        if held >= length:
            joined = np.concatenate(parts)
            while len(joined) >= length:
                yield joined[:length], 1.0
                joined = joined[length:]
            parts, held = [joined], len(joined)
    if held:
        joined = np.concatenate(parts)
        yield np.pad(joined, (0, length - len(joined))), len(joined) / length


def _placed(film: Film, rate: int, notes: Notes) -> Iterator[np.ndarray]:
    """Mono samples at `rate`, each frame where its stamp says: silence fills gaps, what is said twice is dropped."""
    av = need_av()
    resampler, form, done, fed = None, None, 0, 0.0  # done: samples given; fed: the time up to which sound was given in, in seconds

    def out(frame: Any) -> Iterator[np.ndarray]:
        nonlocal done
        for piece in resampler.resample(frame):
            samples = np.nan_to_num(piece.to_ndarray()[0]).clip(-1, 1)
            done += len(samples)
            yield samples

    for time, frame in frames_of(film, 1, notes):
        lasts = frame.samples / frame.sample_rate
        if time + lasts <= fed + 1e-6 and fed - time > SLACK:
            notes.count(TWICE)
            continue
        gap = time - fed
        now = (frame.sample_rate, frame.layout.name, frame.format.name)
        if resampler is None or now != form or gap > SLACK:
            if resampler is not None:
                yield from out(None)
            if gap > SLACK:
                notes.count(GAP) if form else None
                missing = round(time * rate) - done
                for _ in range(0, max(0, missing), rate):  # a second at a time
                    silence = np.zeros(min(rate, round(time * rate) - done), np.float32)
                    done += len(silence)
                    yield silence
                fed = time
            resampler, form = av.AudioResampler(format="fltp", layout="mono", rate=rate), now
        frame.pts = None  # the resampler fills gaps in its own way where it sees stamps
        try:
            yield from out(frame)
        except (av.FFmpegError, ValueError):
            notes.count(DAMAGED[1])
            continue
        fed += lasts
    if resampler is not None:
        yield from out(None)
