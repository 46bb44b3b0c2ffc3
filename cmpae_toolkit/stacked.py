"""Several seeds of one config trained at once: their parameters stacked along a first axis, one vmapped step for all.

A small model leaves a GPU idle most of the time; stacked, ten seeds cost little more than one. Each seed draws its own initial
weights, order of videos and labels, as in `train.fit`; only dropout masks are drawn differently, so that results are those of
other dropout masks, and without dropout those of `fit` up to rounding.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm.auto import tqdm

from . import losses
from .config import Config
from .data.videoset import VideoSet
from .loop import SEED_STRIDE, Training, mean_losses, seeded
from .model import CMPAE
from .runs import Run
from .steps import adam, set_learning_rate, shuffled, training_step
from .train import check_trainable, estimate_noise_ratios


def fit_seeds(
    config: Config, seeds: Sequence[int], train_set: VideoSet, val_set: VideoSet, *, ratios: Tensor | None = None,
    device: str | None = None, progress: bool = True,
) -> list[Run]:
    """A `Run` for each seed, as `fit(config.changed(seed=seed), ...)` gives one after the other.

    `ratios`: noise ratios (seed, modality, category), estimated for each seed when the config denoises and none are given.
    Raises InputError as `fit` does.
    """
    check_trainable(train_set, val_set)
    configs = [config.changed(seed=seed) for seed in seeds]
    if config.denoise and ratios is None:
        ratios = torch.stack([estimate_noise_ratios(c, train_set, val_set, device=device, progress=progress) for c in configs])
    each = ratios if config.denoise else [None] * len(configs)
    runs = [Training(c, train_set, val_set, r, device) for c, r in zip(configs, each, strict=True)]
    stack = _Stack(runs)
    for epoch in tqdm(range(1, config.epochs + 1), desc=f"training {len(runs)} seeds", disable=not progress):
        started = time.perf_counter()
        rows = stack.train_batches(epoch)
        stack.write_back()
        for run, row in zip(runs, rows, strict=True):
            run.after_epoch(epoch, row, started)
    return [run.finish() for run in runs]


class _Stack:
    """The stacked parameters of several runs with one optimiser: Adam is elementwise, so each seed's share of it is its own."""

    def __init__(self, runs: Sequence[Training]) -> None:
        self.runs, self.first = runs, runs[0]
        self.config, self.device = self.first.config, self.first.device
        stacked, _ = stack_module_state([run.model for run in runs])
        self.parameters = {name: value.detach().requires_grad_() for name, value in stacked.items()}
        self.optimizer = adam(self.parameters.values(), self.config.learning_rate, self.device)
        self.ratios = None if self.first.ratios is None else torch.stack([run.ratios for run in runs])
        self.step = _TrainingStep(self.first.model)

    def train_batches(self, epoch: int) -> list[dict[str, float]]:
        """One pass of every seed over the training set in its own order; the mean losses of each."""
        set_learning_rate(self.optimizer, self.config, epoch)
        orders = []
        for run in self.runs:
            with seeded(run.config.seed + SEED_STRIDE * epoch):
                orders.append(shuffled(len(run.train_set), self.config.batch_size))
        batches = [np.concatenate(indices) for indices in zip(*orders, strict=True)]
        sums: dict[str, Tensor] = {}
        with seeded(self.config.seed + SEED_STRIDE * epoch):
            for number, (features, weak_label) in enumerate(self.first.train_loader.batches(batches)):
                with sdpa_kernel(SDPBackend.MATH):  # the fused kernels have no batching rule
                    named = self.train_batch(features, weak_label, epoch, number, len(batches))
                for name, value in named.items():
                    sums[name] = sums.get(name, 0) + value * (len(weak_label) // len(self.runs))
        per_seed = ({name: value[i] for name, value in sums.items()} for i in range(len(self.runs)))
        return [mean_losses(each, len(self.first.train_set), epoch) for each in per_seed]

    def train_batch(
        self, features: dict[str, Tensor], weak_label: Tensor, epoch: int, batch: int, batches: int
    ) -> dict[str, Tensor]:
        """One Adam step of every seed on its own videos (their batches one after the other); the named losses, each (seed)."""
        seeds = len(self.runs)
        features, weak_label = {n: x.unflatten(0, (seeds, -1)) for n, x in features.items()}, weak_label.unflatten(0, (seeds, -1))

        def loss(parameters: dict[str, Tensor], features: dict[str, Tensor], weak_label: Tensor, ratios: Tensor | None):
            named = functional_call(self.step, parameters, (features, weak_label, ratios, epoch, batch, batches))
            total = losses.total(named, self.config)
            return total, {"loss": total, **named}

        per_seed = vmap(grad_and_value(loss, has_aux=True), in_dims=(0, 0, 0, None if self.ratios is None else 0), randomness="different")
        gradients, (_, named) = per_seed(self.step.named(self.parameters), features, weak_label, self.ratios)
        for name, parameter in self.parameters.items():
            parameter.grad = gradients[f"model.{name}"]
        self.optimizer.step()
        return {name: value.detach() for name, value in named.items()}

    def write_back(self) -> None:
        """Each run's model gets its slice of the stack."""
        with torch.no_grad():
            for i, run in enumerate(self.runs):
                for name, value in run.model.named_parameters():
                    value.copy_(self.parameters[name][i])


class _TrainingStep(torch.nn.Module):
    """`training_step` as the forward of a module, which is what `functional_call` calls."""

    def __init__(self, model: CMPAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, *arguments) -> dict[str, Tensor]:
        self.model.train()
        return training_step(self.model, *arguments)[0]

    @staticmethod
    def named(parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        return {f"model.{name}": value for name, value in parameters.items()}
