"""Pictures of training, scores and data sets. They take arrays and plain values; `ax=None` makes a new figure.

Functions return the Axes they drew on (`.figure` is its figure) or, where they need several, a Figure.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .config import TRACKS
from .theme import COLORS, HATCH, INK, MORE_COLORS, QUIET, SEQUENTIAL, TRACK_NAMES, Picture
from .theme import axes_or_new, legend_beside, mean_style, readable, say, use_theme

LEVELS = ("segment", "event")
SCORES = ("audio", "visual", "audio_visual", "type", "event")
LOSSES = ("loss", "audio", "visual", "joint", "contrastive", "mutual", "kl")
SCORE_COLORS = dict(zip(SCORES, [*COLORS.values(), "#CC79A7", INK], strict=True))


@use_theme()
def training_history(history: Any, best_epoch: int | None = None) -> Figure:
    """The losses of training (Eq. 11) and the F-scores on val over the epochs, the best epoch marked.

    `history`: a DataFrame or mapping of columns `epoch`, `loss`, the named losses, `mean`, `segment.audio` ... `event.event`;
    columns that are missing are left out. `best_epoch` by default that with the largest `mean` (of equals the later).
    """
    figure = Picture(figsize=(8.4, 6.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    columns = {str(name): np.asarray(history[name], dtype=float) for name in history}
    epoch = columns.get("epoch", np.array([]))
    if not len(epoch):
        say(above, "no epoch has been trained yet"), say(below, "no scores yet")
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
    """The total bold in ink, its parts in the modalities' colours where they have one."""
    shown = [name for name in LOSSES if name in columns and np.any(columns[name] != 0)]
    for number, name in enumerate(shown):
        style = mean_style(number) | ({"color": INK, "linewidth": 2.4, "marker": ""} if name == "loss" else {})
        ax.plot(epoch, columns[name], label="total" if name == "loss" else name, **style)
    positive = [columns[name][columns[name] > 0] for name in shown]
    if shown and all(len(p) for p in positive):
        ax.set_yscale("log")
    ax.set(title="Training losses", ylabel="loss")


def _score_lines(ax: Axes, epoch: np.ndarray, columns: Mapping[str, np.ndarray]) -> None:
    """Segment-level scores solid with filled markers, event-level ones dashed and hollow, their mean bold."""
    for level, line in zip(LEVELS, ("-", "--"), strict=True):
        for name, marker in zip(SCORES, "os^Dv", strict=True):
            if f"{level}.{name}" in columns:
                color = SCORE_COLORS[name]
                face = color if level == "segment" else "white"
                label = f"{level}, {name.replace('_', '-')}"
                ax.plot(epoch, columns[f"{level}.{name}"], line, color=color, marker=marker, markerfacecolor=face, linewidth=1.2, label=label)
    if "mean" in columns:
        ax.plot(epoch, columns["mean"], color=INK, linewidth=3, label="mean of the ten")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(title="F-scores on val", xlabel="epoch", ylabel="F-score (%)")


@use_theme()
def score_bars(
    scores: Mapping[str, Mapping[str, float]], floors: Mapping[str, Mapping[str, Mapping[str, float]]] | None = None, ax: Axes | None = None
) -> Axes:
    """The ten F-scores in percent as bars, and across each bar what it must be read against.

    `scores`: `{"segment": {"audio": ...}, "event": {...}}` as `metrics.f_scores` gives; `floors`: the same by a floor's name.
    """
    ax = axes_or_new(ax, 8.4, 4.2)
    keys = [(level, name) for level in LEVELS for name in SCORES]
    x = np.array([i + 0.8 * (i >= len(SCORES)) for i in range(len(keys))])
    heights = np.array([scores[level][name] for level, name in keys])
    # light fills, so that a floor's mark in ink is seen on every bar
    bars = ax.bar(x, heights, 0.7, color=[SCORE_COLORS[name] for _, name in keys], alpha=0.75, edgecolor=INK, linewidth=0.6)
    for marker, (name, floor) in zip("vos", (floors or {}).items(), strict=False):
        values = [floor[level][track] for level, track in keys]
        ax.hlines(values, x - 0.43, x + 0.43, color=INK, linewidth=1.2, linestyle=":" if marker == "o" else "-")
        ax.plot(x - 0.43, values, marker, color=INK, markerfacecolor="white", label=name)
    for bar, height in zip(bars, heights, strict=True):
        ax.text(bar.get_x() + 0.35, 1.5, f"{height:.1f}", ha="center", va="bottom", fontsize=9, color="white" if height > 8 else INK,
                fontweight="bold", bbox={"facecolor": INK, "alpha": 0.55, "edgecolor": "none", "pad": 1.5} if height > 8 else None)
    ax.set_xticks(x, [name.replace("audio_visual", "audio-\nvisual") for _, name in keys])
    ax.set(ylim=(0, 100), ylabel="F-score (%)", title="F-scores: segment level (left) and event level (right)")
    legend_beside(ax, title="a floor, to read them against" if floors else None)
    return ax


@use_theme()
def threshold_curve(
    thresholds: Sequence[float], scores: Mapping[str, Sequence[float]], chosen: float | None = None, ax: Axes | None = None
) -> Axes:
    """F-scores in percent over a threshold on the probability; `scores` by curve name, `chosen` marks one threshold."""
    ax = axes_or_new(ax)
    for number, (name, values) in enumerate(scores.items()):
        color = {"color": COLORS[name]} if name in COLORS else {}
        ax.plot(thresholds, values, label=name.replace("audio_visual", "audio-visual"), **mean_style(number) | color)
    if chosen is not None:
        ax.axvline(chosen, color=QUIET, linewidth=1, linestyle=(0, (1, 2)), label=f"chosen ({chosen:g})")
    ax.set(xlabel="threshold on the probability", ylabel="F-score (%)", title="F-scores over the threshold")
    legend_beside(ax)
    return ax


@use_theme()
def category_frequencies(
    categories: Sequence[str], weak_labels: np.ndarray | None = None, reference: np.ndarray | None = None, ax: Axes | None = None
) -> Axes:
    """In how many videos each category occurs: by weak label, and in the audio and visual reference where there is one.

    `weak_labels` (video, category); `reference` (video, modality, snippet, category). Sorted, the most frequent first.
    """
    counts: dict[str, np.ndarray] = {}
    if weak_labels is not None:
        counts["weak label"] = (np.asarray(weak_labels) > 0.5).sum(0)
    if reference is not None:
        counts |= dict(zip(("audible", "visible"), np.asarray(reference).any(2).sum(0), strict=True))
    ax = axes_or_new(ax, 7.2, 1.4 + 0.26 * len(categories))
    if not counts:
        return say(ax, "neither weak labels nor a reference to count")
    order = np.argsort(-next(iter(counts.values())), kind="stable")
    y, height = np.arange(len(categories)), 0.8 / len(counts)
    styles = {"weak label": (QUIET, "", "0.75"), "audible": (COLORS["audio"], "", None), "visible": (COLORS["visual"], HATCH["visual"], None)}
    for number, (name, count) in enumerate(counts.items()):
        edge, hatch, face = styles[name]
        ax.barh(y + (number - (len(counts) - 1) / 2) * height, count[order], height, facecolor=face or edge, hatch=hatch, edgecolor="white", label=name)
    ax.set_yticks(y, [readable(categories[i], 40) for i in order])
    ax.set(ylim=(len(categories) - 0.4, -0.6), xlabel="videos", title="How many videos hold each category")
    legend_beside(ax)
    return ax


@use_theme()
def modality_shares(categories: Sequence[str], reference: np.ndarray, ax: Axes | None = None) -> Axes:
    """Of a category's snippets with an event, the shares that are only audible, only visible, and both, in percent.

    `reference` (video, modality, snippet, category). Categories without any event keep an empty row.
    """
    audio, visual = np.moveaxis(np.asarray(reference, bool), 1, 0)
    parts = {"audio": audio & ~visual, "audio_visual": audio & visual, "visual": visual & ~audio}
    counts = {track: part.sum((0, 1)) for track, part in parts.items()}
    total = np.maximum(sum(counts.values()), 1)
    ax = axes_or_new(ax, 7.2, 1.4 + 0.26 * len(categories))
    order = np.argsort(-counts["audio"] / total, kind="stable")
    left = np.zeros(len(categories))
    names = {"audio": "only audible", "audio_visual": "audi-visible", "visual": "only visible"}
    for track, count in counts.items():
        share = 100 * (count / total)[order]
        ax.barh(np.arange(len(order)), share, 0.8, left, color=COLORS[track], hatch=HATCH[track], edgecolor="white", label=names[track])
        left += share
    ax.set_yticks(range(len(order)), [readable(categories[i], 40) for i in order])
    ax.set(xlim=(0, 100), ylim=(len(categories) - 0.4, -0.6), xlabel="share of the snippets with the event (%)")
    ax.set_title("In which modality each category happens")
    legend_beside(ax)
    return ax


@use_theme()
def durations(reference: np.ndarray, ax: Axes | None = None) -> Axes:
    """How long events last: the number of events of each length in seconds, for the three tracks.

    `reference` (video, modality, snippet, category); an event is a maximal run of snippets, a snippet one second.
    """
    reference = np.asarray(reference, bool)
    snippets = reference.shape[2]
    rolls = [*np.moveaxis(reference, 1, 0), reference.all(1)]
    ax = axes_or_new(ax, 7.2, 3.6)
    for number, (track, roll) in enumerate(zip(TRACKS, rolls, strict=True)):
        x = np.arange(1, snippets + 1) + (number - 1) * 0.27
        style = {"color": COLORS[track], "hatch": HATCH[track], "edgecolor": "white"}
        ax.bar(x, run_lengths(roll), 0.27, label=TRACK_NAMES[track], **style)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlim=(0.4, snippets + 0.6), xlabel="duration of the event (s)", ylabel="events", title="How long events last")
    legend_beside(ax)
    return ax


def run_lengths(roll: np.ndarray) -> np.ndarray:
    """How many maximal runs have length 1, 2, ..., T: `roll` bool (video, snippet, category) -> (snippet,)."""
    rows = np.moveaxis(roll, 1, 2).reshape(-1, roll.shape[1]).astype(np.int8)
    edges = np.diff(np.pad(rows, ((0, 0), (1, 1))), axis=1)
    lengths = np.nonzero(edges == -1)[1] - np.nonzero(edges == 1)[1]
    return np.bincount(lengths, minlength=roll.shape[1] + 1)[1:]


@use_theme()
def cooccurrence(categories: Sequence[str], weak_labels: np.ndarray, ax: Axes | None = None) -> Axes:
    """In how many videos two categories are labelled together; on the diagonal, in how many one is.

    `weak_labels` (video, category). The colour is logarithmic; cells without a video stay white.
    """
    import seaborn  # here: it takes a second to import and no other picture needs it

    present = (np.asarray(weak_labels) > 0.5).astype(int)
    together = present.T @ present
    size = len(categories)
    ax = axes_or_new(ax, 3.2 + 0.3 * size, 2.6 + 0.28 * size)
    if not together.any():
        return say(ax, "no weak label is set")
    names = [readable(c, 40) for c in categories]
    norm = LogNorm(vmin=0.8, vmax=max(together.max(), 2))
    seaborn.heatmap(together, mask=together == 0, norm=norm, cmap=SEQUENTIAL, square=True, ax=ax, linewidths=0.5, linecolor="#EEEEEE",
                    annot=size <= 14, fmt="d", annot_kws={"size": 9}, xticklabels=names, yticklabels=names, cbar_kws={"label": "videos"})
    ax.tick_params(axis="x", rotation=90), ax.tick_params(axis="y", rotation=0)
    ax.set_title("Categories that share a video")
    return ax
