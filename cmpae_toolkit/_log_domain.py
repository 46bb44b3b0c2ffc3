"""Functions of logarithms that stay finite where the numbers themselves would overflow, cancel or vanish."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

SERIES_FROM = 12.0  # log x above which digamma is taken from its series


def log(x: Tensor | float) -> Tensor | float:
    """The natural logarithm of a tensor or a number."""
    return x.log() if isinstance(x, Tensor) else math.log(x)


def log_of_sum(evidence: Tensor, prior: Tensor | float) -> Tensor:
    """log(evidence + prior), evidence >= 0, prior > 0."""
    return evidence.log1p() if _is_one(prior) else log(prior) + (evidence / prior).log1p()


def softplus_over(log_evidence: Tensor, prior: Tensor | float) -> Tensor:
    """log(exp(log_evidence) + prior): softplus where the prior is 1."""
    return F.softplus(log_evidence) if _is_one(prior) else log(prior) + F.softplus(log_evidence - log(prior))


def above(log_parameter: Tensor, prior: Tensor | float) -> Tensor:
    """exp(log_parameter) - prior: the evidence in alpha."""
    return log_parameter.expm1() if _is_one(prior) else prior * (log_parameter - log(prior)).expm1()


def with_prior_one(log_parameter: Tensor, prior: Tensor | float) -> Tensor:
    """log(e + 1) from log(e + prior), e >= 0."""
    if _is_one(prior):
        return log_parameter
    excess = (log_parameter - log(prior)).clamp_min(0)  # e = prior (exp(excess) - 1)
    log_share = (-(-excess).expm1()).clamp_min(torch.finfo(excess.dtype).tiny).log()  # of e in e + prior
    return F.softplus(log(prior) + excess + log_share)


def digamma_of_exp(log_x: Tensor) -> Tensor:
    """digamma(exp(log_x)); beyond exp(12) by its series log x - 1 / (2 x), so that x itself may overflow."""
    series = log_x - 0.5 * torch.exp(-log_x)
    return torch.where(log_x > SERIES_FROM, series, torch.digamma(torch.exp(log_x.clamp_max(SERIES_FROM))))


def _is_one(prior: Tensor | float) -> bool:
    """The paper's prior: a float 1, for which the shortest form is taken."""
    return not isinstance(prior, Tensor) and prior == 1
