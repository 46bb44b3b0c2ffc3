"""A whole method of one's own: attention pooling. docs/methods.md walks through it, and a test puts it under the contract."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cmpae_toolkit.config import DataSpec, MethodConfig
from cmpae_toolkit.layers import TemporalAttention, embeddings, masked
from cmpae_toolkit.losses import binary_cross_entropy
from cmpae_toolkit.method import Batch, Evidence, Features, Method, Moment
from cmpae_toolkit.opinion import PointEstimate


@dataclass(frozen=True)
class PoolingConfig(MethodConfig):
    """The fields that the method has beside those of all methods, and other defaults for some of those."""

    method: ClassVar[str] = "example_method:Pooling"  # where `fit` and `load_run` find the class

    width: int = 128
    modality_weight: float = 1.0
    epochs: int = 15
    batch_size: int = 32
    learning_rate: float = 2e-3
    gate: str = "joint"


class Pooling(Method):
    """A linear classifier on each snippet; attention pools the snippets, and a category is absent where both modalities say so."""

    Config = PoolingConfig

    def __init__(self, config: PoolingConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        self.embedding = embeddings(spec, config.width)
        self.classifier = nn.Linear(config.width, len(spec.categories))
        self.attention = TemporalAttention(len(spec.categories), config.width)

    def forward(self, features: Features, cross_attention: bool = True, valid: Tensor | None = None) -> Evidence:
        streams = self.as_tensors(features)
        x = F.relu(torch.stack([embed(streams) for embed in self.embedding.values()], dim=1))  # (video, modality, snippet, width)
        snippet, (attention, _) = self.classifier(x).sigmoid(), self.attention(x, valid)
        video = (attention * snippet).sum(2)  # (video, modality, category)
        joint = 1 - (1 - video).prod(1)
        return Evidence(PointEstimate(snippet), PointEstimate(video), PointEstimate(joint), attention, valid=valid)

    def losses(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        evidence, label = self(batch.features, valid=batch.valid), batch.weak_label
        of_video = binary_cross_entropy(evidence.video.probability, label.unsqueeze(1).expand_as(evidence.video.probability))
        has = None if batch.valid is None else batch.valid.any(2)  # a video counts only in the modalities that it has
        return {"joint": binary_cross_entropy(evidence.joint.probability, label).mean(), "modality": masked(of_video, has).mean()}
