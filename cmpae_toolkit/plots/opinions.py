"""Pictures of opinions: the triangle of belief, disbelief and vacuity, Beta densities (Eq. 4), and
whether their probabilities and certainties can be trusted: reliability diagrams and risk-coverage curves.

They take numbers or arrays and return the Axes; `ax=None` makes a new figure. The paper writes "uncertainty" for vacuity.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from ..errors import InputError
from .theme import INK, QUIET, axes_or_new, legend_beside, mean_style, plain, use_theme
from .words import MOST_CURVES, describe

if TYPE_CHECKING:
    from ..evidence.calibration import Reliability

CORNERS = {"disbelief": (0.0, 0.0), "belief": (1.0, 0.0), "vacuity": (0.5, math.sqrt(3) / 2)}


@use_theme()
def opinion_triangle(
    belief: Any, disbelief: Any, vacuity: Any, ax: Axes | None = None, labels: Sequence[str] | None = None, trail: bool = False,
    *, styles: Sequence[Mapping[str, Any]] | None = None, legend: bool = True,
) -> Axes:
    """Draws opinions as points of a triangle: at a corner all mass is belief, disbelief or vacuity; opposite it, none is.

    Numbers or arrays (opinion,) that sum to 1. One opinion alone is projected to its probability, belief + vacuity / 2,
    parallel to the line from the vacuity corner to the base rate 1/2. `trail` joins the points in their order.

    >>> ax = opinion_triangle([0.6, 0.1], [0.2, 0.1], [0.2, 0.8], labels=["sure", "vacuous"])
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['sure', 'vacuous']
    """
    masses = np.stack([np.atleast_1d(np.asarray(x, dtype=float)) for x in (disbelief, belief, vacuity)], axis=-1)
    if not np.allclose(masses.sum(-1), 1, atol=1e-3) or masses.min(initial=0.0) < -1e-3:
        raise InputError("belief, disbelief and vacuity must be 0 or more and sum to 1 in every opinion.")
    ax = axes_or_new(ax, 4.6, 4.0)
    _triangle(ax)
    points = masses @ np.array([CORNERS[name] for name in ("disbelief", "belief", "vacuity")])
    if trail and len(points) > 1:
        ax.plot(*points.T, color=QUIET, linewidth=1, zorder=2)
        for number in (0, len(points) - 1):
            text = ("first", "last")[number > 0]
            ax.annotate(text, points[number], (0, 9), textcoords="offset points", ha="center", fontsize=9, zorder=5)
    for number, point in enumerate(points):
        style = styles[number] if styles else mean_style(0 if trail else number)
        ax.plot(*point, label=plain(labels[number]) if labels else None, **{**style, "linestyle": "none", "zorder": 3})
    if len(points) == 1:
        _projection(ax, points[0], masses[0])
    if legend and labels:
        legend_beside(ax, bbox_to_anchor=(1.0, 1.0))
    describe(ax, f"a triangle with {_opinions(masses, labels)}")
    return ax


def _opinions(masses: np.ndarray, labels: Sequence[str] | None) -> str:
    """Tells the first opinions of a triangle by their three masses."""
    names = labels or [f"opinion {number}" for number in range(1, len(masses) + 1)]
    told = [f"{n} at belief {b:.2f}, disbelief {d:.2f}, vacuity {u:.2f}" for n, (d, b, u) in zip(names, masses[:MOST_CURVES], strict=False)]
    return "; ".join(told) or "no opinion"


def _triangle(ax: Axes) -> None:
    """Draws the border with its corners named, and thin lines of equal belief, disbelief and vacuity at quarters."""
    corners = [np.array(CORNERS[name]) for name in CORNERS]
    ax.plot(*np.array([*corners, corners[0]]).T, color=QUIET, linewidth=1, zorder=1)
    for one, two, three in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        for share in (0.25, 0.5, 0.75):
            ends = [share * corners[one] + (1 - share) * corners[end] for end in (two, three)]
            ax.plot(*np.array(ends).T, color="#E3E3E3", linewidth=0.6, zorder=0)
    for name, (x, y) in CORNERS.items():
        ax.text(x, y + (0.03 if y else -0.05), name, ha="center", va="bottom" if y else "top")
    ax.set(xlim=(-0.16, 1.16), ylim=(-0.2, 1.0), aspect="equal", title="Opinions")
    ax.axis("off")


def _projection(ax: Axes, point: np.ndarray, masses: np.ndarray) -> None:
    """Draws an arrow from one opinion to its probability on the base, beside the line from full vacuity to the base rate."""
    probability = masses[1] + masses[2] / 2
    ax.plot([0.5, 0.5], [0, CORNERS["vacuity"][1]], color=QUIET, linewidth=0.8, linestyle="--", zorder=1)
    ax.annotate("", (probability, 0), point, arrowprops={"arrowstyle": "->", "color": INK, "shrinkA": 4, "shrinkB": 0})
    ax.plot(probability, 0, "|", color=INK, markersize=9, label="_projection")
    ax.text(probability, -0.12, f"probability {probability:.2f}", ha="center", va="top")


@use_theme()
def beta_density(alpha: Any, beta: Any, ax: Axes | None = None, labels: Sequence[str] | None = None) -> Axes:
    """Draws Eq. 4: the density of Beta(alpha, beta) over the probability, with its mean marked on the axis and its vacuity named.

    Numbers or arrays (opinion,), each >= 1 (evidence + 1); raises InputError otherwise.

    >>> beta_density(alpha=[7, 1], beta=[2, 1], labels=["barks", "nothing known"]).get_xlabel()
    'probability of the event'
    """
    alphas, betas = np.broadcast_arrays(*(np.atleast_1d(np.asarray(x, dtype=float)) for x in (alpha, beta)))
    if min(alphas.min(), betas.min()) < 1:
        raise InputError("alpha and beta are evidence + 1 and so must be 1 or more.")
    ax = axes_or_new(ax)
    for number, (a, b) in enumerate(zip(alphas, betas, strict=True)):
        mean, spread = a / (a + b), math.sqrt(a * b / (a + b + 1)) / (a + b)
        # points where the mass is, too: with much evidence it lies between those of an even grid
        p = np.unique(np.clip([*np.linspace(0, 1, 201), *(mean + spread * np.linspace(-6, 6, 121))], 1e-6, 1 - 1e-6))
        log_density = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + (a - 1) * np.log(p) + (b - 1) * np.log1p(-p)
        style = mean_style(number) | {"marker": ""}
        text = plain(f"{labels[number]}: ") if labels else ""
        text += f"α = {a:.4g}, β = {b:.4g}\np = {mean:.3f}, u = {2 / (a + b):.3f}"
        (line,) = ax.plot(p, np.exp(log_density), label=text, **style)
        ax.fill_between(p, np.exp(log_density), color=line.get_color(), alpha=0.12, linewidth=0)
        ax.plot(mean, 0, "^", color=line.get_color(), clip_on=False, zorder=4)
    ax.set(xlim=(0, 1), xlabel="probability of the event", ylabel="density", title="Beta distributions (▲ mean)")
    describe(ax, "; ".join(line.get_label() for line in ax.lines if not line.get_label().startswith("_")))
    ax.set_ylim(bottom=0)
    legend_beside(ax)
    return ax


@use_theme()
def reliability_diagram(reliabilities: Mapping[str, Reliability], ax: Axes | None = None, *, title: str = "Reliability") -> Axes:
    """Draws the share of events that happened over the probability they were given, a marker for each bin (area: entries), with the ECE.

    On the diagonal a probability means what it says; below it, p is too high.

    >>> from cmpae_toolkit.evidence import reliability
    >>> found = reliability(np.array([0.2, 0.4, 0.9]), np.array([0, 1, 1]))
    >>> reliability_diagram({"three events": found}).get_title(loc="left")
    'Reliability'
    """
    ax = axes_or_new(ax, 6.2, 4.0)
    ax.plot([0, 1], [0, 1], color=QUIET, linewidth=0.9, linestyle=":", label="_diagonal")
    for number, (name, found) in enumerate(reliabilities.items()):
        style = mean_style(number)
        ax.plot(found.probability, found.frequency, label=plain(f"{name}\nECE {found.error:.3f}"), **style | {"markersize": 4})
        sizes = 25 * np.log10(1 + found.count)
        ax.scatter(found.probability, found.frequency, sizes, color=style["color"], marker=style["marker"], alpha=0.35, linewidths=0)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xlabel="probability", ylabel="share of events", title=plain(title))
    legend_beside(ax)
    return ax


@use_theme()
def risk_coverage_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], ax: Axes | None = None, *,
    ylabel: str = "error of the answered", title: str = "Risk and coverage",
) -> Axes:
    """Draws what is left of the error when only the most certain share is answered: (coverage, risk) by name, with their areas (AURC).

    >>> risk_coverage_curves({"vacuity": ([0.5, 1.0], [0.1, 0.3])}).get_ylabel()
    'error of the answered'
    """
    ax = axes_or_new(ax)
    for number, (name, (coverage, risk)) in enumerate(curves.items()):
        ax.plot(coverage, risk, label=plain(f"{name}\nAURC {np.mean(risk):.4f}"), **mean_style(number) | {"marker": ""})
    ax.set(xlim=(0, 1), xlabel="coverage: share of answered questions", ylabel=ylabel, title=plain(title))
    ax.set_ylim(bottom=0)
    legend_beside(ax)
    return ax
