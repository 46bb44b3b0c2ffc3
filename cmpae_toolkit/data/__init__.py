"""Data: `load` reads simulated data by name and any folder by its path; everything it returns is a `VideoSet`.

Names are imported when they are first asked for, so that what needs a `VideoSet` only does not load pandas and h5py.
"""

from __future__ import annotations

import importlib
from typing import Any

_MODULES = {
    "annotations": ("Annotations", "LLP_CATEGORIES", "read_annotations", "splits"),
    "ave": ("AVE_CATEGORIES", "ave_labels", "ave_truth", "load_ave", "read_ave"),
    "avep": ("AVEP_CATEGORIES", "load_avep", "read_avep"),
    "checks": ("counted", "feature_notices", "leaks"),
    "downloads": ("download", "manual_steps"),
    "events": ("read_events", "rolls_of", "write_events"),
    "folder": ("load_folder", "write_folder"),
    "formats": ("Overview", "find_data", "load", "overview"),
    "lists": ("list_version",),
    "naming": ("default_name", "made", "names", "published", "simulated_size"),
    "store": ("open_store", "pack", "verify"),
    "videoset": ("Notice", "Splits", "VideoSet"),
}
_WHERE = {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names} | {"home": "cmpae_toolkit._files"}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, getattr(importlib.import_module(_WHERE[name]), name))


def __dir__() -> list[str]:
    return __all__
