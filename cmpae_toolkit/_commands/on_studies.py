"""The verbs about many runs: tables, study, leaderboard, methods."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import tyro

from .. import studies
from ..data.naming import default_name
from .options import Flag


@dataclass(frozen=True, kw_only=True)
class Tables:
    """Make Tables 1 to 6: train what is missing, print, and write CSV, Markdown, LaTeX and PNG."""

    numbers: tyro.conf.Positional[tuple[Literal[1, 2, 3, 4, 5, 6], ...]] = ()  # which tables; without any all six
    data: tuple[str, ...] = field(default_factory=lambda: (default_name(),))  # names or folders
    seeds: int = 5  # runs of each row, with the seeds from 0 on
    methods: tuple[str, ...] = ()  # train these alone, by their names in `cmpae methods`; without any all
    results: Path = Path("runs/tables")  # the folder of the runs
    out: Path | None = None  # the folder of the tables; without it that of the runs
    stored: Flag = False  # train nothing: only read the runs that are there
    extend: Flag = False  # count the repository's runs on the same data as finished; with --stored read these alone
    workers: int = 1  # processes at once
    threads: int = 1  # of each process
    scheduler: str | None = None  # address of a Dask cluster that runs them instead, such as tcp://host:8786
    device: str | None = None  # cpu, cuda, mps; without it the best there is

    def run(self) -> int:
        from ..studies import grid, tables

        numbers, out = self.numbers or tables.NUMBERS, self.out or self.results
        if not self.stored:
            planned = tables.jobs_for(numbers, self.data, range(self.seeds), self.methods)
            how = {"workers": self.workers, "threads": self.threads, "device": self.device, "scheduler": self.scheduler}
            grid.run_grid(planned, self.results, extend="tables" if self.extend else None, **how)
            for name in self.data:
                tables.write_floors(name, self.results)
        source = "tables" if self.stored and self.extend else self.results
        for table in tables.make_all(numbers, source, self.data):
            print("\n".join([table.to_markdown(), *map(str, table.save(out)), ""]))
        print(tables.write_categories(source, self.data, out))
        failed = grid.failures(source)
        for file, error in failed.items():
            print(f"cmpae: failed: {file}: {error}", file=sys.stderr)
        return 1 if failed else 0


@dataclass(frozen=True, kw_only=True)
class Study:
    """Run a study of this toolkit and print its table; `cmpae study NAME --help` lists its options."""

    name: tyro.conf.Positional[Literal[tuple(studies.STUDIES)]]  # which study
    call: tyro.conf.Suppress[Callable[[], Any] | None] = None

    def run(self) -> None:
        print(self.call().to_string())


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """Rank the methods of stored runs on every data set that two of them share, each rank with its interval."""

    results: tuple[str, ...] = ("tables",)  # stored studies, or folders of runs
    also: tuple[str, ...] = ()  # labels of runs that are in none of the paper's tables
    out: Path | None = None  # write the page as Markdown to this file, too
    figures: Path | None = None  # and a picture of each ranking into this folder, which the page shows

    def run(self) -> None:
        from .._files import write_text
        from ..studies import leaderboard

        tables = leaderboard.leaderboard(self.results, self.also)
        for title, table in tables.items():
            print(f"{title}\n\n{leaderboard.as_text(table).to_string(index=False)}\n")
        made = {} if self.figures is None else leaderboard.draw(tables, self.figures)
        if made:
            print("\n".join(map(str, made.values())))
        if self.out is not None:
            links = {title: Path(os.path.relpath(path, self.out.parent)).as_posix() for title, path in made.items()}
            print(write_text(self.out, leaderboard.page(tables, leaderboard.reversals(self.results), links)))


@dataclass(frozen=True, kw_only=True)
class Methods:
    """List the methods that `train --method` knows: name, tasks, size and arithmetic for LLP, paper."""

    def run(self) -> None:
        from . import printing

        print(printing.method_table().to_markdown(index=False, tablefmt="plain", disable_numparse=True))
