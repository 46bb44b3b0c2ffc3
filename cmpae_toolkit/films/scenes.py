"""Where the films play: for each scene a background and an ambience, and what passes by in either without being an event."""

from __future__ import annotations

import numpy as np

from .canvas import WIDTH, Pen, blank, by_hue, mixed
from .rhythm import TAU, Instance, stroke, wave
from .sights import BLACK, BRASS, GREY, LEAF, RED, WHITE, WOOD
from .sounds import RATE, harmonics, noise, rung

QUIET = 0.011  # root mean square of an ambience: 18 dB below an event
SKIES = (((0.45, 0.7, 0.95), (0.85, 0.93, 1.0)), ((0.5, 0.6, 0.72), (0.8, 0.83, 0.86)), ((0.35, 0.35, 0.62), (0.98, 0.72, 0.5)))


def street(rng: np.random.Generator) -> np.ndarray:
    picture = blank(*SKIES[rng.integers(len(SKIES))])
    pen, x = Pen(picture), -rng.uniform(0, 15)
    while x < WIDTH:
        across, tall = rng.uniform(14, 24), rng.uniform(35, 80)
        wall = by_hue(rng.uniform(0.02, 0.14), rng.uniform(0.1, 0.45), rng.uniform(0.55, 0.85))
        pen.box(x + across, 104 - tall / 2, across, tall / 2, wall)
        for row in np.arange(104 - tall + 9, 92, 14):
            for column in np.arange(x + 8, x + 2 * across - 5, 12):
                light = (1, 0.9, 0.6) if rng.random() < 0.25 else (0.4, 0.5, 0.6)
                pen.with_(outline=0.7).box(column, row, 3, 4, light)
        x += 2 * across
    pen.box(WIDTH / 2, 108, WIDTH, 5, (0.7, 0.7, 0.7))
    pen.box(WIDTH / 2, 130, WIDTH, 17, (0.36, 0.36, 0.39))
    for dash in range(-1, 8):
        pen.with_(outline=0).box(dash * 30 + rng.uniform(0, 3), 131, 8, 1.2, WHITE)
    return picture


def living_room(rng: np.random.Generator) -> np.ndarray:
    wall = by_hue(rng.random(), 0.22, 0.88)
    picture = blank(wall, mixed(wall, BLACK, 0.08))
    pen = Pen(picture)
    for x in range(6, WIDTH, 16):
        pen.with_(outline=0, opacity=0.25).box(x, 50, 3, 60, mixed(wall, WHITE, 0.6))
    pen.box(WIDTH / 2, 129, WIDTH, 20, mixed(WOOD, WHITE, 0.3 * rng.random()))
    for row in (119, 130, 141):
        pen.with_(outline=0, opacity=0.5).line((0, row), (WIDTH, row), 0.8, BLACK)
    x = rng.choice([30, 160])
    pen.box(x, 40, 20, 24, WHITE)
    pen.box(x, 40, 17, 21, SKIES[rng.integers(len(SKIES))][1])
    pen.line((x, 20), (x, 60), 2, WHITE)
    sofa = by_hue(rng.random(), 0.5, 0.6)
    pen.box(WIDTH - x, 104, 34, 16, sofa, 7)
    pen.box(WIDTH - x, 117, 40, 9, mixed(sofa, WHITE, 0.15), 5)
    return picture


def meadow(rng: np.random.Generator) -> np.ndarray:
    picture = blank(*SKIES[rng.integers(len(SKIES))])
    pen = Pen(picture)
    pen.with_(outline=0).disc(rng.uniform(20, 170), rng.uniform(15, 40), 11, (1, 0.93, 0.65))
    for x, y, r in ((40, 150, 80), (150, 165, 90)):
        pen.disc(x + rng.uniform(-20, 20), y, r, mixed(LEAF, (0.7, 0.8, 0.6), 0.6))
    grass = mixed(LEAF, (0.65, 0.65, 0.25), 0.6 * rng.random())
    pen.ellipse(WIDTH / 2, 158, 190, 60, grass)
    for _ in range(26):
        x, y = rng.uniform(0, WIDTH), rng.uniform(108, 144)
        pen.with_(outline=0).line((x, y), (x + rng.uniform(-3, 3), y - rng.uniform(4, 8)), 1.3, mixed(grass, BLACK, 0.3))
        if rng.random() < 0.4:
            pen.with_(outline=0.5).disc(x, y - 7, 1.8, by_hue(rng.random(), 0.5, 1))
    return picture


def stage(rng: np.random.Generator) -> np.ndarray:
    curtain = by_hue(rng.choice([0, 0.03, 0.75, 0.6]), 0.7, 0.5)
    picture = blank((0.14, 0.12, 0.2), (0.3, 0.26, 0.34))
    pen = Pen(picture)
    for x in (rng.uniform(40, 80), rng.uniform(110, 150)):  # two spotlights
        pen.with_(outline=0, opacity=0.22).polygon([(x - 4, 0), (x + 4, 0), (x + 40, 120), (x - 40, 120)], (1, 0.95, 0.75))
    pen.box(WIDTH / 2, 130, WIDTH, 16, (0.5, 0.34, 0.22))
    for fold in range(4):
        for x in (fold * 9, WIDTH - fold * 9):
            pen.box(x, 56, 6, 62, mixed(curtain, BLACK, 0.1 * (fold % 2)), 4)
    for x in range(0, WIDTH + 24, 24):
        pen.ellipse(x, 3, 15, 11, mixed(curtain, BLACK, 0.15))
    return picture


def square(rng: np.random.Generator) -> np.ndarray:
    picture = blank(*SKIES[rng.integers(len(SKIES))])
    pen, tower = Pen(picture), rng.uniform(30, 160)
    stone = by_hue(0.1, rng.uniform(0.05, 0.25), rng.uniform(0.65, 0.85))
    for x in range(-10, WIDTH + 20, 34):
        house = by_hue(rng.random(), 0.3, 0.85)
        pen.polygon([(x - 19, 82), (x, rng.uniform(58, 68)), (x + 19, 82)], (0.7, 0.35, 0.28))
        pen.box(x, 96, 16, 16, house)
        for dx in (-7, 7):
            pen.with_(outline=0.7).box(x + dx, 94, 3, 4.5, (0.4, 0.5, 0.6))
    pen.box(tower, 68, 15, 45, stone)
    pen.polygon([(tower - 19, 26), (tower, -12), (tower + 19, 26)], (0.45, 0.3, 0.3))
    pen.box(tower, 42, 6, 9, (0.25, 0.22, 0.25), 5)
    pen.box(WIDTH / 2, 128, WIDTH, 18, mixed(stone, GREY, 0.5))
    for _ in range(40):
        pen.with_(outline=0, opacity=0.4).ellipse(rng.uniform(0, WIDTH), rng.uniform(114, 144), 5, 1.6, mixed(stone, WHITE, 0.4))
    return picture


def ambience(scene: str, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Makes what a scene sounds like when nothing happens (sample), as quiet as `QUIET`, with a slow life of its own."""
    low, high, slope, hum = {
        "street": (40, 500, 0.6, 0.0), "living room": (60, 900, 0.8, 0.7), "meadow": (300, 3000, 0.4, 0.0),
        "stage": (100, 1500, 0.5, 0.35), "square": (150, 1000, 0.5, 0.0),
    }[scene]
    t = np.arange(samples) / RATE
    sound = noise(rng, samples, low, high, slope) * (1 + 0.4 * np.sin(TAU * (rng.uniform(0.1, 0.3) * t + rng.random())))
    sound += hum * harmonics(np.full(samples, rng.choice([50.0, 60.0])), (0, 1, 0, 0.5))
    return QUIET * np.exp(0.3 * rng.standard_normal()) * sound / sound.std()


# ---- What passes by without being an event: (t, own) -> samples, and (pen, t, own) -> drawn --------------------------------------


def steps(t: np.ndarray, own: Instance) -> np.ndarray:
    since, _ = stroke(t, own, 0.55)
    return np.exp(-since / 0.03) * noise(own.generator(2), len(t), 80, 900) * np.clip(since / 0.003, 0, 1)


def drips(t: np.ndarray, own: Instance) -> np.ndarray:
    since, _ = stroke(t, own, 0.9)
    return rung(since, 1100 * own.pitch, {1: (1, 0.04), 1.6: (0.5, 0.02)})


def bird(t: np.ndarray, own: Instance) -> np.ndarray:
    since, number = stroke(t, own, 0.6)
    sung = np.clip(since / 0.02, 0, 1) * np.clip((0.18 - since) / 0.05, 0, 1) * (number % 3 != 2)
    return sung * harmonics(own.pitch * (2900 + 4500 * since * (number % 2 * 2 - 1)), (1, 0.1))


def buzz(t: np.ndarray, own: Instance) -> np.ndarray:
    return harmonics(own.pitch * (120 + 8 * wave(t, own, 0.7)), (1, 0.7, 0.6, 0.4, 0.3, 0.2))


def balloon(pen: Pen, t: float, own: Instance) -> None:
    pen.line((0, 0.8), (0.1 * wave(t, own, 1.5), 1.7), 0.06, WHITE)
    pen.ellipse(0, 0, 0.65, 0.8, by_hue(own.hue))


def butterfly(pen: Pen, t: float, own: Instance) -> None:
    flap = 0.25 + 0.75 * abs(np.sin(TAU * 2.1 * own.tempo * t))
    for side in (-1, 1):
        pen.ellipse(side * 0.5 * flap, -0.25, 0.5 * flap + 0.05, 0.45, by_hue(own.hue))
        pen.ellipse(side * 0.4 * flap, 0.4, 0.38 * flap + 0.05, 0.32, by_hue(own.hue + 0.1))
    pen.line((0, -0.5), (0, 0.6), 0.14, BLACK)


def parcel(pen: Pen, t: float, own: Instance) -> None:
    pen.box(0, 0.3, 0.8, 0.6, (0.8, 0.62, 0.4))
    pen.box(0, 0.3, 0.14, 0.6, RED)
    pen.box(0, 0.3, 0.8, 0.1, RED)


def lamp(pen: Pen, t: float, own: Instance) -> None:
    pen.with_(outline=0, opacity=0.3 + 0.05 * wave(t, own, 1)).disc(0, -0.3, 0.9, (1, 0.95, 0.6))
    pen.line((0, 0), (0, 1.2), 0.12, BRASS)
    pen.polygon([(-0.35, -0.7), (0.35, -0.7), (0.65, 0), (-0.65, 0)], (1, 0.93, 0.7))


BACKGROUNDS = {"street": street, "living room": living_room, "meadow": meadow, "stage": stage, "square": square}
PASSING = {  # what passes by, and how far down in the picture it is (0..1)
    "passing sound": ((steps, 0), (drips, 0), (bird, 0), (buzz, 0)),
    "passing sight": ((balloon, 0.3), (butterfly, 0.5), (parcel, 0.85), (lamp, 0.8)),
}
