"""Wide layers in float32 through oneDNN's own matrix product, where that is faster than the one PyTorch takes by itself (MKL's).

Results are those of `F.linear` to float32's rounding. Only layers that are at least `WIDE` on both sides take this way, the published
size: whatever is smaller gives the same bits as without this file.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

WIDE = 512
LARGE = 2**20  # weights of a layer from which oneDNN also pays for their gradient


@functools.cache
def is_there() -> bool:
    """Whether this PyTorch has oneDNN's product, and the processor the instructions for which it was found faster."""
    known = torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"
    return known and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def wide_products(parameters: Iterable[Tensor]) -> contextlib.AbstractContextManager:
    """A context in which `F.linear` of wide layers takes oneDNN's product; an empty one where none of the parameters is wide."""
    wide = any(p.ndim == 2 and min(p.shape) >= WIDE and p.dtype == torch.float32 and p.device.type == "cpu" for p in parameters)
    return WideProducts() if wide and is_there() else contextlib.nullcontext()


class WideProducts(TorchFunctionMode):
    """See `wide_products`."""

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is F.linear and not kwargs and _is_wide(*args):
            return linear(*args)
        return func(*args, **(kwargs or {}))


def _is_wide(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    on_cpu = x.dtype == weight.dtype == torch.float32 and x.device.type == weight.device.type == "cpu"
    return on_cpu and x.ndim > 1 and min(weight.shape) >= WIDE and not torch.is_autocast_enabled("cpu")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`F.linear` of float32 tensors on a CPU, and its gradients, through oneDNN."""
    return _Linear.apply(x.flatten(0, -2), weight, bias).unflatten(0, x.shape[:-1])


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        transposed = gradient.T
        return (
            _product(gradient, weight.T) if of_x else None,
            None if not of_weight else _product(transposed, x.T) if weight.numel() >= LARGE else transposed @ x,
            gradient.sum(0) if of_bias else None,
        )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
