"""Pictures of training and of scores. They take mappings of plain values; `ax=None` makes a new figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from ..metrics import LEVELS, SCORES
from .theme import COLORS, INK, MORE_COLORS, QUIET, Picture, axes_or_new, explain_blank, legend_beside, mean_style, plain, use_theme
from .words import describe

LOSSES = ("loss", "audio", "visual", "joint", "contrastive", "mutual", "kl")
LOSS_STYLES = {
    "loss": {"color": INK, "linewidth": 2.6, "marker": ""},
    "audio": {"color": COLORS["audio"]}, "visual": {"color": COLORS["visual"]}, "joint": {"color": COLORS["audio_visual"]},
}
SCORE_COLORS = dict(zip(SCORES, [*COLORS.values(), "#CC79A7", INK], strict=True))


@use_theme()
def training_history(history: Any, best_epoch: int | None = None) -> Figure:
    """Draws the losses of training (Eq. 11) and the F-scores on val over the epochs, and marks the best epoch.

    `history`: a DataFrame or mapping of columns `epoch`, `loss`, the named losses, `mean`, `segment.audio` ... `event.event`;
    columns that are missing are left out. `best_epoch` by default that with the largest `mean` (of equals the later).

    >>> figure = training_history({"epoch": [1, 2], "loss": [3.0, 2.0], "mean": [50.0, 60.0]})
    >>> len(figure.axes)
    2
    """
    figure = Picture(figsize=(8.4, 6.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    columns = {str(name): np.asarray(history[name], dtype=float) for name in history}
    epoch = columns.get("epoch", np.array([]))
    if not len(epoch):
        explain_blank(above, "no epoch has been trained yet"), explain_blank(below, "no scores yet")
        return figure
    if best_epoch is None and "mean" in columns:
        best_epoch = int(epoch[len(epoch) - 1 - np.argmax(columns["mean"][::-1])])
    _loss_lines(above, epoch, columns)
    _score_lines(below, epoch, columns)
    if best_epoch is not None:
        for ax in (above, below):
            ax.axvline(best_epoch, color=QUIET, linewidth=1, linestyle=(0, (1, 2)), label=f"best epoch ({best_epoch})")
    for ax in (above, below):
        legend_beside(ax)
    return figure


def _loss_lines(ax: Axes, epoch: np.ndarray, columns: Mapping[str, np.ndarray]) -> None:
    """Draws the total bold in ink, its parts in the modalities' colours where they have one."""
    shown = [name for name in LOSSES if name in columns and np.any(columns[name] != 0)]
    for number, name in enumerate(shown):
        style = mean_style(number) | LOSS_STYLES.get(name, {})
        ax.plot(epoch, columns[name], label="total" if name == "loss" else name, **style)
    positive = [columns[name][columns[name] > 0] for name in shown]
    if shown and all(len(p) for p in positive):
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set(title="Training losses", ylabel="loss")


def _score_lines(ax: Axes, epoch: np.ndarray, columns: Mapping[str, np.ndarray]) -> None:
    """Draws segment-level scores solid with filled markers, event-level ones dashed and hollow, their mean bold."""
    for level, line in zip(LEVELS, ("-", "--"), strict=True):
        for name, marker in zip(SCORES, "os^Dv", strict=True):
            if f"{level}.{name}" in columns:
                color = SCORE_COLORS[name]
                face = color if level == "segment" else "white"
                style = {"color": color, "marker": marker, "markerfacecolor": face, "linewidth": 1.2}
                ax.plot(epoch, columns[f"{level}.{name}"], line, label=f"{level}, {name.replace('_', '-')}", **style)
    at_video_level = [name for name in columns if name.startswith("video.")]  # of data with weak labels alone
    for name, marker in zip(at_video_level, "os", strict=False):
        style = {"color": QUIET, "marker": marker, "linewidth": 1.2}
        ax.plot(epoch, columns[name], label=f"video, {name.partition('.')[2]}", **style)
    if "mean" in columns:
        ax.plot(epoch, columns["mean"], color=INK, linewidth=3, label="mean of the two" if at_video_level else "mean of the ten")
    ax.set_xlim(epoch.min() - 0.5, epoch.max() + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set(title="F-scores on val", xlabel="epoch", ylabel="F-score (%)")


@use_theme()
def score_bars(
    scores: Mapping[str, Mapping[str, float]], floors: Mapping[str, Mapping[str, Mapping[str, float]]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws the ten F-scores in percent as bars, and across each bar what it must be read against.

    `scores`: `{"segment": {"audio": ...}, "event": {...}}` as `metrics.f_scores` gives; `floors`: the same by a floor's name.

    >>> from cmpae_toolkit import metrics
    >>> roll = np.ones((1, 2, 10, 3), bool)
    >>> len(score_bars(metrics.f_scores(roll, roll)).patches)  # ten scores
    10
    """
    ax = axes_or_new(ax, 8.4, 4.2)
    keys = [(level, name) for level in LEVELS for name in SCORES]
    x = np.array([i + 0.8 * (i >= len(SCORES)) for i in range(len(keys))])
    heights = np.array([scores[level][name] for level, name in keys])
    # light fills, so that a floor's mark in ink is seen on every bar
    ax.bar(x, heights, 0.7, color=[SCORE_COLORS[name] for _, name in keys], alpha=0.6, edgecolor=INK, linewidth=0.6)
    for marker, line, (name, floor) in zip("vosD", ("-", ":", "--", "-."), (floors or {}).items(), strict=False):
        values = [floor[level][track] for level, track in keys]
        ax.hlines(values, x - 0.43, x + 0.43, color=INK, linewidth=1.2, linestyle=line)
        ax.plot(x - 0.43, values, marker, color=INK, markerfacecolor="white", label=plain(name), clip_on=False)
    names = [name.replace("audio_visual", "audio-\nvisual") for _, name in keys]
    ax.set_xticks(x, [f"{height:.1f}\n{name}" for height, name in zip(heights, names, strict=True)])
    for level, start in zip(LEVELS, (0, len(SCORES)), strict=True):
        ax.text(x[start : start + len(SCORES)].mean(), 97, f"{level} level", ha="center", va="top", color=QUIET)
    ax.set(ylim=(0, 100), ylabel="F-score (%)", title="F-scores, their values below the bars")
    told = [f"{level} level, {name.replace('_', '-')} {height:.1f}" for (level, name), height in zip(keys, heights, strict=True)]
    types = {name: " and ".join(f"{floor[level]['type']:.1f}" for level in LEVELS) for name, floor in (floors or {}).items()}
    describe(ax, "; ".join([*told, *(f"type of {name}: {both}" for name, both in types.items())]))
    legend_beside(ax, title="to read them against" if floors else None)
    return ax


@use_theme()
def threshold_curve(
    thresholds: Sequence[float], scores: Mapping[str, Sequence[float]], chosen: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draws F-scores in percent over a threshold on the probability; `scores` by curve name, `chosen` marks one threshold.

    >>> threshold_curve([0.3, 0.5, 0.7], {"segments": [60, 64, 61]}, chosen=0.5).get_xlabel()
    'threshold on the probability'
    """
    ax = axes_or_new(ax)
    for number, (name, values) in enumerate(scores.items()):
        # the five scores in their colours everywhere, other curves in colours that are none of theirs
        style = mean_style(number) | {"color": SCORE_COLORS.get(name, MORE_COLORS[4 + number % 3])}
        ax.plot(thresholds, values, label=plain(name.replace("audio_visual", "audio-visual")), **style)
    if chosen is not None:
        ax.axvline(chosen, color=QUIET, linewidth=1, linestyle=(0, (1, 2)), label=f"chosen ({chosen:g})")
    ax.set(xlabel="threshold on the probability", ylabel="F-score (%)", title="F-scores over the threshold")
    legend_beside(ax)
    return ax
