"""CoLeaF: a network with cross-modal context learns from two without it (Sardari et al., ECCV 2024).

The anchor is the network of the released CMPAE code. Beside it, in training only, a reference network of each modality alone has a
learned token for each category. The anchor's answers teach the references, and theirs, where they are sure, the anchor. In the
released code the references take their step before the anchor sees them; here all three take one step together, so that the anchor
learns from the references of the step before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from .. import losses
from .._fields import Count, DropoutRate, Positive, Share, Weight
from ..config import MODALITIES, Config, DataSpec, Modality
from ..layers import HybridAttention, TemporalAttention, embeddings
from ..method import Batch, Moment
from ..model import CMPAE
from .han import pool
from .jomold import denoised

SMALLEST = 1e-8  # arguments of the asymmetric loss's logarithms
MARGIN = 0.05  # by which it forgives a probability of what is absent
# the weights of a reference's three losses: with the labels, of its tokens with them, with what the anchor finds of them
EARLY = {"audio": (1.0, 1.2, 0.0), "visual": (1.0, 1.0, 0.0)}
LATE = {"audio": (0.5, 0.001, 0.5), "visual": (0.5, 0.0, 0.5)}
FOUND = {"audio": 0.5, "visual": 0.6}  # the anchor's probability from which it has found a category
SURE = {"audio": (0.1, 0.8), "visual": (0.4, 0.6)}  # a reference's probability up to and from which it teaches the anchor


@dataclass(frozen=True)
class CoLeaFConfig(Config):
    """CoLeaF as its released code has it; its weights and thresholds are in the code only. `PAPER` has the paper's readings."""

    method: ClassVar[str] = "coleaf"

    early_epochs: Weight = 3  # the references learn from the labels alone
    agreement_after: Weight = 1  # epochs; then the references teach the anchor
    reference_dropout: DropoutRate = 0.5  # in front of the reference nets' heads
    reference_risk: Literal["asymmetric", "cross_entropy"] = "asymmetric"  # of the reference nets' losses
    agreement: Literal["sum", "mean"] = "sum"  # over pairs of categories: a sum times videos over categories, or the mean square
    guidance_smoothing: Share = 0.1  # of the contrastive term with the reference's features; 0 is a plain softmax
    audio_agreement_weight: Weight = 1e-4  # of the agreement with the reference in which categories go together
    visual_agreement_weight: Weight = 1e-4  # the same for the picture
    audio_guidance_weight: Weight = 0.009  # of the contrastive term with the reference's features
    visual_guidance_weight: Weight = 1.0  # the same for the picture

    # the anchor: the released CMPAE network
    embedding_activation: Literal["none", "elu"] = "elu"
    self_attention_share: Share = 0.2
    selector: Literal["multiplicative", "additive"] = "additive"
    selector_dropout: DropoutRate = 0.2
    evidence_temperature: Positive = 0.8
    evidence_clamp: Positive | None = 10.0
    pooling: Literal["evidence", "logits", "opinions"] = "logits"
    separate_attention: bool = True
    joint: Literal["evidence", "sigmoid", "mmil"] = "sigmoid"
    joint_input: Literal["attended", "embedded"] = "embedded"
    joint_fusion: Literal["sum_first", "layer_first"] = "layer_first"
    reduction: Literal["sum", "mean"] = "mean"
    audio_weight: Weight = 2.0
    joint_weight: Weight = 2.0
    mutual_tie: Modality = "audio"
    joint_vacuity_floor: Share = 0.9
    noise_warm_up: Literal["linear", "released"] = "released"
    inference_self_share: Share = 0.3
    audio_video_threshold: Share = 0.52
    visual_video_threshold: Share = 0.52
    snippet_threshold: Share = 0.25
    epochs: Count = 10


# What the paper says of three of the losses, as far as it is known here
PAPER: dict[str, Any] = dict(reference_risk="cross_entropy", agreement="mean", guidance_smoothing=0.0)


class Reference(nn.Module):
    """A network of one modality alone, whose snippets and category tokens attend to one another."""

    def __init__(self, modality: str, config: CoLeaFConfig, spec: DataSpec) -> None:
        super().__init__()
        count = len(spec.categories)
        self.embedding = embeddings(spec, config.width)[modality]
        self.tokens = nn.Parameter(torch.zeros(1, count, config.width))
        self.layer = HybridAttention(config.width, config.attention_dropout, cross=False)
        self.dropout = nn.Dropout(config.reference_dropout)
        self.attends_dropped = modality == "visual"  # the released audio network pools by features without the dropout
        self.classifier = nn.Linear(config.width, count)
        self.temporal_attention = TemporalAttention(count, config.width)

    def forward(self, tensors: dict[str, Tensor], valid: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Probabilities of the video and its tokens (video, category) and of snippets (video, snippet, category), and features."""
        x, count = self.embedding(tensors), self.tokens.shape[1]
        together = torch.cat([self.tokens.expand(len(x), -1, -1), x], dim=1).unsqueeze(1)
        seen = None
        if valid is not None:
            seen = torch.cat([valid.new_ones(len(x), count), valid], dim=1).unsqueeze(1)
        tokens, z = self.layer(together, valid=seen).split([count, x.shape[1]], dim=2)
        dropped = self.dropout(z)
        logits = self.classifier(dropped)
        attention, _ = self.temporal_attention(dropped if self.attends_dropped else z, None if valid is None else valid.unsqueeze(1))
        return pool(logits, attention)[:, 0], tokens.mean(-1).sigmoid()[:, 0], logits.sigmoid()[:, 0], z[:, 0]


class CoLeaF(CMPAE):
    """The released CMPAE network as the anchor, taught by two references of one modality each."""

    Config = CoLeaFConfig
    paper = "Sardari et al.: CoLeaF: a contrastive-collaborative learning framework for weakly supervised AVVP. ECCV 2024"

    def __init__(self, config: CoLeaFConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        self.references = nn.ModuleDict({m: Reference(m, config, spec) for m in MODALITIES})

    def losses(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """CMPAE's losses of the anchor, a loss of each reference, and from the second epoch on what the references teach."""
        c, valid = self.config, batch.valid
        present = None if valid is None else valid.any(2)
        embedded = self.embed(batch.features)
        projected = self.hybrid_attention.project(embedded)
        wanted = denoised(self, batch, moment, lambda: self.judge_video(embedded, False, projected, valid))
        evidence = self.judge(embedded, projected=projected, valid=valid)
        teacher = "joint" if moment.batch % 2 == 0 else "modality"
        named = losses.training_losses(evidence, wanted, batch.weak_label, c, teacher, moment.epoch)
        tensors = self.as_tensors(batch.features)
        judged = [r(tensors, None if valid is None else valid[:, m]) for m, r in enumerate(self.references.values())]
        anchor = evidence.video.probability
        risk = asymmetric if c.reference_risk == "asymmetric" else losses.binary_cross_entropy
        for m, modality in enumerate(MODALITIES):
            parts = reference_losses(judged[m][0], judged[m][1], anchor, wanted, m, present, risk)
            weights = (EARLY if moment.epoch <= c.early_epochs else LATE)[modality]
            named[f"{modality}_reference"] = sum(w * x for w, x in zip(weights, parts, strict=True) if w)
        if moment.epoch > c.agreement_after:
            said = torch.stack([parts[0] for parts in judged], dim=1).detach()
            for m, modality in enumerate(MODALITIES):
                named[f"{modality}_agreement"] = agreement(anchor, said, wanted, m, present, c.agreement)
                pair = torch.stack([judged[m][3].detach(), evidence.features[:, m]], dim=1)
                exists = None if valid is None else valid[:, m]
                named[f"{modality}_guidance"] = guidance(pair, alone_shares(said)[:, m], exists, c.guidance_smoothing)
        return named


def asymmetric(probability: Tensor, label: Tensor) -> Tensor:
    """-w (l log p + (1 - l) log q), q = min(1 - p + 0.05, 1); w = 1 - (p l + q (1 - l)) without gradient. Unreduced."""
    absent = (1 - probability + MARGIN).clamp_max(1)
    weight = 1 - (probability * label + absent * (1 - label)).detach()
    return -weight * (label * probability.clamp_min(SMALLEST).log() + (1 - label) * absent.clamp_min(SMALLEST).log())


def reference_losses(
    probability: Tensor, tokens: Tensor, anchor: Tensor, wanted: Tensor, m: int, present: Tensor | None = None,
    risk: Callable[[Tensor, Tensor], Tensor] = asymmetric,
) -> tuple[Tensor, Tensor, Tensor]:
    """A reference's losses, sums over videos and categories: its answer and its tokens with the labels, and its answer with those of
    the labels that the anchor finds. `anchor`, `wanted` (video, modality, category); m is the modality's number."""
    label = wanted[:, m]
    found = label * (anchor[:, m] >= FOUND[MODALITIES[m]])
    risks = (risk(probability, label), risk(tokens, label), risk(probability, found))
    return tuple((r if present is None else r[present[:, m]]).sum() for r in risks)


def agreement(
    anchor: Tensor, said: Tensor, wanted: Tensor, m: int, present: Tensor | None = None, scale: Literal["sum", "mean"] = "sum"
) -> Tensor:
    """How far the anchor's products of two categories' probabilities are from those that a sure reference would have."""
    low, high = SURE[MODALITIES[m]]
    p, q = anchor[:, m], said[:, m]
    share = wanted[:, m] * ((q >= high) | (q <= low))
    target = share * q + (1 - share) * p.detach()
    if present is not None:
        p, target = p[present[:, m]], target[present[:, m]]
    pairs = target.unsqueeze(2) * target.unsqueeze(1) - p.unsqueeze(2) * p.unsqueeze(1)
    return pairs.square().sum() * (len(p) / p.shape[-1] if scale == "sum" else 1 / max(1, pairs.numel()))


def alone_shares(said: Tensor) -> Tensor:
    """Of the categories that a reference hears or sees in a video, the share that the other does not: (video, modality)."""
    found = said >= 0.5
    alone, both = (found & ~found.flip(1)).sum(-1), found.all(1).sum(-1, keepdim=True)
    return alone / (alone + both).clamp_min(1)


def guidance(pair: Tensor, weight: Tensor, valid: Tensor | None = None, smoothing: float = 0.1) -> Tensor:
    """JoMoLD's contrastive term of the reference's snippets with the anchor's (video, 2, snippet, width), a weight for each video."""
    if valid is None:
        return (losses.contrastive(pair, smoothing=smoothing) * weight.unsqueeze(-1)).mean()
    terms = losses.contrastive(pair, smoothing=smoothing, valid=torch.stack([valid, valid], dim=1)) * weight.unsqueeze(-1)
    return terms.sum() / valid.sum().clamp_min(1)
