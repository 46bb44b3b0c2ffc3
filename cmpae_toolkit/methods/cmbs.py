"""CMBS, cross-modal background suppression (Xia, Zhao, CVPR 2022): row "CMBS" of Table 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._fields import Count, DropoutRate, Positive, Share, Weight, Width
from ..config import DataSpec
from ..layers import masked, max_over_snippets, mean_over_modalities
from ..method import Features
from .cmran import CrossModalEncoder, Interaction, MapAttention, PositionAttention
from .localization import LocalizationConfig, Localizer, Scores, of_modality


@dataclass(frozen=True)
class CMBSConfig(LocalizationConfig):
    """CMBS, weakly supervised, with the schedule of its training script."""

    method: ClassVar[str] = "cmbs"

    width: Width = 256  # of a snippet; a multiple of 4, the number of heads
    map_width: Width = 512  # of a position
    forward_width: Width = 2048  # in each attention block
    query_forward_width: Width = 1024  # in the blocks that ask the other modality
    visual_dropout: DropoutRate = 0.1  # of the picture's positions
    attention_dropout: DropoutRate = 0.1  # in the attention layers
    interaction_dropout: DropoutRate = 0.2  # among positions, and between the modalities
    alpha: Share = 0.2  # how far the gates reach into the features
    beta: Weight = 0.5  # of the picture's own attention
    gamma: Weight = 0.5  # of each modality's own scores
    pooled_snippets: Count = 4  # the video's score is the mean of so many of its snippets' highest
    # A snippet is background where the gate is below a threshold, which is chosen on val. The released code tests the sigmoid of the
    # gate, itself a probability, for more than 0.5, which is always so: each video gets one answer on all its snippets.
    event_gate: Literal["threshold", "always_open"] = "threshold"

    epochs: Count = 200
    batch_size: Count = 64
    learning_rate: Positive = 6e-4
    decay: Share = 0.5
    milestones: tuple[Count, ...] = (10, 20, 40)
    clip_gradient: Positive | None = 0.5


class CMBS(Localizer):
    """CMRAN's encoders, with gates that tell events from background, and each modality's own scores to suppress categories."""

    Config = CMBSConfig
    paper = "Xia, Zhao: Cross-modal background suppression for audio-visual event localization. CVPR 2022"

    def __init__(self, config: CMBSConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        c, dropout, others = config, config.attention_dropout, self.visual_width - self.map.width
        self.embedding, self.visual_dropout = nn.Linear(self.map.width, c.map_width), nn.Dropout(c.visual_dropout)
        self.self_attention = PositionSelfAttention(c.map_width, c.interaction_dropout)
        self.own_attention = PositionAttention(c.map_width, c.map_width)
        self.attention = MapAttention(self.audio_width, c.map_width)
        widths = self.audio_width, c.map_width + others
        self.encoder = CrossModalEncoder(widths, c.width, c.forward_width, c.query_forward_width, dropout)
        self.gates = nn.ModuleList(nn.Linear(c.width, 1) for _ in widths)
        self.own_classifiers = nn.ModuleList(nn.Linear(c.width, self.answers) for _ in widths)
        self.visual_interaction, self.audio_interaction = (Interaction(c.width, c.interaction_dropout, dropout) for _ in range(2))
        self.classifier = nn.Linear(c.width, self.answers, bias=False)

    def relevance_and_category(self, features: Features, valid: Tensor | None, cross_attention: bool) -> tuple[Tensor, Tensor]:
        """How surely each snippet is an event, in 0..1 (video, snippet), and the video's scores (video, answer)."""
        c = self.config
        inputs = self.look(*self.inputs(features, valid), cross_attention)
        encoded, queried = self.encoder(inputs, valid, cross_attention)
        gates = masked(of_each(self.gates, encoded).sigmoid(), valid)
        queried = queried * (1 - c.alpha + c.alpha * gates)
        own = masked(of_each(self.own_classifiers, queried).sigmoid(), valid)
        fused = fuse(self.visual_interaction, self.audio_interaction, queried, valid)
        score = self.classifier(fused) * 2 * c.gamma * mean_over_modalities(own, valid)
        return mean_over_modalities(gates, valid).squeeze(-1), mean_of_highest(score, c.pooled_snippets, valid)

    def look(self, audio: Tensor, visual: Tensor, others: list[Tensor], cross_attention: bool) -> tuple[Tensor, Tensor]:
        """Sound, and the map as the sound and the picture itself weigh it: both (video, snippet, width)."""
        visual = self.visual_dropout(F.relu(self.embedding(visual)))
        attended = self.self_attention(visual)
        own = self.own_attention(attended.mean(-2), attended)
        seen = self.attention(audio if cross_attention else torch.zeros_like(audio), visual, attended)
        return audio, torch.cat([seen * (1 + self.config.beta * own.sigmoid()), *others], dim=-1)

    def scores(self, features: Features, valid: Tensor | None = None, cross_attention: bool = True) -> Scores:
        """Without `cross_attention` the map is weighted as in silence, and each modality queries itself alone."""
        gate, category = self.relevance_and_category(features, valid, cross_attention)
        gate, category = gate.unsqueeze(-1), category.unsqueeze(1)
        video = max_over_snippets(gate * category, valid)
        if self.config.event_gate == "always_open":
            return Scores(category.expand(-1, gate.shape[1], -1), gate * category.softmax(-1), video)
        # of the video's answer alone, so that a threshold on it is one on the gate
        return Scores(None, gate * F.one_hot(category.argmax(-1), self.answers), video)


class PositionSelfAttention(nn.Module):
    """The positions of a map look at one another; scores are not scaled."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.query, self.key = (nn.Linear(width, max(1, width // 4)) for _ in range(2))
        self.value = nn.Linear(width, width)
        self.dropout, self.norm = nn.Dropout(dropout), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(video, snippet, position, width) -> the same."""
        weight = (self.query(x) @ self.key(x).transpose(-2, -1)).softmax(-1)
        return self.norm(x + self.dropout(weight @ self.value(x)))


def fuse(visual_interaction: Interaction, audio_interaction: Interaction, x: Tensor, valid: Tensor | None) -> Tensor:
    """Both modalities as one: (video, modality, snippet, width) -> (video, snippet, width)."""
    audio, visual = x.unbind(1)
    either = None if valid is None else valid.any(1)
    first = visual_interaction(visual, audio, of_modality(valid, 1), of_modality(valid, 0))
    return (first + audio_interaction(audio, first, of_modality(valid, 0), either)) / 2


def of_each(layers: nn.ModuleList, x: Tensor) -> Tensor:
    """A layer for each modality: (video, modality, snippet, width) -> the same axes."""
    return torch.stack([layer(part) for layer, part in zip(layers, x.unbind(1), strict=True)], dim=1)


def mean_of_highest(x: Tensor, count: int, valid: Tensor | None) -> Tensor:
    """The mean of the `count` highest values over time, answer by answer, or of all where there are fewer: (video, answer)."""
    count = min(count, x.shape[1])
    if valid is None:
        return x.topk(count, dim=1).values.mean(1)
    exists = valid.any(1)
    highest = x.masked_fill(~exists.unsqueeze(-1), torch.finfo(x.dtype).min).topk(count, dim=1).values
    number = exists.sum(1, keepdim=True).clamp_max(count)
    return masked(highest, torch.arange(count, device=x.device) < number).sum(1) / number.clamp_min(1)
