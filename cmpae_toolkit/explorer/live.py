"""Figure 3 as inline SVG: the same state as `figure_3`, drawn in a few milliseconds, so that it follows a slider.

Colours come from `view.css` and so follow the page's light or dark theme. `view.js` draws the same for the
exported page; a browser test compares the two, number by number.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..config import MODALITIES
from ..plots.figure_3 import NO_PLACE, ExplorerState, masses
from ..plots.theme import readable
from ..plots.videos import NO_CHOICE, NO_EVIDENCE
from . import svg

WIDTH, LEFT, COLUMN, SPACE, RIGHT = 1000, 112, 298, 30, 778
MEDIA, EVIDENCE, PROBABILITY, ATTENTION, GAP = 44, 150, 120, 16, 46  # heights
TOP, TRIANGLE, MOST_KEYS, MOST_IN_HEAD = 132.0, 190, 12, 3
STYLE = Path(__file__).with_name("view.css")


def style() -> str:
    """The style sheet that the picture needs once on its page, as an HTML element."""
    return f"<style>{STYLE.read_text(encoding='utf-8')}</style>"


def explorer_svg(state: ExplorerState, description: str = "") -> str:
    """The state as one SVG element; `description` is what readers hear who do not see it."""
    parts = [*_head(state)]
    y = TOP
    for panel in (_media, _events, _evidence, _probability, _attention):
        drawn, height = panel(state, y)
        parts += drawn
        y += height and height + GAP
    below = TOP + _key_height(state) + 56  # the triangle's top
    parts += [*_key(state, TOP), *_triangle(state, below)]
    height = max(y, below + TRIANGLE + 10)
    told = html.escape(description or state.title)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{told}">'
    return head + "".join(parts) + "</svg>"


def _left(m: int) -> float:
    return LEFT + m * (COLUMN + SPACE)


def _look(m: int, number: int) -> str:
    """The classes of a series' colour: its modality's, in one of three shades."""
    return f"{'av'[m]}{number % 3}"


def _indices(state: ExplorerState) -> list[int]:
    return [state.categories.index(c) for c in state.chosen]


def _head(state: ExplorerState) -> Iterator[str]:
    """Title, F-scores, and over each column which categories the video's probability opens."""
    yield svg.text(8, 20, state.title, "title")
    if state.scores is None:
        yield svg.text(8, 40, "No dense reference for this video: no F-score.", "quiet")
    else:
        for k, (level, scores) in enumerate(state.scores.items()):
            told = ", ".join(f"{name.replace('_', '-')} {value:.1f}" for name, value in scores.items())
            yield svg.text(8, 40 + 17 * k, f"F of this video (%), {level} level: {told}", "quiet score")
    for m, modality in enumerate(MODALITIES):
        yield svg.text(_left(m), 76, modality, f"strong {_look(m, 0)}")
        for k, line in enumerate(_gates(state, m)):
            yield svg.text(_left(m) + COLUMN, 76 + 14 * k, line, "quiet end gate")


def _gates(state: ExplorerState, m: int) -> list[str]:
    p, is_open, chosen = state.video_probability[m], state.video_probability[m] >= state.video_thresholds[m], _indices(state)
    if len(chosen) > MOST_IN_HEAD:
        return [f"{int(is_open[chosen].sum())} of {len(chosen)} categories open"]
    return [f"video {readable(state.categories[c], 99)} {p[c]:.2f} {'open' if is_open[c] else 'closed'}" for c in chosen]


def _media(state: ExplorerState, y: float) -> tuple[list[str], float]:
    """The outline of the sound at the left, the frames at the right, blank tiles where there is none."""
    if state.media is None:
        return [], 0.0
    snippets, step = state.probability.shape[1], COLUMN / state.probability.shape[1]
    parts = [svg.text(_left(0), y - 7, "Waveform", "strong"), svg.text(_left(1), y - 7, "Frames", "strong")]
    for t in range(snippets):
        parts.append(svg.rect(_left(0) + t * step, y, step, MEDIA, "tile"))
        tile = state.media.frames[t] if t < len(state.media.frames) else None
        place = f'x="{_left(1) + t * step:.1f}" y="{y:.1f}" width="{step:.1f}" height="{MEDIA}"'
        parts.append(f'<rect {place} class="tile"/>' if tile is None else f'<image {place} href="{svg.picture(tile)}"/>')
    if state.media.waveform is not None:
        low, high = y + MEDIA * (0.5 - 0.48 * state.media.waveform.T)
        x = _left(0) + (np.arange(len(low)) + 0.5) * COLUMN / len(low)
        parts.append(svg.path(svg.line([*x, *x[::-1]], [*high, *low[::-1]]) + "z", "wave"))
    if state.media.note:
        parts.append(svg.text(_left(0) + COLUMN / 2, y + MEDIA / 2 + 4, state.media.note[:56], "quiet mid"))
    return parts, MEDIA


def _panel(state: ExplorerState, y: float, height: float, title: str) -> list[str]:
    """The frames of a row's two panels: title, shaded snippet, axes, ticks at the seconds."""
    snippets, parts = state.probability.shape[1], [svg.text(_left(0), y - 9, title, "strong")]
    step, every = COLUMN / snippets, max(1, -(-snippets // 5))
    for m in range(len(MODALITIES)):
        x = _left(m)
        parts.append(svg.rect(x + state.snippet * step, y, step, height, "here"))
        parts.append(svg.path(f"M{x:.1f},{y:.1f}V{y + height:.1f}H{x + COLUMN:.1f}", "axis"))
        for t in range(0, snippets + 1, every):
            parts.append(svg.path(f"M{x + t * step:.1f},{y + height:.1f}v4", "axis"))
            parts.append(svg.text(x + t * step, y + height + 16, f"{t}{' s' if t + every > snippets else ''}", "quiet mid"))
    return parts


def _events(state: ExplorerState, y: float) -> tuple[list[str], float]:
    """A row for each category that occurs: the reference's bars above, the estimate's below."""
    keep = state.occurring
    row = 28 if len(keep) <= MOST_KEYS else 16
    height = row * max(1, len(keep))
    given = {"reference": state.reference, "estimate": state.estimate}
    rolls = {kind: roll for kind, roll in given.items() if roll is not None}
    parts = _panel(state, y, height, "Events: " + " above, ".join(rolls) + (" below" if len(rolls) > 1 else ""))
    if not keep:
        parts += [svg.text(_left(m) + COLUMN / 2, y + row / 2 + 4, "no event", "quiet mid") for m in range(len(MODALITIES))]
    step = COLUMN / state.estimate.shape[1]
    for k, name in enumerate(keep):
        top, c = y + k * row, state.categories.index(name)
        parts.append(svg.text(LEFT - 8, top + row / 2 + 4, _short(name), "end"))
        for kind, roll in rolls.items():
            low = top + row * (0.08 if kind == "reference" else 0.52)
            for m in range(len(MODALITIES)):
                for start, end in _runs(roll[m, :, c]):
                    bar = (_left(m) + start * step + 1, low, (end - start) * step - 2, row * 0.38)
                    parts.append(svg.rect(*bar, f"{kind} {_look(m, 0)}"))
    return parts, height


def _short(name: str, most: int = 15) -> str:
    text = readable(name, 99)
    return text if len(text) <= most else text[: most - 1] + "…"


def _runs(active: np.ndarray) -> list[tuple[int, int]]:
    edges = np.diff(np.concatenate([[0], active.astype(int), [0]]))
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))


def _evidence(state: ExplorerState, y: float) -> tuple[list[str], float]:
    """Presence solid, absence dashed; equal scales in both columns."""
    curves, chosen = state.curves, _indices(state)
    title = "Evidence" + (" of the whole video" if state.level == "video" else "")
    parts = _panel(state, y, EVIDENCE, title + ": presence solid, absence dashed")
    if curves["presence"] is None or not chosen:
        return parts + _nothing(y, EVIDENCE, NO_CHOICE if not chosen else NO_EVIDENCE), EVIDENCE
    shown = np.stack([curves["presence"][..., chosen], curves["absence"][..., chosen]]).astype(float)
    top = max(float(shown.max()), 1e-6)
    full = svg.scale(top, state.log) * 1.04
    for value in svg.ticks(top, state.log):
        at = y + EVIDENCE * (1 - svg.scale(value, state.log) / full)
        parts += [svg.path(f"M{LEFT - 4},{at:.1f}h4", "axis"), svg.text(LEFT - 8, at + 4, svg.number(value), "quiet end")]
    x = (np.arange(shown.shape[2]) + 0.5) * COLUMN / shown.shape[2]
    heights = np.where(shown > 1, 1 + np.log10(np.maximum(shown, 1)), shown) if state.log else shown
    heights = y + EVIDENCE * (1 - heights / full)
    for m in range(len(MODALITIES)):
        for k in range(len(chosen)):
            for kind, name in enumerate(("presence", "absence")):
                parts += _series(x + _left(m), heights[kind, m, :, k], m, k, name)
    return parts, EVIDENCE


def _series(x: np.ndarray, y: np.ndarray, m: int, k: int, kind: str) -> list[str]:
    return [svg.path(svg.line(x, y), f"series {kind} {_look(m, k)}"), svg.path(svg.marks(x, y, k), f"mark {_look(m, k)}")]


def _nothing(y: float, height: float, why: str) -> list[str]:
    return [svg.text((_left(0) + _left(1) + COLUMN) / 2, y + height / 2, why, "quiet mid")]


def _probability(state: ExplorerState, y: float) -> tuple[list[str], float]:
    """The probability in a band of half the vacuity to both sides; dotted, the thresholds."""
    curves, chosen = state.curves, _indices(state)
    title = "Probability" + (" of the whole video" if state.level == "video" else "")
    title += " (no vacuity: point estimates)" if curves["vacuity"] is None else " ± vacuity / 2"
    parts = _panel(state, y, PROBABILITY, title)
    for value in (0, 0.5, 1):
        at = y + PROBABILITY * (1 - value)
        parts += [svg.path(f"M{LEFT - 4},{at:.1f}h4", "axis"), svg.text(LEFT - 8, at + 4, f"{value:g}", "quiet end")]
    if not chosen:
        return parts + _nothing(y, PROBABILITY, NO_CHOICE), PROBABILITY
    p = curves["probability"][..., chosen].astype(float)
    x = (np.arange(p.shape[1]) + 0.5) * COLUMN / p.shape[1]
    for m in range(len(MODALITIES)):
        for k in range(len(chosen)):
            if curves["vacuity"] is not None:
                half = curves["vacuity"][m, :, chosen[k]] / 2
                low, high = y + PROBABILITY * (1 - np.clip([p[m, :, k] - half, p[m, :, k] + half], 0, 1))
                parts.append(svg.path(svg.line([*x + _left(m), *x[::-1] + _left(m)], [*high, *low[::-1]]) + "z", f"band {_look(m, k)}"))
            parts += _series(x + _left(m), y + PROBABILITY * (1 - p[m, :, k]), m, k, "presence")
        for value in sorted({float(v) for v in curves["threshold"][m, chosen]}):
            parts.append(svg.path(f"M{_left(m):.1f},{y + PROBABILITY * (1 - value):.1f}h{COLUMN}", "threshold"))
    return parts, PROBABILITY


def _attention(state: ExplorerState, y: float) -> tuple[list[str], float]:
    """A row for each chosen category: the fuller a second's colour, the more it counts for the video."""
    chosen = _indices(state)
    height = ATTENTION * max(2, len(chosen))
    attention = state.attention[..., chosen]
    top = float(attention.max(initial=0)) or 1.0
    title = f"Attention over the snippets (full colour: {top:.2f})" if chosen else "Attention over the snippets"
    parts = _panel(state, y, height, title)
    if not chosen:
        return parts + _nothing(y, height, NO_CHOICE), height
    step = COLUMN / attention.shape[1]
    for k, name in enumerate(state.chosen):
        parts.append(svg.text(LEFT - 8, y + (k + 0.5) * ATTENTION + 4, _short(name), "end"))
        for m in range(len(MODALITIES)):
            for t, value in enumerate(attention[m, :, k]):
                fill = f' fill-opacity="{value / top:.3f}"'
                parts.append(svg.rect(_left(m) + t * step, y + k * ATTENTION, step, ATTENTION, "heat", fill))
    frame = (state.snippet * step, y, step, ATTENTION * len(chosen), "frame")
    return parts + [svg.rect(_left(m) + frame[0], *frame[1:]) for m in range(len(MODALITIES))], height


def _key_height(state: ExplorerState) -> float:
    return 18 * (min(len(state.chosen), MOST_KEYS + 1) + 4)


def _key(state: ExplorerState, y: float) -> Iterator[str]:
    """What bars, lines and markers mean."""
    for k, (kind, text) in enumerate((("reference", "reference"), ("estimate", "estimate"))):
        yield svg.rect(RIGHT, y + 18 * k, 22, 9, f"{kind} key")
        yield svg.text(RIGHT + 32, y + 18 * k + 9, text)
    for m, modality in enumerate(MODALITIES):
        top = y + 36 + 18 * m
        yield svg.path(svg.marks([RIGHT + 11], [top + 5], 0), f"mark {_look(m, 0)}")
        yield svg.text(RIGHT + 32, top + 9, f"{modality} ({'filled' if m == 0 else 'hollow'} markers)")
    for k, name in enumerate(state.chosen[: MOST_KEYS + 1]):
        top = y + 72 + 18 * k
        if k == MOST_KEYS and len(state.chosen) > MOST_KEYS + 1:
            yield svg.text(RIGHT + 32, top + 9, f"… and {len(state.chosen) - MOST_KEYS} more", "quiet")
        else:
            yield svg.path(svg.marks([RIGHT + 11], [top + 5], k), "mark key")
            yield svg.text(RIGHT + 32, top + 9, _short(name, 27))


def _triangle(state: ExplorerState, y: float) -> Iterator[str]:
    """The chosen categories' opinions as points between belief, disbelief and vacuity."""
    shown = state.curves["vacuity"] is not None and bool(state.chosen)
    yield svg.text(RIGHT, y - 24, f"Opinions {state.moment}" if shown else "Opinions", "strong")
    if not shown:
        why = NO_CHOICE if not state.chosen else NO_PLACE
        for k, line in enumerate(readable(why, 30).split("\n")):
            yield svg.text(RIGHT, y + 17 * k, line, "quiet")
        return
    x, height = RIGHT + 6.0, TRIANGLE * math.sqrt(3) / 2

    def place(b: float, u: float) -> tuple[float, float]:
        return x + TRIANGLE * (b + u / 2), y + height * (1 - u)

    yield svg.path(svg.line(*zip(place(0, 0), place(1, 0), place(0, 1), strict=True)) + "z", "axis")
    for share in (0.25, 0.5, 0.75):
        rest = 1 - share
        for ends in (((share, 0), (share, rest)), ((0, share), (rest, share)), ((rest, 0), (0, rest))):
            yield svg.path(svg.line(*zip(*(place(*end) for end in ends), strict=True)), "grid")
    yield svg.text(x + TRIANGLE / 2, y - 6, "vacuity", "mid")
    yield svg.text(x, y + height + 16, "disbelief", "mid")
    yield svg.text(x + TRIANGLE, y + height + 16, "belief", "mid")
    for number_, (b, _, u) in enumerate(zip(*masses(state), strict=True)):
        m, k = divmod(number_, len(state.chosen))
        a, c = place(float(b), float(u))
        yield svg.path(svg.marks([a], [c], k), f"mark point {_look(m, k)}")
