"""Every picture that shows names shows them as they are, and stays a picture with five hundred of them."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib import cbook
from matplotlib.colors import to_hex
from matplotlib.text import Text
from PIL import Image
from states import LEVELS, SCORES, make_state

from cmpae_toolkit import plots
from cmpae_toolkit.evidence.calibration import Reliability

NASTY = ("Ka$$e", "$x_1$", "a_b", "50%", "A&B", "<b>", r"back\$lash", "_under", "^{up}")
MANY = 500


def state_of(names):
    state = make_state(count=len(names), chosen=len(names))
    roll = np.zeros_like(state.estimate)
    roll[:, 2:5] = True
    return replace(state, categories=names, chosen=names, title=f"set (test): {names[0]}", reference=roll, estimate=roll)


def labels(names):
    return np.random.default_rng(0).random((30, len(names))) < 0.5


def rolls(names):
    return np.random.default_rng(0).random((30, 2, 4, len(names))) < 0.4


def numbers(names):
    return np.linspace(0.1, 1, len(names))


def curves(names):
    return {name: [0.1, 0.5] for name in names}


def opinions(names):
    return np.random.default_rng(0).dirichlet(np.ones(3), len(names)).T


def of_state(draw):
    return lambda names: draw(state_of(names), names)


def table(names):
    return pd.DataFrame({"method": names, "data": names[0], "n": 5, "accuracy": numbers(names), "accuracy sd": 0.1})


def by_category(names):
    return pd.DataFrame({"category": names, "track": "audio", names[0]: 50 + numbers(names), names[1]: 60 - numbers(names)})


def over_thresholds(names):
    return pd.DataFrame([(t, 50.0, n, 0) for n in names for t in (0.2, 0.8)], columns=["threshold", "F", "variant", "seed"])


def halves(names):
    return pd.DataFrame({"value": numbers(names), "±": 1.0}, index=names)


TEN = {level: dict.fromkeys(SCORES, 50.0) for level in LEVELS}
BINS = Reliability(np.array([3, 4]), np.array([0.2, 0.8]), np.array([0.1, 0.9]))
GRID = np.linspace(0, 1, 3)
PICTURES = {
    "attention_map": of_state(lambda s, n: plots.attention_map(s.attention, n, n)),
    "beta_density": lambda n: plots.beta_density(1 + numbers(n), 2 - numbers(n), labels=n),
    "category_bars": lambda n: plots.category_bars(n, {n[0]: numbers(n), n[1]: numbers(n)}, title=n[2]),
    "category_frequencies": lambda n: plots.category_frequencies(n, labels(n), rolls(n)),
    "category_scatter": lambda n: plots.category_scatter(by_category(n), n[0], n[1], title=n[2]),
    "certainty_maps": lambda n: plots.certainty_maps({k: np.eye(2) for k in n[:9]}, (0, 1, 0, 1), np.zeros((2, 2)), np.array([0, 1])),
    "cooccurrence": lambda n: plots.cooccurrence(n, labels(n)),
    "evidence_curves": of_state(lambda s, n: plots.evidence_curves(s.presence, s.absence, n, n)),
    "f_over_thresholds": lambda n: plots.f_over_thresholds(over_thresholds(n[:7]), n[:7], title=n[0]),
    "figure_3": of_state(lambda s, n: plots.figure_3(s)),
    "interval_tables": lambda n: plots.interval_tables(dict.fromkeys(n[:4], halves(n)), xlabel="%"),
    "intervals": lambda n: plots.intervals(n, numbers(n), numbers(n) - 1, numbers(n) + 1, marks={n[0]: numbers(n)}, title=n[1]),
    "lines": lambda n: plots.lines([0, 1], curves(n), title=n[0]),
    "modality_shares": lambda n: plots.modality_shares(n, rolls(n)),
    "number_table": lambda n: plots.number_table(np.outer(numbers(n), [1, 2, 3]), n, n[:3], title=n[0]),
    "opinion_triangle": lambda n: plots.opinion_triangle(*opinions(n), labels=n),
    "overlaps": lambda n: plots.overlaps(dict.fromkeys(n[:2], ((0, 4), (2, 6)))),
    "probability_with_vacuity": of_state(lambda s, n: plots.probability_with_vacuity(s.probability, s.vacuity, n, n)),
    "ranking": lambda n: plots.ranking(n, numbers(n), numbers(n) - 1, numbers(n) + 1, {n[0]: 0.5}, title=n[1]),
    "reliability_diagram": lambda n: plots.reliability_diagram(dict.fromkeys(n, BINS), title=n[0]),
    "result_table": lambda n: plots.result_table(table(n), n[0]),
    "risk_coverage_curves": lambda n: plots.risk_coverage_curves(dict.fromkeys(n, (GRID, GRID)), title=n[0]),
    "score_bars": lambda n: plots.score_bars(TEN, dict.fromkeys(n[:4], TEN)),
    "side_by_side": lambda n: plots.side_by_side(lambda ax, x: plots.category_frequencies(n, x, ax=ax), dict.fromkeys(n[:4], labels(n))),
    "threshold_curve": lambda n: plots.threshold_curve([0, 1], curves(n)),
    "tracks": of_state(lambda s, n: plots.tracks(s.reference, n, s.estimate)),
    "waveform": lambda n: plots.waveform(None, note=n[0]),
}
NAMELESS = {"durations", "frames", "framework", "opinion_figure", "training_history"}  # they show no name that somebody gave
NO_PICTURES = {"ExplorerState", "figures_folder", "keep", "png", "use_theme"}
FEW = {  # of the nasty names, how many a picture has room for
    "category_scatter": 4, "certainty_maps": 9, "f_over_thresholds": 7, "overlaps": 2, "score_bars": 4, "waveform": 1,
}


def shown(picture):
    """What a reader sees: every text of the figure that is no formula, its escapes undone."""
    texts = [t.get_text() for t in picture.figure.findobj(Text) if t.get_text()]
    formulas = [t for t in texts if cbook.is_math_text(t)]
    assert not formulas
    return [" ".join(t.replace(r"\$", "$").split()) for t in texts]


def test_every_picture_is_here():
    assert PICTURES.keys() | NAMELESS | NO_PICTURES == set(plots.__all__)


@pytest.mark.parametrize("name", PICTURES)
def test_names_are_shown_as_they_are(name):
    """The underscore alone is shown as a space, in categories."""
    picture = PICTURES[name](NASTY)
    assert plots.png(picture.figure).startswith(b"\x89PNG")
    texts = shown(picture)
    found = [n for n in NASTY if any(variant in t for t in texts for variant in (n, n.replace("_", " ").strip()))]
    assert len(found) >= FEW.get(name, len(NASTY)), set(NASTY) - set(found)


@pytest.mark.parametrize("name", PICTURES)
def test_five_hundred_names_make_a_picture_that_scales(name):
    """It is of a size that can be looked at, and the names of its rows, of which some are left out, do not touch."""
    picture = PICTURES[name](tuple(f"category {i}" for i in range(MANY)))
    assert max(Image.open(io.BytesIO(plots.png(picture.figure))).size) <= 2000
    for ax in picture.figure.axes:
        rows = [t.get_window_extent() for t in ax.get_yticklabels() if t.get_text().startswith("category")]
        assert len(rows) < MANY / 2
        # what matplotlib measures of a line has room above its letters
        assert all(step > 0.85 * rows[0].height for step in np.diff(sorted((box.y0 + box.y1) / 2 for box in rows)))


def test_bars_of_many_rows_keep_their_colour():
    """White edges would cover bars of a tenth of a millimetre."""
    ax = PICTURES["category_frequencies"](tuple(f"category {i}" for i in range(MANY)))
    assert {bar.get_edgecolor()[3] for bar in ax.patches} == {0} and len({to_hex(bar.get_facecolor()) for bar in ax.patches}) == 3
    assert {to_hex(bar.get_edgecolor()) for bar in PICTURES["category_frequencies"](NASTY).patches} == {"#ffffff"}
