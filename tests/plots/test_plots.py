"""Every picture over its options: what is drawn is what was given; rcParams and pyplot stay as they were."""

import io
import math
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from PIL import Image
from states import LEVELS, SCORES, make_state

from cmpae_toolkit import plots
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.plots import theme
from cmpae_toolkit.plots.datasets import run_lengths


@pytest.fixture(autouse=True)
def nothing_leaks():
    """After each picture rcParams are what they were and pyplot knows no figure."""
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == []


def said(ax):
    return " ".join(t.get_text().replace("\n", " ") for t in ax.texts)


def drawn(picture):
    """The picture's size in pixels, having been drawn without a warning."""
    return Image.open(io.BytesIO(plots.png(getattr(picture, "figure", picture)))).size


def bars(ax):
    """{label: [(from, to), ...]} of the event bars."""
    found = {}
    for collection in ax.collections:
        spans = [(float(p.vertices[:, 0].min()), float(p.vertices[:, 0].max())) for p in collection.get_paths()]
        if not collection.get_label().startswith("_"):
            found.setdefault(collection.get_label(), []).extend(spans)
    return found


def test_bars_span_the_events():
    reference = np.zeros((2, 10, 3), bool)
    reference[0, 2:5, 1], reference[0, 8:, 1], reference[1, 4:6, 1] = True, True, True
    estimate = np.zeros_like(reference)
    estimate[1, :3, 2] = True
    ax = plots.tracks(reference, ("Car", "Baby_cry", "Dog"), estimate)
    found = bars(ax)
    assert found["reference audio"] == [(2, 5), (8, 10)]
    assert found["reference visual"] == [(4, 6)]
    assert found["reference audio_visual"] == [(4, 5)]
    assert found["estimate visual"] == [(0, 3)]
    names = [t.get_text() for t in ax.get_yticklabels()]
    assert names == ["Baby cry, audible", "Baby cry, visible", "Baby cry, audi-visible", "Dog, visible"]
    assert ax.get_xlabel() == "time (s)" and drawn(ax)


@pytest.mark.parametrize("reference", [True, False])
@pytest.mark.parametrize("snippets", [4, 20])
def test_tracks_without_events_or_reference(reference, snippets):
    none = np.zeros((2, snippets, 1), bool)
    ax = plots.tracks(none if reference else None, ("Car",), none)
    assert "no event in " + ("reference or " if reference else "") + "estimate" in said(ax)
    ax = plots.tracks(none if reference else None, ("Car",), none, keep=("Car",), show=("visual",), snippet=2)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["Car"] and drawn(ax)


def test_tracks_of_nothing():
    with pytest.raises(InputError, match="neither a reference nor an estimate"):
        plots.tracks(None, ("Car",))


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(("count", "snippets"), [(1, 10), (3, 4), (25, 20)])
def test_evidence_lines_are_the_evidence(count, snippets, log):
    state = make_state(snippets, count, chosen=count)
    ax = plots.evidence_curves(state.presence, state.absence, state.categories, state.chosen, log=log, snippet=1)
    lines = {line.get_label(): line for line in ax.lines}
    assert len(lines) == 4 * count
    for c, category in enumerate(state.categories):
        for m, letter in enumerate("AV"):
            for kind, evidence, style in (("P", state.presence, "-"), ("A", state.absence, "--")):
                line = lines[f"{letter}-{kind}E-{category.replace('_', ' ')}"]
                np.testing.assert_array_equal(line.get_ydata(), evidence[m, :, c])
                np.testing.assert_array_equal(line.get_xdata(), np.arange(snippets) + 0.5)
                assert line.get_linestyle() == style
    assert ax.get_yscale() == ("symlog" if log else "linear") and drawn(ax)


def test_evidence_that_is_not_there():
    assert "no presence and absence evidence" in said(plots.evidence_curves(None, None, ("Car",), ("Car",)))
    state = make_state()
    assert "no category is chosen" in said(plots.evidence_curves(state.presence, state.absence, state.categories, ()))
    with pytest.raises(InputError, match="'Zebra' is not a category"):
        plots.evidence_curves(state.presence, state.absence, state.categories, ("Zebra",))


def test_the_band_goes_from_belief_to_belief_and_vacuity():
    state = make_state(chosen=1)
    modalities = ("visual",)
    ax = plots.probability_with_vacuity(state.probability, state.vacuity, state.categories, state.chosen, None, 0.4, modalities)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), state.probability[1, :, 0])
    strength = state.presence + state.absence + 2
    belief, plausibility = state.presence / strength, (state.presence + 2) / strength
    edges = ax.collections[-1].get_paths()[0].vertices[:, 1]
    assert math.isclose(edges.min(), belief[1, :, 0].min()) and math.isclose(edges.max(), plausibility[1, :, 0].max())
    assert ax.lines[1].get_ydata()[0] == 0.4 and ax.lines[1].get_label() == "threshold 0.40" and drawn(ax)


@pytest.mark.parametrize("chosen", [0, 1, 25])
def test_probability_without_vacuity(chosen):
    state = make_state(count=25, chosen=chosen, evidence=False)
    thresholds = np.linspace(0, 1, 50).reshape(2, 25)
    ax = plots.probability_with_vacuity(state.probability, None, state.categories, state.chosen, threshold=thresholds)
    assert len(ax.lines) == chosen * 4  # a line and a threshold each
    assert ("no category is chosen" in said(ax)) == (chosen == 0)
    assert "no vacuity" in ax.get_title(loc="left") and drawn(ax)


@pytest.mark.parametrize("chosen", [0, 1, 25])
def test_attention_rows_are_the_attention(chosen):
    state = make_state(4, 25, chosen=chosen)
    ax = plots.attention_map(state.attention, state.categories, state.chosen, snippet=1)
    if chosen:
        expected = np.moveaxis(state.attention[..., :chosen], 1, 2).reshape(-1, 4)
        np.testing.assert_array_equal(ax.images[0].get_array(), expected)
        assert ax.child_axes[0].get_ylabel() == "attention"
    assert drawn(ax)


def test_a_point_stands_where_its_barycentric_coordinates_say():
    # e = 3, e^ = 1: belief 1/2, disbelief 1/6, vacuity 1/3, probability 2/3
    ax = plots.opinion_triangle(1 / 2, 1 / 6, 1 / 3)
    point = next(line for line in ax.lines if line.get_marker() == "o")
    x = 1 / 2 * 1 + 1 / 6 * 0 + 1 / 3 * 0.5
    np.testing.assert_allclose(point.get_xydata()[0], [x, 1 / 3 * math.sqrt(3) / 2])
    projection = next(line for line in ax.lines if line.get_label() == "_projection")
    np.testing.assert_allclose(projection.get_xydata()[0], [2 / 3, 0])
    assert "probability 0.67" in said(ax) and drawn(ax)


@pytest.mark.parametrize("trail", [False, True])
@pytest.mark.parametrize("number", [1, 2, 12])
def test_triangles_of_several_opinions(number, trail):
    masses = np.random.default_rng(0).dirichlet(np.ones(3), number).T
    labels = [f"snippet {i}" for i in range(number)]
    ax = plots.opinion_triangle(*masses, labels=labels, trail=trail)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == labels and drawn(ax)
    for name, corner in (("belief", (1, 0, 0)), ("disbelief", (0, 1, 0)), ("vacuity", (0, 0, 1))):
        ax = plots.opinion_triangle(*corner)
        label = next(t for t in ax.texts if t.get_text() == name)
        point = next(line for line in ax.lines if line.get_marker() == "o").get_xydata()[0]
        assert np.abs(np.array(label.get_position()) - point).max() < 0.06


def test_masses_that_do_not_sum_to_one():
    with pytest.raises(InputError, match="sum to 1"):
        plots.opinion_triangle(0.5, 0.5, 0.5)


def test_beta_densities_integrate_to_one_and_refuse_negative_evidence():
    ax = plots.beta_density([1, 4, 4000], [1, 2, 1], labels=["none", "some", "much"])
    curves = [line for line in ax.lines if len(line.get_xdata()) > 2]
    for line in curves:
        assert np.trapezoid(line.get_ydata(), line.get_xdata()) == pytest.approx(1, abs=0.01)
    some = curves[1]
    x = some.get_xdata()
    np.testing.assert_allclose(some.get_ydata(), 20 * x**3 * (1 - x), rtol=1e-6)  # Gamma(6) / (Gamma(4) Gamma(2)) = 20
    assert "p = 0.667, u = 0.333" in some.get_label() and drawn(ax)
    with pytest.raises(InputError, match="1 or more"):
        plots.beta_density(0.5, 1)


def make_history(epochs, losses=("loss", "audio", "visual", "joint", "contrastive", "mutual")):
    rows = np.arange(1, epochs + 1)
    columns = {"epoch": rows, "learning_rate": 5e-4, **{n: 1.0 / rows + i for i, n in enumerate(losses)}}
    scores = {f"{level}.{name}": 50.0 - (rows - 3) ** 2 for level in LEVELS for name in SCORES}
    return pd.DataFrame(columns | scores | {"mean": 50.0 - (rows - 3) ** 2, "seconds": 1.0})


@pytest.mark.parametrize("epochs", [0, 1, 25])
def test_the_history_with_its_best_epoch(epochs):
    figure = plots.training_history(make_history(epochs))
    assert isinstance(figure, Figure) and drawn(figure)
    if not epochs:
        assert "no epoch" in said(figure.axes[0])
        return
    best = min(epochs, 3)
    for ax in figure.axes:
        assert [line.get_xdata()[0] for line in ax.lines if line.get_label() == f"best epoch ({best})"] == [best]
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), make_history(epochs)["loss"])
    assert len(figure.axes[1].lines) == 10 + 1 + 1


def test_histories_without_some_losses_and_with_a_given_best_epoch():
    figure = plots.training_history(make_history(5, losses=("loss", "audio")), best_epoch=5)
    assert [line.get_label() for line in figure.axes[0].lines] == ["total", "audio", "best epoch (5)"]


@pytest.mark.parametrize("floors", [0, 1, 2])
def test_score_bars_have_the_scores_heights(floors):
    scores = {level: {name: 10.0 * i + 5 * j for i, name in enumerate(SCORES)} for j, level in enumerate(LEVELS)}
    floor = {f"floor {k}": {level: dict.fromkeys(SCORES, 20.0 * k) for level in LEVELS} for k in range(floors)}
    ax = plots.score_bars(scores, floor or None)
    assert [bar.get_height() for bar in ax.patches] == [scores[level][name] for level in LEVELS for name in SCORES]
    assert [line.get_ydata()[0] for line in ax.lines] == [20.0 * k for k in range(floors)] and drawn(ax)


def test_threshold_curves():
    ax = plots.threshold_curve([0.2, 0.5, 0.8], {"audio": [1, 3, 2], "Baby_cry": [0, 0, 0]}, chosen=0.5)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [1, 3, 2])
    assert ax.lines[2].get_xdata()[0] == 0.5 and drawn(ax)


@pytest.mark.parametrize("count", [1, 3, 25])
def test_data_set_pictures(count):
    rng = np.random.default_rng(0)
    categories = tuple(f"Category_{i}" for i in range(count))
    reference = rng.random((30, 2, 4, count)) < 0.3
    weak = reference.any((1, 2)).astype(np.float32)
    ax = plots.category_frequencies(categories, weak, reference)
    widths = [bar.get_width() for bar in ax.patches[:count]]
    assert widths == sorted(weak.sum(0), reverse=True) and len(ax.patches) == 3 * count and drawn(ax)
    assert len(plots.category_frequencies(categories, weak).patches) == count
    assert "neither" in said(plots.category_frequencies(categories))
    ax = plots.modality_shares(categories, reference)
    assert math.isclose(sum(bar.get_width() for bar in ax.patches), 100 * count) and drawn(ax)
    assert drawn(plots.durations(reference))
    ax = plots.cooccurrence(categories, weak)
    together = (weak.T @ weak).astype(int)
    np.testing.assert_array_equal(ax.collections[0].get_array().filled(0), together)
    assert drawn(ax) and "no weak label" in said(plots.cooccurrence(categories, 0 * weak))


def test_data_set_pictures_without_events():
    none = np.zeros((2, 2, 5, 3), bool)
    assert drawn(plots.modality_shares("abc", none)) and drawn(plots.durations(none))


def test_lengths_of_runs():
    roll = np.zeros((2, 5, 1), bool)
    roll[0, [0, 1, 3], 0], roll[1, :, 0] = True, True
    np.testing.assert_array_equal(run_lengths(roll), [1, 1, 0, 0, 1])  # lengths 1 and 2 in the first video, 5 in the second


STATES = {
    "one category": dict(count=1, chosen=1), "three": dict(count=3, chosen=3, log=True), "25": dict(count=25, chosen=25),
    "short": dict(snippets=4, snippet=3), "long": dict(snippets=20, snippet=19), "no event": dict(events=False),
    "no reference": dict(reference=False), "neither": dict(reference=False, events=False), "nothing chosen": dict(chosen=0),
    "point estimates": dict(evidence=False), "blank media": dict(frames=(None,) * 10, note="no media"),
    "media": dict(frames=(np.full((9, 16, 3), 99, np.uint8),) * 10, waveform=np.array([[-1.0, 1.0]] * 50)),
    "no attention": dict(attention=None), "half seconds": dict(seconds=0.5), "no sound": dict(present=(False, True)),
}


@pytest.mark.parametrize("name", STATES)
def test_figure_3(name):
    state = make_state(**STATES[name])
    figure = plots.figure_3(state)
    width, height = drawn(figure)
    assert width > height / 2 and figure.get_facecolor() == (1, 1, 1, 1)
    texts = [t.get_text() for t in figure.texts]
    assert any("simulated" in t for t in texts)
    assert any("no F-score" in t for t in texts) == (state.reference is None)
    if name == "point estimates":
        assert sum("no presence and absence evidence" in said(ax) for ax in figure.axes) == 2
        assert any("no vacuity" in said(ax) for ax in figure.axes)


def test_figure_3_draws_its_state():
    state = make_state(chosen=1, snippet=2)
    figure = plots.figure_3(state)
    drawn_lines = [line.get_ydata() for ax in figure.axes for line in ax.lines]
    for array in (state.presence, state.absence, state.probability):
        for m in range(2):
            assert any(np.array_equal(y, array[m, :, 0]) for y in drawn_lines)
    # the triangle's points: x = belief + vacuity / 2 is the probability
    triangle = next(ax for ax in figure.axes if ax.get_title(loc="left") == "Opinions at 2 to 3 s")
    points = [line.get_xydata()[0] for line in triangle.lines if line.get_marker() == "o"]
    height = math.sqrt(3) / 2
    expected = np.stack([state.probability[:, 2, 0], state.vacuity[:, 2, 0] * height], axis=-1)
    np.testing.assert_allclose(points, expected, rtol=1e-9)
    changed = replace(state, snippet=3)
    assert plots.png(plots.figure_3(changed)) != plots.png(figure)


def test_no_text_of_figure_3_lies_outside_it():
    figure = plots.figure_3(make_state(count=5, chosen=5))
    plots.png(figure)
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height


def test_series_differ_without_colour():
    looks = set()
    for m in ("audio", "visual"):
        for number in range(6):
            for kind in ("presence", "absence"):
                style = theme.series_style(m, number, kind)
                looks.add((style["marker"], style["linestyle"], to_hex(style["markerfacecolor"]) == "#ffffff"))
    assert len(looks) == 2 * 6 * 2


def test_the_tracks_colours_differ_in_brightness():
    grays = sorted(float(np.dot((0.299, 0.587, 0.114), to_rgb(c))) for c in theme.COLORS.values())
    assert min(np.diff(grays)) > 0.05


def test_a_given_axes_is_used_and_a_callers_style_has_no_say():
    with mpl.rc_context({"axes.facecolor": "black", "text.color": "white", "font.size": 30}):
        figure = plots.figure_3(make_state())
        ax = plots.tracks(make_state().reference, make_state().categories)
    assert figure.axes[0].get_facecolor() == (1, 1, 1, 1) and ax.get_facecolor() == (1, 1, 1, 1)
    given = Figure().add_subplot()
    assert plots.tracks(make_state().reference, make_state().categories, ax=given) is given
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_names_are_made_readable():
    assert theme.readable("Baby_cry_infant_cry", 12) == "Baby cry\ninfant cry"
    assert theme.readable("Speech") == "Speech"


def test_pictures_of_media():
    ax = plots.frames((np.zeros((4, 6, 3), np.uint8), None), snippets=2)
    assert len(ax.images) == 1 and len(ax.patches) == 2
    assert len(plots.waveform(np.array([[-1.0, 1.0]] * 7), snippets=2).collections) == 1
    assert "no media" in plots.waveform(None, note="no media files at hand").texts[0].get_text()


def test_seconds_follow_the_length_of_a_snippet():
    state = make_state(snippets=6, seconds=0.5, snippet=3)
    ax = plots.tracks(state.reference, state.categories, seconds=0.5)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "0.5", "1", "1.5", "2", "2.5", "3"]
    assert state.moment == "at 1.5 to 2 s"
    assert [t.get_text() for t in plots.durations(state.reference[None], seconds=0.5).get_xticklabels()][:2] == ["0.5", "1"]
