"""Eq. 1, 5, 8-10, the KL term and the contrastive term against worked numbers, quadrature and plain loops."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cmpae_toolkit import losses
from cmpae_toolkit.config import Config
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.inference import predict
from cmpae_toolkit.opinion import Opinion, PointEstimate
from cmpae_toolkit.studies.ablations import EVIDENTIAL_LOSSES
from cmpae_toolkit.train import fit

NODES = np.polynomial.legendre.leggauss(500)


def opinion(e, e_absence):
    return Opinion(torch.as_tensor(e, dtype=torch.float64), torch.as_tensor(e_absence, dtype=torch.float64))


def scalar(x):
    return torch.tensor(x, dtype=torch.float64)


def test_cross_entropy_of_a_half_precision_answer_is_finite():
    """1 - 1e-7 is 1 in bfloat16, and the logarithm of what is left was minus infinity, times a label of 0."""
    probability = torch.tensor([1.0, 1.0, 0.0, 0.5], dtype=torch.bfloat16, requires_grad=True)
    risk = losses.binary_cross_entropy(probability, torch.tensor([1.0, 0.0, 1.0, 1.0]))
    risk.sum().backward()
    assert risk.tolist() == pytest.approx([0, -math.log(1e-7), -math.log(1e-7), math.log(2)], abs=0.2)
    assert torch.isfinite(probability.grad).all()


@pytest.mark.parametrize(
    ("psi", "label", "expected"),
    [
        # psi(6) - psi(4) = 1/4 + 1/5; psi(6) - psi(2) = 1/2 + ... + 1/5
        ("digamma", 1.0, 1 / 4 + 1 / 5), ("digamma", 0.0, 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5),
        ("log", 1.0, math.log(6 / 4)), ("log", 0.0, math.log(6 / 2)),
        # linear in the label: the literal reading of the print, psi(y alpha + (1 - y) beta), would give 0.47879
        ("digamma", 0.95, 0.95 * 0.45 + 0.05 * (77 / 60)),
    ],
)
def test_bayes_risk_worked(psi, label, expected):
    assert losses.bayes_risk(opinion(3, 1), scalar(label), psi).item() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(("e", "e_absence"), [(3, 1), (0, 0), (0.2, 9), (40, 7), (1e3, 30)])
@pytest.mark.parametrize("label", [0.0, 0.05, 1.0])
def test_bayes_risk_is_the_integral(e, e_absence, label):
    """The expected cross-entropy under the Beta, by Gauss-Legendre quadrature after p = t^2 (3 - 2 t) smooths both ends."""
    nodes, weights = NODES
    t = (nodes + 1) / 2
    p, slope = t**2 * (3 - 2 * t), 6 * t * (1 - t)
    a, b = e + 1, e_absence + 1
    log_density = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + (a - 1) * np.log(p) + (b - 1) * np.log1p(-p)
    cross_entropy = -(label * np.log(p) + (1 - label) * np.log1p(-p))
    integral = (weights / 2 * slope * np.exp(log_density) * cross_entropy).sum()
    assert losses.bayes_risk(opinion(e, e_absence), scalar(label)).item() == pytest.approx(integral, rel=1e-5)


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0, 1))
def test_log_risk_is_binary_cross_entropy_on_p(e, e_absence, label):
    judged = opinion(e, e_absence)
    plain = losses.binary_cross_entropy(judged.probability, scalar(label))
    torch.testing.assert_close(losses.bayes_risk(judged, scalar(label), "log"), plain)


@pytest.mark.parametrize("psi", ["digamma", "log"])
def test_bayes_risk_gradients(psi):
    z = torch.tensor([[-4.0, 0.0, 2.0, 11.9], [1.0, -3.0, 5.0, 12.5]], dtype=torch.float64, requires_grad=True)
    label = torch.tensor([1.0, 0.0, 0.95, 0.05], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: losses.bayes_risk(Opinion.from_log_evidence(x[0], x[1]), label, psi), z)


@pytest.mark.parametrize("psi", ["digamma", "log"])
def test_bayes_risk_of_huge_evidence(psi):
    z = torch.tensor([[300.0, 1.0], [1.0, 300.0]], requires_grad=True)
    risk = losses.bayes_risk(Opinion.from_log_evidence(z[0], z[1]), torch.ones(2), psi)
    risk.sum().backward()
    assert risk.tolist() == pytest.approx([0, 300], abs=2)
    assert torch.isfinite(z.grad).all()


def test_kl_worked_and_by_quadrature():
    # absent category (y = 0): a = alpha = 4, b = 1; KL = ln 4 + 1/4 - 1
    assert losses.kl_to_uniform(opinion(3, 8), scalar(0.0)).item() == pytest.approx(math.log(4) + 1 / 4 - 1)
    assert losses.kl_to_uniform(opinion(3, 0), scalar(1.0)).item() == pytest.approx(0, abs=1e-12)
    x = (np.arange(200_000) + 0.5) / 200_000
    a, b = 0.95 + 0.05 * 4, 0.05 + 0.95 * 2
    log_density = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + (a - 1) * np.log(x) + (b - 1) * np.log1p(-x)
    expected = (np.exp(log_density) * log_density).mean()
    assert losses.kl_to_uniform(opinion(3, 1), scalar(0.95)).item() == pytest.approx(expected, rel=1e-4)


def test_kl_of_huge_evidence_is_its_asymptote():
    z = torch.tensor([300.0, 19.0, 21.0], requires_grad=True)
    kl = losses.kl_to_uniform(Opinion.from_log_evidence(z, torch.zeros(3)), torch.zeros(3))
    kl.sum().backward()
    assert kl.tolist() == pytest.approx([299, 18, 20], rel=1e-5)  # KL(Beta(a, 1) || Beta(1, 1)) = ln a + 1 / a - 1
    assert z.grad.tolist() == pytest.approx([1, 1, 1], rel=1e-4)


def kl_as_it_was(opinion, label):
    """The term for priors of 1, by alpha and beta themselves."""
    y, limit = label.double(), losses.LARGEST_LOG
    log_alpha, log_beta = opinion.log_alpha.double(), opinion.log_beta.double()
    beyond = (1 - y) * (log_alpha - limit).relu() + y * (log_beta - limit).relu()
    alpha, beta = log_alpha.clamp_max(limit).exp(), log_beta.clamp_max(limit).exp()
    a, b = y + (1 - y) * alpha, (1 - y) + y * beta
    normaliser = torch.lgamma(a + b) - torch.lgamma(a) - torch.lgamma(b)
    means = (a - 1) * torch.digamma(a) + (b - 1) * torch.digamma(b) - (a + b - 2) * torch.digamma(a + b)
    return (normaliser + means + beyond).to(label.dtype)


def test_kl_with_the_papers_prior_is_bit_for_bit_what_it_was():
    found = []
    for kl in (losses.kl_to_uniform, kl_as_it_was):
        generator = torch.Generator().manual_seed(0)
        z = (torch.randn(2, 500, generator=generator) * 8).requires_grad_()
        value = kl(Opinion.from_log_evidence(*z), torch.rand(500, generator=generator).round(decimals=1))
        found += [value, *torch.autograd.grad(value.sum(), z)]
    assert torch.equal(found[0], found[2]) and torch.equal(found[1], found[3])


@pytest.mark.parametrize("weight", [1e-6, 0.2, 2.0, 7.0, 1e9])
@pytest.mark.parametrize("base_rate", [0.5, 0.1, "tensor"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kl_pulls_misleading_evidence_to_nothing(weight, base_rate, dtype):
    base_rate = torch.tensor(0.8, dtype=dtype) if base_rate == "tensor" else base_rate
    e = torch.tensor([0.0, 0.3, 0.9, 3, 50, 1e6], dtype=dtype)
    expected = torch.log1p(e) + 1 / (e + 1) - 1
    tolerance = 10 * torch.finfo(dtype).eps * max(weight, 1)  # e is what an opinion of this weight resolves
    for opposite in (0, 5):
        absent = losses.kl_to_uniform(Opinion(e, opposite, base_rate, weight), torch.zeros(6, dtype=dtype))
        present = losses.kl_to_uniform(Opinion(opposite, e, base_rate, weight), torch.ones(6, dtype=dtype))
        assert torch.isfinite(absent).all() and torch.isfinite(present).all()
        if tolerance < 0.01:
            assert absent.tolist() == pytest.approx(expected.tolist(), rel=1e-5, abs=tolerance)
            assert present.tolist() == pytest.approx(expected.tolist(), rel=1e-5, abs=tolerance)
            assert absent.argmin() == present.argmin() == 0 and (absent.diff() > 0).all()


@pytest.mark.parametrize("weight", [0.2, 2.0])
def test_kl_falls_towards_no_evidence(weight):
    e = torch.tensor([1e-3, 0.5, 2.0], dtype=torch.float64, requires_grad=True)
    losses.kl_to_uniform(Opinion(e, torch.zeros(3).double(), 0.3, weight), torch.zeros(3).double()).sum().backward()
    assert e.grad.tolist() == pytest.approx([1 / (x + 1) - 1 / (x + 1) ** 2 for x in (1e-3, 0.5, 2)], rel=1e-6)


def test_kl_gradients():
    z = torch.tensor([[-1.0, 2.0], [0.5, 3.0]], dtype=torch.float64, requires_grad=True)
    label = torch.tensor([1.0, 0.05], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: losses.kl_to_uniform(Opinion.from_log_evidence(x[0], x[1]), label), z)


def test_select_modality():
    probability = torch.tensor([[[0.9, 0.2, 0.6, 0.9], [0.3, 0.7, 0.6, 0.3]]])
    label = torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    audio = torch.tensor([1.0, 0.0, 0.0, 0.5])  # ties go to the visual modality, absent categories to the mean
    torch.testing.assert_close(losses.select_modality(probability, label), torch.stack([audio, 1 - audio])[None])
    audio[2] = 1
    torch.testing.assert_close(losses.select_modality(probability, label, "audio"), torch.stack([audio, 1 - audio])[None])


def test_mutual_learning_worked():
    p_joint, u_joint, p_uni, u_uni = (torch.tensor([[x]], requires_grad=True) for x in (0.9, 0.2, 0.5, 0.4))
    value = losses.mutual_learning(p_joint, u_joint, p_uni, u_uni, "joint")
    assert value.item() == pytest.approx((1 - 0.2) * (1 - 0.4) * (0.9 - 0.5) ** 2)
    value.backward()
    assert p_joint.grad is None and p_uni.grad.item() == pytest.approx(0.8 * 0.6 * -2 * 0.4)
    p_uni.grad = None
    value = losses.mutual_learning(p_joint, u_joint, p_uni, u_uni, "modality")
    assert value.item() == pytest.approx(0.2 * (1 - 0.4) * (0.9 - 0.5) ** 2)
    value.backward()
    assert p_uni.grad is None and p_joint.grad.item() == pytest.approx(0.2 * 0.6 * 2 * 0.4)


def test_mutual_loss_is_the_plain_loop():
    torch.manual_seed(1)
    video, joint = Opinion(torch.rand(5, 2, 4) * 9, torch.rand(5, 2, 4) * 9), Opinion(torch.rand(5, 4) * 9, torch.rand(5, 4) * 9)
    label = (torch.rand(5, 4) < 0.4).float()
    for teacher in ("joint", "modality"):
        value = losses.mutual_loss(joint, video, label, Config(), teacher)
        for v in range(5):
            u_joint = joint.vacuity[v].mean()
            for c in range(4):
                (pa, pv), (ua, uv) = video.probability[v, :, c], video.vacuity[v, :, c]
                p, u = ((pa, ua) if pa > pv else (pv, uv)) if label[v, c] else ((pa + pv) / 2, (ua + uv) / 2)
                factor = (1 - u_joint if teacher == "joint" else u_joint) * (1 - u)
                assert value[v, c].item() == pytest.approx((factor * (joint.probability[v, c] - p) ** 2).item(), rel=1e-5)


def test_mutual_loss_without_its_parts():
    video, joint = Opinion(torch.rand(3, 2, 4) * 9, 1.0), Opinion(torch.rand(3, 4) * 9, 1.0)
    label = torch.ones(3, 4)
    distance = (joint.probability - video.probability.max(1).values) ** 2
    both_off = Config(use_joint_vacuity=False, use_unimodal_vacuity=False)
    for teacher in ("joint", "modality"):
        torch.testing.assert_close(losses.mutual_loss(joint, video, label, both_off, teacher), distance)
        points = PointEstimate(joint.probability), PointEstimate(video.probability)
        torch.testing.assert_close(losses.mutual_loss(*points, label, Config(), teacher), distance)
    plain = both_off.changed(use_modality_selector=False)
    expected = (joint.probability - video.probability.mean(1)) ** 2
    torch.testing.assert_close(losses.mutual_loss(joint, video, label, plain, "joint"), expected)
    floored = Config(joint_vacuity_floor=0.9, use_unimodal_vacuity=False)
    torch.testing.assert_close(losses.mutual_loss(joint, video, label, floored, "modality"), 0.9 * distance)


def test_contrastive_is_the_plain_loop():
    x = torch.randn(2, 2, 5, 8)
    value = losses.contrastive(x)
    for v in range(2):
        audio, visual = (x[v, m] / x[v, m].norm(dim=1, keepdim=True) for m in (0, 1))
        for i in range(5):
            weights = (audio[i] @ visual.T / 0.2).softmax(0)
            share = torch.full((5,), 0.1 / 4)
            share[i] = 0.9
            assert value[v, i].item() == pytest.approx(-(share * weights).sum().log().item(), rel=1e-4)
    assert losses.contrastive(x[:, :, :1]).abs().max().item() < 1e-6  # a single snippet has no negatives


# ---- other evidential risks ------------------------------------------------------------------------------------------------

PI_SQUARED_OVER_6 = math.pi**2 / 6  # trigamma(1); trigamma(n + 1) = trigamma(n) - 1 / n^2


@pytest.mark.parametrize("label", [0.0, 0.05, 1.0])
def test_squared_error_worked_and_by_sampling_moments(label):
    # Beta(4, 2): p = 2/3, variance 4 * 2 / (6^2 * 7)
    value = losses.squared_error_risk(opinion(3, 1), scalar(label)).item()
    assert value == pytest.approx(2 * ((label - 2 / 3) ** 2 + 8 / 252))
    mean, second = 4 / 6, 4 * 5 / (6 * 7)  # E[q], E[q^2]
    assert value == pytest.approx((label**2 - 2 * label * mean + second) + ((1 - label) ** 2 - 2 * (1 - label) * (1 - mean)
                                  + (1 - 2 * mean + second)))
    assert losses.relaxed_risk(opinion(3, 1), scalar(label)).item() == pytest.approx(2 * (label - 2 / 3) ** 2)


def test_relaxed_prior_moves_p():
    judged = Opinion(scalar(3.0), scalar(1.0), prior_weight=0.2)  # lambda = 0.1
    assert losses.relaxed_risk(judged, scalar(1.0)).item() == pytest.approx(2 * (1 - 3.1 / 4.2) ** 2)


def test_fisher_worked():
    at = [None, PI_SQUARED_OVER_6]
    for n in range(1, 6):
        at.append(at[n] - 1 / n**2)
    alpha, beta, strength = at[4], at[2], at[6]
    determinant = (alpha - strength) * (beta - strength) - strength**2
    assert losses.log_det_fisher(opinion(3, 1)).item() == pytest.approx(math.log(determinant), rel=1e-6)
    error = (1 - 2 / 3) ** 2 + 8 / 252
    expected = (alpha + beta) * error - 0.3 * math.log(determinant)
    assert losses.fisher_risk(opinion(3, 1), scalar(1.0), 0.3).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("e", "e_absence"), [(0, 0), (3, 1), (0.2, 9), (4000, 7), (5e4, 3e4)])
def test_fisher_is_the_curvature_of_the_normaliser(e, e_absence):
    """Against the determinant in 50 digits, where nothing cancels."""
    import mpmath  # comes with torch

    mpmath.mp.dps = 50
    alpha, beta = mpmath.mpf(e) + 1, mpmath.mpf(e_absence) + 1
    one, other, both = (mpmath.psi(1, x) for x in (alpha, beta, alpha + beta))
    determinant = (one - both) * (other - both) - both**2
    assert losses.log_det_fisher(opinion(e, e_absence)).item() == pytest.approx(float(mpmath.log(determinant)), rel=1e-4, abs=1e-5)


def test_fisher_of_huge_evidence_goes_on_as_its_asymptote():
    z = torch.tensor([[11.0, 13.0, 40.0, 300.0], [11.0, 13.0, 40.0, 300.0]], requires_grad=True)
    value = losses.log_det_fisher(Opinion.from_log_evidence(z[0], z[1]))
    value.sum().backward()
    asymptote = [-(math.log(4) + 3 * x) for x in (11, 13, 40, 300)]  # -log(2 S alpha beta), S = 2 alpha
    assert value.tolist() == pytest.approx(asymptote, abs=1e-3) and torch.isfinite(z.grad).all()
    lone = losses.log_det_fisher(Opinion.from_log_evidence(torch.tensor([20.0, 30.0]), torch.tensor([0.0, 0.0])))
    assert (lone[0] - lone[1]).item() == pytest.approx(2 * 10, abs=1e-3)  # log alpha twice, see log_det_fisher
    risk = losses.fisher_risk(Opinion.from_log_evidence(z[0], z[1]), torch.ones(4))
    assert torch.isfinite(risk).all()


@pytest.mark.parametrize("risk", ["squared_error", "relaxed", "fisher"])
def test_other_risks_gradients(risk):
    z = torch.tensor([[-4.0, 0.0, 2.0, 6.0], [1.0, -3.0, 5.0, 4.5]], dtype=torch.float64, requires_grad=True)
    label = torch.tensor([1.0, 0.0, 0.95, 0.05], dtype=torch.float64)
    for weight in (2.0, 0.2):
        assert torch.autograd.gradcheck(
            lambda x, w=weight: losses.evidence_risk(Opinion.from_log_evidence(x[0], x[1], prior_weight=w), label, risk, 0.1), z
        )


@given(st.floats(0, 100), st.floats(0, 100), st.sampled_from(["log", "digamma", "squared_error", "relaxed"]))
def test_more_right_evidence_is_no_worse(e, e_absence, risk):
    judged, more = opinion(e, e_absence), opinion(e + 1, e_absence)
    assert losses.evidence_risk(more, scalar(1.0), risk).item() <= losses.evidence_risk(judged, scalar(1.0), risk).item() + 1e-12


def test_a_point_estimate_has_cross_entropy_whatever_the_risk():
    point = PointEstimate(torch.tensor([0.2, 0.9]))
    for risk in ("log", "fisher"):
        assert losses.evidence_risk(point, torch.ones(2), risk).tolist() == pytest.approx([-math.log(0.2), -math.log(0.9)], rel=1e-5)


@pytest.mark.parametrize("name", EVIDENTIAL_LOSSES)
def test_each_evidential_loss_trains(name, tiny):
    config = Config(width=16, batch_size=16, epochs=3, denoise=False, learning_rate=2e-3, **EVIDENTIAL_LOSSES[name])
    run = fit(config, *tiny[:2], progress=False)
    assert run.history["audio"].iloc[-1] < run.history["audio"].iloc[0]
    vacuity = predict(run.model, tiny[2]).video.vacuity
    assert ((vacuity > 0) & (vacuity <= 1)).all()


def test_whole_numbers_are_labels_like_any_others():
    """In a process of its own, since the annotations, which the tests check, ask for floats."""
    code = """
import torch
from cmpae_toolkit import losses
from cmpae_toolkit.opinion import Opinion
opinion, label = Opinion(torch.tensor([3.0, 0, 9]), torch.tensor([9.0, 6, 0])), torch.tensor([0, 1, 1])
for name in ("log_risk", "bayes_risk", "squared_error_risk", "relaxed_risk", "fisher_risk", "kl_to_uniform", "evidence_risk"):
    risk = getattr(losses, name)
    assert all(torch.equal(risk(opinion, kind), risk(opinion, label.float())) for kind in (label, label.bool())), name
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_unknown_names_are_refused():
    opinion, label, one = Opinion(torch.ones(1, 2), torch.ones(1, 2)), torch.ones(1, 2), torch.ones(1, 1)
    with pytest.raises(InputError, match="no psi 'lgo'"):
        losses.bayes_risk(opinion, label, "lgo")
    with pytest.raises(InputError, match="joint or modality, not 'Joint'"):
        losses.mutual_learning(label, one, label, one, "Joint")
    with pytest.raises(InputError, match="audio or visual, not to 'Visual'"):
        losses.select_modality(torch.ones(1, 2, 2), label, tie="Visual")
