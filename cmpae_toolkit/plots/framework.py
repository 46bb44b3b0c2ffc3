"""The method as a drawing, our own of what the paper's Figure 2 shows: from features to opinions and mutual learning."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from .theme import COLORS, INK, LINE, QUIET, Picture, use_theme

WIDTH, HEIGHT = 10.4, 6.1  # inches; the axes count in inches, too
MIDDLE = 2.95  # the joint branch; audio above it, visual below, as mirror images
TRACK, PRESENCE, ABSENCE = 1.75, 2.2, 1.2  # how far above and below the middle a modality's rows are
SIGN = {"audio": 1, "visual": -1}
FEATURES, CONTEXT, SUM, SELECTOR, EVIDENCE, POOLING, OPINION, MUTUAL = 0.72, 2.05, 3.2, 4.17, 5.78, 7.23, 8.4, 9.68  # columns


@dataclass(frozen=True)
class Box:
    """A step of the method: the middle of its box, what stands in it, its size, and its track and kind of line."""

    x: float
    y: float
    text: str
    width: float
    height: float = 0.76
    track: str | None = None
    kind: str = "presence"

    @property
    def left(self) -> tuple[float, float]:
        return self.x - self.width / 2, self.y

    @property
    def right(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y


@use_theme()
def framework() -> Figure:
    """Features, hybrid attention, presence and absence evidence with the selectors, attention pooling, opinions, mutual learning.

    Colours as everywhere: audio orange, visual green, joint blue; presence in solid outline, absence in dashed outline.
    """
    figure = Picture(figsize=(WIDTH, HEIGHT))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    ax.axis("off")
    _draw_box(ax, Box(CONTEXT, MIDDLE, "hybrid\nattention\n\nself-attention\n+\ncross-attention\n\none layer\nfor both", 1.2, 4.5))
    _draw_box(ax, Box(MUTUAL, MIDDLE, _mutual_text(), 1.22, 4.5))
    for modality in SIGN:
        _draw_sources(ax, modality)
        _draw_modality(ax, modality)
    _draw_joint(ax)
    for x, text in _headings().items():
        ax.text(x, HEIGHT - 0.26, text, ha="center", va="center", color=QUIET, fontsize=9, linespacing=1.2)
    ax.text(WIDTH / 2, 0.08, "solid outline: presence      dashed outline: absence", ha="center", color=QUIET, fontsize=9)
    return figure


def _headings() -> dict[float, str]:
    return {
        FEATURES: "features", CONTEXT: "context", SELECTOR: "selectors\n(Eq. 3)", EVIDENCE: "evidence\n(Eq. 2, 3, 6)",
        POOLING: "over snippets", OPINION: "opinions\n(Eq. 4, 7)", MUTUAL: "JML\n(Eq. 8 to 10)",
    }


def _mutual_text() -> str:
    return (
        "select by $\\delta(c)$:\n$p^{uni}, u^{uni}$\nfrom audio\nand visual\n\nteach each\nother in turn\n"
        "\nweighed by\nhow sure each\nside is:\n$u^{uni}, u^{av}$"
    )


def _draw_sources(ax: Axes, modality: str) -> None:
    """One track from its snippets through the attention to x^m, which goes three ways: presence, selector, sum."""
    sign, m = SIGN[modality], modality[0]
    track, presence_y, absence_y = (MIDDLE + sign * distance for distance in (TRACK, PRESENCE, ABSENCE))
    features = Box(FEATURES, track, f"{modality}\nsnippets\n$t = 1 \\dots T$", 1.1, 0.95, modality)
    selector = Box(SELECTOR, absence_y, f"selector $h^{m}$\n$\\hat{{x}}^{m}$ from $x^{m}$", 1.15, track=modality, kind="absence")
    _draw_box(ax, features), _draw_box(ax, selector)
    ax.text(SUM - 0.27, track + 0.07, f"$x^{m}$", ha="center", va="bottom")
    _arrow(ax, features.right, (CONTEXT - 0.6, track))
    _line(ax, (CONTEXT + 0.6, track), (SUM, track))
    _line(ax, (SUM, track), (SUM, presence_y))
    _arrow(ax, (SUM, presence_y), (EVIDENCE - 0.72, presence_y))
    _arrow(ax, (SUM, track), (SUM, MIDDLE + sign * 0.16))
    _arrow(ax, (SUM, absence_y), selector.left)
    _arrow(ax, (SELECTOR, MIDDLE), (SELECTOR, absence_y - sign * 0.38))
    _arrow(ax, selector.right, (EVIDENCE - 0.72, absence_y))


def _draw_modality(ax: Axes, modality: str) -> None:
    """One track from its two evidences, pooled together into one opinion a category, to mutual learning."""
    sign, m = SIGN[modality], modality[0]
    track, presence_y, absence_y = (MIDDLE + sign * distance for distance in (TRACK, PRESENCE, ABSENCE))
    absence_text = f"absence $\\hat{{f}}$\n$\\hat{{e}}^{m} = g(\\hat{{f}}(\\hat{{x}}^{m}))$"
    presence = Box(EVIDENCE, presence_y, f"presence $f$\n$e^{m} = g(f(x^{m}))$", 1.44, track=modality)
    absence = Box(EVIDENCE, absence_y, absence_text, 1.44, track=modality, kind="absence")
    pooling = Box(POOLING, track, f"attention\npooling,\nweights $A^{m}_t$", 1.0, 1.5, modality)
    opinion = Box(OPINION, track, f"$p^{m}, u^{m}$\nrisk: Eq. 5", 0.92, track=modality)
    for box in (presence, absence, pooling, opinion):
        _draw_box(ax, box)
    for box in (presence, absence):
        _arrow(ax, box.right, (pooling.left[0], box.y))
    _arrow(ax, pooling.right, opinion.left)
    _arrow(ax, opinion.right, (MUTUAL - 0.61, track), "<|-|>")


def _draw_joint(ax: Axes) -> None:
    """The branch that sees the sum of both modalities; the same sum feeds the selectors."""
    look = {"height": 0.76, "track": "audio_visual"}
    collector = Box(EVIDENCE, MIDDLE, "joint $f^{av}$\n$e^{av}, \\hat{e}^{av}$", 1.44, **look)
    pooling = Box(POOLING, MIDDLE, "mean of\n$A^a$ and $A^v$", 1.0, **look)
    opinion = Box(OPINION, MIDDLE, "$p^{av}, u^{av}$\nrisk: Eq. 5", 0.92, **look)
    for box in (Box(SUM, MIDDLE, "+", 0.3, 0.3), collector, pooling, opinion):
        _draw_box(ax, box)
    ax.plot(SELECTOR, MIDDLE, "o", color=INK, markersize=4)
    ax.text(3.74, MIDDLE + 0.07, "$x^a + x^v$", ha="center", va="bottom", fontsize=9)
    _arrow(ax, (SUM + 0.15, MIDDLE), collector.left)
    _arrow(ax, collector.right, pooling.left)
    _arrow(ax, pooling.right, opinion.left)
    _arrow(ax, opinion.right, (MUTUAL - 0.61, MIDDLE), "<|-|>")


def _draw_box(ax: Axes, box: Box) -> None:
    color = COLORS[box.track] if box.track else QUIET
    tint = tuple(0.88 + 0.12 * value for value in to_rgb(color))
    shape = {"boxstyle": "round,pad=0,rounding_size=0.08", "linestyle": LINE[box.kind], "linewidth": 1.6}
    corner = (box.left[0], box.y - box.height / 2)
    ax.add_patch(FancyBboxPatch(corner, box.width, box.height, facecolor=tint, edgecolor=color, **shape))
    ax.text(box.x, box.y, box.text, ha="center", va="center", fontsize=9.5, linespacing=1.45)


def _line(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    ax.plot(*zip(start, end, strict=True), color=INK, linewidth=1.1, solid_capstyle="round")


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], style: str = "-|>") -> None:
    look = {"arrowstyle": style, "mutation_scale": 9, "shrinkA": 0, "shrinkB": 0, "color": INK, "linewidth": 1.1}
    ax.add_patch(FancyArrowPatch(start, end, **look))
