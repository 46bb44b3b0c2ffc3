"""Batches of a VideoSet as tensors on a device: read ahead of the computation, or resident on a GPU as a whole."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from .config import Config, DataSpec
from .data.videoset import VideoSet
from .errors import InputError

Batch = tuple[dict[str, Tensor], Tensor | None]  # features by stream, weak labels

RESIDENT_SHARE = 0.5  # of a GPU's free memory that a data set may take
PREDICTION_BYTES = 80 * 2**20  # that one batch of `predict` may take on a CPU: larger ones fall out of the caches
LARGEST_BATCH = 1024


def choose_device(name: str | None = None) -> torch.device:
    """The named device, or the best there is: CUDA, MPS, CPU. Raises InputError when the named one is not there."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"the device {name!r} cannot be used here ({str(error).splitlines()[0]}): try 'cpu'.") from None
    return torch.device(name)


def take(video_set: VideoSet, index: np.ndarray, device: torch.device) -> Batch:
    """The chosen videos as float32 tensors on the device: features by stream, and weak labels."""
    return _tensors(*_gather(video_set, index), device)


def read_ahead(video_set: VideoSet, indices: Iterable[np.ndarray], device: torch.device) -> Iterator[Batch]:
    """`take` of each index in turn. Where the set is packed, a thread reads the next batch from disk while this one is used."""
    if not any(isinstance(x, np.memmap) for x in video_set.features.values()):
        yield from (take(video_set, index, device) for index in indices)  # in memory already: a thread would only be in the way
        return
    waiting: deque = deque()
    with ThreadPoolExecutor(1) as reader:
        for index in indices:
            waiting.append(reader.submit(_gather, video_set, index))
            if len(waiting) > 1:
                yield _tensors(*waiting.popleft().result(), device)
        while waiting:
            yield _tensors(*waiting.popleft().result(), device)


def _gather(video_set: VideoSet, index: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    weak = video_set.weak_labels
    return {n: np.ascontiguousarray(x[index]) for n, x in video_set.features.items()}, None if weak is None else weak[index]


def _tensors(features: dict[str, np.ndarray], weak: np.ndarray | None, device: torch.device) -> Batch:
    tensors = {n: torch.from_numpy(x).to(device).float() for n, x in features.items()}
    return tensors, None if weak is None else torch.from_numpy(weak).to(device, torch.float32)


class Resident:
    """A whole set on the device in the precision in which it is stored; a batch is an index on the device, float32."""

    def __init__(self, video_set: VideoSet, device: torch.device) -> None:
        self.features = {n: torch.from_numpy(np.array(x)).to(device) for n, x in video_set.features.items()}
        weak = video_set.weak_labels
        self.weak_labels = None if weak is None else torch.from_numpy(weak).to(device, torch.float32)

    def batches(self, indices: Iterable[np.ndarray]) -> Iterator[Batch]:
        for index in indices:
            chosen = torch.from_numpy(np.asarray(index)).to(next(iter(self.features.values())).device)
            weak = self.weak_labels
            yield {n: x[chosen].float() for n, x in self.features.items()}, None if weak is None else weak[chosen]


class Loader:
    """The batches of one set, again and again: resident where the device is a GPU with room for it, else read ahead of use."""

    def __init__(self, video_set: VideoSet, device: torch.device) -> None:
        self.video_set, self.device = video_set, device
        fits = device.type == "cuda" and _bytes(video_set) < RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]
        self.resident = Resident(video_set, device) if fits else None

    def batches(self, indices: Iterable[np.ndarray]) -> Iterator[Batch]:
        """(features by stream, weak labels) for each index array (video,), as `take` gives them."""
        return read_ahead(self.video_set, indices, self.device) if self.resident is None else self.resident.batches(indices)


def prediction_batch(spec: DataSpec, config: Config, device: torch.device) -> int:
    """How many videos `predict` takes at once: as many as the memory for activations holds, 1 to `LARGEST_BATCH`."""
    positions = sum(spec.snippets * s.per_snippet * (s.width + 2 * config.width) for s in spec.streams.values())
    attended = 2 * spec.snippets * 12 * config.width  # both modalities; about a dozen arrays of that size live at once
    memory = torch.cuda.mem_get_info(device)[0] // 4 if device.type == "cuda" else PREDICTION_BYTES
    return int(np.clip(memory // (4 * (positions + attended)), 1, LARGEST_BATCH))


def _bytes(video_set: VideoSet) -> int:
    return sum(x.nbytes for x in video_set.features.values())


def autocast(device: torch.device, enabled: bool, cache: bool = True) -> contextlib.AbstractContextManager:
    """bfloat16 where it is safe, when asked for; without its cache of cast weights where a graph is recorded."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled, cache_enabled=cache)
