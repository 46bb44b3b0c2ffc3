"""Where the array of each video and stream lies, and reading it: whole `.npy` files, or rows of published `.h5` files.

One bad file in 35,000 is the usual case, so every InputError names the file, its video and what to do.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..config import MODALITIES
from ..errors import InputError
from . import h5
from .naming import clean_name

PUBLISHED_STREAMS = {"audio": "vggish", "frames": "res152", "clip": "r2plus1d_18"}  # how LLP's folders are called
KNOWN_STREAMS = {"audio": "audio", "vggish": "audio"} | dict.fromkeys(("frames", "clip", "res152", "r2plus1d_18"), "visual")
H5_KEY = "avadataset"
LARGEST_FILE = 2**28  # values, 1 GB in float32; LLP's have 163,840
BLOCK = 32  # rows of an .h5 file read at once: 32 MB of AVE's visual features in float32
ADVICE = "extract or download it again, or move it away and load with missing='skip'"


class Place(NamedTuple):
    """A whole `.npy` file, or a row of an `.h5` file."""

    path: Path
    row: int | None = None


@dataclass(frozen=True)
class Streams:
    """The feature folders of a data set: stream name -> folder, and stream name -> `audio` or `visual`."""

    folders: Mapping[str, Path]
    modalities: Mapping[str, str]


@dataclass(frozen=True)
class FeatureIndex:
    """Where the features of the videos of a list lie. `ids` are the videos that have some, `rows` their places in the list.

    `places[stream]` has one place a video, None where the video lacks that stream's modality. `missing` names, for each listed
    video without (all) features, a file that was looked for.
    """

    modalities: Mapping[str, str]
    ids: tuple[str, ...]
    rows: tuple[int, ...]
    places: Mapping[str, Sequence[Place | None]]
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def present(self) -> np.ndarray | None:
        """Which modalities a video has (video, modality), bool; None where each has both."""
        has = {stream: np.array([place is not None for place in places], bool) for stream, places in self.places.items()}
        present = np.stack([np.all([has[s] for s, m in self.modalities.items() if m == each], axis=0) for each in MODALITIES], axis=1)
        return None if present.all() else present

    def stats(self) -> dict[str, list[tuple[str, int, int]]]:
        """(file and row, bytes of the file, time of its change in ns) of each video, per stream."""
        stat = cache(os.stat)
        return {
            stream: [(f"{p.path.name} {p.row}", (now := stat(p.path)).st_size, now.st_mtime_ns) if p else ("", 0, 0) for p in places]
            for stream, places in self.places.items()
        }

    def bytes(self) -> int:
        """Of all feature files."""
        paths = {place.path for places in self.places.values() for place in places if place}
        return sum(path.stat().st_size for path in paths)


@dataclass(frozen=True)
class Shapes:
    """Snippets of each video, and per stream the positions in a snippet, the width and the type."""

    lengths: np.ndarray
    streams: Mapping[str, tuple[int, int, np.dtype]]

    @property
    def snippets(self) -> int:
        return int(self.lengths.max())

    def of(self, stream: str, snippets: int) -> tuple[int, int]:
        positions, width, _ = self.streams[stream]
        return snippets * positions, width


def find_streams(folder: Path, kind: str, chosen: Mapping[str, str]) -> Streams:
    """The stream folders below `feats/`. LLP's published names become `audio`, `frames` and `clip`; `chosen` says modalities."""
    root = folder / "feats"
    found = {path.name: path for path in sorted(root.iterdir()) if _is_stream(path)} if root.is_dir() else {}
    if not found:
        raise InputError(f"{folder}: no features: looked for feats/<stream>/<id>.npy, one folder for each stream.")
    published = {name: found[theirs] for name, theirs in PUBLISHED_STREAMS.items() if theirs in found}
    if (kind == "llp" and published) or (kind == "bare" and len(published) == len(PUBLISHED_STREAMS)):
        found = published
    unknown = [name for name in chosen if name not in found]
    if unknown:
        raise InputError(f"{folder}: no stream {unknown[0]!r} in feats/, though dataset.json names it: use {', '.join(found)}.")
    modalities = KNOWN_STREAMS | dict(chosen)
    for name in found:
        if name not in modalities:
            line = f'{{"streams": {{"{name}": {{"modality": "audio"}}}}}}, or "visual",'
            raise InputError(f"{root / name}: is this stream audio or visual? Write {line} into {folder / 'dataset.json'}.")
    modalities = {name: modalities[name] for name in found}
    lacking = [modality for modality in MODALITIES if modality not in modalities.values()]
    if lacking:
        raise InputError(f"{root}: no stream of the {lacking[0]} modality among {', '.join(found)}: add its folder.")
    return Streams(found, modalities)


def index_features(
    roots: Sequence[Streams], filenames: Sequence[str], wanted: Sequence[tuple[Sequence[int], Sequence[str]]], *,
    blank: bool = False, ids: Sequence[str] | None = None,
) -> FeatureIndex:
    """Find the feature files of listed videos; one directory listing per stream, no file is opened.

    `wanted` has for each video the numbers of the `roots` to look in and the names to look for, the likeliest first. Videos that
    lack a file are `missing`; with `blank` those that have all of one modality stay, without the other.
    """
    there = [{stream: files_in(folder) for stream, folder in root.folders.items()} for root in roots]
    streams, modalities = list(roots[0].folders), roots[0].modalities
    kept, rows, missing, places = [], [], {}, {stream: [] for stream in streams}
    for row, (filename, (order, names)) in enumerate(zip(filenames, wanted, strict=True)):
        tried = [(root, name) for root in order for name in names]
        root, name = max(tried, key=lambda at: sum(at[1] in there[at[0]].get(stream, ()) for stream in streams))
        files = {stream: there[root].get(stream, {}).get(name) for stream in streams}
        whole = {m for m in MODALITIES if all(files[stream] for stream in streams if modalities[stream] == m)}
        if len(whole) < len(MODALITIES):
            lacking = next(stream for stream in streams if not files[stream])
            looked_for = [f"{each}.npy" for each in ([name] if any(files.values()) else dict.fromkeys(names))]
            folder = roots[root].folders.get(lacking, next(iter(roots[root].folders.values())))
            missing[filename] = f"{folder}{os.sep}{' or '.join(looked_for)}"
        if len(whole) == len(MODALITIES) or (blank and whole):
            for stream in streams:
                path = roots[root].folders[stream] / files[stream] if modalities[stream] in whole else None
                places[stream].append(path and Place(path))
            kept.append(ids[row] if ids and ids[row] else name)
            rows.append(row)
    return FeatureIndex(modalities, tuple(kept), tuple(rows), places, missing)


def files_in(folder: Path) -> dict[str, str]:
    """The feature files of a folder by the name that lists may use; broken links, folders and pipes are none."""
    with os.scandir(folder) as entries:
        return {clean_name(entry.name.removesuffix(".npy")): entry.name for entry in entries if _is_feature_file(entry)}


def measure(index: FeatureIndex, listed: Callable[[int], str], bad: dict[int, str] | None = None) -> Shapes:
    """Read the header of every array and compare them: each stream keeps its width and its positions a snippet.

    A snippet is the smallest first axis of the first video's streams; the others must hold whole multiples of it. What does not
    fit is an InputError, or stands in `bad` by the video's position where that is given.
    """
    headers: dict[str, list[_Header | None]] = {stream: [None] * len(index.ids) for stream in index.places}
    lengths, of_files = np.zeros(len(index.ids), int), {}

    def tell(position: int, error: InputError) -> None:
        if bad is None:
            raise error from None
        bad.setdefault(position, str(error))

    for stream, places in index.places.items():
        for position, place in enumerate(places):
            try:
                headers[stream][position] = place and _header(place, listed(position), of_files)
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


def read_arrays(index: FeatureIndex, stream: str, shapes: Shapes, listed: Callable[[int], str]) -> Iterator[tuple[int, np.ndarray]]:
    """(position, array) of every video that has this stream, in the order in which they are read best; arrays are finite."""
    places = index.places[stream]
    order = [position for position, place in enumerate(places) if place]
    if any(places[position].row is not None for position in order):
        order.sort(key=lambda position: places[position])
    for start, stop in _blocks([places[position] for position in order]):
        block = order[start:stop]
        for position, values in zip(block, _read([places[position] for position in block], listed(block[0])), strict=True):
            yield position, check_array(values, places[position], listed(position), shapes.of(stream, shapes.lengths[position]))


def read_one(index: FeatureIndex, stream: str, position: int, shapes: Shapes, listed: Callable[[int], str]) -> np.ndarray:
    """One video's array, as `read_arrays` gives it."""
    place, video = index.places[stream][position], listed(position)
    return check_array(_read([place], video)[0], place, video, shapes.of(stream, shapes.lengths[position]))


def check_array(values: np.ndarray, place: Place, video: str, shape: tuple[int, int]) -> np.ndarray:
    """(positions, width), finite; axes between the first and the last are merged into the first."""
    values = values.reshape(-1, values.shape[-1])
    if values.shape != shape:
        raise InputError(f"{_where(place, video)} changed while it was read: try again.")
    if not np.isfinite(values).all():
        raise InputError(f"{_where(place, video)} holds NaN or infinite values: {ADVICE}.")
    return values


class _Header(NamedTuple):
    snippets: int  # the first axis
    positions: int  # the product of all axes but the last
    width: int
    dtype: np.dtype


def _header(place: Place, video: str, known: dict[Path, _Header]) -> _Header:
    if place.row is not None:
        if place.path not in known:
            shape, dtype = h5.dataset_header(place.path, H5_KEY, None)
            known[place.path] = _Header(shape[1], int(np.prod(shape[1:-1])), shape[-1], dtype)
        return known[place.path]
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
    """Per stream the positions in a snippet and the width, by the first video that has all streams, and the type that holds all."""
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
    """How many snippets a video has; its streams must agree, and have the width of the other videos."""
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
    """Bounds of runs that are read at once: single files, and up to `BLOCK` rows of one `.h5` file."""
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


def _is_stream(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "__"))


def _is_feature_file(entry: os.DirEntry) -> bool:
    """A file or a link to one, not hidden."""
    try:
        return entry.name.endswith(".npy") and entry.name[0] != "." and entry.is_file()
    except OSError:  # a link to itself
        return False
