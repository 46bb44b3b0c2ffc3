"""Small pictures of the course: an opinion with its density, maps of certainty, tables of numbers, lines, bars, intervals."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from PIL import Image

from .opinions import beta_density, opinion_triangle
from .theme import (
    COLORS,
    HATCH,
    INK,
    MORE_COLORS,
    QUIET,
    SEQUENTIAL,
    Picture,
    axes_or_new,
    legend_beside,
    mean_style,
    png,
    readable,
    use_theme,
)

BLANK = 1e-12  # smaller numbers of a table are shown as 0 and stay white


class Snapshot:
    """A figure as a notebook stores it: `.figure`, a PNG picture of at most 128 colours, a third of the full one's size, and `.alt`,
    what readers hear who do not see it: the titles, and that the text below tells the rest."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        buffer = io.BytesIO()
        Image.open(io.BytesIO(png(figure))).convert("RGB").quantize(128).save(buffer, "PNG", optimize=True)
        self.png, self.alt = buffer.getvalue(), alt_text(figure)

    def _repr_png_(self) -> tuple[bytes, dict[str, str]]:
        return self.png, {"alt": self.alt}

    def __repr__(self) -> str:
        return f"<picture with {len(self.figure.axes)} axes>"


def alt_text(figure: Figure) -> str:
    """"Figure: " and every title in it."""
    titles = [figure.get_suptitle(), *(ax.get_title(loc) for ax in figure.axes for loc in ("left", "center", "right"))]
    told = "; ".join(dict.fromkeys(" ".join(t.split()) for t in titles if t.strip()))
    return f"Figure: {told or 'a drawing'}. Described in the text beside it."


def keep(picture: Figure | Axes, name: str, folder: str | Path = "../figures") -> Snapshot:
    """Writes a figure (or that of the axes) to `folder`, where there is such a folder, and returns it for the notebook to show."""
    shown = Snapshot(picture.figure)
    if Path(folder).is_dir():
        Path(folder, name).write_bytes(shown.png)
    return shown


@use_theme()
def opinion_figure(presence: float, absence: float) -> Figure:
    """One opinion twice: its Beta density (Eq. 4) at the left, its point in the triangle at the right. Evidence >= 0."""
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
    """Maps over the plane (row from bottom to top, column), values in 0..1, each with the training points (n, 2) of both labels."""
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
        ax.set_title(name, fontsize=10)
    figure.colorbar(image, ax=list(axes.flat[: len(maps)]), label="certainty", shrink=0.8)
    return figure


@use_theme()
def number_table(
    values: np.ndarray, rows: Sequence[str], columns: Sequence[str], ax: Axes | None = None, *,
    log: bool = False, title: str = "", form: str = "{:.2g}",
) -> Axes:
    """Numbers >= 0 in cells (row, column) that are the darker the larger; zeros stay white."""
    values = np.asarray(values, dtype=float)
    ax = axes_or_new(ax, 2.2 + 1.25 * len(columns), 1.2 + 0.34 * len(rows))
    shown = np.ma.masked_less(values, BLANK)
    least = float(shown.min()) if shown.count() else 1.0
    most = max(float(values.max(initial=0)), 1.0001 * least)
    norm = LogNorm(least, most) if log else Normalize(0, most)
    ax.imshow(shown, cmap=SEQUENTIAL, norm=norm, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        dark = value >= BLANK and norm(value) > 0.6
        text = form.format(value) if value >= BLANK else "0"
        ax.text(column, row, text, ha="center", va="center", color="white" if dark else INK, fontsize=9)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_xticks(range(len(columns)), columns)
    ax.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(title)
    return ax


@use_theme()
def lines(
    x: Sequence[float], curves: Mapping[str, Sequence[float]], ax: Axes | None = None, *,
    xlabel: str = "", ylabel: str = "", title: str = "", markers: bool = False,
) -> Axes:
    """Curves by name over x, told apart by colour and line style (and markers, where points matter)."""
    ax = axes_or_new(ax)
    for number, (name, values) in enumerate(curves.items()):
        ax.plot(x, values, label=name, **mean_style(number) | ({} if markers else {"marker": ""}))
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    legend_beside(ax)
    return ax


@use_theme()
def category_bars(
    categories: Sequence[str], values: Mapping[str, np.ndarray], ax: Axes | None = None, *,
    marks: Mapping[str, np.ndarray] | None = None, mark: str = "", xlabel: str = "", title: str = "",
) -> Axes:
    """A row for each category with a bar for each modality, `values` (category,) by modality; `marks` are drawn over the bars."""
    ax = axes_or_new(ax, 7.2, 1.2 + 0.26 * len(categories))
    height = 0.8 / len(values)
    for number, (name, value) in enumerate(values.items()):
        y = np.arange(len(categories)) + (number - (len(values) - 1) / 2) * height
        style = {"color": COLORS.get(name, QUIET), "hatch": HATCH.get(name, ""), "edgecolor": "white"}
        ax.barh(y, value, height, label=name, **style)
        if marks is not None and name in marks:
            ax.plot(marks[name], y, "|", color=INK, markersize=5, markeredgewidth=1.6, label=mark if not number else "_")
    ax.set_yticks(range(len(categories)), [readable(c, 40) for c in categories])
    ax.set(ylim=(len(categories) - 0.4, -0.6), xlabel=xlabel, title=title)
    legend_beside(ax)
    return ax


@use_theme()
def intervals(
    names: Sequence[str], values: Sequence[float], low: Sequence[float], high: Sequence[float], ax: Axes | None = None, *,
    marks: Mapping[str, Sequence[float]] | None = None, xlabel: str = "", title: str = "",
) -> Axes:
    """A point with its interval for each name, and what to read it against as hollow marks in the same row."""
    ax = axes_or_new(ax, 7.2, 1.2 + 0.36 * len(names))
    y = np.arange(len(names))
    ax.hlines(y, low, high, color=INK, linewidth=2.4)
    ax.plot(values, y, "o", color=INK, label="value and interval")
    for marker, (name, row) in zip("vsD^", (marks or {}).items(), strict=False):
        ax.plot(row, y, marker, color=QUIET, markerfacecolor="white", label=name, clip_on=False)
    ax.set_yticks(y, names)
    ax.set(ylim=(len(names) - 0.4, -0.6), xlabel=xlabel, title=title)
    ax.grid(axis="x")
    ax.set_axisbelow(True)
    legend_beside(ax)
    return ax
