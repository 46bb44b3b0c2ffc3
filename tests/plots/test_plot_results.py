"""Pictures of results: what is drawn is what was given, over all their options."""

import matplotlib.colors
import numpy as np
import pandas as pd
import pytest

from cmpae_toolkit import plots
from cmpae_toolkit.plots.theme import COLORS


def test_categories_above_and_below_the_line():
    places = {"category": ["Dog", "Cat"] * 2, "track": ["audio"] * 2 + ["visual"] * 2}
    table = pd.DataFrame(places | {"A": [50.0, 60, 70, 80], "B": [40.0, 65, 70, 90]})
    ax = plots.category_scatter(table, "A", "B", title="simulated")
    points = np.concatenate([c.get_offsets() for c in ax.collections])
    assert sorted(map(tuple, points)) == sorted(zip(table["B"], table["A"], strict=True))
    assert ax.get_xlim() == ax.get_ylim() == (37, 100) and len(ax.texts) == 4
    fills = {matplotlib.colors.to_hex(c) for group in ax.collections for c in group.get_facecolors()}
    assert fills == {COLORS["audio"].lower(), COLORS["visual"].lower()}


def test_curves_over_thresholds_are_means_over_seeds():
    rows = [(t, 50 + s + 10 * t, v, s) for v in ("CMPAE", "JoMoLD") for s in (0, 2) for t in (0.2, 0.5, 0.8)]
    ax = plots.f_over_thresholds(pd.DataFrame(rows, columns=["threshold", "F", "variant", "seed"]), ["CMPAE", "JoMoLD"])
    curves = [line for line in ax.lines if len(line.get_xdata()) == 3]
    assert len(curves) == 2
    for line in curves:
        np.testing.assert_allclose(line.get_ydata(), 51 + 10 * np.array([0.2, 0.5, 0.8]))


@pytest.mark.parametrize("columns", [
    {"accuracy": [74.8, 73.0], "accuracy sd": [np.nan, 0.4]}, {"mean": [60.1, 58.0], "accuracy": [np.nan, 70.0]},
    {f"{level}.{score}": [60.0, 58.0] for level in ("segment", "event") for score in ("audio", "type")},
    {f"{level}.type{s}": [60.0, 58.0] for level in ("segment", "event") for s in ("", " - full", " ±", " low", " high")},
], ids=["accuracy", "two scores", "ten scores", "differences"])
def test_a_table_is_drawn_with_measured_rows_filled(columns):
    frame = pd.DataFrame({"method": ["CMPAE", "ours"], "data": ["LLP, printed", "simulated small (test)"], "n": [np.nan, 5], **columns})
    figure = plots.result_table(frame, "Table")
    scores = [c for c in columns if "type" in c and " " not in c] or [c for c in columns if " " not in c][:2]
    assert len(figure.axes) == len(scores)
    for ax, score in zip(figure.axes, scores, strict=True):
        value = f"{score} - full" if f"{score} - full" in frame else score
        filled, hollow = (line for line in ax.lines if line.get_marker() == "o")
        assert filled.get_markerfacecolor() == COLORS["audio_visual"] and hollow.get_markerfacecolor() == "white"
        np.testing.assert_array_equal([filled.get_xdata(), hollow.get_xdata()], [[frame[value][1]], [frame[value][0]]])
    assert {t.get_text() for t in figure.axes[0].texts} == {"LLP, printed", "simulated small (test)"}
    assert plots.png(figure).startswith(b"\x89PNG")
