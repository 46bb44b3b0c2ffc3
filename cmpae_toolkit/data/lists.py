"""The tab-separated lists of the field, read as tables, whatever encoding, line ends and oddities they have.

    weak     filename, event_labels (comma-joined)          labels of whole videos
    dense    filename, onset, offset, event_labels          an event of one modality, in seconds, half-open [onset, offset)

What cannot be read is an InputError that names file and line. What the published lists really contain (rows of zero length,
repeated rows, rows of unknown videos, ...) is skipped or repaired, and each case is kept as a `Notice`.
"""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from .._files import write_text
from ..errors import InputError
from .naming import check_category_names, check_filenames, clean_name
from .rolls import span_text
from .videoset import Notice

WEAK_COLUMNS = ("filename", "event_labels")
DENSE_COLUMNS = ("filename", "onset", "offset", "event_labels")


class Findings:
    """Collects what reading finds: notices of what was skipped or repaired, and errors, which `check` raises all at once."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.errors: list[tuple[str, int, str]] = []

    def note(self, kind: str, path: Path, line: int | None, text: str) -> None:
        self.notices.append(Notice(kind, path.name, line, text))

    def refuse(self, path: Path, line: int, text: str) -> None:
        self.errors.append((str(path), line, text))

    def check(self) -> None:
        """Raises the first error, with all of them as its `details`, file by file in the order of the lines."""
        files = list(dict.fromkeys(path for path, *_ in self.errors))
        told = [f"{path}, line {line}: {text}" for path, line, text in sorted(self.errors, key=lambda e: (files.index(e[0]), e[1]))]
        if told:
            raise InputError(told[0], tuple(told))


def read_categories(path: str | Path) -> tuple[str, ...]:
    """Reads the category names of a `categories.txt`, one a line, in order. Empty, repeated or spaced names are InputErrors."""
    path, found, lines = Path(path), Findings(), {}
    for line, text in read_lines(path, found):
        name = text.strip()
        _refused(check_category_names, name, path, line, found)
        if name in lines:
            found.refuse(path, line, f"category {name!r} stands in line {lines[name]} already: remove one of them.")
        lines.setdefault(name, line)
    found.check()
    return tuple(lines)


def read_weak(path: str | Path, categories: Collection[str], found: Findings) -> pd.DataFrame:
    """Reads the videos of a weak list in file order: filename, categories, file, line. Rows of one video are joined."""
    path, labels, first, joined = Path(path), {}, {}, []
    for line, (name, text) in (rows := read_rows(path, WEAK_COLUMNS, found)):
        filename = clean_name(name)
        names = [each.strip() for each in text.split(",") if each.strip()]
        distinct = [each for each in dict.fromkeys(names) if each in categories]
        unknown = [each for each in names if each not in categories]
        if _refused(check_filenames, filename, path, line, found):
            continue
        if unknown:
            found.refuse(path, line, _unknown_category(unknown[0], filename, categories))
        if len(set(names)) < len(names):
            found.note("repeated_category", path, line, f"{filename} names a category twice; it counts once.")
        if not names:
            found.note("no_label", path, line, f"{filename} has no category; all its weak labels are 0.")
        joined += [line] if filename in labels else []
        first.setdefault(filename, line)
        labels[filename] = tuple(dict.fromkeys((*labels.get(filename, ()), *distinct)))
    _note_suffixes(rows, path, found)
    if joined:
        text = f"{len(joined)} rows name a video of an earlier row; their labels were joined, the first in line {joined[0]}."
        found.note("joined_rows", path, joined[0], text)
    if not rows:
        found.check()
        raise InputError(f"{path}: the list has a header and no videos: add one row for each video.")
    table = {"filename": list(labels), "categories": list(labels.values()), "file": path.name, "line": list(first.values())}
    return pd.DataFrame(table, columns=["filename", "categories", "file", "line"], dtype=object)


def read_dense(
    path: str | Path, categories: Collection[str], videos: Collection[str], found: Findings, modality: str | None = None
) -> pd.DataFrame:
    """Reads the events of a dense list that belong to `videos`, in file order: filename, onset, offset, category, line."""
    path, table = Path(path), []
    for line, (name, onset, offset, category) in (rows := read_rows(path, DENSE_COLUMNS, found, modality)):
        filename, times = clean_name(name), (as_seconds(onset), as_seconds(offset))
        if not (onset or offset or category):
            found.note("no_event", path, line, f"{filename} has no event in this row, which is ignored.")
        elif None in times:
            column, text = ("onset", onset) if times[0] is None else ("offset", offset)
            found.refuse(path, line, f"{column} is {text!r}: write a number of seconds.")
        else:
            table.append((filename, *times, category, line))
    _note_suffixes(rows, path, found)
    events = pd.DataFrame(table, columns=["filename", "onset", "offset", "category", "line"])
    return _usable(events, path, categories, set(videos), found)


def list_version(path: str | Path) -> str:
    """Tells the version of a published list by its sha256: "as published", "2020 list" or "2024 corrected"; else "other".

    The first two `AVVP_eval_audio.csv` in circulation differ; scores published before 2024 most likely used that of 2020.
    Line ends do not change the answer.

    >>> import tempfile
    >>> from pathlib import Path
    >>> list_version(write_rows(Path(tempfile.mkdtemp(), "list.csv"), ("filename", "categories"), [("a", "Dog")]))
    'other'
    """
    digest = list_digest(path)
    return next((entry["version"] for about in registry().values() for entry in about["lists"] if entry["sha256"] == digest), "other")


def list_digest(path: str | Path) -> str:
    """Gives the sha256 of a list, line ends of Windows taken for those of Unix."""
    content = read_bytes(Path(path))
    return hashlib.sha256(content if Path(path).suffix == ".h5" else content.replace(b"\r\n", b"\n")).hexdigest()


@cache
def registry() -> Mapping[str, Any]:
    """Gives per data set the repository, the lists (name, path, sha256, version) and the features (name, Google Drive id, bytes)."""
    return json.loads(Path(__file__).with_name("registry.json").read_bytes())


def read_lines(path: Path, found: Findings) -> list[tuple[int, str]]:
    """Reads number (from 1) and text of each line that is not blank; a file without any is an InputError."""
    content = read_bytes(path)
    # Bytes that are no UTF-8 are refused line by line; an accent written as a character of its own joins its letter.
    text = unicodedata.normalize("NFC", content.decode("utf-8-sig", "surrogateescape"))
    if content.startswith(b"\xef\xbb\xbf"):
        found.note("byte_order_mark", path, 1, "the file starts with a byte order mark, which was skipped.")
    if "\r" in text:
        found.note("line_ends", path, None, "the line ends are those of Windows or an old Macintosh; understood.")
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise InputError(f"{path}: the file is empty: download or write it again.")
    lines = []
    for number, line in enumerate(text.split("\n"), 1):  # splitlines() would also split at rarer characters
        if any("\udc80" <= character <= "\udcff" for character in line):
            found.refuse(path, number, "the file is not UTF-8 text: save it again with the encoding UTF-8.")
        elif line.strip():
            lines.append((number, line))
    if not lines:
        found.check()
    return lines


def read_rows(path: Path, columns: tuple[str, ...], found: Findings, modality: str | None = None) -> list[tuple[int, list[str]]]:
    """Reads line number and tidied fields of each row below the header, which must name these columns (the last may be singular).

    A folder of label files, one a video, is read as such a list (see `events`); of those with tracks, `modality` chooses one.
    """
    if path.is_dir():
        return _label_rows(path, columns, modality)
    (line, header), *lines = read_lines(path, found)
    singular = (*columns[:-1], columns[-1].removesuffix("s"))  # as DCASE writes it
    if tuple(_fields(header)) not in (columns, singular):
        found.check()
        hint = " separated by tabs" if tuple(_fields(header.replace(",", "\t"))) == columns else ""
        raise InputError(f"{path}, line {line}: the header is {header!r}: it must be the columns {', '.join(columns)}{hint}.")
    rows, padded = [], []
    for line, text in lines:
        fields = _fields(text)
        if len(fields) != len(columns):
            given = f"{len(fields)} columns, not {len(columns)} ({', '.join(columns)})"
            found.refuse(path, line, f"{given}: separate them by tabs.")
            continue
        rows.append((line, fields))
        padded += [line] if "\t".join(fields) != text else []
    if padded:
        text = f"spaces or quotation marks around fields were dropped, in {len(padded)} rows, the first in line {padded[0]}."
        found.note("padding", path, padded[0], text)
    return rows


def write_rows(path: str | Path, columns: tuple[str, ...], rows: Iterable[tuple]) -> Path:
    """Writes a list with this header, atomically."""
    lines = ["\t".join(map(str, row)) for row in [columns, *rows]]
    return write_text(path, "\n".join(lines) + "\n")


def _label_rows(folder: Path, columns: tuple[str, ...], modality: str | None) -> list[tuple[int, list[str]]]:
    from .events import label_files, read_labels

    rows = []
    for file in label_files(folder):
        events = [event for event in read_labels(file) if modality is None or event["track"] in (modality, None)]
        if columns == WEAK_COLUMNS:
            rows.append((1, [file.stem, ",".join(dict.fromkeys(event["category"] for event in events))]))
        else:
            rows += [(e["line"], [e["filename"], repr(e["onset"]), repr(e["offset"]), e["category"]]) for e in events]
    return rows


def read_bytes(path: Path) -> bytes:
    """Reads a file's bytes; of a folder of label files the names and bytes of all."""
    if path.is_dir():
        files = sorted(each for each in path.iterdir() if each.is_file())
        return b"".join(each.name.encode("utf-8", "surrogateescape") + each.read_bytes() for each in files)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file: download it or correct the folder.") from None
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror}): check that it is a readable file.") from None


def as_seconds(text: str) -> float | None:
    """Reads a finite number of seconds; None if it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _usable(events: pd.DataFrame, path: Path, categories: Collection[str], videos: set[str], found: Findings) -> pd.DataFrame:
    """Keeps the rows that are events of known videos, each once, and tells every other row."""
    known, empty = events["filename"].isin(videos), events["onset"] >= events["offset"]
    key = ["filename", "onset", "offset", "category"]
    repeated = events.duplicated(key)
    first = events.groupby(key, sort=False)["line"].transform("min") if repeated.any() else events["line"]
    for row in events[~known].itertuples():
        found.note("unknown_video", path, row.line, f"{row.filename} is in no weak list that was read; the row is ignored.")
    for row in events[empty].itertuples():
        found.note("empty_span", path, row.line, f"{span_text(row)} does not end after its start; the row is ignored.")
    for row, line in zip(events[repeated].itertuples(), first[repeated], strict=True):
        found.note("duplicate_row", path, row.line, f"{span_text(row)} stands in line {line} already; it counts once.")
    for row in events[known & ~events["category"].isin(categories)].itertuples():
        found.refuse(path, row.line, _unknown_category(row.category, row.filename, categories))
    if len(events) and not known.any():
        text = f"none of its {len(events)} rows is of a video in the weak lists"
        found.refuse(path, events["line"].iloc[0], f"{text}, such as {events['filename'].iloc[0]}: are the videos called otherwise there?")
    return events[known & ~empty & ~repeated]


def _note_suffixes(rows: Sequence[tuple[int, list[str]]], path: Path, found: Findings) -> None:
    lines = [line for line, (name, *_) in rows if clean_name(name) != name]
    if lines:
        text = f"suffixes of sound or film files were dropped from names, in {len(lines)} rows, the first in line {lines[0]}."
        found.note("suffix", path, lines[0], text)


def _refused(check: Callable[[list[str]], None], name: str, path: Path, line: int, found: Findings) -> bool:
    try:
        check([name])
    except InputError as error:
        found.refuse(path, line, str(error))
        return True
    return False


def _unknown_category(name: str, filename: str, categories: Collection[str]) -> str:
    return (
        f"category {name!r} of {filename} is unknown: use one of {', '.join(categories)}, or add a categories.txt that names it."
    )


def _fields(text: str) -> list[str]:
    return [field.strip().strip('"').strip() for field in text.split("\t")]
