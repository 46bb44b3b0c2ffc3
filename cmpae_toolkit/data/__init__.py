"""Data: `load` reads simulated data by name and any folder by its path; everything it returns is a `VideoSet`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._files import home
from ..errors import InputError
from . import pack as _packing
from .annotations import LLP_CATEGORIES, Annotations, check_split, read_annotations, splits
from .ave import load_ave
from .ave_lists import AVE_CATEGORIES, ave_labels, ave_truth, read_ave
from .avep import AVEP_CATEGORIES, load_avep, read_avep
from .download import download, manual_steps
from .folder import load_folder, write_folder
from .lists import list_version
from .overview import Overview, overview
from .pack import pack
from .sources import find_data, known, open_data, published
from .store import open_store, verify
from .videoset import Notice, VideoSet

__all__ = [
    "AVEP_CATEGORIES", "AVE_CATEGORIES", "LLP_CATEGORIES", "Annotations", "Notice", "Overview", "VideoSet", "ave_labels",
    "ave_truth", "default_name", "download", "home", "list_version", "load", "load_ave", "load_avep", "load_folder", "manual_steps",
    "names", "open_store", "overview", "pack", "published", "read_annotations", "read_ave", "read_avep", "simulated_size", "splits",
    "verify", "write_folder",
]

names = ("tiny", "small", "full")  # simulated; also with "simulated-" before them, as the simulator's other sizes always
PACK_FROM = 10**9  # bytes of feature files from which a split is packed instead of read into memory


def default_name() -> str:
    """The data set that notebooks and the command line read: CMPAE_DATA (a name or a folder), else `small`."""
    return os.environ.get("CMPAE_DATA") or "small"


def simulated_size(name: str | Path) -> str | None:
    """The simulator's size that a name means, None for all else: `ave` is the real data, `simulated-ave` the simulated."""
    if str(name) in names:
        return str(name)
    if not str(name).startswith("simulated-"):
        return None
    from .simulation.simulate import SIZES

    size = str(name).removeprefix("simulated-")
    return size if size in SIZES else None


def load(name_or_folder: str | Path | None = None, split: str | None = "train", **options: Any) -> VideoSet:
    """One split of simulated data (`tiny`, `small`, `full`, `simulated-...`), of a download (`llp`, `ave`, `avep`), of a folder,
    or of a packed store; by default `default_name()`.

    Options of simulated data: `seed`. Of all else: `name` and `progress`; of folders and LLP also `missing` and `eval_audio`
    (see `load_folder`), of AVE `background` (see `load_ave`), of AVEP `leaks` and `repeated` (see `read_avep`). What is not
    simulated is read into memory when its split has under 1 GB of features, else packed once and memory-mapped; a packed store
    that is up to date is always preferred. `split=None` reads a folder of unlabelled videos.
    """
    chosen = default_name() if name_or_folder is None else name_or_folder
    size = simulated_size(chosen)
    if split is not None or size:
        check_split(split)
    if size:
        from .simulation.simulate import simulate

        return simulate(size, split, **known(options, {"seed": 0}))
    if str(chosen) not in published and not Path(chosen).expanduser().exists():
        downloads = f"`cmpae download` gets {', '.join(published[:2])}"
        raise InputError(f"no data set {str(chosen)!r}: use {', '.join(names)} (simulated) or the path of a folder; {downloads}.")
    folder = find_data(chosen)
    if (folder / "store.json").is_file():
        return _opened_store(folder, split)
    return _load_source(folder, split, **options)


def _load_source(folder: Path, split: str | None, *, name: str | None = None, progress: bool = True, **options: Any) -> VideoSet:
    source = open_data(folder, split, **options)
    store = _packing.default_store(source.folder, split, source.variant)
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
