"""PSP, positive sample propagation along the audio-visual event line (Zhou et al., CVPR 2021): row "PSP" of Table 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import metrics
from .._fields import Count, DropoutRate, Positive, Share, Width
from ..config import DataSpec
from ..data.videoset import VideoSet
from ..errors import InputError
from ..layers import GuidedAttention, Recurrent, masked, mean_over_modalities, mean_over_snippets
from ..method import Batch, Features, Fit, Supervision
from .localization import LocalizationConfig, Localizer, Scores, of_modality

SHARE = "answer_share"  # of a video's snippets, (video, answer) in 0..1: the name of the target in `Supervision`


@dataclass(frozen=True)
class PSPConfig(LocalizationConfig):
    """PSP, weakly supervised, with the schedule of its code."""

    method: ClassVar[str] = "psp"

    width: Width = 512  # of the attention over positions
    lstm_width: Width = 128  # of each direction
    hidden_width: Width = 64  # of the layer below the scores
    attention_dropout: DropoutRate = 0.1  # in the propagation
    # Pairs of snippets below this share of the mean weight, 1 / snippets, are cut: 0.095 for AVE's ten.
    cut: Share = 0.95
    # "share" is a cheat: the share of the snippets that each answer has, which the dense labels of train tell. The released code reads
    # such a file (`prob_label.h5`), whose author says that it holds shares; it was not published with the code.
    label: Literal["weak", "share"] = "weak"
    risk: Literal["soft_margin_of_probability", "soft_margin_of_score", "cross_entropy"] = "cross_entropy"

    epochs: Count = 300
    batch_size: Count = 128
    learning_rate: Positive = 1e-3
    decay: Share = 0.8
    milestones: tuple[Count, ...] = (80, 160)


class PSP(Localizer):
    """AVEL's encoders; snippets of the two modalities that go well together pass their features on to one another."""

    Config = PSPConfig
    paper = "Zhou et al.: Positive sample propagation along the audio-visual event line. CVPR 2021"

    def __init__(self, config: PSPConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        width = 2 * config.lstm_width
        self.attention = GuidedAttention(self.audio_width, self.map.width, config.width, self.map.per_snippet)
        self.narrow = nn.Linear(self.visual_width, config.lstm_width)
        widths = self.audio_width, config.lstm_width
        self.lstms = nn.ModuleList(Recurrent(inputs, config.lstm_width, bidirectional=True) for inputs in widths)
        self.propagation = Propagation(width, config.attention_dropout, config.cut)
        self.hidden = nn.Linear(width, config.hidden_width, bias=False)
        self.classifier = nn.Linear(config.hidden_width, self.answers, bias=False)
        self.temporal_weight = nn.Linear(self.answers, 1, bias=False)

    def scores(self, features: Features, valid: Tensor | None = None, cross_attention: bool = True) -> Scores:
        """Without `cross_attention` positions are weighted as in silence, and nothing is propagated."""
        audio, visual, others = self.inputs(features, valid)
        seen = self.attention(audio if cross_attention else torch.zeros_like(audio), visual)
        inputs = audio, self.narrow(torch.cat([seen, *others], dim=-1))
        x = [lstm(part, of_modality(valid, m))[0] for m, (lstm, part) in enumerate(zip(self.lstms, inputs, strict=True))]
        fused = mean_over_modalities(self.propagation(torch.stack(x, dim=1), valid, cross_attention), valid)
        score = self.classifier(F.relu(self.hidden(fused)))
        score = score * F.relu(self.temporal_weight(score)).sigmoid()
        return Scores(score, score.softmax(-1), mean_over_snippets(score, valid))

    @classmethod
    def prepare(cls, config: PSPConfig, train_set: VideoSet, val_set: VideoSet, fit: Fit) -> Supervision:
        """Each training video's shares of answers where the config cheats. Raises InputError where train has no dense annotations."""
        if config.label == "weak":
            return Supervision()
        if train_set.reference is None:
            raise InputError(f"label = 'share' needs to know when events occur, and {train_set.title} has no dense annotations.")
        answers = np.eye(len(train_set.categories) + 1, dtype=np.float32)[metrics.answers(train_set.reference)]
        valid = None if train_set.valid is None else torch.from_numpy(train_set.valid)
        return Supervision({SHARE: mean_over_snippets(torch.from_numpy(answers), valid)})

    def label(self, batch: Batch) -> Tensor:
        return batch.targets[SHARE] if SHARE in batch.targets else super().label(batch)


class Propagation(nn.Module):
    """Positive sample propagation: each snippet takes up what the well-matching snippets of the other modality hold."""

    def __init__(self, width: int, dropout: float, cut: float) -> None:
        super().__init__()
        # for each modality, what it is compared by and what it passes on
        self.compared, self.passed = (nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(2)) for _ in range(2))
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.cut = cut

    def forward(self, x: Tensor, valid: Tensor | None = None, propagate: bool = True) -> Tensor:
        """(video, modality, snippet, width) -> the same; what does not exist is 0, is compared with nothing and passes nothing on."""
        if not propagate:
            return masked(self.norm(x), valid)
        compared, passed = (
            [self.dropout(F.relu(layer(part))) for layer, part in zip(layers, x.unbind(1), strict=True)]
            for layers in (self.compared, self.passed)
        )
        match = F.relu(compared[0] @ compared[1].transpose(1, 2) / x.shape[-1] ** 0.5)  # (video, audio snippet, visual snippet)
        taken = torch.stack([self.weights(match, valid, 1) @ passed[1], self.weights(match.transpose(1, 2), valid, 0) @ passed[0]], dim=1)
        return masked(self.norm(x + taken), valid)

    def weights(self, match: Tensor, valid: Tensor | None, other: int) -> Tensor:
        """Each row over its sum, small weights cut. `other`: the modality of the columns."""
        weight = match / (match.sum(-1, keepdim=True) + 1e-8)
        count = match.shape[-1] if valid is None else valid[:, other].sum(1).clamp_min(1).reshape(-1, 1, 1)
        return weight * (weight > self.cut / count)
