"""Reading feature arrays: their headers compared, then their values, of whole `.npy` files or rows of published `.h5` files.

One bad file in 35,000 is the usual case, so every InputError names the file, its video and what to do.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from . import h5
from .features import FeatureIndex, Place

H5_KEY = "avadataset"
LARGEST_FILE = 2**28  # values, 1 GB in float32; LLP's have 163,840
BLOCK = 32  # rows of an .h5 file read at once: 32 MB of AVE's visual features in float32
ADVICE = "extract or download it again, or move it away and load with missing='skip'"


@dataclass(frozen=True)
class Shapes:
    """Holds the snippets of each video, and per stream the positions in a snippet, the width and the type."""

    lengths: np.ndarray
    streams: Mapping[str, tuple[int, int, np.dtype]]

    @property
    def snippets(self) -> int:
        return int(self.lengths.max())

    def of(self, stream: str, snippets: int) -> tuple[int, int]:
        positions, width, _ = self.streams[stream]
        return snippets * positions, width


def measure(index: FeatureIndex, listed: Callable[[int], str], bad: dict[int, str] | None = None) -> Shapes:
    """Reads the header of every array and compares them: each stream keeps its width and its positions a snippet.

    A snippet is the smallest first axis of the first video's streams; the others must hold whole multiples of it. What does not
    fit is an InputError, or stands in `bad` by the video's position where that is given.
    """
    headers: dict[str, list[_Header | None]] = {stream: [None] * len(index.ids) for stream in index.places}
    lengths, seen = np.zeros(len(index.ids), int), {}

    def tell(position: int, error: InputError) -> None:
        if bad is None:
            raise error from None
        bad.setdefault(position, str(error))

    for stream, places in index.places.items():
        for position, place in enumerate(places):
            try:
                headers[stream][position] = place and _header(place, listed(position), seen)
            except InputError as error:
                tell(position, error)
    streams = _positions(index, headers, listed)
    for position in range(len(index.ids)):
        try:
            lengths[position] = _length(index, headers, streams, position, listed)
        except InputError as error:
            tell(position, error)
    lengths[list(bad or ())] = max(1, lengths.max())
    return Shapes(lengths, streams)


def read_arrays(
    index: FeatureIndex, stream: str, shapes: Shapes, listed: Callable[[int], str], positions: Sequence[int] | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (position, array) of every video that has this stream, or of those at `positions`, in the order that reads best.

    Arrays are (snippets x positions, width) and finite; axes between the first and the last are merged into the first.
    """
    places = index.places[stream]
    order = [position for position in (range(len(places)) if positions is None else positions) if places[position]]
    if any(places[position].row is not None for position in order):
        order.sort(key=lambda position: places[position])
    for start, stop in _blocks([places[position] for position in order]):
        block = order[start:stop]
        for position, values in zip(block, _read([places[position] for position in block], listed(block[0])), strict=True):
            values, where = values.reshape(-1, values.shape[-1]), _where(places[position], listed(position))
            if values.shape != shapes.of(stream, shapes.lengths[position]):
                raise InputError(f"{where} changed while it was read: try again.")
            if not np.isfinite(values).all():
                raise InputError(f"{where} holds NaN or infinite values: {ADVICE}.")
            yield position, values


class _Header(NamedTuple):
    snippets: int  # the first axis
    positions: int  # the product of all axes but the last
    width: int
    dtype: np.dtype


def _header(place: Place, video: str, seen: dict[Any, _Header]) -> _Header:
    """Gives the header of an array. Most files of a stream begin with the same bytes, so that `seen` spares reading most of them."""
    key = place.path if place.row is not None else _beginning(place.path)
    if key not in seen:
        header = _read_header(place, video)
        if key is None:
            return header
        seen[key] = header
    return seen[key]


def _beginning(path: Path) -> tuple[bytes, int] | None:
    """Reads a usual `.npy` header's bytes and the file's size: files of which both are equal are of one shape and type."""
    try:
        with open(path, "rb") as file:
            head = file.read(128)
            length = 10 + int.from_bytes(head[8:10], "little")
            return (head[:length], os.fstat(file.fileno()).st_size) if head[:8] == b"\x93NUMPY\x01\x00" and length <= len(head) else None
    except OSError:
        return None


def _read_header(place: Place, video: str) -> _Header:
    if place.row is not None:
        shape, dtype = h5.dataset_header(place.path, H5_KEY, None)
        return _Header(shape[1], int(np.prod(shape[1:-1])), shape[-1], dtype)
    array = _mapped(place.path, video)
    problem = ""
    if array.dtype.kind not in "fiu":
        problem = f"holds {array.dtype} instead of numbers"
    elif array.size == 0:
        problem = f"is empty, of shape {array.shape}"
    elif array.size > LARGEST_FILE:
        problem = f"claims {array.size:,} values, too many for one video"
    elif array.ndim < 2:
        problem = f"has shape {array.shape} instead of (snippet, width)"
    if problem:
        raise InputError(f"{_where(place, video)} {problem}: {ADVICE}.")
    return _Header(array.shape[0], int(np.prod(array.shape[:-1])), array.shape[-1], array.dtype)


def _positions(
    index: FeatureIndex, headers: Mapping[str, Sequence[_Header | None]], listed: Callable[[int], str]
) -> dict[str, tuple[int, int, np.dtype]]:
    """Finds per stream the positions in a snippet and the width, by the first video that has all streams, and the type that holds all."""
    whole = next((i for i in range(len(index.ids)) if all(headers[stream][i] for stream in headers)), None)
    streams = {}
    for stream, found in headers.items():
        first = next((header for header in found if header), None)
        if first is None:
            what = "can be read" if any(index.places[stream]) else "is there"
            raise InputError(f"no file of the stream {stream!r} {what}, of {len(found)} videos: extract or download them again.")
        positions, header = first.positions // first.snippets, found[whole] if whole is not None else first
        if whole is not None:
            shortest = min(headers, key=lambda each: headers[each][whole].snippets)
            snippets = headers[shortest][whole].snippets
            if header.snippets % snippets:
                what = f"has {header.snippets} rows, which is no whole multiple of the {snippets} snippets of"
                where, other = _where(index.places[stream][whole], listed(whole)), index.places[shortest][whole].path
                raise InputError(f"{where} {what} {other}: extract the same seconds for both.")
            positions = header.positions // snippets
        half = all(each.dtype == np.float16 for each in found if each)
        streams[stream] = (positions, header.width, np.dtype(np.float16 if half else np.float32))
    return streams


def _length(
    index: FeatureIndex, headers: Mapping[str, Sequence[_Header | None]], streams: Mapping[str, tuple[int, int, np.dtype]],
    position: int, listed: Callable[[int], str],
) -> int:
    """Counts the snippets of a video; its streams must agree, and have the width of the other videos."""
    lengths: dict[str, int] = {}
    for stream, (positions, width, _) in streams.items():
        header, place = headers[stream][position], index.places[stream][position]
        if header is None:
            continue
        first = next(place.path for place in index.places[stream] if place)
        if header.width != width:
            what = f"has width {header.width}, but {first} has {width}: use features of one network in a stream"
        elif header.positions % positions:
            what = f"has {header.positions} rows, no whole multiple of the {positions} of a snippet in {first}: extract it again"
        else:
            lengths[stream] = header.positions // positions
            other = next(iter(lengths))
            if lengths[stream] == lengths[other]:
                continue
            there = index.places[other][position].path
            what = f"lasts {lengths[stream]} snippets, but {there} {lengths[other]}: extract the same seconds for both"
        raise InputError(f"{_where(place, listed(position))} {what}.")
    return next(iter(lengths.values()), 0)


def _blocks(places: Sequence[Place]) -> Iterator[tuple[int, int]]:
    """Yields the bounds of runs that are read at once: single files, and up to `BLOCK` rows of one `.h5` file."""
    start = 0
    for stop in range(1, len(places) + 1):
        ends = stop == len(places) or places[stop].path != places[start].path or places[start].row is None
        if ends or stop - start == BLOCK:
            yield start, stop
            start = stop


def _read(places: Sequence[Place], video: str) -> Sequence[np.ndarray]:
    if places[0].row is not None:
        return h5.read_rows(places[0].path, H5_KEY, [place.row for place in places])
    array = _mapped(places[0].path, video)
    with np.errstate(over="ignore"):
        return [np.array(array, np.float16 if array.dtype == np.float16 else np.float32)]


def _mapped(path: Path, video: str) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "header was written by Python 2": true of published features, and harmless
            array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path} ({video}) is not there any more: {ADVICE}.") from None
    except PermissionError:
        raise InputError(f"{path} ({video}) cannot be read: give yourself read permission.") from None
    except Exception as error:  # a damaged header raises nearly anything: ValueError, EOFError, SyntaxError, TokenError, ...
        reason = "holds Python objects, which are never unpickled" if "object" in str(error) else "is damaged or no .npy file"
        raise InputError(f"{path} ({video}) {reason}: {ADVICE}.") from None
    if not isinstance(array, np.ndarray):
        array.close()
        raise InputError(f"{path} ({video}) is an .npz archive, not an .npy file: save the array with numpy.save.")
    return array


def _where(place: Place, video: str) -> str:
    return f"{place.path} ({video})" if place.row is None else f"{place.path} (row {place.row}, {video})"
