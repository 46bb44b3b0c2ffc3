"""The leaderboard: methods ranked by stored runs, one table a data set, where no rank stands without its interval.

The interval of a mean and that of a rank come from one bootstrap over seeds, drawn for each method, and over test videos, drawn for
all methods at once: it says how a method might have come out with other seeds and other videos of the same kind. The same draws say
which pairs of methods come out the other way round than in print.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .._files import flat
from ..errors import InputError
from . import escape
from .ablations import OUR_SCHEDULE
from .records import FLOORS, collect, read
from .rows import FULL, SHOWN, TYPE, printed_beside
from .statistics import CONFIDENCE, RESAMPLES

SHORT = {"segment.type": "type F, segments", "event.type": "type F, events", "accuracy": "accuracy"}
COST = {"parameters": "parameters, thousands", "seconds": "seconds a run"}
SCHEDULES = {  # whose schedule a method is on -> our rows
    "its authors'": {shown for shown, _ in SHOWN.values() if shown.endswith("its own schedule")} | {SHOWN[FULL][0]},
    "CMPAE's": {shown for shown, _ in SHOWN.values() if shown.endswith(OUR_SCHEDULE)} | {SHOWN[FULL][0]},
}
BUT = {"its authors'": " (CMPAE on the one chosen here)", "CMPAE's": ""}
ABOUT = """\
# Leaderboard

Every method that has stored runs, on one protocol: the same data, the epoch and all thresholds chosen on val, test scored once. In
brackets stand 95 % intervals, from a bootstrap over seeds and test videos, which for few seeds are a little too narrow; for a single
run they tell of test videos alone. Where the intervals of two ranks overlap, the order of the two is not known. Floors have no rank.
*Predict nothing* (on AVE *background everywhere*) is a bar to pass. *True weak labels everywhere* (on AVE *true category everywhere*) is
told each test video's labels, and is a yardstick only. "Printed" is the first score on the real LLP, AVE or AVEP of a row with the same
labels and losses, as the CMPAE paper or another one prints it: CoLeaF, and MA with its contrastive loss, after Table 1 of UWAV's paper;
rows on weak labels after a figure of DEEP, and HAN on AVEP after one of NREP (preprints of 2023). Seconds are the median time of a run
on one core of a busy machine; the time for making labels or noise ratios is not counted.

"CMPAE's schedule" is the toolkit's own: for each data set, the cheapest of four settings within one standard error of the best on val,
judged by CMPAE's ablations and its backbone alone. The preset `improved` was chosen on val of real media and `small`. No other method
was tuned here, which favours CMPAE. Two things move a method as far as its idea does: its schedule and the labels it learns from.
[main_results](main_results.ipynb) shows how far.

This page is made of the stored runs by `cmpae leaderboard --out docs/leaderboard.md --figures figures`; [results](results.md)
says what the data are, and [methods](methods.md) how to add a method.
"""


def page(tables: Mapping[str, pd.DataFrame], turned: Mapping[str, pd.DataFrame], pictures: Mapping[str, str] | None = None) -> str:
    """The page of `leaderboard`'s tables and `reversals`' pairs as Markdown; `pictures`: title -> a link to what `draw` made of it."""
    parts = [ABOUT]
    for title, table in tables.items():
        text = as_text(table)
        text["method"] = text["method"].map(escape.markdown)
        parts.append(f"## {escape.markdown(title)}\n")
        if pictures:
            parts.append(f"![Each method's mean with its interval, in the order of the table below]({pictures[title]})\n")
        parts += [text.to_markdown(index=False, disable_numparse=True) + "\n", _told(title, turned[title])]
    return "\n".join(parts)


def draw(tables: Mapping[str, pd.DataFrame], folder: str | Path) -> dict[str, Path]:
    """Draws each of `leaderboard`'s tables into `folder`: the means of its first score with their intervals, and floors as lines.

    Returns title -> picture, a PNG.
    """
    from ..plots.results import ranking as picture_of  # here, as they load matplotlib
    from ..plots.theme import keep

    made = {}
    for title, table in tables.items():
        score = next(column for column in SHORT if column in table)
        ranked, floors = table[table["n"].notna()], table[table["n"].isna()]
        few = [f" ({n:.0f} seed{'s' * (n > 1)})" if n < ranked["n"].max() else "" for n in ranked["n"]]
        columns = (ranked[column] for column in (score, f"{score} low", f"{score} high"))
        lines = dict(zip(floors["method"], floors[score], strict=True))
        ax = picture_of(list(ranked["method"] + few), *columns, lines, xlabel=f"{SHORT[score]}, in %", title=title)
        name = re.sub(r"\W+", "_", title.replace(" (test)", "")).strip("_")
        made[title] = Path(folder) / f"leaderboard_{name}.png"
        keep(ax, made[title].name, folder=Path(folder))
    return made


def _told(title: str, turned: pd.DataFrame) -> str:
    title, named = escape.markdown(title), turned.assign(**{column: turned[column].map(escape.markdown) for column in ("better", "worse")})
    lines = []
    for schedule in SCHEDULES:
        pairs = named.loc[named["schedule"] == schedule, "better":]
        turned_round = "these pairs come out the other way round than in print; the interval leaves 0 out:"
        told = turned_round if len(pairs) else "no pair is turned round so surely."
        lines.append(f"On {title}, with each method on {schedule} schedule{BUT[schedule]}, {told}\n")
        lines += [
            f"* **{better}** is {ours:.1f} [{low:.1f}, {high:.1f}] above **{worse}**, in print {printed:.1f} below."
            for better, worse, ours, low, high, printed in pairs.itertuples(index=False)
        ] + [""] * bool(len(pairs))
    return "\n".join(lines)


def leaderboard(results: str | Path | Sequence[str | Path] = "tables", also: Sequence[str] = ()) -> dict[str, pd.DataFrame]:
    """Title of the data -> `ranking` of its methods, the best first, with its floors below; of data that two methods share.

    `results`: a folder of runs, a stored study, or several of these. Raises InputError where no data set has runs of two methods.
    """
    sources = _sources(results)
    tables = {}
    for title, (runs, scores) in _by_data(results, also).items():
        floors = pd.DataFrame(_floors(sources, title, scores))
        ranked = ranking(runs, scores)
        printed = ranked["method"].map(_printed(title, scores[0]))
        tables[title] = pd.concat([ranked.assign(printed=printed), floors], ignore_index=True)
    return tables


def reversals(results: str | Path | Sequence[str | Path] = "tables") -> dict[str, pd.DataFrame]:
    """Title of the data -> pairs of methods that come out the other way round than in print, by more than the interval.

    Columns: whose schedule both are on, better, worse, and in percent points of the first score the difference, its low and high
    end, and how far "better" is below in print. Of CMPAE the preset `paper` is compared, of others each row that has a printed one with the
    same labels and losses. Methods of which there is one run alone are left out.
    """
    found = {}
    for title, (runs, scores) in _by_data(results).items():
        printed, pairs = _printed(title, scores[0]), []
        for schedule, rows in SCHEDULES.items():
            several = runs.groupby("method", sort=False)["seed"].nunique()  # of one run nobody knows how far seeds would move it
            methods = [m for m in several.index[several > 1] if m in printed and m in rows]
            values = [_values(runs[runs["method"] == m], scores[0]) for m in methods]
            means, drawn = np.array([v.mean() for v in values]), _resampled(values) if values else None
            for i, j in ((i, j) for i, a in enumerate(methods) for j, b in enumerate(methods) if printed[a] < printed[b]):
                low, high = np.quantile(drawn[:, i] - drawn[:, j], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
                if low > 0:
                    below = printed[methods[j]] - printed[methods[i]]
                    pairs.append((schedule, methods[i], methods[j], means[i] - means[j], low, high, below))
        numbers = dict.fromkeys(["difference", "low", "high", "printed below"], float)
        table = pd.DataFrame(pairs, columns=["schedule", "better", "worse", *numbers]).astype(numbers)
        found[title] = table.sort_values(["schedule", "difference"], ascending=[False, False], ignore_index=True)
    return found


def _sources(results: str | Path | Sequence[str | Path]) -> list[str | Path]:
    return [results] if isinstance(results, (str, Path)) else list(results)


def _by_data(results: str | Path | Sequence[str | Path], also: Sequence[str] = ()) -> dict[str, tuple[pd.DataFrame, list[str]]]:
    """Title of the data -> its runs with a column "method", and the scores to rank by; of data that two methods share."""
    runs = pd.concat([collect(source) for source in _sources(results)], ignore_index=True)
    names = {label: shown for label, (shown, _) in SHOWN.items()} | {label: label for label in also}
    runs = runs[runs["variant"].isin(names)].assign(method=runs["variant"].map(names))
    found = {}
    for title, group in runs.groupby("data", sort=False):
        if group["method"].nunique() > 1:
            located = "accuracy" in group and group["accuracy"].notna().all()
            found[title] = (group, ["accuracy"] if located else list(TYPE))
    if not found:
        raise InputError(f"{results} holds no data set with runs of two methods to rank: `cmpae tables` trains them.")
    return found


def _printed(title: str, score: str) -> dict[str, float]:
    """Method -> what the paper's table of data that are shaped like these prints as its score."""
    number = 3 if score == "accuracy" else 4 if "avep" in title.lower() else 2
    return {shown: scores[score] for shown, scores in printed_beside(number).items()}


def ranking(runs: pd.DataFrame, scores: Sequence[str] = TYPE, seed: int = 0) -> pd.DataFrame:
    """A row a method of `collect`'s runs on one data set (with a column "method"), sorted by the first score.

    Columns: method, n (seeds), for each score its mean in percent, "<score> low" and "<score> high", "<score> rank" from 1, and
    "<score> rank low" and "<score> rank high"; and, where all records have them, parameters and seconds, as medians.
    """
    methods = list(dict.fromkeys(runs["method"]))
    table = pd.DataFrame({"method": methods, "n": [int((runs["method"] == m).sum()) for m in methods]})
    for score in scores:
        values = [_values(runs[runs["method"] == m], score) for m in methods]
        means, drawn = np.array([v.mean() for v in values]), _resampled(values, seed)
        columns = {score: means, f"{score} rank": _ranks(means)}
        for what, draws in ((score, drawn), (f"{score} rank", _ranks(drawn))):
            for end, q in (("low", (1 - CONFIDENCE) / 2), ("high", (1 + CONFIDENCE) / 2)):
                columns[f"{what} {end}"] = np.quantile(draws, q, axis=0, method="inverted_cdf")
        table = table.assign(**columns)
    for cost in COST:
        if all(cost in record for record in runs["record"]):
            table[cost] = [np.median([record[cost] for record in runs.loc[runs["method"] == m, "record"]]) for m in methods]
    return table.sort_values(scores[0], ascending=False, ignore_index=True)


def _values(runs: pd.DataFrame, score: str) -> np.ndarray:
    """(seed, video) where the records keep the score of every video, else (seed, 1)."""
    kept, _, track = score.partition(".")  # "segment.type" is kept as "segment", "accuracy" as itself
    if track in ("", "type") and all(kept in record.get("per_video", ()) for record in runs["record"]):
        return np.array([record["per_video"][kept] for record in runs["record"]])
    return runs[score].to_numpy(float)[:, None]


def _resampled(values: Sequence[np.ndarray], seed: int = 0) -> np.ndarray:
    """Means of other draws of seeds and videos: (draw, method). Every method sees the same videos in a draw."""
    rng, videos = np.random.default_rng(seed), values[0].shape[1]
    if any(v.shape[1] != videos for v in values):
        raise InputError("the methods were scored on different numbers of videos: rank runs on one data set.")
    of_videos = rng.multinomial(videos, np.full(videos, 1 / videos), RESAMPLES) / videos
    means = []
    for scores in values:
        of_seeds = rng.multinomial(len(scores), np.full(len(scores), 1 / len(scores)), RESAMPLES) / len(scores)
        means.append(((of_seeds @ scores) * of_videos).sum(axis=1))
    return np.stack(means, axis=1)


def _ranks(means: np.ndarray) -> np.ndarray:
    """1 + the number of methods that are better, along the last axis."""
    return 1 + (means[..., None, :] > means[..., :, None]).sum(axis=-1)


def _floors(sources: Sequence[str | Path], title: str, scores: Sequence[str]) -> list[dict[str, Any]]:
    for source in sources:
        for file, stored in read(source).items():
            if Path(file).name == FLOORS and stored["title"] == title:
                if "accuracy" in scores:
                    found = {name: {"accuracy": value} for name, value in stored.get("accuracy", {}).items()}
                else:
                    found = {name: flat(floor) for name, floor in stored["floors"].items()}
                return [{"method": name, **{score: values[score] for score in scores}} for name, values in found.items()]
    return []


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """A ranking as a reader sees it: each rank and each mean with its interval; a floor's mean alone, and never a rank."""
    shown = {"method": table["method"], "seeds": _or_dash(table["n"], ".0f")}
    for score in (column for column in table if column in SHORT):
        shown[SHORT[score]] = [_with_interval(row, score, ".1f") for _, row in table.iterrows()]
        shown[f"rank in {SHORT[score]}"] = [_with_interval(row, f"{score} rank", ".0f") for _, row in table.iterrows()]
    if "printed" in table:
        shown["printed"] = _or_dash(table["printed"], ".1f")
    if "parameters" in table:
        shown[COST["parameters"]] = _or_dash(table["parameters"] / 1000, ",.0f")
    if "seconds" in table:
        shown[COST["seconds"]] = _or_dash(table["seconds"], ".0f")
    return pd.DataFrame(shown)


def _or_dash(values: pd.Series, form: str) -> list[str]:
    return ["–" if pd.isna(value) else f"{value:{form}}" for value in values]


def _with_interval(row: pd.Series, column: str, form: str) -> str:
    value, low, high = (row[name] for name in (column, f"{column} low", f"{column} high"))
    if pd.isna(value):
        return "–"
    return f"{value:{form}}" if pd.isna(low) else f"{value:{form}} [{low:{form}}, {high:{form}}]"
