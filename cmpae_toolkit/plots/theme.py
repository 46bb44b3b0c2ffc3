"""Colours, line styles and sizes of every picture, set inside `use_theme()` only: the caller's rcParams stay as they are.

One code throughout, after the paper's Figures 1 and 3: audio is orange, visual green, audio-visual blue; presence is solid,
absence dashed. What colour says, form says too: audio markers are filled and visual ones hollow, and each category has its
marker. Figures are made without pyplot, so none stays open and none is shown twice; `keep` writes them where they are wanted.
"""

import atexit
import contextlib
import functools
import io
import math
import os
import shutil
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from .._files import write_atomically
from .words import alt_text

# Okabe and Ito's palette, its orange darkened to stand out on white
COLORS = {"audio": "#D88A00", "visual": "#009E73", "audio_visual": "#0072B2"}
MORE_COLORS = ("#0072B2", "#D88A00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8A8A00")
INK, QUIET, MARKED = "#222222", "#666666", "#EEF1F4"
SEQUENTIAL = "Blues"
MARKERS = "os^DvPXpd<>h"
MOST_IN_KEY, KEY_WIDTH = 20, 26  # categories, characters in a line
SHARP, PAGE, COLOURS = 2, 900, 32  # dots a pixel of a picture in a notebook; pixels that a page is wide; colours at most
MOST_INCHES, LEAST_INCHES = 18.0, 0.115  # of a figure however many rows it has; of a row whose name is written
MOST_EDGED = 80  # rows whose bars have edges, which would cover narrower ones
LINE_INCHES = 0.195  # of a legend
LINE = {"presence": "-", "absence": "--"}
TRACK_NAMES = {"audio": "audible", "visual": "visible", "audio_visual": "audi-visible"}
HATCH = {"audio": "", "visual": "\\\\\\", "audio_visual": "..."}

THEME: dict[str, Any] = {
    "font.family": "DejaVu Sans", "font.size": 10, "axes.titlesize": 11, "axes.titleweight": "bold", "axes.labelsize": 10,
    "xtick.labelsize": 9, "ytick.labelsize": 9, "legend.fontsize": 9, "axes.titlelocation": "left", "axes.titlepad": 7,
    "figure.facecolor": "white", "axes.facecolor": "white", "savefig.facecolor": "white", "figure.dpi": 100,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": QUIET, "xtick.color": QUIET, "ytick.color": QUIET,
    "xtick.labelcolor": INK, "ytick.labelcolor": INK, "axes.linewidth": 0.7, "xtick.major.width": 0.7, "ytick.major.width": 0.7,
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "lines.linewidth": 1.7,
    "lines.markersize": 5.5, "hatch.linewidth": 0.8, "grid.color": "#DDDDDD", "grid.linewidth": 0.6,
}


class Picture(Figure):
    """A matplotlib Figure without pyplot that a notebook shows when it is the value of a cell."""

    def _repr_png_(self) -> bytes:
        return png(self)


@contextlib.contextmanager
def use_theme() -> Iterator[None]:
    """Gives pictures the toolkit's look inside `with use_theme():` (or under `@use_theme()`); outside, rcParams are as they were.

    >>> with use_theme():
    ...     ax = axes_or_new(None)
    >>> ax.spines["top"].get_visible()
    False
    """
    with matplotlib.style.context(["default", THEME]):
        yield


@use_theme()
def png(figure: Figure, dots_per_inch: float | None = None) -> bytes:
    """Returns the figure as the bytes of a PNG picture.

    >>> png(axes_or_new(None).figure)[1:4]
    b'PNG'
    """
    before = figure.dpi
    buffer = io.BytesIO()
    try:
        figure.dpi = dots_per_inch or before
        # light compression: drawing a picture anew while a slider moves must not wait for it
        FigureCanvasAgg(figure).print_png(buffer, pil_kwargs={"compress_level": 1})
    finally:
        figure.dpi = before
    return buffer.getvalue()


class Snapshot:
    """A figure as a notebook stores it: `.figure` itself, `.png` with two dots for each pixel of the page and at most 32 colours, which
    takes a quarter of the full picture's bytes, `.width` on the page in pixels, at most 900, and `.alt`, which readers hear who do not see
    it (`words.alt_text`)."""

    def __init__(self, figure: Figure, alt: str = "") -> None:
        self.figure = figure
        buffer = io.BytesIO()
        dots = SHARP * min(figure.dpi, PAGE / figure.get_figwidth())
        sharp = Image.open(io.BytesIO(png(figure, dots))).convert("RGB")
        # the octree of Pillow is faster and turns pale colours into others
        few = sharp.quantize(COLOURS, Image.Quantize.MEDIANCUT, kmeans=3, dither=Image.Dither.NONE)
        few.save(buffer, "PNG", optimize=True, dpi=(dots, dots))
        self.png, self.alt = buffer.getvalue(), alt_text(figure, alt)
        self.width = round(sharp.width / SHARP)

    def _repr_png_(self) -> tuple[bytes, dict[str, str | int]]:
        return self.png, {"alt": self.alt, "width": self.width}

    def __repr__(self) -> str:
        return f"<picture with {len(self.figure.axes)} axes>"


@functools.cache
def _own_folder() -> Path:
    """Makes the temporary folder of this process, which ends with it."""
    folder = tempfile.mkdtemp(prefix="cmpae-figures-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def figures_folder() -> Path:
    """Returns the folder into which notebooks write their pictures: the one that the environment names in CMPAE_FIGURES, else a temporary
    one, so that reading a notebook changes no file.

    >>> figures_folder().is_dir()
    True
    """
    chosen = os.environ.get("CMPAE_FIGURES")
    return Path(chosen).expanduser() if chosen else _own_folder()


def keep(picture: Figure | Axes, name: str, alt: str = "", folder: Path | None = None) -> Snapshot:
    """Writes a figure (or that of the axes) as `name` into a folder, by default `figures_folder()`, and returns it for the notebook to
    show.

    `alt`: a sentence for readers who do not see the picture, said before what `words.alt_text` reads from the figure.

    >>> keep(axes_or_new(None), "example.png").png[1:4]
    b'PNG'
    """
    shown = Snapshot(picture.figure, alt)
    write_atomically((folder or figures_folder()) / name, lambda file: file.write(shown.png))
    return shown


def axes_or_new(ax: Axes | None, width: float = 6.4, height: float = 3.6) -> Axes:
    """Returns `ax`, or the axes of a new figure of that size in inches."""
    return Picture(figsize=(width, height), layout="constrained").add_subplot() if ax is None else ax


def plain(text: str) -> str:
    """Makes matplotlib show a name as it is: a dollar sign begins no formula, and a first underscore hides no legend entry."""
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")


def readable(name: str, width: int = 20) -> str:
    """Turns a category's name into plain words, with spaces for underscores, in lines of at most about `width` characters."""
    return plain("\n".join(textwrap.wrap(name.replace("_", " "), width, break_long_words=False)) or name)


def row_inches(rows: int, each: float, rest: float) -> float:
    """Returns the height of a figure whose rows take `each` inch, beside the `rest`; very many rows become lower instead."""
    return min(MOST_INCHES, rest + each * rows)


def name_rows(ax: Axes, places: Sequence[float], names: Sequence[str], axis: str = "y") -> None:
    """Writes the names at the rows (or, with `axis="x"`, the columns) of the axes; where they would touch, every second, third, ..."""
    extent = ax.get_window_extent()
    inches = (extent.height if axis == "y" else extent.width) / ax.figure.dpi
    every = max(1, math.ceil(len(names) * LEAST_INCHES / inches))
    ax.set(**{f"{axis}ticks": list(places)[::every], f"{axis}ticklabels": list(names)[::every]})


def bar_style(track: str, rows: int) -> dict[str, Any]:
    """Returns the style of a track's bars, of any other name in gray, in a picture with so many rows."""
    color = COLORS.get(track, QUIET)
    return {"color": color, "hatch": HATCH.get(track, ""), "edgecolor": "white"} if rows <= MOST_EDGED else {"color": color}


def shade(color: str, number: int) -> tuple[float, float, float]:
    """Returns the colour itself, a darker or a lighter one, so that neighbouring categories of one modality differ."""
    toward, share = ((0, 0.0), (0, 0.45), (1, 0.35))[number % 3]
    return tuple(float(v) for v in (1 - share) * np.array(to_rgb(color)) + share * toward)


def series_style(modality: str, number: int, kind: str = "presence") -> dict[str, Any]:
    """Returns a series' line style: the modality's colour and marker filling, category `number`'s marker and shade, `kind`'s line."""
    color = shade(COLORS[modality], number)
    face = color if modality == "audio" else "white"
    marker = MARKERS[number % len(MARKERS)]
    return {"color": color, "linestyle": LINE[kind], "marker": marker, "markerfacecolor": face, "markeredgewidth": 1.2}


def mean_style(number: int) -> dict[str, Any]:
    """Returns the line style of the `number`-th of several curves that are of no modality."""
    marker = MARKERS[number % len(MARKERS)]
    return {"color": MORE_COLORS[number % len(MORE_COLORS)], "linestyle": ("-", "--", ":", "-.")[number % 4], "marker": marker}


def explain_blank(ax: Axes, text: str, width: int = 44) -> Axes:
    """Writes why axes have nothing to draw, in their middle, in lines of at most `width` characters."""
    ax.text(0.5, 0.5, plain(textwrap.fill(text, width)), transform=ax.transAxes, ha="center", va="center", color=QUIET)
    ax.tick_params(left=False, bottom=False, labelleft=False, labelbottom=False)
    return ax


def time_axis(ax: Axes, snippets: int, snippet: int | None = None, seconds: float = 1.0) -> None:
    """Labels the time axis in seconds from 0 to the end of the video, `seconds` a snippet, and shades the chosen snippet."""
    places = range(0, snippets + 1, max(1, -(-snippets // 6)))  # ticks cost more time to draw than all else
    ax.set_xlim(0, snippets)
    ax.set_xticks(places, [f"{seconds * place:g}" for place in places])
    ax.set_xlabel("time (s)")
    if snippet is not None:
        ax.axvspan(snippet, snippet + 1, color=MARKED, zorder=0, linewidth=0)


def legend_beside(ax: Axes, handles: Sequence[Any] | None = None, **options: Any) -> None:
    """Puts the legend to the right of the axes, where it covers nothing; of more entries than the figure is high, it names the first."""
    handles = list(ax.get_legend_handles_labels()[0] if handles is None else handles)
    inches = np.cumsum([LINE_INCHES + 0.155 * handle.get_label().count("\n") for handle in handles])
    room = 0.9 * ax.figure.bbox.height / ax.figure.dpi
    if handles and inches[-1] > room:
        fitting = int((inches < room - LINE_INCHES).sum())
        handles[fitting:] = [Line2D([], [], linestyle="none", label=f"… and {len(handles) - fitting} more")]
    if handles:
        place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0}
        ax.legend(handles=handles, **place | {"handlelength": 2.6} | options)


def key_height(chosen: Sequence[str], most: int = MOST_IN_KEY) -> float:
    """Returns the inches that the legend of `series_key` takes at most."""
    lines = sum(readable(c, KEY_WIDTH).count("\n") + 1 for c in chosen[:most])
    return 0.2 * (lines + (len(chosen) > most) + len(COLORS) + len(LINE))


def series_key(
    chosen: Sequence[str], modalities: Sequence[str], kinds: Sequence[str] = tuple(LINE), most: int = MOST_IN_KEY
) -> list[Line2D]:
    """Returns legend entries that explain the code instead of naming every series: one for each category, modality and kind of line."""
    def entry(label: str, **style: Any) -> Line2D:
        return Line2D([], [], label=label, **{"color": QUIET, "linestyle": "none"} | style)

    entries = [entry(readable(c, KEY_WIDTH), marker=series_style("audio", k)["marker"]) for k, c in enumerate(chosen[:most])]
    if len(chosen) > most:
        entries.append(entry(f"… and {len(chosen) - most} more"))
    for m in modalities:
        style = series_style(m, 0)
        entries.append(entry(m, marker="o", color=style["color"], markerfacecolor=style["markerfacecolor"]))
    return entries + [entry(kind, linestyle=LINE[kind]) for kind in kinds]
