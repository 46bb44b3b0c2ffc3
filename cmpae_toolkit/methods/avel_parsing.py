"""AVEL on LLP's task: ours. HAN's authors say of their rows "AVE" only that they added branches and a loss for each modality.

So nothing here is a reproduction of these rows: the published network (`methods.avel`), the positions of its map the frames of a
snippet, with a classifier on each modality's LSTM beside the one on both, and HAN's losses on the highest probability over time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import labels
from .._fields import Share, Weight, Width
from ..config import DataSpec, MethodConfig
from ..layers import GuidedAttention, Recurrent, max_over_snippets
from ..method import Batch, Evidence, Features, Method, Moment
from ..opinion import PointEstimate
from .han import HAN
from .localization import OnMaps, of_modality


@dataclass(frozen=True)
class BranchesConfig(MethodConfig):
    """What methods for AVE need on LLP: HAN's labels and the weights of its losses, on CMPAE's schedule."""

    width: Width = 512  # of the attention, or of the LSTMs
    audio_smoothing: Share = 1.0  # of the weak label: y -> s y + (1 - s) / 2
    visual_smoothing: Share = 0.9  # the same for the picture
    audio_weight: Weight = 1.0  # of the loss on the sound's video probabilities
    visual_weight: Weight = 1.0  # of the loss on the picture's video probabilities
    joint_weight: Weight = 1.0  # of the loss on the joint ones


class Branches(Method):
    """A method whose subclasses give `probabilities`, of each modality and of both; HAN's losses on their maximum over time."""

    tasks: ClassVar[frozenset[str]] = frozenset({"parsing"})

    def probabilities(self, features: Features, valid: Tensor | None, cross_attention: bool) -> tuple[Tensor, Tensor]:
        """(video, modality, snippet, category), and of both modalities together (video, snippet, category)."""
        raise NotImplementedError

    def forward(self, features: Features, cross_attention: bool = True, valid: Tensor | None = None) -> Evidence:
        snippet, both = self.probabilities(features, valid, cross_attention)
        of_one = (None, None) if valid is None else valid.split(1, dim=1)
        video = torch.stack([max_over_snippets(x, exists) for x, exists in zip(snippet.unbind(1), of_one, strict=True)], dim=1)
        return Evidence(*map(PointEstimate, (snippet, video, max_over_snippets(both, valid))), valid=valid)

    def losses(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        strengths = self.config.audio_smoothing, self.config.visual_smoothing
        made = torch.stack([labels.smooth(batch.weak_label, strength) for strength in strengths], dim=1)
        return HAN.risks(self(batch.features, valid=batch.valid), made, batch.weak_label)


@dataclass(frozen=True)
class AVELParsingConfig(BranchesConfig):
    """AVEL's sizes, on CMPAE's schedule."""

    method: ClassVar[str] = "avel_parsing"

    lstm_width: Width = 128  # of each direction
    hidden_width: Width = 64  # of the layer below the joint scores


class AVELParsing(Branches, OnMaps):
    """Frames weighted by the sound, an LSTM a modality, a classifier for each and one for both."""

    Config = AVELParsingConfig
    paper = "ours, after Tian et al.: Audio-visual event localization in unconstrained videos. ECCV 2018"

    def __init__(self, config: AVELParsingConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        c, categories, others = config, len(spec.categories), self.visual_width - self.map.width
        self.embedding = nn.Linear(self.map.width, c.width)
        self.attention = GuidedAttention(self.audio_width, c.width, c.width, self.map.per_snippet)
        widths = self.audio_width, c.width + others
        self.lstms = nn.ModuleList(Recurrent(inputs, c.lstm_width, bidirectional=True) for inputs in widths)
        self.classifiers = nn.ModuleList(nn.Linear(2 * c.lstm_width, categories) for _ in widths)
        self.hidden, self.classifier = nn.Linear(4 * c.lstm_width, c.hidden_width), nn.Linear(c.hidden_width, categories)

    def probabilities(self, features: Features, valid: Tensor | None, cross_attention: bool) -> tuple[Tensor, Tensor]:
        """Without `cross_attention` frames are weighted as in silence."""
        audio, visual, others = self.inputs(features, valid)
        seen = self.attention(audio if cross_attention else torch.zeros_like(audio), self.embedding(visual))
        inputs = audio, torch.cat([seen, *others], dim=-1)
        x = [lstm(part, of_modality(valid, m))[0] for m, (lstm, part) in enumerate(zip(self.lstms, inputs, strict=True))]
        alone = torch.stack([classify(part) for classify, part in zip(self.classifiers, x, strict=True)], dim=1)
        both = self.classifier(F.relu(self.hidden(F.relu(torch.cat(x, dim=-1)))))
        return alone.sigmoid(), both.sigmoid()
