
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .opinion import Judgement, concatenate

Features = Mapping[str, Any]


@dataclass(frozen=True)
class Evidence:
    """What the model says of a batch of videos. Judgements are opinions, or point estimates for heads without evidence.

    `snippet` (video, modality, snippet, category), `video` (video, modality, category), `joint` (video, category),
    `attention` over snippets (video, modality, snippet, category), `features` (video, modality, snippet, width).
    """

    snippet: Judgement
    video: Judgement
    joint: Judgement
    attention: Tensor
    features: Tensor

    def to(self, device: str | torch.device) -> "Evidence":
        return self.apply(lambda x: x.to(device))

    def apply(self, change) -> "Evidence":
        judged = (j.apply(change) for j in (self.snippet, self.video, self.joint))
        return Evidence(*judged, change(self.attention), change(self.features))

    def __getitem__(self, index: Any) -> "Evidence":
        """The chosen videos."""
        return self.apply(lambda x: x[index])

    @staticmethod
    def concatenate(parts: list["Evidence"]) -> "Evidence":
        judged = (concatenate([getattr(p, name) for p in parts]) for name in ("snippet", "video", "joint"))
        return Evidence(*judged, torch.cat([p.attention for p in parts]), torch.cat([p.features for p in parts]))
