"""Data: `load` reads simulated data by name and any folder by its path; everything it returns is a `VideoSet`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from . import pack as _packing
from .annotations import LLP_CATEGORIES, Annotations, check_split, read_annotations, splits
from .folder import load_folder, open_source, write_folder
from .home import home
from .lists import list_version
from .pack import open_store, pack, verify
from .videoset import Notice, VideoSet

__all__ = [
    "LLP_CATEGORIES", "Annotations", "Notice", "VideoSet", "default_name", "home", "list_version", "load", "load_folder", "names",
    "open_store", "pack", "read_annotations", "splits", "verify", "write_folder",
]

names = ("tiny", "small", "full")  # simulated; also with "simulated-" before them
FOLDER_OPTIONS = {"missing": "error", "eval_audio": None, "name": None, "progress": True}
PACK_FROM = 10**9  # bytes of feature files from which a split is packed instead of read into memory


def default_name() -> str:
    """The data set that notebooks and the command line read: CMPAE_DATA (a name or a folder), else `small`."""
    return os.environ.get("CMPAE_DATA") or "small"


def load(name_or_folder: str | Path | None = None, split: str | None = "train", **options: Any) -> VideoSet:
    """One split of simulated data (`tiny`, `small`, `full`), of a folder, or of a packed store; by default `default_name()`.

    Options of simulated data: `seed`. Options of folders: `missing`, `eval_audio`, `name` (see `load_folder`) and
    `progress`. A folder is read into memory when its split has under 1 GB of features, else packed once and memory-mapped;
    a packed store that is up to date is always preferred. `split=None` reads a folder of unlabelled videos.
    """
    chosen = default_name() if name_or_folder is None else name_or_folder
    simulated = str(chosen).removeprefix("simulated-")
    if simulated in names:
        check_split(split)
        from .simulate import simulate

        return simulate(simulated, split, **_known(options, {"seed": 0}))
    if split is not None:
        check_split(split)
    folder = Path(chosen).expanduser()
    if not folder.exists():
        raise InputError(f"no data set {str(chosen)!r}: use {', '.join(names)} (simulated) or the path of a folder.")
    if (folder / "store.json").is_file():
        return _opened_store(folder, split)
    return _load_folder(folder, split, **_known(options, FOLDER_OPTIONS))


def _load_folder(
    folder: Path, split: str | None, *, missing: str, eval_audio: str | None, name: str | None, progress: bool
) -> VideoSet:
    source = open_source(folder, split, missing=missing, eval_audio=eval_audio)
    store = _packing.default_store(folder, split, eval_audio)
    if not _packing.is_fresh(store, _packing.fingerprint(source)):
        size = sum(bytes_ for files in source.index.stats().values() for _, bytes_, _ in files)
        if size < PACK_FROM:
            return source.load(name)
        _packing.pack_source(source, store, progress)
    videos = open_store(store)
    return replace(videos, name=name) if name else videos


def _opened_store(store: Path, split: str | None) -> VideoSet:
    videos = open_store(store)
    if videos.split != (split or "unlabelled"):
        raise InputError(f"{store}: this store holds the split {videos.split!r}, not {split!r}: ask for that one.")
    return videos


def _known(options: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    unknown = [name for name in options if name not in defaults]
    if unknown:
        raise InputError(f"unknown option {unknown[0]!r} of load: this data takes {', '.join(defaults)}.")
    return defaults | options
