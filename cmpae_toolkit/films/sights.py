"""How the things of the films look: each function draws one at a time (s), with a pen whose unit is about half the thing's height.

What moves follows the same clock as the sound (`rhythm`). Siren and engine are the same car but for the lights; speech and whistle
are the same head but for the whistle; clock and alarm are both round faces with hands.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .canvas import Colour, Pen, by_hue, mixed
from .rhythm import TAU, Instance, beep, blast, chirp, drum_stroke, gust, stroke, syllable, wave

WHITE, BLACK, GREY, BRASS = (0.97, 0.97, 0.95), (0.1, 0.1, 0.12), (0.55, 0.57, 0.6), (0.87, 0.68, 0.25)
WOOD, LEAF, RED, BLUE = (0.62, 0.4, 0.22), (0.3, 0.6, 0.25), (0.9, 0.2, 0.15), (0.2, 0.4, 0.95)
HALF_BELL = ((0, -0.8), (0.28, -0.74), (0.42, -0.5), (0.48, -0.05), (0.6, 0.3), (0.8, 0.5))


def bell(pen: Pen, t: float, own: Instance) -> None:
    since, number = stroke(t, own, 1.3)
    swing = 0.45 * np.cos(TAU * since * own.tempo / 2.6) * (1 if number % 2 else -1)  # farthest out when it is struck
    pen.box(0, -1, 0.85, 0.1, WOOD)
    hung = pen.at(0, -0.95, turn=swing)
    hung.line((0, 0), (0, 0.2), 0.16, GREY)
    hung.disc(-0.5 * swing, 1.6, 0.2, mixed(BRASS, BLACK, 0.4))
    hung.polygon([(x, y + 0.95) for x, y in (*HALF_BELL, *((-x, y) for x, y in HALF_BELL[::-1]))], mixed(BRASS, by_hue(own.hue), 0.15))
    hung.box(0, 1.42, 0.84, 0.09, mixed(BRASS, WHITE, 0.25), 0.08)
    if since < 0.3:
        for side in (-1, 1):
            for k in (1, 2):
                pen.line((side * (0.85 + 0.2 * k + since), -0.2), (side * (0.85 + 0.2 * k + since), 0.25 + 0.1 * k), 0.07, WHITE)


def _car(pen: Pen, t: float, own: Instance) -> None:
    body, shake = by_hue(own.hue), 0.02 * np.sin(TAU * 11 * t)
    pen.ellipse(0, 0.68, 1.5, 0.12, (0.2, 0.2, 0.22))
    up = pen.at(0, shake)
    up.polygon([(-0.85, 0), (-0.55, -0.5), (0.4, -0.5), (0.8, 0)], mixed(body, WHITE, 0.15))
    up.polygon([(-0.68, -0.03), (-0.46, -0.4), (-0.08, -0.4), (-0.08, -0.03)], (0.7, 0.87, 0.95))
    up.polygon([(0.04, -0.03), (0.04, -0.4), (0.35, -0.4), (0.62, -0.03)], (0.7, 0.87, 0.95))
    up.box(0, 0.22, 1.4, 0.28, body, 0.16)
    up.disc(1.28, 0.14, 0.1, (1, 0.95, 0.6))
    up.box(-1.33, 0.12, 0.06, 0.1, RED)
    for x in (-0.75, 0.78):
        pen.disc(x, 0.5, 0.27, BLACK)
        pen.disc(x, 0.5, 0.13, (0.8, 0.8, 0.82))
        spoke = pen.at(x, 0.5, turn=5 * t)
        spoke.with_(outline=0).line((-0.1, 0), (0.1, 0), 0.05, BLACK)


def siren(pen: Pen, t: float, own: Instance) -> None:
    _car(pen, t, own)
    side = 1 if t * own.tempo * 3 % 1 < 0.5 else -1
    pen.box(-0.08, -0.58, 0.34, 0.06, GREY, 0.04)
    for x, colour in ((-1, BLUE), (1, RED)):
        lit = x == side
        if lit:
            pen.with_(outline=0, opacity=0.35).disc(-0.08 + 0.2 * x, -0.68, 0.55, mixed(colour, WHITE, 0.3))
        pen.disc(-0.08 + 0.2 * x, -0.68, 0.15, mixed(colour, WHITE, 0.55) if lit else mixed(colour, BLACK, 0.6))


def engine(pen: Pen, t: float, own: Instance) -> None:
    for k in range(4):  # puffs of smoke, larger and thinner the older they are
        age = (t * 1.6 * own.tempo + k / 4) % 1
        smoke = pen.with_(opacity=0.75 * (1 - age), outline=0.6 * (1 - age))
        smoke.disc(-1.5 - 0.7 * age, 0.4 - 0.5 * age, 0.1 + 0.25 * age, (0.75, 0.75, 0.77))
    _car(pen, t, own)


def drum(pen: Pen, t: float, own: Instance) -> None:
    since, force, hand = drum_stroke(t, own)
    dent = 0.06 * float(force) * np.exp(-since / 0.08)
    body = by_hue(own.hue, 0.75, 0.85)
    pen.box(0, 0.35, 0.95, 0.45, body, 0.1)
    pen.ellipse(0, 0.8, 0.95, 0.2, mixed(body, BLACK, 0.15))
    for x in (-0.75, -0.25, 0.25, 0.75):
        pen.line((x, 0), (x + 0.2 * (1 if x < 0 else -1), 0.75), 0.06, BRASS)
    pen.ellipse(0, -0.08, 0.98, 0.28, BRASS)
    pen.ellipse(0, -0.1 + dent, 0.88, 0.22, WHITE)
    for side, its in ((-1, 0), (1, 1)):
        lift = 0.75 * np.clip(since / (0.2 / own.tempo), 0, 1) if its == hand else 0.55
        tip = (side * 0.3, -0.14 - lift)
        pen.line((side * 1.15, -0.75 - 0.3 * lift), tip, 0.09, WOOD)
        pen.disc(*tip, 0.1, mixed(WOOD, WHITE, 0.4))


def _head(pen: Pen, t: float, own: Instance) -> None:
    skin = mixed((0.98, 0.82, 0.68), (0.45, 0.28, 0.18), own.generator(5).random())
    shirt, hair = by_hue(own.hue, 0.7, 0.75), by_hue(own.hue + 0.6, 0.5, 0.45)
    pen.box(0, 1.12, 0.85, 0.36, shirt, 0.3)
    pen.box(0, 0.68, 0.2, 0.2, mixed(skin, BLACK, 0.12))
    pen.disc(0, -0.12, 0.72, hair)
    pen.ellipse(0, 0, 0.62, 0.72, skin)
    pen.ellipse(0, -0.6, 0.5, 0.2, hair)
    closed = (t + 3 * own.phase) % 2.7 < 0.15
    for x in (-0.24, 0.24):
        if closed:
            pen.line((x - 0.1, -0.12), (x + 0.1, -0.12), 0.05, BLACK)
        else:
            pen.ellipse(x, -0.12, 0.12, 0.11, WHITE)
            pen.with_(outline=0).disc(x + 0.03 * wave(t, own, 2), -0.11, 0.065, BLACK)


def speech(pen: Pen, t: float, own: Instance) -> None:
    opening, number = syllable(t, own)
    nod = pen.at(0, 0.05 * float(opening), turn=0.05 * wave(t, own, 1.9))
    _head(nod, t, own)
    round_ = (0.13, 0.24)[int(number) % 2]
    nod.ellipse(0, 0.36, round_ + 0.04, 0.04 + 0.2 * float(opening), (0.55, 0.12, 0.15))


def whistle(pen: Pen, t: float, own: Instance) -> None:
    air = float(blast(t, own))
    head = pen.at(0, 0, turn=0.04 * air)
    _head(head, t, own)
    head.box(0, -0.62, 0.66, 0.16, by_hue(own.hue, 0.8, 0.6), 0.12)  # the referee's cap
    head.box(0.35, -0.5, 0.5, 0.06, by_hue(own.hue, 0.8, 0.45), 0.05)
    puffed = 0.1 + 0.04 * air
    for x in (-0.4, 0.4):
        head.with_(outline=0, opacity=0.6 * air).disc(x, 0.3, puffed, (0.95, 0.5, 0.45))
    head.box(0.3, 0.34, 0.28, 0.08, (0.85, 0.85, 0.88), 0.04)
    head.disc(0.55, 0.44, 0.18, (0.85, 0.85, 0.88))
    head.with_(outline=0).disc(0.55, 0.42, 0.07, BLACK)
    if air > 0.5:
        for k, angle in enumerate((-0.5, 0, 0.5)):
            start = 0.85 + 0.06 * np.sin(40 * t + k)
            pen.line((start, 0.4 + 0.6 * angle * 0.5), (start + 0.4, 0.4 + 1.1 * angle * 0.7), 0.08, WHITE)


def rain(pen: Pen, t: float, own: Instance) -> None:
    rng = own.generator(6)
    xs, ys, speeds = rng.uniform(-1.5, 1.5, 34), rng.uniform(0, 1, 34), rng.uniform(1.1, 1.5, 34)
    for x, y, speed in zip(xs, ys, speeds, strict=True):
        fallen = 0.1 + 3.1 * ((y + speed * t) % 1)
        aside = x - 0.06 * fallen
        pen.with_(outline=0, opacity=0.85).line((aside, fallen), (aside - 0.03, fallen + 0.28), 0.05, (0.75, 0.88, 1))
    shade = 0.5 + 0.1 * own.phase
    for x, y, r in ((-0.95, 0.1, 0.42), (0.95, 0.1, 0.45), (-0.45, -0.15, 0.55), (0.4, -0.2, 0.6), (0, 0.1, 0.55)):
        pen.disc(x + 0.03 * wave(t, own, 3 + x), y, r, (shade, shade + 0.03, shade + 0.1))
    pen.with_(outline=0).box(0, 0.18, 0.9, 0.3, (shade, shade + 0.03, shade + 0.1), 0.2)


def crickets(pen: Pen, t: float, own: Instance) -> None:
    sings, green = float(chirp(t, own)), mixed((0.35, 0.62, 0.15), (0.45, 0.33, 0.15), 0.8 * own.hue)
    hop = 0.35 * max(0.0, float(wave(t, own, 2.3))) ** 6
    pen.polygon([(-1.7, 0.95), (-0.4, 0.62), (1.7, 0.8), (0.3, 1.12)], LEAF)
    at = pen.at(0, -hop)
    for x, foot in ((0.35, 0.7), (0, -0.15), (0.6, 1.05)):
        at.line((x, 0.3), (foot, 0.75), 0.08, mixed(green, BLACK, 0.3))
    for bend in (0.35, 0.75):
        at.line((0.9, -0.1), (1.2 + bend * 0.5, -0.9 + 0.5 * bend + 0.06 * wave(t, own, 0.8)), 0.05, mixed(green, BLACK, 0.4))
    at.ellipse(0, 0.18, 1, 0.3, green)
    at.at(-0.1, 0.02, turn=-0.12 - 0.25 * sings).ellipse(-0.2, 0, 0.75, 0.2, mixed(green, WHITE, 0.4))  # the wing that it rubs
    at.disc(0.9, 0.08, 0.33, mixed(green, WHITE, 0.1))
    at.disc(1.02, 0.0, 0.1, BLACK)
    knee = (-0.75, -0.7 - 0.2 * sings)
    at.line((0, 0.25), knee, 0.2, mixed(green, BLACK, 0.12))
    at.line(knee, (-1.1, 0.75), 0.1, mixed(green, BLACK, 0.25))


def _face(pen: Pen, t: float, own: Instance, rim: Colour) -> None:
    pen.disc(0, 0, 0.8, rim)
    pen.disc(0, 0, 0.66, WHITE)
    flat = pen.with_(outline=0)
    for hour in range(12):
        x, y = np.sin(TAU * hour / 12), np.cos(TAU * hour / 12)
        flat.disc(0.55 * x, 0.55 * y, 0.07 if hour % 3 == 0 else 0.04, BLACK)
    flat.line((0, 0), (0.32 * np.sin(TAU * own.hue), -0.32 * np.cos(TAU * own.hue)), 0.1, BLACK)
    flat.line((0, 0), (0.48 * np.sin(12 * TAU * own.hue), -0.48 * np.cos(12 * TAU * own.hue)), 0.07, BLACK)


def clock(pen: Pen, t: float, own: Instance) -> None:
    since, number = stroke(t, own, 0.5)
    swing = 0.42 * np.sin(TAU * since * own.tempo / 1.0 - np.pi / 2) * (1 if number % 2 else -1)  # at an end at each tick
    case = mixed(WOOD, by_hue(own.hue), 0.25)
    pen.polygon([(-0.75, -0.75), (0, -1.3), (0.75, -0.75)], mixed(case, BLACK, 0.15))
    pen.box(0, 0.35, 0.8, 1.15, case, 0.05)
    pen.box(0, 0.98, 0.6, 0.42, mixed(case, BLACK, 0.5))
    rod = pen.at(0, 0.5, turn=swing)
    rod.line((0, 0), (0, 0.62), 0.06, BRASS)
    rod.disc(0, 0.66, 0.17, BRASS)
    face = pen.at(0, -0.12, 0.85)
    _face(face, t, own, BRASS)
    angle = TAU * int(number) / 60
    face.with_(outline=0).line((0, 0), (0.5 * np.sin(angle), -0.5 * np.cos(angle)), 0.05, RED)


def alarm(pen: Pen, t: float, own: Instance) -> None:
    rings = float(beep(t, own))
    shaken = pen.at(0.05 * np.sin(TAU * 13 * t) * (0.3 + rings), 0.1, turn=0.09 * np.sin(TAU * 9 * t) * (0.3 + rings))
    colour = by_hue(own.hue, 0.75, 0.9)
    for side in (-1, 1):
        shaken.line((side * 0.45, 0.6), (side * 0.68, 0.95), 0.14, GREY)
        shaken.at(side * 0.5, -0.72, turn=side * 0.55).ellipse(0, 0, 0.38, 0.24, mixed(BRASS, WHITE, 0.2))
    shaken.line((0, -0.75), (0.12 * np.sin(TAU * 9 * t), -1.05), 0.12, GREY)
    _face(shaken, t, own, colour)
    if rings > 0.3:
        for side in (-1, 1):
            for k in (-1, 0, 1):
                pen.line((side * 1.0, -0.5 + 0.35 * k), (side * 1.4, -0.6 + 0.6 * k), 0.09, (1, 0.85, 0.2))


def plucked_string(pen: Pen, t: float, own: Instance) -> None:
    since, number = stroke(t, own, 0.4)
    tilt = pen.at(0, 0.1, turn=0.55 + 0.04 * wave(t, own, 1.6))
    body = mixed((0.8, 0.5, 0.2), by_hue(own.hue), 0.3)
    tilt.box(0, -0.95, 0.13, 0.8, mixed(WOOD, BLACK, 0.45))
    tilt.box(0, -1.75, 0.2, 0.2, mixed(WOOD, BLACK, 0.3), 0.06)
    tilt.ellipse(0, 0.05, 0.5, 0.45, body)
    tilt.ellipse(0, 0.65, 0.68, 0.55, body)
    tilt.with_(outline=0).ellipse(0, 0.35, 0.42, 0.3, body)
    tilt.disc(0, 0.25, 0.2, BLACK)
    tilt.box(0, 0.85, 0.3, 0.06, mixed(WOOD, BLACK, 0.4))
    for k in (-1, 0, 1):
        bent = 0.12 * np.exp(-since / 0.15) * np.sin(TAU * 7 * t) if k == int(number) % 3 - 1 else 0
        fine = tilt.with_(outline=0)
        fine.line((0.07 * k, -1.6), (0.07 * k + bent, 0.1), 0.035, WHITE)
        fine.line((0.07 * k + bent, 0.1), (0.07 * k, 0.85), 0.035, WHITE)
    hand = tilt.at(0.35 - 0.5 * np.exp(-since / 0.1), 0.42 + 0.1 * (int(number) % 3))
    hand.ellipse(0.12, 0, 0.27, 0.16, (0.93, 0.75, 0.6))


def wind(pen: Pen, t: float, own: Instance) -> None:
    blow, green = float(gust(t, own)), mixed(LEAF, (0.8, 0.55, 0.15), own.hue * 0.8)
    bend = 0.25 + 0.75 * blow
    trunk = [(0.55 * bend * (k / 5) ** 2, 1.2 - 1.5 * k / 5) for k in range(6)]
    for k, (low, high) in enumerate(pairwise(trunk)):
        pen.line(low, high, 0.34 - 0.04 * k, WOOD)
    for k, (x, y, r) in enumerate(((-0.4, -0.3, 0.42), (0.1, -0.65, 0.5), (0.5, -0.25, 0.42), (0.05, -0.2, 0.5))):
        flutter = 0.06 * np.sin(TAU * 2.2 * t + k)
        pen.disc(x + bend * 0.65 + flutter, y + 0.12 * blow, r, mixed(green, BLACK, 0.08 * k))
    for k in range(7):  # leaves and streaks that fly by
        way = (t * (0.45 + 0.5 * blow / 2) * own.tempo + k / 7 + own.phase) % 1
        x, y = -2.4 + 5.6 * way, -1 + 2 * ((k * 0.37) % 1) + 0.2 * np.sin(9 * way + k)
        if k % 3:
            pen.at(x, y, turn=9 * way + k).ellipse(0, 0, 0.15, 0.07, green)
        else:
            pen.with_(outline=0, opacity=0.7 * np.sin(np.pi * way)).line((x - 0.5, y), (x + 0.5, y + 0.05), 0.06, WHITE)
