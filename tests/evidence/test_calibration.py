"""Calibration: hand-worked bins and curves, scikit-learn as an oracle, refusals; and the pictures."""

import math

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from cmpae_toolkit import plots
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.evidence import calibration
from cmpae_toolkit.evidence.calibration import aurc, best_aurc, brier, by_category, detection, ece, nll, reliability, rescale, risk_coverage

P = np.array([0.1, 0.15, 0.3, 0.8, 0.9, 1.0])
Y = np.array([0, 1, 0, 1, 1, 1])


def drawn(shape=(40, 2, 10, 3), seed=0, sharpness=1.0):
    """Probabilities and labels drawn with them; `sharpness` > 1 gives too sure probabilities for the same labels."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 2, shape)
    return 1 / (1 + np.exp(-sharpness * z)), rng.random(shape) < 1 / (1 + np.exp(-z))


def test_reliability_worked():
    found = reliability(P, Y, bins=2)
    assert found.count.tolist() == [3, 3]
    assert found.probability.tolist() == pytest.approx([0.55 / 3, 2.7 / 3]) and found.frequency.tolist() == pytest.approx([1 / 3, 1])
    expected = 3 / 6 * abs(0.55 / 3 - 1 / 3) + 3 / 6 * abs(0.9 - 1)
    assert found.error == pytest.approx(expected) and ece(P, Y, bins=2) == pytest.approx(expected, abs=1e-6)
    by_mass = reliability(P, Y, bins=3, scheme="equal_mass")
    assert by_mass.count.tolist() == [2, 2, 2] and by_mass.frequency.tolist() == [0.5, 0.5, 1]


@pytest.mark.parametrize("bins", [1, 5, 15])
def test_bins_agree_with_the_libraries(bins):
    p, y = drawn()
    frequency, probability = calibration_curve(y.ravel(), p.ravel(), n_bins=bins)
    ours = reliability(p, y, bins)
    np.testing.assert_allclose(ours.frequency, frequency)
    np.testing.assert_allclose(ours.probability, probability)
    assert ours.error == ece(p, y, bins)
    frequency, probability = calibration_curve(y.ravel(), p.ravel(), n_bins=bins, strategy="quantile")
    np.testing.assert_allclose(reliability(p, y, bins, "equal_mass").frequency, frequency, atol=0.02)  # edges fall on other sides


@pytest.mark.parametrize("bins", [1, 2, 3, 7, 10, 15, 20])
def test_every_edge_lies_in_the_bin_below_it(bins):
    """Counted in whole numbers: p = i / n lies in the bin k with k / bins < p <= (k + 1) / bins, and 0 in the first."""
    n = 4 * bins
    i = np.arange(n + 1)
    label = np.random.default_rng(bins).integers(0, 2, n + 1)
    members = [[j for j in i if (k * n < j * bins or k == j == 0) and j * bins <= (k + 1) * n] for k in range(bins)]
    found = reliability(i / n, label, bins)
    assert found.count.tolist() == [len(m) for m in members] and sum(found.count) == n + 1
    expected = sum(abs(sum(m) / n - label[m].sum()) for m in members) / (n + 1)
    assert found.error == pytest.approx(expected) and ece(i / n, label, bins) == pytest.approx(expected)
    edges = np.arange(bins + 1) / bins
    assert reliability(np.nextafter(edges[:-1], 1), np.zeros(bins), bins).count.tolist() == [1] * bins, "one step above its lower edge"
    assert reliability(np.nextafter(edges[1:], 0), np.zeros(bins), bins).count.tolist() == [1] * bins, "one step below its upper edge"


def test_certain_answers_share_the_last_bin():
    p, y = np.repeat([1.0, 0.97], 100), np.repeat([1, 0, 1], [80, 20, 100])
    assert ece(p, y) == pytest.approx(0.985 - 180 / 200)
    assert ece(np.array([0.95, 1.0]), np.array([0, 1]), bins=10) == pytest.approx(0.975 - 1 / 2)
    assert reliability(np.array([0.0, 0.1]), np.array([0, 1]), 10).count.tolist() == [2], "0 is in the first bin"


def test_equal_mass_keeps_equal_probabilities_together():
    p = np.array([0.2] * 90 + [0.4] * 10)
    y = np.arange(100) % 5 == 0
    found = reliability(p, y, 10, "equal_mass")
    assert found.count.tolist() == [90, 10] and found.frequency.tolist() == pytest.approx([18 / 90, 2 / 10])
    assert ece(p, y, 10, "equal_mass") == pytest.approx(0.9 * 0 + 0.1 * 0.2)


def test_scores_worked():
    assert brier(P, Y) == pytest.approx(((P - Y) ** 2).mean())
    assert nll(P[:3], Y[:3]) == pytest.approx(-(math.log(0.9) + math.log(0.15) + math.log(0.7)) / 3)
    assert nll(np.array([0.0]), np.array([1])) == pytest.approx(-math.log(1e-7), rel=1e-6)
    p, y = drawn((50, 2, 3))
    assert by_category(brier, p, y).tolist() == pytest.approx([((p - y)[..., c] ** 2).mean() for c in range(3)])
    assert ece(p, y, scheme="category") == pytest.approx(np.mean([ece(p[..., c], y[..., c]) for c in range(3)]))


def test_calibrated_and_not():
    good, y = drawn((4000, 5))
    sure, _ = drawn((4000, 5), sharpness=3)
    for scheme in ("equal_width", "equal_mass", "category"):
        assert ece(good, y, scheme=scheme) < 0.03 < 0.08 < ece(sure, y, scheme=scheme)


def test_temperature_finds_the_sharpness():
    sure, y = drawn((4000, 5), sharpness=3)
    found = calibration.temperature(sure, y)
    assert found == pytest.approx(3, rel=0.05)
    after = rescale(sure, found)
    assert nll(after, y) < nll(sure, y) and ece(after, y) < 0.02
    assert ((after >= 0.5) == (sure >= 0.5)).all() and rescale(sure, 1) == pytest.approx(sure)
    grid = np.exp(np.linspace(-3, 3, 601))
    assert nll(after, y) <= min(nll(rescale(sure, t), y) for t in grid) + 1e-6


def test_platt_finds_sharpness_and_shift():
    p, y = drawn((4000, 5))
    moved = rescale(p, 0.5, 1.0)  # logit 2 z + 1: undone by T = 2, shift -1/2
    found, shift = calibration.platt(moved, y)
    assert found == pytest.approx(2, rel=0.05) and shift == pytest.approx(-0.5, abs=0.05)
    after = rescale(moved, found, shift)
    assert nll(after, y) <= min(nll(rescale(moved, calibration.temperature(moved, y)), y), nll(p, y) + 1e-6)
    oracle = LogisticRegression(C=np.inf, tol=1e-8).fit(np.log(moved / (1 - moved)).reshape(-1, 1), y.ravel())
    assert 1 / found == pytest.approx(oracle.coef_[0, 0], rel=1e-3) and shift == pytest.approx(oracle.intercept_[0], abs=1e-3)


def test_risk_coverage_worked():
    coverage, risk = risk_coverage(np.array([0.1, 0.9, 0.5, 0.2]), np.array([0, 1, 1, 0]))
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1] and risk.tolist() == pytest.approx([0, 0, 1 / 3, 2 / 4])
    assert aurc(np.array([0.1, 0.9, 0.5, 0.2]), np.array([0, 1, 1, 0])) == pytest.approx((1 / 3 + 1 / 2) / 4)
    assert risk_coverage(np.zeros(4), np.array([0, 1, 1, 0]))[1].tolist() == [0.5] * 4


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1)), min_size=1, max_size=8))
def test_ties_are_expected_over_random_orders(entries):
    u, loss = np.array(entries, dtype=float).T
    rng = np.random.default_rng(0)
    orders = [np.lexsort((rng.random(len(u)), u)) for _ in range(400)]
    sampled = np.mean([np.cumsum(loss[o]) / np.arange(1, len(u) + 1) for o in orders], axis=0)
    np.testing.assert_allclose(risk_coverage(u, loss)[1], sampled, atol=0.12)
    assert best_aurc(loss) <= aurc(u, loss) + 1e-12 and best_aurc(loss) <= loss.mean() + 1e-12


def test_detection():
    assert detection(np.arange(10), np.arange(10) + 100) == {"auroc": 1.0, "fpr95": 0.0}
    assert detection(np.ones(5), np.ones(7)) == {"auroc": 0.5, "fpr95": 1.0}
    known, unknown = np.arange(100.0), np.array([93.5, 96.5, 98.5, 200.0])
    # 95 of 100 known lie at or below 94, so one of the four unknown passes; pairs won: 94, 97, 99, 100 of 100
    assert detection(known, unknown) == pytest.approx({"auroc": (94 + 97 + 99 + 100) / 400, "fpr95": 1 / 4})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ece(P, Y[:5]), "the same is needed"), (lambda: brier(P + 1, Y), "0..1"), (lambda: nll(P, Y * 0.5), "labels be 0 or 1"),
        (lambda: reliability(P, Y, 0), "use 1 or more"), (lambda: reliability(P, Y, 3, "round"), "'round'"),
        (lambda: ece(P, Y, scheme="round"), "'round'"), (lambda: risk_coverage(P, Y[:2]), "as many"),
        (lambda: aurc(np.array([]), np.array([])), "at least one"), (lambda: detection(P, []), "at least one of each"),
        (lambda: rescale(P, 0.0), "more than 0"), (lambda: aurc(P * np.nan, Y), "finite"), (lambda: brier(P * np.nan, Y), "0..1"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_pictures():
    before = dict(mpl.rcParams)
    p, y = drawn()
    found = {"a": reliability(p, y, 10), "b": reliability(p**2, y, 10)}
    ax = plots.reliability_diagram(found)
    shown = [line for line in ax.lines if not line.get_label().startswith("_")]
    np.testing.assert_allclose(shown[1].get_ydata(), found["b"].frequency)
    assert f"ECE {found['a'].error:.3f}" in shown[0].get_label() and plots.png(ax.figure)
    curve = risk_coverage(p, y)
    ax = plots.risk_coverage_curves({"vacuity": curve})
    np.testing.assert_allclose(ax.lines[0].get_ydata(), curve[1])
    assert plots.risk_coverage_curves({"random": curve}, ax) is ax and plots.png(ax.figure)
    assert dict(mpl.rcParams) == before
