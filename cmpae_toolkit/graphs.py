"""The whole training step on fixed buffers: forward, losses, backward and Adam, on a GPU recorded once and replayed.

At LLP's size a step is a few hundred small kernels, and launching them one by one takes longer than running them. A CUDA graph
launches them all at once. Off a GPU the same buffers are used without recording, which is how the tests reach this code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from . import losses
from .inference import autocast
from .model import CMPAE
from .steps import scheduled_step

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
