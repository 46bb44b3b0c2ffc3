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
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..config import MODALITIES
from ..errors import InputError, InputWarning
from . import ave_lists, features, lists
from .annotations import LLP_CATEGORIES, Annotations, check_split, find_layout, read_annotations, splits
from .ave_lists import AveLists
from .features import ID_LENGTH, TIME_SUFFIX, FeatureIndex, Streams
from .folder import Source
from .lists import WeakRow
from .videoset import Notice, VideoSet

AVE_14 = (
    "Church_bell", "Fixed-wing_aircraft_airplane", "Flute", "Ukulele", "Truck", "Shofar", "Train_horn", "Clock", "Goat", "Bus",
    "Horse", "Toilet_flush", "Rodents_rats_mice", "Mandolin",
)  # "Race car" is taken for LLP's Car
AVEP_CATEGORIES = (*LLP_CATEGORIES, *AVE_14)
CHOICES = {"leaks": ("keep", "drop"), "repeated": ("keep", "merge")}


@dataclass(frozen=True)
class AvepAnnotations(Annotations):
    """The lists of both: videos from `first_ave` on are AVE's, their lines those of `Annotations.txt`."""

    first_ave: int = 0

    def listed(self, row: int) -> tuple[str, int]:
        """File and line of a video."""
        return self.files[self.split if row < self.first_ave else "ave"].name, self.videos[row].line


@dataclass(frozen=True)
class PathIndex(FeatureIndex):
    """A file for each video and stream, in whichever folder it was found."""

    paths: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)

    def path(self, stream: str, video: str) -> Path:
        return self.paths[stream][video]

    def stats(self) -> dict[str, list[tuple[str, int, int]]]:
        result = {}
        for stream, paths in self.paths.items():
            result[stream] = [(v, (stat := os.stat(paths[v])).st_size, stat.st_mtime_ns) for v in self.ids]
        return result


@dataclass(frozen=True)
class AvepSource(Source):
    """One split of AVEP before its features are read."""

    annotations: AvepAnnotations

    def listed(self, position: int) -> str:
        row = self.index.rows[position]
        file, line = self.annotations.listed(row)
        return f"{self.annotations.videos[row].filename}, line {line} of {file}"

    def assemble(self, arrays: dict[str, np.ndarray], snippets: int, name: str | None = None) -> VideoSet:
        return super().assemble(arrays, snippets, name or "avep")


def read_avep(
    llp: str | Path, ave: str | Path, split: str, *, eval_audio: str | None = None, leaks: str = "keep", repeated: str = "keep"
) -> AvepAnnotations:
    """One split's lists of the union of an LLP and an AVE folder; needs no features.

    `eval_audio` is as in `read_annotations`, `leaks` and `repeated` as above. Leaks and repeated ids are notices either way.
    """
    for name, value in (("leaks", leaks), ("repeated", repeated)):
        if value not in CHOICES[name]:
            raise InputError(f"{name} is {value!r}: use {' or '.join(map(repr, CHOICES[name]))}.")
    check_split(split)
    theirs, found = read_annotations(llp, split, eval_audio=eval_audio), ave_lists.read_lists(ave)
    if theirs.categories != LLP_CATEGORIES:
        raise InputError(f"{llp}: AVEP needs LLP as published, with its 25 categories: give the folder that holds AVVP_*.csv.")
    ave_lists.annotations_of(found, split)  # refuses a folder without this split
    rows = [row for row in found.splits[split].tolist() if found.videos[row].categories[0] in AVE_14]
    dropped, notices = _leaks(llp, theirs, found, split, drop=leaks == "drop")
    own = [video for video in theirs.videos if video.filename not in dropped]
    kept = [row for row in rows if found.videos[row].filename not in dropped]
    names, more = _repeated(found, kept, merge=repeated == "merge")
    return AvepAnnotations(
        split, AVEP_CATEGORIES, (*own, *_merged(found, kept, names)), _spans(theirs, found, own, kept, names),
        {**theirs.files, "ave": found.files["rows"], "order": found.files[split]}, theirs.eval_audio,
        (*theirs.notices, *found.notices, *ave_lists._empty(found, split, kept), *notices, *more), len(own),
    )


def load_avep(
    llp: str | Path, ave: str | Path, split: str, *, missing: str = "error", eval_audio: str | None = None,
    leaks: str = "keep", repeated: str = "keep", name: str | None = None,
) -> VideoSet:
    """Read one split of AVEP into memory; options as in `load_folder` and `read_avep`. `data.load` packs what is large."""
    return open_avep(llp, ave, split, missing=missing, eval_audio=eval_audio, leaks=leaks, repeated=repeated).load(name)


def open_avep(
    llp: str | Path, ave: str | Path, split: str, *, missing: str = "error", eval_audio: str | None = None,
    leaks: str = "keep", repeated: str = "keep",
) -> AvepSource:
    """Read the lists of a split and find its feature files, without opening any."""
    if missing not in ("error", "skip"):
        raise InputError(f"missing is {missing!r}: use 'error' or 'skip'.")
    annotations = read_avep(llp, ave, split, eval_audio=eval_audio, leaks=leaks, repeated=repeated)
    index = _index(Path(llp), Path(ave), annotations)
    notices = annotations.notices + _missing(index, annotations, missing)
    if not index.ids:
        streams = ", feats/".join(index.streams.folders)
        raise InputError(f"{llp}, {ave}: no video has a feature file in each of feats/{streams}: add them.")
    choices = [choice for choice in (eval_audio, leaks, repeated) if choice not in (None, "keep")]
    digest = hashlib.sha256(str(Path(llp).resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    variant = "-".join(["avep", digest, *choices])
    return AvepSource(Path(ave), split, AVEP_CATEGORIES, annotations, index, notices, variant)


def youtube_id(filename: str) -> str:
    """The YouTube id in a listed name: what stands before the times, at most 11 characters."""
    return TIME_SUFFIX.sub("", filename)[:ID_LENGTH]


def _leaks(llp: str | Path, theirs: Annotations, found: AveLists, split: str, drop: bool) -> tuple[set[str], list[Notice]]:
    """Names of this split to leave out, and a notice for each video whose id is in another split of the union, too."""
    names = {other: _names(llp, found, other) for other in splits if other in found.splits}
    line = {video.filename: (theirs.files[split].name, video.line) for video in theirs.videos}
    line |= {found.videos[row].filename: (found.files["rows"].name, found.videos[row].line) for row in found.splits[split]}
    dropped, notices = set(), []
    for other in (other for other in names if other != split):
        where = {youtube_id(name): (name, source) for source, listed in names[other].items() for name in listed}
        for source, listed in names[split].items():
            for name in (name for name in listed if youtube_id(name) in where):
                there, from_ = where[youtube_id(name)]
                earlier = splits.index(split) < splits.index(other)
                dropped |= {name} if drop and earlier else set()
                end = f"it is left out {'here' if earlier else 'there'}" if drop else "both stay"
                text = f"{youtube_id(name)} ({source}) is also in the split {other} as {there} ({from_}); {end}."
                notices.append(Notice("leak", line[name][0], line[name][1], text))
    return dropped, notices


def _names(llp: str | Path, found: AveLists, split: str) -> dict[str, list[str]]:
    """What a split of the union lists, by source."""
    layout = find_layout(llp)
    own = lists.read_weak(layout.lists[split], layout.categories)[0] if split in layout.lists else []
    rows = (found.videos[row] for row in found.splits[split])
    return {"LLP": [video.filename for video in own], "AVE-14": [v.filename for v in rows if v.categories[0] in AVE_14]}


def _repeated(found: AveLists, rows: Sequence[int], merge: bool) -> tuple[dict[int, str], list[Notice]]:
    """The name under which each row of AVE-14 is listed, and a notice for each row whose id stands in an earlier one."""
    first: dict[str, int] = {}
    names, notices = {}, []
    for row in rows:
        earlier = first.setdefault(found.youtube_ids[row], row)
        names[row] = found.videos[earlier if merge else row].filename
        if earlier != row:
            ours, theirs = found.videos[row], found.videos[earlier]
            end = "the two are one video" if merge else "both stay"
            also = f"is also in line {theirs.line} of this split ({theirs.categories[0]}); {end}"
            text = f"{found.youtube_ids[row]} ({ours.categories[0]}) {also}."
            notices.append(Notice("repeated_id", found.files["rows"].name, ours.line, text))
    return names, notices


def _merged(found: AveLists, rows: Sequence[int], names: Mapping[int, str]) -> list[WeakRow]:
    videos: dict[str, WeakRow] = {}
    for row in rows:
        video = replace(found.videos[row], filename=names[row])
        earlier = videos.get(names[row])
        if earlier:
            video = replace(earlier, categories=tuple(dict.fromkeys((*earlier.categories, *video.categories))))
        videos[names[row]] = video
    return list(videos.values())


def _spans(
    theirs: Annotations, found: AveLists, own: Sequence[WeakRow], rows: Sequence[int], names: Mapping[int, str]
) -> dict[str, tuple[lists.Span, ...]] | None:
    if theirs.spans is None:
        return None
    kept = {video.filename for video in own}
    events = [replace(found.spans[row], filename=names[row]) for row in rows if found.spans[row] is not None]
    return {m: (*(span for span in theirs.spans[m] if span.filename in kept), *events) for m in MODALITIES}


def _index(llp: Path, ave: Path, annotations: AvepAnnotations) -> PathIndex:
    """Each video's files: LLP's videos are looked for in LLP's folder first, AVE's in AVE's."""
    roots = [features.find_streams(folder, "llp") if (folder / "feats").is_dir() else None for folder in (llp, ave)]
    if not any(roots):
        features.find_streams(llp, "llp")  # says what was looked for
    streams: Streams = roots[0] or roots[1]
    present = [{n: features._ids_in(f) for n, f in r.folders.items()} if r else {} for r in roots]
    ids, rows, missing = [], [], {}
    paths: dict[str, dict[str, Path]] = {stream: {} for stream in streams.folders}
    for row, filename in enumerate(annotations.filenames):
        own = row < annotations.first_ave
        candidates = features.id_candidates(filename, "llp") if own else (filename, filename[:ID_LENGTH])
        found = _find(candidates, (0, 1) if own else (1, 0), streams, roots, present)
        if isinstance(found, str):
            missing[filename] = found
            continue
        name = next(iter(found.values())).stem if own else filename
        for stream, path in found.items():
            paths[stream][name] = path
        ids.append(name)
        rows.append(row)
    return PathIndex(streams, tuple(ids), tuple(rows), missing, paths)


def _find(
    candidates: Sequence[str], order: Sequence[int], streams: Streams, roots: Sequence[Streams | None],
    present: Sequence[Mapping[str, set[str]]],
) -> dict[str, Path] | str:
    """The files of all streams in the first folder that holds them, else one that was looked for."""
    for i in order:
        for name in candidates:
            if all(name in present[i].get(stream, ()) for stream in streams.folders):
                return {stream: roots[i].folders[stream] / f"{name}.npy" for stream in streams.folders}
    root = next(roots[i] for i in order if roots[i])
    lacking = next((s for s in streams.folders if not any(n in p.get(s, ()) for n in candidates for p in present)), None)
    folder = root.folders[lacking] if lacking in root.folders else next(iter(root.folders.values()))
    return f"{folder}{os.sep}{' or '.join(f'{name}.npy' for name in dict.fromkeys(candidates))}"


def _missing(index: PathIndex, annotations: AvepAnnotations, missing: str) -> tuple[Notice, ...]:
    if not index.missing:
        return ()
    filename, looked_for = next(iter(index.missing.items()))
    file, line = annotations.listed(annotations.filenames.index(filename))
    ave = sum(name in index.missing for name in annotations.filenames[annotations.first_ave :])
    count = f"{len(index.missing)} of {len(annotations.videos)} videos have no features ({ave} of AVE)"
    count += f", the first {filename} ({looked_for})"
    if missing == "error":
        raise InputError(f"{file}, line {line}: {count}: add the files, or leave these videos out with missing='skip'.")
    notice = Notice("missing_features", file, line, f"{count}; they are left out.")
    warnings.warn(str(notice), InputWarning, stacklevel=4)
    return (notice,)
