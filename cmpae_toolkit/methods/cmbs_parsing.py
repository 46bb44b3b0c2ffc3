"""CMBS on LLP's and AVEP's task: ours. CMPAE's authors ran it there, for their starred rows, and did not describe how.

So nothing here is a reproduction of these rows: the published idea (`methods.cmbs`) between HAN's embedding, which stands where AVE has
a map of positions, and HAN's pooling and losses. There is no answer "background".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal

from torch import Tensor, nn

from .._fields import Count, DropoutRate, Positive, Share, Weight, Width
from ..config import MODALITIES, DataSpec, HANConfig
from ..layers import masked, mean_over_modalities, softmax_over
from ..method import Evidence
from ..opinion import PointEstimate
from .cmbs import fuse, of_each
from .cmran import CrossModalEncoder, Interaction
from .han import HAN


@dataclass(frozen=True)
class CMBSParsingConfig(HANConfig):
    """CMBS's sizes, on CMPAE's schedule."""

    method: ClassVar[str] = "cmbs_parsing"

    width: Width = 256  # a multiple of 4, the number of heads
    forward_width: Width = 2048  # in each attention block
    query_forward_width: Width = 1024  # in the blocks that ask the other modality
    interaction_dropout: DropoutRate = 0.2  # between the modalities
    alpha: Share = 0.2  # how far the gates reach into the features
    gamma: Weight = 0.5  # of each modality's own scores

    epochs: Count = 25
    batch_size: Count = 128
    learning_rate: Positive = 5e-4
    decay: Share = 0.25
    decay_epochs: Count = 6
    gate: Literal["modality", "joint"] = "modality"


class Suppression(nn.Module):
    """CMBS's encoders and the gates that tell events from background; takes and gives what `HybridAttention` does."""

    def __init__(self, config: CMBSParsingConfig) -> None:
        super().__init__()
        c = config
        widths = [c.width] * len(MODALITIES)
        self.encoder = CrossModalEncoder(widths, c.width, c.forward_width, c.query_forward_width, c.attention_dropout)
        self.gates = nn.ModuleList(nn.Linear(c.width, 1) for _ in widths)
        self.alpha = c.alpha

    def forward(self, x: Tensor, cross_attention: bool = True, projected: Tensor | None = None, valid: Tensor | None = None) -> Tensor:
        encoded, queried = self.encoder(x.unbind(1), valid, cross_attention)
        return queried * (1 - self.alpha + self.alpha * masked(of_each(self.gates, encoded).sigmoid(), valid))


class CMBSParsing(HAN):
    """HAN's heads on gated features; the joint answer is the product of both modalities, weighed by their own scores."""

    Config = CMBSParsingConfig
    paper = "ours, after Xia, Zhao: Cross-modal background suppression for audio-visual event localization. CVPR 2022"
    tasks: ClassVar[frozenset[str]] = frozenset({"parsing"})

    def __init__(self, config: CMBSParsingConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        c, categories = config, len(spec.categories)
        self.hybrid_attention = Suppression(c)
        self.classifier = nn.ModuleList(nn.Linear(c.width, categories) for _ in MODALITIES)
        self.visual_interaction, self.audio_interaction = (
            Interaction(c.width, c.interaction_dropout, c.attention_dropout) for _ in MODALITIES
        )
        self.joint_classifier = nn.Linear(c.width, categories, bias=False)

    def judge(
        self, embedded: Tensor, cross_attention: bool = True, projected: Tensor | None = None, valid: Tensor | None = None
    ) -> Evidence:
        x = self.hybrid_attention(embedded, cross_attention and self.config.cross_attention, valid=valid)
        evidence, own = self.read(x, valid, partial(of_each, self.classifier))
        score = self.joint_classifier(fuse(self.visual_interaction, self.audio_interaction, x, valid))
        both = (score * 2 * self.config.gamma * mean_over_modalities(masked(own.sigmoid(), valid), valid)).sigmoid().unsqueeze(1)
        weight = evidence.attention * softmax_over(self.modality_attention(x), 1, valid)
        return replace(evidence, joint=PointEstimate((weight * both).flatten(1, 2).sum(1)))
