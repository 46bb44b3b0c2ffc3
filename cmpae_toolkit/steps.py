"""The training step on one batch, and what it needs: the order of videos, the learning rate, the optimiser."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from . import labels, losses
from .config import Config
from .model import CMPAE, Features


def training_step(
    model: CMPAE, features: Features, weak_label: Tensor, ratios: Tensor | None, epoch: int, batch: int, batches: int
) -> tuple[dict[str, Tensor], Tensor]:
    """The named losses of one batch and the training labels they were taken with; the caller steps the optimiser.

    `ratios` (modality, category): noise ratios, or None to keep all labels. `epoch` counts from 1, `batch` from 0; even
    batches let the joint branch teach, odd ones the modalities (Eq. 10).
    """
    now = None if ratios is None else ratios * labels.warm_up(epoch, batch, batches, model.config)
    return scheduled_step(model, features, weak_label, now, teacher_of(batch), epoch)


def teacher_of(batch: int) -> str:
    """Who teaches in a batch (Eq. 10): the joint branch in even ones, the modalities in odd ones."""
    return "joint" if batch % 2 == 0 else "modality"


def scheduled_step(
    model: CMPAE, features: Features, weak_label: Tensor, ratios: Tensor | None, teacher: str, epoch: int
) -> tuple[dict[str, Tensor], Tensor]:
    """`training_step` with the batch's noise ratios and teacher already chosen."""
    config = model.config
    embedded = model.embed(features)
    projected = model.hybrid_attention.project(embedded)  # the same in all passes over the batch
    training_labels = labels.training_labels(weak_label, config)
    if ratios is not None:
        with torch.no_grad():  # dropout stays on, as in JoMoLD
            alone = model.judge_video(embedded, cross_attention=False, projected=projected)
            risks = losses.evidence_risk(alone, training_labels, "log")
        training_labels = labels.remove_noisy_labels(training_labels, risks, ratios)
    evidence = model.judge(embedded, projected=projected)
    return losses.training_losses(evidence, training_labels, weak_label, config, teacher, epoch), training_labels


def shuffled(count: int, batch_size: int) -> list[np.ndarray]:
    """The positions 0 .. count - 1 in a random order of torch's generator, in batches."""
    return np.array_split(torch.randperm(count).numpy(), range(batch_size, count, batch_size))


def learning_rate(config: Config, epoch: int) -> float:
    """The step decay: a factor `decay` every `decay_epochs` epochs, which count from 1."""
    return config.learning_rate * config.decay ** ((epoch - 1) // config.decay_epochs)


def set_learning_rate(optimizer: torch.optim.Adam, config: Config, epoch: int) -> None:
    """The epoch's rate; in place where a recorded graph reads it."""
    rate = learning_rate(config, epoch)
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def adam(parameters: Iterable[Tensor], rate: float, device: torch.device, graphed: bool = False) -> torch.optim.Adam:
    """Adam, all of its arithmetic in one kernel where PyTorch has one; `graphed`: in a form that a CUDA graph can record."""
    on_gpu = device.type == "cuda"
    if graphed:  # a graph reads the rate from a tensor, which CUDA's kernel takes in float32
        rate = torch.tensor(rate, device=device, dtype=torch.float32 if on_gpu else torch.float64)
    return torch.optim.Adam(parameters, lr=rate, fused=on_gpu or device.type == "cpu", capturable=graphed and on_gpu)
