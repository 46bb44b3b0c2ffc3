"""Packed stores: the many small feature files of a split as one memory-mapped float16 array per stream.

A store is a folder of `<stream>.npy` (video, positions, width), `checksums.npy` (video, stream), `weak_labels.npy`,
`reference.npy` and `store.json`. It is built beside its place, under `<name>.partial`, and renamed when it is whole; an
interrupted build goes on where it stopped. float16 keeps three to four digits, which features do not exceed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from ..config import MODALITIES
from ..errors import InputError
from .folder import Source
from .home import home, save_array, write_text
from .lists import check_filenames
from .sources import open_data
from .videoset import Notice, VideoSet

FORMAT = 1
LARGEST = float(np.finfo(np.float16).max)
CHUNK = 64  # videos between two records of the progress; also what is mapped into memory at once
FIELDS = {
    "name": str, "split": str, "categories": list, "ids": list, "filenames": list, "modalities": dict, "simulated": bool,
    "weak_labels": bool, "reference": bool, "notices": list, "plan": str,
}
NOT_YET = -1  # in place of a crc32, which is never negative


def pack(
    folder: str | Path,
    split: str | None,
    out: str | Path | None = None,
    *,
    missing: str = "error",
    eval_audio: str | None = None,
    progress: bool = True,
    **options: Any,
) -> Path:
    """Pack one split of a folder or a download (`llp`, ...) and return its store; one that is there and up to date stays.

    `out` is the store's own folder, by default one below `home()`. A stale store is packed again, an interrupted one
    finished. Values beyond float16, bad files and a full disk are InputErrors that leave no half store in place.
    Further options are those of the reader: `background` of AVE, `leaks` and `repeated` of AVEP.
    """
    source = open_data(folder, split, missing=missing, eval_audio=eval_audio, **options)
    return pack_source(source, Path(out) if out else default_store(source.folder, split, source.variant), progress)


def pack_source(source: Source, store: Path, progress: bool = True) -> Path:
    """Pack an opened source into `store` unless an equal store is there; see `pack`."""
    plan = fingerprint(source)
    if is_fresh(store, plan):
        return store
    if store.exists() and not (store / "store.json").is_file() and (not store.is_dir() or any(store.iterdir())):
        raise InputError(f"{store}: something else than a packed store is here: give another place.")
    partial = store.with_name(store.name + ".partial")
    snippets, first = source.shapes()
    _start(partial, source, plan, {stream: x.shape for stream, x in first.items()})
    _fill(partial, source, progress)
    _describe(partial, source, plan, snippets)
    _put_in_place(partial, store)
    return store


def open_store(store: str | Path) -> VideoSet:
    """A packed store as a VideoSet whose features stay on disk (memory-mapped, read-only). Needs nothing else."""
    store = Path(store)
    about = _read_description(store)
    arrays = {stream: _open(store / f"{stream}.npy") for stream in about["modalities"]}
    weak, reference = (np.array(_open(store / f"{name}.npy")) if about[name] else None for name in ("weak_labels", "reference"))
    _check_shapes(store, about, arrays, {"weak_labels": (weak, 2), "reference": (reference, 4)})
    return VideoSet(
        about["name"], about["split"], tuple(about["categories"]), tuple(about["ids"]), arrays, about["modalities"],
        weak, reference, tuple(about["filenames"]), about["simulated"], tuple(Notice(*each) for each in about["notices"]),
    )


def verify(store: str | Path) -> int:
    """Read a whole store and compare every video's crc32; returns how many arrays were right, a wrong one is an InputError."""
    store = Path(store)
    about = _read_description(store)
    sums = read_checksums(store, len(about["ids"]), len(about["modalities"]))
    for column, stream in enumerate(about["modalities"]):
        bad = _damaged(store, stream, sums[:, column])
        if bad:
            count = f"{len(bad)} videos are damaged, the first {about['ids'][bad[0]]}"
            raise InputError(f"{store / f'{stream}.npy'}: {count}: remove {store} and pack again.")
    return sums.size


def read_checksums(store: Path, videos: int, streams: int) -> np.ndarray:
    """The crc32 of each array of a store, (video, stream), integers; `NOT_YET` in a store that is being built."""
    path = store / "checksums.npy"
    sums = np.array(_open(path))
    if sums.dtype.kind not in "iu" or sums.shape != (videos, streams):
        raise InputError(f"{path}: {_misfit(sums, store)}")
    return sums


def default_store(folder: str | Path, split: str | None, variant: str | None = None) -> Path:
    """Where a folder's split is packed unless told otherwise: below `home()`, told apart by the folder's absolute path."""
    absolute = Path(folder).resolve()
    digest = hashlib.sha256(str(absolute).encode("utf-8", "surrogateescape")).hexdigest()[:10]
    name = (split or "unlabelled") + (f"-{variant}" if variant else "")
    return home() / "packed" / f"{absolute.name}-{digest}" / name


def fingerprint(source: Source) -> str:
    """A digest that changes with the lists, the categories, and the names, sizes and times of the split's feature files."""
    digest = hashlib.sha256(repr((FORMAT, source.split, source.categories, source.filenames, source.index.ids)).encode())
    digest.update(repr(sorted(source.index.streams.modalities.items())).encode())
    files = dict(source.annotations.files) if source.annotations else {}
    for name, path in sorted((files | {"about": source.folder / "about.json"}).items()):
        digest.update(repr((name, path.name)).encode() + (path.read_bytes() if path.is_file() else b""))
    digest.update(repr(source.index.stats()).encode())
    return digest.hexdigest()


def is_fresh(store: str | Path, plan: str) -> bool:
    """Whether a finished store of this fingerprint is there."""
    try:
        return _read_description(Path(store))["plan"] == plan
    except InputError:
        return False


def _start(partial: Path, source: Source, plan: str, shapes: dict[str, tuple[int, ...]]) -> None:
    """Make the empty arrays, or keep those of an interrupted build of the same plan."""
    count = len(source.index.ids)
    if _resumed(partial, plan, count, list(shapes)):
        return
    if partial.exists():
        shutil.rmtree(partial)
    needed = sum(2 * count * int(np.prod(shape)) for shape in shapes.values())
    partial.mkdir(parents=True)
    free = shutil.disk_usage(partial).free
    if free < needed:
        partial.rmdir()
        space = f"the packed store needs {needed / 1e9:.2f} GB and {free / 1e9:.2f} are free"
        raise InputError(f"{partial.parent}: {space}: make room, or set CMPAE_HOME to another disk.")
    for stream, shape in shapes.items():
        np.lib.format.open_memmap(partial / f"{stream}.npy", "w+", np.float16, (count, *shape)).flush()
    save_array(partial / "checksums.npy", np.full((count, len(shapes)), NOT_YET, np.int64))
    write_text(partial / "plan.txt", plan)  # last: without it the next build starts anew


def _resumed(partial: Path, plan: str, videos: int, streams: list[str]) -> bool:
    """Whether an interrupted build of this plan can go on; arrays that do not match their checksums count as not packed."""
    record = partial / "plan.txt"
    if not record.is_file() or record.read_text(encoding="utf-8") != plan:
        return False
    try:
        sums = read_checksums(partial, videos, len(streams))
        for column, stream in enumerate(streams):
            sums[_damaged(partial, stream, sums[:, column]), column] = NOT_YET
    except InputError:  # cut off by a power failure
        return False
    save_array(partial / "checksums.npy", sums)
    return True


def _fill(partial: Path, source: Source, progress: bool) -> None:
    """Pack every array that is not packed yet, `CHUNK` videos at a time."""
    streams = list(source.index.streams.folders)
    sums = np.array(_open(partial / "checksums.npy"))
    order = np.asarray(source.reading_order)
    waiting = order[(sums[order] == NOT_YET).any(axis=1)]
    packed = len(sums) - len(waiting)
    with tqdm(total=len(sums), initial=packed, desc=f"pack {source.split}", unit="video", disable=not progress) as bar:
        for start in range(0, len(waiting), CHUNK):
            stores = {stream: np.lib.format.open_memmap(partial / f"{stream}.npy", "r+") for stream in streams}
            try:
                for position in waiting[start : start + CHUNK]:
                    for column, stream in enumerate(streams):
                        if sums[position, column] == NOT_YET:
                            values = _half(source, position, stream, stores[stream].shape[1:])
                            stores[stream][position] = values
                            sums[position, column] = zlib.crc32(values.tobytes())
                    bar.update()
            finally:  # also when a file is bad or someone pressed Ctrl-C: what is packed stays packed
                for array in stores.values():
                    array.flush()
                save_array(partial / "checksums.npy", sums)


def _half(source: Source, position: int, stream: str, shape: tuple[int, ...]) -> np.ndarray:
    values = source.read(position, stream, shape)
    if np.abs(values).max() > LARGEST:
        path = source.index.path(stream, source.index.ids[position])
        what = f"holds values beyond float16 ({LARGEST:.0f})"
        raise InputError(f"{path} ({source.listed(position)}) {what}: scale this stream down, or read it with load_folder.")
    return values.astype(np.float16)


def _describe(partial: Path, source: Source, plan: str, snippets: int) -> None:
    arrays = {stream: _open(partial / f"{stream}.npy") for stream in source.index.streams.folders}
    videos = source.assemble(arrays, snippets)
    for name in ("weak_labels", "reference"):
        if getattr(videos, name) is not None:
            save_array(partial / f"{name}.npy", getattr(videos, name))
    about = {name: getattr(videos, name) for name in ("name", "split", "categories", "ids", "filenames", "simulated")}
    about |= {name: getattr(videos, name) is not None for name in ("weak_labels", "reference")}
    about |= {"modalities": {stream: videos.modalities[stream] for stream in arrays}, "plan": plan, "format": FORMAT}
    about["notices"] = [(each.kind, each.file, each.line, each.text) for each in videos.notices]
    write_text(partial / "store.json", json.dumps(about, indent=1))


def _put_in_place(partial: Path, store: Path) -> None:
    """One rename makes the store appear; an older one steps aside first and is removed last."""
    (partial / "plan.txt").unlink()
    old = store.with_name(store.name + ".old")
    if old.exists():
        shutil.rmtree(old)
    if store.exists():
        os.replace(store, old)
    os.replace(partial, store)
    if old.exists():
        # Windows keeps files that are still mapped; the next packing removes them.
        with contextlib.suppress(OSError):
            shutil.rmtree(old)


def _damaged(store: Path, stream: str, sums: np.ndarray) -> list[int]:
    """Positions that are packed and whose values do not have the checksum that was noted."""
    path = store / f"{stream}.npy"
    count = len(_open(path))
    if count != len(sums):
        raise InputError(f"{path}: {count} videos instead of {len(sums)}: remove {store} and pack again.")
    packed, bad = np.flatnonzero(sums != NOT_YET).tolist(), []
    for start in range(0, len(packed), CHUNK):
        array = _open(path)  # mapped anew each time, so that the pages of a whole store do not gather in memory
        bad += [i for i in packed[start : start + CHUNK] if zlib.crc32(array[i].tobytes()) != sums[i]]
    return bad


def _read_description(store: Path) -> dict:
    """What `store.json` says, with every field of its type, and names of streams that stay within the store."""
    try:
        about = json.loads((store / "store.json").read_bytes())
        if store.name.endswith(".partial") or about["format"] != FORMAT:
            raise KeyError("format")
        texts = [name for field in ("categories", "ids", "filenames") for name in about[field]]
        if not all(isinstance(text, str) for text in [*texts, *about["modalities"].values()]):
            raise TypeError("no text")
        if any(type(about[name]) is not kind for name, kind in FIELDS.items()) or len(about["ids"]) != len(about["filenames"]):
            raise TypeError("another type")
        if len(set(about["categories"])) < len(about["categories"]) or not set(about["modalities"].values()) <= set(MODALITIES):
            raise ValueError("repeated or unknown names")
        check_filenames(about["modalities"])
        [Notice(*each) for each in about["notices"]]
        return about
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{store}: no finished packed store of this version: run pack on the folder of features.") from None


def _check_shapes(
    store: Path, about: dict, arrays: dict[str, np.ndarray], labels: dict[str, tuple[np.ndarray | None, int]]
) -> None:
    """Streams are float16 (video, positions, width), labels 0 or 1 ending in the categories; `labels` gives array and number of axes."""
    snippets = min((x.shape[1] for x in arrays.values() if x.ndim == 3), default=0)
    found = {}
    for stream, x in arrays.items():
        whole = x.ndim == 3 and snippets > 0 and x.shape[1] % snippets == 0
        found[stream] = (x, 3, whole and x.dtype == np.float16)
    for name, (x, axes) in labels.items():
        if x is not None:
            right = x.dtype.kind in "fb" and x.shape[-1:] == (len(about["categories"]),) and np.isin(x, (0, 1)).all()
            found[name] = (x, axes, right and x.shape[1:-1] in ((), (len(MODALITIES), snippets)))
    for name, (x, axes, right) in found.items():
        if not right or x.ndim != axes or len(x) != len(about["ids"]) or not x.size:
            raise InputError(f"{store / f'{name}.npy'}: {_misfit(x, store)}")


def _misfit(array: np.ndarray, store: Path) -> str:
    return f"{array.dtype} of shape {array.shape} does not fit: remove {store} and pack again."


def _open(path: Path) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            array.close()
            raise ValueError("an .npz archive")
        return array
    except Exception as error:  # a damaged header raises nearly anything: ValueError, EOFError, SyntaxError, TokenError, ...
        reason = " ".join(str(error).split())[:80]
        raise InputError(f"{path}: unreadable part of a packed store ({reason}): remove {path.parent} and pack again.") from None
