"""Small pictures of the course: an opinion with its density, maps of certainty, tables of numbers, lines, bars, and the
method as a drawing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from .opinions import beta_density, opinion_triangle
from .results import intervals
from .theme import (
    COLORS,
    INK,
    LINE,
    MORE_COLORS,
    QUIET,
    SEQUENTIAL,
    Picture,
    axes_or_new,
    bar_style,
    legend_beside,
    mean_style,
    name_rows,
    plain,
    readable,
    row_inches,
    time_axis,
    use_theme,
)
from .words import MOST_CURVES, describe

if TYPE_CHECKING:
    import pandas as pd

BLANK = 1e-12  # smaller numbers of a table are shown as 0 and stay white


@use_theme()
def opinion_figure(presence: float, absence: float) -> Figure:
    """Draws one opinion twice: its Beta density (Eq. 4) at the left, its point in the triangle at the right. Evidence is 0 or more.

    >>> len(opinion_figure(presence=6, absence=1).axes)
    2
    """
    figure = Picture(figsize=(8.4, 3.6), layout="constrained")
    density, triangle = figure.subplots(1, 2, width_ratios=(1.3, 1))
    strength = presence + absence + 2
    beta_density(presence + 1, absence + 1, density)
    density.get_legend().remove()
    density.set_title(f"Beta({presence + 1:g}, {absence + 1:g})")
    opinion_triangle(presence / strength, absence / strength, 2 / strength, triangle)
    triangle.set_title(f"vacuity {2 / strength:.2f}")
    return figure


@use_theme()
def certainty_maps(
    maps: Mapping[str, np.ndarray], extent: tuple[float, float, float, float], points: np.ndarray, labels: np.ndarray, columns: int = 3
) -> Figure:
    """Draws maps over the plane (row from bottom to top, column), values in 0..1, each with the training points (n, 2) of both labels.

    >>> points, labels = np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([0, 1])
    >>> figure = certainty_maps({"1 - vacuity": np.random.rand(8, 8)}, (0, 1, 0, 1), points, labels)
    >>> figure.axes[0].get_title(loc="left")
    '1 - vacuity'
    """
    rows = -(-len(maps) // columns)
    steps = colormaps[SEQUENTIAL].resampled(10)
    figure = Picture(figsize=(2.75 * columns + 0.9, 2.75 * rows + 0.2), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for ax in axes.flat[len(maps) :]:
        ax.remove()
    for ax, (name, values) in zip(axes.flat, maps.items(), strict=False):
        image = ax.imshow(values, extent=extent, origin="lower", cmap=steps, vmin=0, vmax=1, interpolation="nearest")
        for label, color in ((0, MORE_COLORS[5]), (1, "#F0E442")):
            style = {"color": color, "markersize": 3.5, "markeredgecolor": INK, "markeredgewidth": 0.4, "linestyle": "none"}
            ax.plot(*points[labels == label].T, "os"[label], **style)
        ax.set_title(plain(name), fontsize=10)
        describe(ax, f"a map of the plane from {values.min():.2f} to {values.max():.2f}, {values.mean():.2f} in the mean")
    figure.colorbar(image, ax=list(axes.flat[: len(maps)]), label="certainty", shrink=0.8)
    return figure


@use_theme()
def number_table(
    values: np.ndarray, rows: Sequence[str], columns: Sequence[str], ax: Axes | None = None, *,
    log: bool = False, title: str = "", form: str = "{:.2g}",
) -> Axes:
    """Writes numbers of 0 or more in cells (row, column), which are the darker the larger the number; zeros stay white.

    >>> ax = number_table(np.array([[0.0, 12.0]]), ["PE"], ["Speech", "Dog"])
    >>> [text.get_text() for text in ax.texts]
    ['0', '12']
    """
    values = np.asarray(values, dtype=float)
    ax = axes_or_new(ax, row_inches(len(columns), 1.25, 2.2), row_inches(len(rows), 0.34, 1.2))
    shown = np.ma.masked_less(values, BLANK)
    least = float(shown.min()) if shown.count() else 1.0
    most = max(float(values.max(initial=0)), 1.0001 * least)
    norm = LogNorm(least, most) if log else Normalize(0, most)
    ax.imshow(shown, cmap=SEQUENTIAL, norm=norm, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        dark = value >= BLANK and norm(value) > 0.6
        text = form.format(value) if value >= BLANK else "0"
        ax.text(column, row, text, ha="center", va="center", color="white" if dark else INK, fontsize=9)
    name_rows(ax, range(len(rows)), [plain(name) for name in rows])
    name_rows(ax, range(len(columns)), [plain(name) for name in columns], "x")
    ax.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(plain(title))
    told = [", ".join(f"{c} {v:.3g}" for c, v in zip(columns, row, strict=True)) for row in values[:MOST_CURVES]]
    describe(ax, "a table: " + "; ".join(f"{name}: {row}" for name, row in zip(rows, told, strict=False)))
    return ax


@use_theme()
def lines(
    x: Sequence[float], curves: Mapping[str, Sequence[float]], ax: Axes | None = None, *,
    xlabel: str = "", ylabel: str = "", title: str = "", markers: bool = False,
) -> Axes:
    """Draws curves by name over x, told apart by colour and line style (and by markers, where points matter).

    >>> lines([0, 1, 2], {"train": [3, 2, 1], "val": [3, 3, 2]}, ylabel="loss").get_ylabel()
    'loss'
    """
    ax = axes_or_new(ax)
    for number, (name, values) in enumerate(curves.items()):
        ax.plot(x, values, label=plain(name), **mean_style(number) | ({} if markers else {"marker": ""}))
    ax.set(xlabel=xlabel, ylabel=ylabel, title=plain(title))
    legend_beside(ax)
    return ax


@use_theme()
def category_bars(
    categories: Sequence[str], values: Mapping[str, np.ndarray], ax: Axes | None = None, *,
    marks: Mapping[str, np.ndarray] | None = None, mark: str = "", xlabel: str = "", title: str = "",
) -> Axes:
    """Draws a row for each category with a bar for each modality: `values` (category,) by modality; `marks` stand over the bars.

    >>> ax = category_bars(["Speech", "Dog"], {"audio": np.array([5, 2]), "visual": np.array([3, 4])}, xlabel="videos")
    >>> len(ax.patches)
    4
    """
    ax = axes_or_new(ax, 7.2, row_inches(len(categories), 0.26, 1.2))
    height = 0.8 / len(values)
    for number, (name, value) in enumerate(values.items()):
        y = np.arange(len(categories)) + (number - (len(values) - 1) / 2) * height
        ax.barh(y, value, height, label=plain(name), **bar_style(name, len(categories)))
        if marks is not None and name in marks:
            ax.plot(marks[name], y, "|", color=INK, markersize=5, markeredgewidth=1.6, label=mark if not number else "_")
    name_rows(ax, range(len(categories)), [readable(c, 40) for c in categories])
    ax.set(ylim=(len(categories) - 0.4, -0.6), xlabel=xlabel, title=plain(title))
    legend_beside(ax)
    return ax


@use_theme()
def overlaps(pairs: Mapping[str, tuple[tuple[int, int], tuple[int, int]]], snippets: int = 10) -> Figure:
    """Draws the IoU of two events as lengths, a panel for each pair (reference, estimate) of (onset, offset) in seconds.

    Above are the two events as `tracks` draws them, below their intersection and their union; the title divides one by the other.

    >>> figure = overlaps({"a hit": ((2, 8), (3, 8))})
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()][2:]
    ['intersection: 5 s', 'union: 6 s']
    """
    figure = Picture(figsize=(3.5 * len(pairs) + 1.2, 2.6), layout="constrained")
    for number, (ax, (name, both)) in enumerate(zip(figure.subplots(1, len(pairs), squeeze=False)[0], pairs.items(), strict=True)):
        (onset, offset), (onset_2, offset_2) = both
        shared = max(onset, onset_2), max(onset, onset_2, min(offset, offset_2))
        length = shared[1] - shared[0]
        union = offset - onset + offset_2 - onset_2 - length
        for y, (start, end), style in (
            (0, both[0], {"facecolor": COLORS["audio"], "edgecolor": COLORS["audio"]}),
            (1, both[1], {"facecolor": "white", "edgecolor": COLORS["audio"], "hatch": "////"}),
            (2, shared, {"facecolor": INK, "edgecolor": INK}),
        ):
            ax.barh(y, end - start, 0.6, start, **style)
        for start, end in ((onset, offset), (onset_2, offset_2)):
            ax.barh(3, end - start, 0.6, start, facecolor=QUIET, edgecolor=QUIET)
        name_rows(ax, range(4), ["reference", "estimate", f"intersection: {length} s", f"union: {union} s"] if not number else
                  ["", "", f"{length} s", f"{union} s"])
        time_axis(ax, snippets)
        ax.set_ylim(3.6, -0.6)
        verdict = "counts" if 2 * length >= union else "does not count"
        ax.set_title(plain(f"{name}\nIoU = {length} / {union} = {length / union:.2f}, {verdict}"), fontsize=10)
        describe(ax, f"reference from {onset} to {offset} s, estimate from {onset_2} to {offset_2} s")
    return figure


def interval_tables(
    tables: Mapping[str, "pd.DataFrame"], ax: Axes | None = None, *, line: float = 0.0, xlabel: str = "", title: str = ""
) -> Axes:
    """Draws tables with the columns "value" and "±", the half of a 95 % interval, a row for each name of the first: the first table as
    points with intervals, the others as hollow marks, and what to read them against as a `line`.

    >>> import pandas as pd
    >>> ax = interval_tables({"real media": pd.DataFrame({"value": [1.2, -0.3], "±": [0.4, 0.5]}, index=["audio", "visual"])})
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['real media, 95 % interval']
    """
    (first, main), *others = tables.items()
    marks = {name: table["value"].reindex(main.index) for name, table in others}
    ends = main["value"] - main["±"], main["value"] + main["±"]
    ax = intervals(list(main.index), main["value"], *ends, ax, marks=marks, label=f"{first}, 95 % interval", xlabel=xlabel, title=title)
    ax.axvline(line, color=QUIET, linewidth=0.8)
    return ax


# ---- the method as a drawing, our own of what the paper's Figure 2 shows: from features to opinions and mutual learning

WIDTH, HEIGHT = 10.4, 6.1  # inches; the axes count in inches, too
MIDDLE = 2.95  # the joint branch; audio above it, visual below, as mirror images
TRACK, PRESENCE, ABSENCE = 1.75, 2.2, 1.2  # how far above and below the middle a modality's rows are
SIGN = {"audio": 1, "visual": -1}
FRAMEWORK = (
    "The method from left to right. Audio and visual snippets pass one hybrid attention layer. From each modality alone comes its presence "
    "evidence; its absence evidence comes from a selector that also sees the sum of both modalities. A joint branch in the middle collects "
    "evidence from that sum. Attention pools the snippets of each branch into an opinion of the video, and mutual learning joins the "
    "opinions at the right"
)
FEATURES, CONTEXT, SUM, SELECTOR, EVIDENCE, POOLING, OPINION, MUTUAL = 0.72, 2.05, 3.2, 4.17, 5.78, 7.23, 8.4, 9.68  # columns


@dataclass(frozen=True)
class Box:
    """A step of the method: the middle of its box, what stands in it, its size, and its track and kind of line."""

    x: float
    y: float
    text: str
    width: float
    height: float = 0.76
    track: str | None = None
    kind: str = "presence"

    @property
    def left(self) -> tuple[float, float]:
        return self.x - self.width / 2, self.y

    @property
    def right(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y


@use_theme()
def framework() -> Figure:
    """Draws the method: features, hybrid attention, presence and absence evidence with the selectors, pooling, opinions, mutual learning.

    Colours as everywhere: audio orange, visual green, joint blue; presence in solid outline, absence in dashed outline.

    >>> len(framework().axes)
    1
    """
    figure = Picture(figsize=(WIDTH, HEIGHT))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    ax.axis("off")
    _draw_box(ax, Box(CONTEXT, MIDDLE, "hybrid\nattention\n\nself-attention\n+\ncross-attention\n\none layer\nfor both", 1.2, 4.5))
    _draw_box(ax, Box(MUTUAL, MIDDLE, _mutual_text(), 1.22, 4.5))
    for modality in SIGN:
        _draw_sources(ax, modality)
        _draw_modality(ax, modality)
    _draw_joint(ax)
    for x, text in _headings().items():
        ax.text(x, HEIGHT - 0.26, text, ha="center", va="center", color=QUIET, fontsize=9, linespacing=1.2)
    describe(ax, FRAMEWORK)
    ax.text(WIDTH / 2, 0.08, "solid outline: presence      dashed outline: absence", ha="center", color=QUIET, fontsize=9)
    return figure


def _headings() -> dict[float, str]:
    return {
        FEATURES: "features", CONTEXT: "context", SELECTOR: "selectors\n(Eq. 3)", EVIDENCE: "evidence\n(Eq. 2, 3, 6)",
        POOLING: "over snippets", OPINION: "opinions\n(Eq. 4, 7)", MUTUAL: "JML\n(Eq. 8 to 10)",
    }


def _mutual_text() -> str:
    return (
        "select by $\\delta(c)$:\n$p^{uni}, u^{uni}$\nfrom audio\nand visual\n\nteach each\nother in turn\n"
        "\nweighed by\nhow sure each\nside is:\n$u^{uni}, u^{av}$"
    )


def _draw_sources(ax: Axes, modality: str) -> None:
    """Draws one track from its snippets through the attention to x^m, which goes three ways: presence, selector, sum."""
    sign, m = SIGN[modality], modality[0]
    track, presence_y, absence_y = (MIDDLE + sign * distance for distance in (TRACK, PRESENCE, ABSENCE))
    features = Box(FEATURES, track, f"{modality}\nsnippets\n$t = 1 \\dots T$", 1.1, 0.95, modality)
    selector = Box(SELECTOR, absence_y, f"selector $h^{m}$\n$\\hat{{x}}^{m}$ from $x^{m}$", 1.15, track=modality, kind="absence")
    _draw_box(ax, features), _draw_box(ax, selector)
    ax.text(SUM - 0.27, track + 0.07, f"$x^{m}$", ha="center", va="bottom")
    _arrow(ax, features.right, (CONTEXT - 0.6, track))
    _line(ax, (CONTEXT + 0.6, track), (SUM, track))
    _line(ax, (SUM, track), (SUM, presence_y))
    _arrow(ax, (SUM, presence_y), (EVIDENCE - 0.72, presence_y))
    _arrow(ax, (SUM, track), (SUM, MIDDLE + sign * 0.16))
    _arrow(ax, (SUM, absence_y), selector.left)
    _arrow(ax, (SELECTOR, MIDDLE), (SELECTOR, absence_y - sign * 0.38))
    _arrow(ax, selector.right, (EVIDENCE - 0.72, absence_y))


def _draw_modality(ax: Axes, modality: str) -> None:
    """Draws one track from its two evidences, pooled together into one opinion for each category, to mutual learning."""
    sign, m = SIGN[modality], modality[0]
    track, presence_y, absence_y = (MIDDLE + sign * distance for distance in (TRACK, PRESENCE, ABSENCE))
    absence_text = f"absence $\\hat{{f}}$\n$\\hat{{e}}^{m} = g(\\hat{{f}}(\\hat{{x}}^{m}))$"
    presence = Box(EVIDENCE, presence_y, f"presence $f$\n$e^{m} = g(f(x^{m}))$", 1.44, track=modality)
    absence = Box(EVIDENCE, absence_y, absence_text, 1.44, track=modality, kind="absence")
    pooling = Box(POOLING, track, f"attention\npooling,\nweights $A^{m}_t$", 1.0, 1.5, modality)
    opinion = Box(OPINION, track, f"$p^{m}, u^{m}$\nrisk: Eq. 5", 0.92, track=modality)
    for box in (presence, absence, pooling, opinion):
        _draw_box(ax, box)
    for box in (presence, absence):
        _arrow(ax, box.right, (pooling.left[0], box.y))
    _arrow(ax, pooling.right, opinion.left)
    _arrow(ax, opinion.right, (MUTUAL - 0.61, track), "<|-|>")


def _draw_joint(ax: Axes) -> None:
    """Draws the branch that sees the sum of both modalities; the same sum feeds the selectors."""
    look = {"height": 0.76, "track": "audio_visual"}
    collector = Box(EVIDENCE, MIDDLE, "joint $f^{av}$\n$e^{av}, \\hat{e}^{av}$", 1.44, **look)
    pooling = Box(POOLING, MIDDLE, "mean of\n$A^a$ and $A^v$", 1.0, **look)
    opinion = Box(OPINION, MIDDLE, "$p^{av}, u^{av}$\nrisk: Eq. 5", 0.92, **look)
    for box in (Box(SUM, MIDDLE, "+", 0.3, 0.3), collector, pooling, opinion):
        _draw_box(ax, box)
    ax.plot(SELECTOR, MIDDLE, "o", color=INK, markersize=4)
    ax.text(3.74, MIDDLE + 0.07, "$x^a + x^v$", ha="center", va="bottom", fontsize=9)
    _arrow(ax, (SUM + 0.15, MIDDLE), collector.left)
    _arrow(ax, collector.right, pooling.left)
    _arrow(ax, pooling.right, opinion.left)
    _arrow(ax, opinion.right, (MUTUAL - 0.61, MIDDLE), "<|-|>")


def _draw_box(ax: Axes, box: Box) -> None:
    color = COLORS[box.track] if box.track else QUIET
    tint = tuple(0.88 + 0.12 * value for value in to_rgb(color))
    shape = {"boxstyle": "round,pad=0,rounding_size=0.08", "linestyle": LINE[box.kind], "linewidth": 1.6}
    corner = (box.left[0], box.y - box.height / 2)
    ax.add_patch(FancyBboxPatch(corner, box.width, box.height, facecolor=tint, edgecolor=color, **shape))
    ax.text(box.x, box.y, box.text, ha="center", va="center", fontsize=9.5, linespacing=1.45)


def _line(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    ax.plot(*zip(start, end, strict=True), color=INK, linewidth=1.1, solid_capstyle="round")


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], style: str = "-|>") -> None:
    look = {"arrowstyle": style, "mutation_scale": 9, "shrinkA": 0, "shrinkB": 0, "color": INK, "linewidth": 1.1}
    ax.add_patch(FancyArrowPatch(start, end, **look))
