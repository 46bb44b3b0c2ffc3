"""A plain twin of CMPAE's training step: what its equations need when nothing is shared between passes and modalities.

Written out from the paper's equations and the released code's differences as docs/equations.md and docs/released_code.md tell them;
the parameters are those of a model of the toolkit, so that a test can compare losses and gradients. The denoising pass is a whole
forward pass; each pass embeds the features anew, each modality is attended by itself with its own projections, and Adam walks
through the parameters one by one.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cmpae_toolkit import labels, losses
from cmpae_toolkit.layers import Attention, Embedding, HybridAttention
from cmpae_toolkit.method import Batch, Evidence, Moment
from cmpae_toolkit.model import CMPAE


class PlainTwin:
    """A step on a model's own parameters, called as `train.PlainStep` is."""

    def __init__(self, model: CMPAE) -> None:
        self.model = model
        self.optimizer = torch.optim.Adam(model.parameters(), lr=model.config.learning_rate, foreach=False, fused=False)

    def __call__(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        named = plain_losses(self.model, batch, moment)
        loss = losses.total(named, self.model.config)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return named


def plain_losses(model: CMPAE, batch: Batch, moment: Moment) -> dict[str, Tensor]:
    """Eq. 11's named losses of a batch whose videos are all equally long."""
    config = model.config
    wanted = labels.training_labels(batch.weak_label, config)
    with torch.no_grad():
        risks = losses.evidence_risk(judge(model, batch, cross=False).video, wanted, "log")
    now = batch.constants["noise_ratios"] * labels.warm_up(moment.epoch, moment.batch, moment.batches, config)
    wanted = labels.remove_noisy_labels(wanted, risks, now)
    teacher = "joint" if moment.batch % 2 == 0 else "modality"
    return losses.training_losses(judge(model, batch, cross=True), wanted, batch.weak_label, config, teacher, moment.epoch)


def judge(model: CMPAE, batch: Batch, cross: bool) -> Evidence:
    """One whole pass: embedding, attention (with the config's share of it without the cross term), all heads."""
    audio, visual = (embed(embedding, batch.features) for embedding in model.embedding.values())
    x = attend(model.hybrid_attention, audio, visual, cross)
    share = model.config.self_attention_share
    if cross and share:
        x = (1 - share) * x + share * attend(model.hybrid_attention, audio, visual, False)
    return model.read(x, torch.stack([audio, visual], dim=1))


def embed(embedding: Embedding, features: dict[str, Tensor]) -> Tensor:
    """(video, snippet, width): each position through its layer and the activation, then the mean."""
    parts = []
    for name, stream in embedding.streams.items():
        y = embedding.activation(embedding.layers[name](features[name]))
        parts.append(y.unflatten(1, (-1, stream.per_snippet)).mean(2))
    return parts[0] if embedding.fusion is None else embedding.activation(embedding.fusion(torch.cat(parts, dim=-1)))


def attend(layer: HybridAttention, audio: Tensor, visual: Tensor, cross: bool) -> Tensor:
    """HAN's layer (video, modality, snippet, width), one modality after the other."""
    attended = []
    for x, other in ((audio, visual), (visual, audio)):
        update = layer.dropout(look(layer.self_attention, x, x))
        if cross:
            update = update + layer.dropout(look(layer.cross_attention, x, other))
        attended.append(layer.finish(x, update))
    return torch.stack(attended, dim=1)


def look(attention: Attention, x: Tensor, other: Tensor) -> Tensor:
    """Scaled dot-product attention of one head, its weights written out."""
    weights, biases = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
    query, key, value = (F.linear(y, w, b) for y, w, b in zip((x, other, other), weights, biases, strict=True))
    scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
    return attention.out_proj(F.dropout(scores.softmax(-1), attention.dropout, attention.training) @ value)
