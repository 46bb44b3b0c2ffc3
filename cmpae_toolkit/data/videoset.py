"""`VideoSet`: one split of one data set, whatever it was read from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .._fields import Positive, fits, wanted
from ..config import MODALITIES, DataSpec, StreamSpec
from ..errors import InputError
from .features import KNOWN_STREAMS
from .scan import scan


@dataclass(frozen=True)
class Notice:
    """Tells something odd in a file that was skipped or repaired, with the file and the line where it stands."""

    kind: str
    file: str
    line: int | None
    text: str

    def __str__(self) -> str:
        return f"{self.file}{'' if self.line is None else f', line {self.line}'}: {self.text}"


@dataclass(frozen=True)
class VideoSet:
    """Holds videos of one split: features, weak labels and, for val and test, the reference event rolls.

    Shapes: `features[stream]` (video, snippet x positions per snippet, width), float16 or float32, possibly memory-mapped;
    `weak_labels` (video, category) of 0 and 1, float32, or None; `reference` (video, modality, snippet, category), bool, or None.
    `ids` name the feature files, `filenames` the rows of the published lists. `modalities` says which modality a stream is of.
    `snippet_seconds` is how long a snippet lasts. `lengths` (video,) counts each video's snippets where they differ; features,
    reference and rolls are padded with zeros to the longest. `present` (video, modality) says which modalities a video has at all.

    >>> from cmpae_toolkit import load
    >>> videos = load("tiny", "test")
    >>> videos.subset([0, 2]).reference.shape, videos.simulated
    ((2, 2, 10, 25), True)
    """

    name: str
    split: str
    categories: tuple[str, ...]
    ids: tuple[str, ...]
    features: dict[str, np.ndarray]
    modalities: dict[str, str]
    weak_labels: np.ndarray | None = None
    reference: np.ndarray | None = None
    filenames: tuple[str, ...] = ()
    simulated: bool = False
    notices: tuple[Notice, ...] = field(default=(), repr=False)
    snippet_seconds: float = 1.0
    lengths: np.ndarray | None = None
    present: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not self.filenames:
            object.__setattr__(self, "filenames", self.ids)
        count = len(self.ids)
        labels = {"weak_labels": self.weak_labels, "reference": self.reference, "lengths": self.lengths, "present": self.present}
        for what, array in {**self.features, **labels}.items():
            if array is not None and len(array) != count:
                raise InputError(f"{self.name} {self.split}: {what} holds {len(array)} videos, the list {count}.")
        missing = [m for m in MODALITIES if m not in self.modalities.values()]
        if missing:
            raise InputError(f"{self.name} {self.split}: no feature stream of the {missing[0]} modality; the method needs both.")

    @classmethod
    def from_arrays(
        cls, *, weak_labels: Any = None, reference: Any = None, categories: Sequence[str] | None = None, ids: Sequence[str] | None = None,
        name: str = "arrays", split: str = "train", modalities: Mapping[str, str] | None = None, simulated: bool = False,
        snippet_seconds: float = 1.0, lengths: Any = None, present: Any = None, **streams: Any,
    ) -> VideoSet:
        """Makes a set of arrays or tensors in memory: each stream a keyword, (video, snippet x positions, width).

        `audio` is of the audio modality, `frames` and `clip` are visual; `modalities` says it of streams with other names. `weak_labels`
        (video, category) to train on, `reference` (video, modality, snippet, category) to choose the epoch by and to score; both hold
        0 and 1. Raises InputError, naming the array, where shapes do not fit together or values are none that the toolkit takes.

        >>> rng = np.random.default_rng(0)
        >>> audio, frames = rng.normal(size=(6, 10, 16)), rng.normal(size=(6, 80, 32))  # ten snippets, eight frames in each
        >>> videos = VideoSet.from_arrays(audio=audio, frames=frames, weak_labels=rng.integers(0, 2, (6, 3)))
        >>> len(videos), videos.categories, str(videos.spec.streams["frames"])
        (6, ('category_0', 'category_1', 'category_2'), '32 visual features at 8 positions a snippet')
        """
        known = KNOWN_STREAMS | dict(modalities or {})
        unknown = [stream for stream in streams if known.get(stream) not in MODALITIES]
        if unknown:
            raise InputError(f'is the stream {unknown[0]!r} audio or visual? Give modalities={{"{unknown[0]}": "audio"}}, or "visual".')
        features = {stream: _features(stream, x) for stream, x in streams.items()}
        arrays = {
            "weak_labels": _zeros_and_ones("weak_labels", weak_labels, 2, np.float32),
            "reference": _zeros_and_ones("reference", reference, 4, bool), "present": _zeros_and_ones("present", present, 2, bool),
            "lengths": None if lengths is None else np.asarray(lengths),
        }
        counts = [x.shape[-1] for what, x in arrays.items() if what in ("weak_labels", "reference") and x is not None]
        given = [f"category_{i}" for i in range(counts[0] if counts else 0)] if categories is None else list(categories)
        if not all(isinstance(c, str) for c in given) or len(set(given)) != len(given):
            raise InputError(f"{name} {split}: categories are texts of which no two are equal, not {given}.")
        snippet_seconds = snippet_seconds.item() if isinstance(snippet_seconds, np.generic) else snippet_seconds
        if not fits(snippet_seconds, Positive):
            raise InputError(f"{name} {split}: snippet_seconds is {snippet_seconds!r}: use {wanted(Positive)}.")
        if any(count != len(given) for count in counts) or not given:
            raise InputError(f"{name} {split}: {len(given)} categories, but labels for {counts}: give `categories` that fit the labels.")
        names = [f"{split}_{i:05d}" for i in range(len(next(iter(features.values()), ())))] if ids is None else ids
        made = cls(
            name, split, tuple(given), tuple(names), features, {s: known[s] for s in features}, **arrays, simulated=simulated,
            snippet_seconds=snippet_seconds,
        )
        odd = [stream for stream, x in features.items() if x.shape[1] % made.snippets]
        if odd:
            raise InputError(f"{name} {split}: stream {odd[0]!r} has {features[odd[0]].shape[1]} positions for {made.snippets} snippets.")
        if arrays["reference"] is not None and arrays["reference"].shape[1:3] != (len(MODALITIES), made.snippets):
            shape = (len(made), len(MODALITIES), made.snippets, len(given))
            raise InputError(f"{name} {split}: the reference has shape {arrays['reference'].shape}, the features need {shape}.")
        lengths, present = arrays["lengths"], arrays["present"]
        if lengths is not None and not (lengths.shape == (len(made),) and np.isin(lengths, np.arange(1, made.snippets + 1)).all()):
            raise InputError(f"{name} {split}: lengths are whole numbers, one for each of {len(made)} videos, from 1 to {made.snippets}.")
        if present is not None and present.shape != (len(made), len(MODALITIES)):
            raise InputError(f"{name} {split}: present has shape {present.shape}, the videos need {(len(made), len(MODALITIES))}.")
        return replace(made, lengths=None if lengths is None else lengths.astype(int)).check_finite()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def title(self) -> str:
        """Names the data as plots and tables do; simulated data always says so, films that they are synthetic."""
        told = not self.simulated or "simulated" in self.name or "synthetic" in self.name
        return f"{'' if told else 'simulated '}{self.name} ({self.split})"

    @property
    def yardstick(self) -> np.ndarray | None:
        """What a prediction is held against: the reference, else the weak labels as (video, category), bool; None without both."""
        if self.reference is not None or self.weak_labels is None:
            return self.reference
        return np.asarray(self.weak_labels) > 0.5

    @property
    def snippets(self) -> int:
        return min(x.shape[1] for x in self.features.values())

    @cached_property  # every batch asks for its rows
    def valid(self) -> np.ndarray | None:
        """Tells which snippets exist (video, modality, snippet), bool; None where every video has all of them in both modalities."""
        if self.lengths is None and self.present is None:
            return None
        lengths = np.full(len(self), self.snippets) if self.lengths is None else self.lengths
        inside = np.arange(self.snippets) < np.asarray(lengths)[:, None]
        present = np.ones((len(self), len(MODALITIES)), bool) if self.present is None else self.present
        return inside[:, None] & np.asarray(present)[:, :, None]

    @property
    def spec(self) -> DataSpec:
        """Says what a model must know of this data."""
        streams = {
            name: StreamSpec(x.shape[2], x.shape[1] // self.snippets, self.modalities[name]) for name, x in self.features.items()
        }
        return DataSpec(self.categories, self.snippets, streams, self.snippet_seconds)

    def subset(self, indices: Sequence[int] | np.ndarray) -> VideoSet:
        """Takes the chosen videos, by number in the given order or by a boolean mask."""
        index = np.asarray(indices)
        if index.dtype == bool and index.shape != (len(self),):
            raise InputError(f"{self.title}: the mask has shape {index.shape}, and there are {len(self)} videos.")
        index = np.flatnonzero(index) if index.dtype == bool else index.astype(int)
        return replace(
            self,
            ids=tuple(self.ids[i] for i in index),
            filenames=tuple(self.filenames[i] for i in index),
            features={name: x[index] for name, x in self.features.items()},
            weak_labels=None if self.weak_labels is None else self.weak_labels[index],
            reference=None if self.reference is None else self.reference[index],
            lengths=None if self.lengths is None else self.lengths[index],
            present=None if self.present is None else self.present[index],
        )

    def to_folder(self, folder: str | Path) -> Path:
        """Writes this split in the toolkit's own folder format, beside other splits; see `folder.write_folder`."""
        from .folder import write_folder

        return write_folder(self, folder)

    def checksum(self) -> str:
        """Gives twelve hex digits that change with any feature value, id, label, category, length, shape or type.

        Every value is read: about a second a GB, once for a packed store, whose arrays' hashes are kept beside them (`scan`).
        """
        digest = hashlib.sha256(repr((self.categories, self.ids, self.snippet_seconds)).encode())
        for array in (self.weak_labels, self.reference, self.present):
            digest.update(b"none" if array is None else np.packbits(np.asarray(array) > 0.5).tobytes())
        digest.update(repr(None if self.lengths is None else np.asarray(self.lengths).tolist()).encode())
        for name, x in sorted(self.features.items()):
            digest.update(repr((name, x.shape, str(x.dtype), scan(x, cached=True).sha256)).encode())
        return digest.hexdigest()[:12]

    def check_finite(self) -> VideoSet:
        """Returns this set after a look at every feature value: NaN and infinite ones are an InputError that names stream and video.

        Costs as `checksum`. Readers and stores check what they read; call it for a VideoSet that was made by hand.
        """
        for name, x in self.features.items():
            bad = scan(x, cached=True).not_finite
            if bad is not None:
                raise InputError(f"{self.title}: stream {name!r} of {self.ids[bad]} holds NaN or infinite values: extract it again.")
        return self


@dataclass(frozen=True, eq=False)
class Splits:
    """Holds the splits of one data set that is in memory: `data.load`, and so every grid and study, takes it in place of a name.

    >>> audio, frames = np.zeros((4, 10, 2)), np.zeros((4, 10, 3))
    >>> one = VideoSet.from_arrays(audio=audio, frames=frames, weak_labels=np.eye(4), name="birds")
    >>> str(Splits(one, one)), Splits(one, one).load("val") is one
    ('birds', True)
    """

    train: VideoSet
    val: VideoSet
    test: VideoSet | None = None

    def __str__(self) -> str:
        return self.train.name

    def load(self, split: str | None) -> VideoSet:
        """Gives one of the splits; one that is not there is an InputError."""
        found = getattr(self, split) if split in ("train", "val", "test") else None
        if found is None:
            raise InputError(f"{self}: there is no split {split!r} among these sets in memory.")
        return found


def _features(stream: str, values: Any) -> np.ndarray:
    """(video, snippet x positions, width) in float16 or float32."""
    x = np.asarray(values)
    if x.ndim != 3 or 0 in x.shape or x.dtype.kind not in "fiu":
        raise InputError(f"stream {stream!r} must be numbers (video, snippet x positions, width), got {x.dtype} {x.shape}.")
    return x if x.dtype in (np.float16, np.float32) else x.astype(np.float32)


def _zeros_and_ones(what: str, values: Any, axes: int, dtype: type) -> np.ndarray | None:
    if values is None:
        return None
    x = np.asarray(values)
    if x.ndim != axes or not np.isin(x, (0, 1)).all():
        raise InputError(f"{what} must be {axes}-dimensional and hold 0 and 1, got {x.dtype} {x.shape}.")
    return x.astype(dtype)
