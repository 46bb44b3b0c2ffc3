"""MM-Pyramid: attention in bands of growing width (Yu et al., ACM MM 2022): row "MM-Pyramid" of Table 2.

A pyramid of units stands where HAN has its one layer. In each unit a snippet looks at the snippets near it, in its own modality and
in the other, twice as far as in the unit before. What the units say is then weighed for each snippet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import labels
from .._fields import Count, DropoutRate, Positive
from ..config import MODALITIES, DataSpec, HANConfig
from ..errors import InputError
from ..layers import masked
from ..method import Batch, Evidence, Moment
from .ma import ExchangeHAN, refined


@dataclass(frozen=True)
class MMPyramidConfig(HANConfig):
    """MM-Pyramid as it was published. Its better printed row is with MA's labels (`label_source` "exchange")."""

    method: ClassVar[str] = "mm_pyramid"

    attention_heads: Count = 8  # of each unit
    units: Count = 4  # unit i sees 2^i snippets to both sides
    dropout: DropoutRate = 0.2  # of the blocks' residual branches
    swap_streams: bool = False  # true: the released code, which reads the visual stream as the audio track and the audio as the visual
    label_source: Literal["weak", "exchange"] = "weak"  # "exchange": MA's labels, from tracks of other videos
    estimator_epochs: Count = 12  # of MA's first stage, where its labels are asked for

    learning_rate: Positive = 1e-4


class HeadedAttention(nn.Module):
    """Attention of some positions to others by four linear layers that start as copies of one another."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise InputError(f"a width of {width} cannot be shared out to {heads} attention heads: choose a multiple.")
        self.heads, self.dropout = heads, dropout  # the dropout is that of the attention weights
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        for layer in (self.key, self.value, self.output):
            layer.load_state_dict(self.query.state_dict())

    def by_head(self, x: Tensor) -> Tensor:
        """(batch, position, width) -> (batch, head, position, width of a head)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, query: Tensor, memory: Tensor, seen: Tensor | None = None) -> Tensor:
        """`seen` (batch, 1 or query, memory), bool; a position that sees nothing gets zeros."""
        parts = (self.by_head(f(x)) for f, x in ((self.query, query), (self.key, memory), (self.value, memory)))
        rate = self.dropout if self.training else 0.0
        if seen is None:
            return self.output(F.scaled_dot_product_attention(*parts, dropout_p=rate).transpose(1, 2).flatten(-2))
        anything = seen.any(-1, keepdim=True)
        mask = (seen | ~anything).unsqueeze(1)  # a softmax over nothing would be NaN
        return self.output(F.scaled_dot_product_attention(*parts, mask, dropout_p=rate).transpose(1, 2).flatten(-2)) * anything


class QueryLayer(nn.Module):
    """A transformer layer that normalises the query alone: q + attention(LN(q), memory), then q + feed-forward(LN(q))."""

    def __init__(self, width: int, heads: int, attention_dropout: float, dropout: float) -> None:
        super().__init__()
        self.attention = HeadedAttention(width, heads, attention_dropout)
        self.linear1, self.linear2 = nn.Linear(width, width), nn.Linear(width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, query: Tensor, memory: Tensor, seen: Tensor | None = None) -> Tensor:
        return self.feed_forward(query + self.dropout(self.attention(self.norm1(query), memory, seen)))

    def feed_forward(self, query: Tensor) -> Tensor:
        """The second residual step."""
        return query + self.dropout(self.linear2(self.dropout(F.relu(self.linear1(self.norm2(query))))))


class Side(nn.Module):
    """What a unit has for one modality: its self-attention, two gates and a block of convolutions over snippets."""

    def __init__(self, config: MMPyramidConfig, reach: int) -> None:
        super().__init__()
        width = config.width
        self.layer = QueryLayer(width, config.attention_heads, config.attention_dropout, config.dropout)
        self.own_gate, self.other_gate = nn.Linear(2 * width, width), nn.Linear(2 * width, width)
        self.conv1 = nn.Conv1d(width, width, 3, dilation=reach, padding=reach)
        self.conv2 = nn.Conv1d(width, width, 1)

    def forward(self, own: Tensor, other: Tensor, valid: Tensor) -> Tensor:
        """Both views of a modality, gated and summed, through the convolutions: (video, snippet, width)."""
        both = torch.cat([own, other], dim=-1)
        gated = masked(self.own_gate(both).sigmoid() * own + self.other_gate(both).sigmoid() * other, valid).transpose(1, 2)
        return masked(F.relu(self.conv2(F.relu(self.conv1(gated))) + gated).transpose(1, 2), valid)


class Unit(nn.Module):
    """One floor of the pyramid: snippets at most `reach` apart see each other; one cross-attention serves both modalities."""

    def __init__(self, config: MMPyramidConfig, reach: int) -> None:
        super().__init__()
        self.reach = reach
        self.sides = nn.ModuleDict({m: Side(config, reach) for m in MODALITIES})
        self.cross = QueryLayer(config.width, config.attention_heads, config.attention_dropout, config.dropout)

    def forward(self, x: Tensor, cross_attention: bool, valid: Tensor) -> Tensor:
        time = torch.arange(x.shape[2], device=x.device)
        near = (time - time.unsqueeze(1)).abs() <= self.reach
        seen = [near & v.unsqueeze(1) for v in valid.unbind(1)]
        parts = []
        for m, side in enumerate(self.sides.values()):
            own = side.layer(x[:, m], x[:, m], seen[m])
            other = self.cross(x[:, m], x[:, 1 - m], seen[1 - m] & cross_attention)
            parts.append(side(own, other, valid[:, m]))
        return torch.stack(parts, dim=1)


class Fusion(nn.Module):
    """What the units say of a snippet, after they have looked at each other, summed with a sigmoid weight each."""

    def __init__(self, config: MMPyramidConfig) -> None:
        super().__init__()
        self.layer = QueryLayer(config.width, config.attention_heads, config.attention_dropout, config.dropout)
        self.select = nn.Linear(config.width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(video, snippet, unit, width) -> (video, snippet, width)."""
        units = x.flatten(0, 1)
        units = self.layer(units, units)
        return (self.select(units).sigmoid() * units).sum(1).unflatten(0, x.shape[:2])


class Pyramid(nn.Module):
    """The units, each on what the one before gives, and their fusion; takes and gives what `HybridAttention` does."""

    def __init__(self, config: MMPyramidConfig) -> None:
        super().__init__()
        self.units = nn.ModuleList(Unit(config, 2**i) for i in range(config.units))
        self.fusion = nn.ModuleDict({m: Fusion(config) for m in MODALITIES})
        layers = [layer for unit in self.units for layer in (*(s.layer for s in unit.sides.values()), unit.cross)]
        for layer in layers[1:]:  # as in the released code, whose layers are made as copies
            layer.linear1.load_state_dict(layers[0].linear1.state_dict())
            layer.linear2.load_state_dict(layers[0].linear2.state_dict())
        self.fusion["visual"].layer.load_state_dict(self.fusion["audio"].layer.state_dict())

    def forward(
        self, x: Tensor, cross_attention: bool = True, projected: Tensor | None = None, valid: Tensor | None = None
    ) -> Tensor:
        exists = torch.ones(x.shape[:3], dtype=torch.bool, device=x.device) if valid is None else valid
        floors = []
        for unit in self.units:
            x = unit(x, cross_attention, exists)
            floors.append(x)
        stacked = torch.stack(floors, dim=3)
        fused = torch.stack([f(stacked[:, m]) for m, f in enumerate(self.fusion.values())], dim=1)
        return masked(fused, valid)


class MMPyramid(ExchangeHAN):
    """HAN's heads on the pyramid."""

    Config = MMPyramidConfig
    paper = "Yu et al.: MM-Pyramid: multimodal pyramid attentional network for audio-visual event localization and video parsing. MM 2022"

    def __init__(self, config: MMPyramidConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        self.hybrid_attention = Pyramid(config)

    def judge(
        self, embedded: Tensor, cross_attention: bool = True, projected: Tensor | None = None, valid: Tensor | None = None
    ) -> Evidence:
        """The heads' evidence, its tracks exchanged where the config says so and a video has both."""
        evidence = super().judge(embedded, cross_attention, projected, valid)
        if not self.config.swap_streams:
            return evidence
        has_both = None if valid is None else valid.any(2).all(1)

        def exchanged(x: Tensor) -> Tensor:
            return x.flip(1) if has_both is None else torch.where(has_both.reshape(-1, *[1] * (x.dim() - 1)), x.flip(1), x)

        snippet, video = (j.apply(exchanged) for j in (evidence.snippet, evidence.video))
        return replace(evidence, snippet=snippet, video=video, attention=exchanged(evidence.attention))

    def losses(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """HAN's losses, with MA's labels where the supervision holds them."""
        made = refined(labels.training_labels(batch.weak_label, self.config), batch)
        return self.risks(self(batch.features, valid=batch.valid), made, batch.weak_label)
