"""DHHN: three time scales and two teachers (Jiang, Xu, Liu, Xu, ACM MM 2022): row "DHHN" of Table 2.

HAN's layer and heads see each video at three strides, and the answer is the mean over them. Beside it a network for each modality
alone learns the same labels; the parser imitates both, and their answers are pushed apart. The printed row learns from MA's labels,
and its authors take each track from the epoch that is best for it; here one epoch is chosen on val for both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import labels, losses
from .._fields import Count, Positive, Share
from ..config import MODALITIES, DataSpec, HANConfig
from ..layers import HybridAttention, TemporalAttention, embeddings, masked
from ..method import Batch, Evidence, Moment
from ..opinion import PointEstimate
from .han import pool
from .ma import ExchangeHAN, joint_target, refined

STRIDES = ((1, 1), (3, 2), (5, 5))  # kernel and stride of each scale
ROUNDS = {"audio": 4, "visual": 3}  # how often a teacher's encoder is applied
LAYERS = {"audio": 1, "visual": 2}  # of its encoder


@dataclass(frozen=True)
class DHHNConfig(HANConfig):
    """DHHN as its authors trained it on MA's labels; with the fields of `WEAK` as they did on weak ones."""

    method: ClassVar[str] = "dhhn"

    teacher_heads: Count = 8  # of the teachers' attention
    teacher_smoothing: Share = 0.9  # of the visual teacher's labels
    audio_teacher_rate: Positive = 1.0  # shares of the learning rate
    visual_teacher_rate: Positive = 1.0  # the same for the picture
    label_source: Literal["weak", "exchange"] = "exchange"  # "exchange": MA's labels, from tracks of other videos
    joint_label: Literal["weak", "audio"] = "weak"  # "audio": the released code, as in MA
    estimator_epochs: Count = 12  # of MA's first stage

    epochs: Count = 5
    batch_size: Count = 64
    gate: Literal["modality", "joint"] = "modality"


WEAK: dict[str, Any] = dict(label_source="weak", teacher_smoothing=1.0, audio_teacher_rate=2.0, visual_teacher_rate=0.2, epochs=10)


class Scale(nn.Module):
    """One modality at one stride: a convolution, batch norm over the snippets that exist, a rectifier."""

    def __init__(self, width: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor, exists: Tensor) -> Tensor:
        """(video, snippet, width) -> (video, step, width); `exists` (video, step)."""
        rows = self.conv(x.transpose(1, 2)).transpose(1, 2)[exists]
        n = self.norm
        if len(rows) > 1 or not self.training:
            rows = n(rows)
        else:  # one row has no variance
            rows = F.batch_norm(rows, n.running_mean, n.running_var, n.weight, n.bias, eps=n.eps)
        made = rows.new_zeros(*exists.shape, rows.shape[-1])
        made[exists] = F.relu(rows)
        return made


class Teacher(nn.Module):
    """A network for one modality alone: one encoder applied several times, each time added to what it was given."""

    def __init__(self, modality: str, config: DHHNConfig, spec: DataSpec) -> None:
        super().__init__()
        self.embedding = embeddings(spec, config.width)[modality]
        sizes = (config.width, config.attention_dropout, config.teacher_heads)
        self.layers = nn.ModuleList(HybridAttention(*sizes, cross=False) for _ in range(LAYERS[modality]))
        for layer in self.layers:
            layer.load_state_dict(self.layers[0].state_dict())
        self.rounds = ROUNDS[modality]
        self.classifier = nn.Linear(config.width, len(spec.categories))
        self.temporal_attention = TemporalAttention(len(spec.categories), config.width)

    def forward(self, tensors: dict[str, Tensor], valid: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The probabilities of the video (video, category) and of its snippets (video, snippet, category)."""
        x = self.embedding(tensors).unsqueeze(1)
        valid = None if valid is None else valid.unsqueeze(1)
        for _ in range(self.rounds):
            encoded = x
            for layer in self.layers:
                encoded = layer(encoded, valid=valid)
            x = encoded + x
        logits, (attention, _) = self.classifier(x), self.temporal_attention(x, valid)
        return pool(logits, attention)[:, 0], logits.sigmoid()[:, 0]


class DHHN(ExchangeHAN):
    """HAN on three scales, taught by a network of each modality."""

    Config = DHHNConfig
    paper = "Jiang et al.: DHHN: dual hierarchical hybrid network for weakly-supervised audio-visual video parsing. MM 2022"

    def __init__(self, config: DHHNConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        self.scales = nn.ModuleDict({m: nn.ModuleList(Scale(config.width, *s) for s in STRIDES) for m in MODALITIES})
        self.teachers = nn.ModuleDict({m: Teacher(m, config, spec) for m in MODALITIES})

    def judge(
        self, embedded: Tensor, cross_attention: bool = True, projected: Tensor | None = None, valid: Tensor | None = None
    ) -> Evidence:
        """The mean of the heads' probabilities on the three scales, each added to the finer ones."""
        exists = torch.ones(embedded.shape[:3], dtype=torch.bool, device=embedded.device) if valid is None else valid
        embedded, x, parts = masked(embedded, valid), 0, []
        for number, (_, stride) in enumerate(STRIDES):
            seen = exists[..., ::stride]
            scale = torch.stack([s[number](embedded[:, m], seen[:, m]) for m, s in enumerate(self.scales.values())], dim=1)
            steps = self.hybrid_attention(scale, cross_attention and self.config.cross_attention, valid=None if valid is None else seen)
            x = x + stretched(steps, seen.sum(-1), exists.sum(-1), embedded.shape[2])
            parts.append(self.read(x, valid)[0])
        means = {n: torch.stack([getattr(p, n).probability for p in parts]).mean(0) for n in ("snippet", "video", "joint")}
        return replace(parts[0], **{n: PointEstimate(value) for n, value in means.items()})

    def losses(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """HAN's losses, the parser's distance to its teachers, the teachers' own losses, and how far apart the modalities are."""
        weak, valid = batch.weak_label, batch.valid
        evidence = self(batch.features, valid=valid)
        made = refined(labels.training_labels(weak, self.config), batch)
        named = self.risks(evidence, made, joint_target(batch, self.config.joint_label))
        tensors = self.as_tensors(batch.features)
        taught = [t(tensors, None if valid is None else valid[:, m])[0] for m, t in enumerate(self.teachers.values())]
        present = None if valid is None else valid.any(2)
        teaching = torch.stack(taught, dim=1)
        distance = (evidence.video.probability - teaching.detach()).square()
        wanted = torch.stack([weak, labels.smooth(weak, self.config.teacher_smoothing)], dim=1)
        own = losses.binary_cross_entropy(teaching, refined(wanted, batch))
        for m, modality in enumerate(MODALITIES):
            named[f"{modality}_imitation"] = losses.of_modality(distance, m, present).mean()
            named[f"{modality}_teacher"] = losses.of_modality(own, m, present).mean()
        named["difference"] = -difference(evidence.video.probability, present)
        named["teacher_difference"] = -difference(teaching, present)
        return named

    def optimizer(self) -> torch.optim.Optimizer:
        """One optimiser for all; the teachers take their shares of its rate."""
        made = super().optimizer(p for n, p in self.named_parameters() if not n.startswith("teachers."))
        shares = [1.0, self.config.audio_teacher_rate, self.config.visual_teacher_rate]
        for teacher in self.teachers.values():
            made.add_param_group({"params": list(teacher.parameters())})

        def scaled(factors: list[float]) -> None:
            for group, factor in zip(made.param_groups, factors, strict=True):
                group["lr"] = group["lr"] * factor

        made.register_step_pre_hook(lambda *_: scaled(shares))
        made.register_step_post_hook(lambda *_: scaled([1 / s for s in shares]))
        return made


def difference(probability: Tensor, present: Tensor | None) -> Tensor:
    """Mean squared difference of the modalities' video probabilities (video, modality, category), of videos that have both."""
    squares = (probability[:, 0] - probability[:, 1]).square().mean(-1)
    return squares.mean() if present is None else (squares * present.all(1)).sum() / present.all(1).sum().clamp_min(1)


def stretched(steps: Tensor, counts: Tensor, lengths: Tensor, snippets: int) -> Tensor:
    """Steps (video, modality, step, width) repeated to snippets, the nearest earlier one; `counts` steps span `lengths` snippets."""
    time = torch.arange(snippets, device=steps.device)
    index = (time * counts.unsqueeze(-1)) // lengths.clamp_min(1).unsqueeze(-1)
    index = index.clamp_max(steps.shape[2] - 1).unsqueeze(-1).expand(-1, -1, -1, steps.shape[-1])
    return steps.gather(2, index)
