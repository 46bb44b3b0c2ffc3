"""Videos shaped like LLP's, AVE's and AVEP's made from a seed, so that everything runs without a download.

None of it is the data that it is shaped like: scores here say nothing about LLP, AVE or AVEP.

The seed gives a world (`world.py`); seed, size and split give the videos (`timelines.py`). Each feature stream is a rectified
random projection of the world's latent space, non-negative like the activations of a network.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...config import MODALITIES, StreamSpec
from ...errors import InputError
from ..videoset import VideoSet
from .timelines import SNIPPETS, Setting, Statistics, Timelines, ave_statistics, draw_timelines, llp_statistics
from .world import SimulatorConfig, World, generator

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Part:
    """Videos whose events follow one data set's statistics; `background`: further training videos in which nothing occurs."""

    statistics: Statistics
    videos: dict[str, int]
    background: int = 0

    def background_of(self, split: str) -> int:
        return self.background if split == "train" else 0


@dataclass(frozen=True)
class Size:
    """How much to simulate: parts with their videos per split, the feature streams, and their type.

    `grid`: the positions of the visual streams are those of a frame, so many in a row and a column; 0: they are frames.
    """

    parts: tuple[Part, ...]
    streams: dict[str, StreamSpec]
    dtype: str = "float32"
    grid: int = 0

    @property
    def videos(self) -> dict[str, int]:
        return {split: sum(part.videos[split] + part.background_of(split) for part in self.parts) for split in SPLITS}

    @cached_property
    def setting(self) -> Setting:
        return Setting.of(*(part.statistics for part in self.parts))


def _part(statistics: Statistics, *videos: int, background: int = 0) -> Part:
    return Part(statistics, dict(zip(SPLITS, videos, strict=True)), background)


def _llp(*videos: int) -> Part:
    return _part(llp_statistics(), *videos)


def _ave(*videos: int) -> Part:
    rows, background = AVE_ROWS
    return _part(ave_statistics(), *videos, background=round(videos[0] * background / rows))


def _streams(audio: int, frames: tuple[int, int], clip: int | None = None) -> dict[str, StreamSpec]:
    streams = {"audio": StreamSpec(audio, 1, "audio"), "frames": StreamSpec(frames[1], frames[0], "visual")}
    return streams if clip is None else streams | {"clip": StreamSpec(clip, 1, "visual")}


# Shares as in the data: 178 background videos beside AVE's 3,339; AVEP is LLP's 10,000 / 649 / 1,200 and AVE's 1,581 / 190 / 190
AVE_ROWS = (3_339, 178)
TINY, SMALL = _streams(32, (2, 32), 24), _streams(64, (4, 96), 64)
GRID = 7  # AVE's features are VGG-19's last pooling layer, 7 x 7 positions
SIZES: dict[str, Size] = {
    "tiny": Size((_llp(96, 48, 48),), TINY),
    "small": Size((_llp(2000, 300, 600),), SMALL),
    "full": Size((_llp(10_000, 649, 1_200),), _streams(128, (8, 2048), 512), "float16"),
    "tiny-ave": Size((_ave(400, 56, 56),), _streams(32, (GRID**2, 16)), "float16", GRID),
    "ave": Size((_ave(1200, 200, 200),), _streams(64, (GRID**2, 48)), "float16", GRID),
    "tiny-avep": Size((_llp(400, 60, 60), _part(ave_statistics(True), 63, 18, 10)), TINY),
    "avep": Size((_llp(2000, 300, 600), _part(ave_statistics(True), 316, 88, 95)), SMALL),
}
CHUNK = 64  # videos at a time: keeps memory near the size of the arrays


def simulate(
    size: str = "small", split: str = "train", seed: int = 0, videos: int | None = None, config: SimulatorConfig | None = None
) -> VideoSet:
    """One split of the simulated data.

    Equal arguments give equal arrays, bit for bit on one machine; another seed gives another world and other videos. The
    splits of a seed share the world. `videos` keeps the first so many. As in LLP, train has no reference: `truth` has it.
    AVE's background-only videos come last in train and have no label; in AVEP, AVE's videos come after LLP's.
    Raises InputError for an unknown size or split, a negative seed, or fewer than one video.
    """
    shape = _checked(size, split, seed, videos)
    config, streams = config or SimulatorConfig(), shape.streams
    timelines = video_timelines(size, split, seed, config=config)
    count = min(videos or len(timelines.scene), len(timelines.scene))
    world = World.draw(config, seed, shape.setting)
    projections = {name: world.projection(name, stream, seed) for name, stream in streams.items()}
    features = {name: np.empty((count, SNIPPETS * s.per_snippet, s.width), shape.dtype) for name, s in streams.items()}
    for start in range(0, count, CHUNK):  # always whole chunks, so that fewer videos are the same videos
        part = timelines.part(start, start + CHUNK)
        latents, events = world.latents(part, generator(seed, "latents", size, split, start))
        places = generator(seed, "places", size, split, start)
        shown = world.visibility(len(part.scene), shape.grid, places) if shape.grid else None
        for name, stream in streams.items():
            rng = generator(seed, "stream", name, size, split, start)
            latent = _at_positions(latents, events, stream, shown)
            features[name][start : start + CHUNK] = _project(latent, projections[name], config, rng)[: count - start]
    timelines = timelines.part(0, count)
    ids = tuple(f"{split:_<6}{number:05d}" for number in range(count))  # 11 characters, as YouTube's
    return VideoSet(
        name=f"simulated {size}", split=split, categories=shape.setting.categories, ids=ids, features=features,
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
    one_sided, rng = (config or SimulatorConfig()).one_sided, generator(seed, "videos", size, split)
    parts = [
        draw_timelines(part.statistics, shape.setting, split, part.videos[split], part.background_of(split), one_sided, rng)
        for part in shape.parts
    ]
    scene, rolls = np.concatenate([part.scene for part in parts]), np.concatenate([part.rolls for part in parts])
    return Timelines(scene, rolls).part(0, videos)


def _at_positions(latents: np.ndarray, events: np.ndarray, stream: StreamSpec, shown: np.ndarray | None) -> np.ndarray:
    """(video, snippet x positions per snippet, latent): a stream's modality, with the events as strong as `shown` at each position."""
    m = MODALITIES.index(stream.modality)
    latent = np.repeat(latents[m], stream.per_snippet, axis=1)
    if shown is not None and stream.per_snippet == shown.shape[2]:
        latent += ((shown - 1) * events[m][:, :, None]).reshape(latent.shape)
    return latent


def _project(latent: np.ndarray, projection: np.ndarray, config: SimulatorConfig, rng: np.random.Generator) -> np.ndarray:
    """(video, snippet x positions per snippet, width), float32: one stream of some videos."""
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
