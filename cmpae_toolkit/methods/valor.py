"""VALOR, VALOR+ and VALOR++: labels of snippets from teachers of one modality (Lai, Chen, Wang, NeurIPS 2023).

HAN with more heads and layers learns from the weak label what occurs, and from CLIP and CLAP in which snippets of which modality.
The teachers' labels are read from files; how their authors chose the teachers' 50 thresholds is not published. `VALORConfig()` is
VALOR, with the fields of `PLUS` it is VALOR+, and VALOR++ is VALOR+ on other data: `frames` holds CLIP's vector of each snippet and
`audio` CLAP's map (`snippets_of_clap`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .. import labels, losses
from .._fields import Count, Positive, Range, Share, Weight, Width
from ..config import MODALITIES, DataSpec, HANConfig
from ..layers import HybridStack
from ..method import Batch, Moment
from .snippet_labels import LABEL, OnSnippetLabels

Decay = Annotated[float, Range(0, 1, open_high=True)]
PLUS: dict[str, Any] = dict(width=256, attention_layers=4, learning_rate=3e-4)  # VALOR+ and VALOR++


@dataclass(frozen=True)
class VALORConfig(HANConfig):
    """VALOR as it was published. The weights `audio_weight` and `visual_weight` are those of the snippets' losses."""

    method: ClassVar[str] = "valor"

    attention_heads: Count = 8  # of each layer
    attention_layers: Count = 1  # one after the other
    feed_forward_width: Width = 1024  # in each layer
    snippet_labels: str = ""  # a folder of audio/<id>.npy and visual/<id>.npy, (snippet, category) in 0..1; "han": of a HAN trained first
    visual_smoothing: Share = 1.0  # of the snippets' labels, like `audio_smoothing`

    epochs: Count = 60
    batch_size: Count = 64
    learning_rate: Positive = 1e-4
    schedule: Literal["step", "cosine"] = "cosine"
    warm_up_epochs: Annotated[int, Range(0, 2**31)] = 10
    lowest_share: Share = 0.01  # of the learning rate, which the cosine comes down to
    optimizer: Literal["adam", "adamw"] = "adamw"
    betas: tuple[Decay, ...] = (0.5, 0.999)  # how fast Adam forgets gradients and their squares
    weight_decay: Weight = 1e-3
    clip_gradient: Positive | None = 1.0


class VALOR(OnSnippetLabels):
    """HAN's heads on a stack of hybrid attention; the visual stream sees the sound that the same layer has just updated."""

    Config = VALORConfig
    paper = "Lai, Chen, Wang: Modality-independent teachers meet weakly-supervised audio-visual event parser. NeurIPS 2023"

    def __init__(self, config: VALORConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        sizes = (config.width, config.attention_dropout, config.attention_heads, config.feed_forward_width)
        self.hybrid_attention = HybridStack(config.attention_layers, *sizes)

    def losses(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """Cross-entropy of the joint answer with the weak label, and of each modality's snippets with the teachers' labels."""
        attended = self.hybrid_attention(self.embed(batch.features), self.config.cross_attention, valid=batch.valid)
        evidence, logits = self.read(attended, batch.valid)
        risks = F.binary_cross_entropy_with_logits(logits, self.wanted(batch), reduction="none")
        joint = losses.binary_cross_entropy(evidence.joint.probability, batch.weak_label).mean()
        return {"joint": joint, **mean_by_modality(risks, batch.valid)}

    def wanted(self, batch: Batch) -> Tensor:
        """The teachers' labels (video, modality, snippet, category), smoothed as the config says."""
        strengths = (self.config.audio_smoothing, self.config.visual_smoothing)
        return torch.stack([labels.smooth(x, s) for x, s in zip(batch.targets[LABEL].unbind(1), strengths, strict=True)], dim=1)

    def optimizer(self) -> torch.optim.Optimizer:
        made = super().optimizer()
        for group in made.param_groups:
            group["betas"] = self.config.betas
        return made

    def learning_rate(self, epoch: int) -> float:
        """A linear warm-up to the rate, then half a cosine down to `lowest_share` of it; or steps."""
        c = self.config
        if c.schedule == "step" or epoch < c.warm_up_epochs:
            return super().learning_rate(epoch)
        lowest = c.lowest_share * c.learning_rate
        done = (epoch - c.warm_up_epochs) / max(1, c.epochs - c.warm_up_epochs)
        return lowest + (c.learning_rate - lowest) / 2 * (1 + cos(pi * done))


def mean_by_modality(risks: Tensor, valid: Tensor | None) -> dict[str, Tensor]:
    """The mean over the snippets that exist: (video, modality, snippet, category) -> a scalar for each modality."""
    if valid is None:
        return {m: risks[:, i].mean() for i, m in enumerate(MODALITIES)}
    sums = (risks.mean(-1) * valid).sum((0, 2)) / valid.sum((0, 2)).clamp_min(1)
    return dict(zip(MODALITIES, sums, strict=True))


def snippets_of_clap(maps: np.ndarray, snippets: int = 10) -> np.ndarray:
    """CLAP's last maps (video, 64, width) as one vector a snippet (video, snippet, width), float32.

    A map has 2 rows of 32 steps. The authors resize it bicubically to 1024 steps and average; all of it is one fixed matrix.
    """
    unit = torch.eye(64).reshape(64, 1, 2, 32)
    steps = F.interpolate(unit, size=(2, 1024), mode="bicubic", align_corners=False).mean(2)
    weights = F.adaptive_avg_pool1d(steps, snippets)[:, 0].numpy()
    return np.einsum("ts,vtw->vsw", weights, np.asarray(maps, dtype=np.float32))
