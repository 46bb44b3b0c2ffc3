"""The method as a drawing, our own of what the paper's Figure 2 shows: from features to opinions and mutual learning."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from .theme import COLORS, INK, LINE, QUIET, Picture, use_theme

WIDTH, HEIGHT = 10.4, 5.9  # inches; the axes count in inches, too
MIDDLE = 2.85  # the joint branch; audio above it, visual below, as mirror images
TRACK, PRESENCE, ABSENCE = 1.75, 2.2, 1.2  # how far above and below the middle a modality's rows are
SIGN = {"audio": 1, "visual": -1}
LETTER = {"audio": "a", "visual": "v"}


@dataclass(frozen=True)
class Box:
    """A step of the method: the middle of its box, its size, what stands in it, and its track and kind of line."""

    x: float
    y: float
    text: str
    width: float = 1.3
    height: float = 0.76
    track: str | None = None
    kind: str = "presence"

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width / 2


@use_theme()
def framework() -> Figure:
    """Features, hybrid attention, presence and absence evidence with the selectors, attention pooling, opinions, mutual learning.

    Colours as everywhere: audio orange, visual green, joint blue; presence in solid outline, absence in dashed outline.
    """
    figure = Picture(figsize=(WIDTH, HEIGHT))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    ax.axis("off")
    attention = Box(2.45, MIDDLE, "hybrid\nattention\n\nself-attention\n+\ncross-attention\n\none layer\nfor both", 1.35, 4.5)
    learning = Box(9.65, MIDDLE, _learning_text(), 1.3, 4.5)
    _draw_box(ax, attention), _draw_box(ax, learning)
    for modality in SIGN:
        _draw_modality(ax, modality, attention, learning)
    _draw_joint(ax, learning)
    for x, text in _headings().items():
        ax.text(x, HEIGHT - 0.12, text, ha="center", va="top", color=QUIET, fontsize=9, linespacing=1.2)
    return figure


def _headings() -> dict[float, str]:
    return {
        0.85: "features", 2.45: "context", 4.6: "selectors\n(Eq. 3)", 6.05: "evidence\n(Eq. 2, 3, 6)", 7.3: "over snippets",
        8.4: "opinions\n(Eq. 4, 7)", 9.65: "JML\n(Eq. 8 to 10)",
    }


def _learning_text() -> str:
    pairs = r"$p^{uni}, u^{uni}$", r"$p^{av}, u^{av}$"
    return f"select a\nmodality $\\delta(c)$\n\n{pairs[0]}\n\nteach each\nother in turn\n\n{pairs[1]}\n\nwho is vacuous\nteaches less"


def _draw_modality(ax: Axes, modality: str, attention: Box, learning: Box) -> None:
    """One track, mirrored for the other: two sources of evidence, pooled together into one opinion a category."""
    sign, m = SIGN[modality], LETTER[modality]
    track, presence_y, absence_y = (MIDDLE + sign * distance for distance in (TRACK, PRESENCE, ABSENCE))
    features = Box(0.85, track, f"{modality}\nsnippets\n$t = 1 \\dots T$", 1.3, 0.95, modality)
    selector = Box(4.6, absence_y, f"selector $h^{m}$\n$\\hat{{x}}^{m}$ from $x^{m}$", 1.2, 0.76, modality, "absence")
    presence = Box(6.05, presence_y, f"presence $f$\n$e^{m} = g(f(x^{m}))$", 1.4, 0.76, modality)
    absence = Box(6.05, absence_y, f"absence $\\hat{{f}}$\n$\\hat{{e}}^{m} = g(\\hat{{f}}(\\hat{{x}}^{m}))$", 1.4, 0.76, modality, "absence")
    pooling = Box(7.3, track, f"attention\npooling\n$\\sum_t A^{m}_t \\, e^{m}_t$\n$\\sum_t A^{m}_t \\, \\hat{{e}}^{m}_t$", 0.98, 1.4, modality)
    opinion = Box(8.4, track, f"$p^{m}, u^{m}$\nrisk: Eq. 5", 0.96, 0.76, modality)
    for box in (features, selector, presence, absence, pooling, opinion):
        _draw_box(ax, box)
    ax.text(3.3, track + 0.07, f"$x^{m}$", ha="center", va="bottom")
    joint_x = 3.6  # where the two tracks are added
    _arrow(ax, (features.right, track), (attention.left, track))
    _line(ax, (attention.right, track), (joint_x, track))
    _line(ax, (joint_x, track), (joint_x, presence_y))
    _arrow(ax, (joint_x, presence_y), (presence.left, presence_y))
    _arrow(ax, (joint_x, track), (joint_x, MIDDLE + sign * 0.16))
    _arrow(ax, (joint_x, absence_y), (selector.left, absence_y))
    _arrow(ax, (4.6, MIDDLE), (4.6, absence_y - sign * selector.height / 2))
    _arrow(ax, (selector.right, absence_y), (absence.left, absence_y))
    for box in (presence, absence):
        _arrow(ax, (box.right, box.y), (pooling.left, box.y))
    _arrow(ax, (pooling.right, track), (opinion.left, track))
    _arrow(ax, (opinion.right, track), (learning.left, track), "<|-|>")


def _draw_joint(ax: Axes, learning: Box) -> None:
    """The branch that sees the sum of both modalities; the same sum feeds the selectors."""
    joint = "audio_visual"
    collector = Box(6.05, MIDDLE, "joint $f^{av}$\n$e^{av}, \\hat{e}^{av}$", 1.4, 0.76, joint)
    pooling = Box(7.3, MIDDLE, "pooling by\nmean $A^a, A^v$", 0.98, 0.76, joint)
    opinion = Box(8.4, MIDDLE, "$p^{av}, u^{av}$\nrisk: Eq. 5", 0.96, 0.76, joint)
    _draw_box(ax, Box(3.6, MIDDLE, "+", 0.3, 0.3))
    for box in (collector, pooling, opinion):
        _draw_box(ax, box)
    ax.text(4.08, MIDDLE + 0.07, "$x^a + x^v$", ha="center", va="bottom", fontsize=9)
    _arrow(ax, (3.75, MIDDLE), (collector.left, MIDDLE))
    _arrow(ax, (collector.right, MIDDLE), (pooling.left, MIDDLE))
    _arrow(ax, (pooling.right, MIDDLE), (opinion.left, MIDDLE))
    _arrow(ax, (opinion.right, MIDDLE), (learning.left, MIDDLE), "<|-|>")


def _draw_box(ax: Axes, box: Box) -> None:
    color = COLORS[box.track] if box.track else QUIET
    tint = tuple(0.88 + 0.12 * value for value in to_rgb(color))
    shape = {"boxstyle": "round,pad=0,rounding_size=0.08", "linestyle": LINE[box.kind], "linewidth": 1.6}
    ax.add_patch(FancyBboxPatch((box.left, box.y - box.height / 2), box.width, box.height, facecolor=tint, edgecolor=color, **shape))
    ax.text(box.x, box.y, box.text, ha="center", va="center", fontsize=9.5, linespacing=1.35)


def _line(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    ax.plot(*zip(start, end, strict=True), color=INK, linewidth=1.1, solid_capstyle="round")


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], style: str = "-|>") -> None:
    look = {"arrowstyle": style, "mutation_scale": 9, "shrinkA": 0, "shrinkB": 0, "color": INK, "linewidth": 1.1}
    ax.add_patch(FancyArrowPatch(start, end, **look))
