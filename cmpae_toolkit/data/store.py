"""Packed stores: the many small feature files of a split as one memory-mapped float16 array per stream.

A store is a folder of `<stream>.npy` (video, positions, width), labels as further `.npy` files, and `store.json`, which says the
rest and has a SHA-256 of each array. It is built beside its place and renamed when it is whole. float16 keeps three to four
digits, which features do not exceed. Whatever does not fit together is an InputError.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from .._files import check_space, draft_beside, home, remove_stale_drafts, save_array, write_json, writing
from ..config import MODALITIES
from ..errors import InputError
from .arrays import Shapes
from .lists import read_bytes
from .naming import check_filenames
from .scan import scan
from .source import DESCRIPTION, Source
from .videoset import Notice, VideoSet

FORMAT = 2
FIELDS = {
    "name": str, "split": str, "categories": list, "ids": list, "filenames": list, "modalities": dict, "simulated": bool,
    "snippet_seconds": float, "arrays": list, "notices": list, "plan": str, "sha256": dict,
}
LABELS = ("weak_labels", "reference", "lengths", "present")
LARGEST = float(np.finfo(np.float16).max)


def pack(
    folder: str | Path, split: str | None, out: str | Path | None = None, *, missing: str = "error", eval_audio: str | None = None,
    progress: bool = True, **options: Any,
) -> Path:
    """Packs one split of a folder or a download (`llp`, ...) and returns its store; one that is there and up to date stays.

    `out` is the store's own folder, by default one below `home()`. A stale store is packed again. Values beyond float16, bad
    files and a full disk are InputErrors that leave no half store in place. Further options are those of the reader:
    `snippet_seconds`, `background` of AVE, `leaks` and `repeated` of AVEP.

    >>> import tempfile
    >>> from cmpae_toolkit import data
    >>> folder = data.write_folder(data.load("tiny", "test"), tempfile.mkdtemp())
    >>> store = pack(folder, "test", tempfile.mkdtemp() + "/store", progress=False)
    >>> len(open_store(store)) == len(data.load("tiny", "test"))
    True
    """
    from .formats import open_data

    source = open_data(folder, split, missing=missing, eval_audio=eval_audio, **options)
    return pack_source(source, Path(out) if out else default_store(source.folder, split, source.variant), progress)


def pack_source(source: Source, store: Path, progress: bool = True) -> Path:
    """Packs an opened source into `store` unless an equal store is there; see `pack`."""
    plan = fingerprint(source)
    if is_fresh(store, plan):
        return store
    if store.exists() and not (store / "store.json").is_file() and (not store.is_dir() or any(store.iterdir())):
        raise InputError(f"{store}: something else than a packed store is here: give another place.")
    shapes = source.measure()
    values = sum(len(shapes.lengths) * int(np.prod(shapes.of(stream, shapes.snippets))) for stream in shapes.streams)
    with writing(store):
        check_space(store, 2 * values, "the packed store")
        store.parent.mkdir(parents=True, exist_ok=True)
        remove_stale_drafts(store.parent)
        draft = draft_beside(store)
        draft.mkdir()
        try:
            _fill(draft, source, shapes, progress)
            _describe(draft, source, shapes, plan)
            _put_in_place(draft, store)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return store


def default_store(folder: str | Path, split: str | None, variant: str | None = None) -> Path:
    """Says where a folder's split is packed unless told otherwise: below `home()`, told apart by the folder's absolute path."""
    absolute = Path(folder).resolve()
    digest = hashlib.sha256(str(absolute).encode("utf-8", "surrogateescape")).hexdigest()[:10]
    name = (split or "unlabelled") + (f"-{variant}" if variant else "")
    return home() / "packed" / f"{absolute.name}-{digest}" / name


def fingerprint(source: Source) -> str:
    """Makes a digest that changes with the lists, the description, and the names, sizes and times of the split's feature files."""
    digest = hashlib.sha256(repr((FORMAT, source.split, source.categories, source.filenames, source.index.ids, source.about)).encode())
    files = dict(source.annotations.files) if source.annotations else {}
    for name, path in sorted((files | {"about": source.folder / DESCRIPTION}).items()):
        digest.update(repr((name, path.name)).encode() + (read_bytes(path) if path.exists() else b""))
    places = {stream: [place and (place.path.name, place.row) for place in each] for stream, each in source.index.places.items()}
    digest.update(repr((places, source.index.files())).encode())
    return digest.hexdigest()


def is_fresh(store: str | Path, plan: str) -> bool:
    """Tells whether a finished store of this fingerprint is there."""
    try:
        return _read_description(Path(store))["plan"] == plan
    except InputError:
        return False


def open_store(store: str | Path) -> VideoSet:
    """Opens a packed store as a VideoSet whose features stay on disk (memory-mapped, read-only). Needs nothing else.

    The first opening after a change reads all features once (about a second a GB), to refuse NaN and infinite values; what was
    found is kept beside the arrays (`scan.json`).

    >>> import tempfile
    >>> from cmpae_toolkit import data
    >>> folder = data.write_folder(data.load("tiny", "test"), tempfile.mkdtemp())
    >>> open_store(pack(folder, "test", tempfile.mkdtemp() + "/store", progress=False)).split
    'test'
    """
    store = Path(store)
    about = _read_description(store)
    arrays = {stream: _open_array(store / f"{stream}.npy") for stream in about["modalities"]}
    labels = {name: np.array(_open_array(store / f"{name}.npy")) if name in about["arrays"] else None for name in LABELS}
    _check_shapes(store, about, arrays, labels)
    videos = VideoSet(
        about["name"], about["split"], tuple(about["categories"]), tuple(about["ids"]), arrays, about["modalities"],
        labels["weak_labels"], labels["reference"], tuple(about["filenames"]), about["simulated"],
        tuple(Notice(*each) for each in about["notices"]), about["snippet_seconds"], labels["lengths"], labels["present"],
    )
    return videos.check_finite()


def verify(store: str | Path) -> int:
    """Reads a whole store and compares every array with its SHA-256 (about a second a GB); returns how many were right.

    An array with other values is an InputError.

    >>> import tempfile
    >>> from cmpae_toolkit import data
    >>> folder = data.write_folder(data.load("tiny", "test"), tempfile.mkdtemp())
    >>> verify(pack(folder, "test", tempfile.mkdtemp() + "/store", progress=False)) > 0
    True
    """
    store = Path(store)
    about = _read_description(store)
    for name, right in about["sha256"].items():
        path = store / f"{name}.npy"
        if scan(_open_array(path)).sha256 != right:
            raise InputError(f"{path}: damaged, its values do not have their checksum: remove {store} and pack again.")
    return len(about["sha256"])


def _fill(draft: Path, source: Source, shapes: Shapes, progress: bool) -> None:
    """Writes every array to its place in its stream's file; what no video fills stays zero."""
    with contextlib.ExitStack() as stack:
        files, starts, strides = {}, {}, {}
        for stream in shapes.streams:
            shape = (len(shapes.lengths), *shapes.of(stream, shapes.snippets))
            files[stream] = file = stack.enter_context(open(draft / f"{stream}.npy", "wb"))
            np.lib.format.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": shape})
            starts[stream], strides[stream] = file.tell(), 2 * int(np.prod(shape[1:]))
            file.truncate(starts[stream] + shape[0] * strides[stream])

        def put(stream: str, position: int, values: np.ndarray) -> None:
            if np.abs(values).max() > LARGEST:
                place, what = source.index.places[stream][position], f"holds values beyond float16 ({LARGEST:.0f})"
                advice = "scale this stream down, or read it with load_folder"
                raise InputError(f"{place.path} ({source.listed(position)}) {what}: {advice}.")
            files[stream].seek(starts[stream] + position * strides[stream])
            files[stream].write(values.astype("<f2").tobytes())

        source.read(shapes, put, "pack", progress)


def _describe(draft: Path, source: Source, shapes: Shapes, plan: str) -> None:
    videos = source.assemble({stream: _open_array(draft / f"{stream}.npy") for stream in shapes.streams}, shapes)
    arrays = {name: getattr(videos, name) for name in LABELS if getattr(videos, name) is not None}
    for name, array in arrays.items():
        save_array(draft / f"{name}.npy", array)
    about = {name: getattr(videos, name) for name in ("name", "split", "categories", "ids", "filenames", "simulated", "snippet_seconds")}
    about |= {"modalities": videos.modalities, "arrays": list(arrays), "plan": plan, "format": FORMAT}
    about["notices"] = [(each.kind, each.file, each.line, each.text) for each in videos.notices]
    about["sha256"] = {name: scan(_open_array(draft / f"{name}.npy"), cached=True).sha256 for name in [*videos.features, *arrays]}
    write_json(draft / "store.json", about)


def _put_in_place(draft: Path, store: Path) -> None:
    """Makes the store appear by one rename; an older one steps aside first and is removed last."""
    if not store.exists():
        os.replace(draft, store)
        return
    old = draft_beside(store)
    os.replace(store, old)
    os.replace(draft, store)
    shutil.rmtree(old, ignore_errors=True)  # Windows keeps files that are still mapped; a later packing removes them


def _read_description(store: Path) -> dict:
    """Reads what `store.json` says, with every field of its type, and names of streams that stay within the store."""
    try:
        about = json.loads((store / "store.json").read_bytes())
        if about["format"] != FORMAT or any(type(about[name]) is not kind for name, kind in FIELDS.items()):
            raise ValueError("another version")
        texts = [*about["categories"], *about["ids"], *about["filenames"], *about["modalities"].values(), *about["sha256"].values()]
        unique = all(len(set(about[name])) == len(about[name]) for name in ("categories", "filenames"))
        shared = any(notice[0] == "shared_features" for notice in about["notices"])
        repeated = len(set(about["ids"])) < len(about["ids"]) and not shared
        if not all(isinstance(text, str) for text in texts) or len(about["ids"]) != len(about["filenames"]) or not unique or repeated:
            raise ValueError("names")
        if not set(about["modalities"].values()) <= set(MODALITIES) or not set(about["arrays"]) <= set(LABELS):
            raise ValueError("unknown names")
        if set(about["sha256"]) != {*about["modalities"], *about["arrays"]}:
            raise ValueError("other arrays")
        check_filenames(about["modalities"])
        [Notice(*each) for each in about["notices"]]
        return about
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise InputError(f"{store}: no finished packed store of this version: run pack on the folder of features.") from None


def _check_shapes(store: Path, about: dict, arrays: dict[str, np.ndarray], labels: dict[str, np.ndarray | None]) -> None:
    """Checks that streams are float16 (video, positions, width) and labels of the shapes and values that a VideoSet has."""
    count, categories = len(about["ids"]), len(about["categories"])
    snippets = min((x.shape[1] for x in arrays.values() if x.ndim == 3), default=0)
    shapes = {
        "weak_labels": (count, categories), "reference": (count, len(MODALITIES), snippets, categories), "lengths": (count,),
        "present": (count, len(MODALITIES)),
    }
    for stream, x in arrays.items():
        whole = x.ndim == 3 and snippets > 0 and x.shape[1] % snippets == 0 and len(x) == count
        if not (whole and x.dtype == np.float16 and x.size):
            raise InputError(f"{store / f'{stream}.npy'}: {_misfit(x, store)}")
    for name, x in labels.items():
        if x is not None:
            kinds, values = ("iu", range(1, snippets + 1)) if name == "lengths" else ("fb", (0, 1))
            if x.shape != shapes[name] or x.dtype.kind not in kinds or not np.isin(x, list(values)).all():
                raise InputError(f"{store / f'{name}.npy'}: {_misfit(x, store)}")


def _misfit(array: np.ndarray, store: Path) -> str:
    return f"{array.dtype} of shape {array.shape} does not fit: remove {store} and pack again."


def _open_array(path: Path) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            array.close()
            raise ValueError("an .npz archive")
        return array
    except Exception as error:  # a damaged header raises nearly anything: ValueError, EOFError, SyntaxError, TokenError, ...
        reason = " ".join(str(error).split())[:80]
        raise InputError(f"{path}: unreadable part of a packed store ({reason}): remove {path.parent} and pack again.") from None
