"""Figure 3 composed: the state of one video in, a matplotlib Figure out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from ..config import MODALITIES
from .opinions import opinion_triangle
from .theme import COLORS, LINE, QUIET, Picture, explain_blank, key_height, plain, readable, series_key, series_style, use_theme
from .videos import NO_CHOICE, attention_map, evidence_curves, frames, probability_with_vacuity, track_key, tracks, waveform

NO_PLACE = "point estimates have no vacuity, so no place in the triangle"
# inches: fixed, since a layout engine would measure every text twice for each move of a slider
LEFT, RIGHT, TOP, BOTTOM, GAP = 1.7, 0.15, 1.25, 0.55, 0.5
COLUMNS = (3.7, 0.35, 3.7, 0.75, 2.5)  # audio, a space, visual, a space, legends and triangle
MEDIA = 0.62  # of the row of frames and waveform
MOST_ROWS = 4.8  # of events, and of attention
MOST_EVIDENCE = 1e100
MOST_IN_HEAD = 3  # categories whose video probability is told
WIDTH = LEFT + sum(COLUMNS) + RIGHT


@dataclass(frozen=True)
class ExplorerState:
    """All that `figure_3` and the explorer draw of one video, as arrays (modality, snippet, category), modality order audio, visual.

    `presence` and `absence` are None for heads without evidence, `vacuity` for point estimates, `reference` where unknown.
    What is of the whole video, and the two kinds of thresholds, are (modality, category); `video_vacuity` and the video's
    evidence are None like the snippets'. `scores`: this video's F-scores in percent as `metrics.f_scores` gives them, None without
    a reference. `chosen`: category names; `snippet`: the one of the triangle. `level`: "snippet", or "video" to draw the video's own
    evidence and opinions. `attention` is None for methods without any. `frames` (a tile for each snippet, or None) and `waveform`
    (point, 2) are as `plots.frames` and `plots.waveform` take them, and `spectrogram` (band, column), in 0..1, is for the live figure;
    `note` says what of them is missing; frames=None leaves out their row. `seconds`: how long a snippet lasts; `prior_weight`: W of the
    opinions; `present`: which modalities the video has at all. `path`: the film itself, or None; `start`, `end`: where in it the video
    begins and, of a clip, ends, in seconds; `before`: the state without a what-if, which the live figure draws pale beneath, or None.
    """

    title: str
    categories: tuple[str, ...]
    chosen: tuple[str, ...]
    probability: np.ndarray
    vacuity: np.ndarray | None
    presence: np.ndarray | None
    absence: np.ndarray | None
    attention: np.ndarray | None
    reference: np.ndarray | None
    estimate: np.ndarray
    video_probability: np.ndarray
    video_thresholds: np.ndarray
    snippet_thresholds: np.ndarray
    scores: Mapping[str, Mapping[str, float]] | None = None
    snippet: int = 0
    log: bool = False
    level: str = "snippet"
    video_vacuity: np.ndarray | None = None
    video_presence: np.ndarray | None = None
    video_absence: np.ndarray | None = None
    frames: tuple[np.ndarray | None, ...] | None = None
    waveform: np.ndarray | None = None
    spectrogram: np.ndarray | None = None
    note: str = ""
    seconds: float = 1.0
    prior_weight: float = 2.0
    present: tuple[bool, ...] = (True, True)
    path: Path | None = None
    start: float = 0.0
    end: float | None = None
    before: ExplorerState | None = None

    @property
    def curves(self) -> dict[str, np.ndarray | None]:
        """The arrays `probability`, `vacuity`, `presence`, `absence` and `threshold` to draw over the snippets. At the level "video" each
        snippet has the video's one number. Evidence beyond 1e100 is drawn as 1e100."""
        names = ("probability", "vacuity", "presence", "absence")
        if self.level == "video":
            whole = {n: getattr(self, f"video_{n}") for n in names}
            found = {n: None if x is None else np.broadcast_to(x[:, None], self.probability.shape) for n, x in whole.items()}
        else:
            found = {n: getattr(self, n) for n in names}
        for n in ("presence", "absence"):
            found[n] = None if found[n] is None else np.minimum(found[n], MOST_EVIDENCE)
        return found | {"threshold": self.video_thresholds if self.level == "video" else self.snippet_thresholds}

    @property
    def moment(self) -> str:
        """Whose opinions the triangle shows."""
        start, end = self.seconds * self.snippet, self.seconds * (self.snippet + 1)
        return "of the whole video" if self.level == "video" else f"at {start:g} to {end:g} s"

    @property
    def occurring(self) -> tuple[str, ...]:
        """Categories with an event in the reference or the estimate, in either modality."""
        rolls = [r for r in (self.reference, self.estimate) if r is not None]
        occurs = np.any([r.any((0, 1)) for r in rolls], axis=0)
        return tuple(c for c, here in zip(self.categories, occurs, strict=True) if here)


@use_theme()
def figure_3(state: ExplorerState) -> Figure:
    """Draws Figure 3 and more: a column each for audio and visual over the same seconds, and the opinions of one snippet.

    From the top: events (reference above, estimate below), evidence for presence and absence, probability with vacuity and
    threshold, and attention; at the right the legends and the triangle. The chosen snippet is shaded everywhere.

    >>> from cmpae_toolkit import checkpoint, load
    >>> from cmpae_toolkit.explorer import explore
    >>> figure_3(explore(checkpoint.shipped_run(), load("small", "test"), index=0)).axes[0].get_title(loc="left")
    'Events: reference above, estimate below'
    """
    keep = state.occurring
    events, attention = min(MOST_ROWS, 0.42 * max(2, len(keep))), min(MOST_ROWS, max(0.9, 0.3 * len(state.chosen)))
    heights = (events, max(1.9, key_height(state.chosen)), 1.8, attention)
    heights = heights if state.frames is None else (MEDIA, *heights)
    figure, grid = _page(heights)
    columns = [[figure.add_subplot(grid[row, 2 * m]) for row in range(len(heights))] for m in range(len(MODALITIES))]
    if state.frames is not None:
        waveform(state.waveform, columns[0].pop(0), state.probability.shape[1], state.note)
        frames(state.frames, columns[1].pop(0), state.probability.shape[1])
    for modality, column in zip(MODALITIES, columns, strict=True):
        _draw_column(state, modality, column, keep)
    _level(columns, state)
    _head(figure, state)
    _legends(figure, state, [ax.get_position().y1 for ax in columns[0]])
    _triangle(state, figure.add_subplot(grid[2:, -1]))
    return figure


def _page(heights: tuple[float, ...]) -> tuple[Picture, GridSpec]:
    """Makes a figure as tall as its rows need, and its grid of panels."""
    height = TOP + sum(heights) + GAP * (len(heights) - 1) + BOTTOM
    figure = Picture(figsize=(WIDTH, height))
    grid = GridSpec(
        len(heights), len(COLUMNS), figure, height_ratios=heights, width_ratios=COLUMNS,
        left=LEFT / WIDTH, right=1 - RIGHT / WIDTH, top=1 - TOP / height, bottom=BOTTOM / height,
        hspace=GAP / np.mean(heights), wspace=0,
    )
    return figure, grid


def _draw_column(state: ExplorerState, modality: str, column: list[Axes], keep: tuple[str, ...]) -> None:
    """Draws one modality's four panels."""
    common = {"snippet": state.snippet, "seconds": state.seconds}
    one = {"modalities": (modality,), "legend": False, **common}
    names, curves = (state.categories, state.chosen), state.curves
    tracks(state.reference, state.categories, state.estimate, column[0], show=(modality,), keep=keep, legend=False, **common)
    evidence_curves(curves["presence"], curves["absence"], *names, column[1], state.log, **one)
    probability_with_vacuity(curves["probability"], curves["vacuity"], *names, column[2], curves["threshold"], **one)
    chosen = [state.categories.index(c) for c in state.chosen]
    top = None if state.attention is None else float(state.attention[..., chosen].max(initial=0)) or None
    attention_map(state.attention, *names, column[3], (modality,), top=top, colorbar=modality == MODALITIES[-1], **common)


def _level(columns: list[list[Axes]], state: ExplorerState) -> None:
    """Makes scales equal in each row and tells them once: the titles and labels of the left panel stand for the right one."""
    whole = " of the whole video" if state.level == "video" else ""
    evidence = f"Evidence{whole} (PE solid, AE dashed)"
    titles = (columns[0][0].get_title(loc="left"), evidence, None, "Attention over the snippets")
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
    """Writes whose video it is and how well it was parsed, and over each column its modality and which categories are open in it."""
    height = figure.get_figheight()
    figure.text(0.15 / WIDTH, 1 - 0.12 / height, plain(state.title), va="top", fontsize=12, fontweight="bold")
    figure.text(0.15 / WIDTH, 1 - 0.36 / height, _scores_text(state), va="top", color=QUIET)
    for m, modality in enumerate(MODALITIES):
        left, told = (LEFT + sum(COLUMNS[: 2 * m])) / WIDTH, modality if state.present[m] else f"{modality} (absent)"
        figure.text(left, 1 - 0.74 / height, told, va="center", color=COLORS[modality], fontsize=12, fontweight="bold")
        right = left + COLUMNS[2 * m] / WIDTH
        figure.text(right, 1 - 0.74 / height, _gate_text(state, m), va="center", ha="right", color=QUIET, fontsize=9)


def _gate_text(state: ExplorerState, m: int) -> str:
    """Tells which of the chosen categories the video-level probability opens in a modality, if the video has it."""
    if not state.present[m]:
        return ""
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
    """Explains the bars at the right of the events, and the lines at the right of the evidence."""
    kinds = ("estimate",) if state.reference is None else ("reference", "estimate")
    lines = LINE if state.curves["presence"] is not None else ()
    keys = (track_key(MODALITIES, kinds), series_key(state.chosen, MODALITIES, tuple(lines)) if state.chosen else [])
    for key, top in zip(keys, tops, strict=False):
        place = (1 - (COLUMNS[-1] + RIGHT) / WIDTH, top)
        figure.legend(handles=key, loc="upper left", bbox_to_anchor=place, borderaxespad=0.0, handlelength=2.6)


def _triangle(state: ExplorerState, ax: Axes) -> None:
    """Draws the chosen categories' opinions in the chosen snippet, or of the whole video, with the markers of the evidence."""
    ax.set_anchor("N")
    if state.curves["vacuity"] is None or not state.chosen:
        ax.set_title("Opinions")
        ax.axis("off")
        explain_blank(ax, NO_CHOICE if not state.chosen else NO_PLACE, 26)
        return
    styles = [series_style(m, k) for m in MODALITIES for k in range(len(state.chosen))]
    opinion_triangle(*masses(state), ax, styles=styles)
    ax.set_title(f"Opinions {state.moment}")


def masses(state: ExplorerState) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns belief, disbelief and vacuity of the triangle's points, each (modality x chosen category,)."""
    chosen = [state.categories.index(c) for c in state.chosen]
    p, u = (state.curves[name][:, state.snippet, chosen].ravel().astype(float) for name in ("probability", "vacuity"))
    # p = belief + u / 2; a mixture of opinions can miss the triangle by less than a line's width
    belief, disbelief = np.clip(p - u / 2, 0, 1), np.clip(1 - p - u / 2, 0, 1)
    return belief, disbelief, 1 - belief - disbelief
