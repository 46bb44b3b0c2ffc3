"""The verbs about data sets: doctor, download, films, extract, labels, pack."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from .options import Flag, OnData, Split


@dataclass(frozen=True, kw_only=True)
class Doctor(OnData):
    """Say what is there and whether it can be used."""

    json: Flag = False  # print the report as JSON

    def run(self) -> int:
        from . import printing

        found = diagnose(self.data, **self.options())
        print(json.dumps(found, indent=1) if self.json else "\n".join(printing.findings(found)))
        return 0 if found["usable"] else 1


@dataclass(frozen=True, kw_only=True)
class Download:
    """Get the published lists and features, or say how to get them by hand."""

    name: tyro.conf.Positional[Literal["llp", "ave"]]  # AVEP is made of the two
    lists_only: Flag = False  # leave the features (8 GB each) out
    background: Flag = False  # AVE's 178 background videos, too
    steps: Flag = False  # print pages, file names and places instead of downloading
    out: Path | None = None  # the folder; without it where the other verbs look, under $CMPAE_HOME

    def run(self) -> None:
        from .. import data

        if self.steps:
            print("\n".join(data.manual_steps(self.name, self.out, self.background)))
        else:
            print(data.download(self.name, self.out, features=not self.lists_only, background=self.background))


@dataclass(frozen=True, kw_only=True)
class Extract:
    """Make a data set folder of films and sounds."""

    videos: tyro.conf.Positional[tuple[Path, ...]]  # files, or folders of them: mp4, mkv, webm, mov, avi, mp3, wav, flac ...
    out: Path  # the data set's folder
    labels: Path | None = None  # a table (filename, labels, split), DCASE's events, Audacity tracks, or a folder with annotations
    networks: str = "light"  # light, handmade, paper (LLP's own), clip-clap, or package.module:name for your own
    as_released: Flag = False  # with --networks paper: the quirks of the published features, too
    snippets: int = 10  # a video's snippets at most
    snippet_seconds: float = 1.0  # how long one lasts
    long: Literal["clips", "first", "whole"] = "clips"  # longer films: consecutive clips, their beginning, or one long video
    workers: int = 1  # processes
    scheduler: str | None = None  # instead of them: the address of a Dask scheduler
    device: str | None = None  # cpu, cuda, mps, for the networks; without it cpu
    no_resume: Flag = False  # begin anew where --out holds features
    check: Path | None = None  # a folder of published features of the same videos: tell how alike they are

    def run(self) -> int:
        from ..extract import extract
        from ..extract.check import compare

        report = extract(
            self.videos, self.out, networks=self.networks, labels=self.labels, snippets=self.snippets, long=self.long,
            snippet_seconds=self.snippet_seconds, workers=self.workers, resume=not self.no_resume, device=self.device,
            scheduler=self.scheduler, as_released=self.as_released,
        )
        print("\n".join(report.lines()))
        if self.check is not None:
            print(f"\nCosine similarity with {self.check}:\n{compare(self.out, self.check).to_string(float_format='{:.4f}'.format)}")
        return 1 if report.failed else 0


@dataclass(frozen=True, kw_only=True)
class Labels(OnData):
    """Make labels of the training snippets with CLIP and CLAP, as VALOR, LEAP and UWAV learn from.

    The features must be those of `cmpae extract --networks clip-clap`. Thresholds are chosen on val, which needs timed labels.
    """

    out: Path  # the labels' folder: what --snippet-labels takes
    sentences: Path | None = None  # JSON {"audio": {category: sentence}, "visual": {...}}; without it "A photo of ..." and the like

    def run(self) -> None:
        from ..extract import teachers
        from ..methods import snippet_labels

        sets = {split: self.load(split) for split in ("train", "val")}
        sentences = None if self.sentences is None else teachers.read_sentences(self.sentences, sets["train"].categories)
        told = snippet_labels.make(functools.partial(teachers.scores, sentences=sentences), sets["train"], sets["val"], self.out)
        print(f"{self.out}: labels of {len(sets['train'])} videos. F on val, where the thresholds were chosen, under its weak labels:")
        print(", ".join(f"{modality} {value:.1f} %" for modality, value in told["f_on_val"].items()))


@dataclass(frozen=True, kw_only=True)
class Pack(OnData):
    """Pack a folder's feature files into memory-mapped arrays."""

    split: tyro.conf.UseAppendAction[tuple[Split, ...]] = ()  # without it all three; may be given several times
    out: Path | None = None  # folder for the stores, one a split; without it under $CMPAE_HOME

    def run(self) -> None:
        from .. import data
        from .._files import hold
        from ..data.store import default_store

        with hold(self.out or default_store(data.find_data(self.data), None).parent):
            for split in self.split or data.splits:
                print(data.pack(self.data, split, None if self.out is None else self.out / split, **self.options()))


@dataclass(frozen=True, kw_only=True)
class Films:
    """Make films: synthetic videos with sound and picture, exact labels, and features.

    The same films as those of `--data films`, unless told otherwise. PyAV writes them.
    """

    out: Path  # the data set's folder; what is already there is kept
    videos: int = 600  # four sixths for training, a sixth each for val and test
    seed: int = 0
    showcase: int = 0  # only so many films of the test split, those that together show the most
    networks: str = "light"  # what makes the features: as in `cmpae extract`
    no_features: Flag = False  # films and labels only
    workers: int = -1  # processes side by side; -1 for one a core

    def run(self) -> None:
        from ..films.make import make_films

        networks = None if self.no_features else self.networks
        print(make_films(self.out, self.videos, self.seed, showcase=self.showcase, networks=networks, workers=self.workers))


def diagnose(data_name: str, **options: Any) -> dict[str, Any]:
    """The machine, the versions, and what `data.doctor` finds of a data set: its lists, splits, leaks, and whether it is usable."""
    from .. import data
    from ..batches import choose_device
    from ..checkpoint import machine, versions
    from ..data import doctor

    found = {"data": str(data_name), "versions": versions(), "device": str(choose_device()), "machine": machine()}
    return found | {"cmpae_home": str(data.home())} | doctor.examine(data_name, **options)
