"""From films and sounds to features: `extract`, the networks behind it, and media to look at beside a data set."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {"NETWORKS": "networks", "Networks": "networks", "Report": "run", "extract": "run"}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Imports what is asked for: the explorer wants `media` alone."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
