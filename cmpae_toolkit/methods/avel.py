"""AVEL, audio-visual event localization with audio-guided visual attention (Tian et al., ECCV 2018): row "AVEL" of Table 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._fields import Count, Positive, Share, Width
from ..config import DataSpec
from ..layers import GuidedAttention, Recurrent, max_over_snippets, mean_over_snippets
from ..method import Features
from .localization import LocalizationConfig, Localizer, Scores, of_modality


@dataclass(frozen=True)
class AVELConfig(LocalizationConfig):
    """AVEL, weakly supervised, with the schedule of its code, whose batches are those of `order="category"`."""

    method: ClassVar[str] = "avel"

    width: Width = 512  # of the attention
    lstm_width: Width = 128  # of each direction
    hidden_width: Width = 64  # of the layer below the scores
    pooling: Literal["mean", "max"] = "mean"  # of the snippets' scores: of the paper, of the released code

    epochs: Count = 250
    batch_size: Count = 64
    learning_rate: Positive = 1e-3
    decay: Share = 0.1
    decay_epochs: Count = 277  # 15,000 steps, which the 250 epochs do not reach


class AVEL(Localizer):
    """Positions weighted by the sound, an LSTM a modality, a score for each snippet and answer."""

    Config = AVELConfig
    paper = "Tian et al.: Audio-visual event localization in unconstrained videos. ECCV 2018"

    def __init__(self, config: AVELConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        self.attention = GuidedAttention(self.audio_width, self.map.width, config.width, self.map.per_snippet)
        widths = self.audio_width, self.visual_width
        self.lstms = nn.ModuleList(Recurrent(inputs, config.lstm_width, bidirectional=True) for inputs in widths)
        self.hidden = nn.Linear(4 * config.lstm_width, config.hidden_width)
        self.classifier = nn.Linear(config.hidden_width, self.answers)

    def scores(self, features: Features, valid: Tensor | None = None, cross_attention: bool = True) -> Scores:
        """Without `cross_attention` positions are weighted as in silence."""
        audio, visual, others = self.inputs(features, valid)
        seen = self.attention(audio if cross_attention else torch.zeros_like(audio), visual)
        inputs = audio, torch.cat([seen, *others], dim=-1)
        x = [lstm(part, of_modality(valid, m))[0] for m, (lstm, part) in enumerate(zip(self.lstms, inputs, strict=True))]
        score = self.classifier(F.relu(self.hidden(F.relu(torch.cat(x, dim=-1)))))
        pool = max_over_snippets if self.config.pooling == "max" else mean_over_snippets
        return Scores(score, score.softmax(-1), pool(score, valid))
