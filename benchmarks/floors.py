"""What a stage cannot be faster than on this machine: the arithmetic that the equations need once, at the rate of the machine's own
matrix product, and the bytes that must be moved, at the rate of its own copy; both rates are measured in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from cmpae_toolkit.config import JOMOLD, Config, DataSpec, JoMoLDConfig, MethodConfig

REPEATS = 5


def matrix_rate(
    rows: int, inner: int, columns: int, clock: Callable[[], float] = time.perf_counter, repeats: int = REPEATS
) -> float:
    """Multiply-adds a second of a float32 product (rows, inner) x (inner, columns): the best of a few."""
    a, b = torch.randn(rows, inner), torch.randn(columns, inner)
    a @ b.T
    best = min(_seconds(lambda: a @ b.T, clock) for _ in range(repeats))
    return rows * inner * columns / best


def copy_rate(megabytes: int = 256) -> float:
    """Bytes a second of a copy in memory (bytes read plus bytes written): the best of a few."""
    source = np.ones(megabytes * 2**20, np.uint8)
    target = np.empty_like(source)
    np.copyto(target, source)
    return 2 * source.nbytes / min(_seconds(lambda: np.copyto(target, source)) for _ in range(REPEATS))


def embedding(config: Config, spec: DataSpec) -> tuple[int, int]:
    """Multiply-adds a video of the first layers, and of the fusion after them. A linear layer alone commutes with the mean."""
    w, first = config.width, 0
    for stream in spec.streams.values():
        positions = stream.per_snippet if config.embedding_activation != "none" else 1
        first += spec.snippets * positions * stream.width * w
    fusion = sum(len(spec.of_modality(m)) * spec.snippets * w * w for m in ("visual",))
    return first, fusion


def attended(config: Config, spec: DataSpec, cross: bool) -> int:
    """Multiply-adds a video of one pass of hybrid attention behind its self-attention's projections."""
    w, tokens = config.width, 2 * spec.snippets
    own = tokens * (w * w + 2 * spec.snippets * w)  # output projection; scores and weighted sum
    return own + cross * (own + tokens * 3 * w * w) + tokens * 2 * w * w  # cross-attention; feed-forward


def heads(config: Config, spec: DataSpec) -> int:
    """Multiply-adds a video of both evidences with their selectors and of the temporal attention."""
    w, tokens, categories = config.width, 2 * spec.snippets, len(spec.categories)
    selected = w * w if "cross_modal" in (config.presence_from, config.absence_from) and config.evidential else 0
    maps = (2 if config.evidential else 1) + (2 if config.separate_attention else 1)
    return tokens * (selected + maps * categories * w)


def joint(config: Config, spec: DataSpec) -> int:
    w, categories = config.width, len(spec.categories)
    if config.joint == "mmil":
        return 2 * spec.snippets * w * categories
    rows = spec.snippets * (2 if config.joint_fusion == "layer_first" else 1)
    return rows * w * w + spec.snippets * w * categories * (2 if config.joint == "evidence" else 1)


def as_cmpae(config: MethodConfig) -> Config:
    """The CMPAE config that multiplies as HAN and JoMoLD do."""
    if isinstance(config, Config):
        return config
    without = {} if isinstance(config, JoMoLDConfig) else dict(contrastive_weight=0.0, denoise=False)
    return Config(**JOMOLD).adopting(**config.to_dict() | without)


def prediction(config: MethodConfig, spec: DataSpec) -> int:
    """Multiply-adds a video of `predict`: embedding and projections once, then the passes that the preset asks for."""
    config = as_cmpae(config)
    passes = attended(config, spec, True) + heads(config, spec) + joint(config, spec)
    if config.self_attention_share or config.inference_self_share:
        passes += attended(config, spec, False)
    if config.inference_self_share:
        passes += heads(config, spec) + (joint(config, spec) if config.joint_input == "attended" else 0)
    return sum(embedding(config, spec)) + 2 * spec.snippets * 3 * config.width**2 + passes


def training(config: MethodConfig, spec: DataSpec) -> int:
    """Multiply-adds a video of one training step: forward, twice that backward, but once for the first layers (their inputs need
    no gradient) and never for the denoising pass."""
    config = as_cmpae(config)
    first, fusion = embedding(config, spec)
    learned = fusion + 2 * spec.snippets * 3 * config.width**2 + attended(config, spec, True) + heads(config, spec) + joint(config, spec)
    if config.self_attention_share:
        learned += attended(config, spec, False)
    contrast = 2 * spec.snippets**2 * config.width if config.contrastive_weight else 0
    denoising = attended(config, spec, False) + heads(config, spec) if config.denoise else 0
    return 2 * first + 3 * (learned + contrast) + denoising


def _seconds(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    started = clock()
    call()
    return clock() - started
