"""A film or a sound as a browser can play it: as it is where its codecs are common on the web and it is small, else written anew."""

from __future__ import annotations

import contextlib
import functools
import io
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


def for_browser(path: str | Path) -> tuple[bytes, str]:
    """Returns the bytes of a film or sound for a page, and their kind ("video/mp4").

    What is no larger than 8 MB and in codecs that browsers know stays as it is. All else becomes WebM (VP8 and Opus), at most 360 pixels
    high, which needs PyAV. Raises InputError where the file cannot be read, or PyAV is needed and missing.
    """
    path = Path(path)
    try:
        stamp = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from None
    return _read(path, stamp.st_mtime_ns, stamp.st_size)


@functools.lru_cache(4)
def _read(path: Path, _time: int, size: int) -> tuple[bytes, str]:
    kind = KINDS.get(path.suffix.lower())
    try:
        import av
    except ImportError:
        if kind and size <= MOST_BYTES:
            return path.read_bytes(), kind
        raise InputError(f"{path.name}: to show this film in a page needs `pip install av`.") from None
    try:
        with av.open(str(path)) as film:
            known = {stream.codec_context.name.removeprefix("lib").split("-")[0] for stream in (*film.streams.video, *film.streams.audio)}
            if kind and size <= MOST_BYTES and (known <= PLAYED or kind == "audio/wav"):
                return path.read_bytes(), kind
            return _webm(film), "video/webm" if film.streams.video else "audio/webm"
    except (av.FFmpegError, ValueError, OSError) as error:
        raise InputError(f"{path.name} cannot be shown in a page ({error}).") from None


def _webm(film: av.container.InputContainer) -> bytes:
    """Writes a film anew."""
    import av

    buffer, sources = io.BytesIO(), [s[0] for s in (film.streams.video, film.streams.audio) if s]
    with av.open(buffer, "w", format="webm") as made:
        streams = {s.index: _stream(made, s) for s in sources}
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=SOUND)
        for frame, stream in _frames(film, sources):
            for part in [frame] if stream.type == "video" else resampler.resample(frame):
                made.mux(streams[stream.index].encode(_shaped(part, streams[stream.index])))
        for stream in streams.values():
            made.mux(stream.encode(None))
    return buffer.getvalue()


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
