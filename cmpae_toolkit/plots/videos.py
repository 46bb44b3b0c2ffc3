"""Pictures of one video, after the paper's Figures 1 and 3.

Arrays of one video have the axes (modality, snippet, category), modality order audio, visual; `categories` names the last
axis and `chosen` those to draw. Bars span a snippet, points of curves stand in its middle; `seconds` is how long it lasts.
"""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import SymmetricalLogLocator

from ..config import MODALITIES, TRACKS
from ..errors import InputError
from ..metrics import events, with_audio_visual
from .theme import (
    COLORS,
    INK,
    LINE,
    MARKED,
    MOST_EDGED,
    QUIET,
    SEQUENTIAL,
    TRACK_NAMES,
    axes_or_new,
    explain_blank,
    key_height,
    legend_beside,
    name_rows,
    plain,
    readable,
    row_inches,
    series_key,
    series_style,
    time_axis,
    use_theme,
)
from .words import MOST_CURVES, describe, spans

MOST_EVENTS = 12  # told in words
NO_CHOICE = "no category is chosen"
NO_ATTENTION = "this method has no attention over the snippets"
NO_EVIDENCE = "this head gives a probability only: it collects no presence and absence evidence"
FULL_NAMES = 8  # up to so many series are each named in the legend; more are explained by a key


@use_theme()
def tracks(
    reference: np.ndarray | None, categories: Sequence[str], estimate: np.ndarray | None = None, ax: Axes | None = None,
    *, show: Sequence[str] = TRACKS, keep: Sequence[str] = (), snippet: int | None = None, legend: bool = True, seconds: float = 1.0,
) -> Axes:
    """Draws Figure 1: the events of one video as bars over time, a row for each category and track in which it occurs.

    `reference`, `estimate`: bool (modality, snippet, category) or None where unknown. Reference bars are filled; the
    estimate's are hatched outlines below them. `show`: the tracks; `keep`: categories that have their rows in any case.

    >>> reference = np.zeros((2, 10, 2), bool)
    >>> reference[0, 2:5, 1] = True
    >>> [label.get_text() for label in tracks(reference, ["Speech", "Dog"]).get_yticklabels()]
    ['Dog, audible']
    """
    given = {"reference": reference, "estimate": estimate}
    rolls = {name: with_audio_visual(np.asarray(roll, bool)[None])[0] for name, roll in given.items() if roll is not None}
    if not rolls:
        raise InputError("there is neither a reference nor an estimate to draw: give one roll (modality, snippet, category).")
    occurs = np.any([roll.any(1) for roll in rolls.values()], axis=0)
    shown = [(t, track) for t, track in enumerate(TRACKS) if track in show]
    rows = [(c, t) for c, name in enumerate(categories) for t, _ in shown if occurs[t, c] or name in keep]
    ax = axes_or_new(ax, 7.2, row_inches(max(len(rows), 2), 0.42, 1.2))
    ax.set_title("Events: " + " above, ".join(rolls) + (" below" if len(rolls) > 1 else ""))
    snippets = next(iter(rolls.values())).shape[1]
    if not rows:
        return explain_blank(ax, "no event in " + " or ".join(rolls))
    time_axis(ax, snippets, snippet, seconds)
    for y, (c, t) in enumerate(rows):
        for kind, roll in rolls.items():
            _event_bars(ax, roll[t, :, c], y, TRACKS[t], kind, alone=len(rolls) == 1)
        if y and c != rows[y - 1][0] and len(rows) <= MOST_EDGED:
            ax.axhline(y - 0.5, color=QUIET, linewidth=0.5)
    names = [readable(categories[c]) + (f", {TRACK_NAMES[TRACKS[t]]}" if len(show) > 1 else "") for c, t in rows]
    name_rows(ax, range(len(rows)), names)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    if legend:
        legend_beside(ax, track_key(show, tuple(rolls)))
    told = [f"{name} {kind} {spans(events(roll[t, :, c], axis=0)[:, -2:], seconds)}" for name, (c, t) in zip(names, rows, strict=True)
            for kind, roll in rolls.items() if roll[t, :, c].any()]
    describe(ax, "in seconds, " + "; ".join(told[:MOST_EVENTS]) + f"; and {len(told) - MOST_EVENTS} more" * (len(told) > MOST_EVENTS))
    return ax


def _event_bars(ax: Axes, active: np.ndarray, y: int, track: str, kind: str, alone: bool) -> None:
    """Draws one row's events: a bar from each run's first snippet to the end of its last."""
    onsets, offsets = events(active, axis=0).T
    low, height = (y - 0.3, 0.6) if alone else (y - 0.38, 0.36) if kind == "reference" else (y + 0.04, 0.34)
    bars = ax.broken_barh(list(zip(onsets, offsets - onsets, strict=True)), (low, height), **_bar_style(track, kind))
    bars.set_label(f"{kind} {track}")


def _bar_style(track: str, kind: str) -> dict[str, Any]:
    color = COLORS[track]
    if kind == "reference":
        return {"facecolor": color, "edgecolor": color, "linewidth": 1}
    return {"facecolor": "white", "edgecolor": color, "hatch": "////", "linewidth": 1.2}


def track_key(show: Sequence[str], kinds: Sequence[str]) -> list[Patch]:
    """Returns the legend entries of `tracks`, which tell what the colours and the fillings mean."""
    gray = {"reference": {"facecolor": QUIET, "edgecolor": QUIET}, "estimate": {"edgecolor": QUIET}}
    fillings = [Patch(label=kind, **_bar_style(show[0], kind) | gray[kind]) for kind in kinds]
    return [Patch(label=TRACK_NAMES[t], **_bar_style(t, "reference")) for t in show] + fillings


@use_theme()
def evidence_curves(
    presence: np.ndarray | None, absence: np.ndarray | None, categories: Sequence[str], chosen: Sequence[str],
    ax: Axes | None = None, log: bool = False, modalities: Sequence[str] = MODALITIES, *,
    snippet: int | None = None, legend: bool = True, seconds: float = 1.0,
) -> Axes:
    """Draws curves of Figure 3: presence (PE, solid) and absence evidence (AE, dashed) of the chosen categories over the snippets.

    `presence`, `absence` (modality, snippet, category), >= 0, or None for heads without evidence. A point stands in the
    middle of its snippet. `log`: a logarithmic axis above evidence 1, linear below it, so that 0 has a place.

    >>> e = np.random.default_rng(0).exponential(5, (2, 10, 2))
    >>> len(evidence_curves(e, e / 2, ["Speech", "Dog"], chosen=["Dog"]).lines)  # PE and AE of both modalities
    4
    """
    ax = axes_or_new(ax, 7.2, _height(chosen))
    ax.set_title(f"Evidence for presence and absence, {' and '.join(modalities)}")
    if presence is None or absence is None:
        return explain_blank(ax, NO_EVIDENCE)
    if not len(chosen):
        return explain_blank(ax, NO_CHOICE)
    time_axis(ax, presence.shape[1], snippet, seconds)
    time = np.arange(presence.shape[1]) + 0.5
    for m, k, c in _series(categories, chosen, modalities):
        for kind, evidence in (("presence", presence), ("absence", absence)):
            label = f"{m[0].upper()}-{kind[0].upper()}E-{readable(chosen[k], 99)}"
            ax.plot(time, evidence[MODALITIES.index(m), :, c], label=label, **series_style(m, k, kind))
    if log:
        ax.set_yscale("symlog", linthresh=1.0)
        ax.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=1.0, subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
    ax.set_ylabel("evidence")
    ax.set_ylim(bottom=0)
    if legend:
        many = len(chosen) * len(modalities) * len(LINE) > FULL_NAMES
        legend_beside(ax, series_key(chosen, modalities) if many else None)
    return ax


@use_theme()
def probability_with_vacuity(
    probability: np.ndarray, vacuity: np.ndarray | None, categories: Sequence[str], chosen: Sequence[str], ax: Axes | None = None,
    threshold: float | np.ndarray | None = None, modalities: Sequence[str] = MODALITIES, *,
    snippet: int | None = None, legend: bool = True, seconds: float = 1.0,
) -> Axes:
    """Draws the probability over the snippets in a band from belief to belief + vacuity, which is p - u/2 to p + u/2.

    `probability`, `vacuity` (modality, snippet, category) in 0..1, vacuity None for point estimates. `threshold`: one
    number, or an array (modality, category); a dotted line for each value that the chosen categories have.

    >>> p = np.full((2, 10, 2), 0.7)
    >>> probability_with_vacuity(p, p / 2, ["Speech", "Dog"], chosen=["Dog"], threshold=0.5).get_ylabel()
    'probability'
    """
    ax = axes_or_new(ax, 7.2, _height(chosen))
    ax.set_title(f"Probability{' (no vacuity: point estimates)' if vacuity is None else ' ± vacuity / 2'}, {' and '.join(modalities)}")
    if not len(chosen):
        return explain_blank(ax, NO_CHOICE)
    time_axis(ax, probability.shape[1], snippet, seconds)
    time = np.arange(probability.shape[1]) + 0.5
    alpha = 0.2 / max(1, len(chosen) / 4)  # bands of many categories lie over one another
    for m, k, c in _series(categories, chosen, modalities):
        at, style = (MODALITIES.index(m), slice(None), c), series_style(m, k)
        ax.plot(time, probability[at], label=f"{m}, {readable(chosen[k], 99)}", **style)
        if vacuity is not None:
            low, high = np.clip([probability[at] - vacuity[at] / 2, probability[at] + vacuity[at] / 2], 0, 1)
            ax.fill_between(time, low, high, color=style["color"], alpha=alpha, linewidth=0)
    lines = _threshold_lines(ax, threshold, categories, chosen, modalities)
    ax.set(ylabel="probability", ylim=(-0.02, 1.02))
    if legend:
        many = len(chosen) * len(modalities) > FULL_NAMES
        legend_beside(ax, series_key(chosen, modalities, ()) + lines[:1] if many else None)
    return ax


def _threshold_lines(
    ax: Axes, threshold: Any, categories: Sequence[str], chosen: Sequence[str], modalities: Sequence[str]
) -> list[Line2D]:
    """Draws a dotted line for each value that the thresholds of the drawn series take."""
    if threshold is None:
        return []
    table = np.broadcast_to(threshold, (len(MODALITIES), len(categories)))
    values = sorted({float(table[MODALITIES.index(m), c]) for m, _, c in _series(categories, chosen, modalities)})
    label = f"thresholds {values[0]:.2f} to {values[-1]:.2f}" if len(values) > 1 else f"threshold {values[0]:.2f}"
    return [ax.axhline(v, color=INK, linewidth=1, linestyle=":", label="_" if k else label) for k, v in enumerate(values)]


@use_theme()
def attention_map(
    attention: np.ndarray | None, categories: Sequence[str], chosen: Sequence[str], ax: Axes | None = None,
    modalities: Sequence[str] = MODALITIES, *, snippet: int | None = None, top: float | None = None, colorbar: bool = True,
    seconds: float = 1.0,
) -> Axes:
    """Draws the temporal attention A_t that weighs the snippets' evidence, a row for each modality and chosen category.

    `attention` (modality, snippet, category) sums to 1 over the snippets; None for a method without any. `top`: the darkest value, by
    default the largest.

    >>> ax = attention_map(np.full((2, 10, 2), 0.1), ["Speech", "Dog"], chosen=["Dog"])
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['audio, Dog', 'visual, Dog']
    """
    rows = _series(categories, chosen, modalities)
    ax = axes_or_new(ax, 7.2, row_inches(max(len(rows), 2), 0.3, 1.5))
    ax.set_title(f"Attention over the snippets, {' and '.join(modalities)}")
    if attention is None:
        return explain_blank(ax, NO_ATTENTION)
    if not rows:
        return explain_blank(ax, NO_CHOICE)
    values = np.array([attention[MODALITIES.index(m), :, c] for m, _, c in rows])
    snippets = values.shape[1]
    place = {"extent": (0, snippets, len(rows), 0), "aspect": "auto", "interpolation": "nearest"}
    image = ax.imshow(values, cmap=SEQUENTIAL, vmin=0, vmax=top or values.max(), **place)
    time_axis(ax, snippets, seconds=seconds)
    if snippet is not None:
        ax.add_patch(Rectangle((snippet, 0), 1, len(rows), fill=False, edgecolor=INK, linewidth=1.4, clip_on=False))
    names = [f"{m}, {readable(chosen[k], 99)}" if len(modalities) > 1 else readable(chosen[k]) for m, k, _ in rows]
    name_rows(ax, np.arange(len(rows)) + 0.5, names)
    if colorbar:
        ax.figure.colorbar(image, cax=ax.inset_axes((1.02, 0, 0.025, 1)), label="attention")
    peaks = [f"{name} is highest at second {seconds * row.argmax():g}" for name, row in zip(names, values, strict=True)]
    describe(ax, "; ".join(peaks[:MOST_CURVES]))
    return ax


@use_theme()
def frames(tiles: Sequence[np.ndarray | None], ax: Axes | None = None, snippets: int = 10) -> Axes:
    """Draws a tile (height, width, 3), uint8, of the picture track for each snippet; it stays blank where there is none.

    >>> len(frames([np.zeros((9, 16, 3), np.uint8)] * 9 + [None]).images)
    9
    """
    ax = _media_axes(ax, "Frames")
    for t in range(snippets):
        tile = tiles[t] if t < len(tiles) else None
        ax.add_patch(Rectangle((t + 0.04, 0), 0.92, 1, facecolor=MARKED, edgecolor=QUIET, linewidth=0.5))
        if tile is not None:
            ax.imshow(tile, extent=(t + 0.04, t + 0.96, 0, 1), aspect="auto", zorder=2)
    ax.set(xlim=(0, snippets), ylim=(0, 1))
    return ax


@use_theme()
def waveform(outline: np.ndarray | None, ax: Axes | None = None, snippets: int = 10, note: str = "") -> Axes:
    """Draws the outline of the sound, its lowest and highest amplitude (point, 2) in -1..1, or writes the note where there is none.

    >>> len(waveform(np.array([[-0.5, 0.5], [-0.1, 0.2]])).collections)
    1
    """
    ax = _media_axes(ax, "Waveform")
    ax.add_patch(Rectangle((0, 0), snippets, 1, facecolor=MARKED, edgecolor=QUIET, linewidth=0.5))
    if outline is None:
        ax.text(snippets / 2, 0.5, plain(textwrap.shorten(note or "no sound at hand", 58)), ha="center", va="center", color=QUIET)
    else:
        time = (np.arange(len(outline)) + 0.5) * snippets / len(outline)
        ax.fill_between(time, *(0.5 + 0.48 * outline.T), color=COLORS["audio"], linewidth=0)
    ax.set(xlim=(0, snippets), ylim=(0, 1))
    return ax


def _media_axes(ax: Axes | None, title: str) -> Axes:
    ax = axes_or_new(ax, 7.2, 1.1)
    ax.axis("off")
    ax.set_title(title)
    return ax


def _height(chosen: Sequence[str]) -> float:
    """Returns the inches that curves need so that the legend beside them fits."""
    return max(3.6, 1.0 + key_height(chosen))


def _series(categories: Sequence[str], chosen: Sequence[str], modalities: Sequence[str]) -> list[tuple[str, int, int]]:
    """Lists (modality, number among the chosen, index among all) of each series. Raises InputError on an unknown category."""
    unknown = [c for c in chosen if c not in categories]
    if unknown:
        raise InputError(f"{unknown[0]!r} is not a category of this data: use any of {', '.join(categories)}.")
    return [(m, k, list(categories).index(c)) for m in modalities for k, c in enumerate(chosen)]
