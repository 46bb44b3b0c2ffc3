"""From films to the page that shows what a run hears and sees in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .. import data
from .._files import write_text
from ..checkpoint import Run
from ..errors import InputError
from .page import export_html

NETWORKS = "networks"  # in `Run.data`: with which networks the features were made that the run was trained on
PAGE, FEATURES, LISTED = "page.html", "features", "categories.txt"


def watch(
    run: Run, videos: Sequence[str | Path], out: str | Path, *, networks: str | None = None, films: str = "embed",
    extract: Callable[..., Any] | None = None,
) -> Path:
    """Extracts the features of films (files of one folder, or the folder), judges them, and writes `out`/page.html, which plays them.

    `networks`: as in `extract`; without it those that the run names. `films`: as in `export_html`. `extract`: what takes the place of
    `cmpae_toolkit.extract.extract`. Returns the page's path. Raises InputError where films or networks are not told, or do not fit.
    """
    folders = {path if path.is_dir() else path.parent for path in map(Path, videos)}
    if len(folders) != 1:
        raise InputError("give films of one folder: files in it, or the folder.")
    absent = [str(path) for path in map(Path, videos) if not path.exists()]
    if absent:
        raise InputError(f"{', '.join(absent)}: there is no such film.")
    networks = networks or run.data.get(NETWORKS)
    if networks is None:
        raise InputError("this run does not say which networks made its features: name them with --networks.")
    if extract is None:
        try:
            from ..extract import extract
        except ImportError:
            raise InputError("this version of the toolkit extracts no features: install a newer one.") from None
    out = Path(out)
    extract([str(path) for path in videos], out / FEATURES, networks=networks)
    if not (out / FEATURES / LISTED).is_file():
        write_text(out / FEATURES / LISTED, "".join(f"{name}\n" for name in run.thresholds.categories))
    seen = data.load(str(out / FEATURES), None, missing="blank")  # a film may have no sound, or no picture
    return export_html(run, seen, out / PAGE, videos=range(len(seen)), media=folders.pop(), films=films)
