"""The contract for methods: what a method is given, what it says, and what training asks of it. This file knows no method.

A method is a network (`forward`) with named losses (`losses`). It may also prepare training labels before the first epoch
(`prepare`), infer otherwise than it trains (`infer`), and bring its own optimiser, schedule or decoding; the defaults follow
`MethodConfig`. `train.fit` trains every method in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from . import decode
from .config import DataSpec, MethodConfig
from .data.videoset import VideoSet
from .decode import Thresholds
from .errors import InputError
from .opinion import Judgement, Opinion, PointEstimate, concatenate

Features = Mapping[str, Any]


@dataclass(frozen=True)
class Evidence:
    """What a method says of a batch of videos. Judgements are opinions, or point estimates for heads without evidence.

    `snippet` (video, modality, snippet, category), `video` (video, modality, category), `joint` (video, category). Where a method
    has them: `attention` over snippets (video, modality, snippet, category), `features` (video, modality, snippet, width), and
    `answer` (video, snippet, category + 1), the scores of methods that ask which category it is, or none. `valid` (video, modality,
    snippet) says which snippets exist; None means all.
    """

    snippet: Judgement
    video: Judgement
    joint: Judgement
    attention: Tensor | None = None
    features: Tensor | None = None
    answer: Tensor | None = None
    valid: Tensor | None = None

    def to(self, device: str | torch.device) -> Evidence:
        """The same evidence on another device."""
        return self.apply(lambda x: x.to(device))

    def apply(self, change: Callable[[Tensor], Tensor]) -> Evidence:
        """The same change of form (index, device, detach, ...) to everything that is there."""
        def changed(part: Any) -> Any:
            return part.apply(change) if isinstance(part, (Opinion, PointEstimate)) else None if part is None else change(part)

        return replace(self, **{f.name: changed(getattr(self, f.name)) for f in fields(self)})

    def __getitem__(self, index: Any) -> Evidence:
        """The evidence of the chosen videos."""
        return self.apply(lambda x: x[index])

    @staticmethod
    def concatenate(parts: list[Evidence]) -> Evidence:
        """The evidence of several batches as one."""
        def joined(name: str) -> Any:
            values = [getattr(part, name) for part in parts]
            if values[0] is None:
                return None
            return torch.cat(values) if isinstance(values[0], Tensor) else concatenate(values)

        return Evidence(**{f.name: joined(f.name) for f in fields(Evidence)})


@dataclass(frozen=True)
class Supervision:
    """What a method learns from beside weak labels, made once before training.

    `targets`: name -> (video, ...), a row for each training video. `constants`: name -> a tensor that is the same for all videos.
    """

    targets: Mapping[str, Tensor] = field(default_factory=dict)
    constants: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """Some videos as tensors on a device, with their rows of the supervision.

    `features`: stream -> (video, snippet x positions, width). `weak_label` (video, category), None for unlabelled videos. `valid`
    (video, modality, snippet), bool: which snippets exist; None where all videos are equally long and have both modalities.
    """

    features: Mapping[str, Tensor]
    weak_label: Tensor | None
    valid: Tensor | None = None
    targets: Mapping[str, Tensor] = field(default_factory=dict)
    constants: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.features.values())))


@dataclass(frozen=True)
class Moment:
    """Where in training a batch stands: `epoch` counts from 1, `batch` from 0, and an epoch has `batches` of them."""

    epoch: int
    batch: int
    batches: int


Fit = Callable[[MethodConfig, VideoSet, VideoSet], Any]  # trains an earlier stage and returns its `Run`


class Method(nn.Module):
    """A method. Subclasses give `Config`, `forward` and `losses`; everything else has a default."""

    Config: ClassVar[type[MethodConfig]]
    paper: ClassVar[str] = ""  # where it is described
    tasks: ClassVar[frozenset[str]] = frozenset({"parsing", "localization"})

    def __init__(self, config: MethodConfig, spec: DataSpec) -> None:
        super().__init__()
        self.config, self.spec = config, spec

    def forward(self, features: Features, cross_attention: bool = True, valid: Tensor | None = None) -> Evidence:
        """The network. `cross_attention=False` leaves out whatever lets one modality look at the other, where there is such a part."""
        raise NotImplementedError

    def losses(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """The named losses of one batch as scalars, before the weights that the config has for them (`audio_weight`, ...)."""
        raise NotImplementedError

    @classmethod
    def stage(cls, config: MethodConfig) -> MethodConfig | None:
        """The config of the earlier stage that `prepare` trains, None where there is none: runs of one stage share its supervision."""
        return None

    @classmethod
    def prepare(cls, config: MethodConfig, train_set: VideoSet, val_set: VideoSet, fit: Fit) -> Supervision:
        """The supervision beside weak labels. It never sees test; `fit` trains an earlier stage where the method has one."""
        return Supervision()

    @classmethod
    def check(cls, supervision: Supervision) -> None:
        """Raises InputError where the supervision holds values that the method cannot use."""

    def infer(self, features: Features, valid: Tensor | None = None) -> Evidence:
        """What `predict` reports."""
        return self(features, valid=valid)

    def optimizer(self, parameters: Iterable[Tensor] | None = None) -> torch.optim.Optimizer:
        """Adam or AdamW as the config says, on the method's own parameters unless others are given (a part of them)."""
        kind = torch.optim.AdamW if self.config.optimizer == "adamw" else torch.optim.Adam
        parameters = list(self.parameters() if parameters is None else parameters)
        # all of the arithmetic in one kernel, where PyTorch has one
        fused = parameters[0].device.type in ("cpu", "cuda")
        return kind(parameters, lr=self.config.learning_rate, weight_decay=self.config.weight_decay, fused=fused)

    def learning_rate(self, epoch: int) -> float:
        """The rate of an epoch, which counts from 1: a linear warm-up, then step decay or a half cosine down to 0."""
        c = self.config
        if epoch <= c.warm_up_epochs:
            return c.learning_rate * epoch / c.warm_up_epochs
        if c.schedule == "cosine":
            done = (epoch - 1 - c.warm_up_epochs) / max(1, c.epochs - c.warm_up_epochs)
            return c.learning_rate * 0.5 * (1 + np.cos(np.pi * done))
        return c.learning_rate * c.decay ** ((epoch - 1) // c.decay_epochs)

    def thresholds(self) -> Thresholds:
        """The thresholds to start from; training may choose others on val."""
        return Thresholds.of(self.config, self.spec.categories)

    def decode(self, evidence: Evidence, thresholds: Thresholds) -> np.ndarray:
        """Boolean rolls (video, modality, snippet, category)."""
        return decode.decode(evidence, thresholds)

    def as_tensors(self, features: Features) -> dict[str, Tensor]:
        """The streams on the method's device and in its dtype. Raises InputError where one is missing or has another shape."""
        weight = next(self.parameters())
        tensors = {}
        for name, stream in self.spec.streams.items():
            if name not in features:
                raise InputError(f"the model needs the feature stream {name!r}, the data have {sorted(features)}.")
            x = torch.as_tensor(features[name], dtype=weight.dtype, device=weight.device)
            if x.ndim != 3 or x.shape[2] != stream.width or x.shape[1] % stream.per_snippet:
                raise InputError(
                    f"stream {name!r} has shape {tuple(x.shape)}: the model was made for (video, snippets x {stream.per_snippet}, "
                    f"{stream.width})."
                )
            tensors[name] = x
        lengths = {name: x.shape[1] // self.spec.streams[name].per_snippet for name, x in tensors.items()}
        if len(set(lengths.values())) > 1 or len({len(x) for x in tensors.values()}) > 1:
            raise InputError(f"the streams disagree: snippets {lengths}, videos { {n: len(x) for n, x in tensors.items()} }.")
        return tensors
