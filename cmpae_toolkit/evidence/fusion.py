"""Operators of subjective logic on opinions of any shape: fusion of several sources, trust, conjunction, deduction.

"Book" is A. Jøsang, Subjective Logic (Springer 2016); fusion of more than two sources follows R. W. van der Heijden, H. Kopp,
F. Kargl, "Multi-Source Fusion Operations in Subjective Logic" (FUSION 2018). All operators are written for log alpha and log
beta, in which fusion is a sum of evidence. A vacuous opinion needs no case of its own, and neither does a dogmatic one, which
here is the limit of much evidence; what the book defines separately for it, with the sources' relative weights, follows.

Fusion takes opinions on one statement, of one prior weight and of shapes that broadcast. All operators raise InputError where the
prior weights differ or no opinion is given:

    cumulative   independent sources                    evidence adds up              commutative, associative, vacuous is neutral
    averaging    dependent sources                      mean of the evidence          commutative, idempotent
    weighted     dependent, weighted by 1 - vacuity     weighted mean of the evidence commutative, idempotent, vacuous is neutral
    constraint   preferences, Dempster's rule           agreeing masses multiply      commutative, associative, vacuous is neutral

(Associativity in alpha and beta needs equal base rates, except for the cumulative operator, whose base rates follow the evidence.)
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..opinion import BASE_RATE, Opinion, common_weight


def cumulative(*opinions: Opinion) -> Opinion:
    """Adds up the evidence of independent sources (book 12.3). The fused base rate is weighted by the evidence behind each.

    >>> fused = cumulative(Opinion(6.0, 2.0), Opinion(1.0, 1.0))
    >>> round(fused.presence.item(), 3), round(fused.absence.item(), 3)
    (7.0, 3.0)
    """
    sources = _Sources(opinions)
    evidence = (sources.log_strength - math.log(sources.prior_weight)).clamp_max(_most(sources.log_strength)).expm1()
    base_rate = sources.mean_base_rate(evidence)
    logs = []
    for log_parameter, rates, rate in (
        (sources.log_alpha, sources.base_rates, base_rate), (sources.log_beta, 1 - sources.base_rates, 1 - base_rate)
    ):
        excess = (rates.sum(0) - rate) * sources.prior_weight  # all sources bring a prior, the fused opinion keeps one
        largest = log_parameter.max(0).values
        logs.append(largest + ((log_parameter - largest).exp().sum(0) - excess * (-largest).exp()).log())
    return sources.fused(*logs, base_rate)


def averaging(*opinions: Opinion) -> Opinion:
    """Takes the mean of the evidence of dependent sources, who saw the same (book 12.4), and the mean of their base rates.

    >>> fused = averaging(Opinion(6.0, 2.0), Opinion(1.0, 1.0))
    >>> round(fused.presence.item(), 3), round(fused.absence.item(), 3)
    (3.5, 1.5)
    """
    sources = _Sources(opinions)
    return sources.mixed(torch.ones_like(sources.log_alpha))


def weighted(*opinions: Opinion) -> Opinion:
    """Takes the mean of the evidence, weighted by 1 - vacuity (book 12.5).

    A source without evidence has no say; where all are vacuous, so is the result.

    >>> round(weighted(Opinion(6.0, 2.0), Opinion(0.0, 0.0)).presence.item(), 3)
    6.0
    """
    sources = _Sources(opinions)
    return sources.mixed(sources.confidence())


def constraint(*opinions: Opinion) -> Opinion:
    """Multiplies the masses on which the sources agree (belief constraint fusion, book 12.2; Dempster's rule for two outcomes).

    1 + e / W is the product of the sources' 1 + e_i / W. Base rates are weighted by 1 - vacuity. Total conflict, which the book
    leaves undefined, is the limit here: two equally dogmatic sources give p = 1/2.

    >>> round(constraint(Opinion(6.0, 2.0), Opinion(1.0, 1.0)).presence.item(), 3)  # 2 (4 x 1.5 - 1)
    10.0
    """
    sources = _Sources(opinions)
    base_rate, logs = sources.mean_base_rate(sources.confidence()), []
    for log_parameter, rates, rate in (
        (sources.log_alpha, sources.base_rates, base_rate), (sources.log_beta, 1 - sources.base_rates, 1 - base_rate)
    ):
        rest = (math.log(sources.prior_weight) + torch.log1p(-rates)).to(log_parameter)
        product = (torch.logaddexp(log_parameter, rest) - math.log(sources.prior_weight)).sum(0)  # sum of log(1 + e / W)
        logs.append(math.log(sources.prior_weight) + product + torch.log1p(-(1 - rate) * (-product).exp()))
    return sources.fused(*logs, base_rate)


def discount(trust: Opinion, opinion: Opinion) -> Opinion:
    """Weakens an opinion that was heard from a source of whom one has the opinion `trust` (book 14.3).

    Belief and disbelief are scaled by the projected probability of `trust`, and what is lost becomes vacuity. (Older texts scale by
    the belief in the source.)

    >>> heard = discount(Opinion(0.0, 0.0), Opinion(6.0, 2.0))  # a source of whom nothing is known is trusted by half
    >>> round(heard.belief.item(), 3), round(heard.vacuity.item(), 3)
    (0.3, 0.6)
    """
    _same_weight(trust, opinion)
    p, doubt = trust.logit.sigmoid(), (-trust.logit).sigmoid()
    belief, disbelief = p * opinion.belief, p * opinion.disbelief
    return Opinion.from_masses(belief, disbelief, doubt + p * opinion.vacuity, opinion.base_rate, opinion.prior_weight)


def conjunction(one: Opinion, other: Opinion) -> Opinion:
    """The opinion that both of two independent statements hold (binomial multiplication, book 7.1): p = p_1 p_2, a = a_1 a_2.

    >>> both = conjunction(Opinion(6.0, 0.0), Opinion(2.0, 0.0))  # p = 7/8 and 3/4
    >>> round(both.probability.item(), 5), both.base_rate
    (0.65625, 0.25)
    """
    weight, (a, c) = _same_weight(one, other), (one.base_rate, other.base_rate)
    scale = 1 / (1 - a * c)
    cross = one.belief * other.vacuity, one.vacuity * other.belief
    belief = one.belief * other.belief + scale * ((1 - a) * c * cross[0] + a * (1 - c) * cross[1])
    vacuity = one.vacuity * other.vacuity + scale * ((1 - c) * cross[0] + (1 - a) * cross[1])
    disbelief = one.disbelief + other.disbelief - one.disbelief * other.disbelief
    return Opinion.from_masses(belief, disbelief, vacuity, a * c, weight)


def disjunction(one: Opinion, other: Opinion) -> Opinion:
    """The opinion that at least one of two independent statements holds (comultiplication, book 7.1).

    >>> round(disjunction(Opinion(6.0, 0.0), Opinion(2.0, 0.0)).probability.item(), 5)  # 1 - 1/8 x 1/4
    0.96875
    """
    return ~conjunction(~one, ~other)


def deduce(antecedent: Opinion, if_present: Opinion, if_absent: Opinion) -> Opinion:
    """Derives an opinion on y from one on x and those on y where x is present and where x is absent (book 9.4, 9.5).

    p(y) = p(x) p(y|x) + (1 - p(x)) p(y|not x). The vacuity mixes that of the conditionals by the belief and disbelief in x, and,
    for x's own vacuity, the largest that leaves y at least the belief and disbelief that both conditionals share (the apex). The
    base rate is y's marginal one: a = a_x p(y|x) + (1 - a_x) p(y|not x), solved for p's own dependence on a.

    >>> bark = deduce(Opinion(2.0, 0.0), if_present=Opinion(8.0, 0.0), if_absent=Opinion(0.0, 8.0))  # p(dog) = 3/4
    >>> round(bark.base_rate.item(), 3), round(bark.probability.item(), 3)  # 3/4 x 0.9 + 1/4 x 0.1
    (0.5, 0.7)
    """
    weight = _same_weight(antecedent, if_present, if_absent)
    a_x = _rate(antecedent)
    certain = a_x * (if_present.belief + if_present.disbelief) + (1 - a_x) * (if_absent.belief + if_absent.disbelief)
    rate = (a_x * if_present.belief + (1 - a_x) * if_absent.belief) / certain.clamp_min(torch.finfo(a_x.dtype).tiny)
    rate = torch.where(certain > 0, rate, BASE_RATE)
    edge = torch.finfo(a_x.dtype).eps ** 0.5
    rate = rate.clamp(edge, 1 - edge)
    p_if_present, p_if_absent = (x.belief + rate * x.vacuity for x in (if_present, if_absent))
    p_marginal = a_x * p_if_present + (1 - a_x) * p_if_absent
    apex = torch.minimum(
        (p_marginal - torch.minimum(if_present.belief, if_absent.belief)) / rate,
        (1 - p_marginal - torch.minimum(if_present.disbelief, if_absent.disbelief)) / (1 - rate),
    )
    vacuity = antecedent.belief * if_present.vacuity + antecedent.disbelief * if_absent.vacuity + antecedent.vacuity * apex
    probability = antecedent.probability * p_if_present + (1 - antecedent.probability) * p_if_absent
    vacuity = torch.minimum(vacuity, torch.minimum(probability / rate, (1 - probability) / (1 - rate)))  # rounding only
    return Opinion.from_masses(probability - rate * vacuity, 1 - probability - (1 - rate) * vacuity, vacuity, rate, weight)


FUSIONS: dict[str, Callable[..., Opinion]] = {
    "cumulative": cumulative, "averaging": averaging, "weighted": weighted, "constraint": constraint,
}


class _Sources:
    """Opinions stacked along a new first axis, and the quantities of them that fusion needs."""

    def __init__(self, opinions: tuple[Opinion, ...]) -> None:
        self.prior_weight = common_weight(opinions)
        logs = [torch.broadcast_tensors(*(getattr(o, name) for o in opinions)) for name in ("log_alpha", "log_beta")]
        self.log_alpha, self.log_beta = (torch.stack(list(log)) for log in logs)
        rates = [_rate(o) for o in opinions]
        numbers = {o.base_rate if isinstance(o.base_rate, float) else None for o in opinions}
        self.rate = numbers.pop() if len(numbers) == 1 else None  # of all sources, where it is one number
        self.base_rates = torch.stack([r.expand(self.log_alpha.shape[1:]) for r in rates])

    @property
    def log_strength(self) -> Tensor:
        return torch.logaddexp(self.log_alpha, self.log_beta)

    def confidence(self) -> Tensor:
        """1 - vacuity = 1 - W / S."""
        return -torch.expm1(math.log(self.prior_weight) - self.log_strength)

    def shares(self, weights: Tensor) -> Tensor:
        """Turns weights >= 0 over the sources into shares of 1; the shares are equal where all weights are 0, up to rounding."""
        weights = torch.where(weights > 8 * torch.finfo(weights.dtype).eps, weights, 0)
        total = weights.sum(0)
        return torch.where(total > 0, weights / torch.where(total > 0, total, 1), 1 / len(weights))

    def mean_base_rate(self, weights: Tensor) -> Tensor | float:
        return self.rate if self.rate is not None else (self.shares(weights) * self.base_rates).sum(0)

    def mixed(self, weights: Tensor) -> Opinion:
        """The mean evidence. As priors mix as evidence does, it is the mean of alpha and of beta."""
        shares = self.shares(weights)
        logs = (torch.logsumexp(x + shares.clamp_min(torch.finfo(x.dtype).tiny).log(), 0) for x in (self.log_alpha, self.log_beta))
        return self.fused(*logs, self.mean_base_rate(weights))

    def fused(self, log_alpha: Tensor, log_beta: Tensor, base_rate: Tensor | float) -> Opinion:
        return Opinion.from_log_parameters(log_alpha, log_beta, base_rate, self.prior_weight)


def _same_weight(*opinions: Opinion) -> float:
    return common_weight(opinions)


def _rate(opinion: Opinion) -> Tensor:
    return torch.as_tensor(opinion.base_rate, dtype=opinion.log_alpha.dtype, device=opinion.log_alpha.device)


def _most(x: Tensor) -> float:
    """The largest exponent whose exp is finite in x's type, with room for a sum."""
    return math.log(torch.finfo(x.dtype).max) - 8
