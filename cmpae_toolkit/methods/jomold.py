"""JoMoLD: joint-modal label denoising on HAN's network (Cheng et al., ECCV 2022): rows "JoMoLD" of Tables 1 to 5.

A first network, without cross-attention, tells how often each category's label is wrong for one modality (`estimate_noise_ratios`).
The second drops that share of the labels in each batch, where one modality finds a label hard and the other finds it easy.
"""

from __future__ import annotations

import hashlib
import warnings

import torch
from torch import Tensor

from .. import labels, losses
from .._files import home, read_json, write_json
from ..config import JoMoLDConfig
from ..data.videoset import VideoSet
from ..errors import InputError, InputWarning
from ..inference import predict
from ..method import Batch, Fit, Method, Moment, Supervision
from .han import HAN

RATIOS = "noise_ratios"  # (modality, category), in 0..1: the name of the constant in `Supervision`
SHARED = (
    "width", "batch_size", "learning_rate", "decay", "decay_epochs", "seed", "audio_noise_threshold", "visual_noise_threshold",
)


class Denoising(Method):
    """What JoMoLD's label procedure adds to a method: an earlier stage that estimates the noise ratios."""

    @classmethod
    def stage(cls, config: JoMoLDConfig) -> JoMoLDConfig | None:
        return estimator_config(config) if config.denoise else None

    @classmethod
    def prepare(cls, config: JoMoLDConfig, train_set: VideoSet, val_set: VideoSet, fit: Fit) -> Supervision:
        """The noise ratios, where the config denoises."""
        return Supervision(constants={RATIOS: estimate_noise_ratios(config, train_set, val_set, fit)} if config.denoise else {})

    @classmethod
    def check(cls, supervision: Supervision) -> None:
        """Raises InputError on noise ratios outside 0..1."""
        if RATIOS in supervision.constants:
            labels.check_ratios(supervision.constants[RATIOS])


class JoMoLD(Denoising, HAN):
    """HAN with visual dropout, the contrastive term and denoised labels."""

    Config = JoMoLDConfig
    paper = "Cheng et al.: Joint-modal label denoising for weakly-supervised audio-visual video parsing. ECCV 2022"

    def losses(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """HAN's losses with denoised labels, and the contrastive term."""
        embedded = self.embed(batch.features)
        projected = self.hybrid_attention.project(embedded)  # the same in both passes over the batch
        training_labels = denoised(self, batch, moment, lambda: self.judge(embedded, False, projected, batch.valid).video)
        evidence = self.judge(embedded, projected=projected, valid=batch.valid)
        named = self.risks(evidence, training_labels, batch.weak_label)
        if self.config.contrastive_weight:
            named["contrastive"] = losses.mean_contrastive(evidence.features, batch.valid)
        return named


def denoised(method: Method, batch: Batch, moment: Moment, judge_alone) -> Tensor:
    """Training labels (video, modality, category) of a batch, noisy ones removed where the supervision holds noise ratios.

    `judge_alone()` gives the video judgement of a pass without cross-attention; dropout stays on in it, as in JoMoLD.
    """
    training_labels = labels.training_labels(batch.weak_label, method.config)
    if RATIOS not in batch.constants:
        return training_labels
    now = batch.constants[RATIOS] * labels.warm_up(moment.epoch, moment.batch, moment.batches, method.config)
    with torch.no_grad():
        risks = losses.evidence_risk(judge_alone(), training_labels, "log")
    present = None if batch.valid is None else batch.valid.any(2)
    return labels.remove_noisy_labels(training_labels, risks, now, present)


def estimator_config(config: JoMoLDConfig) -> JoMoLDConfig:
    """The config of the network that estimates the noise ratios for runs of `config`: in their size and schedule, without
    cross-attention, all weights 1, all labels kept, its epoch chosen by event-level audio F (JoMoLD, section 3.2)."""
    kept = {name: getattr(config, name) for name in SHARED}
    return JoMoLDConfig(
        cross_attention=False, audio_weight=1.0, denoise=False, select_epoch_by="event.audio", epochs=config.estimator_epochs, **kept
    )


def estimate_noise_ratios(config: JoMoLDConfig, train_set: VideoSet, val_set: VideoSet, fit: Fit) -> Tensor:
    """JoMoLD's noise ratios (modality, category): trains its estimator, then compares p with its mean. float64, in 0..1.

    Kept under `CMPAE_HOME` per data set, seed and estimator, so that every config of one grid uses the same ratios.
    """
    estimator = estimator_config(config)
    key = repr((estimator, train_set.checksum(), val_set.checksum()))
    file = home() / RATIOS / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
    if file.is_file():
        return torch.tensor(read_json(file)["ratios"], dtype=torch.float64)
    run = fit(estimator, train_set, val_set)
    present = None if train_set.present is None else torch.as_tensor(train_set.present)
    probability = predict(run.model, train_set).video.probability
    ratios = labels.noise_ratios(probability, torch.as_tensor(train_set.weak_labels), estimator, present)
    try:
        write_json(file, {"data": train_set.title, "categories": train_set.categories, "ratios": ratios.tolist()})
    except InputError as error:  # the result does not hang on it
        warnings.warn(f"{error} Until then noise ratios are estimated anew each time.", InputWarning, stacklevel=2)
    return ratios
