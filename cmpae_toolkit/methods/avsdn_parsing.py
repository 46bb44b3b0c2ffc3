"""AVSDN on LLP's task: ours. HAN's authors say of their rows "AVSDN" only that they added branches and a loss for each modality.

An LSTM reads each modality, their last states are fused, and a third LSTM starts from what came out and reads both (Lin et al., ICASSP
2019). Classifiers on the first two give each modality's answer and one on the third the joint one; sizes were not published.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..config import DataSpec
from ..layers import Recurrent
from ..method import Features
from .avel_parsing import Branches, BranchesConfig
from .localization import OnMaps, of_modality


@dataclass(frozen=True)
class AVSDNParsingConfig(BranchesConfig):
    """LSTMs as wide as CMPAE's layers, on CMPAE's schedule."""

    method: ClassVar[str] = "avsdn_parsing"


class AVSDNParsing(Branches, OnMaps):
    """Two encoding LSTMs and a decoding one."""

    Config = AVSDNParsingConfig
    paper = "ours, after Lin, Li, Wang: Dual-modality seq2seq network for audio-visual event localization. ICASSP 2019"

    def __init__(self, config: AVSDNParsingConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        widths, width, categories = (self.audio_width, self.visual_width), config.width, len(spec.categories)
        self.encoders = nn.ModuleList(Recurrent(inputs, width) for inputs in widths)
        self.hidden_fusion, self.cell_fusion = DualResidual(width), DualResidual(width)
        self.decoder = Recurrent(sum(widths), width)
        self.classifiers = nn.ModuleList(nn.Linear(width, categories) for _ in widths)
        self.classifier = nn.Linear(width, categories)

    def probabilities(self, features: Features, valid: Tensor | None, cross_attention: bool) -> tuple[Tensor, Tensor]:
        """The modalities meet in the joint answer alone, so that `cross_attention` changes nothing."""
        audio, visual, others = self.inputs(features, valid)
        inputs = audio, torch.cat([visual.mean(2), *others], dim=-1)
        read = [encoder(x, of_modality(valid, m)) for m, (encoder, x) in enumerate(zip(self.encoders, inputs, strict=True))]
        alone = torch.stack([classify(x) for classify, (x, _) in zip(self.classifiers, read, strict=True)], dim=1)
        hidden, cell = zip(*(state for _, state in read), strict=True)
        start = self.hidden_fusion(*hidden), self.cell_fusion(*cell)
        decoded, _ = self.decoder(torch.cat(inputs, dim=-1), None if valid is None else valid.any(1), start)
        return alone.sigmoid(), self.classifier(decoded).sigmoid()


class DualResidual(nn.Module):
    """Two vectors, each moved by what both say together, and their mean (Tian et al., ECCV 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.audio, self.visual = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, audio: Tensor, visual: Tensor) -> Tensor:
        together = (self.audio(audio) + self.visual(visual)) / 2
        return (torch.tanh(audio + together) + torch.tanh(visual + together)) / 2
