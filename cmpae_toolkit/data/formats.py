"""Which reader a name or a folder calls for, and `load` and `overview`, which read whatever it is.

`llp`, `ave` and `avep` are the downloads below `home()`. A folder is AVE's when it holds `Annotations.txt` or the orders, AVEP's
when it holds the folders `llp` and `ave`, and else read by `folder.open_source`: LLP as published, the toolkit's own format, or
bare features.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .._files import home
from ..errors import InputError
from . import store
from .annotations import Annotations, check_split, find_layout, read_annotations, splits
from .ave import AVE_SNIPPETS, is_ave, open_ave, read_ave
from .avep import open_avep, read_avep
from .folder import open_source
from .naming import default_name, made, names, published, simulated_size
from .source import Source
from .videoset import Splits, VideoSet

SIMULATED = {"llp": "small", "ave": "ave", "avep": "avep"}  # the size of each published shape that a laptop trains on
PACK_FROM = 10**9  # bytes of feature files from which a split is packed instead of read into memory

FOLDER_OPTIONS = {"missing": "error", "eval_audio": None, "snippet_seconds": None}
AVE_OPTIONS = {"background": False}
AVEP_OPTIONS = {"missing": "error", "eval_audio": None, "leaks": "keep", "repeated": "keep"}


def load(name_or_folder: str | Path | Splits | None = None, split: str | None = "train", **options: Any) -> VideoSet:
    """Reads one split of simulated data (`tiny`, `small`, `full`, `simulated-...`), of the synthetic `films` (which are made at first
    use), of a download (`llp`, `ave`, `avep`), of a folder, or of a packed store, or takes it from sets in memory (`Splits`); by
    default `default_name()`.

    Options of simulated data: `seed`. Of all else: `name` and `progress`; of folders and LLP also `missing`, `eval_audio` and
    `snippet_seconds` (see `load_folder`), of AVE `background` (see `load_ave`), of AVEP `missing`, `eval_audio`, `leaks` and
    `repeated` (see `read_avep`). What is not simulated is read into memory when its split has under 1 GB of features, else packed
    once and memory-mapped; a packed store that is up to date is always preferred. `split=None` reads a folder of unlabelled videos.

    >>> videos = load("tiny", "val")  # simulated
    >>> videos.title, len(videos), videos.reference.shape
    ('simulated tiny (val)', 48, (48, 2, 10, 25))
    """
    chosen = default_name() if name_or_folder is None else name_or_folder
    if isinstance(chosen, Splits):
        known(options, {})
        return chosen.load(split)
    size = simulated_size(chosen)
    if split is not None or size:
        check_split(split)
    if size:
        from .simulation.simulate import simulate

        return simulate(size, split, **known(options, {"seed": 0}))
    if str(chosen) not in (*made, *published) and not Path(chosen).expanduser().exists():
        downloads = f"`cmpae download` gets {', '.join(published[:2])}"
        ours = f"{', '.join(names)} (simulated), {', '.join(made)} (synthetic)"
        raise InputError(f"no data set {str(chosen)!r}: use {ours} or the path of a folder; {downloads}.")
    folder = find_data(chosen)
    if (folder / "store.json").is_file():
        videos = store.open_store(folder)
        if videos.split != (split or "unlabelled"):
            raise InputError(f"{folder}: this store holds the split {videos.split!r}, not {split!r}: ask for that one.")
        return videos
    return _load_source(folder, split, **options)


def find_data(name_or_folder: str | Path) -> Path:
    """Finds the folder of a data set: of a download by its name, else the path itself, which must exist. `films` are made if need be.

    >>> find_data("no_such_folder")
    Traceback (most recent call last):
    ...
    cmpae_toolkit.errors.InputError: ...
    """
    chosen = str(name_or_folder)
    if chosen in made:
        module, _, ready = made[chosen].partition(":")  # by name, as films are made with the rows above this one
        return getattr(importlib.import_module(module), ready)()
    path = Path(chosen).expanduser()
    if chosen not in published:
        if not path.exists():
            raise InputError(f"there is no folder {chosen!r}, and no download of that name: use {', '.join(published)}.")
        return path
    lacking = [name for name in ("llp", "ave") if chosen in (name, "avep") and not (home() / name).is_dir()]
    if not lacking:
        return home() if chosen == "avep" else home() / chosen
    if path.exists():
        return path
    raise InputError(f"{home() / lacking[0]}: {lacking[0]} is not here yet: run `cmpae download {lacking[0]}`.")


def kind_of(folder: Path) -> str:
    """Says `llp`, `own`, `bare` (features without lists), `ave`, `avep` or `store`, by what the folder holds."""
    if (folder / "store.json").is_file():
        return "store"
    kind = find_layout(folder, lists_needed=False).kind
    if kind != "bare":
        return kind
    if is_ave(folder):
        return "ave"
    return "avep" if all((folder / name).is_dir() for name in ("llp", "ave")) else "bare"


def open_data(name_or_folder: str | Path, split: str | None, **options: Any) -> Source:
    """Reads the lists of a split of any data set (None: unlabelled input) and finds its features."""
    folder = find_data(name_or_folder)
    kind = kind_of(folder)
    if kind == "ave":
        for name in ("missing", "eval_audio", "snippet_seconds"):  # AVE has one list, its seconds, and every row has features
            if options.get(name) in (FOLDER_OPTIONS[name], "skip", "blank"):
                options.pop(name, None)
        return open_ave(folder, split, **known(options, AVE_OPTIONS))
    if kind == "avep":
        return open_avep(folder / "llp", folder / "ave", split, **known(options, AVEP_OPTIONS))
    return open_source(folder, split, **known(options, FOLDER_OPTIONS))


def read_lists(folder: Path, kind: str, split: str, **options: Any) -> Annotations:
    """Reads the lists of one split, whatever the layout; needs no features, and takes those of `load`'s options that are about lists."""
    chosen = {name: value for name, value in options.items() if name in ("eval_audio", "leaks", "repeated")}
    if kind == "ave":
        return read_ave(folder, split)
    if kind == "avep":
        return read_avep(folder / "llp", folder / "ave", split, **chosen)
    return read_annotations(folder, split, **{name: value for name, value in chosen.items() if name == "eval_audio"})


def known(options: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Puts `options` over `defaults`; an option that is not among these is an InputError."""
    unknown = [name for name in options if name not in defaults]
    if unknown:
        raise InputError(f"unknown option {unknown[0]!r} of load: this data takes {', '.join(defaults)}.")
    return defaults | options


@dataclass(frozen=True)
class Overview:
    """Holds the labels of a whole data set: `weak_labels[split]` (video, category) of 0 and 1, float32; `reference` (video, modality,
    snippet, category), bool, that of val and, behind it, of test.
    """

    title: str
    simulated: bool
    categories: tuple[str, ...]
    weak_labels: Mapping[str, np.ndarray]
    reference: np.ndarray

    def example(self, categories: Collection[str] | None = None) -> int:
        """Finds the first video of `reference` in which one of these categories (by default any) occurs, but not all the time.

        Failing that the first in which one occurs. Without any such video an InputError.
        """
        columns = [i for i, name in enumerate(self.categories) if categories is None or name in categories]
        rolls = self.reference[..., columns]
        occurs = rolls.any(axis=(1, 2, 3))
        for fitting in (occurs & ~rolls.all(axis=2).any(axis=(1, 2)), occurs):
            if fitting.any():
                return int(fitting.argmax())
        raise InputError(f"{self.title}: no video of val or test holds any of these categories: choose others.")


def overview(name: str, *, published: bool = True) -> Overview:
    """Reads the labels of `llp`, `ave` or `avep`: the published lists if they are here, else (or with `published=False`) simulated ones.

    Needs no features. Lists that are here and cannot be read are InputErrors; the simulated set does not silently stand in for these.

    >>> overview("llp", published=False).reference.shape
    (900, 2, 10, 25)
    """
    if name not in SIMULATED:
        raise InputError(f"no data set {name!r} to look at: use {', '.join(SIMULATED)}.")
    try:
        folder = find_data(name) if published else None
    except InputError:
        folder = None
    if folder is None:
        from .simulation.simulate import SIZES, video_timelines

        size = SIMULATED[name]
        lines = {split: video_timelines(size, split) for split in splits}
        weak = {split: each.weak_labels for split, each in lines.items()}
        reference = np.concatenate([lines["val"].rolls, lines["test"].rolls])
        return Overview(f"{name.upper()}-shaped (simulated {size})", True, SIZES[size].setting.categories, weak, reference)
    lists = {split: read_lists(folder, name, split) for split in splits}
    rolls = [lists[split].reference(AVE_SNIPPETS)[0] for split in ("val", "test")]
    if any(roll is None for roll in rolls):
        raise InputError(f"{folder}: no dense lists of val and test: run `cmpae download {name}`.")
    weak = {split: each.weak_labels for split, each in lists.items()}
    return Overview(f"{name.upper()} (published lists)", False, lists["train"].categories, weak, np.concatenate(rolls))


def _load_source(folder: Path, split: str | None, *, name: str | None = None, progress: bool = True, **options: Any) -> VideoSet:
    source = open_data(folder, split, **options)
    place = store.default_store(source.folder, split, source.variant)
    if not store.is_fresh(place, store.fingerprint(source)):
        if sum(size for size, _ in source.index.files().values()) < PACK_FROM:
            return source.load(name)
        store.pack_source(source, place, progress)
    videos = store.open_store(place)
    return replace(videos, name=name) if name else videos
