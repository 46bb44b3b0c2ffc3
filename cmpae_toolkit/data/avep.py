"""AVEP, the paper's union of LLP and the AVE videos of the 14 categories that LLP lacks ("AVE-14"); 39 categories.

11,581 / 839 / 1,390 videos. The paper says 840 and 1,391 for val and test: LLP's two lists have 650 and 1,201 lines with their
header, and 650 + 190 and 1,201 + 190 are the paper's numbers, so the headers were counted there; its train number is exact.

An event of AVE counts for both tracks. Features are as for LLP: `feats/<stream>/<id>.npy` in either source's folder, its own
first. Five ids stand where they should not: three are in train and in val or test of the union, counting LLP and AVE-14
together, and four occur twice in AVE-14's train under two categories. They are notices; `leaks="drop"` takes the shared
videos out of the earlier split, so that val and test stay as published, and `repeated="merge"` makes one video of two rows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..errors import InputError
from . import ave, features, lists
from .annotations import LLP_CATEGORIES, Annotations, check_split, find_layout, read_annotations, splits
from .naming import ID_LENGTH, id_candidates, source_id
from .source import Source, check_missing, describe, missing_notices
from .videoset import Notice, VideoSet

AVE_14 = (
    "Church_bell", "Fixed-wing_aircraft_airplane", "Flute", "Ukulele", "Truck", "Shofar", "Train_horn", "Clock", "Goat", "Bus",
    "Horse", "Toilet_flush", "Rodents_rats_mice", "Mandolin",
)  # "Race car" is taken for LLP's Car
AVEP_CATEGORIES = (*LLP_CATEGORIES, *AVE_14)
CHOICES = {"leaks": ("keep", "drop"), "repeated": ("keep", "merge")}


@dataclass(frozen=True, eq=False)
class AvepAnnotations(Annotations):
    """Holds the lists of both: videos from `first_ave` on are AVE's."""

    first_ave: int = 0


def read_avep(
    llp: str | Path, ave_folder: str | Path, split: str, *, eval_audio: str | None = None, leaks: str = "keep", repeated: str = "keep"
) -> AvepAnnotations:
    """Reads one split's lists of the union of an LLP and an AVE folder; needs no features.

    `eval_audio` is as in `read_annotations`, `leaks` and `repeated` as above. Leaks and repeated ids are notices either way.

    >>> read_avep("no_llp", "no_ave", "train")
    Traceback (most recent call last):
    ...
    cmpae_toolkit.errors.InputError: ...
    """
    for name, value in (("leaks", leaks), ("repeated", repeated)):
        if value not in CHOICES[name]:
            raise InputError(f"{name} is {value!r}: use {' or '.join(map(repr, CHOICES[name]))}.")
    check_split(split)
    theirs, found = read_annotations(llp, split, eval_audio=eval_audio), ave.read_lists(ave_folder)
    if theirs.categories != LLP_CATEGORIES:
        raise InputError(f"{llp}: AVEP needs LLP as published, with its 25 categories: give the folder that holds AVVP_*.csv.")
    ave.annotations_of(found, split)  # refuses a folder without this split
    videos, notices = _shared(_listed(llp, found), split, drop=leaks == "drop")
    rows = found.rows.iloc[found.splits[split]]
    rows = rows[rows["category"].isin(AVE_14) & rows["filename"].isin(videos)]
    rows, more = _repeated(rows, merge=repeated == "merge")
    own = theirs.weak[theirs.weak["filename"].isin(videos)]
    dense = theirs.dense
    if dense is not None:
        dense = pd.concat([dense[dense["filename"].isin(own["filename"])], ave.events_of(rows)], ignore_index=True)
    weak = pd.concat([own, ave.weak_table(rows)], ignore_index=True)
    files = {**theirs.files, "ave": found.files["rows"], "order": found.files[split]}
    notices = (*theirs.notices, *found.notices, *ave.empty_notices(found, rows), *notices, *more)
    return AvepAnnotations(split, AVEP_CATEGORIES, weak, dense, files, theirs.eval_audio, notices, len(own))


def load_avep(
    llp: str | Path, ave_folder: str | Path, split: str, *, missing: str = "error", eval_audio: str | None = None,
    leaks: str = "keep", repeated: str = "keep", name: str | None = None,
) -> VideoSet:
    """Reads one split of AVEP into memory; options as in `load_folder` and `read_avep`. `data.load` packs what is large.

    >>> load_avep("no_llp", "no_ave", "train")
    Traceback (most recent call last):
    ...
    cmpae_toolkit.errors.InputError: ...
    """
    return open_avep(llp, ave_folder, split, missing=missing, eval_audio=eval_audio, leaks=leaks, repeated=repeated).load(name)


def open_avep(
    llp: str | Path, ave_folder: str | Path, split: str, *, missing: str = "error", eval_audio: str | None = None,
    leaks: str = "keep", repeated: str = "keep",
) -> Source:
    """Reads the lists of a split and finds its feature files, without opening any."""
    check_missing(missing)
    folders = [Path(llp), Path(ave_folder)]
    annotations = read_avep(*folders, split, eval_audio=eval_audio, leaks=leaks, repeated=repeated)
    about = describe(folders[0])
    roots = [features.find_streams(at, "llp", about.modalities or {}) if (at / "feats").is_dir() else None for at in folders]
    if not any(roots):
        features.find_streams(folders[0], "llp", {})  # says what was looked for
    empty = features.Streams({}, {})
    roots = [root or empty for root in roots] if roots[0] else [empty, roots[1]]
    wanted, ids = [], []
    for row, name in enumerate(annotations.filenames):
        own = row < annotations.first_ave
        order = [i for i in ((0, 1) if own else (1, 0)) if roots[i] is not empty]  # a video's own folder first
        wanted.append((order, id_candidates(name, "llp") if own else (name, name[:ID_LENGTH])))
        ids.append(None if own else name)
    index = features.index_features(roots, annotations.filenames, wanted, blank=missing == "blank", ids=ids)
    notices = annotations.notices + missing_notices(index, annotations, missing)
    if not index.ids:
        raise InputError(f"{llp}, {ave_folder}: no video has a feature file in each of feats/{', feats/'.join(index.places)}: add them.")
    choices = [choice for choice in (eval_audio, leaks, repeated, missing) if choice not in (None, "keep", "error", "skip")]
    digest = hashlib.sha256(str(folders[0].resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    variant, about = "-".join(["avep", digest, *choices]), describe(folders[0], name="avep")
    return Source(folders[1], about, split, AVEP_CATEGORIES, annotations, index, notices, variant)


def _listed(llp: str | Path, found: ave.AveLists) -> pd.DataFrame:
    """Lists every video of the union: split, source, filename, id (of the film it was cut from), file, line."""
    layout, tables = find_layout(llp), []
    for split in (split for split in splits if split in found.splits):
        if split in layout.lists:
            own = lists.read_weak(layout.lists[split], layout.categories, lists.Findings())
            tables.append(own[["filename", "file", "line"]].assign(split=split, source="LLP"))
        rows = found.rows.iloc[found.splits[split]]
        rows = rows.loc[rows["category"].isin(AVE_14), ["filename", "line"]]
        tables.append(rows.assign(file=ave.FILES["rows"], split=split, source="AVE-14"))
    listed = pd.concat(tables, ignore_index=True)
    return listed.assign(id=listed["filename"].map(source_id))


def _shared(listed: pd.DataFrame, split: str, drop: bool) -> tuple[set[str], list[Notice]]:
    """Gives the names of this split that stay, and a notice for each video whose id is in another split of the union, too."""
    ours, notices, dropped = listed[listed["split"] == split], [], set()
    others = listed[listed["split"] != split].drop_duplicates(["split", "id"], keep="last")
    for pair in ours.merge(others, on="id", suffixes=("", "_other")).itertuples():
        earlier = splits.index(split) < splits.index(pair.split_other)
        dropped |= {pair.filename} if drop and earlier else set()
        end = f"it is left out {'here' if earlier else 'there'}" if drop else "both stay"
        also = f"is also in the split {pair.split_other} as {pair.filename_other} ({pair.source_other}); {end}"
        notices.append(Notice("leak", pair.file, pair.line, f"{pair.id} ({pair.source}) {also}."))
    return set(ours["filename"]) - dropped, notices


def _repeated(rows: pd.DataFrame, merge: bool) -> tuple[pd.DataFrame, list[Notice]]:
    """Gives the rows of AVE-14, those of one id under one name if they are merged, and a notice for each whose id was there before."""
    first = rows.groupby("youtube_id", sort=False)[["filename", "line", "category"]].transform("first").add_suffix("_first")
    again = rows[rows["youtube_id"].duplicated()].join(first)
    end = "the two are one video" if merge else "both stay"
    notices = [
        Notice("repeated_id", ave.FILES["rows"], row.line, f"{row.youtube_id} ({row.category}) is also in line {row.line_first} of this "
               f"split ({row.category_first}); {end}.")
        for row in again.itertuples()
    ]
    return (rows.assign(filename=first["filename_first"]) if merge else rows), notices
