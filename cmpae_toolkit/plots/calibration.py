"""Reliability diagrams and risk-coverage curves: results of `cmpae_toolkit.calibration` by name in, Axes out."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from ..evidence.calibration import Reliability
from .theme import QUIET, axes_or_new, legend_beside, mean_style, use_theme


@use_theme()
def reliability_diagram(reliabilities: Mapping[str, Reliability], ax: Axes | None = None, *, title: str = "Reliability") -> Axes:
    """Share of events that happened over the probability they were given, a marker a bin (area: entries, log scale), with ECE.

    On the diagonal a probability means what it says; below it, p is too high.
    """
    ax = axes_or_new(ax, 6.2, 4.0)
    ax.plot([0, 1], [0, 1], color=QUIET, linewidth=0.9, linestyle=":", label="_diagonal")
    for number, (name, found) in enumerate(reliabilities.items()):
        style = mean_style(number)
        ax.plot(found.probability, found.frequency, label=f"{name}\nECE {found.error:.3f}", **style | {"markersize": 4})
        sizes = 25 * np.log10(1 + found.count)
        ax.scatter(found.probability, found.frequency, sizes, color=style["color"], marker=style["marker"], alpha=0.35, linewidths=0)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xlabel="probability", ylabel="share of events", title=title)
    legend_beside(ax)
    return ax


@use_theme()
def risk_coverage_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], ax: Axes | None = None, *,
    ylabel: str = "error of the answered", title: str = "Risk and coverage",
) -> Axes:
    """What is left of the error when only the most certain share is answered: (coverage, risk) by name, with their areas (AURC)."""
    ax = axes_or_new(ax)
    for number, (name, (coverage, risk)) in enumerate(curves.items()):
        ax.plot(coverage, risk, label=f"{name}\nAURC {np.mean(risk):.4f}", **mean_style(number) | {"marker": ""})
    ax.set(xlim=(0, 1), xlabel="coverage: share of answered questions", ylabel=ylabel, title=title)
    ax.set_ylim(bottom=0)
    legend_beside(ax)
    return ax
