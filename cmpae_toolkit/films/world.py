"""Which things there are in the films, in which scenes they are at home, and when each can be heard and seen.

Labels, modality shares, spans and overlaps are drawn as the simulator draws them (`data.simulation.timelines`), each thing with the
figures of a category of LLP that behaves alike; that LLP's dogs are the crickets here says nothing about dogs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from ..data.simulation.timelines import STRANGER, Setting, Statistics, Timelines, draw_timelines, llp_statistics
from ..data.simulation.world import SimulatorConfig, generator
from . import sights, sounds

BLOCK = 200  # videos whose timelines are drawn together, so that fewer films are the first of more
MOST = 20_000  # films of a split


@dataclass(frozen=True)
class Thing:
    """What a category sounds and looks like: `sound` (times, instance) -> samples, `sight` (pen, time, instance) draws.

    `like`: the category of LLP whose figures it has; `down`: where in the picture it lives (0..1); `scale`: pixels in its unit.
    """

    like: str
    sound: Callable | None
    sight: Callable
    down: float
    scale: float
    drives: bool = False  # to and fro, instead of staying about where it is


THINGS: dict[str, Thing] = {
    "Speech": Thing("Speech", sounds.speech, sights.speech, 0.72, 26),
    "Engine": Thing("Car", sounds.engine, sights.engine, 0.78, 23, drives=True),
    "Siren": Thing("Motorcycle", sounds.siren, sights.siren, 0.78, 23, drives=True),
    "Drum": Thing("Basketball_bounce", sounds.drum, sights.drum, 0.74, 24),
    "Whistle": Thing("Cheering", sounds.whistle, sights.whistle, 0.72, 26),
    "Rain": Thing("Frying_(food)", sounds.rain, sights.rain, 0.16, 36),
    "Crickets": Thing("Dog", sounds.crickets, sights.crickets, 0.8, 21),
    "Clock": Thing("Blender", sounds.clock, sights.clock, 0.4, 23),
    "Plucked_string": Thing("Acoustic_guitar", sounds.plucked_string, sights.plucked_string, 0.62, 25),
    "Alarm": Thing("Fire_alarm", sounds.alarm, sights.alarm, 0.68, 23),
    "Wind": Thing("Helicopter", sounds.wind, sights.wind, 0.55, 31),
    "Bell": Thing("Chicken_rooster", sounds.bell, sights.bell, 0.34, 24),
}
CATEGORIES = tuple(THINGS)

# Scene -> things at home there; voices are at home everywhere.
SCENES: dict[str, tuple[str, ...]] = {
    "street": ("Engine", "Siren", "Whistle", "Rain", "Speech"),
    "living room": ("Clock", "Alarm", "Plucked_string", "Speech"),
    "meadow": ("Crickets", "Wind", "Rain", "Bell", "Speech"),
    "stage": ("Drum", "Plucked_string", "Whistle", "Speech"),
    "square": ("Bell", "Clock", "Siren", "Wind", "Rain", "Speech"),
}


@cache
def setting() -> Setting:
    """Gives categories, scenes, and how well each category suits each scene."""
    affinity = np.array([[1.0 if name in home else STRANGER for name in CATEGORIES] for home in SCENES.values()])
    return Setting(CATEGORIES, tuple(SCENES), affinity)


@cache
def statistics() -> Statistics:
    """Gives the figures of LLP's categories that the things stand in for; pairs with other categories are left out."""
    llp = llp_statistics()
    rows = [llp.categories.index(thing.like) for thing in THINGS.values()]
    pairs = llp.pairs[np.ix_(rows, rows)]
    alone = np.maximum(llp.train_videos - llp.pairs.sum(axis=1), 1)[rows]
    return replace(
        llp, categories=CATEGORIES, train_videos=alone + pairs.sum(axis=1), pairs=pairs, pattern=llp.pattern[rows],
        overlap=llp.overlap[rows], runs=llp.runs[:, rows], durations=llp.durations[:, rows],
    )


def timelines(split: str, videos: int, seed: int = 0) -> Timelines:
    """Draws scene and event rolls (video, modality, snippet, category) of the first so many films of a split; equal for equal seeds."""
    blocks = []
    for start in range(0, videos, BLOCK):
        rng = generator(seed, "films", split, start)
        blocks.append(draw_timelines(statistics(), setting(), split, BLOCK, 0, SimulatorConfig().one_sided, rng))
    scene, rolls = (np.concatenate([getattr(block, part) for block in blocks]) for part in ("scene", "rolls"))
    return Timelines(scene, rolls).part(0, videos)
