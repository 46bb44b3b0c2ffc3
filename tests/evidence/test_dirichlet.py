"""Multinomial opinions: worked numbers, two categories as the binomial opinion, fusion, AVE's reading."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cmpae_toolkit.errors import InputError
from cmpae_toolkit.evidence import dirichlet, fusion, uncertainty
from cmpae_toolkit.evidence.dirichlet import DirichletOpinion, one_of
from cmpae_toolkit.opinion import Opinion

evidence = st.floats(0, 1e3)
quick = settings(max_examples=40)


def opinion(*e, **options):
    return DirichletOpinion(torch.tensor(e, dtype=torch.float64), **options)


def test_worked():
    judged = opinion(5.0, 1.0, 0.0)  # alpha = 6, 2, 1; S = 9
    assert judged.probability.tolist() == pytest.approx([6 / 9, 2 / 9, 1 / 9])
    assert judged.belief.tolist() == pytest.approx([5 / 9, 1 / 9, 0]) and judged.vacuity.item() == pytest.approx(3 / 9)
    # balance of the first two: 1 - 4/6; the third has no belief
    assert judged.dissonance.item() == pytest.approx(5 / 9 * (1 / 3) + 1 / 9 * (5 / 9 * 1 / 3) / (5 / 9))
    assert judged.entropy.item() == pytest.approx(-sum(p * math.log(p) for p in (6 / 9, 2 / 9, 1 / 9)))
    harmonic = [sum(1 / k for k in range(1, n + 1)) for n in range(10)]  # psi(n + 1) = harmonic[n] - gamma
    assert judged.expected_entropy.item() == pytest.approx(harmonic[9] - 6 / 9 * harmonic[6] - 2 / 9 * harmonic[2] - 1 / 9 * harmonic[1])
    assert opinion(0.0, 0.0, 0.0).vacuity.item() == 1 and opinion(1.0, 1.0, 1.0, prior_weight=2).vacuity.item() == pytest.approx(2 / 5)


@quick
@given(evidence, evidence)
def test_two_categories_are_the_binomial_opinion(e, e_absence):
    two, plain = opinion(e, e_absence), Opinion(*torch.tensor([e, e_absence], dtype=torch.float64))
    for ours, theirs in (
        (two.probability[0], plain.probability), (two.vacuity, plain.vacuity), (two.belief[1], plain.disbelief),
        (two.dissonance, uncertainty.dissonance(plain)), (two.entropy, uncertainty.entropy(plain)),
        (two.mutual_information, uncertainty.mutual_information(plain)), (two.binomial(0).alpha, plain.alpha),
    ):
        assert ours.item() == pytest.approx(theirs.item(), abs=1e-9)


@quick
@given(st.lists(st.tuples(evidence, evidence, evidence), min_size=1, max_size=4))
def test_bounds_and_coarsening(sources):
    judged = opinion(*sources[0])
    assert judged.belief.sum().item() + judged.vacuity.item() == pytest.approx(1)
    assert -1e-12 <= judged.dissonance.item() <= 1
    assert -1e-9 <= judged.mutual_information.item() <= judged.entropy.item() <= math.log(3) + 1e-9
    coarse = judged.binomial(1)
    assert coarse.probability.item() == pytest.approx(judged.probability[1].item())
    assert coarse.vacuity.item() == pytest.approx(judged.vacuity.item())
    for name in ("cumulative", "averaging"):  # coarsening first or fusing first is the same
        fused = getattr(dirichlet, name)(*(opinion(*e) for e in sources)).binomial(1)
        apart = fusion.FUSIONS[name](*(opinion(*e).binomial(1) for e in sources))
        assert fused.probability.item() == pytest.approx(apart.probability.item())


def test_weighted_fusion():
    one, none = opinion(5.0, 1.0, 0.0), opinion(0.0, 0.0, 0.0)
    assert dirichlet.weighted(one, none).evidence.tolist() == pytest.approx([5, 1, 0])
    assert dirichlet.weighted(none, none).vacuity.item() == 1
    for bad in ((), (one, opinion(1.0, 1.0, 1.0, prior_weight=2))):
        with pytest.raises(InputError, match="are needed"):
            dirichlet.averaging(*bad)


def test_same_evidence_is_vaguer_among_more_categories():
    """Vacuity C / S: 25 categories against 39 with the same evidence; with the book's W = 2 it does not move."""
    few, many = torch.zeros(25), torch.zeros(39)
    few[0] = many[0] = 30.0
    assert [DirichletOpinion(x).vacuity.item() for x in (few, many)] == pytest.approx([25 / 55, 39 / 69])
    assert len({round(DirichletOpinion(x, prior_weight=2).vacuity.item(), 6) for x in (few, many)}) == 1


def test_one_of_reads_background():
    snippet = Opinion(torch.tensor([[9.0, 0.0], [0.0, 0.1]]), torch.tensor([[0.5, 7.0], [6.0, 8.0]]))
    answer = one_of(snippet)
    assert answer.evidence[0].tolist() == pytest.approx([9, 0, 0.5], abs=1e-5)
    assert answer.evidence[1].tolist() == pytest.approx([0, 0.1, 6], abs=1e-5)
    assert answer.probability.argmax(-1).tolist() == [0, 2]


def test_gradients():
    e = torch.tensor([[3.0, 1.0, 0.5], [0.2, 9.0, 4.0]], dtype=torch.float64, requires_grad=True)

    def outputs(e):
        judged = DirichletOpinion(e)
        return judged.probability, judged.vacuity, judged.dissonance, judged.mutual_information, dirichlet.weighted(judged, judged).alpha

    assert torch.autograd.gradcheck(outputs, e)
    zero = torch.zeros(3, requires_grad=True)
    sum(x.sum() for x in outputs(zero)).backward()
    assert torch.isfinite(zero.grad).all()


@pytest.mark.parametrize(
    ("e", "options", "message"),
    [
        ((-1.0, 0.0), {}, "0 or more"), ((float("nan"), 0.0), {}, "0 or more"), ((1.0, 1.0), {"prior_weight": 0}, "above 0"),
        ((1.0, 1.0), {"base_rate": torch.tensor([0.5, 0.6])}, "sum to 1"),
        ((1.0, 1.0), {"base_rate": torch.tensor([0.0, 1.0])}, "positive"),
    ],
)
def test_refusals(e, options, message):
    with pytest.raises(InputError, match=message):
        opinion(*e, **options)
