"""Packed stores as they are read: opened, described, and compared with the checksums of their videos. `pack` builds them.

Whatever does not fit (no finished store, a part of another shape or type, values that changed) is an InputError.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np

from ..config import MODALITIES
from ..errors import InputError
from .lists import check_filenames
from .videoset import Notice, VideoSet

FORMAT = 1
CHUNK = 64  # videos between two records of the progress; also what is mapped into memory at once
FIELDS = {
    "name": str, "split": str, "categories": list, "ids": list, "filenames": list, "modalities": dict, "simulated": bool,
    "weak_labels": bool, "reference": bool, "notices": list, "plan": str,
}
NOT_YET = -1  # in place of a crc32, which is never negative


def open_store(store: str | Path) -> VideoSet:
    """A packed store as a VideoSet whose features stay on disk (memory-mapped, read-only). Needs nothing else."""
    store = Path(store)
    about = read_description(store)
    arrays = {stream: open_array(store / f"{stream}.npy") for stream in about["modalities"]}
    weak, reference = (np.array(open_array(store / f"{name}.npy")) if about[name] else None for name in ("weak_labels", "reference"))
    _check_shapes(store, about, arrays, {"weak_labels": (weak, 2), "reference": (reference, 4)})
    return VideoSet(
        about["name"], about["split"], tuple(about["categories"]), tuple(about["ids"]), arrays, about["modalities"],
        weak, reference, tuple(about["filenames"]), about["simulated"], tuple(Notice(*each) for each in about["notices"]),
    )


def verify(store: str | Path) -> int:
    """Read a whole store and compare every video's crc32; returns how many arrays were right, a wrong one is an InputError."""
    store = Path(store)
    about = read_description(store)
    sums = read_checksums(store, len(about["ids"]), len(about["modalities"]))
    for column, stream in enumerate(about["modalities"]):
        bad = damaged(store, stream, sums[:, column])
        if bad:
            count = f"{len(bad)} videos are damaged, the first {about['ids'][bad[0]]}"
            raise InputError(f"{store / f'{stream}.npy'}: {count}: remove {store} and pack again.")
    return sums.size


def read_checksums(store: Path, videos: int, streams: int) -> np.ndarray:
    """The crc32 of each array of a store, (video, stream), integers; `NOT_YET` in a store that is being built."""
    path = store / "checksums.npy"
    sums = np.array(open_array(path))
    if sums.dtype.kind not in "iu" or sums.shape != (videos, streams):
        raise InputError(f"{path}: {_misfit(sums, store)}")
    return sums


def damaged(store: Path, stream: str, sums: np.ndarray) -> list[int]:
    """Positions that are packed and whose values do not have the checksum that was noted."""
    path = store / f"{stream}.npy"
    count = len(open_array(path))
    if count != len(sums):
        raise InputError(f"{path}: {count} videos instead of {len(sums)}: remove {store} and pack again.")
    packed, bad = np.flatnonzero(sums != NOT_YET).tolist(), []
    for start in range(0, len(packed), CHUNK):
        array = open_array(path)  # mapped anew each time, so that the pages of a whole store do not gather in memory
        bad += [i for i in packed[start : start + CHUNK] if zlib.crc32(array[i].tobytes()) != sums[i]]
    return bad


def read_description(store: Path) -> dict:
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


def open_array(path: Path) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            array.close()
            raise ValueError("an .npz archive")
        return array
    except Exception as error:  # a damaged header raises nearly anything: ValueError, EOFError, SyntaxError, TokenError, ...
        reason = " ".join(str(error).split())[:80]
        raise InputError(f"{path}: unreadable part of a packed store ({reason}): remove {path.parent} and pack again.") from None
