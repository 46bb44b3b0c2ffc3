"""UWAV's student: soft labels of snippets, weighed by how rare events are, and mixed features (Lai et al., CVPR 2025).

VALOR's network, deeper, learns from labels of snippets that may be soft; categories of the weak label weigh more. Mixtures of two snippets
of the batch learn the mixture of their labels. The teacher that makes the soft labels is trained on UnAV-100 and not part of this
file: `soft_labels` makes them from any teacher's logits and thresholds. On VALOR's hard labels the row is ours, not the paper's.
The released code opens a category where p > 0.5; here, as everywhere, where p >= 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import losses
from .._fields import Count, Positive, Range, Share, Weight, Width
from ..config import MODALITIES, DataSpec, StreamSpec
from ..errors import InputError
from ..layers import embeddings
from ..method import Batch, Moment, Supervision
from .snippet_labels import EVENTS
from .valor import VALOR, Decay, VALORConfig, mean_by_modality


@dataclass(frozen=True)
class UWAVConfig(VALORConfig):
    """UWAV's student as it was published."""

    method: ClassVar[str] = "uwav"

    attention_heads: Count = 16  # of each layer
    attention_layers: Count = 5  # one after the other
    feed_forward_width: Width = 2048  # in each layer
    audio_hidden: Width = 1024  # of the layer on the sound's features
    # the weights of categories in and out of the weak label: divided by the number of categories (Eq. 18, 19), or not (released code)
    balance: Literal["mean", "sum"] = "mean"
    positive_weight: Positive = 0.5  # of the categories in a video's weak label, beside those outside it
    mix_concentration: Positive = 1.7  # of the Beta distribution of the share in a mixture
    mix_weight: Weight = 1.0  # of the loss on mixed snippets

    epochs: Count = 80
    lowest_share: Share = 0.05
    betas: tuple[Decay, ...] = (0.9, 0.999)
    weight_decay: Weight = 1e-4
    warm_up_epochs: Annotated[int, Range(0, 2**31)] = 10


class SideBySide(nn.Module):
    """The streams of one modality, the mean over a snippet's positions, side by side through linear layers with a rectifier between."""

    def __init__(self, streams: dict[str, StreamSpec], *widths: int) -> None:
        super().__init__()
        self.streams = streams
        sizes = (sum(s.width for s in streams.values()), *widths)
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(sizes))

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        x = torch.cat([features[n].unflatten(1, (-1, s.per_snippet)).mean(2) for n, s in self.streams.items()], dim=-1)
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class UWAV(VALOR):
    """VALOR's network and optimiser, with weighed soft labels and mixtures of snippets."""

    Config = UWAVConfig
    paper = "Lai et al.: UWAV: uncertainty-weighted weakly-supervised audio-visual video parsing. CVPR 2025"

    def __init__(self, config: UWAVConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        embeddings(spec, 1)  # refuses data that lack a modality
        hidden = {"audio": (config.audio_hidden, config.width), "visual": (config.width,)}
        self.embedding = nn.ModuleDict({m: SideBySide(spec.of_modality(m), *hidden[m]) for m in MODALITIES})

    @classmethod
    def check(cls, supervision: Supervision) -> None:
        super().check(supervision)
        if EVENTS not in supervision.constants:
            raise InputError(f"UWAV weighs snippets by how many events they have: the supervision needs the constant {EVENTS!r}.")

    def losses(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """Cross-entropy of the joint answer with the weak label, weighed ones of the snippets, and those of mixtures of snippets."""
        attended = self.hybrid_attention(self.embed(batch.features), self.config.cross_attention, valid=batch.valid)
        evidence, logits = self.read(attended, batch.valid)
        wanted = self.wanted(batch)
        risks = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        risks = risks * self.balance(batch.weak_label, batch.constants[EVENTS])
        joint = losses.binary_cross_entropy(evidence.joint.probability, batch.weak_label).mean()
        named = {"joint": joint, **mean_by_modality(risks, batch.valid)}
        if self.config.mix_weight:
            exists = torch.ones_like(attended[..., 0], dtype=torch.bool) if batch.valid is None else batch.valid
            mixed = [self.mixture(attended[:, m][exists[:, m]], wanted[:, m][exists[:, m]]) for m in range(len(MODALITIES))]
            named["mix"] = sum(mixed)
        return named

    def balance(self, weak_label: Tensor, events: Tensor) -> Tensor:
        """The weights of both modalities' snippets (video, modality, 1, category): `positive_weight` (C - F) where the weak label has
        the category, F where it does not."""
        count = weak_label.shape[-1]
        events = events.to(weak_label).reshape(-1, 1, 1)
        weights = torch.where(weak_label[:, None, None] > 0.5, self.config.positive_weight * (count - events), events)
        return weights / count if self.config.balance == "mean" else weights

    def mixture(self, x: Tensor, wanted: Tensor) -> Tensor:
        """Cross-entropy of mixtures of one modality's snippets (snippet, width) with their mixed labels; 0 where there is none."""
        share, other = draw_mixture(len(x), self.config.mix_concentration, x.device)
        x, wanted = (share * part + (1 - share) * part[other] for part in (x, wanted))
        risks = F.binary_cross_entropy_with_logits(self.classifier(x), wanted, reduction="sum")
        return risks / max(1, wanted.numel())


def draw_mixture(count: int, concentration: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """The share of each snippet in its own mixture, one for all, and which other snippet each is mixed with."""
    shape = torch.tensor(concentration, device=device)
    return torch.distributions.Beta(shape, shape).sample(), torch.randperm(count, device=device)


def soft_labels(logits: Tensor, thresholds: Tensor, weak_label: Tensor, temperature: float = 2.0) -> Tensor:
    """A teacher's logits as labels in 0..1, 0 outside the weak label: sigmoid((z - threshold) / temperature).

    `logits` (video, snippet, category), `thresholds` (category), `weak_label` (video, category). A threshold of -infinity becomes the
    smallest of its category's finite logits, less 1. A temperature of 2 is in the code only; 1 is the paper's.

    >>> logits = torch.tensor([[[0.0, -torch.inf], [2.0, -torch.inf]]])  # of one category in the weak label, and one outside it
    >>> soft_labels(logits, torch.tensor([0.0, -torch.inf]), torch.tensor([[1.0, 0.0]])).double().numpy().round(2).tolist()
    [[[0.5, 0.0], [0.73, 0.0]]]
    """
    finite = torch.where(logits.isfinite(), logits, torch.inf).flatten(0, -2).amin(0)
    lowest = torch.where(finite.isfinite(), finite, 0) - 1  # 0 where no logit is finite, so that no label is NaN
    thresholds = torch.where(thresholds == -torch.inf, lowest, thresholds)
    return ((logits - thresholds) / temperature).sigmoid() * weak_label.unsqueeze(-2)
