"""How the simulated world looks and sounds: what the two modalities of a snippet are made of, in a latent space.

A snippet of one modality is a sum: the active categories (each instance of a category a little different, with attack, fade and
fluctuation), the scene, things without a label, the video's own background, and noise.

What makes the task LLP's: labels know no modality; speech is mostly off screen; some categories sound alike but look different,
and the other way round; things without a label resemble categories that do not belong to the scene; both modalities show the
scene, so that either one can testify to the absence of what the other seems to contain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...config import MODALITIES, StreamSpec
from .timelines import SNIPPETS, Setting, Timelines, draw_rows, llp_statistics

# Categories that are hard to tell apart in one modality, and easy in the other.
ALIKE: dict[str, tuple[tuple[str, ...], ...]] = {
    "audio": (
        ("Cello", "Violin_fiddle"),
        ("Banjo", "Acoustic_guitar"),
        ("Chainsaw", "Lawn_mower"),
        ("Car", "Motorcycle", "Helicopter"),
        ("Vacuum_cleaner", "Blender"),
        ("Fire_alarm", "Telephone_bell_ringing"),
    ),
    "visual": (
        ("Speech", "Singing"),
        ("Baby_laughter", "Baby_cry_infant_cry"),
        ("Cheering", "Clapping"),
        ("Dog", "Cat"),
    ),
}

# The same among AVE's categories; a group counts where all of it is in the data.
AVE_ALIKE: dict[str, tuple[tuple[str, ...], ...]] = {
    "audio": (
        ("Ukulele", "Mandolin"),
        ("Truck", "Bus"),
        ("Church_bell", "Clock"),
        ("Shofar", "Train_horn"),
        ("Race_car_auto_racing", "Motorcycle", "Helicopter"),
        ("Banjo", "Acoustic_guitar"),
    ),
    "visual": (
        ("Male_speech_man_speaking", "Female_speech_woman_speaking"),
        ("Goat", "Horse"),
        ("Bark", "Cat"),
        ("Flute", "Violin_fiddle"),
    ),
}


@dataclass(frozen=True)
class SimulatorConfig:
    """The world's parameters. Strengths are lengths in the latent space, where a category's prototype has length 1.

    The defaults were tuned so that floors and probes on `small` come near those of LLP; see `methods.linear_probe`.
    Where a frame has a grid of positions (AVE), the patch that shows the event has sides of `patch` positions.
    """

    latent: int = 48
    likeness: float = 0.97  # squared cosine of the prototypes of categories that are alike
    one_sided: tuple[float, float, float] = (0.9, 0.9, 1.05)  # see draw_timelines
    instance: float = 0.45  # how far one video's instance of a category is from the prototype
    instance_rank: int = 3  # directions in which the instances of one category differ
    loudness: tuple[float, float] = (0.35, 0.30)  # log standard deviation of an event's intensity, audio and visual
    fluctuation: float = 0.2  # the same, from snippet to snippet
    fade: float = 0.5  # an event's first and last snippet keep at least this share of the intensity
    reverberation: float = 0.2  # share of the intensity in the audio snippet after a run
    scene: float = 0.5  # strength of what shows the scene, all the time
    background: float = 0.35  # strength of what is this video's own, all the time
    distractors: int = 16  # kinds of things without a label, per modality
    distractor_count: int = 2  # of them in each video and modality
    distractor: float = 0.6  # their strength
    decoy_share: float = 0.35  # in this share of the videos, per modality, something resembles a category foreign to the scene
    decoy: float = 0.65  # its strength
    noise: tuple[float, float] = (0.145, 0.125)  # per latent dimension and snippet
    frame_noise: float = 0.15  # per frame, on top
    patch: tuple[int, int] = (2, 4)  # positions, least and most
    close_up: float = 3.5  # strength of an event inside its patch, against that in a whole frame
    bias: float = -0.1  # before rectification


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Independent random numbers for each purpose; the text counts by its bytes, because `hash` differs between runs."""
    words = [p if isinstance(p, int) else int.from_bytes(p.encode(), "big") for p in purpose]
    return np.random.default_rng([seed, *words])


@dataclass(frozen=True)
class World:
    """What all videos of a seed share. Axes: modality, kind (category, scene, distractor), latent dimension; float32."""

    config: SimulatorConfig
    prototypes: np.ndarray
    spread: np.ndarray  # (modality, category, rank, latent): directions in which instances differ
    scenes: np.ndarray
    distractors: np.ndarray
    company: np.ndarray  # (modality, scene, distractor): how often a thing without a label is there
    setting: Setting

    @classmethod
    def draw(cls, config: SimulatorConfig, seed: int, setting: Setting | None = None) -> World:
        """The world of a seed, with the categories and scenes of a setting (default: LLP's)."""
        rng = generator(seed, "world")
        setting = setting or Setting.of(llp_statistics())
        categories, scenes, modalities = setting.categories, len(setting.scenes), len(MODALITIES)

        def directions(*shape: int) -> np.ndarray:
            drawn = rng.standard_normal((modalities, *shape, config.latent), dtype=np.float32)
            return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)

        prototypes = directions(len(categories))
        for m, modality in enumerate(MODALITIES):
            for group in _groups(modality, categories):
                members = [categories.index(name) for name in group]
                shared = prototypes[m, members[0]].copy()
                own = directions(len(members))[m]
                prototypes[m, members] = config.likeness**0.5 * shared + (1 - config.likeness) ** 0.5 * own
        return cls(
            config, prototypes, directions(len(categories), config.instance_rank), directions(scenes),
            directions(config.distractors), rng.dirichlet(np.full(config.distractors, 0.3), (modalities, scenes)), setting,
        )

    def projection(self, name: str, stream: StreamSpec, seed: int) -> np.ndarray:
        """(latent, width), float32: how a stream sees the latent space."""
        rng = generator(seed, "projection", name, stream.width)
        return rng.standard_normal((self.config.latent, stream.width), dtype=np.float32)

    def latents(self, timelines: Timelines, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """All but what differs between the streams and positions of a snippet, and the share of the events in it.

        Both (modality, video, snippet, latent), float32.
        """
        config = self.config
        videos = len(timelines.scene)
        strength = self._intensity(timelines.rolls, rng)
        result, events = np.empty((2, len(MODALITIES), videos, SNIPPETS, config.latent), np.float32)
        for m in range(len(MODALITIES)):
            place = config.scene * self.scenes[m][timelines.scene]
            place = place + config.background * _normal(rng, videos, config.latent) / config.latent**0.5
            events[m] = np.einsum("vtc,vcd->vtd", strength[m], self._instances(m, videos, rng), optimize=True)
            result[m] = place[:, None] + events[m]
            for _ in range(config.distractor_count):
                kind = draw_rows(self.company[m][timelines.scene], rng)
                result[m] += config.distractor * _anywhere(videos, rng) * self.distractors[m][kind][:, None]
            result[m] += self._decoys(m, timelines, rng)
            result[m] += config.noise[m] * _normal(rng, videos, SNIPPETS, config.latent)
        return result, events

    def visibility(self, videos: int, grid: int, rng: np.random.Generator) -> np.ndarray:
        """(video, snippet, grid x grid positions, 1), float32: the strength of the events at each position of a frame.

        They show in one patch of neighbouring positions a video, which moves by at most one position between snippets.
        """
        low, high = self.config.patch
        axes = []
        for _ in range(2):
            side = rng.integers(low, high + 1, (videos, 1))
            path = rng.integers(0, grid + 1 - side) + np.cumsum(rng.integers(-1, 2, (videos, SNIPPETS)), axis=1)
            start = np.clip(path, 0, grid - side)[..., None]
            axes.append((np.arange(grid) >= start) & (np.arange(grid) < start + side[..., None]))
        patch = axes[0][..., :, None] & axes[1][..., None, :]
        return self.config.close_up * patch.reshape(videos, SNIPPETS, -1, 1).astype(np.float32)

    def _instances(self, m: int, videos: int, rng: np.random.Generator) -> np.ndarray:
        """(video, category, latent): this video's version of every category."""
        config = self.config
        weights = _normal(rng, videos, self.prototypes.shape[1], config.instance_rank)
        weights *= config.instance / config.instance_rank**0.5
        return self.prototypes[m] + np.einsum("vcr,crd->vcd", weights, self.spread[m], optimize=True)

    def _intensity(self, rolls: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(modality, video, snippet, category), float32: 0 outside the events but for the reverberation after a sound."""
        config = self.config
        on = rolls.transpose(1, 0, 2, 3)
        before = np.zeros_like(on)
        before[:, :, 1:] = on[:, :, :-1]
        after = np.zeros_like(on)
        after[:, :, :-1] = on[:, :, 1:]
        level = _normal(rng, *on[:, :, :1].shape) * np.array(config.loudness, np.float32)[:, None, None, None]
        strength = np.exp(level + config.fluctuation * _normal(rng, *on.shape))
        ends = np.where(on & ~(before & after), 1 - config.fade * rng.random(on.shape, dtype=np.float32), 1)
        tail = (before & ~on)[0] * config.reverberation
        shape = on * ends
        shape[0] += tail
        return (strength * shape).astype(np.float32)

    def _decoys(self, m: int, timelines: Timelines, rng: np.random.Generator) -> np.ndarray:
        """(video, snippet, latent): in some videos something that resembles a category foreign to the scene and to the labels."""
        config, videos = self.config, len(timelines.scene)
        foreign = (self.setting.affinity[timelines.scene] < 1) & ~timelines.rolls.any(axis=(1, 2))
        resembled = draw_rows(foreign.astype(float), rng)
        there = rng.random((videos, 1, 1)) < config.decoy_share
        return config.decoy * there * _anywhere(videos, rng) * self.prototypes[m][resembled][:, None]


def _groups(modality: str, categories: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The groups of categories that are alike in a modality; one with a member outside `categories` does not count."""
    return [group for group in dict.fromkeys(ALIKE[modality] + AVE_ALIKE[modality]) if set(group) <= set(categories)]


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32)


def _anywhere(videos: int, rng: np.random.Generator) -> np.ndarray:
    """(video, snippet, 1), float32: one run of 2 to 10 snippets in each video."""
    length = rng.integers(2, SNIPPETS + 1, videos)
    start = np.floor(rng.random(videos) * (SNIPPETS + 1 - length)).astype(int)
    snippet = np.arange(SNIPPETS)
    return ((snippet >= start[:, None]) & (snippet < (start + length)[:, None]))[..., None].astype(np.float32)
