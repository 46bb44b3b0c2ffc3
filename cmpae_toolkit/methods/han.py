"""HAN, the hybrid attention network with multimodal multiple-instance pooling (Tian, Li, Xu, ECCV 2020): rows "HAN" of Tables 1, 2, 4."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .. import labels, losses
from ..config import DataSpec, HANConfig
from ..layers import HybridAttention, TemporalAttention, embeddings, softmax_over
from ..method import Batch, Evidence, Features, Method, Moment
from ..opinion import PointEstimate


class HAN(Method):
    """A sigmoid per snippet, modality and category, pooled over snippets, and over snippets and modalities for the joint answer."""

    Config = HANConfig
    paper = "Tian, Li, Xu: Unified multisensory perception: weakly-supervised audio-visual video parsing. ECCV 2020"

    def __init__(self, config: HANConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        categories = len(spec.categories)
        self.embedding = embeddings(spec, config.width)
        self.hybrid_attention = HybridAttention(config.width, config.attention_dropout)
        self.visual_dropout = nn.Dropout(config.visual_dropout)
        self.classifier = nn.Linear(config.width, categories)
        self.temporal_attention = TemporalAttention(categories, config.width)
        self.modality_attention = nn.Linear(config.width, categories)

    def forward(self, features: Features, cross_attention: bool = True, valid: Tensor | None = None) -> Evidence:
        return self.judge(self.embed(features), cross_attention, valid=valid)

    def embed(self, features: Features) -> Tensor:
        """Embedded features (video, modality, snippet, width)."""
        tensors = self.as_tensors(features)
        return torch.stack([embedding(tensors) for embedding in self.embedding.values()], dim=1)

    def judge(
        self, embedded: Tensor, cross_attention: bool = True, projected: Tensor | None = None, valid: Tensor | None = None
    ) -> Evidence:
        """Everything after the embedding. `projected`: `hybrid_attention.project(embedded)` where it is known already."""
        attended = self.hybrid_attention(embedded, cross_attention and self.config.cross_attention, projected, valid)
        return self.read(attended, valid)[0]

    def read(self, attended: Tensor, valid: Tensor | None = None, classify: Callable | None = None) -> tuple[Evidence, Tensor]:
        """The heads on attended features: the evidence, and the logits (video, modality, snippet, category) behind it.

        `classify` gives the logits where `classifier` does not.
        """
        # dropout on the visual features comes after the contrastive similarities are taken (JoMoLD)
        x = torch.stack([attended[:, 0], self.visual_dropout(attended[:, 1])], dim=1)
        logits, (attention, _) = (classify or self.classifier)(x), self.temporal_attention(x, valid)
        over_both = attention * softmax_over(self.modality_attention(x), 1, valid)
        video, joint = pool(logits, attention), pool(logits.flatten(1, 2), over_both.flatten(1, 2))
        return Evidence(*map(PointEstimate, (logits.sigmoid(), video, joint)), attention, attended, valid=valid), logits

    def losses(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """Binary cross-entropy of both modalities' video probabilities and of the joint one."""
        evidence = self(batch.features, valid=batch.valid)
        return self.risks(evidence, labels.training_labels(batch.weak_label, self.config), batch.weak_label)

    @staticmethod
    def risks(evidence: Evidence, training_labels: Tensor, weak_label: Tensor) -> dict[str, Tensor]:
        """The three cross-entropies, means over videos and categories; a video counts only in the modalities that it has."""
        present = None if evidence.valid is None else evidence.valid.any(2)
        risk = losses.binary_cross_entropy(evidence.video.probability, training_labels)
        audio, visual = (losses.of_modality(risk, m, present).mean() for m in (0, 1))
        return {"audio": audio, "visual": visual, "joint": losses.binary_cross_entropy(evidence.joint.probability, weak_label).mean()}


def pool(logits: Tensor, attention: Tensor) -> Tensor:
    """Multiple-instance pooling: the attention-weighted mean of the snippets' probabilities, over the second axis from the end."""
    return (attention * logits.sigmoid()).sum(-2)
