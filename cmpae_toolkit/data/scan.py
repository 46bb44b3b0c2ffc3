"""The content of feature arrays: a SHA-256 of every value, and whether all are finite.

Memory-mapped arrays are read once; what was found is kept in `scan.json` beside the file, by its size and time of change. A first
reading takes about a second a GB, a later one nothing. Arrays in memory are read each time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._files import write_text
from ..errors import InputError, InputWarning

CACHE = "scan.json"


class Scan(NamedTuple):
    """Holds what reading a whole array finds: the SHA-256 of its values, and the first row (video) that is not finite, if any."""

    sha256: str
    not_finite: int | None


def scan(array: np.ndarray, cached: bool = False) -> Scan:
    """Reads every value of an array (video, ...), a video at a time; `cached` believes what was found of an unchanged file."""
    path = _file_of(array) if cached else None
    if path is None:
        return _scan(array)
    stat, known = path.stat(), _read_cache(path.with_name(CACHE))
    key = [stat.st_size, stat.st_mtime_ns]
    with contextlib.suppress(KeyError, TypeError, ValueError):
        entry = known[path.name]
        if entry["file"] == key and isinstance(entry["sha256"], str) and entry["not_finite"] is None:
            return Scan(entry["sha256"], None)
    found = _scan(array)
    known[path.name] = {"file": key, **found._asdict()}
    try:
        write_text(path.with_name(CACHE), json.dumps(known, indent=1) + "\n")
    except InputError as error:
        warnings.warn(f"{error} Until then {path.name} is read as a whole each time.", InputWarning, stacklevel=3)
    return found


def _scan(array: np.ndarray) -> Scan:
    digest, not_finite = hashlib.sha256(), None
    for i, values in enumerate(array):
        values = np.ascontiguousarray(values)
        digest.update(values)
        if not_finite is None and values.dtype.kind == "f" and not np.isfinite(values).all():
            not_finite = i
    return Scan(digest.hexdigest(), not_finite)


def _file_of(array: np.ndarray) -> Path | None:
    """Gives the file whose whole content a memory-mapped array is; None for arrays in memory and parts of files."""
    if not isinstance(array, np.memmap) or not array.filename:
        return None
    path = Path(array.filename)
    return path if path.is_file() and array.offset + array.nbytes == path.stat().st_size else None


def _read_cache(path: Path) -> dict:
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        return {}
