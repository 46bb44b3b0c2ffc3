"""What kind of doubt an opinion holds: dissonance, and its entropy split into what more evidence could remove and what it could not.

For q ~ Beta(alpha, beta) and an event that happens with probability q: entropy of the mean = expected entropy (aleatoric) +
mutual information between the event and q (epistemic). Vacuity is a function of the strength alone; these see p as well.
What the numbers mean depends on how the evidence was learned: see notebook 11. All in nats, of the opinion's shape.
"""

import torch
from torch import Tensor

from .._log_domain import digamma_of_exp
from ..opinion import Opinion

SERIES_FROM = 8.0  # log x above which two terms of the series of log x - psi(x) are exact to 1e-12 of their sum


def dissonance(opinion: Opinion) -> Tensor:
    """Conflict within the evidence, 2 min(belief, disbelief) in 0..1: 1 for endless and equal evidence on both sides.

    Jøsang, Cho, Chen, "Uncertainty characteristics of subjective opinions" (FUSION 2018), for two outcomes: their
    (b + d)(1 - |b - d| / (b + d)).
    """
    return 2 * torch.minimum(opinion.belief, opinion.disbelief)


def entropy(opinion: Opinion) -> Tensor:
    """-p log p - (1 - p) log(1 - p), the total uncertainty, in 0..log 2."""
    log_p, log_q = (x - opinion.log_strength for x in (opinion.log_alpha, opinion.log_beta))
    return -(log_p.exp() * log_p + log_q.exp() * log_q)


def expected_entropy(opinion: Opinion) -> Tensor:
    """E[H(q)] = psi(S + 1) - p psi(alpha + 1) - (1 - p) psi(beta + 1): the aleatoric part, in 0..log 2."""
    return entropy(opinion) - mutual_information(opinion)


def mutual_information(opinion: Opinion) -> Tensor:
    """Entropy minus expected entropy: the epistemic part, about 1 / (2 S) for large S.

    Summed as f(S) + 1 / S - p f(alpha) - (1 - p) f(beta) with f(x) = log x - psi(x), whose terms are as small as the result.
    """
    logs = opinion.log_strength, opinion.log_alpha, opinion.log_beta
    strength, alpha, beta = (_log_minus_digamma(x) for x in logs)
    p, q = opinion.logit.sigmoid(), (-opinion.logit).sigmoid()
    return strength + (-opinion.log_strength).exp() - p * alpha - q * beta


def _log_minus_digamma(log_x: Tensor) -> Tensor:
    """log x - psi(x) in the precision of double where the device has it: about 1 / (2 x), so the difference would cancel."""
    wide = log_x if log_x.device.type == "mps" else log_x.double()
    small = wide.clamp_max(SERIES_FROM)
    series = 0.5 * (-wide).exp() + (-2 * wide).exp() / 12
    return torch.where(wide > SERIES_FROM, series, small - digamma_of_exp(small)).to(log_x.dtype)
