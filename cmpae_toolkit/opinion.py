"""Binomial opinions of subjective logic: evidence for presence and for absence as one object (section 3.2 of the paper).

An opinion on "this event happens here" is the Beta distribution Beta(alpha, beta) with alpha = e + 1, beta = ê + 1 (Eq. 4),
where e >= 0 is the evidence for presence and ê >= 0 the evidence for absence. The paper calls vacuity "uncertainty".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from .errors import InputError

LOG_2 = math.log(2.0)


class Opinion:
    """Opinions of any shape, from evidence for presence and for absence (both >= 0, of shapes that broadcast).

    Kept as log alpha and log beta: Exp evidence of any size neither overflows nor needs a clamp. Build from logs with
    `Opinion.from_log_evidence`. Raises InputError on negative evidence or NaN.
    """

    __slots__ = ("log_alpha", "log_beta")

    def __init__(self, presence: Tensor | float | int, absence: Tensor | float | int) -> None:
        presence, absence = (torch.as_tensor(x) for x in (presence, absence))
        presence, absence = (x if x.is_floating_point() else x.to(torch.get_default_dtype()) for x in (presence, absence))
        for name, evidence in (("presence", presence), ("absence", absence)):
            if not bool((evidence >= 0).all()):
                raise InputError(f"{name} evidence must be 0 or more, got {evidence.detach().min().item():g}.")
        self.log_alpha, self.log_beta = torch.broadcast_tensors(presence.log1p(), absence.log1p())

    @classmethod
    def from_log_evidence(cls, log_presence: Tensor, log_absence: Tensor) -> "Opinion":
        """From log e and log ê: log(exp(z) + 1) = softplus(z)."""
        return cls._from_log_beta_parameters(F.softplus(log_presence), F.softplus(log_absence))

    @classmethod
    def _from_log_beta_parameters(cls, log_alpha: Tensor, log_beta: Tensor) -> "Opinion":
        opinion = cls.__new__(cls)
        opinion.log_alpha, opinion.log_beta = log_alpha, log_beta
        return opinion

    @property
    def shape(self) -> torch.Size:
        return self.log_alpha.shape

    @property
    def presence(self) -> Tensor:
        """Evidence for presence e >= 0."""
        return self.log_alpha.expm1()

    @property
    def absence(self) -> Tensor:
        """Evidence for absence ê >= 0."""
        return self.log_beta.expm1()

    @property
    def alpha(self) -> Tensor:
        """alpha = e + 1."""
        return self.log_alpha.exp()

    @property
    def beta(self) -> Tensor:
        """beta = ê + 1."""
        return self.log_beta.exp()

    @property
    def log_strength(self) -> Tensor:
        """log S."""
        return torch.logaddexp(self.log_alpha, self.log_beta)

    @property
    def strength(self) -> Tensor:
        """S = alpha + beta >= 2."""
        return self.log_strength.exp()

    @property
    def logit(self) -> Tensor:
        """log(p / (1 - p)) = log alpha - log beta."""
        return self.log_alpha - self.log_beta

    @property
    def probability(self) -> Tensor:
        """Eq. 7: p = alpha / S in (0, 1), the mean of the Beta; belief + vacuity / 2."""
        return torch.sigmoid(self.logit)

    @property
    def vacuity(self) -> Tensor:
        """Eq. 7: u = 2 / S in (0, 1]: what the paper calls uncertainty. 1 without any evidence."""
        return torch.exp(LOG_2 - self.log_strength)

    @property
    def belief(self) -> Tensor:
        """e / S = p (1 - 1 / alpha) in [0, 1); belief + disbelief + vacuity = 1."""
        return self.probability * -torch.expm1(-self.log_alpha)

    @property
    def disbelief(self) -> Tensor:
        """ê / S = (1 - p)(1 - 1 / beta) in [0, 1)."""
        return torch.sigmoid(-self.logit) * -torch.expm1(-self.log_beta)

    def apply(self, change: Callable[[Tensor], Tensor]) -> "Opinion":
        """The same change of form (index, device, detach, ...) to both parameters."""
        return self._from_log_beta_parameters(change(self.log_alpha), change(self.log_beta))

    def detach(self) -> "Opinion":
        return self.apply(Tensor.detach)

    def __getitem__(self, index: object) -> "Opinion":
        return self.apply(lambda x: x[index])

    def __repr__(self) -> str:
        return f"Opinion(presence={self.presence}, absence={self.absence})"


@dataclass(frozen=True)
class PointEstimate:
    """A probability without a Beta behind it (a sigmoid head, a mixture); `vacuity` only where the source has one."""

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
    """Judgements of one kind, joined along their first axis."""
    first = judgements[0]
    if isinstance(first, Opinion):
        logs = ([getattr(j, name) for j in judgements] for name in Opinion.__slots__)
        return Opinion._from_log_beta_parameters(*(torch.cat(log) for log in logs))
    vacuity = None if first.vacuity is None else torch.cat([j.vacuity for j in judgements])
    return PointEstimate(torch.cat([j.probability for j in judgements]), vacuity)


def log_evidence(
    logit: Float[Tensor, "*any"], function: str = "exp", temperature: float = 1.0, clamp: float | None = None
) -> Float[Tensor, "*any"]:
    """log g(z / temperature), g = Exp or Softplus (below Eq. 2), the logit optionally clamped to +-clamp first."""
    if clamp is not None:
        logit = logit.clamp(-clamp, clamp)
    logit = logit / temperature
    if function == "exp":
        return logit
    # softplus(z) -> exp(z) for very negative z, where its float32 value would round to 0 and its log to -inf
    return torch.where(logit < -15, logit, F.softplus(logit.clamp_min(-15)).log())


def accumulate(
    log_evidence: Float[Tensor, "*batch snippet category"], attention: Float[Tensor, "*batch snippet category"]
) -> Float[Tensor, "*batch category"]:
    """log of the video evidence sum_t A_t e_t (below Eq. 3), from log e_t."""
    return torch.logsumexp(attention.clamp_min(torch.finfo(attention.dtype).tiny).log() + log_evidence, dim=-2)

