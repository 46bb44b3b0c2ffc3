"""`VideoSet`: one split of one data set, whatever it was read from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..config import MODALITIES, DataSpec, StreamSpec
from ..errors import InputError


@dataclass(frozen=True)
class Notice:
    """Something odd in a file that was skipped or repaired, with the file and the line where it stands."""

    kind: str
    file: str
    line: int | None
    text: str

    def __str__(self) -> str:
        return f"{self.file}{'' if self.line is None else f', line {self.line}'}: {self.text}"


@dataclass(frozen=True)
class VideoSet:
    """Videos of one split: features, weak labels and, for val and test, the reference event rolls.

    Shapes: `features[stream]` (video, snippet x positions per snippet, width), float16 or float32, possibly memory-mapped;
    `weak_labels` (video, category) of 0 and 1, float32, or None; `reference` (video, modality, snippet, category), bool, or None.
    `ids` name the feature files, `filenames` the rows of the published lists. `modalities` says which modality a stream is of.
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

    def __post_init__(self) -> None:
        if not self.filenames:
            object.__setattr__(self, "filenames", self.ids)
        count = len(self.ids)
        for what, array in {**self.features, "weak_labels": self.weak_labels, "reference": self.reference}.items():
            if array is not None and len(array) != count:
                raise InputError(f"{self.name} {self.split}: {what} holds {len(array)} videos, the list {count}.")
        missing = [m for m in MODALITIES if m not in self.modalities.values()]
        if missing:
            raise InputError(f"{self.name} {self.split}: no feature stream of the {missing[0]} modality; the method needs both.")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def title(self) -> str:
        """How plots and tables name the data; simulated data always says so."""
        told = not self.simulated or "simulated" in self.name
        return f"{'' if told else 'simulated '}{self.name} ({self.split})"

    @property
    def snippets(self) -> int:
        return min(x.shape[1] for x in self.features.values())

    @property
    def spec(self) -> DataSpec:
        """What a model must know of this data."""
        streams = {
            name: StreamSpec(x.shape[2], x.shape[1] // self.snippets, self.modalities[name]) for name, x in self.features.items()
        }
        return DataSpec(self.categories, self.snippets, streams)

    def subset(self, indices: Sequence[int] | np.ndarray) -> VideoSet:
        """The chosen videos, by number in the given order or by a boolean mask."""
        index = np.asarray(indices)
        index = np.flatnonzero(index) if index.dtype == bool else index.astype(int)
        return replace(
            self,
            ids=tuple(self.ids[i] for i in index),
            filenames=tuple(self.filenames[i] for i in index),
            features={name: x[index] for name, x in self.features.items()},
            weak_labels=None if self.weak_labels is None else self.weak_labels[index],
            reference=None if self.reference is None else self.reference[index],
        )

    def to_folder(self, folder: str | Path) -> Path:
        """Write this split in the toolkit's own folder format, beside other splits; see `folder.write_folder`."""
        from .folder import write_folder

        return write_folder(self, folder)

    def checksum(self) -> str:
        """Twelve hex digits that change with the ids, labels, categories, shapes or (sampled) feature values."""
        digest = hashlib.sha256(repr((self.categories, self.ids)).encode())
        for array in (self.weak_labels, self.reference):
            digest.update(b"none" if array is None else np.packbits(np.asarray(array) > 0.5).tobytes())
        for name, x in sorted(self.features.items()):
            digest.update(repr((name, x.shape, str(x.dtype))).encode())
            for i in range(0, len(x), max(1, len(x) // 64)):  # one by one: 127 videos of LLP's size would be 42 MB
                digest.update(np.ascontiguousarray(x[i]))
        return digest.hexdigest()[:12]
