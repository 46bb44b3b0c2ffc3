"""The paper's losses and other evidential ones: one equation, one function, a value per category (or snippet), unreduced.

`training_losses` names those of CMPAE for one batch and `total` weighs them, so that logging and ablations need no other code.
"""

from collections.abc import Callable
from importlib import import_module

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from ._log_domain import digamma_of_exp, with_prior_one
from .config import MODALITIES, RISKS, Config, MethodConfig
from .errors import InputError
from .opinion import Judgement, Opinion

SMALLEST = 1e-7  # probabilities of sigmoid heads are kept this far from 0 and 1

LARGEST_LOG = 20.0  # log alpha and log beta above which the KL term is its own asymptote
LARGEST_FISHER_LOG = 12.0  # the same for the determinant of the Fisher information, whose terms cancel to 1 / (2 S)


def binary_cross_entropy(probability: Float[Tensor, "*any"], label: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Eq. 1 with its absent half: -y log p - (1 - y) log(1 - p), labels in 0..1.

    >>> binary_cross_entropy(torch.tensor([0.5, 0.5]), torch.tensor([0.0, 1.0])).tolist()  # log 2
    [0.6931..., 0.6931...]
    """
    p = at_least_float32(probability).clamp(SMALLEST, 1 - SMALLEST)
    return -(label * p.log() + (1 - label) * (1 - p).log())


def at_least_float32(x: Tensor) -> Tensor:
    """For what ends next to 0 or 1, which bfloat16 does not resolve: under autocast 1 - `SMALLEST` would be 1.

    >>> at_least_float32(torch.ones(1, dtype=torch.bfloat16)).dtype, at_least_float32(torch.ones(1, dtype=torch.float64)).dtype
    (torch.float32, torch.float64)
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))


def bayes_risk(opinion: Opinion, label: Float[Tensor, "*any"], psi: str = "digamma") -> Float[Tensor, "*any"]:
    """Eq. 5, the expected cross-entropy under Beta(alpha, beta): y (psi(S) - psi(alpha)) + (1 - y)(psi(S) - psi(beta)).

    Linear in the label, which may be soft (the printed psi(y alpha + (1 - y) beta) differs there). psi = "digamma" is the
    exact risk; psi = "log" is what the paper trains with: then it is binary cross-entropy on p = alpha / S.

    >>> unsure = Opinion(presence=torch.tensor([2.0]), absence=torch.tensor([0.0]))  # Beta(3, 1), p = 3/4
    >>> bayes_risk(unsure, torch.tensor([1.0])).item(), bayes_risk(unsure, torch.tensor([1.0]), "log").item()  # 1/3, log 4/3
    (0.3333..., 0.2876...)
    """
    label = _of_numbers(label, opinion)
    if psi == "log":
        return F.binary_cross_entropy_with_logits(opinion.logit, label, reduction="none")
    if psi != "digamma":
        raise InputError(f"there is no psi {psi!r} in Eq. 5: use log or digamma.")
    strength, alpha, beta = (digamma_of_exp(x) for x in (opinion.log_strength, opinion.log_alpha, opinion.log_beta))
    return strength - label * alpha - (1 - label) * beta


def _of_numbers(label: Tensor, opinion: Opinion) -> Tensor:
    """Labels as they are where they are floats, else in the opinion's type: results take their type, and whole numbers would be cut."""
    return label if label.is_floating_point() else label.to(opinion.log_alpha.dtype)


def log_risk(opinion: Opinion, label: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """`bayes_risk` with psi = "log": binary cross-entropy on p = alpha / S, what the paper trains with.

    >>> log_risk(Opinion(torch.tensor([2.0]), torch.tensor([0.0])), torch.tensor([1.0])).item()  # log 4/3
    0.2876...
    """
    return bayes_risk(opinion, label, "log")


def squared_error_risk(opinion: Opinion, label: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Expected squared error under Beta(alpha, beta), of both outcomes: 2 ((y - p)^2 + p (1 - p) / (S + 1)).

    Sensoy et al., NeurIPS 2018, Eq. 5 (error and variance) for the two outcomes of each category; labels in 0..1.

    >>> unsure = Opinion(presence=torch.tensor([2.0]), absence=torch.tensor([0.0]))  # Beta(3, 1), p = 3/4
    >>> squared_error_risk(unsure, torch.tensor([1.0])).item()  # 2 (1/16 + 3/16 / 5)
    0.2000...
    """
    return 2 * (_squared_error(opinion, label) + _variance(opinion))


def relaxed_risk(opinion: Opinion, label: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """R-EDL (Chen, Gao, Xu, ICLR 2024): the squared error of p alone, 2 (y - p)^2, without the variance that asks for dogma.

    Its other half, a prior weight of its own in p = (e + lambda) / (e + ê + 2 lambda), is `Config.prior_weight` = 2 lambda
    (lambda = 0.1 there). Changed for several labels: a Beta a category in place of one Dirichlet; labels in 0..1 may be soft.

    >>> relaxed_risk(Opinion(torch.tensor([2.0]), torch.tensor([0.0])), torch.tensor([1.0])).item()  # 2 / 16
    0.125
    """
    return 2 * _squared_error(opinion, label)


def fisher_risk(opinion: Opinion, label: Float[Tensor, "*any"], weight: float = 0.005) -> Float[Tensor, "*any"]:
    """I-EDL (Deng et al., ICML 2023): error and variance weighted by the Fisher information of each outcome's evidence.

    (psi1(alpha) + psi1(beta)) ((y - p)^2 + p (1 - p) / (S + 1)) - weight log det I(alpha, beta), psi1 the trigamma function: where
    there is little evidence the label counts more, and the determinant keeps evidence from growing for the sake of a small
    loss. Changed for several labels: a Beta a category in place of one Dirichlet. `weight` is their lambda_1.

    >>> vacuous_and_sure = Opinion(torch.tensor([0.0, 6.0]), torch.tensor([0.0, 0.0]))
    >>> [round(x, 2) for x in fisher_risk(vacuous_and_sure, torch.ones(2)).tolist()]
    [1.1, 0.07]
    """
    label = _of_numbers(label, opinion)
    alpha, beta = (x.to(_wide(x)).clamp_max(LARGEST_FISHER_LOG).exp() for x in (opinion.log_alpha, opinion.log_beta))
    information = (torch.polygamma(1, alpha) + torch.polygamma(1, beta)).to(label.dtype)
    error = _squared_error(opinion, label) + _variance(opinion)
    return information * error - weight * log_det_fisher(opinion)


def log_det_fisher(opinion: Opinion) -> Float[Tensor, "*any"]:
    """log det of the Fisher information of Beta(alpha, beta), diag(psi1(alpha), psi1(beta)) - psi1(S).

    About -log(2 S alpha beta) for much evidence, as which it goes on beyond exp(12) of either.

    >>> round(log_det_fisher(Opinion(torch.tensor(0.0), torch.tensor(0.0))).exp().item(), 3)  # of Beta(1, 1)
    0.584
    """
    log_alpha, log_beta = (x.to(_wide(x)) for x in (opinion.log_alpha, opinion.log_beta))
    over_alpha, over_beta = (F.relu(x - LARGEST_FISHER_LOG) for x in (log_alpha, log_beta))
    alpha, beta = (x.clamp_max(LARGEST_FISHER_LOG).exp() for x in (log_alpha, log_beta))
    one, other, both = (torch.polygamma(1, x) for x in (alpha, beta, alpha + beta))
    left = (1 - both / one - both / other).clamp_min(torch.finfo(one.dtype).eps)
    beyond = over_alpha + over_beta + torch.maximum(over_alpha, over_beta)
    return (one.log() + other.log() + left.log() - beyond).to(opinion.log_alpha.dtype)


def evidence_risk(
    judgement: Judgement, label: Float[Tensor, "*any"], psi: str = "log", fisher_weight: float = 0.005
) -> Float[Tensor, "*any"]:
    """`Config.risk` for an opinion (Eq. 5 as "log" or "digamma", or another of `RISKS`), Eq. 1 for a sigmoid head's probability.

    Raises InputError for a risk that is not there, or gives no value per category.

    >>> round(evidence_risk(Opinion(torch.tensor(6.0), torch.tensor(0.0)), torch.tensor(1.0)).item(), 3)  # log(S / alpha), 8 / 7
    0.134
    """
    if not isinstance(judgement, Opinion):
        return binary_cross_entropy(judgement.probability, label)
    found = find_risk(psi)
    risk = found(judgement, label, fisher_weight) if found is fisher_risk else found(judgement, label)
    if risk.shape != label.shape:
        raise InputError(f"the risk {psi!r} gives {tuple(risk.shape)} for labels {tuple(label.shape)}: it must not reduce them.")
    return risk


def find_risk(name: str) -> Callable[[Opinion, Tensor], Tensor]:
    """The function of a name in `RISKS`, or of "package.module:function": (opinion, label) -> a risk per category, unreduced.

    Raises InputError where there is none.

    >>> find_risk("relaxed") is relaxed_risk and find_risk("cmpae_toolkit.losses:relaxed_risk") is relaxed_risk
    True
    """
    entry = RISKS.get(name, name)
    if callable(entry):
        return entry
    module, _, attribute = entry.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"there is no risk {name!r} ({error}): use one of {', '.join(RISKS)}, or 'package.module:function' for your own."
        ) from None


def kl_to_uniform(opinion: Opinion, label: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Shrinks misleading evidence to 0: KL(Beta(a, b) || Beta(1, 1)) with a = 1 + (1 - y) e and b = 1 + y ê, labels y in 0..1.

    Sensoy et al., NeurIPS 2018, section 3, for two outcomes. Whatever the opinion's prior weight and base rate are, the evidence
    is weighed against the uniform Beta(1, 1), so that no evidence costs nothing. The term is computed in float64 where the device
    has it, since its parts cancel. Beyond e + 1 = exp(20) it goes on as log(e + 1), which it has become by then, so that huge
    evidence neither overflows nor rounds.

    >>> misled = Opinion(presence=torch.tensor([1.0, 3.0]), absence=torch.tensor([9.0, 9.0]))
    >>> kl_to_uniform(misled, label=torch.zeros(2)).tolist()  # log(e + 1) + 1 / (e + 1) - 1
    [0.1931..., 0.6362...]
    """
    label = _of_numbers(label, opinion)
    wide = _wide(label)
    y = label.to(wide)
    parameters = zip((opinion.log_alpha, opinion.log_beta), opinion.priors, strict=True)
    log_alpha, log_beta = (with_prior_one(x.to(wide), prior) for x, prior in parameters)  # of e + 1, ê + 1
    beyond = (1 - y) * F.relu(log_alpha - LARGEST_LOG) + y * F.relu(log_beta - LARGEST_LOG)
    alpha, beta = (x.clamp_max(LARGEST_LOG).exp() for x in (log_alpha, log_beta))
    a, b = y + (1 - y) * alpha, (1 - y) + y * beta
    log_normaliser = torch.lgamma(a + b) - torch.lgamma(a) - torch.lgamma(b)
    mean_logs = (a - 1) * torch.digamma(a) + (b - 1) * torch.digamma(b) - (a + b - 2) * torch.digamma(a + b)
    return (log_normaliser + mean_logs + beyond).to(label.dtype)


def select_modality(
    probability: Float[Tensor, "video modality category"],
    weak_label: Float[Tensor, "video category"],
    tie: str = "visual",
    present: Bool[Tensor, "video modality"] | None = None,
) -> Float[Tensor, "video modality category"]:
    """Eq. 9, delta(c) as weights over modalities: the larger probability where the label is 1, the mean where it is 0.

    A video that lacks a modality (`present`) takes the one that it has.

    >>> probability = torch.tensor([[[0.9, 0.2], [0.4, 0.6]]])  # audio, visual; two categories, of which the first happens
    >>> select_modality(probability, weak_label=torch.tensor([[1.0, 0.0]])).tolist()
    [[[1.0, 0.5], [0.0, 0.5]]]
    """
    if tie not in MODALITIES:
        raise InputError(f"a tie goes to audio or visual, not to {tie!r}.")
    audio, visual = probability.unbind(1)
    takes_visual = visual >= audio if tie == "visual" else visual > audio
    chosen = torch.stack([~takes_visual, takes_visual], dim=1).to(probability.dtype)
    weights = torch.where(weak_label.unsqueeze(1) > 0.5, chosen, torch.full_like(chosen, 0.5))
    return weights if present is None else _of_present(weights, present)


def mutual_learning(
    joint_probability: Float[Tensor, "video category"],
    joint_vacuity: Float[Tensor, "video #category"],  # noqa: F821
    unimodal_probability: Float[Tensor, "video category"],
    unimodal_vacuity: Float[Tensor, "video #category"],  # noqa: F821
    teacher: str,
) -> Float[Tensor, "video category"]:
    """Eq. 10, its first line (teacher = "joint") or its second (teacher = "modality"): one side teaches, the other learns.

    "joint": (1 - u_joint)(1 - u_uni)(stop(p_joint) - p_uni)^2. "modality": u_joint (1 - u_uni)(p_joint - stop(p_uni))^2.

    >>> joint, audio = torch.tensor([[0.75]]), torch.tensor([[0.25]])
    >>> mutual_learning(joint, torch.tensor([[0.5]]), audio, torch.tensor([[0.5]]), "joint").item()  # (1/2) (1/2) (3/4 - 1/4)^2
    0.0625
    """
    if teacher == "joint":
        return (1 - joint_vacuity) * (1 - unimodal_vacuity) * (joint_probability.detach() - unimodal_probability).square()
    if teacher != "modality":
        raise InputError(f"the teacher is joint or modality, not {teacher!r}.")
    return joint_vacuity * (1 - unimodal_vacuity) * (joint_probability - unimodal_probability.detach()).square()


def mutual_loss(
    joint: Judgement, video: Judgement, weak_label: Float[Tensor, "video category"], config: Config, teacher: str,
    present: Bool[Tensor, "video modality"] | None = None,
) -> Float[Tensor, "video category"]:
    """Eq. 8-10 for one batch, with the paper's ablations: an ablated or unknown vacuity leaves its factor at 1.

    >>> from cmpae_toolkit import presets
    >>> video, joint = Opinion(torch.ones(1, 2, 3), torch.ones(1, 2, 3)), Opinion(torch.ones(1, 3), torch.ones(1, 3))
    >>> mutual_loss(joint, video, torch.ones(1, 3), presets["paper"], "joint").tolist()  # they agree
    [[0.0, 0.0, 0.0]]
    """
    if config.use_modality_selector:
        weights = select_modality(video.probability.detach(), weak_label, config.mutual_tie, present)
    else:
        weights = torch.full_like(video.probability, 0.5)
        weights = weights if present is None else _of_present(weights, present)
    unimodal_probability = (weights * video.probability).sum(1)
    confident = torch.zeros_like(unimodal_probability)  # vacuity 0: the factor 1 - u is 1
    unimodal_vacuity = confident
    if config.use_unimodal_vacuity and video.vacuity is not None:
        unimodal_vacuity = (weights * video.vacuity).sum(1)
    if config.use_joint_vacuity and joint.vacuity is not None:
        joint_vacuity = joint.vacuity.mean(-1, keepdim=True).clamp_min(config.joint_vacuity_floor)
    else:
        joint_vacuity = confident if teacher == "joint" else torch.ones_like(confident)
    return mutual_learning(joint.probability, joint_vacuity, unimodal_probability, unimodal_vacuity, teacher)


def snippet_similarity(
    features: Float[Tensor, "video modality snippet width"], temperature: float = 0.2
) -> Float[Tensor, "video snippet snippet"]:
    """Cosine similarities of a video's audio snippets (rows) and visual snippets (columns), over the temperature.

    >>> snippet_similarity(torch.eye(2).expand(1, 2, 2, 2)).tolist()  # cosines 1 and 0 over 0.2
    [[[5.0, 0.0], [0.0, 5.0]]]
    """
    audio, visual = F.normalize(features, dim=-1).unbind(1)
    return audio @ visual.transpose(1, 2) / temperature


def contrastive(
    features: Float[Tensor, "video modality snippet width"],
    temperature: float = 0.2,
    smoothing: float = 0.1,
    valid: Bool[Tensor, "video modality snippet"] | None = None,
) -> Float[Tensor, "video snippet"]:
    """JoMoLD's contrastive term per audio snippet: -log sum_j s_j softmax_j, s = 1 - smoothing on the snippet at the same time.

    Snippets that one modality lacks (`valid`) are no partner of any other, and their own term is 0.

    >>> same_time, other_time = torch.eye(2).expand(1, 2, 2, 2), torch.stack([torch.eye(2), torch.eye(2).flip(0)])[None]
    >>> bool((contrastive(same_time) < contrastive(other_time)).all())
    True
    """
    similarity = snippet_similarity(features, temperature)
    snippets = similarity.shape[-1]
    if valid is None:
        share = torch.full((snippets, snippets), smoothing / max(snippets - 1, 1), dtype=similarity.dtype, device=similarity.device)
        share.fill_diagonal_(1 - smoothing if snippets > 1 else 1.0)
        return torch.logsumexp(similarity, -1) - torch.logsumexp(similarity + share.log(), -1)
    both = valid.all(1)
    count = both.sum(1).reshape(-1, 1, 1)
    same = torch.eye(snippets, dtype=torch.bool, device=similarity.device)
    match, other = 1 - smoothing * (count > 1), smoothing / (count - 1).clamp_min(1)
    share = torch.where(same, match.to(similarity.dtype), other.to(similarity.dtype))
    similarity = similarity.masked_fill(~both.unsqueeze(1), torch.finfo(similarity.dtype).min / 4)
    return (torch.logsumexp(similarity, -1) - torch.logsumexp(similarity + share.log(), -1)) * both


def mean_contrastive(
    features: Float[Tensor, "video modality snippet width"], valid: Bool[Tensor, "video modality snippet"] | None = None
) -> Float[Tensor, ""]:
    """The mean of the contrastive term over all snippets that both modalities have.

    >>> round(mean_contrastive(torch.ones(1, 2, 4, 8)).exp().item(), 3)  # four snippets that are all alike
    4.0
    """
    terms = contrastive(features, valid=valid)
    return terms.mean() if valid is None else terms.sum() / valid.all(1).sum().clamp_min(1)


def of_modality(per_category: Float[Tensor, "video modality category"], modality: int, present: Tensor | None) -> Tensor:
    """The rows (video, category) of the videos that have a modality; a row of zeros where none has it.

    >>> of_modality(torch.ones(2, 2, 1), 1, torch.tensor([[True, True], [True, False]])).tolist()  # the second has no picture
    [[1.0]]
    """
    if present is None:
        return per_category[:, modality]
    rows = per_category[present[:, modality], modality]
    return rows if len(rows) else per_category.new_zeros(1, per_category.shape[-1])


def training_losses(
    evidence,
    labels: Float[Tensor, "video modality category"],
    weak_label: Float[Tensor, "video category"],
    config: Config,
    teacher: str = "joint",
    epoch: int = 1,
) -> dict[str, Tensor]:
    """CMPAE's named losses of one batch as scalars, before their weights (Eq. 11): audio, visual, joint, contrastive, mutual, kl.

    `labels` are the training labels of each modality; the joint branch and mutual learning see the weak label. Videos are averaged,
    categories summed or averaged (`config.reduction`); a video counts only in the modalities that it has (`evidence.valid`). Terms
    of weight 0 are left out. `epoch` counts from 1.

    >>> from cmpae_toolkit import method, presets
    >>> one = lambda *shape: Opinion(torch.ones(shape), torch.ones(shape))
    >>> found = method.Evidence(one(1, 2, 4, 3), one(1, 2, 3), one(1, 3), features=torch.ones(1, 2, 4, 8))
    >>> list(training_losses(found, torch.ones(1, 2, 3), torch.ones(1, 3), presets["paper"]))
    ['audio', 'visual', 'joint', 'contrastive', 'mutual']
    """
    def reduce(per_category: Tensor) -> Tensor:
        return per_category.sum(-1).mean() if config.reduction == "sum" else per_category.mean()

    present = None if evidence.valid is None else evidence.valid.any(2)
    risks = evidence_risk(evidence.video, labels, config.risk, config.fisher_weight)
    losses = {"audio": reduce(of_modality(risks, 0, present)), "visual": reduce(of_modality(risks, 1, present))}
    losses["joint"] = reduce(evidence_risk(evidence.joint, weak_label, config.risk, config.fisher_weight))
    if config.contrastive_weight:
        losses["contrastive"] = mean_contrastive(evidence.features, evidence.valid)
    if config.mutual_weight:
        losses["mutual"] = reduce(mutual_loss(evidence.joint, evidence.video, weak_label, config, teacher, present))
    if config.kl_weight and isinstance(evidence.video, Opinion):
        kl = kl_to_uniform(evidence.video, labels)
        kl = kl if present is None else kl * present.unsqueeze(-1)
        losses["kl"] = reduce(kl.sum(1)) * kl_share(config, epoch)
    return losses


def kl_share(config: Config, epoch: int) -> float:
    """How much of its weight the KL term has in an epoch (from 1): it grows linearly over `kl_epochs`; 0 where it is off.

    >>> from cmpae_toolkit import presets
    >>> [kl_share(presets["paper"].changed(kl_weight=1.0), epoch) for epoch in (1, 5, 20)]
    [0.1, 0.5, 1.0]
    """
    return min(1.0, epoch / config.kl_epochs) if config.kl_weight else 0.0


def total(losses: dict[str, Tensor], config: MethodConfig) -> Tensor:
    """Eq. 11: the weighted sum. A loss that the config has no `<name>_weight` for counts once.

    >>> total({"audio": torch.tensor(2.0), "joint": torch.tensor(1.0)}, Config(audio_weight=0.5)).item()  # 0.5 x 2 + 1 x 1
    2.0
    """
    return sum(getattr(config, f"{name}_weight", 1.0) * value for name, value in losses.items())


def _of_present(weights: Float[Tensor, "video modality category"], present: Bool[Tensor, "video modality"]) -> Tensor:
    """Weights over modalities, all of it on the one that a video has where it lacks the other."""
    alone = (present.sum(1) == 1).reshape(-1, 1, 1)
    return torch.where(alone, present.unsqueeze(-1).to(weights.dtype), weights)


def _squared_error(opinion: Opinion, label: Tensor) -> Tensor:
    """(y - p)^2, from both p and 1 - p so that neither rounds away."""
    label = _of_numbers(label, opinion)
    return (label * (-opinion.logit).sigmoid() - (1 - label) * opinion.logit.sigmoid()).square()


def _variance(opinion: Opinion) -> Tensor:
    """Of Beta(alpha, beta): p (1 - p) / (S + 1)."""
    return opinion.logit.sigmoid() * (-opinion.logit).sigmoid() * (-opinion.log_strength).sigmoid()


def _wide(x: Tensor) -> torch.dtype:
    return torch.float32 if x.device.type == "mps" else torch.float64
