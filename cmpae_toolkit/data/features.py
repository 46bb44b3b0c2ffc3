"""Feature files of a folder: `feats/<stream>/<id>.npy`, one array a video, its first axis the snippets or their positions.

`index_features` finds each video's files, `read_array` reads one, `check_shapes` compares the first video's arrays. The
last two raise an InputError that names the file, its video and what to do, since one bad file in 35,000 is the usual case.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..config import MODALITIES
from ..errors import InputError

PUBLISHED_STREAMS = {"audio": "vggish", "frames": "res152", "clip": "r2plus1d_18"}  # how LLP's folders are called
AUDIO_STREAMS = ("vggish", "clap", "yamnet", "panns")  # beside every name that starts with "audio"
ID_LENGTH = 11  # of a YouTube id
LARGEST_FILE = 2**28  # values, 1 GB in float32; LLP's have 163,840
TIME_SUFFIX = re.compile(r"_\d+(\.\d+)?_\d+(\.\d+)?$")


@dataclass(frozen=True)
class Streams:
    """The feature folders of a data set: stream name -> folder, and stream name -> `audio` or `visual`."""

    folders: Mapping[str, Path]
    modalities: Mapping[str, str]


@dataclass(frozen=True)
class FeatureIndex:
    """Which videos of a list have a file in every stream. `ids` are these videos' ids, `rows` their places in the list.

    `missing` names, for each other video, a file that was looked for.
    """

    streams: Streams
    ids: tuple[str, ...]
    rows: tuple[int, ...]
    missing: Mapping[str, str]

    def path(self, stream: str, video: str) -> Path:
        return self.streams.folders[stream] / f"{video}.npy"

    def stats(self) -> dict[str, list[tuple[str, int, int]]]:
        """(id, bytes, time of change in ns) of each video's file, per stream."""
        result, wanted = {}, {f"{video}.npy" for video in self.ids}
        for stream, folder in self.streams.folders.items():
            with os.scandir(folder) as entries:  # for broken links of other videos nobody asked
                files = {entry.name: entry.stat() for entry in entries if entry.name in wanted}
            result[stream] = [(video, (stat := files[f"{video}.npy"]).st_size, stat.st_mtime_ns) for video in self.ids]
        return result


def find_streams(folder: Path, kind: str) -> Streams:
    """The stream folders below `feats/`. LLP's published folder names become `audio`, `frames` and `clip`."""
    root = folder / "feats"
    found = {path.name: path for path in sorted(root.iterdir()) if _is_stream(path)} if root.is_dir() else {}
    if not found:
        raise InputError(f"{folder}: no features: looked for feats/<stream>/<id>.npy, one folder for each stream.")
    published = {name: found[theirs] for name, theirs in PUBLISHED_STREAMS.items() if theirs in found}
    if (kind == "llp" and published) or (kind == "bare" and len(published) == len(PUBLISHED_STREAMS)):
        found = published
    modalities = {name: modality_of(name) for name in found} | _chosen_modalities(folder / "streams.json", found)
    lacking = [modality for modality in MODALITIES if modality not in modalities.values()]
    if lacking:
        raise InputError(
            f"{root}: no stream of the {lacking[0]} modality among {', '.join(found)}: add its folder, or write a streams.json "
            f'such as {{"{next(iter(found))}": "{lacking[0]}"}} into {folder}.'
        )
    return Streams(found, modalities)


def modality_of(stream: str) -> str:
    """`audio` for a stream whose name starts with "audio" and for the usual audio networks, else `visual`."""
    name = stream.lower()
    return "audio" if name.startswith("audio") or name in AUDIO_STREAMS else "visual"


def id_candidates(filename: str, kind: str) -> tuple[str, ...]:
    """The ids under which a listed video's features may lie, the likeliest first."""
    names = (filename, TIME_SUFFIX.sub("", filename), filename[:ID_LENGTH])
    return tuple(dict.fromkeys(names if kind == "own" else names[::-1]))


def index_features(streams: Streams, filenames: Sequence[str], kind: str) -> FeatureIndex:
    """Find the feature files of the listed videos; one directory listing per stream, no file is opened."""
    present = {name: _ids_in(folder) for name, folder in streams.folders.items()}
    ids, rows, missing = [], [], {}
    for row, filename in enumerate(filenames):
        candidates = id_candidates(filename, kind)
        video = next((name for name in candidates if any(name in there for there in present.values())), None)
        lacking = next((name for name, there in present.items() if video not in there), None)
        if lacking is None:
            ids.append(video)
            rows.append(row)
        else:
            names = [f"{name}.npy" for name in ([video] if video else candidates)]
            missing[filename] = f"{streams.folders[lacking]}{os.sep}{' or '.join(names)}"
    return FeatureIndex(streams, tuple(ids), tuple(rows), missing)


def index_unlisted(streams: Streams) -> FeatureIndex:
    """Every id that has a file in all streams, sorted; ids that lack one are `missing`."""
    present = {name: _ids_in(folder) for name, folder in streams.folders.items()}
    everything = sorted(set().union(*present.values()))
    lacking = {video: next((n for n, there in present.items() if video not in there), None) for video in everything}
    ids = tuple(video for video in everything if lacking[video] is None)
    missing = {video: str(streams.folders[name] / f"{video}.npy") for video, name in lacking.items() if name}
    return FeatureIndex(streams, ids, tuple(range(len(ids))), missing)


def read_array(path: Path, video: str) -> np.ndarray:
    """One feature file as (positions, width), float16 or float32, finite. `video` says in messages where it is listed.

    Axes between the first and the last are merged into the first: (10, 8, 2048) is read as (80, 2048).
    """
    array = _mapped(path, video)
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
        raise InputError(f"{path} ({video}) {problem}: {ADVICE}.")
    with np.errstate(over="ignore"):
        values = np.array(array, np.float16 if array.dtype == np.float16 else np.float32).reshape(-1, array.shape[-1])
    if not np.isfinite(values).all():
        raise InputError(f"{path} ({video}) holds NaN or infinite values: {ADVICE}.")
    return values


def first_axis(path: Path, video: str) -> int:
    """Snippets (or positions) on the first axis of a file, before axes are merged."""
    return _mapped(path, video).shape[0]


def check_shapes(index: FeatureIndex, video: str) -> tuple[int, dict[str, np.ndarray]]:
    """The number of snippets and each stream's array of the first video, by which all others are checked.

    A snippet is the smallest first axis of the streams; the others must hold whole multiples of it.
    """
    paths = {stream: index.path(stream, index.ids[0]) for stream in index.streams.folders}
    arrays = {stream: read_array(path, video) for stream, path in paths.items()}
    lengths = {stream: first_axis(path, video) for stream, path in paths.items()}
    shortest = min(lengths, key=lengths.__getitem__)
    for stream, length in lengths.items():
        if length % lengths[shortest]:
            raise InputError(
                f"{paths[stream]} ({video}) has {length} rows, which is no whole multiple of the {lengths[shortest]} snippets of "
                f"{paths[shortest]}: extract the same seconds for both."
            )
    return lengths[shortest], arrays


def check_like(array: np.ndarray, shape: tuple[int, ...], path: Path, video: str, first: Path) -> None:
    """Refuse an array whose (positions, width) differ from those of the first video's file."""
    if array.shape[1] != shape[1]:
        what = f"has width {array.shape[1]}, but {first} has {shape[1]}: use features of one network in a stream"
    elif array.shape[0] != shape[0]:
        what = f"has {array.shape[0]} rows, but {first} has {shape[0]}: every video needs the same number of snippets"
    else:
        return
    raise InputError(f"{path} ({video}) {what}.")


ADVICE = "extract or download it again, or move it away and load with missing='skip'"


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


def _chosen_modalities(path: Path, streams: Mapping[str, Path]) -> dict[str, str]:
    """What a `streams.json` says of these streams; nothing if there is none."""
    if not path.is_file():
        return {}
    try:
        chosen = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f'{path}: not JSON ({error}): write {{"stream": "audio" or "visual"}}.') from None
    if not isinstance(chosen, dict) or any(value not in MODALITIES for value in chosen.values()):
        raise InputError(f'{path}: every stream must be "audio" or "visual": write such as {{"{next(iter(streams))}": "audio"}}.')
    unknown = [name for name in chosen if name not in streams]
    if unknown:
        raise InputError(f"{path}: no stream {unknown[0]!r} in feats/: use {', '.join(streams)}.")
    return chosen


def _is_stream(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "__"))


def _ids_in(folder: Path) -> set[str]:
    with os.scandir(folder) as entries:
        return {entry.name.removesuffix(".npy") for entry in entries if entry.name.endswith(".npy") and _is_feature_file(entry)}


def _is_feature_file(entry: os.DirEntry) -> bool:
    """Not hidden, and a file or a link to one: broken links, folders and pipes count as missing."""
    try:
        return entry.name[0] != "." and entry.is_file()
    except OSError:  # a link to itself
        return False
