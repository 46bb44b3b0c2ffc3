"""Batches of a VideoSet as tensors on a device: read ahead of the computation, or resident on a GPU as a whole."""

from __future__ import annotations

import contextlib
import functools
import itertools
import textwrap
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from .config import DataSpec, MethodConfig
from .data.videoset import VideoSet
from .errors import InputError
from .method import Batch, Supervision

RESIDENT_SHARE = 0.5  # of a GPU's free memory that a data set may take
PREDICTION_BYTES = 80 * 2**20  # that one batch of `predict` may take on a CPU: larger ones fall out of the caches
LARGEST_BATCH = 1024

Mixed = bool | Literal["auto"]
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # how processors say that they multiply it: x86, x86, Arm


def choose_device(name: str | None = None) -> torch.device:
    """The named device, or the best there is: CUDA, MPS, CPU. Raises InputError when the named one is not there."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = textwrap.shorten(str(error).splitlines()[0], 100, placeholder=" ...")  # torch lists every backend that it knows
        raise InputError(f"the device {name[:30]!r} cannot be used here ({reason}): try 'cpu'.") from None
    return torch.device(name)


def take(video_set: VideoSet, index: np.ndarray, device: torch.device, supervision: Supervision | None = None) -> Batch:
    """The chosen videos as a `Batch` on the device, features in float32, with their rows of the supervision."""
    return _on_device(_gather(video_set, index), index, device, supervision)


def read_ahead(
    video_set: VideoSet, indices: Iterable[np.ndarray], device: torch.device, supervision: Supervision | None = None
) -> Iterator[Batch]:
    """`take` of each index in turn. Where the set is packed, a thread reads the next batch from disk while this one is used."""
    if not any(isinstance(x, np.memmap) for x in video_set.features.values()):
        # in memory already: a thread would only be in the way
        yield from (take(video_set, index, device, supervision) for index in indices)
        return
    with ThreadPoolExecutor(1) as reader:
        reads = ((reader.submit(_gather, video_set, index), index) for index in indices)
        for (read, index), _ in itertools.pairwise(itertools.chain(reads, [None])):  # the next one is asked for before this one is used
            yield _on_device(read.result(), index, device, supervision)


def _gather(video_set: VideoSet, index: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray | None, np.ndarray | None]:
    weak, valid = video_set.weak_labels, video_set.valid
    features = {n: np.ascontiguousarray(x[index]) for n, x in video_set.features.items()}
    return features, None if weak is None else weak[index], None if valid is None else valid[index]


def _on_device(gathered: tuple, index: np.ndarray, device: torch.device, supervision: Supervision | None) -> Batch:
    features, weak, valid = gathered
    tensors = {n: torch.from_numpy(x).to(device).float() for n, x in features.items()}
    weak = None if weak is None else torch.from_numpy(weak).to(device, torch.float32)
    valid = None if valid is None else torch.from_numpy(valid).to(device)
    if supervision is None:
        return Batch(tensors, weak, valid)
    rows = torch.from_numpy(np.asarray(index))
    targets = {n: x[rows.to(x.device)].to(device) for n, x in supervision.targets.items()}
    return Batch(tensors, weak, valid, targets, supervision.constants)


class Resident:
    """A whole set on the device in the precision in which it is stored; a batch is an index on the device, float32."""

    def __init__(self, video_set: VideoSet, device: torch.device, supervision: Supervision | None = None) -> None:
        self.features = {n: torch.from_numpy(np.array(x)).to(device) for n, x in video_set.features.items()}
        weak, valid = video_set.weak_labels, video_set.valid
        self.weak_labels = None if weak is None else torch.from_numpy(weak).to(device, torch.float32)
        self.valid = None if valid is None else torch.from_numpy(valid).to(device)
        self.targets = {} if supervision is None else {n: x.to(device) for n, x in supervision.targets.items()}
        self.constants = {} if supervision is None else supervision.constants

    def batches(self, indices: Iterable[np.ndarray]) -> Iterator[Batch]:
        """The batches of the index arrays (video,)."""
        for index in indices:
            chosen = torch.from_numpy(np.asarray(index)).to(next(iter(self.features.values())).device)
            weak, valid = (None if x is None else x[chosen] for x in (self.weak_labels, self.valid))
            features, targets = {n: x[chosen].float() for n, x in self.features.items()}, {n: x[chosen] for n, x in self.targets.items()}
            yield Batch(features, weak, valid, targets, self.constants)


class Loader:
    """The batches of one set, again and again: resident where the device is a GPU with room for it, else read ahead of use."""

    def __init__(self, video_set: VideoSet, device: torch.device, supervision: Supervision | None = None) -> None:
        if supervision is not None:
            supervision = replace(supervision, constants={n: x.to(device) for n, x in supervision.constants.items()})
        self.video_set, self.device, self.supervision = video_set, device, supervision
        fits = device.type == "cuda" and _bytes(video_set) < RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]
        self.resident = Resident(video_set, device, supervision) if fits else None

    def batches(self, indices: Iterable[np.ndarray]) -> Iterator[Batch]:
        """The `Batch` of each index array (video,), as `take` gives it."""
        if self.resident is not None:
            return self.resident.batches(indices)
        return read_ahead(self.video_set, indices, self.device, self.supervision)


def prediction_batch(spec: DataSpec, config: MethodConfig, device: torch.device) -> int:
    """How many videos `predict` takes at once: as many as the memory for activations holds, 1 to `LARGEST_BATCH`."""
    width = getattr(config, "width", 512)
    positions = sum(spec.snippets * s.per_snippet * (s.width + 2 * width) for s in spec.streams.values())
    attended = 2 * spec.snippets * 12 * width  # both modalities; about a dozen arrays of that size live at once
    memory = torch.cuda.mem_get_info(device)[0] // 4 if device.type == "cuda" else PREDICTION_BYTES
    return int(np.clip(memory // (4 * (positions + attended)), 1, LARGEST_BATCH))


def _bytes(video_set: VideoSet) -> int:
    return sum(x.nbytes for x in video_set.features.values())


def precision_of(mixed: Mixed, device: torch.device) -> str:
    """"bfloat16" where it is asked for, with "auto" where the device also has it in hardware; else "float32"."""
    if mixed not in (True, False, "auto"):
        raise InputError(f"mixed_precision is {mixed!r}: use True, False or 'auto'.")
    return "bfloat16" if mixed is True or (mixed == "auto" and has_bfloat16(device)) else "float32"


@functools.cache
def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 faster than float32: not where it is only emulated."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.backends.mkldnn.is_available() and bool(BFLOAT16 & _cpu_flags())


def _cpu_flags() -> set[str]:
    """What the processor says that it can do; nothing where neither PyTorch nor the system tells it."""
    flags = {name for name, there in getattr(torch.cpu, "get_capabilities", dict)().items() if there is True}
    with contextlib.suppress(OSError):
        flags |= set(Path("/proc/cpuinfo").read_text(errors="replace").split())
    return flags


def autocast(device: torch.device, enabled: bool) -> contextlib.AbstractContextManager:
    """bfloat16 where it is safe, when asked for."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)
