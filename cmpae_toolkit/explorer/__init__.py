"""The evidence explorer: Figure 3 of any video, live in a notebook (`Explorer`), as one HTML file (`export_html`; of your own films
`watch`), as a moving picture (`export_animation`), or as numbers (`explore`, `order`); `export_story` explains it. A name is imported
when it is asked for, since only `Explorer` needs widgets."""

from importlib import import_module

WHERE = {
    "Explorer": "widget", "WhatIf": "state", "explore": "state", "export_animation": "animation", "export_html": "page",
    "export_story": "story", "order": "state", "watch": "watching",
}
__all__ = [*WHERE]


def __getattr__(name: str):
    if name not in WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{WHERE[name]}", __name__), name)


def __dir__():
    return __all__
