"""A folder of lists and feature files as a `VideoSet`, and a `VideoSet` as such a folder."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from .._files import save_array, write_text
from ..config import MODALITIES
from ..errors import InputError, InputWarning
from . import features, lists
from .annotations import LIST_NAMES, LLP_CATEGORIES, Annotations, find_layout, read_annotations, splits
from .features import FeatureIndex
from .videoset import Notice, VideoSet


@dataclass(frozen=True)
class Source:
    """One split of a folder before its features are read: the lists, and where each video's files are."""

    folder: Path
    split: str
    categories: tuple[str, ...]
    annotations: Annotations | None
    index: FeatureIndex
    notices: tuple[Notice, ...]
    variant: str | None = None  # of the reader's options: stores of two variants lie beside each other

    @property
    def reading_order(self) -> Sequence[int]:
        """Positions in the order in which their features are read best."""
        return range(len(self.index.ids))

    @property
    def filenames(self) -> tuple[str, ...]:
        names = self.annotations.filenames if self.annotations else self.index.ids
        return tuple(names[row] for row in self.index.rows)

    def listed(self, position: int) -> str:
        """How messages name a video: by its file name and the line where it is listed."""
        if self.annotations is None:
            return f"video {self.index.ids[position]}"
        video = self.annotations.videos[self.index.rows[position]]
        return f"{video.filename}, line {video.line} of {self.annotations.files[self.split].name}"

    def shapes(self) -> tuple[int, dict[str, np.ndarray]]:
        """Snippets a video, and the first video's array of each stream."""
        return features.check_shapes(self.index, self.listed(0))

    def read(self, position: int, stream: str, shape: tuple[int, ...]) -> np.ndarray:
        """One video's array of one stream, which must have this shape (positions, width)."""
        path, video = self.index.path(stream, self.index.ids[position]), self.listed(position)
        array = features.read_array(path, video)
        features.check_like(array, shape, path, video, self.index.path(stream, self.index.ids[0]))
        return array

    def load(self, name: str | None = None) -> VideoSet:
        """Read every file into one array per stream, allocated once."""
        snippets, first = self.shapes()
        arrays = {stream: np.empty((len(self.index.ids), *x.shape), x.dtype) for stream, x in first.items()}
        for position in tqdm(self.reading_order, desc=f"read {self.split}", unit="video", delay=3, leave=False):
            for stream, x in first.items():
                values = self.read(position, stream, x.shape)
                if values.dtype.itemsize > arrays[stream].dtype.itemsize:  # float32 files among float16 ones
                    arrays[stream] = arrays[stream].astype(values.dtype)
                arrays[stream][position] = values
        return self.assemble(arrays, snippets, name)

    def assemble(self, arrays: dict[str, np.ndarray], snippets: int, name: str | None = None) -> VideoSet:
        """The VideoSet of these features, with labels and rolls of the videos that have features."""
        about = _about(self.folder)
        weak = reference = None
        notices = self.notices
        if self.annotations is not None:
            rows = list(self.index.rows)
            weak = self.annotations.weak_labels[rows]
            reference, clipped = self.annotations.reference(snippets)
            reference = None if reference is None else reference[rows]
            notices += tuple(clipped)
        return VideoSet(
            name or about["name"], self.split, self.categories, self.index.ids, arrays, dict(self.index.streams.modalities),
            weak, reference, self.filenames, about["simulated"], notices,
        )


def load_folder(
    folder: str | Path, split: str | None, *, missing: str = "error", eval_audio: str | None = None, name: str | None = None
) -> VideoSet:
    """Read one split of a folder, LLP as published or the toolkit's own format, into memory.

    `split=None` reads unlabelled input: every id that has a file in each stream folder. `missing="skip"` leaves out videos
    without features, with an InputWarning that counts them; `eval_audio` is as in `read_annotations`.
    Features keep float16, all else becomes float32. Whatever cannot be read is an InputError that names file and row.
    """
    return open_source(folder, split, missing=missing, eval_audio=eval_audio).load(name)


def open_source(folder: str | Path, split: str | None, *, missing: str = "error", eval_audio: str | None = None) -> Source:
    """Read the lists of a split (None: unlabelled input) and find its feature files, without opening any."""
    if missing not in ("error", "skip"):
        raise InputError(f"missing is {missing!r}: use 'error' or 'skip'.")
    folder = Path(folder)
    layout = find_layout(folder, lists_needed=split is not None)
    annotations = None if split is None else read_annotations(folder, split, eval_audio=eval_audio)
    streams = features.find_streams(folder, layout.kind)
    if annotations is None:
        index = features.index_unlisted(streams)
        notices = _incomplete(index)
    else:
        index = features.index_features(streams, annotations.filenames, layout.kind)
        notices = annotations.notices + _missing(index, annotations, missing) + _shared(index, annotations)
    if not index.ids:
        raise InputError(f"{folder}: no video has a feature file in each of feats/{', feats/'.join(streams.folders)}: add them.")
    published = layout.kind == "bare" and streams.folders.keys() == features.PUBLISHED_STREAMS.keys()
    bare = published and streams.folders["audio"].name == features.PUBLISHED_STREAMS["audio"]
    categories = layout.categories or (LLP_CATEGORIES if bare else ())
    return Source(folder, split or "unlabelled", categories, annotations, index, notices, eval_audio)


def _missing(index: FeatureIndex, annotations: Annotations, missing: str) -> tuple[Notice, ...]:
    if not index.missing:
        return ()
    filename, looked_for = next(iter(index.missing.items()))
    file = annotations.files[annotations.split].name
    line = next(video.line for video in annotations.videos if video.filename == filename)
    count = f"{len(index.missing)} of {len(annotations.videos)} videos have no features, the first {filename} ({looked_for})"
    if missing == "error":
        raise InputError(f"{file}, line {line}: {count}: add the files, or leave these videos out with missing='skip'.")
    notice = Notice("missing_features", file, line, f"{count}; they are left out.")
    warnings.warn(str(notice), InputWarning, stacklevel=4)
    return (notice,)


def _incomplete(index: FeatureIndex) -> tuple[Notice, ...]:
    if not index.missing:
        return ()
    first = next(iter(index.missing.values()))
    text = f"{len(index.missing)} ids are not in every stream and are left out, the first lacks {first}."
    return (Notice("missing_features", "feats", None, text),)


def _shared(index: FeatureIndex, annotations: Annotations) -> tuple[Notice, ...]:
    """Rows whose file names begin with one id, so that they read the same feature files."""
    counts = Counter(index.ids)
    rows = [annotations.videos[row] for row, video in zip(index.rows, index.ids, strict=True) if counts[video] > 1]
    file = annotations.files[annotations.split].name
    text = "shares its feature files with another row."
    return tuple(Notice("shared_features", file, row.line, f"{row.filename} {text}") for row in rows)


def _about(folder: Path) -> dict:
    """Name and origin of a data set: what `write_folder` noted, else the folder's name."""
    path, about = folder / "about.json", {}
    if path.is_file():
        try:
            about = dict(json.loads(path.read_bytes()))
        except (ValueError, TypeError, RecursionError):
            raise InputError(f'{path}: not a JSON object: write {{"name": "...", "simulated": false}} or remove it.') from None
    name = "".join(c for c in str(about.get("name") or "") if c.isprintable())  # it is shown in terminals and titles
    return {"name": name or folder.resolve().name, "simulated": bool(about.get("simulated", False))}


def write_folder(videos: VideoSet, folder: str | Path) -> Path:
    """Write a VideoSet in the toolkit's own format; `load_folder` reads the same back. Returns the folder.

    Several splits may be written to one folder: the dense lists hold val and test together. A train split's reference is
    not written, as no list of the format holds it. Names that lists cannot hold, and a folder with other categories or
    streams, are InputErrors, raised before anything is written.
    """
    folder = Path(folder)
    about = {"name": videos.name, "simulated": videos.simulated}
    fixed = {
        "categories.txt": "".join(f"{name}\n" for name in videos.categories),
        "streams.json": json.dumps(videos.modalities, indent=1) + "\n",
        "about.json": json.dumps(about, indent=1) + "\n",
    }
    _check_writable(videos, folder, fixed)
    for name, text in fixed.items():
        if text:  # unlabelled videos may have no categories
            write_text(folder / name, text)
    for stream, x in videos.features.items():
        for video, values in zip(videos.ids, x, strict=True):
            save_array(folder / "feats" / stream / f"{video}.npy", values)
    if videos.weak_labels is not None:
        names = [",".join(np.array(videos.categories)[row > 0.5]) for row in np.asarray(videos.weak_labels)]
        _write_lists(videos, folder, [(f, n) for f, n in zip(videos.filenames, names, strict=True)])
    return folder


def _write_lists(videos: VideoSet, folder: Path, weak: list[tuple[str, str]]) -> None:
    """Dense lists first, so that a folder cut off here has no split without its events."""
    annotations, names = folder / "annotations", LIST_NAMES["own"]
    if videos.reference is not None and videos.split != "train":
        other = {"val": "test", "test": "val"}[videos.split]
        kept = set()
        if (annotations / names[other]).is_file():
            rows, _ = lists.read_weak(annotations / names[other], videos.categories)
            kept = {row.filename for row in rows} - set(videos.filenames)
        for index, modality in enumerate(MODALITIES):
            path = annotations / names[modality]
            old = lists.read_dense(path, videos.categories, kept)[0] if path.is_file() else []
            rows = [(span.filename, span.onset, span.offset, span.category) for span in old]
            lists.write_rows(path, lists.DENSE_COLUMNS, rows + _events(videos, index))
    lists.write_rows(annotations / names[videos.split], lists.WEAK_COLUMNS, weak)


def _events(videos: VideoSet, modality: int) -> list[tuple[str, int, int, str]]:
    """Runs of a modality's rolls as rows of a dense list."""
    rolls = videos.reference[:, modality].transpose(0, 2, 1).astype(np.int8)  # video category snippet
    edges = np.diff(np.pad(rolls, ((0, 0), (0, 0), (1, 1))), axis=2)
    starts, ends = np.argwhere(edges == 1), np.argwhere(edges == -1)
    return [
        (videos.filenames[video], int(onset), int(end[2]), videos.categories[category])
        for (video, category, onset), end in zip(starts, ends, strict=True)
    ]


def _check_writable(videos: VideoSet, folder: Path, fixed: dict[str, str]) -> None:
    if not len(videos):
        raise InputError(f"{videos.title}: there is no video to write: choose some.")
    lists.check_category_names(videos.categories)
    lists.check_filenames((*videos.ids, *videos.filenames, *videos.features))
    unfit = [f for f, i in zip(videos.filenames, videos.ids, strict=True) if i not in features.id_candidates(f, "own")]
    repeated = [name for name, count in Counter(videos.ids).items() if count > 1]
    if unfit or repeated or len(set(videos.filenames)) < len(videos):
        twice = f"{repeated[0]!r} occurs twice" if repeated else "a file name occurs twice"
        what = f"the id of {unfit[0]!r} cannot be told from its name" if unfit else twice
        raise InputError(f"{videos.title}: {what}: give every video its own id and the same file name.")
    if videos.weak_labels is not None and videos.split not in splits:
        raise InputError(f"{videos.title}: the split of labelled videos must be one of {', '.join(splits)}.")
    if videos.weak_labels is not None and not np.isin(videos.weak_labels, (0, 1)).all():
        raise InputError(f"{videos.title}: weak labels other than 0 and 1 cannot stand in a list: round them first.")
    for name, text in fixed.items():
        if (folder / name).is_file() and (folder / name).read_text(encoding="utf-8") != text:
            raise InputError(f"{folder / name}: the folder holds another data set: write to a new folder.")
