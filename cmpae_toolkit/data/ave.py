"""AVE as published: `Annotations.txt`, the split orders, labels in `.h5` files, and features in two large ones, read row by row.

`Annotations.txt` has a row `category&id&quality&start&end` for each row of the feature files, in their order; a header line
may stand above. Rows, not YouTube ids, are the unit: 45 ids occur with several categories. A row's name is its YouTube id,
with `_row0123` behind it where the id occurs more than once.

`audio_feature.h5` (row, 10, 128) becomes the stream `audio`, `visual_feature.h5` (row, 10, 7, 7, 512) the stream `frames`, the 49
positions of a snippet taking the place of LLP's frames. 7.7 GB never enter memory: a split is packed into a float16 store, blocks
of rows in the order of the file, and mapped from there. Weak training may add 178 videos that show background only, from the
`_noisy` files; they are train videos without any weak label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..config import MODALITIES
from ..errors import InputError
from . import h5
from .annotations import Annotations, check_split, splits
from .arrays import H5_KEY as KEY
from .features import FeatureIndex, Place
from .lists import Findings, as_seconds, read_lines
from .naming import check_filenames, clean_category
from .rolls import number, on_grid
from .source import Source, describe
from .videoset import Notice, VideoSet

AVE_CATEGORIES = (
    "Church_bell", "Male_speech_man_speaking", "Bark", "Fixed-wing_aircraft_airplane", "Race_car_auto_racing",
    "Female_speech_woman_speaking", "Helicopter", "Violin_fiddle", "Flute", "Ukulele", "Frying_(food)", "Truck", "Shofar",
    "Motorcycle", "Acoustic_guitar", "Train_horn", "Clock", "Banjo", "Goat", "Baby_cry_infant_cry", "Bus", "Chainsaw", "Cat",
    "Horse", "Toilet_flush", "Rodents_rats_mice", "Accordion", "Mandolin",
)
AVE_SNIPPETS = 10
FILES = {
    "rows": "Annotations.txt", "train": "train_order.h5", "val": "val_order.h5", "test": "test_order.h5",
    "weak": "mil_labels.h5", "dense": "labels.h5", "spans": "labels_closs.h5",
    "audio": "audio_feature.h5", "frames": "visual_feature.h5",
    "background_audio": "audio_feature_noisy.h5", "background_frames": "visual_feature_noisy.h5",
    "background_labels": "labels_noisy.h5",
}
FOLDERS = (".", "data", "annotations")
SHAPES = {"audio": (None, AVE_SNIPPETS, None), "frames": (None, AVE_SNIPPETS, None, None, None)}
STREAMS = {"audio": "audio", "frames": "visual"}


@dataclass(frozen=True, eq=False)
class AveLists:
    """Holds all rows of AVE: youtube_id, filename, category, onset, offset (within the video; equal where there is no event), line.

    `splits` has the row numbers of each split in their published order.
    """

    folder: Path
    files: Mapping[str, Path]
    rows: pd.DataFrame
    splits: Mapping[str, np.ndarray]
    notices: tuple[Notice, ...]

    def annotations(self, split: str, *, dense: bool, notices: Sequence[Notice] = ()) -> Annotations:
        """Gives one split's rows in their published order; with `dense`, the event of each on both modalities."""
        rows = self.rows.iloc[self.splits[split]]
        files = {split: self.files["rows"], **dict.fromkeys(MODALITIES, self.files["rows"]), "order": self.files[split]}
        files |= {name: self.files[name] for name in ("weak", "spans") if name in self.files}
        events = events_of(rows) if dense else None
        return Annotations(split, AVE_CATEGORIES, weak_table(rows), events, files, None, (*self.notices, *notices))


def is_ave(folder: str | Path) -> bool:
    """Tells whether a folder holds AVE's lists: `Annotations.txt`, or an order file without it, here or in data/ or annotations/."""
    return any(_find(Path(folder), FILES[name]) for name in ("rows", *splits))


def find_files(folder: Path) -> dict[str, Path]:
    """Finds the published files that are there, by their role in `FILES`."""
    return {role: path for role, name in FILES.items() if (path := _find(folder, name))}


def read_lists(folder: str | Path) -> AveLists:
    """Reads and compares all lists. Missing, unreadable or contradicting ones are InputErrors; oddities are notices."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder: give the one that holds Annotations.txt.")
    files, found = find_files(folder), Findings()
    for role in ("rows", "weak"):
        if role not in files:
            raise InputError(f"{folder}: no {FILES[role]} in the folder itself, data/ or annotations/: download AVE's lists.")
    rows = _read_rows(files["rows"], found)
    lists = AveLists(folder, files, rows, _read_orders(files, len(rows)), tuple(found.notices))
    _check_weak(lists)
    return lists


def read_ave(folder: str | Path, split: str) -> Annotations:
    """Reads one split's lists as `read_annotations` gives them for LLP; train has no events there (see `ave_truth`).

    >>> read_ave("no_such_folder", "train")
    Traceback (most recent call last):
    ...
    cmpae_toolkit.errors.InputError: ...
    """
    check_split(split)
    return annotations_of(read_lists(folder), split)


def annotations_of(found: AveLists, split: str) -> Annotations:
    """Does what `read_ave` does with lists that are read already."""
    if split not in found.splits:
        raise InputError(f"{found.folder}: no list of the split {split!r}: looked for {FILES[split]}.")
    rows = found.rows.iloc[found.splits[split]]
    notices = [*empty_notices(found, rows), *_repeated(found, split), *_other_spans(found)]
    return found.annotations(split, dense=split != "train", notices=notices)


def ave_truth(folder: str | Path, split: str) -> np.ndarray:
    """Makes the event rolls of a split, train included, for analysis: (video, modality, snippet, category), bool.

    >>> ave_truth("no_such_folder", "train")
    Traceback (most recent call last):
    ...
    cmpae_toolkit.errors.InputError: ...
    """
    check_split(split)
    found = read_lists(folder)
    annotations_of(found, split)
    return found.annotations(split, dense=True).reference(AVE_SNIPPETS)[0]


def ave_labels(folder: str | Path) -> np.ndarray:
    """Gives AVE's dense labels of all rows, (row, snippet, category), float32 one-hot, the last category background.

    Read from `labels.h5`, or rebuilt where it is absent: the row of `mil_labels.h5` on the snippets of the event, background
    elsewhere; for the published files the two are equal.

    >>> ave_labels("no_such_folder")
    Traceback (most recent call last):
    ...
    cmpae_toolkit.errors.InputError: ...
    """
    found = read_lists(folder)
    shape = (len(found.rows), AVE_SNIPPETS, len(AVE_CATEGORIES) + 1)
    if "dense" in found.files:
        return h5.read_dataset(found.files["dense"], KEY, shape).astype(np.float32)
    weak = h5.read_dataset(found.files["weak"], KEY, shape[::2])[:, None]
    return np.where(span_rolls(found)[..., None], weak, np.eye(shape[2])[-1]).astype(np.float32)


def span_rolls(found: AveLists) -> np.ndarray:
    """Makes rolls (row, snippet), bool, of the events of `Annotations.txt`, which `labels_closs.h5` repeats."""
    first, last = on_grid(*(found.rows[name].to_numpy(float)[:, None] for name in ("onset", "offset")))
    snippet, real = np.arange(AVE_SNIPPETS), (found.rows["onset"] < found.rows["offset"]).to_numpy()[:, None]
    return (first <= snippet) & (snippet < last) & real


def load_ave(folder: str | Path, split: str, *, background: bool = False, name: str | None = None) -> VideoSet:
    """Reads one split of AVE into memory; `data.load` packs it first where it is large.

    Streams `audio` (video, 10, width) and `frames` (video, 10 x positions, width); 28 categories; `weak_labels` one-hot;
    `reference` the event's span on both modalities (val and test; `ave_truth` gives train's). `background` adds the videos
    of the `_noisy` files to train, with all weak labels 0, and leaves val and test as they are.

    >>> load_ave("no_such_folder", "train")
    Traceback (most recent call last):
    ...
    cmpae_toolkit.errors.InputError: ...
    """
    return open_ave(folder, split, background=background).load(name)


def open_ave(folder: str | Path, split: str, *, background: bool = False) -> Source:
    """Reads the lists of a split and the headers of the feature files."""
    check_split(split)
    folder = Path(folder)
    found = read_lists(folder)
    annotations = annotations_of(found, split)
    headers = {stream: h5.dataset_header(_file(found, stream), KEY, (len(found.rows), *SHAPES[stream][1:])) for stream in SHAPES}
    places = {stream: [Place(_file(found, stream), int(row)) for row in found.splits[split]] for stream in SHAPES}
    background &= split == "train"
    if background:
        count = _background_count(found, headers)
        annotations = _with_background(found, annotations, count)
        for stream in SHAPES:
            places[stream] += [Place(_file(found, f"background_{stream}"), row) for row in range(count)]
    index = FeatureIndex(STREAMS, annotations.filenames, tuple(range(len(annotations))), places)
    variant = "background" if background else None
    return Source(folder, describe(folder), split, AVE_CATEGORIES, annotations, index, annotations.notices, variant)


def weak_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Makes a weak table of rows of AVE; rows of one name become one video."""
    table = rows.groupby("filename", sort=False).agg(categories=("category", lambda x: tuple(dict.fromkeys(x))), line=("line", "first"))
    return table.reset_index().assign(file=FILES["rows"])


def events_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Makes a dense table of rows of AVE, each event on both modalities."""
    events = rows.loc[rows["onset"] < rows["offset"], ["filename", "onset", "offset", "category", "line"]]
    return pd.concat([events.assign(modality=modality, file=FILES["rows"]) for modality in MODALITIES], ignore_index=True)


def empty_notices(found: AveLists, rows: pd.DataFrame) -> list[Notice]:
    """Gives a notice for each of these rows that has no event."""
    text = "the span of {} ({}) is empty; all its snippets are background."
    empty = rows[rows["onset"] >= rows["offset"]]
    return [Notice("empty_span", FILES["rows"], row.line, text.format(row.filename, row.category)) for row in empty.itertuples()]


def _find(folder: Path, name: str) -> Path | None:
    return next((path for below in FOLDERS if (path := folder / below / name).is_file()), None)


def _file(found: AveLists, role: str) -> Path:
    if role not in found.files:
        places = f"{found.folder}, its data/ or annotations/"
        raise InputError(f"{found.folder}: no {FILES[role]}: put it into {places}; `cmpae download ave` says where it is.")
    return found.files[role]


def _read_rows(path: Path, found: Findings) -> pd.DataFrame:
    rows = []
    for i, (line, text) in enumerate(read_lines(path, found)):
        fields = [field.strip() for field in text.split("&")]
        if i or fields[0].lower() != "category":
            row = _row(path, line, fields, found)
            rows += [row] if row else []
    found.check()
    if not rows:
        raise InputError(f"{path}: the list has a header and no videos: download it again.")
    table = pd.DataFrame(rows, columns=["category", "youtube_id", "onset", "offset", "line"])
    repeated = table["youtube_id"].duplicated(keep=False)
    table["filename"] = table["youtube_id"].where(~repeated, [f"{name}_row{i:04d}" for i, name in enumerate(table["youtube_id"])])
    return table


def _row(path: Path, line: int, fields: list[str], found: Findings) -> tuple[str, str, float, float, int] | None:
    """Gives a row's fields, its times within the video; None where it is refused."""
    if len(fields) != 5:
        return found.refuse(path, line, f"{len(fields)} fields, not 5: write category&id&quality&start&end.")
    category, video, _, *texts = fields
    try:
        check_filenames([video])
    except InputError as error:
        return found.refuse(path, line, str(error))
    times = [as_seconds(text) for text in texts]
    if clean_category(category) not in AVE_CATEGORIES:
        return found.refuse(path, line, f"category {category!r} of {video} is unknown: use AVE's 28 names.")
    if None in times:
        column, text = ("start", texts[0]) if times[0] is None else ("end", texts[1])
        return found.refuse(path, line, f"{column} is {text!r}: write a number of seconds.")
    onset, offset = times
    if onset > offset:
        text = f"the event of {video} ends at {number(offset)}, before {number(onset)}: correct it."
        return found.refuse(path, line, text)
    cut = [min(max(time, 0), AVE_SNIPPETS) for time in times]
    if cut != times:
        text = f"{number(onset)}-{number(offset)} of {video} is not within the video's {AVE_SNIPPETS} s"
        found.note("clipped", path, line, f"{text}; it is cut to {number(cut[0])}-{number(cut[1])}.")
    return clean_category(category), video, *cut, line


def _read_orders(files: Mapping[str, Path], rows: int) -> dict[str, np.ndarray]:
    """Reads the row numbers of each split that is there; a row may stand in one place only."""
    orders: dict[str, np.ndarray] = {}
    for split in (split for split in splits if split in files):
        path = files[split]
        orders[split] = order = h5.read_dataset(path, "order", (None,), "iu", most=rows).astype(np.int64)
        outside = order[(order < 0) | (order >= rows)]
        if len(outside):
            raise InputError(f"{path}: row number {outside[0]} is not one of the {rows} of Annotations.txt: download both again.")
        for other, earlier in orders.items():
            values, counts = np.unique(order, return_counts=True)
            shared = values[counts > 1] if other == split else np.intersect1d(values, earlier)
            if len(shared):
                what = "stands there twice" if other == split else f"is also in the split {other!r}"
                raise InputError(f"{path}: row number {shared[0]} {what}: {h5.ADVICE}.")
    return orders


def _check_weak(found: AveLists) -> None:
    """Checks that `mil_labels.h5` is one-hot and says what `Annotations.txt` says, else the rows of the two are not the same videos."""
    path = found.files["weak"]
    weak = h5.read_dataset(path, KEY, (len(found.rows), len(AVE_CATEGORIES) + 1))
    bad = ~np.isin(weak, (0, 1)).all(axis=1) | (weak.sum(axis=1) != 1)
    if bad.any():
        raise InputError(f"{path}: row {bad.argmax()} is not one-hot: {h5.ADVICE}.")
    told = np.array([*AVE_CATEGORIES, "background"])[weak.argmax(axis=1)]
    other = np.flatnonzero(told != found.rows["category"].to_numpy())
    if len(other):
        row = found.rows.iloc[other[0]]
        where = f"{found.files['rows'].name}, line {row['line']} says {row['category']}"
        raise InputError(f"{path}: row {other[0]} is {told[other[0]]}, but {where}: the files are not of one version.")


def _repeated(found: AveLists, split: str) -> list[Notice]:
    """Tells ids of this split that occur in another row: of this split, or of another one (then it is a leak)."""
    rows = pd.concat([found.rows.iloc[order].assign(split=name) for name, order in found.splits.items()])
    ours = rows[rows["split"] == split].reset_index(names="row")
    pairs = ours.merge(rows.reset_index(names="row"), on="youtube_id", suffixes=("", "_other"))
    here = pairs["split_other"] == split  # two rows of one split are told once, at the later one
    notices = []
    for pair in pairs[(pairs["row"] > pairs["row_other"]) | ~here].itertuples():
        kind, where = ("repeated_id", "this split") if pair.split_other == split else ("leak", f"the split {pair.split_other}")
        also = f"line {pair.line_other} ({pair.category_other}) in {where}"
        notices.append(Notice(kind, FILES["rows"], pair.line, f"{pair.youtube_id} ({pair.category}) is also in {also}."))
    return notices


def _other_spans(found: AveLists) -> list[Notice]:
    if "spans" not in found.files:
        return []
    path = found.files["spans"]
    theirs = h5.read_dataset(path, KEY, (len(found.rows), AVE_SNIPPETS)) > 0.5
    other = np.flatnonzero((theirs != span_rolls(found)).any(axis=1))
    text = f"{len(other)} rows have other spans than Annotations.txt, the first row {other[:1].sum()}; Annotations.txt is believed."
    return [Notice("other_spans", path.name, None, text)] if len(other) else []


def _background_count(found: AveLists, headers: Mapping[str, tuple[tuple[int, ...], np.dtype]]) -> int:
    """Counts the background videos; their files must fit the others, and their labels be background."""
    shapes = {stream: h5.dataset_header(_file(found, f"background_{stream}"), KEY, SHAPES[stream])[0] for stream in SHAPES}
    for stream, shape in shapes.items():
        if shape[1:] != headers[stream][0][1:] or shape[0] != shapes["audio"][0]:
            path = found.files[f"background_{stream}"]
            raise InputError(f"{path}: {KEY!r} has shape {shape}, which does not fit the other files: {h5.ADVICE}.")
    count = shapes["audio"][0]
    if "background_labels" in found.files:
        path = found.files["background_labels"]
        labels = h5.read_dataset(path, KEY, None)  # (video, 29) or (video, snippet, 29), the last category only
        fits = labels.shape in ((count, len(AVE_CATEGORIES) + 1), (count, AVE_SNIPPETS, len(AVE_CATEGORIES) + 1))
        if not fits:
            raise InputError(f"{path}: {KEY!r} has shape {labels.shape}, which does not fit the other files: {h5.ADVICE}.")
        if labels[..., :-1].any() or not labels[..., -1].all():
            raise InputError(f"{path}: some of the {count} videos are not labelled as background: {h5.ADVICE}.")
    return count


def _with_background(found: AveLists, annotations: Annotations, count: int) -> Annotations:
    """Gives the train lists with the background videos behind them."""
    name = FILES["background_audio"]
    videos = {"filename": [f"background_{row:04d}" for row in range(count)], "categories": [()] * count, "line": [None] * count}
    weak = pd.concat([annotations.weak.astype(object), pd.DataFrame(videos, dtype=object).assign(file=name)], ignore_index=True)
    files = dict(annotations.files) | {role: path for role, path in found.files.items() if role == "background_labels"}
    notice = Notice("background", name, None, f"{count} videos without any event were added to train.")
    return replace(annotations, weak=weak, files=files, notices=(*annotations.notices, notice))
