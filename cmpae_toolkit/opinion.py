"""Binomial opinions of subjective logic: evidence for presence and for absence as one object (section 3.2 of the paper).

An opinion on "this event happens here" is the Beta distribution Beta(alpha, beta) with alpha = e + 1, beta = ê + 1 (Eq. 4),
where e >= 0 is the evidence for presence and ê >= 0 the evidence for absence. The paper calls vacuity "uncertainty".

The paper's opinions have base rate a = 1/2 and prior weight W = 2. Both may be others (A. Jøsang, Subjective Logic, Springer
2016, section 3.4, "the book" below): then alpha = e + a W, beta = ê + (1 - a) W, vacuity = W / S, and p = belief + a vacuity.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from ._log_domain import above, log, log_of_sum, softplus_over
from .errors import InputError

BASE_RATE, PRIOR_WEIGHT = 0.5, 2.0  # the paper's a and W: alpha = e + 1, beta = ê + 1


class Opinion:
    """Opinions of any shape, from evidence for presence and for absence (both >= 0, of shapes that broadcast).

    `base_rate` lies in (0, 1) and is a number or a tensor that broadcasts; `prior_weight` is above 0. Raises InputError on negative
    evidence, on NaN, and on a base rate or weight out of range. An opinion keeps log alpha and log beta, so Exp evidence of any
    size neither overflows nor needs a clamp; `Opinion.from_log_evidence` builds one from logarithms, `Opinion.from_masses` from
    belief masses.

    >>> barks = Opinion(presence=torch.tensor([6.0, 0.0]), absence=torch.tensor([0.0, 0.0]))
    >>> barks.probability.round(decimals=3).tolist(), barks.vacuity.round(decimals=3).tolist()
    ([0.875, 0.5], [0.25, 1.0])
    """

    __slots__ = ("base_rate", "log_alpha", "log_beta", "prior_weight")

    def __init__(
        self, presence: Tensor | float | int, absence: Tensor | float | int, base_rate: Tensor | float = BASE_RATE,
        prior_weight: float | int = PRIOR_WEIGHT,
    ) -> None:
        presence, absence = (torch.as_tensor(x) for x in (presence, absence))
        presence, absence = (x if x.is_floating_point() else x.to(torch.get_default_dtype()) for x in (presence, absence))
        for name, evidence in (("presence", presence), ("absence", absence)):
            if not bool((evidence >= 0).all()):
                raise InputError(f"{name} evidence must be 0 or more, got {evidence.detach().min().item():g}.")
        prior, counter_prior = _priors(base_rate, prior_weight)
        logs = (log_of_sum(x, part) for x, part in ((presence, prior), (absence, counter_prior)))
        self._set(*torch.broadcast_tensors(*logs), base_rate, prior_weight)

    @classmethod
    def from_log_evidence(
        cls, log_presence: Tensor, log_absence: Tensor, base_rate: Tensor | float = BASE_RATE, prior_weight: float | int = PRIOR_WEIGHT
    ) -> "Opinion":
        """Builds opinions from log e and log ê of any size; with the paper's prior log alpha is softplus(log e)."""
        prior, counter_prior = _priors(base_rate, prior_weight)
        logs = (softplus_over(z, part) for z, part in ((log_presence, prior), (log_absence, counter_prior)))
        return cls.from_log_parameters(*logs, base_rate, prior_weight)

    @classmethod
    def from_masses(
        cls, belief: Tensor, disbelief: Tensor, vacuity: Tensor, base_rate: Tensor | float = BASE_RATE,
        prior_weight: float | int = PRIOR_WEIGHT,
    ) -> "Opinion":
        """Builds opinions from belief, disbelief and vacuity, each in 0..1, that sum to 1 (to 1e-4; they are not rescaled).

        Dogmatic opinions (vacuity 0) become the limit that the book takes for them: all get the same tiny vacuity. Raises InputError
        on masses that are negative or do not sum to 1.

        >>> round(Opinion.from_masses(torch.tensor(0.6), torch.tensor(0.2), torch.tensor(0.2)).presence.item(), 3)  # W 0.6 / 0.2
        6.0
        """
        belief, disbelief, vacuity = torch.broadcast_tensors(*(torch.as_tensor(x) for x in (belief, disbelief, vacuity)))
        total = (belief + disbelief + vacuity).detach()
        if not bool(((total - 1).abs() < 1e-4).all()) or min(x.detach().min() for x in (belief, disbelief, vacuity)) < -1e-6:
            raise InputError("belief, disbelief and vacuity must be 0 or more and sum to 1 in every opinion.")
        _priors(base_rate, prior_weight)
        vacuity = vacuity.clamp_min(torch.finfo(vacuity.dtype).tiny ** 0.5)
        for_presence = belief.clamp_min(0) + base_rate * vacuity
        for_absence = disbelief.clamp_min(0) + (1 - base_rate) * vacuity
        log_strength = math.log(prior_weight) - vacuity.log()  # S = W / u, alpha = p S
        return cls.from_log_parameters(for_presence.log() + log_strength, for_absence.log() + log_strength, base_rate, prior_weight)

    @classmethod
    def from_log_parameters(
        cls, log_alpha: Tensor, log_beta: Tensor, base_rate: Tensor | float = BASE_RATE, prior_weight: float | int = PRIOR_WEIGHT
    ) -> "Opinion":
        """Builds opinions from log alpha >= log(a W) and log beta >= log((1 - a) W), which are taken as they are."""
        opinion = cls.__new__(cls)
        opinion._set(*torch.broadcast_tensors(log_alpha, log_beta), base_rate, prior_weight)
        return opinion

    def _set(self, log_alpha: Tensor, log_beta: Tensor, base_rate: Tensor | float, prior_weight: float | int) -> None:
        if isinstance(base_rate, Tensor):  # like the parameters, so that `apply` changes all alike
            base_rate = base_rate.to(log_alpha).expand(log_alpha.shape)
        self.log_alpha, self.log_beta, self.base_rate, self.prior_weight = log_alpha, log_beta, base_rate, prior_weight

    @property
    def shape(self) -> torch.Size:
        return self.log_alpha.shape

    @property
    def priors(self) -> tuple[Tensor | float, Tensor | float]:
        """The values a W and (1 - a) W of alpha and beta without any evidence; in the paper they are 1 and 1."""
        return _priors(self.base_rate, self.prior_weight)

    @property
    def presence(self) -> Tensor:
        """The evidence for presence e >= 0."""
        return above(self.log_alpha, self.priors[0])

    @property
    def absence(self) -> Tensor:
        """The evidence for absence ê >= 0."""
        return above(self.log_beta, self.priors[1])

    @property
    def alpha(self) -> Tensor:
        """The parameter alpha = e + 1 (in general e + a W)."""
        return self.log_alpha.exp()

    @property
    def beta(self) -> Tensor:
        """The parameter beta = ê + 1 (in general ê + (1 - a) W)."""
        return self.log_beta.exp()

    @property
    def log_strength(self) -> Tensor:
        """The logarithm of the strength."""
        return torch.logaddexp(self.log_alpha, self.log_beta)

    @property
    def strength(self) -> Tensor:
        """The strength S = alpha + beta >= W = 2."""
        return self.log_strength.exp()

    @property
    def logit(self) -> Tensor:
        """The logit log(p / (1 - p)) = log alpha - log beta."""
        return self.log_alpha - self.log_beta

    @property
    def probability(self) -> Tensor:
        """The probability p = alpha / S in (0, 1) of Eq. 7: the mean of the Beta, and belief + a vacuity."""
        return torch.sigmoid(self.logit)

    @property
    def vacuity(self) -> Tensor:
        """The vacuity u = W / S in (0, 1] of Eq. 7, which the paper calls uncertainty; it is 1 without any evidence."""
        return torch.exp(math.log(self.prior_weight) - self.log_strength)

    @property
    def belief(self) -> Tensor:
        """The belief e / S = p (1 - a W / alpha) in [0, 1); belief, disbelief and vacuity sum to 1."""
        return self.probability * -torch.expm1(-(self.log_alpha - log(self.priors[0])))

    @property
    def disbelief(self) -> Tensor:
        """The disbelief ê / S = (1 - p)(1 - (1 - a) W / beta) in [0, 1)."""
        return torch.sigmoid(-self.logit) * -torch.expm1(-(self.log_beta - log(self.priors[1])))

    def __invert__(self) -> "Opinion":
        """The opinion on the opposite (book, section 6.3): presence and absence change places, and the base rate is 1 - a."""
        return self.from_log_parameters(self.log_beta, self.log_alpha, 1 - self.base_rate, self.prior_weight)

    def apply(self, change: Callable[[Tensor], Tensor]) -> "Opinion":
        """Makes the same change of form (index, device, detach, ...) to both parameters and to the base rate."""
        base_rate = change(self.base_rate) if isinstance(self.base_rate, Tensor) else self.base_rate
        return self.from_log_parameters(change(self.log_alpha), change(self.log_beta), base_rate, self.prior_weight)

    def detach(self) -> "Opinion":
        return self.apply(Tensor.detach)

    def __getitem__(self, index: object) -> "Opinion":
        return self.apply(lambda x: x[index])

    def __repr__(self) -> str:
        return f"Opinion(presence={self.presence}, absence={self.absence})"


@dataclass(frozen=True)
class PointEstimate:
    """A probability without a Beta behind it (of a sigmoid head or a mixture); `vacuity` is None unless the source has one.

    >>> PointEstimate(torch.tensor([0.2, 0.7]))[1].probability.item() > 0.5
    True
    """

    probability: Tensor
    vacuity: Tensor | None = None

    @property
    def shape(self) -> torch.Size:
        return self.probability.shape

    def apply(self, change: Callable[[Tensor], Tensor]) -> "PointEstimate":
        return PointEstimate(change(self.probability), None if self.vacuity is None else change(self.vacuity))

    def detach(self) -> "PointEstimate":
        return self.apply(Tensor.detach)

    def __getitem__(self, index: object) -> "PointEstimate":
        return self.apply(lambda x: x[index])


Judgement = Opinion | PointEstimate


def concatenate(judgements: list[Judgement]) -> Judgement:
    """Joins judgements of one kind along their first axis. Raises InputError when opinions differ in prior weight.

    >>> concatenate([Opinion(torch.ones(2), torch.ones(2)), Opinion(torch.ones(3), torch.zeros(3))]).shape
    torch.Size([5])
    """
    first = judgements[0]
    if isinstance(first, Opinion):
        logs = (torch.cat([getattr(j, name) for j in judgements]) for name in ("log_alpha", "log_beta"))
        base_rate = first.base_rate
        if any(isinstance(j.base_rate, Tensor) or j.base_rate != base_rate for j in judgements):
            rates = [torch.as_tensor(j.base_rate, dtype=j.log_alpha.dtype, device=j.log_alpha.device) for j in judgements]
            base_rate = torch.cat([rate.expand(j.shape) for rate, j in zip(rates, judgements, strict=True)])
        return Opinion.from_log_parameters(*logs, base_rate, common_weight(judgements))
    vacuity = None if first.vacuity is None else torch.cat([j.vacuity for j in judgements])
    return PointEstimate(torch.cat([j.probability for j in judgements]), vacuity)


def log_evidence(
    logit: Float[Tensor, "*any"], function: str = "exp", temperature: float = 1.0, clamp: float | None = None
) -> Float[Tensor, "*any"]:
    """Computes log g(z / temperature) with g = Exp or Softplus (below Eq. 2); the logit z is first clamped to +-clamp, if given.

    >>> log_evidence(torch.tensor([-200.0, 0.0]), "softplus").tolist()  # of exp(-200), which is 0 in float32, and of log 2
    [-200.0, -0.3665...]
    """
    if clamp is not None:
        logit = logit.clamp(-clamp, clamp)
    logit = logit / temperature
    if function == "exp":
        return logit
    if function != "softplus":
        raise InputError(f"there is no evidence function {function!r}: use exp or softplus.")
    # softplus(z) -> exp(z) for very negative z, where its float32 value would round to 0 and its log to -inf
    return torch.where(logit < -15, logit, F.softplus(logit.clamp_min(-15)).log())


def accumulate(
    log_evidence: Float[Tensor, "*batch snippet category"], attention: Float[Tensor, "*batch snippet category"]
) -> Float[Tensor, "*batch category"]:
    """Computes the logarithm of the video evidence sum_t A_t e_t (below Eq. 3) from log e_t.

    >>> halves = torch.full((2, 1), 0.5)  # two snippets, one category
    >>> accumulate(torch.tensor([[2.0], [4.0]]).log(), halves).exp().round(decimals=3).tolist()
    [3.0]
    """
    return torch.logsumexp(attention.clamp_min(torch.finfo(attention.dtype).tiny).log() + log_evidence, dim=-2)


def average_masses(opinion: Opinion, attention: Float[Tensor, "*batch snippet category"]) -> Opinion:
    """Averages the belief, disbelief and vacuity of a video's snippets, weighted by their attention, into the video's opinion.

    So p_vid = sum_t A_t p_t, and no snippet counts for more than its attention, however much evidence it has. This averages masses; it
    is neither cumulative nor averaging fusion (book, 12.3 and 12.4), which add or average evidence, and it is not in the paper.
    `opinion` is (..., snippet, category); `attention` sums to 1 over the snippets, or is 0 everywhere, which gives the vacuous opinion.

    >>> sure_and_vacuous = Opinion(torch.tensor([[6.0], [0.0]]), torch.tensor([[0.0], [0.0]]))
    >>> average_masses(sure_and_vacuous, torch.full((2, 1), 0.5)).belief.round(decimals=3).tolist()  # the mean of 6 / 8 and 0
    [0.375]
    """
    log_attention = attention.clamp_min(torch.finfo(attention.dtype).tiny).log()

    def mean(log_mass: Tensor) -> Tensor:
        return torch.logsumexp(log_attention + log_mass, dim=-2)

    log_weight = math.log(opinion.prior_weight)
    log_strength = log_weight - mean(log_weight - opinion.log_strength)  # S = W / u
    nothing = attention.sum(-2) == 0
    logs = []
    for log_parameter, prior in zip((opinion.log_alpha, opinion.log_beta), opinion.priors, strict=True):
        pooled = mean(log_parameter - opinion.log_strength) + log_strength  # alpha = p S
        least = log(prior).select(-2, 0) if isinstance(prior, Tensor) else torch.full_like(pooled, math.log(prior))
        logs.append(torch.where(nothing, least, torch.maximum(pooled, least)))
    base_rate = opinion.base_rate.select(-2, 0) if isinstance(opinion.base_rate, Tensor) else opinion.base_rate
    return Opinion.from_log_parameters(*logs, base_rate, opinion.prior_weight)


def common_weight(opinions: Sequence[Opinion]) -> float:
    """Finds the prior weight that all opinions share. Raises InputError when they differ, or when there is no opinion.

    >>> common_weight([Opinion(1, 0), Opinion(0, 2)])
    2.0
    """
    weights = {opinion.prior_weight for opinion in opinions}
    if len(weights) != 1:
        raise InputError(f"{len(opinions)} opinions with prior weights {sorted(weights)}: one or more of the same weight are needed.")
    return weights.pop()


def _priors(base_rate: Tensor | float, prior_weight: float | int) -> tuple[Tensor | float, Tensor | float]:
    """Computes a W and (1 - a) W, in the paper 1 and 1. Raises InputError on a base rate or weight out of range."""
    inside = bool(((base_rate > 0) & (base_rate < 1)).all()) if isinstance(base_rate, Tensor) else 0 < base_rate < 1
    if not inside or not 0 < prior_weight < math.inf:
        raise InputError(f"the base rate must lie between 0 and 1 and the prior weight above 0, got {base_rate} and {prior_weight}.")
    return base_rate * prior_weight, (1 - base_rate) * prior_weight
