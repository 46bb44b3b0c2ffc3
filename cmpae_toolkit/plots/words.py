"""Pictures in words: the alternative text that readers hear who do not see them, made of what the figure itself holds."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

MOST_CURVES, MOST_AXES = 8, 6  # of a figure's parts that are told one by one; who listens cannot skim


def describe(ax: Axes, words: str) -> None:
    """Says in words what is drawn in the axes, where its curves and bars do not say it themselves."""
    ax.set_label(words)


def alt_text(figure: Figure, words: str = "") -> str:
    """Tells a figure in whole sentences: "Figure: ", the words given, its title, and for each axes its title, what it measures, and
    from where to where its curves go or what `describe` said."""
    told = [words, figure.get_suptitle(), *map(_told, figure.axes[:MOST_AXES])]
    if len(figure.axes) > MOST_AXES:
        told.append(f"and {len(figure.axes) - MOST_AXES} more panels")
    sentences = dict.fromkeys(_plain(part) for part in told if part.strip())
    return f"Figure: {' '.join(f'{s[:1].upper()}{s[1:]}.' for s in sentences) or 'A drawing without a title.'}"


def _told(ax: Axes) -> str:
    if ax.get_label() == "<colorbar>":
        return f"The colours show {ax.get_ylabel() or ax.get_xlabel()}" if ax.get_ylabel() or ax.get_xlabel() else ""
    titles = [title for loc in ("left", "center", "right") if (title := ax.get_title(loc))]
    described = [ax.get_label()] if ax.get_label() else [*_curves(ax), *_bars(ax)]
    sides = [f"{ax.get_ylabel()} over {ax.get_xlabel()}"] if ax.get_xlabel() and ax.get_ylabel() else [ax.get_xlabel() or ax.get_ylabel()]
    return ": ".join(part for part in (", ".join(titles), "; ".join(filter(None, [*sides, *described]))) if part)


def _curves(ax: Axes) -> list[str]:
    """Tells each curve that has a name by its two ends, and by its lowest and highest value where these are not the ends."""
    named = [line for line in ax.lines if not line.get_label().startswith("_")]
    told = [f"{line.get_label()} {_course(*np.asarray(line.get_data(orig=False), float))}".strip() for line in named[:MOST_CURVES]]
    return told + [f"and {len(named) - MOST_CURVES} more curves"] * (len(named) > MOST_CURVES)


def _course(x: np.ndarray, y: np.ndarray) -> str:
    y = y[np.isfinite(y)]
    if not len(y):
        return "has no values"
    if len(x) > 1 and np.ptp(x) == 0:  # an upright line marks a place, which its name tells
        return ""
    low, high, ends = y.min(), y.max(), sorted((y[0], y[-1]))
    if low == high:
        return f"is {low:.3g}"
    between = "" if ends == [low, high] else f", between {low:.3g} and {high:.3g}"
    return f"goes from {y[0]:.3g} to {y[-1]:.3g}{between}"


def _bars(ax: Axes) -> list[str]:
    """Tells each group of bars that has a name by its shortest and its longest."""
    told = []
    for group in ax.containers:
        if isinstance(group, BarContainer) and not str(group.get_label()).startswith("_") and len(group):
            sizes = [bar.get_width() if group.orientation == "horizontal" else bar.get_height() for bar in group]
            told.append(f"{group.get_label()}: {len(sizes)} bar{'s' * (len(sizes) != 1)} from {min(sizes):.3g} to {max(sizes):.3g}")
    return told


def spans(runs: Sequence[Sequence[int]], seconds: float = 1.0) -> str:
    """Tells runs (onset, offset) of snippets in seconds: "0 to 3 and 5 to 7"."""
    return " and ".join(f"{seconds * onset:g} to {seconds * offset:g}" for onset, offset in runs)


def _plain(text: str) -> str:
    """One line without the marks of matplotlib's formulas, and without an end of its own."""
    for mark in ("$", "\\hat", "\\", "{", "}"):
        text = text.replace(mark, "")
    return " ".join(text.split()).rstrip(".;:")
