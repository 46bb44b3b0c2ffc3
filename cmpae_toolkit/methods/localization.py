"""What the methods for AVE's weakly supervised task share: one answer a snippet, a category or background, learned from the video's.

The answer of a training video is its weak label; background where it has none (AVE's 178 background videos). Videos with several
categories are learned with all of them, but each snippet is still given one. Both modalities are judged together, so that snippet and
video probabilities are the same for both; they leave background out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .. import losses
from .._fields import Count
from ..config import MODALITIES, DataSpec, MethodConfig
from ..errors import InputError
from ..layers import masked
from ..method import Batch, Evidence, Features, Method, Moment
from ..opinion import PointEstimate


@dataclass(frozen=True)
class LocalizationConfig(MethodConfig):
    """What AVE's methods have in common."""

    task: Literal["parsing", "localization"] = "localization"
    select_epoch_by: str = "accuracy"
    milestones: tuple[Count, ...] = ()  # the rate decays after these epochs, where given, and not every `decay_epochs`
    # of the video's probabilities. The released code of three methods gives them to the soft-margin loss, which expects scores and then
    # stays above 0.67; "soft_margin_of_score" gives it the scores.
    risk: Literal["soft_margin_of_probability", "soft_margin_of_score", "cross_entropy"] = "soft_margin_of_probability"


class Scores(NamedTuple):
    """What a network says. Answers are the categories, then background."""

    answer: Tensor | None  # (video, snippet, answer): the highest is the snippet's; None: thresholds decide
    snippet: Tensor  # (video, snippet, answer): probabilities
    video: Tensor  # (video, answer): scores, whose softmax is the video's probabilities


class OnMaps(Method):
    """A method that looks at the positions of a snippet's picture.

    Visual streams: the one with the most positions a snippet (AVE's 7 x 7 map) is attended to; the others, averaged over their
    positions, join what it becomes. Several audio streams stand side by side.
    """

    def __init__(self, config: MethodConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        streams = [spec.of_modality(m) for m in MODALITIES]
        if not all(streams):
            raise InputError(f"the data have the streams {sorted(spec.streams)}: at least one of each modality is needed.")
        audio, visual = streams
        self.attended = max(visual, key=lambda name: visual[name].per_snippet)
        self.map = visual[self.attended]
        self.audio_width = sum(s.width for s in audio.values())
        self.visual_width = sum(s.width for s in visual.values())  # of the attended stream with the others beside it

    def inputs(self, features: Features, valid: Tensor | None) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Sound (video, snippet, width), the attended map (video, snippet, position, width), further visual streams as the sound.

        They are 0 where there is no snippet.
        """
        parts = {n: x.unflatten(1, (-1, self.spec.streams[n].per_snippet)) for n, x in self.as_tensors(features).items()}
        if valid is not None:
            parts = {n: masked(x, valid[:, MODALITIES.index(self.spec.streams[n].modality)]) for n, x in parts.items()}
        audio, visual = (self.spec.of_modality(m) for m in MODALITIES)
        others = [parts[n].mean(2) for n in visual if n != self.attended]
        return torch.cat([parts[n].mean(2) for n in audio], dim=-1), parts[self.attended], others


class Localizer(OnMaps):
    """A method that answers "which category, or background"; subclasses give `Config` and `scores`."""

    tasks: ClassVar[frozenset[str]] = frozenset({"localization"})

    def __init__(self, config: LocalizationConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        self.answers = len(spec.categories) + 1

    def scores(self, features: Features, valid: Tensor | None = None, cross_attention: bool = True) -> Scores:
        """The network."""
        raise NotImplementedError

    def forward(self, features: Features, cross_attention: bool = True, valid: Tensor | None = None) -> Evidence:
        answer, snippet, video = self.scores(features, valid, cross_attention)
        joint = video.softmax(-1)[..., :-1]
        by_modality = (x.unsqueeze(1).expand(-1, len(MODALITIES), *x.shape[1:]) for x in (snippet[..., :-1], joint))
        return Evidence(*map(PointEstimate, (*by_modality, joint)), answer=answer, valid=valid)

    def losses(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """The config's risk of the video's answer, the mean over videos and answers."""
        # in float32 also under autocast: the softmax of these losses loses the sign of small gradients in bfloat16
        score, label = losses.at_least_float32(self.scores(batch.features, batch.valid).video), self.label(batch)
        if self.config.risk == "cross_entropy":
            return {"joint": losses.binary_cross_entropy(score.softmax(-1), label).mean()}
        logit = score if self.config.risk == "soft_margin_of_score" else score.softmax(-1)
        return {"joint": F.multilabel_soft_margin_loss(logit, label)}

    def label(self, batch: Batch) -> Tensor:
        """What the video's answer should be (video, answer)."""
        background = (batch.weak_label.amax(1, keepdim=True) < 0.5).to(batch.weak_label.dtype)
        return torch.cat([batch.weak_label, background], dim=1)

    def learning_rate(self, epoch: int) -> float:
        c = self.config
        if not c.milestones or c.schedule == "cosine" or epoch <= c.warm_up_epochs:
            return super().learning_rate(epoch)
        return c.learning_rate * c.decay ** sum(epoch > milestone for milestone in c.milestones)


def of_modality(valid: Tensor | None, modality: int) -> Tensor | None:
    """Which of a modality's snippets exist (video, snippet); None where all do."""
    return None if valid is None else valid[:, modality]
