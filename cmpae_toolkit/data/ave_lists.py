"""AVE's lists as published: `Annotations.txt`, the split orders and the labels in `.h5` files; needs no features.

`Annotations.txt` has a row `category&id&quality&start&end` for each row of the feature files, in their order; a header line
may stand above. Rows, not YouTube ids, are the unit: 45 ids occur with several categories. A row's name is its YouTube id,
with `_row0123` behind it where the id occurs more than once.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..config import MODALITIES
from ..errors import InputError
from . import h5, lists
from .annotations import Annotations, check_split, splits
from .lists import Span, WeakRow
from .videoset import Notice

AVE_CATEGORIES = (
    "Church_bell", "Male_speech_man_speaking", "Bark", "Fixed-wing_aircraft_airplane", "Race_car_auto_racing",
    "Female_speech_woman_speaking", "Helicopter", "Violin_fiddle", "Flute", "Ukulele", "Frying_(food)", "Truck", "Shofar",
    "Motorcycle", "Acoustic_guitar", "Train_horn", "Clock", "Banjo", "Goat", "Baby_cry_infant_cry", "Bus", "Chainsaw", "Cat",
    "Horse", "Toilet_flush", "Rodents_rats_mice", "Accordion", "Mandolin",
)
AVE_SNIPPETS = 10
KEY = "avadataset"  # of every file but the orders
FILES = {
    "rows": "Annotations.txt", "train": "train_order.h5", "val": "val_order.h5", "test": "test_order.h5",
    "weak": "mil_labels.h5", "dense": "labels.h5", "spans": "labels_closs.h5",
    "audio": "audio_feature.h5", "frames": "visual_feature.h5",
    "background_audio": "audio_feature_noisy.h5", "background_frames": "visual_feature_noisy.h5",
    "background_labels": "labels_noisy.h5",
}
FOLDERS = (".", "data", "annotations")


@dataclass(frozen=True)
class AveLists:
    """All rows of AVE and the splits: `spans[row]` is the event of a row (None where it is empty), `splits[name]` row numbers."""

    folder: Path
    files: Mapping[str, Path]
    youtube_ids: tuple[str, ...]
    videos: tuple[WeakRow, ...]
    spans: tuple[Span | None, ...]
    splits: Mapping[str, np.ndarray]
    notices: tuple[Notice, ...]

    def split_of(self) -> dict[int, str]:
        """The split of each row that is in one."""
        return {int(row): split for split, order in self.splits.items() for row in order}

    def annotations(self, split: str, *, dense: bool, notices: Iterable[Notice] = ()) -> Annotations:
        """One split's rows in their published order; with `dense`, the span of each on both modalities."""
        order = self.splits[split]
        spans = tuple(self.spans[row] for row in order if self.spans[row] is not None)
        files = {split: self.files["rows"], **dict.fromkeys(MODALITIES, self.files["rows"]), "order": self.files[split]}
        files |= {name: self.files[name] for name in ("weak", "spans") if name in self.files}
        return Annotations(
            split, AVE_CATEGORIES, tuple(self.videos[row] for row in order), dict.fromkeys(MODALITIES, spans) if dense else None,
            files, None, (*self.notices, *notices),
        )


def is_ave(folder: str | Path) -> bool:
    """Whether a folder holds AVE's lists: `Annotations.txt`, or an order file without it, here or in data/ or annotations/."""
    return any(_find(Path(folder), FILES[name]) for name in ("rows", *splits))


def clean_category(name: str) -> str:
    """A published category name as the toolkit's lists write it: `Violin, fiddle` is `Violin_fiddle`."""
    return re.sub(r"[\s,]+", "_", name.strip())


def find_files(folder: Path) -> dict[str, Path]:
    """The published files that are there, by their role in `FILES`."""
    return {role: path for role, name in FILES.items() if (path := _find(folder, name))}


def read_lists(folder: str | Path) -> AveLists:
    """Read and compare all lists. Missing, unreadable or contradicting ones are InputErrors; oddities are notices."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder: give the one that holds Annotations.txt.")
    files, notices = find_files(folder), []
    for role in ("rows", "weak"):
        if role not in files:
            raise InputError(f"{folder}: no {FILES[role]} in the folder itself, data/ or annotations/: download AVE's lists.")
    ids, videos, spans = _read_rows(files["rows"], notices)
    found = AveLists(folder, files, ids, videos, spans, _read_orders(files, len(videos)), tuple(notices))
    _check_weak(found)
    return found


def read_ave(folder: str | Path, split: str) -> Annotations:
    """One split's lists as `read_annotations` gives them for LLP; train has no spans there (see `ave_truth`)."""
    check_split(split)
    return annotations_of(read_lists(folder), split)


def annotations_of(found: AveLists, split: str) -> Annotations:
    """`read_ave` of lists that are read already."""
    if split not in found.splits:
        raise InputError(f"{found.folder}: no list of the split {split!r}: looked for {FILES[split]}.")
    notices = [*_empty(found, split), *_repeated(found, split), *_other_spans(found)]
    return found.annotations(split, dense=split != "train", notices=notices)


def ave_truth(folder: str | Path, split: str) -> np.ndarray:
    """The event rolls of a split, train included, for analysis: (video, modality, snippet, category), bool."""
    check_split(split)
    found = read_lists(folder)
    annotations_of(found, split)
    return found.annotations(split, dense=True).reference(AVE_SNIPPETS)[0]


def ave_labels(folder: str | Path) -> np.ndarray:
    """AVE's dense labels of all rows, (row, snippet, category), float32 one-hot, the last category background.

    Read from `labels.h5`, or rebuilt where it is absent: the row of `mil_labels.h5` on the snippets of the span, background
    elsewhere; for the published files the two are equal.
    """
    found = read_lists(folder)
    shape = (len(found.videos), AVE_SNIPPETS, len(AVE_CATEGORIES) + 1)
    if "dense" in found.files:
        return h5.read_dataset(found.files["dense"], KEY, shape).astype(np.float32)
    inside = span_rolls(found)[..., None]
    weak = h5.read_dataset(found.files["weak"], KEY, shape[::2])[:, None]
    return np.where(inside, weak, np.eye(shape[2])[-1]).astype(np.float32)


def span_rolls(found: AveLists) -> np.ndarray:
    """(row, snippet), bool: the spans of `Annotations.txt`, which `labels_closs.h5` repeats."""
    rolls = np.zeros((len(found.spans), AVE_SNIPPETS), bool)
    for row, span in enumerate(found.spans):
        if span is not None:
            rolls[row, span.onset : span.offset] = True
    return rolls


def _find(folder: Path, name: str) -> Path | None:
    return next((path for below in FOLDERS if (path := folder / below / name).is_file()), None)


def _read_rows(path: Path, notices: list[Notice]) -> tuple[tuple[str, ...], tuple[WeakRow, ...], tuple[Span | None, ...]]:
    rows = []
    for number, (line, text) in enumerate(lists._lines(path, notices)):
        fields = [field.strip() for field in text.split("&")]
        if number == 0 and fields[0].lower() == "category":
            continue
        if len(fields) != 5:
            raise InputError(f"{path}, line {line}: {len(fields)} fields, not 5: write category&id&quality&start&end.")
        rows.append((line, *_checked_row(path, line, fields)))
    if not rows:
        raise InputError(f"{path}: the list has a header and no videos: download it again.")
    count = Counter(row[2] for row in rows)
    names = [f"{row[2]}_row{i:04d}" if count[row[2]] > 1 else row[2] for i, row in enumerate(rows)]
    videos = tuple(WeakRow(name, (row[1],), row[0]) for name, row in zip(names, rows, strict=True))
    spans = []
    for video, (line, category, _, *times) in zip(videos, rows, strict=True):
        span = Span(video.filename, *(math.floor(time + 0.5) for time in times), category, line)
        if [span.onset, span.offset] != times:
            text = f"{times[0]:g}-{times[1]:g} is not in whole seconds; {span} is used."
            notices.append(Notice("rounded", path.name, line, text))
        kept, clipped = lists.clip_spans([span], AVE_SNIPPETS, path)
        spans.append(kept[0] if kept else None)
        notices += clipped
    return tuple(row[2] for row in rows), videos, tuple(spans)


def _checked_row(path: Path, line: int, fields: list[str]) -> tuple[str, str, float, float]:
    category, video, _, *times = fields
    if clean_category(category) not in AVE_CATEGORIES:
        raise InputError(f"{path}, line {line}: category {category!r} of {video} is unknown: use AVE's 28 names.")
    try:
        lists.check_filenames([video])
    except InputError as error:
        raise InputError(f"{path}, line {line}: {error}") from None
    onset, offset = (lists._seconds(path, line, name, text) for name, text in zip(("start", "end"), times, strict=True))
    if onset > offset:
        raise InputError(f"{path}, line {line}: the event of {video} ends at {offset:g}, before {onset:g}: correct it.")
    return clean_category(category), video, onset, offset


def _read_orders(files: Mapping[str, Path], rows: int) -> dict[str, np.ndarray]:
    orders: dict[str, np.ndarray] = {}
    taken: dict[int, str] = {}
    for split in (split for split in splits if split in files):
        path = files[split]
        order = h5.read_dataset(path, "order", (None,), "integers", most=rows)
        outside = order[(order < 0) | (order >= rows)]
        if len(outside):
            raise InputError(f"{path}: row number {outside[0]} is not one of the {rows} of Annotations.txt: download both again.")
        values, counts = np.unique(order, return_counts=True)
        if (counts > 1).any():
            raise InputError(f"{path}: row number {values[counts > 1][0]} stands there twice: {h5.ADVICE}.")
        shared = [row for row in values.tolist() if row in taken]
        if shared:
            raise InputError(f"{path}: row number {shared[0]} is also in the split {taken[shared[0]]!r}: {h5.ADVICE}.")
        taken |= dict.fromkeys(values.tolist(), split)
        orders[split] = order.astype(np.int64)
    return orders


def _check_weak(found: AveLists) -> None:
    """`mil_labels.h5` must be one-hot and say what `Annotations.txt` says, else the rows of the two are not the same videos."""
    path, rows = found.files["weak"], len(found.videos)
    weak = h5.read_dataset(path, KEY, (rows, len(AVE_CATEGORIES) + 1))
    if not (np.isin(weak, (0, 1)).all() and (weak.sum(1) == 1).all()):
        bad = np.flatnonzero(~np.isin(weak, (0, 1)).all(1) | (weak.sum(1) != 1))[0]
        raise InputError(f"{path}: row {bad} is not one-hot: {h5.ADVICE}.")
    names = [video.categories[0] for video in found.videos]
    for row, (column, name) in enumerate(zip(weak.argmax(1), names, strict=True)):
        told = (*AVE_CATEGORIES, "background")[column]
        if told != name:
            where = f"{found.files['rows'].name}, line {found.videos[row].line}"
            raise InputError(f"{path}: row {row} is {told}, but {where} says {name}: the files are not of one version.")


def _empty(found: AveLists, split: str, rows: Iterable[int] | None = None) -> list[Notice]:
    chosen = found.splits[split] if rows is None else rows
    notices = []
    for video in (found.videos[row] for row in chosen if found.spans[row] is None):
        text = f"the span of {video.filename} ({video.categories[0]}) is empty; all its snippets are background."
        notices.append(Notice("empty_span", found.files["rows"].name, video.line, text))
    return notices


def _repeated(found: AveLists, split: str) -> list[Notice]:
    """Ids of this split that occur in another row: of this split, or of another one (then it is a leak)."""
    rows_of, split_of, notices = defaultdict(list), found.split_of(), []
    for row, name in enumerate(found.youtube_ids):
        rows_of[name].append(row)
    for row in found.splits[split].tolist():
        for other in rows_of[found.youtube_ids[row]]:
            theirs = split_of.get(other)
            # two rows of one split are told once, at the later one
            if other == row or theirs is None or (theirs == split and other > row):
                continue
            kind, where = ("repeated_id", "this split") if theirs == split else ("leak", f"the split {theirs}")
            also = f"line {found.videos[other].line} ({found.videos[other].categories[0]}) in {where}"
            text = f"{found.youtube_ids[row]} ({found.videos[row].categories[0]}) is also in {also}."
            notices.append(Notice(kind, found.files["rows"].name, found.videos[row].line, text))
    return notices


def _other_spans(found: AveLists) -> list[Notice]:
    if "spans" not in found.files:
        return []
    path = found.files["spans"]
    theirs = h5.read_dataset(path, KEY, (len(found.videos), AVE_SNIPPETS)) > 0.5
    other = np.flatnonzero((theirs != span_rolls(found)).any(1))
    if not len(other):
        return []
    text = f"{len(other)} rows have other spans than Annotations.txt, the first row {other[0]}; Annotations.txt is believed."
    return [Notice("other_spans", path.name, None, text)]
