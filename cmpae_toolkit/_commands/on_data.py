"""The verbs about data sets: doctor, download, pack."""

from __future__ import annotations

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


def diagnose(data_name: str, **options: Any) -> dict[str, Any]:
    """The machine, the versions, and what `data.doctor` finds of a data set: its lists, splits, leaks, and whether it is usable."""
    from .. import data
    from ..batches import choose_device
    from ..checkpoint import machine, versions
    from ..data import doctor

    found = {"data": str(data_name), "versions": versions(), "device": str(choose_device()), "machine": machine()}
    return found | {"cmpae_home": str(data.home())} | doctor.examine(data_name, **options)
