"""Measures of the kind of doubt in an opinion: its conflict, and its entropy split into what more evidence removes and what it does not.

For q ~ Beta(alpha, beta) and an event that happens with probability q, the entropy of the mean is the sum of the expected entropy
(aleatoric) and of the mutual information between the event and q (epistemic). Vacuity depends on the strength alone; these
measures see p as well. What the numbers mean depends on how the evidence was learned: see notebook 11b. All are in nats and of
the opinion's shape.
"""

import torch
from torch import Tensor

from .._log_domain import digamma_of_exp
from ..opinion import Opinion

SERIES_FROM = 8.0  # log x above which two terms of the series of log x - psi(x) are exact to 1e-12 of their sum


def dissonance(opinion: Opinion) -> Tensor:
    """The conflict within the evidence, 2 min(belief, disbelief) in 0..1; endless and equal evidence on both sides gives 1.

    It is (b + d)(1 - |b - d| / (b + d)) of Jøsang, Cho, Chen, "Uncertainty characteristics of subjective opinions" (FUSION
    2018), for two outcomes.

    >>> dissonance(Opinion(torch.tensor([99.0, 99.0]), torch.tensor([99.0, 0.0]))).round(decimals=3).tolist()
    [0.99..., 0.0]
    """
    return 2 * torch.minimum(opinion.belief, opinion.disbelief)


def entropy(opinion: Opinion) -> Tensor:
    """The total uncertainty -p log p - (1 - p) log(1 - p), in 0..log 2.

    >>> entropy(Opinion(3.0, 3.0)).item()  # log 2, whatever the evidence, at p = 1/2
    0.6931...
    """
    log_p, log_q = (x - opinion.log_strength for x in (opinion.log_alpha, opinion.log_beta))
    return -(log_p.exp() * log_p + log_q.exp() * log_q)


def expected_entropy(opinion: Opinion) -> Tensor:
    """The aleatoric part E[H(q)] = psi(S + 1) - p psi(alpha + 1) - (1 - p) psi(beta + 1), in 0..log 2.

    >>> unsure = Opinion(torch.tensor([0.0, 500.0]), torch.tensor([0.0, 500.0]))  # p = 1/2 without and with evidence
    >>> expected_entropy(unsure).round(decimals=3).tolist()
    [0.5, 0.693...]
    """
    return entropy(opinion) - mutual_information(opinion)


def mutual_information(opinion: Opinion) -> Tensor:
    """The epistemic part, entropy minus expected entropy: about 1 / (2 S) for large S.

    It is summed as f(S) + 1 / S - p f(alpha) - (1 - p) f(beta) with f(x) = log x - psi(x), whose terms are as small as the result.

    >>> unsure = Opinion(torch.tensor([0.0, 500.0]), torch.tensor([0.0, 500.0]))  # p = 1/2 without and with evidence
    >>> mutual_information(unsure).round(decimals=4).tolist()
    [0.1931..., 0.0005...]
    """
    logs = opinion.log_strength, opinion.log_alpha, opinion.log_beta
    strength, alpha, beta = (_log_minus_digamma(x) for x in logs)
    p, q = opinion.logit.sigmoid(), (-opinion.logit).sigmoid()
    return strength + (-opinion.log_strength).exp() - p * alpha - q * beta


def _log_minus_digamma(log_x: Tensor) -> Tensor:
    """Returns log x - psi(x), about 1 / (2 x), in double precision where the device has it, since the difference would cancel."""
    wide = log_x if log_x.device.type == "mps" else log_x.double()
    small = wide.clamp_max(SERIES_FROM)
    series = 0.5 * (-wide).exp() + (-2 * wide).exp() / 12
    return torch.where(wide > SERIES_FROM, series, small - digamma_of_exp(small)).to(log_x.dtype)
