"""Results of grids of runs: tables, intervals and rankings as dots, categories against a baseline, F over thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .theme import (
    COLORS,
    INK,
    MORE_COLORS,
    QUIET,
    Picture,
    axes_or_new,
    legend_beside,
    name_rows,
    plain,
    readable,
    row_inches,
    use_theme,
)
from .words import MOST_CURVES, describe

if TYPE_CHECKING:
    import pandas as pd

NOT_SCORES = (" sd", " - printed", " - full", " ±", " low", " high")  # what a score's further columns are called


@use_theme()
def result_table(frame: pd.DataFrame, title: str = "") -> Figure:
    """Draws a table of the paper, `tables.Table.frame`: a panel for each of up to two scores (type where there are ten).

    Measured rows are filled dots with their standard deviation, printed ones and floors hollow, in a block for each data set. In
    Tables 5 and 6 the panels show the difference to the full model with its 95 % interval over seeds.

    >>> from cmpae_toolkit.studies import tables
    >>> figure = result_table(tables.make(3, "tables", ["simulated-ave"]).frame, title="simulated AVE")
    >>> len(figure.axes) <= 2
    True
    """
    scores = [c for c in frame.columns if c not in ("method", "data", "n") and not c.endswith(NOT_SCORES)]
    scores = [c for c in scores if c.endswith(".type")] or scores[:2]
    frame = frame.dropna(subset=scores, how="all").reset_index(drop=True)
    differences = all(f"{c} - full" in frame for c in scores)
    picture = Picture(figsize=(10.5, row_inches(len(frame) + frame["data"].nunique(), 0.24, 1.6)), layout="constrained")
    axes = picture.subplots(1, len(scores), sharey=True, squeeze=False)[0]
    y = _places(frame["data"])
    for ax, score in zip(axes, scores, strict=True):
        value = f"{score} - full" if differences else score
        spread = f"{score} ±" if differences else f"{score} sd"
        _dots(ax, frame, y, value, spread if spread in frame else None)
        name = score.replace("_", "-").replace(".", " level, ")
        ax.set(title=name, xlabel="difference to the full model (points)" if differences else "percent")
        if differences:
            ax.axvline(0, color=QUIET, linewidth=0.8)
        rows = [f"{m} on {d} {v:.1f}" for m, d, v in zip(frame["method"], frame["data"], frame[value], strict=True)]
        describe(ax, "; ".join(rows[:2 * MOST_CURVES]) + f"; and {len(rows) - 2 * MOST_CURVES} more" * (len(rows) > 2 * MOST_CURVES))
    name_rows(axes[0], y, [readable(method, 40) for method in frame["method"]])
    axes[0].set_ylim(y.max() + 0.8, -1.4)
    for first, data in frame["data"].drop_duplicates().items():
        look = {"transform": axes[0].get_yaxis_transform(), "color": INK, "weight": "bold", "fontsize": 9, "va": "center"}
        axes[0].text(0.0, y[first] - 0.95, plain(data), **look)
    picture.suptitle(plain(title), x=0.01, ha="left", fontsize=11, wrap=True)
    return picture


def _places(data: pd.Series) -> np.ndarray:
    """Gives each row its place, and leaves one free above each block of one data set."""
    return np.arange(len(data)) + (data != data.shift()).cumsum().to_numpy() * 1.3 - 1.3


def _dots(ax: Axes, frame: pd.DataFrame, y: np.ndarray, value: str, spread: str | None) -> None:
    measured = frame["n"].notna().to_numpy()
    if spread is not None:
        low, high = (frame[value] - frame[spread]).to_numpy(), (frame[value] + frame[spread]).to_numpy()
        ax.hlines(y, low, high, color=COLORS["audio_visual"], linewidth=2)
    values, blue = frame[value].to_numpy(), COLORS["audio_visual"]
    for which, edge, fill in ((measured, blue, blue), (~measured, INK, "white")):
        ax.plot(values[which], y[which], "o", color=edge, markerfacecolor=fill)
    ax.grid(axis="x")
    ax.set_axisbelow(True)


@use_theme()
def intervals(
    names: Sequence[str], values: Sequence[float], low: Sequence[float], high: Sequence[float], ax: Axes | None = None, *,
    marks: Mapping[str, Sequence[float]] | None = None, label: str = "value and interval", color: str = INK, xlabel: str = "",
    title: str = "",
) -> Axes:
    """Draws a point with its interval for each name, and what to read it against as hollow marks in the same row.

    >>> ax = intervals(["paper", "released"], [64.3, 66.7], low=[64.0, 66.1], high=[64.6, 67.3], xlabel="type F (%)")
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['paper', 'released']
    """
    ax = axes_or_new(ax, 7.2, row_inches(len(names), 0.36, 1.2))
    y = np.arange(len(names))
    ax.hlines(y, low, high, color=color, linewidth=2.4)
    ax.plot(values, y, "o", color=color, label=plain(label))
    for marker, (name, row) in zip("vsD^", (marks or {}).items(), strict=False):
        ax.plot(row, y, marker, color=QUIET, markerfacecolor="white", label=plain(name), clip_on=False, zorder=1.5)  # behind the points
    name_rows(ax, y, [plain(name) for name in names])
    ax.set(ylim=(len(names) - 0.4, -0.6), xlabel=xlabel, title=plain(title))
    ax.grid(axis="x")
    ax.set_axisbelow(True)
    legend_beside(ax)
    told = [f"{name} {value:.3g}, from {a:.3g} to {b:.3g}" for name, value, a, b in zip(names, values, low, high, strict=True)]
    describe(ax, "; ".join(told[:2 * MOST_CURVES]))
    return ax


@use_theme()
def ranking(
    names: Sequence[str], values: Sequence[float], low: Sequence[float], high: Sequence[float], floors: Mapping[str, float], *,
    xlabel: str = "", title: str = "",
) -> Axes:
    """Draws `intervals` of means, the best on top, and floors as lines through all rows.

    A floor that lies further from all points than a tenth of their range is left out, so that the points stay apart.

    >>> ax = ranking(["paper", "HAN"], [64.3, 55.5], [61.9, 53.2], [66.7, 57.8], {"true weak labels everywhere": 62.8})
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['mean and interval', 'true weak labels everywhere']
    """
    ax = axes_or_new(None, 9, row_inches(len(names), 0.23, 1.0))
    look = dict(label="mean and interval", color=COLORS["audio_visual"], xlabel=xlabel, title=title)
    intervals(names, values, low, high, ax, **look)
    margin = 0.1 * (max(high) - min(low)) or 1.0
    ends = min(low) - margin, max(high) + margin
    for style, (name, value) in zip(("--", ":", "-."), floors.items(), strict=False):
        if ends[0] <= value <= ends[1]:
            ax.axvline(value, color=INK, linestyle=style, linewidth=1, zorder=0, label=plain(name))
    ax.set_xlim(ends)
    legend_beside(ax)
    return ax


@use_theme()
def category_scatter(table: pd.DataFrame, ours: str, baseline: str, ax: Axes | None = None, title: str = "") -> Axes:
    """Draws F of each category and track, `ours` against `baseline` (columns of `tables.per_category`): above the line is a gain.

    >>> import pandas as pd
    >>> table = pd.DataFrame({"category": ["Dog"], "track": ["audio"], "CMPAE": [60.0], "HAN": [50.0]})
    >>> category_scatter(table, "CMPAE", "HAN").get_ylabel()
    'CMPAE: F (%)'
    """
    import seaborn

    ax = axes_or_new(ax, 6.4, 5.4)
    tracks = [t for t in COLORS if t in set(table["track"])]
    markers = dict(zip(COLORS, ("o", "s", "D"), strict=True))
    seaborn.scatterplot(
        data=table, x=baseline, y=ours, hue="track", style="track", hue_order=tracks, style_order=tracks, palette=COLORS, markers=markers,
        s=42, edgecolor=INK, linewidth=0.5, ax=ax,
    )
    low = float(min(table[ours].min(), table[baseline].min())) - 3
    ax.plot([low, 100], [low, 100], color=QUIET, linewidth=0.8, zorder=0)
    describe(ax, f"{(table[ours] > table[baseline]).sum()} of {len(table)} points lie above the line of equal F")
    furthest = (table[ours] - table[baseline]).abs().nlargest(4).index
    for _, row in table.loc[furthest].iterrows():
        ax.annotate(readable(row["category"], 24), (row[baseline], row[ours]), (5, 3), textcoords="offset points", fontsize=8, color=INK)
    names = {"xlabel": plain(f"{baseline}: F (%)"), "ylabel": plain(f"{ours}: F (%)"), "title": plain(title)}
    ax.set(xlim=(low, 100), ylim=(low, 100), **names)
    legend_beside(ax)
    return ax


@use_theme()
def f_over_thresholds(curves: pd.DataFrame, order: Sequence[str], ax: Axes | None = None, title: str = "") -> Axes:
    """Draws F over the snippet threshold, mean and standard deviation over seeds, of the columns "threshold", "F", "variant" and "seed".

    >>> import pandas as pd
    >>> curves = pd.DataFrame({"threshold": [0.3, 0.5], "F": [60.0, 62.0], "variant": "paper", "seed": 0})
    >>> f_over_thresholds(curves, order=["paper"]).get_xlabel()
    'snippet threshold'
    """
    ax = axes_or_new(ax, 7.6, 4.0)
    import seaborn

    curves, order = curves.assign(variant=curves["variant"].map(plain)), [plain(name) for name in order]
    palette = dict(zip(order, MORE_COLORS, strict=False))
    seaborn.lineplot(
        data=curves, x="threshold", y="F", hue="variant", style="variant", hue_order=order, style_order=order, palette=palette,
        errorbar="sd", ax=ax,
    )
    ax.set(xlim=(0, 1), xlabel="snippet threshold", ylabel="type F on val (%)", title=plain(title))
    ax.grid(axis="y")
    legend_beside(ax)
    return ax
