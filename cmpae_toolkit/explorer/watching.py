"""From films to the page that shows what a run hears and sees in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .. import data
from .._files import write_text
from ..checkpoint import Run
from ..errors import InputError
from .page import export_html

PAGE, FEATURES, LISTED = "page.html", "features", "categories.txt"


def watch(
    run: Run, videos: Sequence[str | Path], out: str | Path, *, networks: str, films: str = "embed"
) -> Path:
    """Extracts the features of films (files of one folder, or the folder), judges them, and writes `out`/page.html, which plays them.

    `networks`: as in `extract`, those that made the features of the run's training data. `films`: as in `export_html`.
    Returns the page's path. Raises InputError where films are not there, or do not fit the run.

    >>> from cmpae_toolkit import checkpoint
    >>> watch(checkpoint.shipped_run(), ["holiday.mp4"], "watched", networks="light")
    Traceback (most recent call last):
    ...
    cmpae_toolkit.errors.InputError: ...
    """
    folders = {path if path.is_dir() else path.parent for path in map(Path, videos)}
    if len(folders) != 1:
        raise InputError("give films of one folder: files in it, or the folder.")
    absent = [str(path) for path in map(Path, videos) if not path.exists()]
    if absent:
        raise InputError(f"{', '.join(absent)}: there is no such film.")
    from ..extract import extract  # here, as it loads PyAV

    out = Path(out)
    extract([str(path) for path in videos], out / FEATURES, networks=networks)
    if not (out / FEATURES / LISTED).is_file():
        write_text(out / FEATURES / LISTED, "".join(f"{name}\n" for name in run.thresholds.categories))
    seen = data.load(str(out / FEATURES), None, missing="blank")  # a film may have no sound, or no picture
    return export_html(run, seen, out / PAGE, videos=range(len(seen)), media=folders.pop(), films=films)
