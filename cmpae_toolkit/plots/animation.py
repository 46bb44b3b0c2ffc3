"""A film above its evidence curves, as a picture that moves: neither a player nor a script is needed to see it."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from ..config import MODALITIES
from .figure_3 import ExplorerState
from .theme import COLORS, INK, QUIET, Picture, plain, readable, series_key, use_theme
from .videos import evidence_curves, probability_with_vacuity, track_key, tracks

WIDTH, FILM, BESIDE = 8.0, (3.2, 2.4), 3.75  # inches: all, the film, where the text beside it begins
LEFTS, COLUMN = (1.25, 4.8), 3.05  # where the columns begin, how wide they are
HEAD, ROW, EVIDENCE, PROBABILITY, GAP, BOTTOM = 0.42, 0.21, 1.25, 0.95, 0.42, 0.5
DOTS, SHADES = 100, 128  # dots an inch, colours
SENSES = {"audio": "heard", "visual": "seen"}


@use_theme()
def film_animation(state: ExplorerState, pictures: Sequence[np.ndarray], title: str = "") -> bytes:
    """Draws a film that plays above its events, evidence and probability, with the playhead, as the bytes of a GIF that repeats.

    `state` is what `explorer.explore` gives of the film; `pictures` (height, width, 3), uint8, are spread evenly over its time. Equal
    arguments give equal bytes. `title` stands above; without it the state's does.

    >>> e = np.ones((2, 4, 1))
    >>> state = ExplorerState("toy", ("Bell",), ("Bell",), e / 2, e / 2, e, e, None, None, e > 0, e[:, 0], e[:, 0] / 2, e[:, 0] / 2)
    >>> Image.open(io.BytesIO(film_animation(state, [np.full((3, 4, 3), 90 * k, np.uint8) for k in range(2)]))).n_frames
    2
    """
    rows = (ROW * max(1, len(state.chosen)), EVIDENCE, PROBABILITY)
    figure = Picture(figsize=(WIDTH, HEAD + FILM[1] + sum(rows) + len(rows) * GAP + BOTTOM), dpi=DOTS)
    canvas = FigureCanvasAgg(figure)
    _write(figure, 0.15, 0.1, title or state.title, fontsize=12, fontweight="bold")
    film = _axes(figure, 0.15, HEAD, *FILM)
    film.axis("off")
    shown, clock = film.imshow(pictures[0]), _write(figure, BESIDE, HEAD + 0.02, color=QUIET)
    large = {"fontsize": 13, "fontweight": "bold"}
    told = [_write(figure, BESIDE, HEAD + 0.28 * (m + 1), color=COLORS[each], **large) for m, each in enumerate(MODALITIES)]
    _key(figure, state)
    tops = HEAD + FILM[1] + GAP + np.cumsum([0, rows[0] + GAP, rows[1] + GAP])
    columns = [[_axes(figure, left, top, COLUMN, tall) for top, tall in zip(tops, rows, strict=True)] for left in LEFTS]
    for modality, column in zip(MODALITIES, columns, strict=True):
        _column(state, modality, column)
    evidence = [column[1] for column in columns]
    for ax in evidence:
        ax.set_ylim(0, max(each.get_ylim()[1] for each in evidence))
        if state.log and ax.lines:
            ax.yaxis.get_major_locator().set_params(subs=(1,), numticks=5)
    heads = [ax.axvline(0, color=INK, linewidth=1.6, zorder=9) for column in columns for ax in column]
    drawn, snippets = [], state.probability.shape[1]
    for number, picture in enumerate(pictures):
        at = (number + 0.5) * snippets / len(pictures)
        shown.set_data(picture)
        clock.set_text(f"What the model says at {at * state.seconds:.1f} s:")
        for m, modality in enumerate(MODALITIES):
            found = [readable(c, 99) for c, on in zip(state.categories, state.estimate[m, int(at)], strict=True) if on]
            told[m].set_text(f"{SENSES[modality]}: {', '.join(found) or 'nothing'}")
        for head in heads:
            head.set_xdata([at, at])
        canvas.draw()
        drawn.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
    return _gif(drawn, 1000 * snippets * state.seconds / len(pictures))


def _axes(figure: Figure, left: float, top: float, width: float, tall: float) -> Axes:
    """Adds axes at a place in inches, counted from the upper left corner."""
    height = figure.get_figheight()
    return figure.add_axes((left / WIDTH, 1 - (top + tall) / height, width / WIDTH, tall / height))


def _write(figure: Figure, left: float, top: float, text: str = "", **style) -> Text:
    return figure.text(left / WIDTH, 1 - top / figure.get_figheight(), plain(text), va="top", **style)


def _column(state: ExplorerState, modality: str, column: Sequence[Axes]) -> None:
    """Draws one modality's events, evidence and probability below each other; the left column's labels stand for the right one."""
    events, evidence, probability = column
    curves, names = state.curves, (state.categories, state.chosen)
    one = {"modalities": (modality,), "legend": False, "seconds": state.seconds}
    tracks(state.reference, state.categories, state.estimate, events, show=(modality,), keep=state.chosen, legend=False)
    evidence_curves(curves["presence"], curves["absence"], *names, evidence, state.log, **one)
    probability_with_vacuity(curves["probability"], curves["vacuity"], *names, probability, curves["threshold"], **one)
    for ax, title in zip(column, ("events", "evidence", "probability"), strict=True):
        ax.set_title(f"{SENSES[modality]}: {title}", color=COLORS[modality], fontsize=10)
        ax.set(ylabel="", xlabel="time (s)" if ax is probability else "")
        ax.tick_params(labelleft=modality == MODALITIES[0], labelbottom=ax is probability)


def _key(figure: Figure, state: ExplorerState) -> None:
    """Explains beside the film what bars, markers and lines mean."""
    kinds = ("estimate",) if state.reference is None else ("reference", "estimate")
    bars = track_key(MODALITIES, kinds)[len(MODALITIES) :]
    for bar, label in zip(reversed(bars), ("what the model says", "what is true"), strict=False):
        bar.set_label(label)
    lines = series_key(state.chosen, (), ("presence", "absence") if state.presence is not None else ())
    place = (BESIDE / WIDTH, 1 - (HEAD + 1.0) / figure.get_figheight())
    figure.legend(handles=[*bars, *lines], loc="upper left", bbox_to_anchor=place, borderaxespad=0, ncols=2, handlelength=2.4)


def _gif(drawn: Sequence[Image.Image], milliseconds: float) -> bytes:
    """One palette for all, so that what stays does not flicker, and takes no room."""
    palette = drawn[len(drawn) // 2].quantize(SHADES, dither=Image.Dither.NONE)
    flat = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in drawn]
    buffer = io.BytesIO()
    flat[0].save(buffer, "GIF", save_all=True, append_images=flat[1:], duration=round(milliseconds), loop=0)
    return buffer.getvalue()
