"""Means over seeds, paired differences and their intervals, against cases worked by hand."""

import warnings

import numpy as np
import pandas as pd
import pytest

from cmpae_toolkit.errors import InputError
from cmpae_toolkit.studies import statistics

T_2 = 4.302653  # Student's t, 2 degrees of freedom, 97.5 %


def test_half_width():
    assert statistics.half_width([1.0, 2.0, 3.0]) == pytest.approx(T_2 / np.sqrt(3), rel=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert statistics.half_width([61.3] * 4) == 0.0
        assert np.isnan(statistics.half_width([1.0])) and np.isnan(statistics.half_width([]))


def test_p_values_and_holm():
    assert statistics.p_value([1.0, 2.0, 3.0]) == pytest.approx(0.0741799, rel=1e-5)  # t = 2 sqrt(3) with 2 degrees of freedom
    assert [statistics.p_value(v) for v in ([0.0, 0.0], [2.0, 2.0], [1.0], [])] == [1, 0, 1, 1]
    # 0.01 x 4, 0.02 x 3, then 0.03 x 2 = 0.06 ties with the one before, and 0.9
    np.testing.assert_allclose(statistics.holm([0.03, 0.9, 0.01, 0.02]), [0.06, 0.9, 0.04, 0.06])
    assert statistics.holm([]).size == 0


def test_bootstrap_over_videos_is_the_plain_loop():
    differences = np.random.default_rng(3).normal(1, 4, 200)
    rng = np.random.default_rng(8)
    means = [differences[rng.integers(0, 200, 200)].mean() for _ in range(4000)]
    assert statistics.over_videos(differences) == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.12)


def test_summary_is_paired_by_seed():
    scores = {"full": (60.0, 64.0, 62.0), "less": (59.0, 62.0, 59.0, 20.0)}
    rows = [("d", variant, seed, x) for variant, values in scores.items() for seed, x in enumerate(values)]
    table = pd.DataFrame(rows, columns=["data", "variant", "seed", "segment.type"])
    summary = statistics.summarise(table, "full", ["segment.type"]).set_index("variant")
    assert summary.loc["full", "segment.type"] == 62 and summary.loc["full", "segment.type difference"] == 0
    less = summary.loc["less"]
    assert less["n"] == 4 and less["segment.type"] == 50 and less["segment.type sd"] == pytest.approx(np.std([59, 62, 59, 20], ddof=1))
    assert less["segment.type difference"] == -2  # of -1, -2, -3: the seed that the full model lacks is left out
    assert less["segment.type ±"] == pytest.approx(T_2 / np.sqrt(3), rel=1e-6)


@pytest.fixture
def runs():
    values = [(1.0, 2.0), (2.0, 4.0), (3.0, 3.0)]
    rows = [("paper", seed, x, y) for seed, (x, y) in enumerate(values)] + [("EDL", seed, x + 1, y) for seed, (x, y) in enumerate(values)]
    return pd.DataFrame([*rows, ("ensemble", None, 9.0, None)], columns=["variant", "seed", "a", "b"]).assign(data="d (test)")


def test_columns_and_variants_are_compared_alike(runs):
    paper = runs[runs["variant"] == "paper"]
    table = statistics.summary(paper, {"one": "a", "other": "b"}, against="one").loc["d (test)"]
    assert table.loc["other", "mean"] == 3 and table.loc["other", "difference"] == 1 and table.loc["one", "n"] == 3
    assert table.loc["other", "± of it"] == pytest.approx(T_2 / np.sqrt(3), rel=1e-6)  # of 1, 2, 0
    variants = statistics.compare(statistics._by_variant(runs, "a"), "paper")
    assert variants.loc["EDL", "difference"] == 1 and variants.loc["EDL", "± of it"] == 0 and np.isnan(variants.loc["ensemble", "±"])
    with pytest.raises(InputError, match=r"no stored run has 'z'"):
        statistics.summary(runs, {"z": "z"})
