"""What is in a data set and whether it can be used, told in seconds: lists are read, headers compared, features sampled."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, InputWarning
from . import ave, formats
from .annotations import Annotations, find_layout, splits
from .arrays import Shapes, read_arrays
from .checks import feature_notices, scale_notices, shared_names
from .lists import list_digest, list_version
from .naming import simulated_size
from .source import Source
from .store import open_store, verify
from .videoset import Notice

FIRST = 5  # examples of anything that is counted
MOST_ROWS = 20  # bad rows and bad files told of a split
SAMPLED = 24  # videos of a split whose files are read
ROLES = ("rows", *splits, "weak", "dense", "spans", "background_labels")  # AVE's lists among its files


def examine(name_or_folder: str | Path, **options: Any) -> dict[str, Any]:
    """Reports in plain values: kind, folder, lists with their versions, splits, leakage, and `usable`.

    Each split says `usable`, the problem if there is one, videos listed and complete, what is missing, streams with their
    modalities, how long snippets and videos are, bad files, bad rows and notices. Options are those of `load`; with
    `missing="skip"` or `"blank"` missing features leave a split usable.
    """
    size = simulated_size(name_or_folder)
    if size:
        return _report("simulated", None, {split: _simulated(size, split) for split in splits})
    try:
        folder = formats.find_data(name_or_folder)
        kind = formats.kind_of(folder)
    except InputError as error:
        return _report(None, None, dict.fromkeys(splits, _unusable(error)))
    if kind == "store":
        return _report(kind, folder, _packed(folder))
    read = {split: _attempt(formats.read_lists, folder, kind, split, **options) for split in splits}
    found = {split: _split(folder, kind, split, read[split], options) for split in splits}
    return _report(kind, folder, found) | {
        "lists": [_listed(path) for path in list_files(folder, kind)],
        "leakage": _leakage({split: each.filenames for split, each in read.items() if isinstance(each, Annotations)}),
    }


def list_files(folder: Path, kind: str) -> list[Path]:
    """Finds the lists of a folder, both versions of the audio list among them."""
    if kind == "avep":
        return [path for name in ("llp", "ave") for path in list_files(folder / name, name)]
    if kind == "ave":
        found = ave.find_files(folder)
        return [found[role] for role in ROLES if role in found]
    try:
        lists = find_layout(folder, lists_needed=False).lists
    except InputError:
        return []
    beside = [path.with_name(path.name.replace("audio.csv", "audio_2020.csv")) for path in lists.values()]
    return list(dict.fromkeys([*lists.values(), *(path for path in beside if path.is_file())]))


def _report(kind: str | None, folder: Path | None, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    usable = all(each["usable"] for each in found.values())
    place = None if folder is None else str(folder)
    return {"kind": kind, "folder": place, "lists": [], "splits": found, "leakage": _leakage({}), "usable": usable}


def _attempt(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Gives what a call gives, or its InputError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)  # what is missing is counted in the report
            return call(*arguments, **options)
    except InputError as error:
        return error


def _unusable(error: InputError) -> dict[str, Any]:
    rows = list(error.details) if len(error.details) > 1 or ", line " in str(error) else []
    return {"usable": False, "problem": str(error), "bad_rows": rows[:MOST_ROWS], "notices": []}


def _split(folder: Path, kind: str, split: str, read: Annotations | InputError, options: dict[str, Any]) -> dict[str, Any]:
    if isinstance(read, InputError):
        return _unusable(read)
    about = {
        "usable": True, "title": f"{folder.resolve().name} ({split})", "videos": len(read), "categories": len(read.categories),
        "complete": 0, "missing": _counted([]) | {"count": len(read)}, "streams": {}, "modalities": {}, "snippet_seconds": None,
        "snippets": None, "dense_reference": read.dense is not None, "bad_files": [], "bad_rows": [],
        "notices": [str(notice) for notice in read.notices],
    }
    chosen = options | ({"missing": "skip"} if options.get("missing", "error") == "error" else {})
    source = _attempt(formats.open_data, folder, split, **chosen)
    if isinstance(source, InputError):
        return about | {"usable": False, "problem": str(source)}
    missing = [f"{name}: {looked_for}" for name, looked_for in source.index.missing.items()]
    about |= {"title": f"{source.about.name} ({split})", "complete": len(source.index.ids), "missing": _counted(missing)}
    about |= {"modalities": dict(source.index.modalities), "snippet_seconds": source.snippet_seconds}
    problems = _features(source, kind, about)
    if missing and chosen != options:
        problems.append(f"{len(missing)} of {about['videos']} videos have no features, the first {missing[0]}.")
    return about | ({"usable": False, "problem": problems[0]} if problems else {})


def _features(source: Source, kind: str, about: dict[str, Any]) -> list[str]:
    """Adds streams, lengths, bad files and notices to the report of a split; returns its problems."""
    bad: dict[int, str] = {}
    shapes = _attempt(source.measure, bad)
    if isinstance(shapes, InputError):
        about["bad_files"] = [*bad.values(), str(shapes)][:MOST_ROWS]
        return about["bad_files"]
    about["streams"] = {stream: list(shapes.of(stream, shapes.snippets)) for stream in shapes.streams}
    about["snippets"] = [int(shapes.lengths.min()), shapes.snippets]
    notices = []
    for stream, places in source.index.places.items():
        there = [position for position, place in enumerate(places) if place and position not in bad]
        chosen = [there[i] for i in np.unique(np.linspace(0, len(there) - 1, SAMPLED).astype(int))] if there else []
        arrays = []
        for i in chosen:
            read = _attempt(lambda at, stream=stream: list(read_arrays(source.index, stream, shapes, source.listed, [at])), i)
            bad |= {i: str(read)} if isinstance(read, InputError) else {}
            arrays += [] if isinstance(read, InputError) else [read[0][1]]
        notices += scale_notices(stream, arrays)
    about["bad_files"] = list(bad.values())[:MOST_ROWS]
    problems = about["bad_files"][:1]
    rolls = _attempt(source.annotations.reference, shapes.snippets, source.snippet_seconds, list(source.index.rows), shapes.lengths)
    if isinstance(rolls, InputError):
        problems.append(str(rolls))
    else:
        notices += rolls[1]
        notices += _unknown_seconds(source, shapes) if kind == "own" else []
    about["notices"] += [str(notice) for notice in notices]
    return problems


def _unknown_seconds(source: Source, shapes: Shapes) -> list[Notice]:
    """Asks where nobody said how long a snippet lasts, and no event reaches into the second half of its video."""
    dense = source.annotations.dense
    if source.about.snippet_seconds is not None or dense is None:
        return []
    half = dict(zip(source.filenames, shapes.lengths / 2, strict=True))
    events = dense[dense["filename"].isin(half)]
    if events.empty or (events["offset"] > events["filename"].map(half)).any():
        return []
    text = "every event ends in the first half of its video: do snippets last 1 s? Say so with snippet_seconds=1, or in dataset.json."
    return [Notice("snippet_seconds", source.annotations.files["audio"].name, None, text)]


def _leakage(names: dict[str, Iterable[str]]) -> dict[str, Any]:
    """Reports videos that several splits list; see `checks.leaks`."""
    videos = [{"id": video, "splits": there} for video, there in shared_names(names).items()]
    return {"count": len(videos), "videos": videos}


def _listed(path: Path) -> dict[str, str]:
    return {"file": path.name, "path": str(path), "sha256": list_digest(path), "version": list_version(path)}


def _counted(items: list[str]) -> dict[str, Any]:
    return {"count": len(items), "first": items[:FIRST]}


def _simulated(size: str, split: str) -> dict[str, Any]:
    from .simulation.simulate import SIZES, simulate

    return _whole(simulate(size, split, videos=1), SIZES[size].videos[split])


def _whole(videos: Any, count: int) -> dict[str, Any]:
    """Reports a split that is complete."""
    lengths = [videos.snippets] if videos.lengths is None else videos.lengths.tolist()
    return {
        "usable": True, "title": videos.title, "videos": count, "categories": len(videos.categories), "complete": count,
        "missing": _counted([]), "streams": {name: list(x.shape[1:]) for name, x in videos.features.items()},
        "modalities": dict(videos.modalities), "snippet_seconds": videos.snippet_seconds, "snippets": [min(lengths), max(lengths)],
        "dense_reference": videos.reference is not None, "bad_files": [], "bad_rows": [],
        "notices": [str(notice) for notice in [*videos.notices, *feature_notices(videos)]],
    }


def _packed(store: Path) -> dict[str, dict[str, Any]]:
    """Reports a packed store, which holds one split, and compares all of its arrays with their checksums."""
    videos = _attempt(open_store, store)
    if isinstance(videos, InputError):
        return {"store": _unusable(videos)}
    about, damage = _whole(videos, len(videos)), _attempt(verify, store)
    if isinstance(damage, InputError):
        about |= {"usable": False, "problem": str(damage), "bad_files": [str(damage)]}
    return {videos.split: about}
