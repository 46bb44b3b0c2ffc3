"""Parts that methods share: embeddings, hybrid attention (HAN, ECCV 2020), temporal attention.

Axes are (video, modality, snippet, width) throughout. `valid` (video, modality, snippet) marks the snippets that exist; padding and
missing modalities are left out of every softmax and every sum. Where it is None, all exist and nothing is masked.

The projections of the self-attention do not depend on whether the cross-attention is on, so passes with and without it over the
same input share them (`HybridAttention.project`).
"""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .config import MODALITIES, DataSpec, StreamSpec
from .errors import InputError


class Embedding(nn.Module):
    """The streams of one modality -> (video, snippet, width): a linear layer a stream, mean over a snippet's positions, fusion."""

    def __init__(self, streams: dict[str, StreamSpec], width: int, activation: str, fuse: bool) -> None:
        super().__init__()
        self.streams = streams
        self.layers = nn.ModuleDict({name: nn.Linear(stream.width, width) for name, stream in streams.items()})
        self.fusion = nn.Linear(len(streams) * width, width) if fuse else None
        self.activation = nn.ELU() if activation == "elu" else nn.Identity()

    def forward(self, features: Mapping[str, Tensor]) -> Float[Tensor, "video snippet width"]:
        parts = [self.embed(name, features[name]) for name in self.streams]
        return parts[0] if self.fusion is None else self.activation(self.fusion(torch.cat(parts, dim=-1)))

    def embed(self, name: str, x: Float[Tensor, "video positions width"]) -> Float[Tensor, "video snippet embedded"]:
        """One stream, the mean over the positions of each snippet."""
        x = x.unflatten(1, (-1, self.streams[name].per_snippet))
        if isinstance(self.activation, nn.Identity):  # a linear layer and a mean commute; the mean first is cheaper
            return self.layers[name](x.mean(2))
        return self.activation(self.layers[name](x)).mean(2)


def embeddings(spec: DataSpec, width: int, activation: str = "none") -> nn.ModuleDict:
    """An embedding for each modality of the data. Raises InputError where a modality has no stream.

    >>> from cmpae_toolkit import load
    >>> list(embeddings(load("tiny", "test").spec, width=8))
    ['audio', 'visual']
    """
    streams = {m: spec.of_modality(m) for m in MODALITIES}
    if not all(streams.values()):
        raise InputError(f"the data have the streams {sorted(spec.streams)}: at least one of each modality is needed.")
    return nn.ModuleDict({m: Embedding(s, width, activation, fuse=m == "visual" or len(s) > 1) for m, s in streams.items()})


class Attention(nn.Module):
    """Scaled dot-product attention; parameters are named and drawn as those of `nn.MultiheadAttention`.

    Raises InputError where the width is no multiple of the number of heads.
    """

    def __init__(self, width: int, dropout: float, heads: int = 1) -> None:
        super().__init__()
        if width % heads:
            raise InputError(f"a width of {width} cannot be shared out to {heads} attention heads: choose a multiple.")
        self.dropout, self.heads = dropout, heads  # the dropout is that of the attention weights
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def project(self, x: Float[Tensor, "video modality snippet width"]) -> Float[Tensor, "video modality snippet three_widths"]:
        """Queries, keys and values of every snippet, side by side."""
        return F.linear(x, self.in_proj_weight, self.in_proj_bias)

    def forward(
        self,
        projected: Float[Tensor, "video modality snippet three_widths"],
        to_other: bool = False,
        valid: Bool[Tensor, "video modality snippet"] | None = None,
    ) -> Float[Tensor, "video modality snippet width"]:
        """Each snippet attends to the snippets of its own modality, or of the other one; to nothing where that one is missing."""
        query, key, value = (self._by_head(x) for x in projected.chunk(3, dim=-1))
        if to_other:
            key, value = key.flip(1), value.flip(1)
        rate = self.dropout if self.training else 0.0
        if valid is None:
            return self.out_proj(self._joined(F.scaled_dot_product_attention(query, key, value, dropout_p=rate)))
        seen = valid.flip(1) if to_other else valid
        anything = seen.any(-1, keepdim=True)
        mask = (seen | ~anything).unsqueeze(-2)  # a softmax over nothing would be NaN
        mask = mask if self.heads == 1 else mask.unsqueeze(2)
        attended = self.out_proj(self._joined(F.scaled_dot_product_attention(query, key, value, mask, dropout_p=rate)))
        return attended * anything.unsqueeze(-1)

    def _by_head(self, x: Tensor) -> Tensor:
        """(video, modality, snippet, width) -> (video, modality, head, snippet, width of a head) where there are several heads."""
        return x if self.heads == 1 else x.unflatten(-1, (self.heads, -1)).transpose(2, 3)

    def _joined(self, x: Tensor) -> Tensor:
        return x if self.heads == 1 else x.transpose(2, 3).flatten(-2)


class HybridAttention(nn.Module):
    """HAN's layer, shared by the modalities: each attends to its own snippets and, with cross-attention, to the other's.

    Both modalities are updated from the old values, or with `sequential` the visual one sees the audio that was just updated. Without
    `cross` it is a plain transformer layer with the norm after each step, over as many modalities as it is given.
    """

    def __init__(
        self, width: int, dropout: float, heads: int = 1, feed_forward: int | None = None, sequential: bool = False, cross: bool = True
    ) -> None:
        super().__init__()
        self.self_attention = Attention(width, dropout, heads)
        self.cross_attention = Attention(width, dropout, heads) if cross else None
        hidden = feed_forward or width
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.sequential = sequential

    def project(self, x: Float[Tensor, "video modality snippet width"]) -> Float[Tensor, "video modality snippet three_widths"]:
        """What every pass over `x` shares: the projections of the self-attention."""
        return self.self_attention.project(x)

    def forward(
        self,
        x: Float[Tensor, "video modality snippet width"],
        cross_attention: bool = True,
        projected: Float[Tensor, "video modality snippet three_widths"] | None = None,
        valid: Bool[Tensor, "video modality snippet"] | None = None,
    ) -> Float[Tensor, "video modality snippet width"]:
        """q <- LN(q + self(q) [+ cross(q, other)]), then LN(q + feed-forward(q)).

        `projected`: `project(x)` where another pass has computed it.
        """
        update = self.dropout(self.self_attention(self.project(x) if projected is None else projected, valid=valid))
        if not cross_attention or self.cross_attention is None:
            return masked(self.finish(x, update), valid)
        across = self.cross_attention.project(x)
        if not self.sequential:
            update = update + self.dropout(self.cross_attention(across, to_other=True, valid=valid))
            return masked(self.finish(x, update), valid)
        heard = self.dropout(self.cross_attention(across, to_other=True, valid=valid)[:, :1])
        audio = self.finish(x[:, :1], update[:, :1] + heard)
        across = torch.cat([self.cross_attention.project(audio), across[:, 1:]], dim=1)
        seen = self.dropout(self.cross_attention(across, to_other=True, valid=valid)[:, 1:])
        return masked(torch.cat([audio, self.finish(x[:, 1:], update[:, 1:] + seen)], dim=1), valid)

    def finish(self, x: Tensor, update: Tensor) -> Tensor:
        """Both residual steps and their norms, once the attention's update is known."""
        x = self.norm1(x + update)
        forward = self.linear2(self.dropout(F.relu(self.linear1(x))))
        return self.norm2(x + self.dropout(forward))


class HybridStack(nn.ModuleList):
    """Hybrid attention layers, each on what the one before gives; they start as copies of the first. Called like one layer."""

    def __init__(self, count: int, width: int, dropout: float, heads: int, feed_forward: int) -> None:
        super().__init__(HybridAttention(width, dropout, heads, feed_forward, sequential=True) for _ in range(count))
        for layer in self:
            layer.load_state_dict(self[0].state_dict())

    def project(self, x: Tensor) -> Tensor:
        """What every pass over `x` shares: the projections of the first layer's self-attention."""
        return self[0].project(x)

    def forward(
        self, x: Tensor, cross_attention: bool = True, projected: Tensor | None = None, valid: Tensor | None = None
    ) -> Float[Tensor, "video modality snippet width"]:
        for number, layer in enumerate(self):
            x = layer(x, cross_attention, projected if number == 0 else None, valid)
        return x


class TemporalAttention(nn.Module):
    """A of the video evidence: softmax over snippets, per modality and category; `maps` of them, e.g. one for each evidence."""

    def __init__(self, categories: int, width: int, maps: int = 1) -> None:
        super().__init__()
        self.maps = maps
        self.layer = nn.Linear(width, maps * categories)

    def forward(
        self, x: Float[Tensor, "video modality snippet width"], valid: Bool[Tensor, "video modality snippet"] | None = None
    ) -> tuple[Tensor, Tensor]:
        """The weights of the first and the last map (the same one where there is one), each (video, modality, snippet, category)."""
        weights = softmax_over(self.layer(x).unflatten(-1, (-1, self.maps)), 2, valid)
        return weights[..., 0], weights[..., -1]


def masked(x: Tensor, valid: Tensor | None) -> Tensor:
    """`x` with zeros where there is no snippet; `valid` covers its first axes.

    >>> masked(torch.ones(2, 3), torch.tensor([True, False])).tolist()
    [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    """
    return x if valid is None else x * _spread(valid, x)


def softmax_over(x: Tensor, axis: int, valid: Tensor | None) -> Tensor:
    """A softmax over one axis that leaves out what does not exist; all zeros where nothing does.

    >>> softmax_over(torch.zeros(3), 0, torch.tensor([True, True, False])).tolist()
    [0.5, 0.5, 0.0]
    """
    if valid is None:
        return x.softmax(dim=axis)
    exists = _spread(valid, x).expand_as(x)
    x = x.masked_fill(~exists, torch.finfo(x.dtype).min).softmax(dim=axis)
    return x * exists


def mean_over_modalities(x: Float[Tensor, "video modality *rest"], valid: Tensor | None) -> Float[Tensor, "video *rest"]:  # noqa: F821
    """The mean over the modalities that a video has, of values that are 0 in a modality that it lacks.

    >>> only_audio = torch.tensor([[[True, True], [False, False]]])  # (video, modality, snippet)
    >>> mean_over_modalities(torch.tensor([[[4.0, 4.0], [0.0, 0.0]]]), only_audio).tolist()
    [[4.0, 4.0]]
    """
    if valid is None:
        return x.mean(1)
    return x.sum(1) / _spread(valid.any(2).sum(1).clamp_min(1), x[:, 0])


def mean_over_snippets(x: Float[Tensor, "video snippet category"], valid: Tensor | None) -> Float[Tensor, "video category"]:
    """The mean over the snippets that exist in either modality.

    >>> mean_over_snippets(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[[True, True, False]] * 2])).tolist()
    [[2.0]]
    """
    if valid is None:
        return x.mean(1)
    exists = valid.any(1)
    return masked(x, exists).sum(1) / exists.sum(1, keepdim=True).clamp_min(1)


def _spread(valid: Tensor, x: Tensor) -> Tensor:
    return valid.reshape(*valid.shape, *[1] * (x.ndim - valid.ndim))


class GuidedAttention(nn.Module):
    """Attention over the positions of a snippet's picture, guided by its sound (AVEL, Tian et al., ECCV 2018).

    z_p = w . tanh(A v_p + (B g)_p) from embedded positions v and sound g; the sound shifts each position as a whole.
    """

    def __init__(self, audio_width: int, visual_width: int, width: int, positions: int) -> None:
        super().__init__()
        self.audio, self.visual = nn.Linear(audio_width, width), nn.Linear(visual_width, width)
        self.from_audio, self.from_visual = (nn.Linear(width, positions, bias=False) for _ in range(2))
        self.weigh = nn.Linear(positions, 1, bias=False)
        for layer in self.children():
            nn.init.xavier_uniform_(layer.weight)

    def forward(
        self, audio: Float[Tensor, "video snippet audio_width"], visual: Float[Tensor, "video snippet position width"]
    ) -> Float[Tensor, "video snippet width"]:
        """The weighted sum of the positions as they came in."""
        by_position = self.from_audio(F.relu(self.audio(audio))).unsqueeze(-1)
        z = self.weigh(torch.tanh(self.from_visual(F.relu(self.visual(visual))) + by_position))
        return (z.softmax(-2) * visual).sum(-2)


class Recurrent(nn.LSTM):
    """An LSTM over snippets, which ends, or with `bidirectional` starts backwards, at each video's own last snippet."""

    def __init__(self, inputs: int, width: int, bidirectional: bool = False) -> None:
        super().__init__(inputs, width, batch_first=True, bidirectional=bidirectional)

    def forward(
        self, x: Float[Tensor, "video snippet width"], exists: Bool[Tensor, "video snippet"] | None = None,
        state: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Float[Tensor, "video snippet outputs"], tuple[Tensor, Tensor]]:
        """Its outputs, both directions side by side, zeros where there is no snippet (`exists`), and the last state (h, c).

        `state`: the one to start from.
        """
        if exists is None:
            return super().forward(x, state)
        ends = (exists * torch.arange(1, x.shape[1] + 1, device=x.device)).amax(1).clamp_min(1)
        packed = pack_padded_sequence(x, ends.cpu(), batch_first=True, enforce_sorted=False)
        outputs, last = super().forward(packed, state)
        return masked(pad_packed_sequence(outputs, batch_first=True, total_length=x.shape[1])[0], exists), last


def max_over_snippets(x: Float[Tensor, "video snippet category"], valid: Tensor | None) -> Float[Tensor, "video category"]:
    """The maximum over the snippets that exist in either modality, category by category; 0 where none does.

    >>> max_over_snippets(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[[True, True, False]] * 2])).tolist()
    [[3.0]]
    """
    if valid is None:
        return x.amax(1)
    exists = valid.any(1)
    return masked(x.masked_fill(~exists.unsqueeze(-1), torch.finfo(x.dtype).min).amax(1), exists.any(1))


class TransformerLayer(nn.Module):
    """A transformer's layer with its norms behind each step: attention over a memory (itself where none is given), then two layers.

    Raises InputError where the width is no multiple of the number of heads.
    """

    def __init__(self, width: int, heads: int, forward_width: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise InputError(f"a width of {width} cannot be shared out to {heads} attention heads: choose a multiple.")
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(width, forward_width), nn.Linear(forward_width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "video snippet width"], memory: Float[Tensor, "video other width"] | None = None,
        exists: Bool[Tensor, "video other"] | None = None,
    ) -> Float[Tensor, "video snippet width"]:
        """`exists`: what there is of the memory."""
        x = self.norm1(x + self.dropout(attend(self.attention, x, x if memory is None else memory, exists)))
        return self.norm2(x + self.dropout(self.linear2(self.dropout(F.relu(self.linear1(x))))))


def attend(
    attention: nn.MultiheadAttention, x: Float[Tensor, "video snippet width"], memory: Float[Tensor, "video other width"],
    exists: Bool[Tensor, "video other"] | None = None,
) -> Float[Tensor, "video snippet width"]:
    """What each snippet draws from what there is of a memory; nothing where there is nothing.

    >>> attend(nn.MultiheadAttention(8, 2, batch_first=True), torch.ones(1, 10, 8), torch.ones(1, 4, 8)).shape
    torch.Size([1, 10, 8])
    """
    if exists is None:
        return attention(x, memory, memory, need_weights=False)[0]
    anything = exists.any(-1, keepdim=True)  # a softmax over nothing would be NaN
    return attention(x, memory, memory, key_padding_mask=~(exists | ~anything), need_weights=False)[0] * anything.unsqueeze(-1)
