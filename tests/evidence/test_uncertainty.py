"""Entropy and its split, dissonance: closed forms, quadrature, limits, gradients."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from cmpae_toolkit.evidence.uncertainty import dissonance, entropy, expected_entropy, mutual_information
from cmpae_toolkit.opinion import Opinion

evidence = st.floats(0, 1e4)


def opinion(e, e_absence, **options):
    return Opinion(torch.tensor(e, dtype=torch.float64), torch.tensor(e_absence, dtype=torch.float64), **options)


def test_worked():
    judged = opinion(3.0, 1.0)  # Beta(4, 2): psi(7) - p psi(5) - q psi(3) from psi(7) - psi(5) = 1/5 + 1/6, psi(7) - psi(3) = 1/3 + ...
    aleatoric = 4 / 6 * (1 / 5 + 1 / 6) + 2 / 6 * (1 / 3 + 1 / 4 + 1 / 5 + 1 / 6)
    total = -(4 / 6 * math.log(4 / 6) + 2 / 6 * math.log(2 / 6))
    assert entropy(judged).item() == pytest.approx(total)
    assert expected_entropy(judged).item() == pytest.approx(aleatoric)
    assert mutual_information(judged).item() == pytest.approx(total - aleatoric)
    assert dissonance(judged).item() == pytest.approx(2 * 1 / 6)
    assert mutual_information(opinion(0.0, 0.0)).item() == pytest.approx(math.log(2) - 1 / 2)  # E[H(q)] = 1/2 for uniform q


@pytest.mark.parametrize(("e", "e_absence"), [(0, 0), (3, 1), (0.2, 9), (40, 7), (0, 300)])
def test_expected_entropy_is_the_integral(e, e_absence):
    def integrand(q):
        return stats.beta.pdf(q, e + 1, e_absence + 1) * -(q * math.log(q) + (1 - q) * math.log1p(-q))

    value = sum(integrate.quad(integrand, *span)[0] for span in ((0, 0.05), (0.05, 0.5), (0.5, 1)))
    assert expected_entropy(opinion(float(e), float(e_absence))).item() == pytest.approx(value, rel=1e-6)


@given(evidence, evidence)
def test_split_and_bounds(e, e_absence):
    judged = opinion(e, e_absence)
    total, aleatoric, epistemic = (f(judged).item() for f in (entropy, expected_entropy, mutual_information))
    assert total == pytest.approx(aleatoric + epistemic) and 0 <= epistemic <= total + 1e-12 <= math.log(2) + 1e-9
    assert aleatoric >= -1e-12
    belief, disbelief = judged.belief.item(), judged.disbelief.item()
    if belief and disbelief:  # the published form, by balances
        balance = 1 - abs(belief - disbelief) / (belief + disbelief)
        assert dissonance(judged).item() == pytest.approx((belief + disbelief) * balance)
    assert 0 <= dissonance(judged).item() <= 1 - judged.vacuity.item() + 1e-12


def test_huge_evidence_keeps_its_small_doubt():
    judged = Opinion.from_log_evidence(torch.tensor([30.0, 200.0]), torch.tensor([30.0, 0.0]))
    assert mutual_information(judged)[0].item() == pytest.approx(1 / (4 * math.exp(30)), rel=1e-4)  # 1 / (2 S), S = 2 exp(30)
    assert torch.isfinite(expected_entropy(judged)).all() and (mutual_information(judged) >= 0).all()


def test_half_a_series_meets_the_direct_form():
    around = np.array([7.9, 7.999, 8.001, 8.1])
    judged = Opinion.from_log_evidence(torch.tensor(around), torch.tensor(around))
    strength = 2 * (np.exp(around) + 1)
    assert mutual_information(judged).numpy() == pytest.approx(1 / (2 * strength), rel=1e-3)
    assert (np.diff(mutual_information(judged).numpy()) < 0).all()


@pytest.mark.parametrize("function", [entropy, expected_entropy, mutual_information, dissonance])
def test_gradients(function):
    e = torch.tensor([[0.4, 0.3, 7.0], [2.0, 0.9, 1e3]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: function(Opinion(x[0], x[1])), e)
    zero = torch.zeros(2, requires_grad=True)
    function(Opinion(zero[0], zero[1])).backward()
    assert torch.isfinite(zero.grad).all()


@given(st.floats(0.05, 0.95), st.floats(0.1, 20))
def test_other_priors(base_rate, weight):
    judged = opinion(3.0, 1.0, base_rate=base_rate, prior_weight=weight)
    a, b = 3 + base_rate * weight, 1 + (1 - base_rate) * weight
    sample = stats.beta(a, b)
    assert judged.probability.item() == pytest.approx(sample.mean())
    p = a / (a + b)
    assert entropy(judged).item() == pytest.approx(-(p * math.log(p) + (1 - p) * math.log(1 - p)))
