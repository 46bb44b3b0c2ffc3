"""Tables 1 to 6 of the paper: its printed numbers beside what was measured, each row with the data that it comes from.

A printed number stands in a row whose data is the paper's data set and "printed"; what the toolkit measured stands in a row with
the data that it was measured on. Only where both are the same data is there a difference between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import data, plots
from .._files import read_json, write_json, write_text
from ..errors import InputError
from ..inference import accuracy_floors, floors
from . import statistics
from .ablations import SAME, table_runs
from .grid import Job, collect
from .rows import ABLATIONS, FLOORS, FULL, MORE_ABLATIONS, SHOWN, ablation, methods, paper_table

NUMBERS = (1, 2, 3, 4, 5, 6)
TITLES = {
    1: "Table 1: mean of the ten F-scores (AVVP), accuracy (AVE)", 2: "Table 2: AVVP", 3: "Table 3: AVE, accuracy",
    4: "Table 4: AVEP", 5: "Table 5: which of EDL, PAEC and JML", 6: "Table 6: inside PAEC and JML",
}
SUFFIXES = (" sd", " - printed", " - full", " ±", " low", " high")  # what a score's further columns are called


@dataclass(frozen=True)
class Table:
    """A table as numbers: `frame` has the columns "method" and "data", then scores in percent, NaN where there is none."""

    number: int
    title: str
    frame: pd.DataFrame
    notes: tuple[str, ...]

    def text(self) -> pd.DataFrame:
        """As a reader sees it: "mean ± sd", differences with their intervals, a dash where there is nothing."""
        return _Text(self.frame).made()

    def to_markdown(self) -> str:
        return "\n\n".join([f"**{self.title}**", self.text().to_markdown(index=False, disable_numparse=True), *self.notes]) + "\n"

    def to_latex(self) -> str:
        body = self.text().to_latex(index=False, escape=True)
        return "\n".join([f"% {self.title}", *(f"% {note}" for note in self.notes), body])

    def save(self, folder: str | Path) -> list[Path]:
        """table_N.csv (numbers), .md, .tex, and .png where there is something measured to draw."""
        stem = Path(folder) / f"table_{self.number}"
        made = [stem.with_suffix(suffix) for suffix in (".csv", ".md", ".tex")]
        for path, text in zip(made, (self.frame.to_csv(index=False), self.to_markdown(), self.to_latex()), strict=True):
            write_text(path, text)
        if self.frame["n"].notna().any():
            made.append(stem.with_suffix(".png"))
            made[-1].write_bytes(plots.png(plots.result_table(self.frame, self.title), 120))
        return made


def jobs_for(numbers: Iterable[int], data_names: Iterable[str], seeds: Iterable[int]) -> list[Job]:
    """The runs that these tables show, seed by seed, each once."""
    names, numbers = list(data_names), tuple(numbers)
    wanted = {name: [label for label in table_runs(name) if any(label in labels_of(n) for n in numbers)] for name in names}
    return [Job(label, table_runs(name)[label].changed(seed=seed), name) for seed in seeds for name in names for label in wanted[name]]


def labels_of(number: int) -> tuple[str, ...]:
    """The labels of the runs behind a table's rows."""
    if number not in NUMBERS:
        raise InputError(f"the paper has no Table {number}: use {NUMBERS[0]} to {NUMBERS[-1]}.")
    if number in ABLATIONS:
        more = [label for ablations in MORE_ABLATIONS for label in ablations] if number == 5 else []
        return tuple(dict.fromkeys([*(SAME.get(label, label) for label in ABLATIONS[number]), *more]))
    return tuple(SHOWN)


def write_floors(data_name: str, results: str | Path) -> Path:
    """The floors of a data set's test split beside its runs, so that the tables need the data no more."""
    test = data.load(data_name, "test")
    found: dict[str, Any] = {"title": test.title, "floors": floors(test)}
    if table_runs(data_name)[FULL].task == "localization":
        found["accuracy"] = accuracy_floors(test)
    path = Path(results) / Path(data_name).name / FLOORS
    write_json(path, found)
    return path


def make(number: int, results: str | Path, data_names: Sequence[str]) -> Table:
    """One table of the paper from the stored runs of some data sets (names, or names of folders) below `results`.

    Raises InputError for another number. Rows without a finished run are left out, and a note says which.
    """
    labels_of(number)
    runs = {Path(name).name: collect(Path(results) / Path(name).name) for name in data_names}
    frame, notes = ablation(number, runs) if number in ABLATIONS else methods(number, runs, Path(results))
    titles = sorted(set(frame.loc[frame["n"].notna(), "data"]))
    measured = f"measured on {', '.join(titles)}" if titles else "nothing measured yet"
    return Table(number, f"{TITLES[number]}; printed: the paper; {measured}", frame, tuple(notes))


CLAIMS: dict[str, tuple[str, str]] = {  # what Tables 5 and 6 claim: the better row, the worse row, as labels of runs
    "EDL helps the backbone": ("EDL", "backbone (JoMoLD)"),
    "PAEC helps EDL": ("EDL + PAEC", "EDL"),
    "JML helps EDL": ("EDL + JML", "EDL"),
    "PAEC helps EDL + JML": (FULL, "EDL + JML"),
    "JML helps EDL + PAEC": (FULL, "EDL + PAEC"),
    "better than both cross-modal": (FULL, "both cross-modal"),
    "better than exchange": (FULL, "exchange uni/cross"),
    "u_av helps": (FULL, "w/o u_av"),
    "u_uni helps": (FULL, "w/o u_uni"),
    "delta(c) helps": (FULL, "w/o delta(c)"),
}
MORE_CLAIMS: dict[str, tuple[str, str]] = {  # not of the paper: the same of the released code, and with pooled logits
    "PAEC helps the released code": ("released code", "released code w/o PAEC"),
    "JML helps the released code": ("released code", "released code w/o JML"),
    "both help the released code": ("released code", "released code w/o both"),
    "EDL helps the backbone, logits pooled": ("EDL, logits pooled", "backbone (JoMoLD)"),
    "PAEC helps EDL, logits pooled": ("EDL + PAEC, logits pooled", "EDL, logits pooled"),
    "JML helps EDL + PAEC, logits pooled": (f"{FULL}, logits pooled", "EDL + PAEC, logits pooled"),
}


def claims(runs: pd.DataFrame, score: str = "segment.type", which: Mapping[str, tuple[str, str]] = CLAIMS) -> pd.DataFrame:
    """What became of each claim on one data set (`experiments.collect`): columns claim, printed (on LLP), n, difference, ± (95 %
    over seeds), verdict: "holds" or "the reverse" where the interval leaves 0 out, else "undecided". Claims without runs are left out.
    """
    printed = {SAME.get(m, m): row for n in (6, 5) for m, row in paper_table(f"table_{n}")["rows"].items()}
    at = paper_table("table_5")["columns"].index(f"{score} AVVP")
    rows = []
    for claim, (better, worse) in which.items():
        differences = statistics.by_seed(runs[runs["variant"] == better], runs[runs["variant"] == worse], score)
        if not len(differences):
            continue
        mean, half = differences.mean(), statistics.half_width(differences)
        verdict = "holds" if mean - half > 0 else "the reverse" if mean + half < 0 else "undecided"
        in_print = printed[better][at] - printed[worse][at] if better in printed else np.nan
        rows.append({"claim": claim, "printed": in_print, "n": len(differences), "difference": mean, "±": half, "verdict": verdict})
    return pd.DataFrame(rows)


def category_scores(runs: pd.DataFrame) -> pd.DataFrame:
    """F of every category in percent, for stored runs (`experiments.collect`): a row each with data, variant, seed, level, track,
    category and F; categories that occur in no roll of a track are left out."""
    rows = []
    for run in runs.itertuples():
        stored = read_json(Path(run.file))
        categories = list(stored["thresholds"]["video"]["audio"])
        for level, tracks in stored["per_category"].items():
            for track, values in tracks.items():
                about = (run.data, run.variant, run.seed, level, track)
                rows += [(*about, c, f) for c, f in zip(categories, values, strict=True) if f is not None]
    return pd.DataFrame(rows, columns=["data", "variant", "seed", "level", "track", "category", "F"])


def write_categories(results: str | Path, data_names: Sequence[str], out: str | Path) -> Path:
    """`per_category.csv`: mean, standard deviation and number of runs of every category's F, by data, variant, level and track."""
    found = pd.concat([category_scores(collect(Path(results) / Path(name).name)) for name in data_names])
    keys = ["data", "variant", "level", "track", "category"]
    path = Path(out) / "per_category.csv"
    write_text(path, found.groupby(keys, sort=False)["F"].agg(["mean", "std", "count"]).round(2).reset_index().to_csv(index=False))
    return path


def per_category(runs: pd.DataFrame, label: str, against: str, level: str = "segment") -> pd.DataFrame:
    """F of each category and track in percent, mean over seeds, of two variants: columns category, track, and the two labels."""
    for name in (label, against):
        if not (runs["variant"] == name).any():
            raise InputError(f"there is no finished run of {name!r} here.")
    scores = category_scores(runs[runs["variant"].isin([label, against])])
    scores = scores[scores["level"] == level]
    table = scores.pivot_table(index=["category", "track"], columns="variant", values="F", sort=False).dropna()
    return table[[label, against]].rename_axis(columns=None).reset_index()


class _Text:
    """A frame of numbers as a frame of strings."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame

    def made(self) -> pd.DataFrame:
        frame = self.frame
        scores = [c for c in frame.columns if c not in ("method", "data", "n") and not c.endswith(SUFFIXES)]
        shown = {"method": frame["method"], "data": frame["data"], "n": [f"{n:.0f}" if n == n else "–" for n in frame["n"]]}
        for score in scores:
            name = score.replace("_", "-").replace("segment.", "seg. ").replace("event.", "event-level ")
            shown[name] = [self.score(row, score) for _, row in frame.iterrows()]
            if f"{score} - full" in frame:
                shown[f"{name} - full"] = [self.difference(row, score) for _, row in frame.iterrows()]
        return pd.DataFrame(shown)

    @staticmethod
    def score(row: pd.Series, score: str) -> str:
        if pd.isna(row[score]):
            return "–"
        deviation = row.get(f"{score} sd", np.nan)
        printed = row.get(f"{score} - printed", np.nan)
        text = f"{row[score]:.1f}" + ("" if pd.isna(deviation) else f" ± {deviation:.1f}")
        return text if pd.isna(printed) else f"{text} ({printed:+.1f})"

    @staticmethod
    def difference(row: pd.Series, score: str) -> str:
        value = row[f"{score} - full"]
        if pd.isna(value):
            return "–"
        if pd.isna(row[f"{score} ±"]):
            return f"{value:+.1f}"
        return f"{value:+.1f} ± {row[f'{score} ±']:.1f} [{row[f'{score} low']:+.1f}, {row[f'{score} high']:+.1f}]"
