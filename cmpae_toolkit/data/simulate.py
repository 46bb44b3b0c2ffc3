"""LLP-shaped videos made from a seed, so that everything runs without a download. Not LLP: scores on it say nothing about LLP.

The seed gives a world (`world.py`); seed, size and split give the videos (`timelines.py`). Each feature stream is a rectified
random projection of the world's latent space, non-negative like the activations of a network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..config import MODALITIES, StreamSpec
from ..errors import InputError
from .timelines import SNIPPETS, Timelines, draw_timelines, llp_statistics
from .videoset import VideoSet
from .world import SimulatorConfig, World, generator

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Size:
    """How much to simulate: `videos` per split, the feature streams, and their type."""

    videos: dict[str, int]
    streams: dict[str, StreamSpec]
    dtype: str = "float32"


def _size(videos: tuple[int, int, int], audio: int, frames: tuple[int, int], clip: int, dtype: str) -> Size:
    streams = {
        "audio": StreamSpec(audio, 1, "audio"),
        "frames": StreamSpec(frames[1], frames[0], "visual"),
        "clip": StreamSpec(clip, 1, "visual"),
    }
    return Size(dict(zip(SPLITS, videos, strict=True)), streams, dtype)


SIZES: dict[str, Size] = {
    "tiny": _size((96, 48, 48), 32, (2, 32), 24, "float32"),
    "small": _size((2000, 300, 600), 64, (4, 96), 64, "float32"),
    "full": _size((10_000, 649, 1_200), 128, (8, 2048), 512, "float16"),
}
CHUNK = 64  # videos at a time: keeps memory near the size of the arrays


def simulate(
    size: str = "small", split: str = "train", seed: int = 0, videos: int | None = None, config: SimulatorConfig | None = None
) -> VideoSet:
    """One split of the simulated data.

    Equal arguments give equal arrays, bit for bit on one machine; another seed gives another world and other videos. The
    splits of a seed share the world. `videos` keeps the first so many. As in LLP, train has no reference: `truth` has it.
    Raises InputError for an unknown size or split, a negative seed, or fewer than one video.
    """
    config, shape = config or SimulatorConfig(), _checked(size, split, seed, videos)
    timelines = video_timelines(size, split, seed, config=config)
    count = min(videos or len(timelines.scene), len(timelines.scene))
    world, streams = World.draw(config, seed), shape.streams
    projections = {name: world.projection(name, stream, seed) for name, stream in streams.items()}
    features = {name: np.empty((count, SNIPPETS * s.per_snippet, s.width), shape.dtype) for name, s in streams.items()}
    for start in range(0, count, CHUNK):  # always whole chunks, so that fewer videos are the same videos
        part = timelines.part(start, start + CHUNK)
        latents = world.latents(part, generator(seed, "latents", size, split, start))
        for name, stream in streams.items():
            rng = generator(seed, "stream", name, size, split, start)
            features[name][start : start + CHUNK] = _project(latents, stream, projections[name], config, rng)[: count - start]
    timelines = timelines.part(0, count)
    ids = tuple(f"{split:_<6}{number:05d}" for number in range(count))  # 11 characters, as YouTube's
    return VideoSet(
        name=f"simulated {size}", split=split, categories=llp_statistics().categories, ids=ids, features=features,
        filenames=tuple(f"{i}_0_{SNIPPETS}" for i in ids), modalities={name: s.modality for name, s in streams.items()},
        weak_labels=timelines.weak_labels, reference=None if split == "train" else timelines.rolls, simulated=True,
    )


def truth(
    size: str = "small", split: str = "train", seed: int = 0, videos: int | None = None, config: SimulatorConfig | None = None
) -> np.ndarray:
    """The event rolls of a split, train included, for analysis: (video, modality, snippet, category), bool."""
    return video_timelines(size, split, seed, videos, config).rolls


def video_timelines(
    size: str = "small", split: str = "train", seed: int = 0, videos: int | None = None, config: SimulatorConfig | None = None
) -> Timelines:
    """Scene and event rolls of the videos of a split, without features."""
    shape = _checked(size, split, seed, videos)
    rng = generator(seed, "videos", size, split)
    timelines = draw_timelines(shape.videos[split], split, (config or SimulatorConfig()).one_sided, rng)
    return timelines.part(0, videos)


def _project(
    latents: np.ndarray, stream: StreamSpec, projection: np.ndarray, config: SimulatorConfig, rng: np.random.Generator
) -> np.ndarray:
    """(video, snippet x positions per snippet, width), float32: one stream of some videos."""
    latent = np.repeat(latents[MODALITIES.index(stream.modality)], stream.per_snippet, axis=1)
    latent += config.frame_noise * rng.standard_normal(latent.shape, dtype=np.float32)
    activation = latent @ projection
    activation += config.bias
    return np.maximum(activation, 0, out=activation)


def _checked(size: str, split: str, seed: int, videos: int | None) -> Size:
    if size not in SIZES:
        raise InputError(f"{size!r} is not a simulated size: use one of {', '.join(SIZES)}.")
    if split not in SPLITS:
        raise InputError(f"{split!r} is not a split: use one of {', '.join(SPLITS)}.")
    if seed < 0:
        raise InputError(f"the seed is {seed}: use 0 or more.")
    if videos is not None and videos < 1:
        raise InputError(f"{videos} videos were asked for: use 1 or more, or None for all of the split.")
    return SIZES[size]
