"""Labels of films, whatever list they come in: a folder of the toolkit's format, a table, DCASE's events, Audacity's tracks."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..data import read_events
from ..data.annotations import splits
from ..data.lists import read_bytes
from ..data.naming import clean_category, clean_name
from ..errors import InputError

LONGEST = 160  # bytes of a film's id; file systems take 255
NAMES, LABELS = ("filename", "file", "video", "id"), ("labels", "event_labels", "label", "categories")


def film_id(name: str) -> str:
    """A film's id: its name, with the folders above it, without its suffix, in letters that a list and a file's name can hold.

    >>> film_id("day 1/robin, early.mp4")
    'day_1__robin__early'
    """
    shorter = clean_name(name.replace("\\", "/").replace("/", "__"))
    while shorter != clean_name(shorter):
        shorter = clean_name(shorter)
    shorter = "".join(c if c.isprintable() and c not in ':",\t' else "_" for c in shorter).strip().lstrip(".")
    shorter = re.sub(r"\s", "_", shorter) or "film"
    if len(shorter.encode()) <= LONGEST:
        return shorter
    begins = shorter.encode()[: LONGEST - 9].decode(errors="ignore")  # room for a clip's times and a suffix
    return f"{begins}_{hashlib.sha256(shorter.encode()).hexdigest()[:8]}"


@dataclass
class Labels:
    """Labels by a film's name. `weak`: its categories; `split`, where a list says it; `events`: (onset, offset, category, track) in
    seconds of the film, track "audio", "visual", "audio_visual" or None for both; `categories` in their order."""

    weak: dict[str, list[str]] = field(default_factory=dict)
    split: dict[str, str] = field(default_factory=dict)
    events: dict[str, list[tuple[float, float, str, str | None]]] = field(default_factory=dict)
    categories: tuple[str, ...] = ()

    def of(self, name: str, start: float, end: float) -> list[str]:
        """Gives the categories of a film between two times: of its events where it has some, else all of its weak labels."""
        if name in self.events:
            return sorted({category for onset, offset, category, _ in self.events[name] if onset < end and offset > start})
        return self.weak.get(name, [])


def read(path: str | Path) -> Labels:
    """Reads a data set folder's annotations, a table (`filename`, `labels` joined by commas or semicolons, and `split` where wanted),
    or events in a format of `data.read_events`. Raises InputError where it is none of these."""
    path = Path(path)
    if (path / "annotations").is_dir():
        return _of_folder(path)
    if path.is_file() and path.suffix.lower() in (".csv", ".tsv", ".txt"):
        rows = _table(path)
        if not rows:
            raise InputError(f"{path}: there is no row in it: write a film's name and its labels in each.")
        columns = set(rows[0])
        if columns & set(LABELS) and not columns & {"onset", "offset"}:
            return _of_rows(rows, path)
    found = Labels()
    for row in read_events(path).to_dict("records"):
        track = row.get("track")
        track = track if isinstance(track, str) else None
        event = (float(row["onset"]), float(row["offset"]), row["category"], track)
        found.events.setdefault(film_id(row["filename"]), []).append(event)
    found.weak = {name: sorted({event[2] for event in events}) for name, events in found.events.items()}
    return _with_categories(found)


def _of_rows(rows: Sequence[dict[str, str]], path: Path, split: str | None = None) -> Labels:
    found, written = Labels(), {}
    for line, row in enumerate(rows, 2):
        name = next((row[c] for c in NAMES if row.get(c)), None)
        if name is None:
            raise InputError(f"{path}, line {line}: there is no file name: the table needs the columns filename and labels.")
        text = next((row[c] for c in LABELS if row.get(c)), "")
        name, as_written = film_id(name.strip()), name.strip()
        if written.setdefault(name, as_written) != as_written:
            raise InputError(f"{path}, line {line}: {as_written!r} and {written[name]!r} mean one film, {name!r}: name it in one way.")
        labels = [clean_category(each) for each in text.replace(";", ",").split(",") if each.strip()]
        found.weak[name] = list(dict.fromkeys([*found.weak.get(name, []), *labels]))  # a film may have a row for each label
        chosen = split or (row.get("split") or "").strip()
        if chosen and chosen not in splits:
            raise InputError(f"{path}, line {line}: there is no split {chosen!r}: write one of {', '.join(splits)}.")
        if chosen:
            found.split[name] = chosen
    return _with_categories(found)


def _of_folder(folder: Path) -> Labels:
    found, annotations = Labels(), folder / "annotations"
    for split in splits:
        if (annotations / f"{split}.csv").is_file():
            part = _of_rows(_table(annotations / f"{split}.csv"), annotations / f"{split}.csv", split)
            found.weak |= part.weak
            found.split |= part.split
    for track in ("audio", "visual"):
        if (annotations / f"eval_{track}.csv").is_file():
            for row in read_events(annotations / f"eval_{track}.csv").to_dict("records"):
                event = (float(row["onset"]), float(row["offset"]), row["category"], track)
                found.events.setdefault(film_id(row["filename"]), []).append(event)
    if not found.weak:
        raise InputError(f"{annotations}: there is no train.csv, val.csv or test.csv with a film in it.")
    given = folder / "categories.txt"
    order = given.read_text(encoding="utf-8").split() if given.is_file() else ()
    return _with_categories(found, order)


def _with_categories(found: Labels, order: Iterable[str] = ()) -> Labels:
    rest = sorted({category for each in found.weak.values() for category in each} - set(order))
    found.categories = (*order, *rest)
    if not found.categories:
        raise InputError("there is no label in the list: give each film the categories that are seen or heard in it.")
    return found


def _table(path: Path) -> list[dict[str, Any]]:
    try:
        lines = read_bytes(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path}: this list is not UTF-8 text: save it as UTF-8.") from None
    delimiter = "\t" if lines and "\t" in lines[0] else ","
    try:
        return [{str(k).strip(): v for k, v in row.items() if isinstance(v, str)} for row in csv.DictReader(lines, delimiter=delimiter)]
    except csv.Error as error:
        raise InputError(f"{path}: this list cannot be read ({error}).") from None


def split_of(names: Sequence[str], given: dict[str, str]) -> dict[str, str]:
    """Gives each film a split: what a list says, else 80/10/10 by a hash of its name, so that further films move none.

    Where no list names a split, there are three films or more, and a split stays empty, it gets the film whose hash lies nearest to it.
    """
    places = {name: int(hashlib.sha256(name.encode()).hexdigest()[:12], 16) / 16**12 for name in names if name not in given}
    chosen = dict(given) | {n: "train" if p < 0.8 else "val" if p < 0.9 else "test" for n, p in places.items()}
    chosen = {name: chosen[name] for name in names}
    if len(places) >= 3 and not given:
        for split, middle in (("val", 0.85), ("test", 0.95), ("train", 0.4)):
            if split not in chosen.values():
                sizes = {s: list(chosen.values()).count(s) for s in splits}
                movable = [n for n in names if sizes[chosen[n]] > 1]
                chosen[min(movable, key=lambda n: abs(places[n] - middle))] = split
    return chosen
