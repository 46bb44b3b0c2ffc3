"""CVCMS: co-occurrence of categories across modalities and videos (Lin, Tseng, Lee, Lin, Yang, NeurIPS 2021): row "CVCMS" of Table 2.

Each snippet gets a vector for each category, and the categories look at one another, in both modalities. From the third epoch on a
contrastive term draws sounds and pictures of the batch together that share a category; half of its pairs are made by exchanging
pictures between videos. The printed rows learn from MA's labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import labels
from .._fields import Count, DropoutRate, Positive, Share, Weight, Width
from ..config import MODALITIES, DataSpec, HANConfig
from ..layers import HybridAttention, softmax_over
from ..method import Batch, Evidence, Moment
from .ma import LABEL, ExchangeHAN


@dataclass(frozen=True)
class CVCMSConfig(HANConfig):
    """CVCMS as it was published; the released code chose its epoch on test."""

    method: ClassVar[str] = "cvcms"

    attention_dropout: DropoutRate = 0.4
    class_width: Width = 128  # of a category's vector
    class_dropout: DropoutRate = 0.25  # in the attention among categories
    smoothing_epochs: Weight = 2  # the labels are smoothed in so many epochs
    contrastive_after: Weight = 2  # epochs
    contrastive_weight: Weight = 0.85  # of the term across videos
    label_source: Literal["weak", "exchange"] = "exchange"  # "exchange": MA's labels, from tracks of other videos
    estimator_epochs: Count = 12  # of MA's first stage

    epochs: Count = 40
    batch_size: Count = 64
    learning_rate: Positive = 7e-5
    decay: Share = 0.5
    decay_epochs: Count = 7


class CategoryAttention(nn.Module):
    """The logits of a snippet's categories, each from a vector of its own that has looked at the other categories'."""

    def __init__(self, categories: int, config: CVCMSConfig) -> None:
        super().__init__()
        self.categories = categories
        self.split = nn.ModuleDict({m: nn.Linear(config.width, categories * config.class_width) for m in MODALITIES})
        self.layer = HybridAttention(config.class_width, config.class_dropout)
        self.score = nn.ModuleDict({m: nn.Linear(config.class_width, 1) for m in MODALITIES})

    def forward(self, x: Tensor, cross_attention: bool = True, valid: Tensor | None = None) -> Tensor:
        """(video, modality, snippet, width) -> (video, modality, snippet, category)."""
        parts = [F.relu(split(x[:, m])).unflatten(-1, (self.categories, -1)) for m, split in enumerate(self.split.values())]
        by_snippet = torch.stack(parts, dim=2).flatten(0, 1)  # (video x snippet, modality, category, width)
        if valid is not None:
            valid = valid.transpose(1, 2).flatten(0, 1).unsqueeze(-1).expand(-1, -1, self.categories)
        seen = self.layer(by_snippet, cross_attention, valid=valid)
        logits = torch.cat([score(seen[:, m]).squeeze(-1).unsqueeze(1) for m, score in enumerate(self.score.values())], dim=1)
        return logits.unflatten(0, (len(x), -1)).transpose(1, 2)


class CVCMS(ExchangeHAN):
    """HAN with attention between categories, and a contrast between videos."""

    Config = CVCMSConfig
    paper = "Lin et al.: Exploring cross-video and cross-modality signals for weakly-supervised audio-visual video parsing. NeurIPS 2021"

    def __init__(self, config: CVCMSConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        self.classifier = CategoryAttention(len(spec.categories), config)

    def judge(
        self, embedded: Tensor, cross_attention: bool = True, projected: Tensor | None = None, valid: Tensor | None = None
    ) -> Evidence:
        across = cross_attention and self.config.cross_attention
        attended = self.hybrid_attention(embedded, across, projected, valid)
        return self.read(attended, valid, partial(self.classifier, cross_attention=across, valid=valid))[0]

    def losses(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """HAN's losses with the labels of each modality, for both with their union; and the contrast, from its epoch on."""
        embedded = self.embed(batch.features)
        projected = self.hybrid_attention.project(embedded)
        evidence = self.judge(embedded, projected=projected, valid=batch.valid)
        left = batch.targets.get(LABEL, batch.weak_label.unsqueeze(1).expand(-1, len(MODALITIES), -1))
        strengths = (self.config.audio_smoothing, self.config.visual_smoothing)
        wanted = left
        if moment.epoch <= self.config.smoothing_epochs:
            wanted = torch.stack([labels.smooth(x, s) for x, s in zip(left.unbind(1), strengths, strict=True)], dim=1)
        named = self.risks(evidence, wanted, left.amax(1))
        if moment.epoch > self.config.contrastive_after and self.config.contrastive_weight and len(batch) > 1:
            named["contrastive"] = self.contrastive(embedded, projected, evidence.features, left, batch.valid)
        return named

    def contrastive(self, embedded: Tensor, projected: Tensor, attended: Tensor, left: Tensor, valid: Tensor | None) -> Tensor:
        """The contrast over the batch's videos and as many with a borrowed picture, whose labels come with it."""
        partner = others_of_batch(len(embedded), embedded.device)

        def borrowing(x: Tensor) -> Tensor:
            return torch.stack([x[:, 0], x[partner, 1]], dim=1)

        more_valid = None if valid is None else borrowing(valid)
        more = self.hybrid_attention(borrowing(embedded), self.config.cross_attention, borrowing(projected), more_valid)
        x, left = torch.cat([attended, more]), torch.cat([left, borrowing(left)])
        valid = None if valid is None else torch.cat([valid, more_valid])
        return cross_video_contrast(self.similarity(x, left, valid), left, None if valid is None else valid.any(2))

    def similarity(self, x: Tensor, left: Tensor, valid: Tensor | None = None) -> Tensor:
        """Cosine similarity of all sounds with all pictures (video, video), each summed over snippets by its labels' attention."""
        scores = (self.temporal_attention.layer(x) * left.unsqueeze(2)).sum(-1, keepdim=True)
        audio, visual = F.normalize((softmax_over(scores, 2, valid) * x).sum(2), dim=-1).unbind(1)
        return audio @ visual.T


def others_of_batch(count: int, device: torch.device) -> Tensor:
    """For each video of a batch another one, drawn uniformly; one may be drawn for several."""
    return (torch.arange(count, device=device) + torch.randint(1, count, (count,), device=device)) % count


def cross_video_contrast(similarity: Tensor, left: Tensor, present: Tensor | None = None) -> Tensor:
    """-sum_j g_j log softmax_j of a sound's similarities, g equal over the pictures that share a category; the mean over sounds.

    `left` (video, modality, category): the labels of each modality; `present` (video, modality): the others are left out.
    """
    shared = (left[:, 0] @ left[:, 1].T > 0.5).to(similarity)
    if present is None:
        present = torch.ones_like(left[..., 0], dtype=torch.bool)
    similarity = similarity.masked_fill(~present[:, 1], torch.finfo(similarity.dtype).min / 4)
    shared = shared * present[:, 1]
    share = shared / (shared.sum(1, keepdim=True) + 1e-10)
    terms = -(share * similarity.log_softmax(1)).sum(1)
    return (terms * present[:, 0]).sum() / present[:, 0].sum().clamp_min(1)
