"""Studies: grids of runs, their stored results, and the paper's tables made of them. Nothing is imported before it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from ..errors import InputError

# name -> where its function is: f(data, *, seeds, out, workers, **options of its own) -> a DataFrame to print
STUDIES: dict[str, str] = {
    "differences": "cmpae_toolkit.studies.differences:run",
    "evidence_study": "cmpae_toolkit.studies.evidence_study:run",
    "improved_search": "cmpae_toolkit.studies.improved_search:run",
    "leave_one_out": "cmpae_toolkit.studies.leave_one_out:run",
    "schedule_search": "cmpae_toolkit.studies.schedule_search:run",
}

_HOMES = {
    "Job": "grid", "run_grid": "grid", "collect": "records", "freeze": "records", "numbers": "records",
    "summarise": "statistics", "claims_table": "claims", "per_category": "claims",
}
__all__ = sorted(["STUDIES", "get", *_HOMES])


def get(name: str) -> Callable[..., Any]:
    """The function of a study. Raises InputError for an unknown name.

    >>> get("differences").__module__
    'cmpae_toolkit.studies.differences'
    """
    if name not in STUDIES:
        raise InputError(f"there is no study {name!r}: use one of {', '.join(STUDIES)}.")
    module, _, function = STUDIES[name].partition(":")
    return getattr(importlib.import_module(module), function)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
