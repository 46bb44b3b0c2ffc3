"""The tab-separated lists of the field: weak labels of whole videos, and dense labels of one modality.

    weak     filename, event_labels (comma-joined)          one row a video
    dense    filename, onset, offset, event_labels          one row an event; whole seconds, half-open [onset, offset)

What cannot be read is an InputError that names file and line. What the published lists really contain (rows of zero
length, repeated rows, rows of unknown videos, ...) is skipped or repaired, and each case is kept as a `Notice`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from pathlib import Path

from .._files import write_text
from ..errors import InputError
from .videoset import Notice

WEAK_COLUMNS = ("filename", "event_labels")
DENSE_COLUMNS = ("filename", "onset", "offset", "event_labels")

# sha256 of the two `AVVP_eval_audio.csv` in circulation; scores published before 2024 most likely used the first.
KNOWN_LISTS = {"249122f65501": "2020 list", "d5435664668b": "2024 corrected"}


@dataclass(frozen=True)
class WeakRow:
    """One video of a weak list: its name and its categories without repetition, in the order of the row."""

    filename: str
    categories: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Span:
    """One event of a dense list: seconds `onset` (inside) to `offset` (outside)."""

    filename: str
    onset: int
    offset: int
    category: str
    line: int

    def __str__(self) -> str:
        return f"{self.category} {self.onset}-{self.offset} of {self.filename}"


def list_version(path: str | Path) -> str:
    """`"2020 list"` or `"2024 corrected"` for the two published `AVVP_eval_audio.csv`, told by sha256; else `"other"`.

    Windows line ends do not change the answer.
    """
    digest = hashlib.sha256(_read_bytes(Path(path)).replace(b"\r\n", b"\n")).hexdigest()
    return KNOWN_LISTS.get(digest[:12], "other")


def read_categories(path: str | Path) -> tuple[str, ...]:
    """The category names of a `categories.txt`, one a line, in order. Empty, repeated or spaced names are InputErrors."""
    path = Path(path)
    names: dict[str, int] = {}
    for line, text in _lines(path, []):
        name = text.strip()
        _check_once(name, names, check_category_names, f"category {name!r}", path, line)
    return tuple(names)


def _check_once(
    name: str, seen: dict[str, int], check: Callable[[Iterable[str]], None], what: str, path: Path, line: int
) -> None:
    """Apply `check` to a name and note its line in `seen`; a refused or repeated name is an InputError with file and line."""
    try:
        check([name])
    except InputError as error:
        raise InputError(f"{path}, line {line}: {error}") from None
    if name in seen:
        raise InputError(f"{path}, line {line}: {what} stands in line {seen[name]} already: remove one of them.")
    seen[name] = line


def check_category_names(names: Iterable[str]) -> None:
    """Refuse names that the lists cannot hold: empty ones and those with spaces, commas or tabs."""
    for name in names:
        if not name or "," in name or any(character.isspace() for character in name):
            raise InputError(f"category name {name!r} cannot stand in a list: use underscores for spaces, commas and tabs.")


def check_filenames(names: Iterable[str]) -> None:
    """Refuse names that are no plain file names: they become files below `feats/` and must not lead out of that folder."""
    for name in names:
        if not name or name.startswith(".") or any(c in '/\\:"' or not c.isprintable() for c in name) or name != name.strip():
            raise InputError(f"{name!r} is not a plain file name: leave out folders, colons, quotation marks and a leading dot.")


def read_weak(path: str | Path, categories: Collection[str]) -> tuple[list[WeakRow], list[Notice]]:
    """The videos of a weak list in file order, and what was odd. Unknown categories and repeated videos are InputErrors."""
    path, notices, rows, seen = Path(path), [], [], {}
    for line, (filename, labels) in _rows(path, WEAK_COLUMNS, notices):
        _check_once(filename, seen, check_filenames, filename, path, line)
        names = [name.strip() for name in labels.split(",") if name.strip()]
        unknown = [name for name in names if name not in categories]
        if unknown:
            raise InputError(f"{path}, line {line}: {_unknown_category(unknown[0], filename, categories)}")
        distinct = tuple(dict.fromkeys(names))
        if len(distinct) < len(names):
            notices.append(_notice("repeated_category", path, line, f"{filename} names a category twice; it counts once."))
        if not names:
            notices.append(_notice("no_label", path, line, f"{filename} has no category; all its weak labels are 0."))
        rows.append(WeakRow(filename, distinct, line))
    if not rows:
        raise InputError(f"{path}: the list has a header and no videos: add one row for each video.")
    return rows, notices


def read_dense(path: str | Path, categories: Collection[str], videos: Collection[str]) -> tuple[list[Span], list[Notice]]:
    """The events of a dense list that belong to `videos`, in file order, and what was skipped or rounded."""
    path, notices, spans, seen = Path(path), [], [], {}
    for line, (filename, onset, offset, category) in _rows(path, DENSE_COLUMNS, notices):
        times = _seconds(path, line, "onset", onset), _seconds(path, line, "offset", offset)
        span = Span(filename, *(math.floor(time + 0.5) for time in times), category, line)
        key = (filename, *times, category)
        known, empty, repeated = filename in videos, span.onset >= span.offset, key in seen
        if not known:
            text = f"{filename} is in no weak list that was read; the row is ignored."
            notices.append(_notice("unknown_video", path, line, text))
        elif category not in categories:
            raise InputError(f"{path}, line {line}: {_unknown_category(category, filename, categories)}")
        if (span.onset, span.offset) != times:
            notices.append(_notice("rounded", path, line, f"{onset}-{offset} is not in whole seconds; {span} is used."))
        if empty:
            notices.append(_notice("empty_span", path, line, f"{span} does not end after its start; the row is ignored."))
        if repeated:
            notices.append(_notice("duplicate_row", path, line, f"{span} stands in line {seen[key]} already; it counts once."))
        seen.setdefault(key, line)
        if known and not empty and not repeated:
            spans.append(span)
    return spans, notices


def clip_spans(spans: Iterable[Span], snippets: int, path: str | Path) -> tuple[list[Span], list[Notice]]:
    """The spans within seconds 0 to `snippets`; what reaches beyond is cut, what lies outside is left out."""
    kept, notices = [], []
    for span in spans:
        clipped = replace(span, onset=max(0, span.onset), offset=min(snippets, span.offset))
        inside = clipped.onset < clipped.offset
        if clipped != span:
            result = f"cut to {clipped.onset}-{clipped.offset}" if inside else "ignored"
            notices.append(_notice("clipped", path, span.line, f"{span} is not within the video's {snippets} s; it is {result}."))
        if inside:
            kept.append(clipped)
    return kept, notices


def meeting_spans(spans: Iterable[Span], path: str | Path) -> list[Notice]:
    """A notice for each two neighbouring spans of one video and category that overlap or touch; both stay.

    Event-level scores read one roll, so such spans are one event there.
    """
    notices = []
    ordered = sorted(spans, key=lambda span: (span.filename, span.category, span.onset, span.offset))
    for _, group in groupby(ordered, key=lambda span: (span.filename, span.category)):
        for first, second in pairwise(group):
            if second.onset <= first.offset:
                kind, verb = ("overlap", "overlaps") if second.onset < first.offset else ("touch", "touches")
                text = f"{second} {verb} {first.onset}-{first.offset} of line {first.line}; both make one event."
                notices.append(_notice(kind, path, second.line, text))
    return notices


def write_rows(path: str | Path, columns: tuple[str, ...], rows: Iterable[tuple]) -> Path:
    """Write a list with this header, atomically."""
    lines = ["\t".join(map(str, row)) for row in [columns, *rows]]
    return write_text(path, "\n".join(lines) + "\n")


def _rows(path: Path, columns: tuple[str, ...], notices: list[Notice]) -> Iterator[tuple[int, list[str]]]:
    """Line number and tidied fields of each row below the header."""
    padded = []
    lines = _lines(path, notices)
    line, header = next(lines)
    if tuple(_tidy(header)) != columns:
        hint = " separated by tabs" if tuple(_tidy(header.replace(",", "\t"))) == columns else ""
        raise InputError(f"{path}, line {line}: the header is {header!r}: it must be the columns {', '.join(columns)}{hint}.")
    for line, text in lines:
        fields = _tidy(text)
        if len(fields) != len(columns):
            raise InputError(
                f"{path}, line {line}: {len(fields)} columns, not {len(columns)} ({', '.join(columns)}): separate them by tabs."
            )
        padded += [line] if "\t".join(fields) != text else []
        yield line, fields
    if padded:
        text = f"spaces or quotation marks around fields were dropped, in {len(padded)} rows, the first in line {padded[0]}."
        notices.append(_notice("padding", path, padded[0], text))


def _lines(path: Path, notices: list[Notice]) -> Iterator[tuple[int, str]]:
    """Line number (from 1) and text of each line that is not blank; the file has at least one."""
    data = _read_bytes(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: the file is not UTF-8 text: save it again with the encoding UTF-8.") from None
    if data.startswith(b"\xef\xbb\xbf"):
        notices.append(_notice("byte_order_mark", path, 1, "the file starts with a byte order mark, which was skipped."))
    if "\r" in text:
        notices.append(_notice("line_ends", path, None, "the line ends are those of Windows or an old Macintosh; understood."))
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise InputError(f"{path}: the file is empty: download or write it again.")
    # Not splitlines(): it also splits at rarer characters, and line numbers would no longer be those of an editor.
    return ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file: download it or correct the folder.") from None
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror}): check that it is a readable file.") from None


def _tidy(text: str) -> list[str]:
    return [field.strip().strip('"').strip() for field in text.split("\t")]


def _seconds(path: Path, line: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{path}, line {line}: {column} is {text!r}: write a number of seconds.")
    return value


def _unknown_category(name: str, filename: str, categories: Collection[str]) -> str:
    return (
        f"category {name!r} of {filename} is unknown: use one of {', '.join(categories)}, or add a categories.txt that names it."
    )


def _notice(kind: str, path: str | Path, line: int | None, text: str) -> Notice:
    return Notice(kind, Path(path).name, line, text)
