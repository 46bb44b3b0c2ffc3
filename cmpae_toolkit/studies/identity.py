"""Which data a stored run belongs to: their content, by checksum, and never the name of a folder; and what is odd about them."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import data
from .._files import read_json, write_json
from ..config import MethodConfig
from ..data.videoset import Splits, VideoSet
from ..errors import InputError, InputWarning

MANIFEST = "data.json"  # beside the runs on a data set: its identity in full


@dataclass(frozen=True)
class Identity:
    """Which data a run belongs to: what was asked for, the set's name, and by split its checksum and number of videos."""

    given: str  # the name, or the folder's own name without the path to it
    name: str
    simulated: bool
    checksums: dict[str, str]
    videos: dict[str, int]
    categories: tuple[str, ...]

    @property
    def folder(self) -> str:
        """A readable name with the first eight digits of a hash of all checksums, such as simulated_small-1b9d0a3c."""
        plain = "".join(c if c.isalnum() else "_" for c in self.name)
        return f"{plain}-{hashlib.sha256(repr(sorted(self.checksums.items())).encode()).hexdigest()[:8]}"

    def holds(self, record: dict[str, Any]) -> bool:
        """Whether a record was measured on these data, by the checksums of all splits.

        A record of simulated data without checksums is compared by name, number of scored videos and categories instead: simulated
        features may differ in their last bits between processors.
        """
        about = record.get("data", {})
        if "checksums" in about:
            return about["checksums"] == self.checksums
        scored = self.videos.get(record.get("split", "test"))
        tested = len(record.get("per_video", {}).get("segment", ()))
        same = (about.get("name"), tested, tuple(categories_of(record))) == (self.name, scored, self.categories)
        return same and self.simulated and bool(about.get("simulated"))

    def without_sums(self, record: dict[str, Any]) -> dict[str, Any]:
        """Puts the checksums of simulated data aside (as "stored_checksums") where they are others, so that `holds` goes by the rest."""
        about = record.get("data", {})
        if not self.simulated or about.get("checksums", self.checksums) == self.checksums:
            return record
        kept = {name: value for name, value in about.items() if name != "checksums"}
        return record | {"data": kept | {"stored_checksums": about["checksums"]}}


def categories_of(record: dict[str, Any]) -> list[str]:
    """The categories of a stored run, in order."""
    return list(record.get("thresholds", {}).get("video", {}).get("audio", ()))


def identify(data_name: str | Path | Splits, splits: Sequence[str] = data.splits) -> Identity:
    """The identity of a data set (a name, a folder, or sets in memory). It loads the splits; raises InputError as `data.load` does."""
    if isinstance(data_name, Splits):
        return _identify(data_name, tuple(splits))
    known = _identify_once if data.simulated_size(data_name) else _identify
    return known(str(data_name), tuple(splits))


def _identify(data_name: str | Splits, splits: tuple[str, ...]) -> Identity:
    sets = {split: data.load(data_name, split) for split in splits}
    tell(sets)
    return identity_of(data_name, sets)


def tell(sets: Mapping[str, VideoSet]) -> dict[str, Any]:
    """Warns of the oddities that loading found, one counted line a kind, and of training videos that are in test.

    Returns all of them for a record: "notices", split -> sentences, and "leaks", id -> split -> file names.
    """
    once = dict.fromkeys(notice for videos in sets.values() for notice in videos.notices)  # val and test share lists
    for line in data.counted(once):
        warnings.warn(line, InputWarning, stacklevel=3)
    leaks = data.leaks(*sets.values())
    in_test = [names["train"][0] for names in leaks.values() if "train" in names and "test" in names]
    if in_test:
        warnings.warn(f"{len(in_test)} videos of train are in test, too, the first {in_test[0]}.", InputWarning, stacklevel=3)
    return {"notices": {split: [str(each) for each in videos.notices] for split, videos in sets.items()}, "leaks": leaks}


_identify_once = functools.cache(_identify)


def identity_of(data_name: str | Path | Splits, sets: Mapping[str, VideoSet]) -> Identity:
    """The identity of loaded splits: split -> set."""
    first = next(iter(sets.values()))
    return Identity(
        short_name(data_name), first.name, first.simulated, {split: videos.checksum() for split, videos in sets.items()},
        {split: len(videos) for split, videos in sets.items()}, first.categories,
    )


def check_replaceable(out: Path, config: MethodConfig, sets: Mapping[str, VideoSet]) -> None:
    """Raises InputError, naming what differs, when a folder holds a finished run of another config, seed or other data."""
    try:
        record = read_json(out / "run.json")
        about, stored = dict(record["data"]), dict(record["config"])
    except (InputError, KeyError, TypeError, ValueError):
        return  # no finished run
    theirs = about.get("checksums") or {"train": about.get("checksum"), "test": about.get("test_checksum")}
    differing = [] if all(sets[split].checksum() == theirs[split] for split in theirs) else ["data"]
    ours = json.loads(json.dumps(config.to_dict()))
    differing += [name for name in ours | stored if ours.get(name) != stored.get(name)]
    if differing:
        what = f"{', '.join(differing[:4])}{' and more' if len(differing) > 4 else ''}"
        raise InputError(f"{out} holds a finished run that differs in {what}: choose another folder, or give overwrite=True.")


def short_name(data_name: str | Path | Splits) -> str:
    """The name of a data set, or of its folder without the path to it: "small", "v1/birds" -> "birds"."""
    if isinstance(data_name, Splits):
        return str(data_name)
    size = data.simulated_size(data_name)
    if size is not None:
        return size if size in data.names else f"simulated-{size}"
    return Path(os.path.abspath(data_name)).name


def write_manifest(folder: Path, identity: Identity) -> None:
    """`data.json`, which says what data the runs beside it belong to; written once."""
    file = folder / identity.folder / MANIFEST
    if not file.is_file():
        write_json(file, asdict(identity))
