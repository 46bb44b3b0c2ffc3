"""Ways to compute the layer that most of a step of `released` is: frames through 2048 -> 512, ELU, mean over a snippet's frames.

    python -m benchmarks.layer --videos 64

Forward and weight gradient, one thread, the processor's least seconds of a few rounds in turn. Only what paid for itself went into
the toolkit (`_products`); the blocked pass stays here, so that it can be measured again on other machines.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.stages import best_in_turn
from cmpae_toolkit import _products

FRAMES = 8


class Blocked(torch.autograd.Function):
    """The mean over `FRAMES` of ELU(x W + b), some rows at a time: widened to float32, ELU in place, the gradient block by block."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, rows: int, product: Callable) -> Tensor:
        blocks = [F.elu_(product(part.float(), weight, bias)) for part in x.split(rows)]
        ctx.save_for_backward(x, weight, *blocks)
        ctx.rows, ctx.product = rows, product
        return torch.cat([block.unflatten(0, (-1, FRAMES)).mean(1) for block in blocks])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *blocks = ctx.saved_tensors
        of_weight, of_bias = torch.zeros_like(weight), weight.new_zeros(len(weight))
        parts = zip(x.split(ctx.rows), (gradient / FRAMES).split(ctx.rows // FRAMES), blocks, strict=True)
        for part, above, block in parts:
            slope = torch.where(block > 0, 1.0, block + 1)
            below = above.repeat_interleave(FRAMES, 0).mul_(slope)
            of_weight += ctx.product(below.T, part.float().T)
            of_bias += below.sum(0)
        return None, of_weight, of_bias, None, None


def variants(videos: int, rows: int) -> dict[str, Callable[[], None]]:
    """name -> forward and backward of the layer, each in its own way."""
    torch.manual_seed(0)
    half = torch.randn(videos * 10 * FRAMES, 2048).clamp_min(0).half()
    single = half.float()
    weight, bias = (torch.randn(512, 2048) / 45).requires_grad_(), torch.zeros(512, requires_grad=True)
    above = torch.randn(len(half) // FRAMES, 512)

    def plain(x: Tensor, product: Callable = F.linear) -> Tensor:
        return F.elu(product(x.float(), weight, bias)).unflatten(0, (-1, FRAMES)).mean(1)

    def blocked(x: Tensor, product: Callable) -> Tensor:
        return Blocked.apply(x, weight, bias, rows, product)

    def call(forward: Callable[[], Tensor]) -> Callable[[], None]:
        def step() -> None:
            weight.grad = bias.grad = None
            forward().backward(above)

        return step

    ways = {"plain": lambda x: plain(x), "blocked": lambda x: blocked(x, F.linear)}
    if _products.is_there():
        ways |= {"oneDNN": lambda x: plain(x, _products.linear), "blocked, oneDNN": lambda x: blocked(x, _products._product)}
    given = {"float32": single, "float16": half}
    return {f"{way}, from {kind}": call(lambda f=f, x=x: f(x)) for way, f in ways.items() for kind, x in given.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=64, help="in a batch (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=1280, help="of a block (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    best = best_in_turn(variants(options.videos, options.rows), time.process_time, options.repeats)
    first = best["plain, from float32"]
    shown = pd.DataFrame({"way": list(best), "ms": [1000 * s for s in best.values()], "share": [s / first for s in best.values()]})
    print(shown.round(2).to_markdown(index=False))


if __name__ == "__main__":
    main()
