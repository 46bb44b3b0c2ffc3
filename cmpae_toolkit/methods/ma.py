"""MA: modality-aware labels by the exchange of tracks (Wu, Yang, CVPR 2021): row "MA" of Table 2.

Three stages. HAN with a contrastive term is trained on weak labels. Then each training video gets the sound, and once more the
picture, of a video that shares no category with it: a label that neither modality finds any more, although the one's own track is
still there, is taken from that modality. Last, the same network is trained anew on the labels that are left.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from .. import labels, losses
from .._fields import Count, Weight
from .._files import home, save_array
from ..config import HANConfig
from ..data.videoset import VideoSet
from ..errors import InputError, InputWarning
from ..inference import predict
from ..method import Batch, Evidence, Fit, Moment, Supervision
from .han import HAN

LABEL = "modality_label"  # (video, modality, category) of 0 and 1: the name of the target in `Supervision`


@dataclass(frozen=True)
class MAConfig(HANConfig):
    """MA as it was published. The paper's Table 2 prints it without the contrastive term (`contrastive_weight` 0)."""

    method: ClassVar[str] = "ma"

    contrastive_weight: Weight = 1.0  # of the contrastive term
    label_source: Literal["weak", "exchange"] = "exchange"  # "weak": the first stage alone
    joint_label: Literal["weak", "audio"] = "weak"  # "audio": the released code, where audio's removed labels are missing here too

    epochs: Count = 12
    gate: Literal["modality", "joint"] = "modality"


class ExchangeHAN(HAN):
    """A method on HAN's heads that learns from MA's labels where its `label_source` says so."""

    @classmethod
    def stage(cls, config: HANConfig) -> MAConfig | None:
        """MA's first stage: in this method's width, else as MA was published."""
        if config.label_source == "weak":
            return None
        return MAConfig(label_source="weak", width=config.width, seed=config.seed, epochs=config.estimator_epochs)

    @classmethod
    def prepare(cls, config: HANConfig, train_set: VideoSet, val_set: VideoSet, fit: Fit) -> Supervision:
        return exchange_supervision(cls.stage(config), train_set, val_set, fit)

    @classmethod
    def check(cls, supervision: Supervision) -> None:
        """Raises InputError on labels of the modalities that are not 0 or 1."""
        made = supervision.targets.get(LABEL)
        if made is not None and not bool(((made == 0) | (made == 1)).all()):
            raise InputError("the labels of each modality must be 0 or 1.")


class MA(ExchangeHAN):
    """HAN with its contrastive term, on labels that the exchange of tracks has refined."""

    Config = MAConfig
    paper = "Wu, Yang: Exploring heterogeneous clues for weakly-supervised audio-visual video parsing. CVPR 2021"

    @classmethod
    def stage(cls, config: MAConfig) -> MAConfig | None:
        """The same network, of the same sizes, on weak labels."""
        return config.changed(label_source="weak", joint_label="weak") if config.label_source == "exchange" else None

    def judge(
        self, embedded: Tensor, cross_attention: bool = True, projected: Tensor | None = None, valid: Tensor | None = None
    ) -> Evidence:
        """HAN's evidence; its `features` are what the contrastive term compares: sound after attention, picture before it."""
        evidence = super().judge(embedded, cross_attention, projected, valid)
        return replace(evidence, features=torch.stack([evidence.features[:, 0], embedded[:, 1]], dim=1))

    def losses(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """HAN's losses with the labels that are left, and the contrastive term."""
        evidence = self(batch.features, valid=batch.valid)
        made = refined(labels.training_labels(batch.weak_label, self.config), batch)
        named = self.risks(evidence, made, joint_target(batch, self.config.joint_label))
        if self.config.contrastive_weight:
            named["contrastive"] = mean_contrastive(evidence.features, batch.valid)
        return named


def mean_contrastive(features: Tensor, valid: Tensor | None = None, smoothing: float = 0.1) -> Tensor:
    """-sum_j s_j log softmax_j of the similarities, s = 1 - smoothing at the same time; the mean over audio snippets.

    JoMoLD's term has the smoothed target inside the logarithm. Snippets that one modality lacks are left out.
    """
    similarity = losses.snippet_similarity(features)
    both = torch.ones_like(similarity[:, 0], dtype=torch.bool) if valid is None else valid.all(1)
    count = both.sum(1).reshape(-1, 1, 1)
    same = torch.eye(similarity.shape[-1], dtype=torch.bool, device=similarity.device)
    share = torch.where(same, 1 - smoothing * (count > 1), smoothing / (count - 1).clamp_min(1))
    log_share = similarity.masked_fill(~both.unsqueeze(1), torch.finfo(similarity.dtype).min / 4).log_softmax(-1)
    terms = -(share * both.unsqueeze(1) * log_share).sum(-1)
    return (terms * both).sum() / both.sum().clamp_min(1)


def refined(training_labels: Tensor, batch: Batch) -> Tensor:
    """Training labels (video, modality, category) with 0 where the supervision's label of a modality is gone."""
    if LABEL not in batch.targets:
        return training_labels
    return training_labels.masked_fill((batch.weak_label.unsqueeze(1) > 0.5) & (batch.targets[LABEL] < 0.5), 0.0)


def joint_target(batch: Batch, joint_label: str) -> Tensor:
    """What the joint answer learns: the weak label, or what is left of it to the sound (`MAConfig.joint_label`)."""
    return refined(batch.weak_label.unsqueeze(1), batch)[:, 0] if joint_label == "audio" else batch.weak_label


def exchange_supervision(base: MAConfig | None, train_set: VideoSet, val_set: VideoSet, fit: Fit) -> Supervision:
    """The labels that MA's first stage `base` leaves to each modality; nothing where there is no such stage.

    Kept under `CMPAE_HOME` per data set and stage, so that all methods with the same first stage have the same labels.
    """
    if base is None:
        return Supervision()
    key = repr((base, train_set.checksum(), val_set.checksum()))
    file = home() / "exchanged_labels" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"
    if file.is_file():
        return Supervision({LABEL: torch.from_numpy(np.load(file, allow_pickle=False)).float()})
    model = fit(base, train_set, val_set).model
    made = exchanged_labels(lambda video_set: predict(model, video_set).video.probability, train_set, base.seed)
    try:
        save_array(file, made.to(torch.uint8).numpy())
    except InputError as error:  # the result does not hang on it
        warnings.warn(f"{error} Until then the labels are made anew each time.", InputWarning, stacklevel=2)
    return Supervision({LABEL: made})


def exchanged_labels(probability: Callable[[VideoSet], Tensor], train_set: VideoSet, seed: int) -> Tensor:
    """The weak labels of each modality (video, modality, category) without those that the exchange of tracks removes.

    `probability` gives the video probabilities of a set. A video that shares a category with every other one keeps its labels.
    """
    weak = torch.as_tensor(train_set.weak_labels)
    partner = partners(train_set, seed)
    found = torch.from_numpy(partner >= 0)
    other = train_set.subset(np.where(found, partner, np.arange(len(partner))))
    own, with_picture, with_sound = (
        probability(s) for s in (train_set, mixed(train_set, other, "visual"), mixed(train_set, other, "audio"))
    )
    present = None if train_set.present is None else torch.as_tensor(train_set.present)
    gone = removed(weak, error_rates(own, weak, present), with_picture, with_sound)
    return weak.unsqueeze(1) * ~(gone & found.reshape(-1, 1, 1))


def partners(train_set: VideoSet, seed: int) -> np.ndarray:
    """For each video one, with both modalities, that shares no category with it, drawn uniformly; -1 where there is none."""
    rng, positive = np.random.default_rng(seed), train_set.weak_labels > 0.5
    whole = np.ones(len(positive), bool) if train_set.present is None else train_set.present.all(1)
    others = (np.flatnonzero(whole & ~positive[:, row].any(1)) for row in positive)
    return np.array([rng.choice(o) if len(o) else -1 for o in others])


def mixed(video_set: VideoSet, other: VideoSet, modality: str) -> VideoSet:
    """The videos with the streams of one modality taken from the other set, as long as the shorter of the two."""
    foreign = {n for n, m in video_set.modalities.items() if m == modality}
    features = {n: (other if n in foreign else video_set).features[n] for n in video_set.features}
    lengths = None if video_set.lengths is None else np.minimum(video_set.lengths, other.lengths)
    present = video_set.present
    if present is not None:
        m = ("audio", "visual").index(modality)
        present = np.where(np.arange(2) == m, other.present, present)
    return replace(video_set, features=features, lengths=lengths, present=present)


def error_rates(probability: Tensor, weak: Tensor, present: Tensor | None = None) -> Tensor:
    """Share of videos where p > 0.5 is not the weak label: (modality, category), in 0..1; of the videos that have the modality."""
    wrong = ((probability > 0.5) != (weak > 0.5).unsqueeze(1)).float()
    if present is None:
        return wrong.mean(0)
    return (wrong * present.unsqueeze(-1)).sum(0) / present.sum(0).clamp_min(1).unsqueeze(-1)


def removed(weak: Tensor, error_rate: Tensor, with_picture: Tensor, with_sound: Tensor) -> Tensor:
    """MA's rule: which labels (video, modality, category) are not the modality's.

    `with_picture`, `with_sound`: both modalities' video probabilities under a foreign picture or sound (video, modality, category).
    A label goes where both are below half of the category's error rate over the largest one; never where there was no error.
    """
    ratio = error_rate / error_rate.max(-1, keepdim=True).values
    absent = torch.stack([(p / r < 0.5).all(1) for p, r in zip((with_picture, with_sound), ratio, strict=True)], dim=1)
    return absent & (weak > 0.5).unsqueeze(1)
