"""AVE as published: lists (`ave_lists`) and features in two large `.h5` files, read row by row.

`audio_feature.h5` (row, 10, 128) becomes the stream `audio`, `visual_feature.h5` (row, 10, 7, 7, 512) the stream `frames`, the 49
positions of a snippet taking the place of LLP's frames. 7.7 GB never enter memory: a split is packed into a float16 store
(`pack`), blocks of rows in the order of the file, and mapped from there. Weak training may add 178 videos that show background
only, from the `_noisy` files; they are train videos without any weak label.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from . import ave_lists, features, h5
from .annotations import Annotations, check_split
from .ave_lists import AVE_CATEGORIES, AVE_SNIPPETS, FILES, KEY, AveLists
from .features import FeatureIndex, Streams
from .folder import Source
from .lists import WeakRow
from .videoset import Notice, VideoSet

SHAPES = {"audio": (None, AVE_SNIPPETS, None), "frames": (None, AVE_SNIPPETS, None, None, None)}
MODALITIES = {"audio": "audio", "frames": "visual"}
BLOCK = 32  # rows read at once: 32 MB of the visual features in float32


@dataclass(frozen=True)
class RowIndex(FeatureIndex):
    """Rows of `.h5` files in the place of one file a video: `places[id]` is a number in `files[stream]` and the row."""

    files: Mapping[str, tuple[Path, ...]]
    places: Mapping[str, tuple[int, int]]
    row_bytes: Mapping[str, int]

    def path(self, stream: str, video: str) -> Path:
        return self.files[stream][self.places[video][0]]

    def stats(self) -> dict[str, list[tuple[str, int, int]]]:
        times = {path: path.stat().st_mtime_ns for paths in self.files.values() for path in paths}
        return {stream: [(v, self.row_bytes[stream], times[self.path(stream, v)]) for v in self.ids] for stream in self.files}


@dataclass(frozen=True)
class AveSource(Source):
    """One split of AVE before its features are read."""

    index: RowIndex
    blocks: dict[str, dict[int, np.ndarray]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def reading_order(self) -> list[int]:
        return sorted(range(len(self.index.ids)), key=lambda position: self.index.places[self.index.ids[position]])

    def listed(self, position: int) -> str:
        video = self.index.ids[position]
        file, row = self.index.places[video]
        return f"row {row}, background" if file else f"row {row}, {super().listed(position)}"

    def shapes(self) -> tuple[int, dict[str, np.ndarray]]:
        return AVE_SNIPPETS, {stream: self._values(0, stream) for stream in self.index.files}

    def read(self, position: int, stream: str, shape: tuple[int, ...]) -> np.ndarray:
        array, path = self._values(position, stream), self.index.path(stream, self.index.ids[position])
        features.check_like(array, shape, path, self.listed(position), self.index.files[stream][0])
        return array

    def _values(self, position: int, stream: str) -> np.ndarray:
        """(positions, width) of one video; the rows behind it in the file are read with it and kept until they are asked for."""
        block = self.blocks.get(stream, {})
        if position not in block:
            block = self.blocks[stream] = self._read_block(position, stream)
        array = block[position]
        if not np.isfinite(array).all():
            path = self.index.path(stream, self.index.ids[position])
            raise InputError(f"{path} ({self.listed(position)}) holds NaN or infinite values: {h5.ADVICE}.")
        return array.reshape(-1, array.shape[-1])

    def _read_block(self, position: int, stream: str) -> dict[int, np.ndarray]:
        order, places = self.reading_order, self.index.places
        start, path = order.index(position), self.index.path(stream, self.index.ids[position])
        block = [p for p in order[start : start + BLOCK] if self.index.path(stream, self.index.ids[p]) == path]
        rows = [places[self.index.ids[p]][1] for p in block]
        return dict(zip(block, h5.read_rows(path, KEY, SHAPES[stream], rows), strict=True))


def load_ave(folder: str | Path, split: str, *, background: bool = False, name: str | None = None) -> VideoSet:
    """Read one split of AVE into memory; `data.load` packs it first where it is large.

    Streams `audio` (video, 10, width) and `frames` (video, 10 x positions, width); 28 categories; `weak_labels` one-hot;
    `reference` the event's span on both modalities (val and test; `ave_truth` gives train's). `background` adds the videos
    of the `_noisy` files to train, with all weak labels 0, and leaves val and test as they are.
    """
    return open_ave(folder, split, background=background).load(name)


def open_ave(folder: str | Path, split: str, *, background: bool = False) -> AveSource:
    """Read the lists of a split and the headers of the feature files."""
    check_split(split)
    folder = Path(folder)
    found = ave_lists.read_lists(folder)
    annotations = ave_lists.annotations_of(found, split)
    places = {video.filename: (0, int(row)) for video, row in zip(annotations.videos, found.splits[split], strict=True)}
    files = {stream: (_file(found, stream),) for stream in SHAPES}
    sizes = {stream: _header(files[stream][0], stream, len(found.videos)) for stream in SHAPES}
    if background and split == "train":
        annotations, more = _with_background(found, annotations, sizes)
        files = {stream: (*files[stream], _file(found, f"background_{stream}")) for stream in SHAPES}
        places |= {f"background_{row:04d}": (1, row) for row in range(more)}
    ids = annotations.filenames
    folders = Streams({stream: paths[0] for stream, paths in files.items()}, MODALITIES)
    row_bytes = {stream: int(np.prod(shape[1:])) * bytes_ for stream, (shape, bytes_) in sizes.items()}
    index = RowIndex(folders, ids, tuple(range(len(ids))), {}, files, places, row_bytes)
    variant = "background" if background and split == "train" else None
    return AveSource(folder, split, AVE_CATEGORIES, annotations, index, annotations.notices, variant)


def _file(found: AveLists, role: str) -> Path:
    if role not in found.files:
        places = f"{found.folder}, its data/ or annotations/"
        raise InputError(f"{found.folder}: no {FILES[role]}: put it into {places}; `cmpae download ave` says where it is.")
    return found.files[role]


def _header(path: Path, stream: str, rows: int | None) -> tuple[tuple[int, ...], int]:
    return h5.dataset_shape(path, KEY, (rows, *SHAPES[stream][1:]))


def _with_background(
    found: AveLists, annotations: Annotations, sizes: Mapping[str, tuple[tuple[int, ...], int]]
) -> tuple[Annotations, int]:
    """The train lists with the background videos behind them, and their number."""
    shapes = {stream: _header(_file(found, f"background_{stream}"), stream, None)[0] for stream in SHAPES}
    for stream, shape in shapes.items():
        if shape[1:] != sizes[stream][0][1:] or shape[0] != shapes["audio"][0]:
            path = found.files[f"background_{stream}"]
            raise InputError(f"{path}: {KEY!r} has shape {shape}, which does not fit the other files: {h5.ADVICE}.")
    count = shapes["audio"][0]
    files = dict(annotations.files)
    if "background_labels" in found.files:
        files["background_labels"] = path = found.files["background_labels"]
        _check_background(path, count)
    rows = tuple(WeakRow(f"background_{row:04d}", (), row) for row in range(count))
    notice = Notice("background", FILES["background_audio"], None, f"{count} videos without any event were added to train.")
    added = replace(annotations, videos=(*annotations.videos, *rows), files=files, notices=(*annotations.notices, notice))
    return added, count


def _check_background(path: Path, count: int) -> None:
    """Labels of the background videos must be background: (video, 29) or (video, snippet, 29), the last category only."""
    for shape in ((count, len(AVE_CATEGORIES) + 1), (count, AVE_SNIPPETS, len(AVE_CATEGORIES) + 1)):
        try:
            labels = h5.read_dataset(path, KEY, shape)
        except InputError as error:
            problem = error
            continue
        if labels[..., :-1].any() or not labels[..., -1].all():
            raise InputError(f"{path}: some of the {count} videos are not labelled as background: {h5.ADVICE}.")
        return
    raise problem
