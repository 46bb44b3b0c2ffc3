"""Eq. 1, 5, 8-10, the KL term and the contrastive term against worked numbers, quadrature and plain loops."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cmpae_toolkit import losses
from cmpae_toolkit.config import Config
from cmpae_toolkit.opinion import Opinion, PointEstimate

NODES = np.polynomial.legendre.leggauss(500)


def opinion(e, e_absence):
    return Opinion(torch.as_tensor(e, dtype=torch.float64), torch.as_tensor(e_absence, dtype=torch.float64))


def scalar(x):
    return torch.tensor(x, dtype=torch.float64)


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
