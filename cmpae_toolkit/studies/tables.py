"""Tables 1 to 6 of the paper: its printed numbers beside what was measured, each row with the data that it comes from.

A printed number stands in a row whose data is the paper's data set and "printed"; what the toolkit measured stands in a row with
the data that it was measured on. Only where both are the same data is there a difference between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import data, metrics, plots
from .._files import write_atomically, write_json, write_text
from ..errors import InputError
from ..inference import accuracy_floors, floors
from . import escape, records
from .ablations import SAME, table_runs
from .claims import write_categories
from .grid import Job
from .identity import identify, short_name
from .rows import ABLATIONS, FULL, MORE_ABLATIONS, SHOWN, WITH_BACKGROUND, ablation, methods

__all__ = ["NUMBERS", "Table", "jobs_for", "labels_of", "make", "make_all", "write_categories", "write_floors"]

NUMBERS = (1, 2, 3, 4, 5, 6)
TITLES = {
    1: "Table 1: mean of the ten F-scores (AVVP), accuracy (AVE)", 2: "Table 2: AVVP", 3: "Table 3: AVE, accuracy",
    4: "Table 4: AVEP", 5: "Table 5: which of EDL, PAEC and JML", 6: "Table 6: inside PAEC and JML",
}
SUFFIXES = (" sd", " - printed", " - full", " ±", " low", " high")  # what a score's further columns are called
Results = str | Path | Sequence[str | Path]  # a folder of runs, a frozen study, or several of these


@dataclass(frozen=True)
class Table:
    """A table as numbers: `frame` has the columns "method" and "data", then scores in percent, NaN where there is none."""

    number: int
    title: str
    frame: pd.DataFrame
    notes: tuple[str, ...]

    def text(self) -> pd.DataFrame:
        """As a reader sees it: "mean ± sd", differences with their intervals, a dash where there is nothing."""
        frame = self.frame
        shown = {"method": frame["method"], "data": frame["data"], "n": [f"{n:.0f}" if n == n else "–" for n in frame["n"]]}
        for score in (c for c in frame.columns if c not in ("method", "data", "n") and not c.endswith(SUFFIXES)):
            name = score.replace("_", "-").replace("segment.", "seg. ").replace("event.", "event-level ")
            shown[name] = [_score(row, score) for _, row in frame.iterrows()]
            if f"{score} - full" in frame:
                shown[f"{name} - full"] = [_difference(row, score) for _, row in frame.iterrows()]
        return pd.DataFrame(shown)

    def to_markdown(self) -> str:
        text = self.text()  # only names are escaped, so that intervals stay readable: [-1.0, +2.0] is no link
        named = text.assign(**{column: text[column].map(escape.markdown) for column in ("method", "data")})
        table = named.to_markdown(index=False, disable_numparse=True)
        return "\n\n".join([f"**{escape.markdown(self.title)}**", table, *map(escape.markdown, self.notes)]) + "\n"

    def to_latex(self) -> str:
        told = [f"% {' '.join(text.split())}" for text in (self.title, *self.notes)]
        return "\n".join([*told, self._text_in(escape.latex).to_latex(index=False, escape=False)])

    def to_html(self) -> str:
        notes = "".join(f"<p>{escape.html(note)}</p>" for note in self.notes)
        return f"<h4>{escape.html(self.title)}</h4>{self._text_in(escape.html).to_html(index=False, escape=False)}{notes}"

    def _text_in(self, form: Callable[[str], str]) -> pd.DataFrame:
        return self.text().map(form).rename(columns=form)

    def save(self, folder: str | Path) -> list[Path]:
        """table_N.csv (numbers), .md, .tex, and .png where there is something measured to draw."""
        stem = Path(folder) / f"table_{self.number}"
        made = [stem.with_suffix(suffix) for suffix in (".csv", ".md", ".tex")]
        for path, text in zip(made, (self.frame.to_csv(index=False), self.to_markdown(), self.to_latex()), strict=True):
            write_text(path, text)
        if self.frame["n"].notna().any():
            made.append(stem.with_suffix(".png"))
            picture = plots.png(plots.result_table(self.frame, self.title), 120)
            write_atomically(made[-1], lambda file: file.write(picture))
        return made


def jobs_for(numbers: Iterable[int], data_names: Iterable[str], seeds: Iterable[int], of: Iterable[str] = ()) -> list[Job]:
    """The runs that these tables show, seed by seed, each once.

    `of`: names of methods, whose runs alone are wanted; none: all. Raises InputError where none of the rows is of these.

    >>> [job.variant for job in jobs_for([3], ["simulated-ave"], [0], ["psp"])]
    ['PSP', "PSP, CMPAE's schedule"]
    """
    names, numbers, of = list(data_names), tuple(numbers), tuple(of)
    shown = {label for number in numbers for label in labels_of(number)}
    wanted = [
        (name, label, config) for name in names for label, config in table_runs(name).items()
        if label in shown and (not of or config.method in of)
    ]
    if not wanted:
        told = ", ".join(map(str, numbers))
        raise InputError(f"no row of Table {told} on {', '.join(names)} is of {', '.join(of)}: see `cmpae methods`.")
    return [Job(label, config.changed(seed=seed), name) for seed in seeds for name, label, config in wanted]


def labels_of(number: int) -> tuple[str, ...]:
    """The labels of the runs behind a table's rows."""
    if number not in NUMBERS:
        raise InputError(f"the paper has no Table {number}: use {NUMBERS[0]} to {NUMBERS[-1]}.")
    if number in ABLATIONS:
        more = [label for ablations in MORE_ABLATIONS for label in ablations] if number == 5 else []
        return tuple(dict.fromkeys([*(SAME.get(label, label) for label in ABLATIONS[number]), *more]))
    return tuple(SHOWN)


def write_floors(data_name: str, results: str | Path) -> Path:
    """The floors of a data set's test split beside its runs, so that the tables need the data no more; for AVE's task also those of the
    "others", the videos that are not one event from end to end, by their positions in the split."""
    test = data.load(data_name, "test")
    found: dict[str, Any] = {"title": test.title, "floors": floors(test)}
    if table_runs(data_name)[FULL].task == "localization":
        others = np.flatnonzero((metrics.answers(test.reference) == len(test.categories)).any(1))
        found["accuracy"] = accuracy_floors(test)
        if len(others):
            found |= {WITH_BACKGROUND: accuracy_floors(test.subset(others)), "others": others.tolist()}
    path = Path(results) / identify(data_name).folder / records.FLOORS
    write_json(path, found)
    return path


def make(number: int, results: Results, data_names: Sequence[str], also: Sequence[str] = ()) -> Table:
    """One table of the paper: see `make_all`."""
    return make_all([number], results, data_names, also)[0]


def make_all(numbers: Sequence[int], results: Results, data_names: Sequence[str], also: Sequence[str] = ()) -> list[Table]:
    """Tables of the paper from the stored runs on some data sets (names, or folders) in `results`, folders or frozen studies.

    `also`: labels of further runs, which get rows of Tables 1 to 4 under these names. Raises InputError for another number, and when
    there is no finished run on any of the data sets. Rows without a finished run are left out, and a note says which.
    """
    for number in numbers:
        labels_of(number)
    sources = [results] if isinstance(results, (str, Path)) else list(results)
    runs = {_key(name): pd.concat([records.collect(source, name) for source in sources], ignore_index=True) for name in data_names}
    if not any(len(found) for found in runs.values()):
        raise InputError(f"{results} holds no finished run on {', '.join(runs)} as these data are now: `cmpae tables` trains them.")
    beside = {
        _key(name): next((found for source in sources if (found := records.floors(source, name))), None) for name in data_names
    }
    return [_made(number, runs, beside, also) for number in numbers]


def _key(name: str | Path) -> str:
    """One for a simulated set under all of its names; folders of one name are two."""
    return short_name(name) if data.simulated_size(name) else str(name)


def _made(number: int, runs: dict[str, pd.DataFrame], beside: dict[str, dict[str, Any] | None], also: Sequence[str]) -> Table:
    frame, notes = ablation(number, runs) if number in ABLATIONS else methods(number, runs, beside, also)
    titles = sorted(set(frame.loc[frame["n"].notna(), "data"]))
    measured = f"measured on {', '.join(titles)}" if titles else "nothing measured yet"
    return Table(number, f"{TITLES[number]}; printed: the paper; {measured}", frame, tuple(notes))


def _score(row: pd.Series, score: str) -> str:
    if pd.isna(row[score]):
        return "–"
    deviation = row.get(f"{score} sd", np.nan)
    printed = row.get(f"{score} - printed", np.nan)
    text = f"{row[score]:.1f}" + ("" if pd.isna(deviation) else f" ± {deviation:.1f}")
    return text if pd.isna(printed) else f"{text} ({printed:+.1f})"


def _difference(row: pd.Series, score: str) -> str:
    value = row[f"{score} - full"]
    if pd.isna(value):
        return "–"
    if pd.isna(row[f"{score} ±"]):
        return f"{value:+.1f}"
    return f"{value:+.1f} ± {row[f'{score} ±']:.1f} [{row[f'{score} low']:+.1f}, {row[f'{score} high']:+.1f}]"
