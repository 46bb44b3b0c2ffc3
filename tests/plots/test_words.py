"""What a listener is told of a picture: titles, axes, the course of each curve, and what a drawing says of itself."""

import numpy as np
from matplotlib.figure import Figure

from cmpae_toolkit import plots
from cmpae_toolkit.plots.words import alt_text, describe, spans


def test_titles_are_told_once_and_without_the_marks_of_formulas():
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert alt_text(figure) == "Figure: A drawing without a title."
    figure.suptitle("simulated small (test)")
    left.set_title("Evidence,\n$\\hat{e}$", loc="left"), right.set_title("Evidence, e")
    assert alt_text(figure, "two panels.") == "Figure: Two panels. Simulated small (test). Evidence, e."


def test_curves_are_told_by_their_ends_and_extremes():
    curves = {"up": [0, 1, 2], "hill": [0, 5, 1], "flat": [3, 3, 3], "none": [np.nan] * 3}
    ax = plots.lines([0, 1, 2], curves, xlabel="epoch", ylabel="loss")
    told = alt_text(ax.figure)
    assert "Loss over epoch; up goes from 0 to 2; hill goes from 0 to 1, between 0 and 5; flat is 3; none has no values." in told
    ax.axvline(1, label="best epoch (1)")
    assert "none has no values; best epoch (1)." in alt_text(ax.figure)
    many = plots.lines([0, 1], {f"curve {i}": [0, i] for i in range(20)})
    assert "curve 7 goes" in alt_text(many.figure) and alt_text(many.figure).endswith("and 12 more curves.")


def test_bars_are_told_by_the_shortest_and_the_longest():
    ax = plots.category_bars(["a", "b"], {"audio": np.array([0.25, 0.5]), "visual": np.array([1.0, 0.75])}, xlabel="share")
    assert alt_text(ax.figure) == "Figure: Share; audio: 2 bars from 0.25 to 0.5; visual: 2 bars from 0.75 to 1."


def test_what_a_drawing_says_of_itself_stands_for_its_curves():
    ax = plots.lines([0, 1], {"up": [0, 1]}, title="Here")
    describe(ax, "one curve")
    assert alt_text(ax.figure) == "Figure: Here: one curve."


def test_the_events_of_a_video_are_told_in_seconds():
    reference = np.zeros((2, 5, 1), bool)
    reference[0, [0, 1, 4]] = reference[1, 4] = True
    told = alt_text(plots.tracks(reference, ("Dog",), seconds=2.0).figure)
    assert "Dog, audible reference 0 to 4 and 8 to 10; Dog, visible reference 8 to 10; Dog, audi-visible reference 8 to 10." in told
    assert spans([(1, 3)], 0.5) == "0.5 to 1.5"


def test_every_panel_of_many_is_counted():
    figure = Figure()
    for number, ax in enumerate(figure.subplots(2, 5).flat):
        ax.set_title(f"panel {number}")
    assert "Panel 5. And 4 more panels." in alt_text(figure)


def test_an_opinion_and_a_table_tell_their_numbers():
    assert "opinion 1 at belief 0.50, disbelief 0.25, vacuity 0.25" in alt_text(plots.opinion_triangle(0.5, 0.25, 0.25).figure)
    assert "A table: row: left 1, right 2." in alt_text(plots.number_table(np.array([[1, 2]]), ["row"], ["left", "right"]).figure)
    assert "selector" in alt_text(plots.framework())
