"""`VideoSet`: one split of one data set, whatever it was read from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ..config import MODALITIES, DataSpec, StreamSpec
from ..errors import InputError
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

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def title(self) -> str:
        """Names the data as plots and tables do; simulated data always says so."""
        told = not self.simulated or "simulated" in self.name
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
