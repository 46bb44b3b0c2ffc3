"""From films and sounds to features: `extract`, the networks behind it, and media to look at beside a data set."""

from __future__ import annotations

from typing import Any

__all__ = ["NETWORKS", "Networks", "Report", "extract"]


def __getattr__(name: str) -> Any:
    """Imports what is asked for: the explorer wants `media` alone."""
    if name in ("NETWORKS", "Networks"):
        from . import networks

        return getattr(networks, name)
    if name in ("Report", "extract"):
        from . import run

        return getattr(run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
