"""CMRAN, the cross-modal relation-aware network (Xu et al., ACM MM 2020): row "CMRAN" of Table 3. CMBS shares its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._fields import Count, DropoutRate, Positive, Share, Width
from ..config import DataSpec
from ..layers import TransformerLayer, attend, masked, max_over_snippets
from ..method import Features
from .localization import LocalizationConfig, Localizer, Scores, of_modality

HEADS, INTERACTION_HEADS = 4, 2


@dataclass(frozen=True)
class CMRANConfig(LocalizationConfig):
    """CMRAN, weakly supervised, with the schedule of its training script."""

    method: ClassVar[str] = "cmran"

    width: Width = 256  # of a snippet; a multiple of 4, the number of heads
    map_width: Width = 512  # of a position
    forward_width: Width = 2048  # in each attention block
    visual_dropout: DropoutRate = 0.2  # of the picture's positions
    attention_dropout: DropoutRate = 0.1  # in the attention layers
    relevance_threshold: Share = 0.5  # a snippet is an event where its relevance is above

    epochs: Count = 200
    batch_size: Count = 32
    learning_rate: Positive = 5e-4
    decay: Share = 0.5
    milestones: tuple[Count, ...] = (5, 20, 40)
    clip_gradient: Positive | None = 0.5


class CMRAN(Localizer):
    """Channels and positions weighted by the sound, transformers over both modalities; how relevant a snippet is, what the video is."""

    Config = CMRANConfig
    paper = "Xu et al.: Cross-modal relation-aware networks for audio-visual event localization. ACM MM 2020"

    def __init__(self, config: CMRANConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        dropout, others = config.attention_dropout, self.visual_width - self.map.width
        self.embedding, self.visual_dropout = nn.Linear(self.map.width, config.map_width), nn.Dropout(config.visual_dropout)
        self.attention = MapAttention(self.audio_width, config.map_width)
        widths = self.audio_width, config.map_width + others
        self.encoder = CrossModalEncoder(widths, config.width, config.forward_width, config.forward_width, dropout)
        self.interaction = Interaction(config.width, dropout, dropout)
        self.relevance, self.category = nn.Linear(config.width, 1), nn.Linear(config.width, self.answers)

    def relevance_and_category(self, features: Features, valid: Tensor | None, cross_attention: bool) -> tuple[Tensor, Tensor]:
        """How relevant each snippet is, before the sigmoid (video, snippet), and the video's scores (video, answer)."""
        audio, visual, others = self.inputs(features, valid)
        visual = self.visual_dropout(F.relu(self.embedding(visual)))
        seen = self.attention(audio if cross_attention else torch.zeros_like(audio), visual)
        _, queried = self.encoder((audio, torch.cat([seen, *others], dim=-1)), valid, cross_attention)
        fused = self.interaction(queried[:, 1], queried[:, 0], of_modality(valid, 1), of_modality(valid, 0))
        return self.relevance(fused).squeeze(-1), self.category(max_over_snippets(fused, valid))

    def scores(self, features: Features, valid: Tensor | None = None, cross_attention: bool = True) -> Scores:
        """Without `cross_attention` the map is weighted as in silence, and each modality queries itself alone."""
        relevance, category = self.relevance_and_category(features, valid, cross_attention)
        gate, probability = relevance.sigmoid().unsqueeze(-1), category.softmax(-1).unsqueeze(1)
        background = F.one_hot(torch.tensor(self.answers - 1, device=gate.device), self.answers).to(gate.dtype)
        answer = torch.where(gate > self.config.relevance_threshold, probability, background)
        return Scores(answer, gate * probability, max_over_snippets(gate * category.unsqueeze(1), valid))


class PositionAttention(nn.Module):
    """The positions of a map summed with the weights that a query gives them."""

    def __init__(self, query_width: int, width: int) -> None:
        super().__init__()
        half = max(1, width // 2)
        self.query, self.visual, self.weigh = nn.Linear(query_width, half), nn.Linear(width, half), nn.Linear(half, 1)

    def forward(self, query: Tensor, visual: Tensor) -> Tensor:
        """(video, snippet, query), (video, snippet, position, width) -> (video, snippet, width)."""
        z = torch.tanh(self.weigh(F.relu(self.visual(visual)) * F.relu(self.query(query)).unsqueeze(-2)))
        return (z.softmax(-2) * visual).sum(-2)


class MapAttention(nn.Module):
    """A snippet's map with its channels, then its positions weighted by the snippet's sound."""

    def __init__(self, audio_width: int, width: int) -> None:
        super().__init__()
        half = max(1, width // 2)
        self.audio, self.visual = nn.Linear(audio_width, width), nn.Linear(width, width)
        self.narrow, self.channels = nn.Linear(width, half), nn.Linear(half, width)
        self.positions = PositionAttention(audio_width, width)

    def forward(self, audio: Tensor, visual: Tensor, compared: Tensor | None = None) -> Tensor:
        """`compared`: another map that the sound is compared with for the channels. Shapes as in `PositionAttention`."""
        keys = F.relu(self.visual(visual if compared is None else compared))
        match = (F.relu(self.audio(audio)).unsqueeze(-2) * keys).mean(-2)
        weight = self.channels(F.relu(self.narrow(match))).sigmoid()
        return self.positions(audio, visual * (weight.unsqueeze(-2) + 1))


class CrossModalEncoder(nn.Module):
    """Each modality's snippets look at one another (two layers); then they look at the other's so encoded, and at themselves as given."""

    def __init__(self, widths: Sequence[int], width: int, forward_width: int, query_forward_width: int, dropout: float) -> None:
        super().__init__()
        self.embedding, self.query_embedding = (nn.ModuleList(nn.Linear(w, width) for w in widths) for _ in range(2))
        self.encoders = nn.ModuleList(
            nn.ModuleList(TransformerLayer(width, HEADS, forward_width, dropout) for _ in range(2)) for _ in widths
        )
        self.queries = nn.ModuleList(TransformerLayer(width, HEADS, query_forward_width, dropout) for _ in widths)

    def forward(self, inputs: Sequence[Tensor], valid: Tensor | None, cross_attention: bool = True) -> tuple[Tensor, Tensor]:
        """Sound and picture -> encoded and queried features, each (video, modality, snippet, width), 0 where there is no snippet."""
        encoded, queried = [], []
        for m, x in enumerate(inputs):
            x = self.embedding[m](x)
            for layer in self.encoders[m]:
                x = layer(x, exists=of_modality(valid, m))
            encoded.append(x)
        for m, x in enumerate(inputs):
            query = self.query_embedding[m](x)
            if cross_attention:
                exists = None if valid is None else torch.cat([valid[:, 1 - m], valid[:, m]], dim=1)
                queried.append(self.queries[m](query, torch.cat([encoded[1 - m], query], dim=1), exists))
            else:
                queried.append(self.queries[m](query, exists=of_modality(valid, m)))
        return masked(torch.stack(encoded, dim=1), valid), masked(torch.stack(queried, dim=1), valid)


class Interaction(nn.Module):
    """The product of two sequences, and what it draws from both of them. A sequence that does not exist counts as 1."""

    def __init__(self, width: int, attention_dropout: float, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, INTERACTION_HEADS, attention_dropout, batch_first=True)
        self.dropout, self.norm = nn.Dropout(dropout), nn.LayerNorm(width)

    def forward(self, one: Tensor, other: Tensor, one_exists: Tensor | None = None, other_exists: Tensor | None = None) -> Tensor:
        """(video, snippet, width) twice -> once; `exists` (video, snippet) for each."""
        product, exists = one * other, None
        if one_exists is not None and other_exists is not None:
            exists = torch.cat([other_exists, one_exists], dim=1)
            product = torch.where(one_exists.unsqueeze(-1), one, 1.0) * torch.where(other_exists.unsqueeze(-1), other, 1.0)
        return self.norm(product + self.dropout(attend(self.attention, product, torch.cat([other, one], dim=1), exists)))
