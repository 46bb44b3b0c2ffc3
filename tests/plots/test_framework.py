"""The drawing of the method: every step is there, no text leaves its box or touches another, pyplot knows nothing of it."""

from itertools import combinations

import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from cmpae_toolkit import plots
from cmpae_toolkit.plots.theme import COLORS, LINE


@pytest.fixture(scope="module")
def drawing():
    figure = plots.framework()
    plots.png(figure)  # gives the figure a canvas to measure texts on
    return figure


def boxes(figure):
    return [p for p in figure.axes[0].patches if isinstance(p, FancyBboxPatch)]


def extent(figure, artist):
    return artist.get_window_extent(figure.canvas.get_renderer())


def test_every_step_is_there(drawing):
    said = " ".join(t.get_text().replace("\n", " ") for t in drawing.axes[0].texts)
    steps = (
        "audio snippets", "visual snippets", "hybrid attention", "selector $h^a$", "selector $h^v$", "presence $f$", "absence $\\hat{f}$",
        "joint $f^{av}$", "attention pooling", "\\delta(c)", "$p^{av}, u^{av}$",
    )
    assert [step for step in steps if step not in said] == []
    for number in ("Eq. 2", "Eq. 3", "Eq. 4, 7", "Eq. 5", "6)", "Eq. 8 to 10"):
        assert number in said


def test_one_box_a_step_in_its_colour_and_line(drawing):
    def count(track, line):
        color = to_rgb(COLORS[track])
        return sum(p.get_edgecolor()[:3] == color and p.get_linestyle() == line for p in boxes(drawing))

    assert len(boxes(drawing)) == 2 * 6 + 3 + 3  # per modality, joint, and: attention, sum, mutual learning
    for modality in ("audio", "visual"):
        assert count(modality, LINE["presence"]) == 4  # features, presence, pooling, opinion
        assert count(modality, LINE["absence"]) == 2  # selector, absence
    assert count("audio_visual", LINE["presence"]) == 3
    arrows = [p for p in drawing.axes[0].patches if isinstance(p, FancyArrowPatch)]
    assert len(arrows) == 2 * 10 + 4


def test_nothing_overlaps(drawing):
    texts = [(t.get_text(), extent(drawing, t)) for t in drawing.axes[0].texts]
    assert [(a, b) for (a, one), (b, two) in combinations(texts, 2) if one.overlaps(two)] == []
    frames = [extent(drawing, box) for box in boxes(drawing)]
    assert not any(one.overlaps(two) for one, two in combinations(frames, 2))
    for text, place in texts:
        touching = [f for f in frames if f.overlaps(place)]
        inside = all(f.x0 < place.x0 and place.x1 < f.x1 and f.y0 < place.y0 and place.y1 < f.y1 for f in touching)
        assert len(touching) <= 1 and inside, f"{text!r} leaves its box"


def test_stays_on_the_page(drawing):
    width, height = drawing.get_size_inches() * drawing.dpi
    for artist in (*boxes(drawing), *drawing.axes[0].texts):
        place = extent(drawing, artist)
        assert place.x0 >= 0 and place.y0 >= 0 and place.x1 <= width and place.y1 <= height


def test_no_pyplot_state():
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    before = dict(mpl.rcParams)
    plots.png(plots.framework())
    assert dict(mpl.rcParams) == before and plt.get_fignums() == []
