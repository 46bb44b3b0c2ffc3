"""A data set before its features are read: what it says of itself, its lists, and where its features lie.

`dataset.json` in a folder's root says what the files do not: {"name": "birds", "simulated": false, "snippet_seconds": 0.5,
"streams": {"beats": {"modality": "audio"}}}. Each entry may be left out; snippets then last 1 s, and streams have known names.
`"missing": "blank"` keeps videos that lack one modality, as `cmpae extract` leaves them.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from ..config import MODALITIES
from ..errors import InputError, InputWarning
from .annotations import Annotations
from .arrays import Shapes, measure, read_arrays
from .features import FeatureIndex
from .videoset import Notice, VideoSet

DESCRIPTION, PROVENANCE = "dataset.json", "extraction.json"  # what a set is; how `cmpae extract` made it
MISSING = ("error", "skip", "blank")
LONGEST_SNIPPET = 3600  # seconds


@dataclass(frozen=True)
class Description:
    """Holds what `dataset.json` says; `snippet_seconds` is None where nobody said it."""

    name: str
    simulated: bool = False
    snippet_seconds: float | None = None
    modalities: Mapping[str, str] | None = None
    missing: str = "error"  # what to do with videos that lack features where the reader is not told


@dataclass(frozen=True)
class Source:
    """Holds one split of a data set before its features are read: the lists, and where each video's features lie."""

    folder: Path
    about: Description
    split: str
    categories: tuple[str, ...]
    annotations: Annotations | None
    index: FeatureIndex
    notices: tuple[Notice, ...]
    variant: str | None = None  # of the reader's options: stores of two variants lie beside each other

    @cached_property
    def rows(self) -> list[tuple[str, str, int | None]]:
        """Gives the file name, and list and line where it stands, of each video that has features."""
        weak = self.annotations.weak.iloc[list(self.index.rows)]
        return list(zip(weak["filename"], weak["file"], weak["line"], strict=True))

    @property
    def filenames(self) -> tuple[str, ...]:
        return self.index.ids if self.annotations is None else tuple(filename for filename, *_ in self.rows)

    @property
    def snippet_seconds(self) -> float:
        return self.about.snippet_seconds or 1.0

    def listed(self, position: int) -> str:
        """Names a video as messages do: by its file name and the line where it is listed."""
        if self.annotations is None:
            return f"video {self.index.ids[position]}"
        filename, file, line = self.rows[position]
        return filename + ("" if line is None else f", line {line} of {file}")

    def measure(self, bad: dict[int, str] | None = None) -> Shapes:
        """Reads the shapes of all arrays from their headers; see `arrays.measure`."""
        return measure(self.index, self.listed, bad)

    def read(self, shapes: Shapes, put: Callable[[str, int, np.ndarray], None], what: str = "read", progress: bool | None = None) -> None:
        """Gives every array to `put(stream, position, values)`. Without `progress` the bar appears when it takes a while."""
        count, delay = len(self.index.ids) * len(self.index.places), 3 if progress is None else 0
        with tqdm(total=count, desc=f"{what} {self.split}", unit="array", delay=delay, leave=False, disable=progress is False) as bar:
            for stream in self.index.places:
                for position, values in read_arrays(self.index, stream, shapes, self.listed):
                    put(stream, position, values)
                    bar.update()

    def load(self, name: str | None = None) -> VideoSet:
        """Reads every file into one array per stream, allocated once; shorter videos are padded with zeros."""
        shapes = self.measure()
        count = len(self.index.ids)
        arrays = {s: np.zeros((count, *shapes.of(s, shapes.snippets)), dtype) for s, (*_, dtype) in shapes.streams.items()}

        def put(stream: str, position: int, values: np.ndarray) -> None:
            arrays[stream][position, : len(values)] = values

        self.read(shapes, put)
        return self.assemble(arrays, shapes, name)

    def assemble(self, arrays: dict[str, np.ndarray], shapes: Shapes, name: str | None = None) -> VideoSet:
        """Makes the VideoSet of these features, with labels and rolls of the videos that have features."""
        weak = reference = None
        notices, lengths = self.notices, shapes.lengths
        if self.annotations is not None:
            rows = list(self.index.rows)
            weak = self.annotations.weak_labels[rows]
            reference, cut = self.annotations.reference(shapes.snippets, self.snippet_seconds, rows, lengths)
            notices += tuple(cut)
        return VideoSet(
            name or self.about.name, self.split, self.categories, self.index.ids, arrays, dict(self.index.modalities), weak, reference,
            self.filenames, self.about.simulated, notices, self.snippet_seconds,
            None if (lengths == lengths[0]).all() else lengths, self.index.present,
        )


def describe(folder: Path, snippet_seconds: float | None = None, name: str | None = None) -> Description:
    """Reads what a folder says of itself; arguments take the place of its own values. Files of an older version are understood."""
    path = folder / DESCRIPTION
    about = _read_object(path)
    if not path.is_file():
        old = _read_object(folder / "streams.json")
        about = _read_object(folder / "about.json") | {"streams": {name: {"modality": each} for name, each in old.items()}}
    streams = about.get("streams", {})
    right = isinstance(streams, dict) and all(isinstance(each, dict) and each.get("modality") in MODALITIES for each in streams.values())
    if not right:
        raise InputError(f'{path}: every stream must be "audio" or "visual": write "streams": {{"clip": {{"modality": "visual"}}}}.')
    seconds = about.get("snippet_seconds") if snippet_seconds is None else snippet_seconds
    if seconds is not None and (type(seconds) not in (int, float) or not 0 < seconds <= LONGEST_SNIPPET):
        raise InputError(f"{path}: snippet_seconds is {str(seconds)[:40]!r}: write how many seconds a snippet lasts, such as 0.5.")
    name = name or "".join(c for c in str(about.get("name") or "") if c.isprintable())  # it is shown in terminals and titles
    modalities = {stream: each["modality"] for stream, each in streams.items()}
    simulated = bool(about.get("simulated", False))
    missing = "blank" if about.get("missing") == "blank" else "error"
    return Description(name or folder.resolve().name, simulated, None if seconds is None else float(seconds), modalities, missing)


def check_missing(missing: str) -> None:
    """Refuses a value of the option `missing` that is none."""
    if missing not in MISSING:
        raise InputError(f"missing is {missing!r}: use 'error', 'skip' or 'blank'.")


def missing_notices(index: FeatureIndex, annotations: Annotations | None, missing: str) -> tuple[Notice, ...]:
    """Tells which videos lack features: an InputError unless `missing` says what to do; videos left out are a warning."""
    if not index.missing:
        return ()
    filename, looked_for = next(iter(index.missing.items()))
    file, line, count = "feats", None, len(index.missing)
    if annotations is not None:
        file, line = annotations.weak.loc[annotations.weak["filename"] == filename, ["file", "line"]].iloc[0]
    text = f"{count} of {count + len(index.ids)} videos have no features, the first {filename} ({looked_for})"
    if missing == "error":
        advice = "add the files, leave these videos out with missing='skip', or keep what has one modality with missing='blank'"
        raise InputError(f"{Notice('', file, line, text)}: {advice}.")
    kept = 0 if index.present is None else int((~index.present.all(axis=1)).sum())
    out = count - kept
    notices = []
    if kept:
        text = f"{kept} of {len(index.ids)} videos lack a modality, which is blank, the first file missing is {looked_for}."
        notices.append(Notice("blank", file, line, text))
    if out:
        text = f"{out} of {out + len(index.ids)} videos have no features, the first {filename} ({looked_for}); they are left out."
        notices.append(Notice("missing_features", file, line, text))
        if annotations is not None:
            warnings.warn(str(notices[-1]), InputWarning, stacklevel=4)
    return tuple(notices)


def _read_object(path: Path) -> dict[str, Any]:
    """Reads a JSON object; empty if there is no such file."""
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_bytes()))
    except (ValueError, TypeError, RecursionError):
        raise InputError(f'{path}: not a JSON object: write such as {{"snippet_seconds": 1.0}}, or remove it.') from None
