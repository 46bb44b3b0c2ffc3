"""What is in a data set and whether it can be used, told in seconds: lists are read, feature files counted and sampled.

The readers stop at the first bad row of a list; here they go on: the row is blanked in a copy of the lists and they read again.
Feature files are told by their sizes; those of an unusual size, and some others spread over the split, are opened.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, InputWarning
from . import ave_lists, avep, sources
from .annotations import Annotations, find_layout, read_annotations, splits
from .ave import AveSource
from .download import registry
from .features import TIME_SUFFIX
from .folder import Source, _about
from .store import open_store, read_checksums

FIRST = 5  # examples of anything that is counted
MOST_ROWS = 20  # bad rows told of a split
SAMPLED = 24  # videos of a split whose files are read, beside those of an unusual size
SAMPLED_BLOCKS = 3  # of AVE, where each stands in a block of rows that is read whole
ROLES = ("rows", *splits, "weak", "dense", "spans", "background_labels")  # AVE's lists among its files


def examine(name_or_folder: str | Path, **options: Any) -> dict[str, Any]:
    """A report of plain values: kind, folder, lists with their versions, splits, leakage, and `usable`.

    Each split says `usable`, the problem if there is one, videos listed and complete, what is missing, streams, bad files, bad
    rows and notices. Options are those of `load`; with `missing="skip"` missing features leave a split usable.
    """
    from . import simulated_size

    size = simulated_size(name_or_folder)
    if size:
        found = {"kind": "simulated", "folder": None, "lists": [], "splits": {split: _simulated(size, split) for split in splits}}
        return found | {"leakage": {"count": 0, "videos": []}, "usable": True}
    try:
        folder = sources.find_data(name_or_folder)
        kind = sources.kind_of(folder)
    except InputError as error:
        problem = {"usable": False, "problem": str(error), "bad_rows": [], "notices": []}
        found = {"kind": None, "folder": None, "lists": [], "splits": dict.fromkeys(splits, problem)}
        return found | {"leakage": {"count": 0, "videos": []}, "usable": False}
    if kind == "store":
        return _packed(folder)
    read = {split: _attempt(lambda at, split=split: read_lists(at, kind, split, **options), folder) for split in splits}
    found = {split: _split(folder, kind, split, read[split], options) for split in splits}
    lists = [_listed(path) for path in list_files(folder, kind)]
    leakage = _leakage(kind, {split: each for split, each in read.items() if isinstance(each, Annotations)})
    usable = all(each["usable"] for each in found.values())
    return {"kind": kind, "folder": str(folder), "lists": lists, "splits": found, "leakage": leakage, "usable": usable}


def version_of(path: str | Path) -> str:
    """`as published`, `2020 list` or `2024 corrected` for a published list, by sha256; else `other`. Line ends do not matter."""
    digest = _digest(Path(path))
    known = {entry["sha256"]: entry["version"] for about in registry().values() for entry in about["lists"]}
    return known.get(digest, "other")


def read_lists(folder: Path, kind: str, split: str, **options: Any) -> Annotations:
    """The lists of one split, whatever the layout; needs no features."""
    chosen = {name: value for name, value in options.items() if name in ("eval_audio", "leaks", "repeated")}
    if kind == "ave":
        return ave_lists.read_ave(folder, split)
    if kind == "avep":
        return avep.read_avep(folder / "llp", folder / "ave", split, **chosen)
    return read_annotations(folder, split, **{name: chosen[name] for name in ("eval_audio",) if name in chosen})


def list_files(folder: Path, kind: str) -> list[Path]:
    """The lists of a folder that are there, both versions of the audio list among them."""
    if kind == "avep":
        return [path for name, of in (("llp", "llp"), ("ave", "ave")) for path in list_files(folder / name, of)]
    if kind == "ave":
        found = ave_lists.find_files(folder)
        return [found[role] for role in ROLES if role in found]
    try:
        found = find_layout(folder, lists_needed=False).lists
    except InputError:
        return []
    beside = [path.with_name(path.name.replace("audio.csv", "audio_2020.csv")) for path in found.values()]
    return list(dict.fromkeys([*found.values(), *(path for path in beside if path.is_file())]))


def _attempt(read: Callable[[Path], Any], at: Path) -> Any:
    """What `read` gives, or its InputError."""
    try:
        return read(at)
    except InputError as error:
        return error


def _split(folder: Path, kind: str, split: str, read: Annotations | InputError, options: dict[str, Any]) -> dict[str, Any]:
    if isinstance(read, InputError):
        bad = _bad_rows(folder, kind, lambda at: read_lists(at, kind, split, **options))
        return {"usable": False, "problem": str(read), "bad_rows": bad, "notices": []}
    about = {
        "usable": True, "title": f"{folder.resolve().name} ({split})", "videos": len(read.videos),
        "categories": len(read.categories), "complete": 0, "missing": {"count": len(read.videos), "first": []}, "streams": {},
        "dense_reference": read.spans is not None, "bad_files": [], "bad_rows": [], "notices": [str(n) for n in read.notices],
    }
    name = _attempt(lambda at: _name(at, kind), folder)
    if isinstance(name, InputError):
        return about | {"usable": False, "problem": str(name)}
    about["title"] = f"{name} ({split})"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # what is missing is counted below
        source = _attempt(lambda at: sources.open_data(at, split, **options | {"missing": "skip"}), folder)
    if isinstance(source, InputError):
        return about | {"usable": False, "problem": str(source)}
    index = source.index
    missing = [f"{name}: {looked_for}" for name, looked_for in index.missing.items()]
    about |= {"videos": len(source.annotations.videos), "complete": len(index.ids), "missing": _counted(missing)}
    about["streams"], bad = _features(source)
    about["bad_files"] = bad
    if missing and options.get("missing") != "skip":
        about["problem"] = f"{len(missing)} of {about['videos']} videos have no features, the first {missing[0]}."
    if bad:
        about["problem"] = bad[0]
    return about | {"usable": "problem" not in about}


def _features(source: Source) -> tuple[dict[str, list[int]], list[str]]:
    """Positions and width of each stream, and what is wrong with the files that were opened."""
    try:
        shapes = {stream: x.shape for stream, x in source.shapes()[1].items()}
    except InputError as error:
        return {}, [str(error)]
    bad = []
    for stream, files in source.index.stats().items():
        sizes = np.array([size for _, size, _ in files])
        usual = Counter(sizes.tolist()).most_common(1)[0][0]
        odd = np.flatnonzero(sizes != usual)[:MOST_ROWS].tolist()
        for position in dict.fromkeys([*odd, *_spread(source)]):
            read = _attempt(lambda _, at=(position, stream): source.read(*at, shapes[at[1]]), source.folder)
            bad += [str(read)] if isinstance(read, InputError) else []
    return {stream: list(shape) for stream, shape in shapes.items()}, bad[:MOST_ROWS]


def _spread(source: Source) -> list[int]:
    order, count = list(source.reading_order), SAMPLED_BLOCKS if isinstance(source, AveSource) else SAMPLED
    return [order[i] for i in np.linspace(0, len(order) - 1, min(count, len(order))).astype(int)]


def _bad_rows(folder: Path, kind: str, read: Callable[[Path], Any]) -> list[str]:
    """Every row (up to `MOST_ROWS`) at which the lists cannot be read, with its file and line."""
    bad: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "lists"
        for path in (*list_files(folder, kind), *folder.glob("categories.txt"), *folder.glob("annotations/categories.txt")):
            target = copy / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        while len(bad) < MOST_ROWS and copy.is_dir():
            error = _attempt(read, copy)
            where = re.match(r"(.+?), line (\d+): ", str(error)) if isinstance(error, InputError) else None
            path = Path(where[1]) if where else None
            if path is None or not path.is_file() or not path.is_relative_to(copy) or not _blank(path, int(where[2])):
                break
            bad.append(str(error).replace(str(copy), str(folder)))
    return bad


def _blank(path: Path, line: int) -> bool:
    """Empty a line below the header; False if there is nothing to empty."""
    lines = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    if not 1 < line <= len(lines) or not lines[line - 1]:
        return False
    lines[line - 1] = b""
    path.write_bytes(b"\n".join(lines))
    return True


def _leakage(kind: str, read: dict[str, Annotations]) -> dict[str, Any]:
    """Videos that several splits list, by YouTube id (in a folder of one's own by name without times)."""
    where: dict[str, dict[str, list[str]]] = {}
    for split, listed in read.items():
        for filename in listed.filenames:
            video = TIME_SUFFIX.sub("", filename) if kind == "own" else avep.youtube_id(filename)
            where.setdefault(video, {}).setdefault(split, []).append(filename)
    videos = [{"id": video, "splits": there} for video, there in where.items() if len(there) > 1]
    return {"count": len(videos), "videos": videos}


def _listed(path: Path) -> dict[str, str]:
    return {"file": path.name, "path": str(path), "sha256": _digest(path), "version": version_of(path)}


def _digest(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix in (".csv", ".txt"):
        content = content.replace(b"\r\n", b"\n")
    return hashlib.sha256(content).hexdigest()


def _name(folder: Path, kind: str) -> str:
    return "avep" if kind == "avep" else _about(folder)["name"]


def _counted(items: Iterable[str]) -> dict[str, Any]:
    items = list(items)
    return {"count": len(items), "first": items[:FIRST]}


def _simulated(size: str, split: str) -> dict[str, Any]:
    from .simulation.simulate import SIZES, simulate

    first = simulate(size, split, videos=1)
    count = SIZES[size].videos[split]
    return _whole(first, count)


def _whole(videos: Any, count: int) -> dict[str, Any]:
    """The report of a split that is complete."""
    return {
        "usable": True, "title": videos.title, "videos": count, "categories": len(videos.categories), "complete": count,
        "missing": _counted([]), "streams": {name: list(x.shape[1:]) for name, x in videos.features.items()},
        "dense_reference": videos.reference is not None, "bad_files": [], "bad_rows": [],
        "notices": [str(notice) for notice in videos.notices],
    }


def _packed(store: Path) -> dict[str, Any]:
    """A packed store holds one split; some of its arrays are compared with their checksums."""
    found: dict[str, Any] = {"kind": "store", "folder": str(store), "lists": [], "leakage": {"count": 0, "videos": []}}
    videos = _attempt(open_store, store)
    if isinstance(videos, InputError):
        split = {"usable": False, "problem": str(videos), "bad_rows": [], "notices": []}
        return found | {"splits": {"store": split}, "usable": False}
    about = _whole(videos, len(videos))
    sums = _attempt(lambda at: read_checksums(at, len(videos), len(videos.features)), store)
    for column, (stream, x) in enumerate(videos.features.items()):
        for i in np.linspace(0, len(videos) - 1, min(SAMPLED, len(videos))).astype(int):
            if isinstance(sums, InputError) or zlib.crc32(x[i].tobytes()) != sums[i, column]:
                about["bad_files"].append(f"{store / f'{stream}.npy'}: {videos.ids[i]} does not have its checksum: pack again.")
    if about["bad_files"]:
        about |= {"usable": False, "problem": about["bad_files"][0]}
    return found | {"splits": {videos.split: about}, "usable": about["usable"]}
