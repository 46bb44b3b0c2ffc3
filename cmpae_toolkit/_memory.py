"""Memory that a step of training frees is kept for the next step.

Linux's allocator gives large blocks back to the system at once, and the system hands them out again page by page, filled with zeros:
a quarter of a step's time where arrays are as large as CMBS's maps. No number depends on it.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import platform
from collections.abc import Iterator

MMAP_THRESHOLD, TRIM_THRESHOLD, MMAP_MAX = -3, -1, -4  # the names of malloc's parameters, from malloc.h
AFTERWARDS = {MMAP_MAX: 65536, MMAP_THRESHOLD: 2**25, TRIM_THRESHOLD: 2**26}  # to which glibc's own thresholds grow in use
KEEPING = {TRIM_THRESHOLD: -1, MMAP_MAX: 0}  # never trim, and no block apart from the heap


@contextlib.contextmanager
def kept_memory() -> Iterator[None]:
    """Freed memory stays with the process inside; it goes back to the system at the end. Does nothing where malloc is not glibc's."""
    allocator = _glibc()
    if allocator is None:
        yield
        return
    _set(allocator, KEEPING)
    try:
        yield
    finally:
        _set(allocator, AFTERWARDS)
        allocator.malloc_trim(0)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    if platform.libc_ver()[0] != "glibc":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None


def _set(allocator: ctypes.CDLL, values: dict[int, int]) -> None:
    for name, value in values.items():
        allocator.mallopt(name, value)
