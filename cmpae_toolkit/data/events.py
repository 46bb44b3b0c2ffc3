"""Events in the formats that people have: tables, JSON, Audacity label tracks, WebVTT and ELAN.

    csv, json     one file for all videos, with a track for each event; DCASE's tab-separated tables are read, too
    audacity      a folder of label tracks `<video>.txt`: onset, offset, label, separated by tabs
    vtt           a folder of captions `<video>.vtt`
    elan          a folder of `<video>.eaf`, a tier for each track

A label is a category, or track and category as in `audio: Dog`; spaces and commas of a category are read as underscores.
Times are seconds; WebVTT and ELAN keep milliseconds.
"""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import webvtt
from webvtt.models import Caption, Timestamp

from .._files import write_json, write_text, writing
from ..config import MODALITIES, TRACKS
from ..errors import InputError
from .lists import Findings, as_seconds, read_bytes, read_lines
from .naming import check_filenames, clean_category, clean_name
from .rolls import make_rolls, number
from .videoset import VideoSet

COLUMNS = ["filename", "onset", "offset", "category", "track"]
SUFFIXES = {"audacity": ".txt", "vtt": ".vtt", "elan": ".eaf"}
FORMATS = ("csv", "json", *SUFFIXES)
CATEGORY_NAMES = ("category", "event_label", "event_labels", "label")
Row = Mapping[str, Any]


def read_events(path: str | Path) -> pd.DataFrame:
    """Reads the events of a table (`.csv`, `.tsv`), a `.json` file, or a folder of label files, told by their suffixes.

    Columns: filename, onset, offset (seconds), category, track ("audio", "visual", "audio_visual" or None where none is said) and
    line. Whatever cannot be read is an InputError with file and line.

    >>> import tempfile
    >>> event = {"filename": "a", "onset": 1.0, "offset": 3.5, "category": "Dog", "track": "audio"}
    >>> path = write_events(f"{tempfile.mkdtemp()}/events.csv", [event], "csv")
    >>> read_events(path)[["onset", "offset", "category"]].values.tolist()
    [[1.0, 3.5, 'Dog']]
    """
    path = Path(path)
    if path.is_dir():
        rows = [row for file in label_files(path) for row in read_labels(file)]
    elif path.suffix in SUFFIXES.values():
        rows = read_labels(path)
    else:
        rows = _read_json(path) if path.suffix == ".json" else _read_table(path)
    return pd.DataFrame(rows, columns=[*COLUMNS, "line"]).astype({"track": object}).replace({"track": {np.nan: None}})


def write_events(path: str | Path, events: pd.DataFrame | Iterable[Row], format: str, filenames: Sequence[str] = ()) -> Path:
    """Writes events (rows with filename, onset, offset in seconds, category and track) to a file, or a folder for label files.

    `format` is "csv", "json", "audacity", "vtt" or "elan". csv and json keep further columns, such as the probability. Each of
    `filenames` without an event has an empty label file, or stands in the JSON without events. `read_events` reads all back.

    >>> import tempfile
    >>> event = {"filename": "a", "onset": 1.0, "offset": 3.5, "category": "Dog", "track": "audio"}
    >>> [file.name for file in write_events(tempfile.mkdtemp(), [event], "audacity").iterdir()]
    ['a.txt']
    """
    if format not in FORMATS:
        raise InputError(f"there is no format {format!r} of events: use {', '.join(FORMATS)}.")
    path = Path(path)
    table = events if isinstance(events, pd.DataFrame) else pd.DataFrame(list(events))
    table = table if len(table.columns) else pd.DataFrame(columns=COLUMNS)
    if format == "csv":
        return write_text(path, table.to_csv(index=False, float_format="%.10g", lineterminator="\n"))
    plain = table.astype(object).where(table.notna(), None).to_dict("records")
    videos: dict[str, list[Row]] = {name: [] for name in filenames}
    for row in plain:
        videos.setdefault(row["filename"], []).append(row)
    check_filenames(videos)
    if format == "json":
        listed = [{"filename": name, "events": [_without_name(row) for row in rows]} for name, rows in videos.items()]
        write_json(path, {"videos": listed})
        return path
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    for name, rows in videos.items():
        write_text(path / f"{name}{SUFFIXES[format]}", _WRITERS[format](rows))
    return path


def rolls_of(events: pd.DataFrame, videos: VideoSet) -> np.ndarray:
    """Makes rolls of a set's videos from events (as `read_events` gives them): (video, modality, snippet, category), bool.

    An event without a track, or of the track audio_visual, counts for both modalities. Raises InputError where an event is of a
    category or a video that the set does not have, or of a track that does not exist.

    >>> from cmpae_toolkit import load
    >>> videos = load("tiny", "test")
    >>> event = {"filename": videos.filenames[0], "onset": 1.0, "offset": 3.0, "category": videos.categories[0], "track": "audio"}
    >>> int(rolls_of(pd.DataFrame([event]), videos).sum())  # two seconds
    2
    """
    for column, have, what in (("filename", videos.filenames, "video"), ("category", videos.categories, "category")):
        unknown = events.loc[~events[column].isin(have), column]
        if len(unknown):
            raise InputError(f"{videos.title}: no {what} {unknown.iloc[0]!r}, though {len(unknown)} events name such: give its own events.")
    track = events.get("track", pd.Series(None, events.index)).astype(object)
    track = track.where(track.notna(), "audio_visual")
    unknown = track[~track.isin(TRACKS)]
    if len(unknown):
        raise InputError(f"{videos.title}: no track {unknown.iloc[0]!r}: an event is of {', '.join(TRACKS)}, or of none.")
    line = events["line"] if "line" in events else range(len(events))
    both = [events.assign(modality=m, file="events", line=line)[track.isin([m, "audio_visual"])] for m in MODALITIES]
    lengths = np.full(len(videos), videos.snippets) if videos.lengths is None else videos.lengths
    files = dict.fromkeys(MODALITIES, Path("events"))
    dense = pd.concat(both, ignore_index=True)
    return make_rolls(dense, videos.filenames, videos.categories, videos.snippets, lengths, videos.snippet_seconds, files)[0]


def label_files(folder: Path) -> list[Path]:
    """Finds the label files of a folder, one a video."""
    files = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES.values() and path.name[0] != "." and path.is_file())
    names = [clean_name(path.stem) for path in files]
    twice = [path.name for path, name in zip(files, names, strict=True) if names.count(name) > 1]
    if twice or not files:
        what = f"{twice[0]} and {twice[1]} are labels of one video" if twice else "no label files (.txt, .vtt, .eaf) are here"
        raise InputError(f"{folder}: {what}: give each video one file that is named as it.")
    return files


def read_labels(path: Path) -> list[Row]:
    """Reads the events of one label file, whose name is that of the video."""
    rows = []
    for line, onset, offset, label, track in _READERS[path.suffix](path):
        said, _, category = label.partition(": ")
        if said in TRACKS and category:
            track, label = said, category
        times = {"onset": onset, "offset": offset}
        rows.append({"filename": clean_name(path.stem), **times, "category": clean_category(label), "track": track, "line": line})
    return rows


def _audacity(path: Path) -> Iterator[tuple[int, float, float, str, str | None]]:
    if not read_bytes(path).strip():
        return
    found = Findings()
    for line, text in read_lines(path, found):
        fields = text.split("\t")
        if fields[0] != "\\":  # the frequencies of the label above
            times = [as_seconds(field.replace(",", ".")) for field in fields[:2]]  # Audacity writes the decimal sign of the system
            if len(fields) < 3 or None in times:
                found.refuse(path, line, f"{text[:60]!r} is no label: write onset, offset and category, separated by tabs.")
                continue
            yield line, *times, " ".join(fields[2:]).strip(), None
    found.check()


def _vtt(path: Path) -> Iterator[tuple[int, float, float, str, str | None]]:
    text = read_bytes(path).decode("utf-8-sig", "replace")
    try:
        captions = webvtt.from_buffer(io.StringIO(text)).captions
    except Exception as error:  # what a damaged file raises is not documented
        raise InputError(f"{path}: no WebVTT file ({' '.join(str(error).split())[:80]}): begin it with WEBVTT.") from None
    for number_, caption in enumerate(captions, 1):
        onset, offset = (sum(float(x) * f for x, f in zip(t.split(":"), (3600, 60, 1), strict=True)) for t in (caption.start, caption.end))
        for label in html.unescape(caption.text).splitlines():
            yield number_, onset, offset, label.strip(), None


def _elan(path: Path) -> Iterator[tuple[int, float, float, str, str | None]]:
    try:
        root = ElementTree.fromstring(read_bytes(path))
        slots = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
        for tier in root.iter("TIER"):
            track = tier.get("TIER_ID") if tier.get("TIER_ID") in TRACKS else None
            for count, note in enumerate(tier.iter("ALIGNABLE_ANNOTATION"), 1):
                onset, offset = (int(slots[note.get(name)]) / 1000 for name in ("TIME_SLOT_REF1", "TIME_SLOT_REF2"))
                yield count, onset, offset, (note.findtext("ANNOTATION_VALUE") or "").strip(), track
    except (ElementTree.ParseError, KeyError, TypeError, ValueError, LookupError) as error:
        raise InputError(f"{path}: no readable ELAN file ({' '.join(str(error).split())[:80]}): save it from ELAN again.") from None


def _read_table(path: Path) -> list[Row]:
    found = Findings()
    lines = read_lines(path, found)
    reader = csv.reader((text for _, text in lines), delimiter="\t" if "\t" in lines[0][1] else ",")
    try:
        header, *rows = list(reader)
    except csv.Error as error:
        raise InputError(f"{path}: no readable table ({error}): write it again.") from None
    header = [name.strip() for name in header]
    column = next((name for name in CATEGORY_NAMES if name in header), None)
    if column is None or not {"filename", "onset", "offset"} <= set(header):
        raise InputError(f"{path}, line {lines[0][0]}: the columns are {', '.join(header)}: there must be {', '.join(COLUMNS)}.")
    events = []
    for (line, _), fields in zip(lines[1:], rows, strict=False):
        row = dict(zip(header, fields, strict=False))
        if any(row.get(name, "").strip() for name in ("onset", "offset", column)):  # DCASE lists files without events
            events.append(_checked(row, row.get(column, ""), path, line, found))
    found.check()
    return events


def _read_json(path: Path) -> list[Row]:
    found, events = Findings(), []
    try:
        content = json.loads(read_bytes(path))
        if isinstance(content, dict):
            content = [{"filename": video["filename"], **event} for video in content["videos"] for event in video["events"]]
        rows = [dict(row) for row in content]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: no events in it ({type(error).__name__}): give a file that prediction wrote.") from None
    for count, row in enumerate(rows, 1):
        events.append(_checked(row, str(row.get("category", "")), path, count, found))
    found.check()
    return events


def _checked(row: Row, category: str, path: Path, line: int, found: Findings) -> Row:
    times = {name: as_seconds(str(row.get(name, ""))) for name in ("onset", "offset")}
    track = row.get("track") or None
    if None in times.values() or not category.strip() or (track is not None and track not in TRACKS):
        found.refuse(path, line, f"no event: give onset and offset in seconds, a category, and a track of {', '.join(TRACKS)}.")
    name = clean_name(str(row.get("filename", "")))
    return {"filename": name, **times, "category": clean_category(category), "track": track, "line": line}


def _without_name(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "filename"}


def _label(row: Row) -> str:
    return f"{row['track']}: {row['category']}" if row.get("track") else row["category"]


def _write_audacity(rows: Sequence[Row]) -> str:
    return "".join(f"{number(row['onset'])}\t{number(row['offset'])}\t{_label(row)}\n" for row in rows)


def _write_vtt(rows: Sequence[Row]) -> str:
    captions = webvtt.WebVTT()
    for row in sorted(rows, key=lambda row: (row["onset"], row["offset"])):  # captions must be in order
        start, end = (str(Timestamp.from_seconds(float(row[name]))) for name in ("onset", "offset"))
        captions.captions.append(Caption(start, end, html.escape(_label(row), quote=False)))
    return captions.content + "\n"


def _write_elan(rows: Sequence[Row]) -> str:
    root = ElementTree.Element("ANNOTATION_DOCUMENT", {
        "AUTHOR": "", "DATE": "1970-01-01T00:00:00+00:00", "FORMAT": "3.0", "VERSION": "3.0",
        "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
        "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
    })
    ElementTree.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    times = sorted({round(1000 * row[name]) for row in rows for name in ("onset", "offset")})
    order, slots = ElementTree.SubElement(root, "TIME_ORDER"), {time: f"ts{i}" for i, time in enumerate(times, 1)}
    for time, slot in slots.items():
        ElementTree.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": slot, "TIME_VALUE": str(time)})
    tracks = dict.fromkeys([*TRACKS, *(row.get("track") or "events" for row in rows)])
    tiers = {name: ElementTree.SubElement(root, "TIER", {"TIER_ID": name, "LINGUISTIC_TYPE_REF": "default-lt"}) for name in tracks}
    for i, row in enumerate(rows, 1):
        onset, offset = (slots[round(1000 * row[name])] for name in ("onset", "offset"))
        note = ElementTree.SubElement(tiers[row.get("track") or "events"], "ANNOTATION")
        about = {"ANNOTATION_ID": f"a{i}", "TIME_SLOT_REF1": onset, "TIME_SLOT_REF2": offset}
        ElementTree.SubElement(ElementTree.SubElement(note, "ALIGNABLE_ANNOTATION", about), "ANNOTATION_VALUE").text = row["category"]
    about = {"LINGUISTIC_TYPE_ID": "default-lt", "TIME_ALIGNABLE": "true", "GRAPHIC_REFERENCES": "false"}
    ElementTree.SubElement(root, "LINGUISTIC_TYPE", about)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


_READERS: dict[str, Callable] = {".txt": _audacity, ".vtt": _vtt, ".eaf": _elan}
_WRITERS: dict[str, Callable] = {"audacity": _write_audacity, "vtt": _write_vtt, "elan": _write_elan}
