"""Pictures of a data set from the arrays of a `VideoSet`; `ax=None` makes a new figure, and the Axes are returned.

`side_by_side` draws any of them for several data sets in one figure.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ..config import TRACKS
from ..metrics import events
from .theme import (
    SEQUENTIAL,
    TRACK_NAMES,
    Picture,
    axes_or_new,
    bar_style,
    explain_blank,
    legend_beside,
    name_rows,
    plain,
    readable,
    row_inches,
    use_theme,
)
from .words import describe

T = TypeVar("T")


@use_theme()
def side_by_side(
    draw: Callable[[Axes, T], object], sets: Mapping[str, T], width: float = 10.5, height: float = 3.0, *,
    columns: int | None = None, ratios: Sequence[float] | None = None, share: str = "", small: float = 7.5,
) -> Figure:
    """Draws one panel for each item of `sets`, titled with its key, by `draw(ax, item)`, and one legend below all of them.

    `columns`: panels in a row, by default all; `ratios`: their widths; `share`: "x" or "y" for one scale in all panels; `small`:
    the size of the names and numbers at the axes.

    >>> draw = lambda ax, n: ax.plot(range(n))
    >>> len(side_by_side(draw, {"two points": 2, "three points": 3}).axes)
    2
    """
    columns = columns or len(sets)
    figure = Picture(figsize=(width, height), layout="constrained")
    grid = {"squeeze": False, "sharex": "x" in share, "sharey": "y" in share, "width_ratios": ratios}
    panels = figure.subplots(-(-len(sets) // columns), columns, **grid).ravel()
    handles: dict[str, Any] = {}
    for ax, (name, each) in zip(panels, sets.items(), strict=False):
        draw(ax, each)
        ax.set_title("")
        ax.set_title(plain(name), fontsize=small + 1.5, loc="left" if columns == 1 else "right")
        ax.tick_params(labelsize=small)
        if legend := ax.get_legend():
            handles |= {text.get_text(): handle for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)}
            legend.remove()
    for ax in panels[len(sets) :]:
        ax.remove()
    if "y" in share:  # a drawing that fixes its lower end fixes the upper one of all panels, too
        bottom = panels[0].get_ylim()[0]
        panels[0].autoscale(axis="y")
        panels[0].set_ylim(bottom=bottom)
    _common_label(panels[: len(sets)], columns, small + 1.5)
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles), fontsize=small + 1.5)
    return figure


def _common_label(panels: Sequence[Axes], columns: int, size: float) -> None:
    """Writes what all panels have below their axis once, in the middle below all of them."""
    for ax in panels:
        ax.xaxis.label.set_size(size)
        ax.yaxis.label.set_size(size)
    if len({ax.get_xlabel() for ax in panels}) == 1:
        for number, ax in enumerate(panels):
            if number != len(panels) - 1 - (columns - 1) // 2:
                ax.set_xlabel("")


@use_theme()
def category_frequencies(
    categories: Sequence[str], weak_labels: np.ndarray | None = None, reference: np.ndarray | None = None, ax: Axes | None = None,
    *, percent: bool = False,
) -> Axes:
    """Draws in how many videos each category occurs: by weak label, and in the audio and visual reference where there is one.

    `weak_labels` (video, category); `reference` (video, modality, snippet, category). Sorted, the most frequent first;
    `percent`: of all videos, to compare data sets of different size.

    >>> ax = category_frequencies(["Speech", "Dog"], weak_labels=np.array([[1, 0], [1, 1]]))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['Speech', 'Dog']
    """
    counts: dict[str, np.ndarray] = {}
    if weak_labels is not None:
        counts["weak label"] = (np.asarray(weak_labels) > 0.5).sum(0)
    if reference is not None:
        counts |= dict(zip(("audible", "visible"), np.asarray(reference).any(2).sum(0), strict=True))
    ax = axes_or_new(ax, 7.2, row_inches(len(categories), 0.26, 1.4))
    if not counts:
        return explain_blank(ax, "neither weak labels nor a reference to count")
    order = np.argsort(-next(iter(counts.values())), kind="stable")
    y, height = np.arange(len(categories)), 0.8 / len(counts)
    tracks = {"audible": "audio", "visible": "visual"}
    for number, (name, count) in enumerate(counts.items()):
        style = bar_style(tracks.get(name, ""), len(y)) | ({} if name in tracks else {"color": "#BFBFBF"})
        count = 100 * count / max(len(weak_labels if name == "weak label" else reference), 1) if percent else count
        middle = y + (number - (len(counts) - 1) / 2) * height
        ax.barh(middle, count[order], height, label=name, **style)
    name_rows(ax, y, [readable(categories[i], 40) for i in order])
    ax.set(ylim=(len(categories) - 0.4, -0.6), xlabel="videos (%)" if percent else "videos")
    ax.set_title("How many videos hold each category")
    legend_beside(ax)
    return ax


@use_theme()
def modality_shares(categories: Sequence[str], reference: np.ndarray, ax: Axes | None = None) -> Axes:
    """Draws the shares of a category's snippets with an event that are only audible, only visible, and both, in percent.

    `reference` (video, modality, snippet, category). Categories without any event keep an empty row.

    >>> ax = modality_shares(["Speech", "Dog"], np.ones((3, 2, 10, 2), bool))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['Speech', 'Dog']
    """
    audio, visual = np.moveaxis(np.asarray(reference, bool), 1, 0)
    parts = {"audio": audio & ~visual, "audio_visual": audio & visual, "visual": visual & ~audio}
    counts = {track: part.sum((0, 1)) for track, part in parts.items()}
    total = np.maximum(sum(counts.values()), 1)
    ax = axes_or_new(ax, 7.2, row_inches(len(categories), 0.26, 1.4))
    order = np.argsort(-counts["audio"] / total, kind="stable")
    left = np.zeros(len(categories))
    names = {"audio": "only audible", "audio_visual": "audi-visible", "visual": "only visible"}
    for track, count in counts.items():
        share = 100 * (count / total)[order]
        ax.barh(np.arange(len(order)), share, 0.8, left, label=names[track], **bar_style(track, len(order)))
        left += share
    name_rows(ax, range(len(order)), [readable(categories[i], 40) for i in order])
    ax.set(xlim=(0, 100), ylim=(len(categories) - 0.4, -0.6), xlabel="share of the snippets with the event (%)")
    ax.set_title("In which modality each category happens")
    legend_beside(ax)
    return ax


@use_theme()
def durations(reference: np.ndarray, ax: Axes | None = None, *, percent: bool = False, seconds: float = 1.0) -> Axes:
    """Draws how long events last: the number of events of each length, for the three tracks.

    `reference` (video, modality, snippet, category); an event is a maximal run of snippets, each of which lasts `seconds`. `percent`:
    of the track's events, to compare data sets of different size.

    >>> durations(np.ones((3, 2, 10, 2), bool)).get_xlabel()
    'duration of the event (s)'
    """
    reference = np.asarray(reference, bool)
    snippets = reference.shape[2]
    rolls = [*np.moveaxis(reference, 1, 0), reference.all(1)]
    ax = axes_or_new(ax, 7.2, 3.6)
    for number, (track, roll) in enumerate(zip(TRACKS, rolls, strict=True)):
        x = np.arange(1, snippets + 1) + (number - 1) * 0.27
        lengths = run_lengths(roll)
        height = 100 * lengths / max(lengths.sum(), 1) if percent else lengths
        ax.bar(x, height, 0.27, label=TRACK_NAMES[track], **bar_style(track, snippets))
    ticks = range(1, snippets + 1, max(1, -(-snippets // 15)))
    ax.set_xticks(ticks, [f"{seconds * length:g}" for length in ticks])
    ax.set(xlim=(0.4, snippets + 0.6), xlabel="duration of the event (s)", ylabel="events (%)" if percent else "events")
    ax.set_title("How long events last")
    legend_beside(ax)
    return ax


def run_lengths(roll: np.ndarray) -> np.ndarray:
    """Counts the maximal runs of length 1, 2, ..., T in a roll, bool (video, snippet, category); the result is (snippet,)."""
    found = events(roll)
    return np.bincount(found[:, -1] - found[:, -2], minlength=roll.shape[1] + 1)[1:]


@use_theme()
def cooccurrence(
    categories: Sequence[str], weak_labels: np.ndarray, ax: Axes | None = None, *, key: bool = True, names: bool = True
) -> Axes:
    """Draws in how many videos two categories are labelled together; on the diagonal, in how many one is.

    `weak_labels` (video, category). The colour is logarithmic; cells without a video stay white. `key`: with the key of the
    colours, the names below, and up to 14 categories with numbers; `names`: with the names at the left.

    >>> ax = cooccurrence(["Speech", "Dog"], np.array([[1, 0], [1, 1]]))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['Speech', 'Dog']
    """
    import seaborn  # here: it takes a second to import

    present = (np.asarray(weak_labels) > 0.5).astype(int)
    together = present.T @ present
    size = len(categories)
    ax = axes_or_new(ax, row_inches(size, 0.3, 3.2), row_inches(size, 0.28, 2.6))
    if not together.any():
        return explain_blank(ax, "no weak label is set")
    norm = LogNorm(vmin=0.8, vmax=max(together.max(), 2))
    colors = {"norm": norm, "cmap": SEQUENTIAL, "linewidths": 0.5 if size < 100 else 0, "linecolor": "#EEEEEE"}
    numbers = {"annot": key and size <= 14, "fmt": "d", "annot_kws": {"size": 9}, "xticklabels": False, "yticklabels": False}
    bar = {"cbar": key, "cbar_kws": {"label": "videos", "format": "%g", "shrink": 0.8}}
    seaborn.heatmap(together, mask=together == 0, square=True, ax=ax, **bar, **colors, **numbers)
    for axis in "xy" if names and key else "y" if names else "":
        name_rows(ax, np.arange(size) + 0.5, [readable(c, 40) for c in categories], axis)
    ax.tick_params(axis="x", rotation=90), ax.tick_params(axis="y", rotation=0)
    apart = np.triu(together, 1)
    one, other = np.unravel_index(apart.argmax(), apart.shape)
    describe(ax, f"a table of {size} by {size} categories; {categories[one]} and {categories[other]} share most videos, {apart.max()}")
    ax.set_title("Categories that share a video")
    return ax
