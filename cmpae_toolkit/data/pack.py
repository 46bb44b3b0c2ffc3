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

from .._files import home, save_array, write_text
from ..errors import InputError
from .folder import Source
from .sources import open_data
from .store import CHUNK, FORMAT, NOT_YET, damaged, open_array, read_checksums, read_description

LARGEST = float(np.finfo(np.float16).max)


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
        return read_description(Path(store))["plan"] == plan
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
            sums[damaged(partial, stream, sums[:, column]), column] = NOT_YET
    except InputError:  # cut off by a power failure
        return False
    save_array(partial / "checksums.npy", sums)
    return True


def _fill(partial: Path, source: Source, progress: bool) -> None:
    """Pack every array that is not packed yet, `CHUNK` videos at a time."""
    streams = list(source.index.streams.folders)
    sums = np.array(open_array(partial / "checksums.npy"))
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
    arrays = {stream: open_array(partial / f"{stream}.npy") for stream in source.index.streams.folders}
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
