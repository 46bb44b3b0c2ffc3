"""A film or a sound as a browser can play it: as it is where its codecs are common on the web and it is small, else written anew; of a clip
only its own part."""

from __future__ import annotations

import contextlib
import functools
import io
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    import av

MOST_BYTES = 8_000_000  # of a film that is shown as it is
HEIGHT, RATE = 360, 25  # pixels and frames a second at most of a film that is written anew
SOUND = 48_000  # Hz, which Opus asks for
PLAYED = {"h264", "vp8", "vp9", "av1", "aac", "mp3", "opus", "vorbis", "flac"}
KINDS = {".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm", ".mp3": "audio/mpeg", ".flac": "audio/flac", ".ogg": "audio/ogg",
         ".wav": "audio/wav"}
CUT = {"video/mp4": "mp4", "video/webm": "webm", "audio/mpeg": "mp3"}  # what is cut without writing it anew, and its container
SLACK = 2.0  # seconds by which one stream of a file may lie before the other
Part = tuple[float, float]


def for_browser(path: str | Path, part: Part | None = None) -> tuple[bytes, str, float]:
    """Returns the bytes of a film or sound for a page, their kind ("video/mp4"), and the second of the film at which they begin.

    What is no larger than 8 MB and in codecs that browsers know stays as it is. All else becomes WebM (VP8 and Opus), at most 360 pixels
    high, which needs PyAV. Of a `part` (start, end), in seconds, only that is returned, from the key frame before it. Raises InputError
    where the file cannot be read, or PyAV is needed and missing.
    """
    path = Path(path)
    try:
        stamp = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from None
    return _read(path, stamp.st_mtime_ns, stamp.st_size, part)


@functools.lru_cache(4)
def _read(path: Path, _time: int, size: int, part: Part | None) -> tuple[bytes, str, float]:
    kind = KINDS.get(path.suffix.lower())
    try:
        import av
    except ImportError:
        if kind and size <= MOST_BYTES:
            return path.read_bytes(), kind, 0.0
        raise InputError(f"{path.name}: to show this film in a page needs `pip install av`.") from None
    try:
        with av.open(str(path)) as film:
            known = {stream.codec_context.name.removeprefix("lib").split("-")[0] for stream in (*film.streams.video, *film.streams.audio)}
            played = kind and (known <= PLAYED or kind == "audio/wav")
            if part is None and played and size <= MOST_BYTES:
                return path.read_bytes(), kind, 0.0
            if part is not None and played and kind in CUT:
                content, begins = _cut(film, CUT[kind], part)
                if len(content) <= MOST_BYTES:
                    return content, kind, begins
            content, begins = _webm(film, part)
            return content, "video/webm" if film.streams.video else "audio/webm", begins
    except (av.FFmpegError, ValueError, OSError) as error:
        raise InputError(f"{path.name} cannot be shown in a page ({error}).") from None


def _sources(film: av.container.InputContainer) -> tuple[list[av.stream.Stream], float]:
    """The first picture and the first sound of a film, and the earliest of their stamps in seconds, from which its time counts."""
    sources = [s[0] for s in (film.streams.video, film.streams.audio) if s]
    return sources, min((float(s.start_time * s.time_base) for s in sources if s.start_time is not None), default=0.0)


def _cut(film: av.container.InputContainer, form: str, part: Part) -> tuple[bytes, float]:
    """Copies the packets of a part from the key frame before it on, and says when in the film they begin."""
    import av

    buffer, (sources, zero) = io.BytesIO(), _sources(film)
    start, end = (zero + each for each in part)
    film.seek(round(1_000_000 * max(zero, start)), backward=True)  # microseconds
    begins = None
    with av.open(buffer, "w", format=form) as made:
        streams = {s.index: made.add_stream_from_template(s) for s in sources}
        ended: set[int] = set()
        for packet in film.demux(sources):
            if packet.pts is None or packet.dts is None:
                continue
            time, source = float(packet.pts * packet.time_base), packet.stream
            if begins is None and source is sources[0] and packet.is_keyframe:
                begins = time
            if begins is None or time < begins - 0.001:
                continue
            if float(packet.dts * packet.time_base) >= end:
                ended.add(source.index)
                if len(ended) == len(sources):
                    break
                continue
            shift = round(begins / packet.time_base)
            packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, streams[source.index]
            made.mux(packet)
    return buffer.getvalue(), (begins or 0.0) - zero


def _webm(film: av.container.InputContainer, part: Part | None) -> tuple[bytes, float]:
    """Writes a film, or a part of it, anew, and says when in the film that begins."""
    import av

    buffer, (sources, zero) = io.BytesIO(), _sources(film)
    start, end = (zero, math.inf) if part is None else (zero + each for each in part)
    if part is not None:
        film.seek(round(1_000_000 * start), backward=True)  # microseconds
    with av.open(buffer, "w", format="webm") as made:
        streams = {s.index: _stream(made, s) for s in sources}
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=SOUND)
        for frame, stream in _frames(film, sources):
            if frame.time is not None and part is not None:
                if frame.time >= end + SLACK:
                    break
                if not start <= frame.time < end:
                    continue
                frame.pts -= round(start / frame.time_base)
            for each in [frame] if stream.type == "video" else resampler.resample(frame):
                made.mux(streams[stream.index].encode(_shaped(each, streams[stream.index])))
        for stream in streams.values():
            made.mux(stream.encode(None))
    return buffer.getvalue(), start - zero if part is not None else 0.0


def _stream(made: av.container.OutputContainer, source: av.stream.Stream) -> av.stream.Stream:
    """Adds the stream for one of a film."""
    if source.type == "audio":
        return made.add_stream("libopus", rate=SOUND, options={"b": "64k"})
    stream = made.add_stream("libvpx", rate=RATE, options={"deadline": "realtime", "cpu-used": "8", "b": "600k"})
    height = min(HEIGHT, source.codec_context.height)
    width = round(source.codec_context.width * height / source.codec_context.height)
    stream.height, stream.width, stream.pix_fmt = height // 2 * 2, max(2, width // 2 * 2), "yuv420p"
    stream.codec_context.time_base = Fraction(1, 1000)  # the frames keep their own times
    return stream


def _frames(film: av.container.InputContainer, sources: list[av.stream.Stream]) -> Iterator[tuple[av.frame.Frame, av.stream.Stream]]:
    """Decodes frame by frame, without those of damaged packets."""
    import av

    for packet in film.demux(sources):
        with contextlib.suppress(av.FFmpegError):
            for frame in packet.decode():
                yield frame, packet.stream


def _shaped(frame: av.frame.Frame, stream: av.stream.Stream) -> av.frame.Frame:
    """Returns a picture in the size of its new stream, at its own time; sound stays."""
    if stream.type == "audio":
        return frame
    small = frame.reformat(stream.width, stream.height, "yuv420p")
    small.pts, small.time_base = round((frame.time or 0) * 1000), Fraction(1, 1000)
    return small
