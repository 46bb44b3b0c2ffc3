"""Linear probes: what simple models reach on a data set, the yardsticks between the floors and a perfect score.

A weak probe knows what CMPAE knows: the weak labels, which each modality alone must explain with its strongest snippet. A
strong probe knows when each category is audible and visible: about the most that a linear model can read from one snippet. Both
open only the categories that a weakly trained gate, a linear model that sees both modalities, finds in the video.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import metrics
from .._fields import Count, Positive, Share, Weight
from ..config import MODALITIES, DataSpec, MethodConfig, Modality
from ..data.videoset import VideoSet
from ..errors import InputError
from ..layers import embeddings, masked
from ..losses import binary_cross_entropy, of_modality
from ..method import Batch, Evidence, Features, Method, Moment
from ..opinion import PointEstimate

STEPS, EPOCHS = 600, 40  # at most, whichever ends first
BATCH = 128  # videos in a step
LEARNING_RATE = 0.01
DECAY = 1e-3  # of the weights, on standardised inputs
CANDIDATES = np.round(np.arange(0.05, 0.96, 0.05), 2)  # thresholds tried on val


@dataclass(frozen=True)
class Probe:
    """A linear layer on the standardised features of one snippet."""

    mean: Tensor  # (width)
    scale: Tensor  # (width)
    weight: Tensor  # (width, category)
    bias: Tensor  # (category)

    def logits(self, inputs: Tensor) -> Tensor:
        """(video, snippet, width) -> (video, snippet, category)."""
        return ((inputs - self.mean) / self.scale) @ self.weight + self.bias

    def probability(self, inputs: Tensor) -> np.ndarray:
        """Snippet probabilities (video, snippet, category), in 0..1."""
        with torch.no_grad():
            return torch.sigmoid(self.logits(inputs)).numpy()


def snippet_inputs(video_set: VideoSet, modality: str) -> Tensor:
    """(video, snippet, width), float32: all streams of a modality side by side, each the mean over the positions in a snippet."""
    parts = []
    for name in video_set.spec.of_modality(modality):
        stream = video_set.features[name]
        by_snippet = stream.reshape(len(stream), video_set.snippets, -1, stream.shape[2])
        parts.append(by_snippet.mean(axis=2, dtype=np.float32))
    return torch.from_numpy(np.concatenate(parts, axis=2))


def strong_probe(inputs: Tensor, roll: np.ndarray, seed: int = 0) -> Probe:
    """Logistic regression of one modality's snippets on its event roll (video, snippet, category)."""
    return _fit([inputs], roll, lambda logits: logits[0], seed)[0]


def weak_probe(inputs: Tensor, weak_labels: np.ndarray, seed: int = 0) -> Probe:
    """One modality alone explains the weak labels (video, category): a video's logit is the maximum over its snippets."""
    return _fit([inputs], weak_labels, lambda logits: logits[0].amax(dim=1), seed)[0]


def gate_probe(inputs: list[Tensor], weak_labels: np.ndarray, seed: int = 0) -> list[Probe]:
    """One probe a modality that explain the weak labels together: a video's logit is the sum of the maxima over snippets."""
    return _fit(inputs, weak_labels, _summed_maxima, seed)


def gate_probability(probes: list[Probe], inputs: list[Tensor]) -> np.ndarray:
    """Video probabilities (video, category) of a gate, in 0..1."""
    with torch.no_grad():
        return torch.sigmoid(_summed_maxima([p.logits(x) for p, x in zip(probes, inputs, strict=True)])).numpy()


def micro_f1(estimate: np.ndarray, reference: np.ndarray) -> float:
    """2 TP / (2 TP + FP + FN) over all cells of two boolean arrays, in 0..1."""
    found, wanted = int(estimate.sum()), int(reference.sum())
    return 2 * int((estimate & reference).sum()) / max(found + wanted, 1)


def probe_scores(train: VideoSet, val: VideoSet, test: VideoSet, train_truth: np.ndarray, seed: int = 0) -> pd.DataFrame:
    """The ten F-scores in percent on test: rows are the two floors and the weak and the strong probe, columns (level, score).

    `train_truth` (video, modality, snippet, category) trains the strong probe only. All thresholds are chosen on val by
    micro F1. `attrs["video_f1"]` holds the gate's micro F1 against the weak labels of test, in percent.
    Raises InputError where val or test has no reference, or any of them no weak labels.
    """
    if any(s.weak_labels is None for s in (train, val, test)) or val.reference is None or test.reference is None:
        raise InputError("probes need weak labels, and the reference rolls of val and test: use sets that have them.")
    inputs = [[snippet_inputs(video_set, m) for m in MODALITIES] for video_set in (train, val, test)]
    gate = gate_probe(inputs[0], train.weak_labels, seed)
    val_video, test_video = gate_probability(gate, inputs[1]), gate_probability(gate, inputs[2])
    threshold = _best_threshold(val_video, val.weak_labels > 0.5)
    val_open, test_open = val_video >= threshold, test_video >= threshold
    probes = {
        "weak probe, gated": [weak_probe(x, train.weak_labels, seed) for x in inputs[0]],
        "strong probe, gated": [strong_probe(x, train_truth[:, m], seed) for m, x in enumerate(inputs[0])],
    }
    rows = metrics.floors(test.weak_labels, test.reference)
    for name, pair in probes.items():
        rolls = []
        for m, probe in enumerate(pair):
            chosen = _best_threshold(probe.probability(inputs[1][m]) * val_open[:, None], val.reference[:, m])
            rolls.append((probe.probability(inputs[2][m]) >= chosen) & test_open[:, None])
        rows[name] = metrics.f_scores(np.stack(rolls, axis=1), test.reference)
    table = pd.DataFrame([[row[level][s] for level in metrics.LEVELS for s in metrics.SCORES] for row in rows.values()])
    table.index = list(rows)
    table.columns = pd.MultiIndex.from_product([metrics.LEVELS, metrics.SCORES], names=["level", "score"])
    table.attrs["video_f1"] = 100 * micro_f1(test_open, test.weak_labels > 0.5)
    return table


def _summed_maxima(logits: list[Tensor]) -> Tensor:
    return torch.stack([x.amax(dim=1) for x in logits]).sum(dim=0)


def _best_threshold(probability: np.ndarray, reference: np.ndarray) -> float:
    """The candidate with the largest micro F1; ties: the smallest."""
    return float(CANDIDATES[int(np.argmax([micro_f1(probability >= c, reference) for c in CANDIDATES]))])


def _fit(inputs: list[Tensor], target: np.ndarray, pool: Callable[[list[Tensor]], Tensor], seed: int) -> list[Probe]:
    """Adam on the binary cross-entropy of `pool` of the probes' logits, from zero weights; the seed draws the batches."""
    wanted = torch.from_numpy(np.asarray(target, dtype=np.float32))
    probes = []
    for x in inputs:
        weight = torch.zeros(x.shape[2], wanted.shape[-1], requires_grad=True)
        bias = torch.full((wanted.shape[-1],), -2.0, requires_grad=True)  # most categories are absent from most videos
        probes.append(Probe(x.mean(dim=(0, 1)), x.std(dim=(0, 1)) + 1e-3, weight, bias))
    parameters = [p for probe in probes for p in (probe.weight, probe.bias)]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=DECAY)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(min(STEPS, EPOCHS * math.ceil(len(wanted) / BATCH))):
        batch = torch.randperm(len(wanted), generator=generator)[:BATCH]
        logits = pool([probe.logits(x[batch]) for probe, x in zip(probes, inputs, strict=True)])
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(logits, wanted[batch]).backward()
        optimizer.step()
    return [Probe(p.mean, p.scale, p.weight.detach(), p.bias.detach()) for p in probes]


@dataclass(frozen=True)
class LinearProbeConfig(MethodConfig):
    """The weak, gated probe as a method like any other."""

    method: ClassVar[str] = "linear_probe"

    epochs: Count = EPOCHS
    batch_size: Count = BATCH
    learning_rate: Positive = LEARNING_RATE
    decay: Share = 1.0
    optimizer: Literal["adam", "adamw"] = "adamw"
    weight_decay: Weight = DECAY
    gate: Literal["modality", "joint"] = "joint"
    search_thresholds: tuple[Modality, ...] = MODALITIES


class LinearProbe(Method):
    """A linear layer a modality explains the weak labels with its strongest snippet; another pair of layers, together, is the gate."""

    Config = LinearProbeConfig
    paper = "a yardstick of this toolkit"

    def __init__(self, config: LinearProbeConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        embeddings(spec, 1)  # refuses data that lack a modality
        widths = [sum(s.width for s in spec.of_modality(m).values()) for m in MODALITIES]
        self.standardise = nn.ModuleList(nn.BatchNorm1d(w, affine=False, momentum=None) for w in widths)
        self.classifiers = nn.ModuleList(nn.Linear(w, len(spec.categories)) for w in widths)
        self.gates = nn.ModuleList(nn.Linear(w, len(spec.categories)) for w in widths)
        for layer in (*self.classifiers, *self.gates):
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, -2.0)  # most categories are absent from most videos

    def forward(self, features: Features, cross_attention: bool = True, valid: Tensor | None = None) -> Evidence:
        """Each modality is judged by itself, with or without `cross_attention`; the gate sees both."""
        inputs = self.inputs(self.as_tensors(features), valid)
        snippet, gate = (torch.stack([f(x) for f, x in zip(layers, inputs, strict=True)], 1) for layers in (self.classifiers, self.gates))
        strongest = masked(highest(gate, valid), None if valid is None else valid.any(2))
        joint = strongest.sum(1).sigmoid()
        video = joint.unsqueeze(1).expand(-1, len(MODALITIES), -1)
        return Evidence(*map(PointEstimate, (snippet.sigmoid(), video, joint)), valid=valid)

    def inputs(self, tensors: dict[str, Tensor], valid: Tensor | None) -> list[Tensor]:
        """Standardised features of each modality (video, snippet, width), streams side by side, the mean over positions."""
        result = []
        for m, modality in enumerate(MODALITIES):
            streams = self.spec.of_modality(modality)
            x = torch.cat([tensors[n].unflatten(1, (-1, s.per_snippet)).mean(2) for n, s in streams.items()], dim=-1)
            exists = torch.ones_like(x[..., 0], dtype=torch.bool) if valid is None else valid[:, m]
            standard = torch.zeros_like(x)
            standard[exists] = self.standardise[m](x[exists])
            result.append(standard)
        return result

    def losses(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """Cross-entropy of each modality's strongest snippet, and of the gate, with the weak label."""
        evidence = self(batch.features, valid=batch.valid)
        strongest = highest(evidence.snippet.probability, batch.valid)
        present = None if batch.valid is None else batch.valid.any(2)
        risks = binary_cross_entropy(strongest, batch.weak_label.unsqueeze(1).expand_as(strongest))
        named = {modality: of_modality(risks, m, present).mean() for m, modality in enumerate(MODALITIES)}
        return named | {"joint": binary_cross_entropy(evidence.joint.probability, batch.weak_label).mean()}


def highest(x: Tensor, valid: Tensor | None) -> Tensor:
    """The maximum over the snippets that exist: (video, modality, snippet, category) -> (video, modality, category)."""
    return (x if valid is None else x.masked_fill(~valid.unsqueeze(-1), x.detach().min())).amax(dim=2)
