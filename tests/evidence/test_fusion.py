"""Operators of subjective logic: laws, limits, worked cases, the book's formulas for masses, and an independent package."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from subjective_logic.binomial_opinion import BinomialOpinion

from cmpae_toolkit.errors import InputError
from cmpae_toolkit.evidence import fusion
from cmpae_toolkit.opinion import Opinion

masses = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20)).map(lambda x: tuple(np.array(x) / sum(x)))
rates = st.floats(0.05, 0.95)
FUSIONS = sorted(fusion.FUSIONS)
quick = settings(max_examples=30)


def opinion(mass, base_rate=0.5):
    belief, disbelief, vacuity = (torch.tensor(float(x), dtype=torch.float64) for x in mass)
    return Opinion.from_masses(belief, disbelief, vacuity, base_rate)


def parts(judged):
    rate = judged.base_rate
    return [judged.belief.item(), judged.disbelief.item(), judged.vacuity.item(), float(rate)]


def close(one, other, tolerance=1e-9):
    assert parts(one) == pytest.approx(parts(other), abs=tolerance)


# ---- the book's formulas for masses, written down once more and independently of log alpha and log beta -----------------


def by_masses(name, sources):
    b, d, u, a = np.array(sources).T
    others = np.array([np.prod(np.delete(u, i)) for i in range(len(u))])
    confident = (a * (1 - u)).sum() / (1 - u).sum() if (u < 1).any() else a.mean()
    if name == "cumulative":
        scale = others.sum() - (len(u) - 1) * u.prod()
        rate = (a * others - a * u.prod()).sum() / (others - u.prod()).sum() if (u < 1).any() else a.mean()
        return [(b * others).sum() / scale, (d * others).sum() / scale, u.prod() / scale, rate]
    if name == "averaging":
        return [(b * others).sum() / others.sum(), (d * others).sum() / others.sum(), len(u) * u.prod() / others.sum(), a.mean()]
    if name == "weighted":
        scale = others.sum() - len(u) * u.prod()
        if scale == 0:
            return [0, 0, 1, a.mean()]
        return [
            (b * (1 - u) * others).sum() / scale, (d * (1 - u) * others).sum() / scale,
            (len(u) - u.sum()) * u.prod() / scale, confident,
        ]
    mass = {"yes": 0.0, "no": 0.0, "either": 0.0, "none": 0.0}  # Dempster's rule, by all choices of one set a source
    for choice in itertools.product(range(3), repeat=len(u)):
        meets = set(choice) - {2}
        into = "none" if len(meets) > 1 else ("yes", "no")[meets.pop()] if meets else "either"
        mass[into] += np.prod([(b, d, u)[k][i] for i, k in enumerate(choice)])
    return [mass[k] / (1 - mass["none"]) for k in ("yes", "no", "either")] + [confident]


@pytest.mark.parametrize("name", FUSIONS)
@quick
@given(st.lists(st.tuples(masses, rates), min_size=1, max_size=4))
def test_fusion_is_the_books(name, sources):
    fused = fusion.FUSIONS[name](*(opinion(m, a) for m, a in sources))
    expected = by_masses(name, [(*m, a) for m, a in sources])
    assert parts(fused) == pytest.approx(expected, abs=1e-9)


@quick
@given(masses, masses, rates, rates)
def test_two_sources_as_in_an_independent_package(one, other, a, c):
    """`subjective-logic` 1.0.2: cumulative and averaging fusion (with the book's base rates) and trust discounting, of two sources.

    It differs from the book in two ways: it keeps six decimals, and refuses two dogmatic sources, for which the book has a limit.
    """
    theirs = [BinomialOpinion(*map(float, (*m, r))) for m, r in ((one, a), (other, c))]
    ours = [opinion(m, r) for m, r in ((one, a), (other, c))]
    u = one[2], other[2]
    sums_up = all(abs(round(m[0], 6) + round(m[1], 6) + round(m[2], 6) - 1) < 1e-9 for m in (one, other))
    for name, function in (
        ("average_fusion", fusion.averaging), ("cumulative_fusion", fusion.cumulative), ("trust_discounting", fusion.discount)
    ):
        if name == "cumulative_fusion" and (min(u) < 0.01 or u[0] + u[1] - 2 * u[0] * u[1] < 0.01):
            continue  # six decimals of the masses are too few for its quotients
        expected = getattr(theirs[0], name)(theirs[1])
        got = parts(function(*ours))
        wanted = [expected.belief, expected.disbelief, expected.uncertainty, expected.base_rate]
        assert got == pytest.approx(wanted, abs=2e-4 if sums_up else 1e-3), name


@pytest.mark.parametrize("name", FUSIONS)
@quick
@given(st.lists(masses, min_size=3, max_size=3))
def test_order_does_not_matter(name, sources):
    sources = [opinion(m) for m in sources]
    close(fusion.FUSIONS[name](*sources), fusion.FUSIONS[name](*sources[::-1]))


@pytest.mark.parametrize("name", ["cumulative", "constraint"])
@quick
@given(st.lists(masses, min_size=3, max_size=3))
def test_grouping_does_not_matter(name, sources):
    fuse, (x, y, z) = fusion.FUSIONS[name], [opinion(m) for m in sources]
    close(fuse(fuse(x, y), z), fuse(x, fuse(y, z)))
    close(fuse(fuse(x, y), z), fuse(x, y, z))


@pytest.mark.parametrize("name", ["averaging", "weighted"])
def test_grouping_matters_for_means(name):
    fuse, (x, y, z) = fusion.FUSIONS[name], (opinion(m) for m in ((0.8, 0.1, 0.1), (0.1, 0.4, 0.5), (0, 0.1, 0.9)))
    assert abs(fuse(fuse(x, y), z).probability - fuse(x, y, z).probability) > 0.001


@pytest.mark.parametrize("name", ["cumulative", "weighted", "constraint"])
@quick
@given(masses)
def test_a_vacuous_source_is_neutral(name, mass):
    close(fusion.FUSIONS[name](opinion(mass), opinion((0, 0, 1))), opinion(mass))


@pytest.mark.parametrize("name", ["averaging", "weighted"])
@quick
@given(masses)
def test_agreement_is_kept_by_means(name, mass):
    close(fusion.FUSIONS[name](opinion(mass), opinion(mass), opinion(mass)), opinion(mass))


@pytest.mark.parametrize("name", FUSIONS)
@quick
@given(st.lists(masses, min_size=2, max_size=4))
def test_bounds(name, sources):
    fused = fusion.FUSIONS[name](*(opinion(m) for m in sources))
    belief, disbelief, vacuity, _ = parts(fused)
    assert belief + disbelief + vacuity == pytest.approx(1, abs=1e-9) and min(belief, disbelief) > -1e-12 and 0 < vacuity <= 1 + 1e-12
    vacuities = [m[2] for m in sources]
    if name in ("cumulative", "constraint"):
        assert vacuity <= min(vacuities) + 1e-12
    else:
        assert vacuity <= max(vacuities) + 1e-9


def test_worked():
    one, other = Opinion(6.0, 2.0), Opinion(1.0, 1.0)
    assert [fusion.cumulative(one, other).presence.item(), fusion.cumulative(one, other).absence.item()] == pytest.approx([6 + 1, 2 + 1])
    mean = fusion.averaging(one, other)
    assert [mean.presence.item(), mean.absence.item()] == pytest.approx([7 / 2, 3 / 2])
    shares = np.array([8 / 10, 2 / 4]) / (8 / 10 + 2 / 4)  # vacuities are 2 / 10 and 2 / 4
    assert fusion.weighted(one, other).presence.item() == pytest.approx(shares @ [6, 1], rel=1e-5)
    both = fusion.constraint(one, other)
    assert [1 + both.presence.item() / 2, 1 + both.absence.item() / 2] == pytest.approx([4 * 1.5, 2 * 1.5], rel=1e-5)


@pytest.mark.parametrize("name", FUSIONS)
def test_dogmatic_sources(name):
    """What the book takes as separate cases: equally dogmatic sources average, a dogmatic one beats any other."""
    fuse = fusion.FUSIONS[name]
    sure, sure_of_not, unsure = opinion((0.9, 0.1, 0.0)), opinion((0.2, 0.8, 0.0)), opinion((0.1, 0.5, 0.4))
    fused = fuse(sure, sure_of_not)
    product = [0.9 * 0.2, 0.1 * 0.8]
    expected = product[0] / sum(product) if name == "constraint" else (0.9 + 0.2) / 2
    assert [fused.probability.item(), fused.vacuity.item()] == pytest.approx([expected, 0], abs=1e-9)
    beside = fuse(sure, unsure)
    agreeing = [0.9 * (0.1 + 0.4), 0.1 * (0.5 + 0.4)]
    expected = agreeing[0] / sum(agreeing) if name == "constraint" else 0.9
    assert [beside.probability.item(), beside.vacuity.item()] == pytest.approx([expected, 0], abs=1e-9)
    assert fuse(opinion((1, 0, 0)), opinion((0, 1, 0))).probability.item() == pytest.approx(0.5)


@pytest.mark.parametrize("name", FUSIONS)
def test_gradients_and_limits_of_gradients(name):
    fuse = fusion.FUSIONS[name]

    def both(e):
        fused = fuse(Opinion(e[0].abs(), e[1].abs()), Opinion(e[2].abs(), e[3].abs(), torch.tensor(0.3).double()))
        return fused.probability, fused.vacuity

    e = torch.tensor([[3.0, 0.2], [1.0, 40], [0.5, 2], [7, 0.1]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(both, e)
    for value in (0.0, 1e30):
        e = torch.full((4,), value, requires_grad=True)
        fused = fuse(Opinion(e[0], e[1]), Opinion(e[2], e[3]))
        (fused.probability + fused.vacuity).backward()
        assert torch.isfinite(e.grad).all() and torch.isfinite(fused.log_alpha)


def test_shapes_and_refusals():
    many = Opinion(torch.rand(5, 2, 4), torch.rand(5, 2, 4))
    assert fusion.cumulative(many[:, 0], many[:, 1], Opinion(1.0, 2.0)).shape == (5, 4)
    for bad in ((), (Opinion(1, 1), Opinion(1, 1, prior_weight=3.0))):
        with pytest.raises(InputError, match="of the same weight are needed"):
            fusion.weighted(*bad)


# ---- trust, conjunction, deduction -----------------------------------------------------------------------------------------


@quick
@given(masses, masses, rates)
def test_discount(trust, mass, a):
    trusted, p = fusion.discount(opinion(trust, a), opinion(mass, 0.2)), trust[0] + a * trust[2]
    assert parts(trusted) == pytest.approx([p * mass[0], p * mass[1], 1 - p * (mass[0] + mass[1]), 0.2], abs=1e-9)
    close(fusion.discount(opinion((1, 0, 0)), opinion(mass)), opinion(mass))
    close(fusion.discount(opinion((0, 1, 0)), opinion(mass)), opinion((0, 0, 1)))


@quick
@given(masses, masses, rates, rates)
def test_conjunction_and_disjunction(one, other, a, c):
    x, y = opinion(one, a), opinion(other, c)
    both, either = fusion.conjunction(x, y), fusion.disjunction(x, y)
    p, q = x.probability.item(), y.probability.item()
    assert both.probability.item() == pytest.approx(p * q) and either.probability.item() == pytest.approx(p + q - p * q)
    assert float(both.base_rate) == pytest.approx(a * c) and float(either.base_rate) == pytest.approx(a + c - a * c)
    assert both.belief.item() + both.disbelief.item() + both.vacuity.item() == pytest.approx(1)
    close(both, fusion.conjunction(y, x))
    assert both.disbelief.item() == pytest.approx(one[1] + other[1] - one[1] * other[1])


def test_conjunction_of_certainties_is_the_truth_table():
    for x, y in itertools.product((True, False), repeat=2):
        one, other = (opinion((float(v), float(not v), 0)) for v in (x, y))
        assert fusion.conjunction(one, other).probability.item() == pytest.approx(float(x and y))
        assert fusion.disjunction(one, other).probability.item() == pytest.approx(float(x or y))


@quick
@given(masses, masses, masses, rates)
def test_deduction(mass, if_present, if_absent, a):
    x, yes, no = opinion(mass, a), opinion(if_present), opinion(if_absent)
    y = fusion.deduce(x, yes, no)
    rate = float(y.base_rate)
    p_yes, p_no = (m[0] + rate * m[2] for m in (if_present, if_absent))
    assert rate == pytest.approx(a * p_yes + (1 - a) * p_no, abs=1e-7)  # the marginal base rate, in which p itself holds the rate
    p = x.probability.item()
    assert y.probability.item() == pytest.approx(p * p_yes + (1 - p) * p_no)  # total probability
    mixed = p * if_present[2] + (1 - p) * if_absent[2]
    assert mixed - 1e-7 <= y.vacuity.item() <= 1  # not knowing x adds to the doubt that the conditionals hold
    assert y.belief.item() + y.disbelief.item() + y.vacuity.item() == pytest.approx(1)
    assert y.belief.item() >= min(if_present[0], if_absent[0]) - 1e-7
    assert y.disbelief.item() >= min(if_present[1], if_absent[1]) - 1e-7


def test_deduction_limits():
    yes, no = opinion((0.7, 0.1, 0.2)), opinion((0.2, 0.6, 0.2))
    for sure, conditional in (((1, 0, 0), yes), ((0, 1, 0), no)):
        deduced = fusion.deduce(opinion(sure), yes, no)
        assert parts(deduced)[:3] == pytest.approx(parts(conditional)[:3], abs=1e-9)
    unknown = fusion.deduce(opinion((0, 0, 1)), yes, no)
    # marginal base rate (0.7 + 0.2) / (0.8 + 0.8) = 0.5625; p = 0.5625 leaves 0.2 + 0.1 of sure mass at most: the apex
    assert float(unknown.base_rate) == pytest.approx(0.9 / 1.6)
    apex = min((0.5625 - 0.2) / 0.5625, (0.4375 - 0.1) / 0.4375)
    assert unknown.vacuity.item() == pytest.approx(apex)
    vacuous = opinion((0, 0, 1))
    assert parts(fusion.deduce(opinion((0.3, 0.3, 0.4)), vacuous, vacuous)) == pytest.approx([0, 0, 1, 0.5])


def test_operators_have_gradients():
    e = torch.tensor([3.0, 1.0, 0.5, 2.0, 0.1, 4.0], dtype=torch.float64, requires_grad=True)

    def outputs(e):
        x, y, z = Opinion(e[0], e[1]), Opinion(e[2], e[3]), Opinion(e[4], e[5])
        found = fusion.discount(x, y), fusion.conjunction(x, y), fusion.disjunction(x, y), fusion.deduce(x, y, z)
        return torch.stack([v for f in found for v in (f.probability, f.vacuity)])

    assert torch.autograd.gradcheck(outputs, e)
    assert math.isclose(fusion.conjunction(Opinion(0.0, 0.0), Opinion(0.0, 0.0)).vacuity.item(), 1, rel_tol=1e-6)
