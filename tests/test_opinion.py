"""Opinions: the worked example e = 3, ê = 1, identities, limits, gradients."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cmpae_toolkit.errors import InputError
from cmpae_toolkit.opinion import Opinion, PointEstimate, accumulate, average_masses, concatenate, log_evidence

evidence = st.floats(0, 1e6, allow_subnormal=False)


def test_worked_example():
    opinion = Opinion(torch.tensor(3.0, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64))
    expected = {
        "alpha": 3 + 1, "beta": 1 + 1, "strength": 4 + 2, "probability": 4 / 6, "vacuity": 2 / 6, "belief": 3 / 6,
        "disbelief": 1 / 6, "presence": 3, "absence": 1, "logit": math.log(4 / 2),
    }
    for name, value in expected.items():
        assert getattr(opinion, name).item() == pytest.approx(value, abs=1e-12), name


def test_no_evidence_is_vacuous():
    opinion = Opinion(0, 0)
    assert [opinion.probability.item(), opinion.vacuity.item(), opinion.belief.item()] == [0.5, 1.0, 0.0]


@given(evidence, evidence)
def test_mass_adds_up(presence, absence):
    opinion = Opinion(torch.tensor(presence, dtype=torch.float64), torch.tensor(absence, dtype=torch.float64))
    belief, disbelief, vacuity = opinion.belief.item(), opinion.disbelief.item(), opinion.vacuity.item()
    assert belief + disbelief + vacuity == pytest.approx(1, abs=1e-12)
    assert opinion.probability.item() == pytest.approx(belief + vacuity / 2, abs=1e-12)
    assert min(belief, disbelief) >= 0 and 0 < vacuity <= 1


@given(st.floats(-30, 30), st.floats(-30, 30))
def test_from_logs_is_from_evidence(z, z_absence):
    z, z_absence = torch.tensor(z, dtype=torch.float64), torch.tensor(z_absence, dtype=torch.float64)
    logs, plain = Opinion.from_log_evidence(z, z_absence), Opinion(z.exp(), z_absence.exp())
    torch.testing.assert_close(logs.probability, plain.probability)
    torch.testing.assert_close(logs.vacuity, plain.vacuity)


def test_evidence_beyond_float32_stays_finite():
    opinion = Opinion.from_log_evidence(torch.tensor([200.0, -200.0, 200.0]), torch.tensor([200.0, 200.0, -200.0]))
    torch.testing.assert_close(opinion.probability, torch.tensor([0.5, 0.0, 1.0]))
    assert torch.isfinite(opinion.vacuity).all() and torch.isfinite(opinion.belief).all()


@pytest.mark.parametrize("name", ["probability", "vacuity", "belief", "disbelief", "presence", "log_strength"])
def test_gradients(name):
    e = torch.tensor([[0.0, 0.3, 7.0], [2.0, 0.0, 1e3]], dtype=torch.float64, requires_grad=True)
    # gradcheck steps to both sides, so evidence 0 is reached from above only
    assert torch.autograd.gradcheck(lambda x: getattr(Opinion((x[0] + 1e-3).abs(), (x[1] + 1e-3).abs()), name), e)
    zero = torch.zeros(2, requires_grad=True)
    getattr(Opinion(zero[0], zero[1]), name).backward()
    assert torch.isfinite(zero.grad).all()


@pytest.mark.parametrize("bad", [-0.1, float("nan")])
def test_negative_evidence_is_refused(bad):
    with pytest.raises(InputError, match="absence evidence must be 0 or more"):
        Opinion(1.0, bad)


@pytest.mark.parametrize("function", ["exp", "softplus"])
def test_log_evidence(function):
    z = torch.linspace(-30, 30, 61, dtype=torch.float64)
    g = {"exp": torch.exp, "softplus": torch.nn.functional.softplus}[function]
    torch.testing.assert_close(log_evidence(z, function, 0.8, 10.0), g(z.clamp(-10, 10) / 0.8).log())
    far = torch.tensor([-300.0], requires_grad=True)
    value = log_evidence(far, function)
    value.backward()
    assert value.item() == -300 and far.grad.item() == pytest.approx(1)


def test_accumulate_is_the_weighted_sum():
    z, a = torch.randn(4, 10, 3), torch.randn(4, 10, 3).softmax(1)
    torch.testing.assert_close(accumulate(z, a).exp(), (a * z.exp()).sum(1))
    a = torch.zeros(1, 2, 1)
    a[0, 0] = 1
    torch.testing.assert_close(accumulate(torch.tensor([[[1.0], [50.0]]]), a), torch.tensor([[1.0]]))


def test_form_changes():
    opinion = Opinion(torch.arange(6.0).view(3, 2), 1.0)
    assert opinion[1:].shape == (2, 2)
    assert opinion[0].presence.tolist() == pytest.approx([0, 1])
    torch.testing.assert_close(concatenate([opinion[:1], opinion[1:]]).probability, opinion.probability)
    point = PointEstimate(torch.rand(3, 2))
    assert point[0].vacuity is None and concatenate([point, point]).shape == (6, 2)


rates, weights = st.floats(0.01, 0.99), st.floats(0.05, 50)


@given(st.floats(0, 1e4), st.floats(0, 1e4), rates, weights)
def test_base_rate_and_prior_weight(e, e_absence, a, w):
    e, e_absence = (torch.tensor(x, dtype=torch.float64) for x in (e, e_absence))
    opinion, strength = Opinion(e, e_absence, a, w), (e + e_absence).item() + w
    expected = {
        "alpha": e.item() + a * w, "beta": e_absence.item() + (1 - a) * w, "strength": strength, "vacuity": w / strength,
        "belief": e.item() / strength, "disbelief": e_absence.item() / strength, "presence": e.item(), "absence": e_absence.item(),
        "probability": (e.item() + a * w) / strength,
    }
    again = Opinion.from_masses(opinion.belief, opinion.disbelief, opinion.vacuity, a, w)
    from_logs = Opinion.from_log_evidence(e.log(), e_absence.log(), torch.tensor(a, dtype=torch.float64), w)
    for name, value in expected.items():
        for judged in (opinion, again, from_logs):
            assert getattr(judged, name).item() == pytest.approx(value, rel=1e-7, abs=1e-8), name
    assert opinion.probability.item() == pytest.approx(opinion.belief.item() + a * opinion.vacuity.item())
    assert (~opinion).probability.item() == pytest.approx(1 - opinion.probability.item()) and (~~opinion).alpha == opinion.alpha


def test_default_prior_changes_no_bit():
    """The general form with a = 1/2, W = 2 given as tensors agrees with the short form of the paper's prior."""
    z = torch.linspace(-20, 60, 401)
    short, general = Opinion.from_log_evidence(z, -z), Opinion.from_log_evidence(z, -z, torch.tensor(0.5))
    for name in ("probability", "vacuity", "belief", "disbelief", "presence", "absence"):
        assert torch.equal(getattr(short, name), getattr(general, name)), name
    plain = torch.exp(torch.tensor(math.log(2.0)) - torch.logaddexp(torch.nn.functional.softplus(z), torch.nn.functional.softplus(-z)))
    assert torch.equal(short.vacuity, plain)
    assert str(Opinion(0, 0).belief.item()) == "0.0"  # not -0.0


def test_base_rates_follow_changes_of_form():
    rate = torch.tensor([[0.1], [0.2], [0.3]])
    opinion = Opinion(torch.ones(3, 2), 1.0, rate)
    assert opinion[1].base_rate.tolist() == pytest.approx([0.2, 0.2])
    joined = concatenate([opinion, Opinion(torch.ones(1, 2), 0.0)])
    assert joined.base_rate[:, 0].tolist() == pytest.approx([0.1, 0.2, 0.3, 0.5])
    with pytest.raises(InputError, match="prior weights"):
        concatenate([opinion, Opinion(torch.ones(1, 2), 0.0, prior_weight=1.0)])


@pytest.mark.parametrize(
    ("base_rate", "weight"), [(0.0, 2.0), (1.0, 2), (torch.tensor([0.5, 1.2]), 2.0), (0.5, 0), (0.5, float("inf"))]
)
def test_priors_out_of_range(base_rate, weight):
    with pytest.raises(InputError, match="base rate must lie between 0 and 1"):
        Opinion(1.0, 1.0, base_rate, weight)


@pytest.mark.parametrize("masses", [(0.5, 0.5, 0.5), (-0.1, 0.5, 0.6), (float("nan"), 0.5, 0.5)])
def test_masses_that_are_none(masses):
    with pytest.raises(InputError, match="sum to 1"):
        Opinion.from_masses(*map(torch.tensor, masses))


# ---- pooling of masses ---------------------------------------------------------------------------------------------------


def snippets(dtype=torch.float64, scale=3.0):
    z = torch.randn(2, 4, 5, 3, dtype=dtype) * scale
    attention = torch.randn(4, 5, 3, dtype=dtype).softmax(1)
    return z, attention


def test_pooled_masses_are_the_weighted_means():
    z, attention = snippets()
    each = Opinion.from_log_evidence(*z)
    video = average_masses(each, attention)
    for name in ("belief", "disbelief", "vacuity", "probability"):
        torch.testing.assert_close(getattr(video, name), (attention * getattr(each, name)).sum(1))
    torch.testing.assert_close(video.belief + video.disbelief + video.vacuity, torch.ones(4, 3, dtype=torch.float64))


def test_pooling_one_snippet_is_the_identity():
    z, _ = snippets()
    one = Opinion.from_log_evidence(*z[:, :, :1])
    video = average_masses(one, torch.ones(4, 1, 3, dtype=torch.float64))
    torch.testing.assert_close(video.log_alpha, one.log_alpha[:, 0])
    torch.testing.assert_close(video.log_beta, one.log_beta[:, 0])


@pytest.mark.parametrize(("base_rate", "prior_weight"), [(0.5, 2.0), (0.2, 2.0), (0.5, 0.2), (0.9, 7.0)])
def test_pooling_keeps_base_rate_and_prior(base_rate, prior_weight):
    z, attention = snippets()
    each = Opinion.from_log_evidence(*z, base_rate, prior_weight)
    video = average_masses(each, attention)
    torch.testing.assert_close(video.vacuity, (attention * each.vacuity).sum(1))
    torch.testing.assert_close(video.probability, (attention * each.probability).sum(1))
    assert (video.presence >= 0).all() and (video.absence >= 0).all()


def test_pooling_without_vacuity_is_hans_pooling():
    """Evidence to infinity at fixed p: the video's p is HAN's weighted mean and its vacuity goes to 0, in float32, too."""
    p, (_, attention) = torch.rand(4, 5, 3), snippets(torch.float32)
    sure = average_masses(Opinion.from_log_parameters(p.log() + 200, (1 - p).log() + 200), attention)
    torch.testing.assert_close(sure.probability, (attention * p).sum(1))
    assert (sure.vacuity < 1e-30).all()


def test_one_loud_snippet_does_not_outvote_the_others():
    """Nine snippets hold e = 0, ê = 8, one e = 1000, ê = 0: evidence pooled says yes, masses pooled say no."""
    presence, absence = torch.zeros(1, 10, 1), torch.full((1, 10, 1), 8.0)
    presence[0, 3], absence[0, 3] = 1000.0, 0.0
    attention = torch.full((1, 10, 1), 0.1)
    evidence = Opinion((attention * presence).sum(1), (attention * absence).sum(1))
    masses = average_masses(Opinion(presence, absence), attention)
    assert evidence.probability.item() == pytest.approx(101 / (101 + 8.2))
    assert masses.probability.item() == pytest.approx((9 * 1 / 10 + 1001 / 1002) / 10)


def test_no_attention_is_the_vacuous_opinion_and_gradients_stay_finite():
    z, attention = snippets()
    z.requires_grad_()
    attention[1] = 0
    video = average_masses(Opinion.from_log_evidence(*z), attention)
    assert torch.equal(video.vacuity[1], torch.ones(3, dtype=torch.float64)) and (video.probability[1] == 0.5).all()
    (video.probability.sum() + video.vacuity.sum()).backward()
    assert z.grad.isfinite().all() and (z.grad[:, 1] == 0).all()


def test_gradients_of_pooled_masses():
    z, attention = snippets(scale=1.0)
    z, logits = z[:, :1].clone().requires_grad_(), attention[:1].log().requires_grad_()

    def pooled(z, logits):
        video = average_masses(Opinion.from_log_evidence(*z), logits.softmax(1))
        return video.log_alpha, video.log_beta

    assert torch.autograd.gradcheck(pooled, (z, logits))
