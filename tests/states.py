"""A state to draw, made of random numbers."""

import numpy as np

from cmpae_toolkit import plots

LEVELS, SCORES = ("segment", "event"), ("audio", "visual", "audio_visual", "type", "event")


def make_state(snippets=10, count=3, chosen=2, evidence=True, reference=True, events=True, **fields):
    rng = np.random.default_rng(0)
    categories = tuple(f"Category_{i}_with_a_long_name" for i in range(count))
    presence, absence = np.exp(rng.normal(0, 1.5, (2, 2, snippets, count)))
    strength = presence + absence + 2
    roll = np.zeros((2, snippets, count), bool)
    if events:
        roll[0, 1:3, 0], roll[1, 2:4, 0] = True, True
    threshold = np.full((2, count), 0.5)
    return plots.ExplorerState(**dict(
        title="simulated small (test): video 0", categories=categories, chosen=categories[:chosen],
        probability=(presence + 1) / strength, vacuity=2 / strength if evidence else None,
        presence=presence if evidence else None, absence=absence if evidence else None,
        attention=rng.dirichlet(np.ones(snippets), (2, count)).transpose(0, 2, 1), reference=roll if reference else None,
        estimate=np.roll(roll, 1, axis=1), video_thresholds=threshold,
        video_probability=np.full((2, count), 0.7), video_vacuity=np.full((2, count), 0.2) if evidence else None,
        video_presence=np.full((2, count), 6.0) if evidence else None, video_absence=np.full((2, count), 2.0) if evidence else None,
        snippet_thresholds=threshold, scores={level: dict.fromkeys(SCORES, 50.0) for level in LEVELS} if reference else None,
    ) | fields)
