"""Ways to train that may pay on a GPU: the step recorded as a CUDA graph, and several seeds of one config stacked.

At LLP's size a step is a few hundred small kernels, and launching them one by one takes longer than running them; a CUDA graph
launches them all at once. A small model leaves a GPU idle most of the time; stacked, ten seeds may cost little more than one.
Both are tested on the CPU, where nothing is recorded; their worth on a GPU is not measured yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm.auto import tqdm

from . import labels, losses
from .checkpoint import Run
from .config import Config
from .data.videoset import VideoSet
from .method import Batch, Method, Moment, Supervision
from .methods import get
from .train import SEED_STRIDE, PlainStep, Training, check_trainable, fit, in_order, mean_losses, seeded

WARM_UP_STEPS = 3  # before recording: libraries choose their kernels and workspaces


@dataclass(frozen=True)
class Recorded:
    """The buffers of one kind of step, and the call that runs it on what they hold."""

    batch: Batch
    outputs: dict[str, Tensor]
    run: Callable[[], None]


class GraphedStep(PlainStep):
    """Steps of CMPAE or JoMoLD on fixed buffers; on a GPU each kind of step is recorded once and replayed.

    A kind is who teaches, how many videos there are, and how far the KL term has grown. While the noise ratios warm up they differ in
    every batch, so these steps are plain ones.
    """

    def __init__(self, method: Method, device: torch.device, mixed_precision: bool = False) -> None:
        super().__init__(method, device, mixed_precision)
        self.recorded: dict[tuple, Recorded] = {}
        for group in self.optimizer.param_groups:  # a graph reads the rate from a tensor, which CUDA's kernel takes in float32
            group["lr"] = torch.tensor(group["lr"], device=device, dtype=torch.float32 if device.type == "cuda" else torch.float64)
            group["capturable"] = device.type == "cuda"

    def __call__(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """One step; the named losses, which the next call overwrites."""
        config = self.method.config
        if batch.constants and labels.warm_up(moment.epoch, moment.batch, moment.batches, config) < 1:
            return super().__call__(batch, moment)
        share = losses.kl_share(config, moment.epoch) if isinstance(config, Config) else 0.0
        kind = (moment.batch % 2, len(batch), share)
        if kind not in self.recorded:
            self.recorded[kind] = self._record(batch, moment)
        recorded = self.recorded[kind]
        for old, new in zip(_tensors(recorded.batch), _tensors(batch), strict=True):
            old.copy_(new)
        recorded.run()
        return recorded.outputs

    def _record(self, given: Batch, moment: Moment) -> Recorded:
        valid = None if given.valid is None else given.valid.clone()
        features = {n: x.clone() for n, x in given.features.items()}
        batch, outputs = replace(given, features=features, weak_label=given.weak_label.clone(), valid=valid), {}

        def step() -> None:
            outputs.update(self.step(batch, moment, cache=False))

        def plain() -> None:
            self.optimizer.zero_grad(set_to_none=True)
            step()

        if self.device.type != "cuda":
            return Recorded(batch, outputs, plain)
        self._warm_up(plain)
        self.optimizer.zero_grad(set_to_none=True)  # so that the backward pass writes gradients instead of adding to them
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        return Recorded(batch, outputs, graph.replay)

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
        return [*self.method.parameters(), *(x for x in moments if isinstance(x, Tensor))]


def _tensors(batch: Batch) -> list[Tensor]:
    """What differs from batch to batch."""
    return [*batch.features.values(), batch.weak_label, *([] if batch.valid is None else [batch.valid])]


def fit_seeds(
    config: Config, seeds: Sequence[int], train_set: VideoSet, val_set: VideoSet, *, supervisions: Sequence[Supervision] | None = None,
    device: str | None = None, progress: bool = True,
) -> list[Run]:
    """A `Run` for each seed, as `fit(config.changed(seed=seed), ...)` gives one after the other.

    Each seed draws its own initial weights, order of videos and labels; only dropout masks are drawn differently, so that results are
    those of other masks, and without dropout those of `fit` up to rounding. `supervisions`: one for each seed, prepared here when
    none are given. Raises InputError as `fit` does.
    """
    check_trainable(train_set, val_set)
    method, configs = get(config.method), [config.changed(seed=seed) for seed in seeds]
    if supervisions is None:
        def stage(*arguments):
            return fit(*arguments, device=device, progress=progress)

        supervisions = [method.prepare(c, train_set, val_set, stage) for c in configs]
    for supervision in supervisions:
        method.check(supervision)
    runs = [Training(c, train_set, val_set, s, device) for c, s in zip(configs, supervisions, strict=True)]
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
        self.optimizer = self.first.model.optimizer(self.parameters.values())
        constants = [run.supervision.constants for run in runs]
        self.constants = {name: torch.stack([c[name].to(self.device) for c in constants]) for name in constants[0]}
        self.losses = _Losses(self.first.model)

    def train_batches(self, epoch: int) -> list[dict[str, float]]:
        """One pass of every seed over the training set in its own order; the mean losses of each."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.first.model.learning_rate(epoch)
        orders = []
        for run in self.runs:
            with seeded(run.config.seed + SEED_STRIDE * epoch):
                orders.append(in_order(run.train_set, run.config))
        batches = [np.concatenate(indices) for indices in zip(*orders, strict=True)]
        sums: dict[str, Tensor] = {}
        with seeded(self.config.seed + SEED_STRIDE * epoch):
            for number, batch in enumerate(self.first.train_loader.batches(batches)):
                with sdpa_kernel(SDPBackend.MATH):  # the fused kernels have no batching rule
                    named = self.train_batch(batch, Moment(epoch, number, len(batches)))
                for name, value in named.items():
                    sums[name] = sums.get(name, 0) + value * (len(batch) // len(self.runs))
        per_seed = ({name: value[i] for name, value in sums.items()} for i in range(len(self.runs)))
        return [mean_losses(each, sum(map(len, orders[0])), epoch) for each in per_seed]

    def train_batch(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """One step of every seed on its own videos (their batches one after the other); the named losses, each (seed)."""
        seeds = len(self.runs)
        features = {n: x.unflatten(0, (seeds, -1)) for n, x in batch.features.items()}

        def loss(parameters: dict[str, Tensor], features: dict[str, Tensor], weak_label: Tensor, constants: dict[str, Tensor]):
            named = functional_call(self.losses, parameters, (Batch(features, weak_label, constants=constants), moment))
            total = losses.total(named, self.config)
            return total, {"loss": total, **named}

        per_seed = vmap(grad_and_value(loss, has_aux=True), randomness="different")
        parameters = {f"model.{name}": value for name, value in self.parameters.items()}
        gradients, (_, named) = per_seed(parameters, features, batch.weak_label.unflatten(0, (seeds, -1)), self.constants)
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


class _Losses(torch.nn.Module):
    """A method's losses as the forward of a module, which is what `functional_call` calls."""

    def __init__(self, model: Method) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        self.model.train()
        return self.model.losses(batch, moment)
