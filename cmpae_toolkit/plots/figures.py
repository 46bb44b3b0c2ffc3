"""Figure 3 composed: the state of one video in, a matplotlib Figure out."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from ..config import MODALITIES
from .opinions import opinion_triangle
from .theme import COLORS, LINE, QUIET, Picture, key_height, readable, say, series_key, series_style, use_theme
from .videos import NO_CHOICE, attention_map, evidence_curves, probability_with_vacuity, track_key, tracks

# inches: fixed, since a layout engine would measure every text twice for each move of a slider
LEFT, RIGHT, TOP, BOTTOM, GAP = 1.7, 0.15, 1.25, 0.55, 0.5
COLUMNS = (3.7, 0.35, 3.7, 0.75, 2.5)  # audio, a space, visual, a space, legends and triangle
MOST_IN_HEAD = 3  # categories whose video probability is told
WIDTH = LEFT + sum(COLUMNS) + RIGHT


@dataclass(frozen=True)
class ExplorerState:
    """All that `figure_3` draws of one video, as plain arrays; axes (modality, snippet, category), modality order audio, visual.

    `presence` and `absence` are None for heads without evidence, `vacuity` for point estimates, `reference` where unknown.
    `video_probability` and the two kinds of thresholds are (modality, category). `scores`: this video's F-scores in percent
    as `metrics.f_scores` gives them, None without a reference. `chosen`: category names; `snippet`: the one of the triangle.
    """

    title: str
    categories: tuple[str, ...]
    chosen: tuple[str, ...]
    probability: np.ndarray
    vacuity: np.ndarray | None
    presence: np.ndarray | None
    absence: np.ndarray | None
    attention: np.ndarray
    reference: np.ndarray | None
    estimate: np.ndarray
    video_probability: np.ndarray
    video_thresholds: np.ndarray
    snippet_thresholds: np.ndarray
    scores: Mapping[str, Mapping[str, float]] | None = None
    snippet: int = 0
    log: bool = False


@use_theme()
def figure_3(state: ExplorerState) -> Figure:
    """Figure 3 and more: a column each for audio and visual over the same seconds, and the opinions of one snippet.

    From the top: events (reference above, estimate below), evidence for presence and absence, probability with vacuity and
    threshold, and attention; at the right the legends and the triangle. The chosen snippet is shaded everywhere.
    """
    keep = _occurring(state)
    heights = (0.42 * max(2, len(keep)), max(1.9, key_height(state.chosen)), 1.8, max(0.9, 0.3 * len(state.chosen)))
    figure, grid = _page(heights)
    columns = [[figure.add_subplot(grid[row, 2 * m]) for row in range(len(heights))] for m in range(len(MODALITIES))]
    for modality, column in zip(MODALITIES, columns, strict=True):
        _draw_column(state, modality, column, keep)
    _level(columns)
    _head(figure, state)
    _legends(figure, state, [ax.get_position().y1 for ax in columns[0]])
    _triangle(state, figure.add_subplot(grid[2:, -1]))
    return figure


def _page(heights: tuple[float, ...]) -> tuple[Picture, GridSpec]:
    """A figure as tall as its rows need, and its grid of panels."""
    height = TOP + sum(heights) + GAP * (len(heights) - 1) + BOTTOM
    figure = Picture(figsize=(WIDTH, height))
    grid = GridSpec(
        len(heights), len(COLUMNS), figure, height_ratios=heights, width_ratios=COLUMNS,
        left=LEFT / WIDTH, right=1 - RIGHT / WIDTH, top=1 - TOP / height, bottom=BOTTOM / height,
        hspace=GAP / np.mean(heights), wspace=0,
    )
    return figure, grid


def _draw_column(state: ExplorerState, modality: str, column: list[Axes], keep: tuple[str, ...]) -> None:
    """One modality's four panels."""
    common = {"snippet": state.snippet}
    one = {"modalities": (modality,), "legend": False, **common}
    names = (state.categories, state.chosen)
    tracks(state.reference, state.categories, state.estimate, column[0], show=(modality,), keep=keep, legend=False, **common)
    evidence_curves(state.presence, state.absence, *names, column[1], state.log, **one)
    probability_with_vacuity(state.probability, state.vacuity, *names, column[2], state.snippet_thresholds, **one)
    chosen = [state.categories.index(c) for c in state.chosen]
    top = float(state.attention[..., chosen].max(initial=0)) or None
    attention_map(state.attention, *names, column[3], (modality,), top=top, colorbar=modality == MODALITIES[-1], **common)


def _level(columns: list[list[Axes]]) -> None:
    """Equal scales in a row, said once: the titles and labels of the left panel stand for the right one."""
    titles = (columns[0][0].get_title(loc="left"), "Evidence (PE solid, AE dashed)", None, "Attention over the snippets")
    for row, (left, right) in enumerate(zip(*columns, strict=True)):
        title = titles[row] or left.get_title(loc="left").rsplit(",", 1)[0]
        left.set_title(title), right.set_title("")
        if row == 1 and left.lines and right.lines:
            top = max(left.get_ylim()[1], right.get_ylim()[1])
            left.set_ylim(0, top), right.set_ylim(0, top)
        right.set_ylabel(""), right.tick_params(labelleft=False)
        if row < len(columns[0]) - 1:
            for ax in (left, right):
                ax.set_xlabel(""), ax.tick_params(labelbottom=False)


def _head(figure: Figure, state: ExplorerState) -> None:
    """Whose video it is and how well it was parsed; over each column its modality and which categories are open in it."""
    height = figure.get_figheight()
    figure.text(0.15 / WIDTH, 1 - 0.12 / height, state.title, va="top", fontsize=12, fontweight="bold")
    figure.text(0.15 / WIDTH, 1 - 0.36 / height, _scores_text(state), va="top", color=QUIET)
    for m, modality in enumerate(MODALITIES):
        left = (LEFT + sum(COLUMNS[: 2 * m])) / WIDTH
        figure.text(left, 1 - 0.74 / height, modality, va="center", color=COLORS[modality], fontsize=12, fontweight="bold")
        right = left + COLUMNS[2 * m] / WIDTH
        figure.text(right, 1 - 0.74 / height, _gate_text(state, m), va="center", ha="right", color=QUIET, fontsize=9)


def _gate_text(state: ExplorerState, m: int) -> str:
    """Which of the chosen categories the video-level probability opens in a modality."""
    chosen = [state.categories.index(c) for c in state.chosen]
    p, is_open = state.video_probability[m], state.video_probability[m] >= state.video_thresholds[m]
    if len(chosen) > MOST_IN_HEAD:
        return f"{int(is_open[chosen].sum())} of {len(chosen)} categories open"
    texts = [f"{readable(state.categories[c], 99)} {p[c]:.2f} {'open' if is_open[c] else 'closed'}" for c in chosen]
    return "\n".join(f"video {text}" for text in texts)


def _scores_text(state: ExplorerState) -> str:
    if state.scores is None:
        return "No dense reference for this video: no F-score."
    parts = []
    for level, scores in state.scores.items():
        parts.append(f"{level} level " + ", ".join(f"{name.replace('_', '-')} {value:.0f}" for name, value in scores.items()))
    return "F-scores of this video (%): " + "; ".join(parts)


def _legends(figure: Figure, state: ExplorerState, tops: list[float]) -> None:
    """At the right of the events what the bars mean, at the right of the evidence what the lines mean."""
    kinds = ("estimate",) if state.reference is None else ("reference", "estimate")
    lines = LINE if state.presence is not None else ()
    keys = (track_key(MODALITIES, kinds), series_key(state.chosen, MODALITIES, tuple(lines)) if state.chosen else [])
    for key, top in zip(keys, tops, strict=False):
        place = (1 - (COLUMNS[-1] + RIGHT) / WIDTH, top)
        figure.legend(handles=key, loc="upper left", bbox_to_anchor=place, borderaxespad=0.0, handlelength=2.6)


def _triangle(state: ExplorerState, ax: Axes) -> None:
    """The chosen categories' opinions in the chosen snippet; markers as in the evidence."""
    ax.set_anchor("N")
    if state.vacuity is None or not state.chosen:
        ax.set_title("Opinions")
        ax.axis("off")
        say(ax, NO_CHOICE if not state.chosen else "point estimates have no vacuity, so no place in the triangle", 26)
        return
    chosen = [state.categories.index(c) for c in state.chosen]
    p, u = (x[:, state.snippet, chosen].ravel() for x in (state.probability, state.vacuity))
    styles = [series_style(m, k) for m in MODALITIES for k in range(len(chosen))]
    # p = belief + u / 2; a mixture of opinions can miss the triangle by less than a line's width
    belief, disbelief = np.clip(p - u / 2, 0, 1), np.clip(1 - p - u / 2, 0, 1)
    opinion_triangle(belief, disbelief, 1 - belief - disbelief, ax, styles=styles)
    ax.set_title(f"Opinions at {state.snippet} to {state.snippet + 1} s")


def _occurring(state: ExplorerState) -> tuple[str, ...]:
    """Categories with an event in the reference or the estimate, in either modality."""
    rolls = [r for r in (state.reference, state.estimate) if r is not None]
    occurs = np.any([r.any((0, 1)) for r in rolls], axis=0)
    return tuple(c for c, here in zip(state.categories, occurs, strict=True) if here)
