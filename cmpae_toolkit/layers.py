"""Hybrid attention (HAN, ECCV 2020): each modality attends to its own snippets and to the other modality's.

Axes are (video, modality, snippet, width). The projections of the self-attention do not depend on whether the cross-attention
is on, so passes with and without it over the same input share them (`HybridAttention.project`).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from .config import Config, StreamSpec


class Attention(nn.Module):
    """Scaled dot-product attention with one head; parameters are named and drawn as those of `nn.MultiheadAttention`."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout  # of the attention weights
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def project(self, x: Float[Tensor, "video modality snippet width"]) -> Float[Tensor, "video modality snippet three_widths"]:
        """Queries, keys and values of every snippet, side by side."""
        return F.linear(x, self.in_proj_weight, self.in_proj_bias)

    def forward(
        self, projected: Float[Tensor, "video modality snippet three_widths"], to_other: bool = False
    ) -> Float[Tensor, "video modality snippet width"]:
        """Each snippet attends to the snippets of its own modality, or of the other one."""
        query, key, value = projected.chunk(3, dim=-1)
        if to_other:
            key, value = key.flip(1), value.flip(1)
        rate = self.dropout if self.training else 0.0
        return self.out_proj(F.scaled_dot_product_attention(query, key, value, dropout_p=rate))


class HybridAttention(nn.Module):
    """HAN's layer, shared by the modalities: each attends to its own snippets and, with cross-attention, to the other's."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, rate = config.width, config.attention_dropout
        self.self_attention, self.cross_attention = Attention(width, rate), Attention(width, rate)
        self.linear1, self.linear2 = nn.Linear(width, width), nn.Linear(width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(rate)

    def project(self, x: Float[Tensor, "video modality snippet width"]) -> Float[Tensor, "video modality snippet three_widths"]:
        """What every pass over `x` shares: the projections of the self-attention."""
        return self.self_attention.project(x)

    def forward(
        self,
        x: Float[Tensor, "video modality snippet width"],
        cross_attention: bool = True,
        projected: Float[Tensor, "video modality snippet three_widths"] | None = None,
    ) -> Float[Tensor, "video modality snippet width"]:
        """q <- LN(q + self(q) [+ cross(q, other)]), then LN(q + feed-forward(q)); both modalities from the old values.

        `projected`: `project(x)` where another pass has computed it.
        """
        update = self.dropout(self.self_attention(self.project(x) if projected is None else projected))
        if cross_attention:
            update = update + self.dropout(self.cross_attention(self.cross_attention.project(x), to_other=True))
        x = self.norm1(x + update)
        forward = self.linear2(self.dropout(F.relu(self.linear1(x))))
        return self.norm2(x + self.dropout(forward))


class Embedding(nn.Module):
    """The streams of one modality -> (video, snippet, width): a linear layer a stream, mean over a snippet's positions, fusion."""

    def __init__(self, streams: dict[str, StreamSpec], config: Config, fuse: bool) -> None:
        super().__init__()
        self.streams = streams
        self.layers = nn.ModuleDict({name: nn.Linear(stream.width, config.width) for name, stream in streams.items()})
        self.fusion = nn.Linear(len(streams) * config.width, config.width) if fuse else None
        self.activation = nn.ELU() if config.embedding_activation == "elu" else nn.Identity()

    def forward(self, features: dict[str, Tensor]) -> Float[Tensor, "video snippet width"]:
        parts = [self.embed(name, features[name]) for name in self.streams]
        return parts[0] if self.fusion is None else self.activation(self.fusion(torch.cat(parts, dim=-1)))

    def embed(self, name: str, x: Float[Tensor, "video positions width"]) -> Float[Tensor, "video snippet embedded"]:
        x = x.unflatten(1, (-1, self.streams[name].per_snippet))
        if isinstance(self.activation, nn.Identity):  # a linear layer and a mean commute; the mean first is cheaper
            return self.layers[name](x.mean(2))
        return self.activation(self.layers[name](x)).mean(2)


class TemporalAttention(nn.Module):
    """A of the video evidence: softmax over snippets, per modality and category, one for both evidences or one for each."""

    def __init__(self, categories: int, config: Config) -> None:
        super().__init__()
        self.maps = 2 if config.separate_attention else 1
        self.layer = nn.Linear(config.width, self.maps * categories)

    def forward(self, x: Float[Tensor, "video modality snippet width"]) -> tuple[Tensor, Tensor]:
        """The weights for presence and for absence, each (video, modality, snippet, category)."""
        weights = self.layer(x).unflatten(-1, (-1, self.maps)).softmax(dim=2)
        return weights[..., 0], weights[..., -1]
