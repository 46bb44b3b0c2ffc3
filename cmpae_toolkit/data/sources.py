"""Which reader a name or a folder calls for.

`llp`, `ave` and `avep` are the downloads below `home()`. A folder is AVE's when it holds `Annotations.txt` or the orders, AVEP's
when it holds the folders `llp` and `ave`, and else read by `folder.open_source`: LLP as published, the toolkit's own format, or
bare features.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .._files import home
from ..errors import InputError
from .annotations import find_layout
from .ave import open_ave
from .ave_lists import is_ave
from .avep import open_avep
from .folder import Source, open_source

published = ("llp", "ave", "avep")

FOLDER_OPTIONS = {"missing": "error", "eval_audio": None}
AVE_OPTIONS = {"background": False}
AVEP_OPTIONS = {**FOLDER_OPTIONS, "leaks": "keep", "repeated": "keep"}


def find_data(name_or_folder: str | Path) -> Path:
    """The folder of a data set: of a download by its name, else the path itself, which must exist."""
    chosen = str(name_or_folder)
    path = Path(chosen).expanduser()
    if chosen not in published:
        if not path.exists():
            raise InputError(f"there is no folder {chosen!r}, and no download of that name: use {', '.join(published)}.")
        return path
    lacking = [name for name in ("llp", "ave") if chosen in (name, "avep") and not (home() / name).is_dir()]
    if not lacking:
        return home() if chosen == "avep" else home() / chosen
    if path.exists():
        return path
    raise InputError(f"{home() / lacking[0]}: {lacking[0]} is not here yet: run `cmpae download {lacking[0]}`.")


def kind_of(folder: Path) -> str:
    """`llp`, `own`, `bare` (features without lists), `ave`, `avep` or `store`, by what the folder holds."""
    if (folder / "store.json").is_file():
        return "store"
    kind = find_layout(folder, lists_needed=False).kind
    if kind != "bare":
        return kind
    if is_ave(folder):
        return "ave"
    if all((folder / name).is_dir() for name in ("llp", "ave")):
        return "avep"
    return "bare"


def open_data(name_or_folder: str | Path, split: str | None, **options: Any) -> Source:
    """Read the lists of a split of any data set (None: unlabelled input) and find its features."""
    folder = find_data(name_or_folder)
    kind = kind_of(folder)
    if kind == "ave":
        for name in ("missing", "eval_audio"):  # AVE has one list, and every row has features
            if options.get(name) in (FOLDER_OPTIONS[name], "skip"):
                options.pop(name, None)
        return open_ave(folder, split, **known(options, AVE_OPTIONS))
    if kind == "avep":
        return open_avep(folder / "llp", folder / "ave", split, **known(options, AVEP_OPTIONS))
    return open_source(folder, split, **known(options, FOLDER_OPTIONS))


def known(options: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """`options` over `defaults`; an option that is not among these is an InputError."""
    unknown = [name for name in options if name not in defaults]
    if unknown:
        raise InputError(f"unknown option {unknown[0]!r} of load: this data takes {', '.join(defaults)}.")
    return defaults | options
