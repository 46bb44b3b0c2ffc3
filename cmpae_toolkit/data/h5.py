"""Arrays of published `.h5` files, checked before they are read: one dataset of numbers under a known key, in this very file.

Whatever is wrong (no HDF5, another key, shape or type, values kept elsewhere, a file cut short) is an InputError that names the
file. Nothing larger than the expected shape is ever read, whatever a header claims.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from ..errors import InputError

ADVICE = "download it again"
LARGEST_ROW = 2**24  # values; AVE's visual features have 250,880
Shape = tuple[int | None, ...]  # None where any length will do


def read_dataset(path: Path, key: str, shape: Shape, kinds: str = "fiu", most: int | None = None) -> np.ndarray:
    """Reads the whole dataset, its type one of NumPy's `kinds`; `most` bounds its first axis. NaN is an InputError."""
    with _dataset(path, key, shape, kinds) as dataset:
        if most is not None and len(dataset) > most:
            raise InputError(f"{path}: {key!r} holds {len(dataset)} rows, more than the {most} there are: {ADVICE}.")
        values = dataset[()]
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InputError(f"{path}: {key!r} holds NaN or infinite values: {ADVICE}.")
    return values


def dataset_header(path: Path, key: str, shape: Shape) -> tuple[tuple[int, ...], np.dtype]:
    """Gives shape and type of a dataset of numbers that fits `shape`."""
    with _dataset(path, key, shape, "fiu") as dataset:
        return dataset.shape, dataset.dtype


def read_rows(path: Path, key: str, rows: Sequence[int]) -> np.ndarray:
    """Reads some rows, given in ascending order: float16 stays, all else becomes float32. NaN and infinite values are let through."""
    with _dataset(path, key, None, "fiu") as dataset, np.errstate(over="ignore"):
        return dataset.astype(np.float16 if dataset.dtype == np.float16 else np.float32)[list(rows)]


@contextmanager
def _dataset(path: Path, key: str, shape: Shape | None, kinds: str) -> Iterator[h5py.Dataset]:
    try:
        with h5py.File(path, "r", locking=False) as file:
            dataset = _in_this_file(file, path, key)
            if dataset.dtype.kind not in kinds:
                what = "Python objects, texts or references" if dataset.dtype.kind == "O" else str(dataset.dtype)
                raise InputError(f"{path}: {key!r} holds {what} instead of {'numbers' if 'f' in kinds else 'integers'}: {ADVICE}.")
            _check_shape(dataset, path, key, shape)
            yield dataset
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file: download it or correct the folder.") from None
    except PermissionError:
        raise InputError(f"{path} cannot be read: give yourself read permission.") from None
    except Exception as error:  # a damaged file raises nearly anything: OSError, KeyError, RuntimeError, ValueError, ...
        reason = " ".join(str(error).split())[:80] or type(error).__name__
        raise InputError(f"{path} is damaged, cut short or no HDF5 file ({reason}): {ADVICE}.") from None


def _in_this_file(file: h5py.File, path: Path, key: str) -> h5py.Dataset:
    """Gives the dataset under `key`, which must lie in this file: links and external storage could name any other file."""
    if key not in file.keys():  # noqa: SIM118  `in file` would follow links
        there = ", ".join(map(repr, list(file.keys())[:5])) or "nothing"
        raise InputError(f"{path}: no dataset {key!r}, only {there}: {ADVICE}.")
    if not isinstance(file.get(key, getlink=True), h5py.HardLink):
        raise InputError(f"{path}: {key!r} is a link to another place, which is never followed: {ADVICE}.")
    dataset = file[key]
    if not isinstance(dataset, h5py.Dataset):
        raise InputError(f"{path}: {key!r} is a group, not a dataset: {ADVICE}.")
    if dataset.is_virtual or dataset.external:
        raise InputError(f"{path}: the values of {key!r} lie in other files, which are never opened: {ADVICE}.")
    return dataset


def _check_shape(dataset: h5py.Dataset, path: Path, key: str, shape: Shape | None) -> None:
    have = dataset.shape or ()
    if shape and (len(have) != len(shape) or any(want not in (None, is_) for want, is_ in zip(shape, have, strict=True))):
        wanted = str(shape).replace("None", "any")
        raise InputError(f"{path}: {key!r} has shape {dataset.shape} instead of {wanted}: these files do not belong together.")
    if np.prod(have[1:], dtype=float) > LARGEST_ROW:
        raise InputError(f"{path}: {key!r} claims the shape {have}, rows too large to be true: {ADVICE}.")
    stored, whole = dataset.id.get_storage_size(), dataset.chunks is None
    if dataset.size == 0 or stored == 0 or (whole and stored < dataset.size * dataset.dtype.itemsize):
        raise InputError(f"{path}: {key!r} of shape {have} holds too few values or none: {ADVICE}.")
