"""A folder of lists and feature files as a `VideoSet`, and a `VideoSet` as such a folder."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from .._files import save_array, write_text
from ..config import MODALITIES
from ..errors import InputError
from ..metrics import events
from . import features, lists
from .annotations import LIST_NAMES, LLP_CATEGORIES, Annotations, find_layout, read_annotations, splits
from .features import FeatureIndex
from .naming import check_category_names, check_filenames, clean_name, id_candidates
from .rolls import number
from .source import DESCRIPTION, Description, Source, check_missing, describe, missing_notices
from .videoset import Notice, VideoSet


def load_folder(
    folder: str | Path, split: str | None, *, missing: str = "error", eval_audio: str | None = None,
    snippet_seconds: float | None = None, name: str | None = None,
) -> VideoSet:
    """Reads one split of a folder, LLP as published or the toolkit's own format, into memory.

    `split=None` reads unlabelled input: every id that has a file in a stream folder of each modality, or of one alone.
    `missing="skip"` leaves out videos without features, with an InputWarning that counts them; `missing="blank"` keeps those that
    have one modality, with zeros and `present` False for the other. `snippet_seconds` takes the place of what `dataset.json`
    says; `eval_audio` is as in `read_annotations`. Features keep float16, all else becomes float32. Videos of different lengths
    are padded with zeros to the longest. Whatever cannot be read is an InputError that names file and row.

    >>> import tempfile
    >>> from cmpae_toolkit import load
    >>> load_folder(write_folder(load("tiny", "test"), tempfile.mkdtemp()), "test").reference.shape
    (48, 2, 10, 25)
    """
    return open_source(folder, split, missing=missing, eval_audio=eval_audio, snippet_seconds=snippet_seconds).load(name)


def open_source(
    folder: str | Path, split: str | None, *, missing: str = "error", eval_audio: str | None = None, snippet_seconds: float | None = None
) -> Source:
    """Reads the lists of a split (None: unlabelled input) and finds its feature files, without opening any."""
    check_missing(missing)
    folder = Path(folder)
    layout = find_layout(folder, lists_needed=split is not None)
    annotations = None if split is None else read_annotations(folder, split, eval_audio=eval_audio)
    about = describe(folder, snippet_seconds)
    missing = about.missing if missing == "error" else missing
    streams = features.find_streams(folder, layout.kind, about.modalities or {})
    if annotations is None:
        filenames = sorted(set().union(*(features.files_in(path) for path in streams.folders.values())))
        wanted, missing = [((0,), (name,)) for name in filenames], "blank" if missing == "error" else missing
    else:
        filenames = annotations.filenames
        wanted = [((0,), id_candidates(name, layout.kind)) for name in filenames]
    index = features.index_features([streams], filenames, wanted, blank=missing == "blank")
    notices = missing_notices(index, annotations, missing)
    if annotations is not None:
        notices = (*annotations.notices, *notices, *_shared(index, annotations))
    if not index.ids:
        raise InputError(f"{folder}: no video has a feature file in each of feats/{', feats/'.join(streams.folders)}: add them.")
    published = layout.kind == "bare" and streams.folders.keys() == features.PUBLISHED_STREAMS.keys()
    bare = published and streams.folders["audio"].name == features.PUBLISHED_STREAMS["audio"]
    categories = layout.categories or (LLP_CATEGORIES if bare else ())
    variant = "-".join(filter(None, [eval_audio, "blank" if missing == "blank" and annotations is not None else None])) or None
    return Source(folder, about, split or "unlabelled", categories, annotations, index, notices, variant)


def write_folder(videos: VideoSet, folder: str | Path) -> Path:
    """Writes a VideoSet in the toolkit's own format; `load_folder` reads the same back. Returns the folder.

    Several splits may be written to one folder: the dense lists hold val and test together. A train split's reference is
    not written, as no list of the format holds it. A modality that a video lacks has no file (read it with `missing="blank"`).
    Names that lists cannot hold, and a folder with other categories or streams, are InputErrors, raised before anything is written.

    >>> import tempfile
    >>> from cmpae_toolkit import load
    >>> sorted(path.name for path in write_folder(load("tiny", "test"), tempfile.mkdtemp()).iterdir())
    ['annotations', 'categories.txt', 'dataset.json', 'feats']
    """
    folder = Path(folder)
    categories = "".join(f"{name}\n" for name in videos.categories)
    streams = {name: {"modality": modality} for name, modality in videos.modalities.items()}
    about = {"name": videos.name, "simulated": videos.simulated, "snippet_seconds": videos.snippet_seconds, "streams": streams}
    _check_writable(videos)
    _check_same_set(videos, folder, categories)
    if categories:  # unlabelled videos may have none
        write_text(folder / "categories.txt", categories)
    write_text(folder / DESCRIPTION, json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    lengths = np.full(len(videos), videos.snippets) if videos.lengths is None else videos.lengths
    for stream, x in videos.features.items():
        positions, modality = x.shape[1] // videos.snippets, MODALITIES.index(videos.modalities[stream])
        for i, (video, values) in enumerate(zip(videos.ids, x, strict=True)):
            if videos.present is None or videos.present[i, modality]:
                save_array(folder / "feats" / stream / f"{video}.npy", values[: lengths[i] * positions])
    if videos.weak_labels is not None:
        names = [",".join(np.array(videos.categories)[row > 0.5]) for row in np.asarray(videos.weak_labels)]
        _write_lists(videos, folder, list(zip(videos.filenames, names, strict=True)))
    return folder


def _write_lists(videos: VideoSet, folder: Path, weak: list[tuple[str, str]]) -> None:
    """Writes the dense lists first, so that a folder cut off here has no split without its events."""
    annotations, names, found, dense = folder / "annotations", LIST_NAMES["own"], lists.Findings(), {}
    if videos.reference is not None and videos.split != "train":
        other = annotations / names[{"val": "test", "test": "val"}[videos.split]]
        kept = set(lists.read_weak(other, videos.categories, found)["filename"]) if other.is_file() else set()
        for index, modality in enumerate(MODALITIES):
            path = annotations / names[modality]
            dense[path] = _events(videos, index)
            if path.is_file() and kept:
                old = lists.read_dense(path, videos.categories, kept | set(videos.filenames), found)
                old = old[old["filename"].isin(kept - set(videos.filenames))]
                dense[path] = [(e.filename, number(e.onset), number(e.offset), e.category) for e in old.itertuples()] + dense[path]
        found.check()
    for path, rows in dense.items():
        lists.write_rows(path, lists.DENSE_COLUMNS, rows)
    lists.write_rows(annotations / names[videos.split], lists.WEAK_COLUMNS, weak)


def _events(videos: VideoSet, modality: int) -> list[tuple[str, str, str, str]]:
    """Lists the events of a modality's rolls as rows of a dense list, in seconds."""
    seconds = videos.snippet_seconds
    return [
        (videos.filenames[video], number(onset * seconds), number(offset * seconds), videos.categories[category])
        for video, category, onset, offset in events(videos.reference[:, modality])
    ]


def _check_writable(videos: VideoSet) -> None:
    if not len(videos):
        raise InputError(f"{videos.title}: there is no video to write: choose some.")
    check_category_names(videos.categories)
    check_filenames((*videos.ids, *videos.filenames, *videos.features))
    pairs = list(zip(videos.filenames, videos.ids, strict=True))
    unfit = [f for f, i in pairs if i not in id_candidates(f, "own") or f != clean_name(f)]
    repeated = [name for name, count in Counter(videos.ids).items() if count > 1]
    if unfit or repeated or len(set(videos.filenames)) < len(videos):
        twice = f"{repeated[0]!r} occurs twice" if repeated else "a file name occurs twice"
        what = f"the id of {unfit[0]!r} cannot be told from its name" if unfit else twice
        raise InputError(f"{videos.title}: {what}: give every video its own id and the same file name.")
    if videos.weak_labels is not None and videos.split not in splits:
        raise InputError(f"{videos.title}: the split of labelled videos must be one of {', '.join(splits)}.")
    if videos.weak_labels is not None and not np.isin(videos.weak_labels, (0, 1)).all():
        raise InputError(f"{videos.title}: weak labels other than 0 and 1 cannot stand in a list: round them first.")


def _check_same_set(videos: VideoSet, folder: Path, categories: str) -> None:
    path = folder / "categories.txt"
    different = path.is_file() and path.read_text(encoding="utf-8") != categories
    if not different and (folder / DESCRIPTION).is_file():
        path = folder / DESCRIPTION
        ours = Description(videos.name, videos.simulated, videos.snippet_seconds, videos.modalities)
        different = describe(folder) != ours
    if different:
        raise InputError(f"{path}: the folder holds another data set: write to a new folder.")


def _shared(index: FeatureIndex, annotations: Annotations) -> list[Notice]:
    """Tells rows whose file names begin with one id, so that they read the same feature files."""
    rows = annotations.weak.iloc[list(index.rows)]
    shared = pd.Series(index.ids).duplicated(keep=False).to_numpy()
    text = "shares its feature files with another row."
    return [Notice("shared_features", row.file, row.line, f"{row.filename} {text}") for row in rows[shared].itertuples()]


