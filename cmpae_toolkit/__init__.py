"""Presence-absence evidence for weakly-supervised audio-visual event perception (CMPAE, CVPR 2023).

The public names are loaded when they are asked for, so that importing the toolkit costs nothing.
"""

from importlib import import_module

__version__ = "0.2.0"

_HOME = {  # public name -> where it lives
    "Opinion": "opinion", "Config": "config", "presets": "config", "fit": "train", "predict": "inference", "evaluate": "inference",
    "with_floors": "inference", "load": "data", "VideoSet": "data", "f_scores": "metrics", "Run": "checkpoint", "load_run": "checkpoint",
    "Method": "method",
}
_MODULES = (
    "config", "data", "decode", "evidence", "explorer", "extract", "inference", "labels", "layers", "losses", "method", "methods",
    "metrics", "model", "opinion", "plots", "released", "studies", "train",
)
__all__ = [*_HOME, *_MODULES]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
