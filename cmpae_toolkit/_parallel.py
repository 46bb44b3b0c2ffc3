"""Where calls that do not depend on each other run: this machine's processes, or a Dask cluster."""

from __future__ import annotations

import contextlib

from joblib import parallel_config

from .errors import InputError


def backend(workers: int = 1, threads: int = 1, scheduler: str | None = None) -> contextlib.AbstractContextManager:
    """Joblib's processes, each held to its threads; or a Dask cluster. Raises InputError without `distributed`, or a scheduler."""
    if scheduler is None:
        return parallel_config("loky", n_jobs=workers, inner_max_num_threads=threads)
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise InputError("a Dask cluster needs Dask: `pip install dask distributed`.") from None
    try:
        return parallel_config("dask", scheduler_host=scheduler)
    except (OSError, ValueError) as error:
        raise InputError(f"no Dask scheduler answers at {scheduler!r} ({error}): start one, or leave the address out.") from None
