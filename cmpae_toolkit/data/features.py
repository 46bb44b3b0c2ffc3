"""Where the array of each video and stream lies: in a `.npy` file of its own, or in a row of a published `.h5` file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..config import MODALITIES
from ..errors import InputError
from .naming import clean_name

PUBLISHED_STREAMS = {"audio": "vggish", "frames": "res152", "clip": "r2plus1d_18"}  # how LLP's folders are called
KNOWN_STREAMS = {"audio": "audio", "vggish": "audio"} | dict.fromkeys(("frames", "clip", "res152", "r2plus1d_18"), "visual")


class Place(NamedTuple):
    """Names a whole `.npy` file, or a row of an `.h5` file."""

    path: Path
    row: int | None = None


@dataclass(frozen=True)
class Streams:
    """Holds the feature folders of a data set: stream name -> folder, and stream name -> `audio` or `visual`."""

    folders: Mapping[str, Path]
    modalities: Mapping[str, str]


@dataclass(frozen=True)
class FeatureIndex:
    """Says where the features of the videos of a list lie. `ids` are the videos that have some, `rows` their places in the list.

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
        """Tells which modalities a video has (video, modality), bool; None where each has both."""
        has = {stream: np.array([place is not None for place in places], bool) for stream, places in self.places.items()}
        present = np.stack([np.all([has[s] for s, m in self.modalities.items() if m == each], axis=0) for each in MODALITIES], axis=1)
        return None if present.all() else present

    def files(self) -> dict[str, tuple[int, int]]:
        """Gives bytes and time of change (in ns) of every feature file, by its path."""
        paths = dict.fromkeys(place.path for places in self.places.values() for place in places if place)
        return {str(path): ((stat := os.stat(path)).st_size, stat.st_mtime_ns) for path in paths}


def find_streams(folder: Path, kind: str, chosen: Mapping[str, str]) -> Streams:
    """Finds the stream folders below `feats/`. LLP's published names become `audio`, `frames` and `clip`; `chosen` says modalities."""
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
    """Finds the feature files of listed videos by one directory listing per stream; no file is opened.

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
    """Finds the feature files of a folder by the name that lists may use; broken links, folders and pipes are none."""
    with os.scandir(folder) as entries:
        return {clean_name(entry.name.removesuffix(".npy")): entry.name for entry in entries if _is_feature_file(entry)}


def _is_stream(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "__"))


def _is_feature_file(entry: os.DirEntry) -> bool:
    """Tells whether this is a file or a link to one, and not hidden."""
    try:
        return entry.name.endswith(".npy") and entry.name[0] != "." and entry.is_file()
    except OSError:  # a link to itself
        return False
