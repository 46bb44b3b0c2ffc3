"""Multinomial opinions on which one of several categories holds, as AVE asks it of a snippet (28 categories or background).

An opinion is a Dirichlet distribution with alpha = e + a W (A. Jøsang, Subjective Logic, Springer 2016, section 3.5). Evidential
deep learning takes W = C and uniform base rates, so alpha = e + 1 (Sensoy et al., NeurIPS 2018), and so does this module unless
told otherwise. The vacuity C / S of the same evidence then grows with the number of categories C. The book takes W = 2 for any C.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..opinion import Opinion


class DirichletOpinion:
    """Opinions of shape (..., category), from evidence (..., category) >= 0.

    `base_rate` (category,) sums to 1 and is uniform unless given; `prior_weight` is the number of categories unless given. Raises
    InputError on negative evidence, on NaN, and on base rates or a prior weight out of range.

    >>> animal = DirichletOpinion(torch.tensor([5.0, 1.0, 0.0]))
    >>> animal.probability.tolist(), animal.vacuity.item()  # alpha is 6, 2, 1
    ([0.666..., 0.222..., 0.111...], 0.333...)
    """

    def __init__(self, evidence: Tensor, base_rate: Tensor | None = None, prior_weight: float | int | None = None) -> None:
        categories = evidence.shape[-1]
        evidence = evidence if evidence.is_floating_point() else evidence.to(torch.get_default_dtype())
        if base_rate is None:
            base_rate = torch.full((categories,), 1 / categories, dtype=evidence.dtype, device=evidence.device)
        if not bool((evidence >= 0).all()):
            raise InputError(f"evidence must be 0 or more, got {evidence.detach().min().item():g}.")
        if not bool((base_rate > 0).all()) or not bool(((base_rate.sum(-1) - 1).abs() < 1e-4).all()):
            raise InputError("base rates must be positive and sum to 1.")
        self.evidence, self.base_rate = evidence, base_rate
        self.prior_weight = float(categories) if prior_weight is None else float(prior_weight)
        if not self.prior_weight > 0:
            raise InputError(f"the prior weight must be above 0, got {prior_weight}.")

    @property
    def alpha(self) -> Tensor:
        """The parameters e + a W (..., category)."""
        return self.evidence + self.base_rate * self.prior_weight

    @property
    def strength(self) -> Tensor:
        """The sum S of alpha (...), at least W."""
        return self.evidence.sum(-1) + self.prior_weight

    @property
    def probability(self) -> Tensor:
        """The mean alpha / S = belief + a vacuity (..., category), which sums to 1."""
        return self.alpha / self.strength.unsqueeze(-1)

    @property
    def belief(self) -> Tensor:
        """The belief masses e / S (..., category); with the vacuity they sum to 1."""
        return self.evidence / self.strength.unsqueeze(-1)

    @property
    def vacuity(self) -> Tensor:
        """The vacuity W / S (...) in (0, 1]; it is 1 without any evidence."""
        return self.prior_weight / self.strength

    @property
    def dissonance(self) -> Tensor:
        """The conflict (...) within the evidence, in 0..1 (Jøsang, Cho, Chen, FUSION 2018).

        It is the sum over i of b_i times the mean balance of b_i with the other beliefs, weighted by them; the balance of two is
        1 - |b_i - b_j| / (b_i + b_j).
        """
        b = self.belief
        one, other = b.unsqueeze(-1), b.unsqueeze(-2)
        both = (one + other).clamp_min(torch.finfo(b.dtype).tiny)
        balance = torch.where(one * other > 0, 1 - (one - other).abs() / both, 0)
        weights = other * ~torch.eye(b.shape[-1], dtype=torch.bool, device=b.device)
        total = weights.sum(-1)
        return (b * (weights * balance).sum(-1) / total.clamp_min(torch.finfo(b.dtype).tiny)).sum(-1)

    @property
    def entropy(self) -> Tensor:
        """The entropy (...) of the mean in nats, in 0..log C."""
        return torch.special.entr(self.probability).sum(-1)

    @property
    def expected_entropy(self) -> Tensor:
        """The aleatoric part (...) of the entropy: E[H(q)] = psi(S + 1) - sum_c p_c psi(alpha_c + 1)."""
        return torch.digamma(self.strength + 1) - (self.probability * torch.digamma(self.alpha + 1)).sum(-1)

    @property
    def mutual_information(self) -> Tensor:
        """The epistemic part (...), entropy minus expected entropy. As a difference it needs float64 where strengths exceed 1e4."""
        return self.entropy - self.expected_entropy

    def binomial(self, category: int) -> Opinion:
        """The opinion (...) that it is this category and none of the others (coarsening, book 3.5); its base rate is a_c."""
        presence = self.evidence[..., category]
        return Opinion(presence, self.evidence.sum(-1) - presence, float(self.base_rate[category]), self.prior_weight)

    def __repr__(self) -> str:
        return f"DirichletOpinion(evidence={self.evidence}, prior_weight={self.prior_weight:g})"


def one_of(opinion: Opinion) -> DirichletOpinion:
    """Reads binomial opinions (..., category) as one question with background as a last answer (..., category + 1).

    The evidence for a category is its presence evidence. The evidence for background is the least absence evidence of any category,
    as nothing happens only if each is absent. The paper gives no such reading; it is ours. Fuse the modalities first, since an
    AVE event is in both.

    >>> snippet = Opinion(presence=torch.tensor([9.0, 0.0]), absence=torch.tensor([0.5, 7.0]))
    >>> one_of(snippet).evidence.round(decimals=3).tolist()
    [9.0, 0.0, 0.5]
    """
    background = opinion.absence.min(-1, keepdim=True).values
    return DirichletOpinion(torch.cat([opinion.presence, background], dim=-1).clamp_min(0))


def cumulative(*opinions: DirichletOpinion) -> DirichletOpinion:
    """Adds up the evidence of independent sources (book 12.3).

    >>> cumulative(DirichletOpinion(torch.tensor([5.0, 1.0])), DirichletOpinion(torch.tensor([1.0, 0.0]))).evidence.tolist()
    [6.0, 1.0]
    """
    return _mixed(opinions, [torch.ones_like(o.vacuity) for o in opinions])


def averaging(*opinions: DirichletOpinion) -> DirichletOpinion:
    """Takes the mean of the evidence of dependent sources (book 12.4).

    >>> averaging(DirichletOpinion(torch.tensor([5.0, 1.0])), DirichletOpinion(torch.tensor([1.0, 0.0]))).evidence.tolist()
    [3.0, 0.5]
    """
    return _mixed(opinions, [torch.full_like(o.vacuity, 1 / len(opinions)) for o in opinions])


def weighted(*opinions: DirichletOpinion) -> DirichletOpinion:
    """Takes the mean of the evidence, weighted by 1 - vacuity (book 12.5); where all sources are vacuous, so is the result.

    >>> weighted(DirichletOpinion(torch.tensor([5.0, 1.0])), DirichletOpinion(torch.tensor([0.0, 0.0]))).evidence.tolist()
    [5.0, 1.0]
    """
    confidence = [1 - o.vacuity for o in opinions]
    total = torch.stack(confidence).sum(0)
    return _mixed(opinions, [torch.where(total > 0, c / total.clamp_min(torch.finfo(c.dtype).tiny), 0) for c in confidence])


def _mixed(opinions: tuple[DirichletOpinion, ...], weights: list[Float[Tensor, "*any"]]) -> DirichletOpinion:
    """Adds up weighted evidence. Raises InputError unless there is a source and all share base rates and prior weight."""
    first = opinions[0] if opinions else None
    if first is None or any(o.prior_weight != first.prior_weight or not torch.equal(o.base_rate, first.base_rate) for o in opinions):
        raise InputError(f"{len(opinions)} opinions: one or more of the same base rates and prior weight are needed.")
    evidence = sum(w.unsqueeze(-1) * o.evidence for w, o in zip(weights, opinions, strict=True))
    return DirichletOpinion(evidence, first.base_rate, first.prior_weight)
