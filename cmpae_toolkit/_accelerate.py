"""Steps that a GPU runs faster: recorded as CUDA graphs, or several seeds stacked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm.auto import tqdm

from . import losses
from .batches import autocast
from .checkpoint import Run
from .config import Config
from .data.videoset import VideoSet
from .model import CMPAE
from .train import (
    SEED_STRIDE,
    Training,
    adam,
    check_trainable,
    estimate_noise_ratios,
    mean_losses,
    scheduled_step,
    seeded,
    set_learning_rate,
    shuffled,
    training_step,
)

WARM_UP_STEPS = 3  # before recording: libraries choose their kernels and workspaces


@dataclass(frozen=True)
class Recorded:
    """The buffers of one kind of step, and the call that runs it on what they hold."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    run: Callable[[], None]


class StaticStep:
    """Steps of one training run; a graph for each kind of step: who teaches, how many videos, how far the KL term has grown."""

    def __init__(self, model: CMPAE, optimizer: torch.optim.Adam, device: torch.device, mixed_precision: bool) -> None:
        self.model, self.optimizer, self.device, self.mixed_precision = model, optimizer, device, mixed_precision
        self.recorded: dict[tuple, Recorded] = {}

    def __call__(
        self, features: dict[str, Tensor], weak_label: Tensor, ratios: Tensor | None, teacher: str, epoch: int
    ) -> dict[str, Tensor]:
        """One Adam step; the named losses, which the next call overwrites. `ratios`: the batch's noise ratios, warmed up."""
        given = {**features, "weak label": weak_label} | ({} if ratios is None else {"ratios": ratios})
        kind = (teacher, len(weak_label), losses.kl_share(self.model.config, epoch))
        if kind not in self.recorded:
            self.recorded[kind] = self._record(given, teacher, epoch)
        recorded = self.recorded[kind]
        for name, value in given.items():
            recorded.inputs[name].copy_(value)
        recorded.run()
        return recorded.outputs

    def _record(self, given: dict[str, Tensor], teacher: str, epoch: int) -> Recorded:
        inputs, outputs = {name: value.clone() for name, value in given.items()}, {}
        features = {name: inputs[name] for name in self.model.spec.streams}

        def step() -> None:
            with autocast(self.device, self.mixed_precision, cache=False):
                named, _ = scheduled_step(self.model, features, inputs["weak label"], inputs.get("ratios"), teacher, epoch)
                loss = losses.total(named, self.model.config)
            loss.backward()
            self.optimizer.step()
            outputs.update({name: value.detach() for name, value in {"loss": loss, **named}.items()})

        def plain() -> None:
            self.optimizer.zero_grad(set_to_none=True)
            step()

        if self.device.type != "cuda":
            return Recorded(inputs, outputs, plain)
        self._warm_up(plain)
        self.optimizer.zero_grad(set_to_none=True)  # so that the backward pass writes gradients instead of adding to them
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        return Recorded(inputs, outputs, graph.replay)

    def _warm_up(self, step: Callable[[], None]) -> None:
        """A few steps on a stream of their own, then parameters and optimiser as they were."""
        before = {id(x): x.detach().clone() for x in self._state()}
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_STEPS):
                step()
        torch.cuda.current_stream().wait_stream(stream)
        with torch.no_grad():
            for x in self._state():
                x.copy_(before[id(x)]) if id(x) in before else x.zero_()  # moments that the first step made start at 0

    def _state(self) -> list[Tensor]:
        moments = (x for state in self.optimizer.state.values() for x in state.values())
        return [*self.model.parameters(), *(x for x in moments if isinstance(x, Tensor))]


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
