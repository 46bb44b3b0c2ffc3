"""The labels of a whole data set without its features: what one looks at and counts before one trains.

The published lists are read where they are (see `find_data`); elsewhere the simulated set of the same shape takes their place
and says so in its title.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from . import ave_lists, avep, sources
from .annotations import Annotations, read_annotations, splits
from .simulation import simulate

SIMULATED = {"llp": "small", "ave": "ave", "avep": "avep"}  # the size of each shape that a laptop trains on


@dataclass(frozen=True)
class Overview:
    """`weak_labels[split]` (video, category) of 0 and 1, float32; `reference` (video, modality, snippet, category), bool.

    The reference is that of val and, behind it, of test.
    """

    title: str
    simulated: bool
    categories: tuple[str, ...]
    weak_labels: Mapping[str, np.ndarray]
    reference: np.ndarray

    def example(self, categories: Collection[str] | None = None) -> int:
        """The first video of `reference` in which one of these categories (by default any) occurs, but not all the time.

        Failing that the first in which one occurs. Without any such video an InputError.
        """
        columns = [i for i, name in enumerate(self.categories) if categories is None or name in categories]
        rolls = self.reference[..., columns]
        occurs = rolls.any(axis=(1, 2, 3))
        for fitting in (occurs & ~rolls.all(axis=2).any(axis=(1, 2)), occurs):
            if fitting.any():
                return int(fitting.argmax())
        raise InputError(f"{self.title}: no video of val or test holds any of these categories: choose others.")


def overview(name: str, *, published: bool = True) -> Overview:
    """The labels of `llp`, `ave` or `avep`: of the published lists if they are here, else (or with `published=False`) simulated ones.

    Lists that are here and cannot be read are InputErrors; the simulated set does not silently stand in for these.
    """
    if name not in SIMULATED:
        raise InputError(f"no data set {name!r} to look at: use {', '.join(SIMULATED)}.")
    folder = _here(name) if published else None
    if folder is None:
        size = SIMULATED[name]
        lines = {split: simulate.video_timelines(size, split) for split in splits}
        weak = {split: each.weak_labels for split, each in lines.items()}
        reference = np.concatenate([lines["val"].rolls, lines["test"].rolls])
        categories = simulate.SIZES[size].setting.categories
        return Overview(f"{name.upper()}-shaped (simulated {size})", True, categories, weak, reference)
    lists = {split: _read(folder, name, split) for split in splits}
    rolls = [lists[split].reference(ave_lists.AVE_SNIPPETS)[0] for split in ("val", "test")]
    if any(roll is None for roll in rolls):
        raise InputError(f"{folder}: no dense lists of val and test: run `cmpae download {name}`.")
    weak = {split: each.weak_labels for split, each in lists.items()}
    return Overview(f"{name.upper()} (published lists)", False, lists["train"].categories, weak, np.concatenate(rolls))


def _here(name: str) -> Path | None:
    try:
        return sources.find_data(name)
    except InputError:
        return None


def _read(folder: Path, name: str, split: str) -> Annotations:
    if name == "ave":
        return ave_lists.read_ave(folder, split)
    if name == "avep":
        return avep.read_avep(folder / "llp", folder / "ave", split)
    return read_annotations(folder, split)
