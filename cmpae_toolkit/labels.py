"""Training labels from weak labels: smoothing, noise ratios and label denoising (JoMoLD, ECCV 2022), vectorised over categories.

A weak label says that a category is somewhere in the video; given to both modalities it is often wrong for one of them.
JoMoLD estimates per category and modality how often (`noise_ratios`), then drops that share of the labels of each batch
where one modality finds the label hard and the other easy (`remove_noisy_labels`).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .config import HANConfig, JoMoLDConfig
from .errors import InputError


def smooth(label: Float[Tensor, "*any"], strength: float) -> Float[Tensor, "*any"]:
    """s y + (1 - s) / 2: 1 becomes 0.95 and 0 becomes 0.05 for s = 0.9.

    >>> smooth(torch.tensor([0.0, 1.0]), 0.5).tolist()
    [0.25, 0.75]
    """
    return strength * label + (1 - strength) / 2


def training_labels(weak_label: Float[Tensor, "video category"], config: HANConfig) -> Float[Tensor, "video modality category"]:
    """The weak label for each modality, smoothed with that modality's strength.

    >>> from cmpae_toolkit import presets
    >>> training_labels(torch.tensor([[1.0, 0.0]]), presets["paper"].changed(visual_smoothing=0.5)).tolist()
    [[[1.0, 0.0], [0.75, 0.25]]]
    """
    return torch.stack([smooth(weak_label, s) for s in (config.audio_smoothing, config.visual_smoothing)], dim=1)


def noise_ratios(
    probability: Float[Tensor, "video modality category"],
    weak_label: Float[Tensor, "video category"],
    config: JoMoLDConfig,
    present: Bool[Tensor, "video modality"] | None = None,
) -> Float[Tensor, "modality category"]:
    """Share of a category's positive labels that look wrong: p * label / mean p below the modality's threshold. float64, in 0..1.

    `probability`: the estimator's, of the whole training set in order; its mean is the mean of batch means, as JoMoLD takes it.
    Categories without a positive label get 0. Videos that lack a modality (`present`) say nothing of its labels.

    >>> from cmpae_toolkit import presets
    >>> probability = torch.tensor([0.9, 0.9, 0.9, 0.1]).view(4, 1, 1).expand(4, 2, 1)
    >>> noise_ratios(probability, torch.ones(4, 1), presets["paper"]).tolist()  # a visual one is noisy below 1.8 times the mean
    [[0.25], [1.0]]
    """
    if present is not None:  # each modality over the videos that have it
        each = (noise_ratios(probability[rows], weak_label[rows], config)[m] for m, rows in enumerate(present.unbind(1)))
        return torch.stack(list(each))
    means = torch.stack([batch.double().mean(0) for batch in probability.split(config.batch_size)]).mean(0)
    labels = training_labels(weak_label.double(), config)
    thresholds = torch.tensor([config.audio_noise_threshold, config.visual_noise_threshold]).view(2, 1)
    positive = (weak_label > 0.5).unsqueeze(1)
    wrong = positive & (probability.double() * labels / means < thresholds)
    # as numbers that a file keeps: an estimate that was just made and one read from the cache train the same weights
    return (wrong.sum(0) / positive.sum(0).clamp_min(1)).double()


def warm_up(epoch: int, batch: int, batches: int, config: JoMoLDConfig) -> float:
    """The factor in 0..1 on the noise ratios; `epoch` counts from 1, `batch` from 0.

    "linear" grows over the first `noise_warm_up_epochs`; "released" is what the public code does: 0 in epoch 1, then 1.

    >>> from cmpae_toolkit import presets
    >>> warm_up(1, 0, 10, presets["paper"]), warm_up(2, 0, 10, presets["paper"])
    (0.0, 1.0)
    """
    if config.noise_warm_up == "released":
        return 0.0 if epoch == 1 else 1.0
    if config.noise_warm_up_epochs <= 0:
        return 1.0
    return min(1.0, (epoch - 1 + batch / batches) / config.noise_warm_up_epochs)


def check_ratios(ratios: Float[Tensor, "modality category"]) -> None:
    """Raises InputError on noise ratios outside 0..1: they are shares of labels.

    >>> check_ratios(torch.tensor([[0.0, 1.5]]))
    Traceback (most recent call last):
    ...
    cmpae_toolkit.errors.InputError: ...
    """
    if not bool(((ratios >= 0) & (ratios <= 1)).all()):
        raise InputError("noise ratios are shares of labels: each must lie in 0..1.")


def remove_noisy_labels(
    labels: Float[Tensor, "video modality category"],
    losses: Float[Tensor, "video modality category"],
    ratios: Float[Tensor, "modality category"],
    present: Bool[Tensor, "video modality"] | None = None,
) -> Float[Tensor, "video modality category"]:
    """Training labels with noisy positives set to 0, per category over the batch.

    A modality's label is dropped when, among the n positives, the other modality's loss is among the k smallest and its own
    among the k largest, k = floor(ratio n). A positive is a label above 0.5. `check_ratios` looks at the ratios once, not here,
    where a GPU would have to be waited for in every batch.

    >>> losses = torch.tensor([[[9.0], [0.1]], [[0.1], [0.1]]])  # of two videos, modality by modality
    >>> remove_noisy_labels(torch.ones(2, 2, 1), losses, torch.full((2, 1), 0.5)).squeeze(2).tolist()
    [[0.0, 1.0], [1.0, 1.0]]
    """
    ratios = ratios.to(device=labels.device, dtype=torch.float64 if labels.device.type != "mps" else torch.float32)
    positive = labels > 0.5
    if present is not None:  # a video without one of the modalities has nothing to compare
        positive = positive & present.all(1).reshape(-1, 1, 1)
    dropped = (ratios * positive.sum(0)).floor().long()
    own_is_hard = _is_among_smallest(-losses, positive, dropped)
    other_is_easy = _is_among_smallest(losses.flip(1), positive, dropped)
    return labels.masked_fill(own_is_hard & other_is_easy, 0.0)


def _is_among_smallest(
    value: Float[Tensor, "video modality category"], among: Bool[Tensor, "video modality category"], count: Tensor
) -> Bool[Tensor, "video modality category"]:
    """Whether a value is one of the `count` (modality, category) smallest of its column, looking only at the marked ones."""
    order = value.masked_fill(~among, float("inf")).argsort(dim=0, stable=True)
    return among & (order.argsort(dim=0) < count)
