"""A small picture to draw on: smooth shapes by their distance functions, in a frame of one's own that moves, turns and grows.

A shape is given by the signed distance of each pixel's centre from its edge, in pixels, negative inside. Where that is within half
a pixel the shape covers a part of the pixel, so edges are smooth. Every shape has a thin dark outline and light from above.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

Colour = tuple[float, float, float]
WIDTH, HEIGHT = 192, 144  # pixels
OUTLINE, DARK = 1.1, 0.3  # pixels, and the share of a shape's colour that its outline has
LIGHT = 0.16  # how much brighter a shape is at its top than in its middle
_Y, _X = (each.astype(np.float32) + 0.5 for each in np.mgrid[:HEIGHT, :WIDTH])


def blank(top: Colour, bottom: Colour) -> np.ndarray:
    """Makes a picture (height, width, 3), float32 in 0..1, whose colour goes from one at the top to another at the bottom."""
    share = _Y[..., None] / HEIGHT
    return ((1 - share) * np.float32(top) + share * np.float32(bottom)).astype(np.float32)


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """Gives the colour that has `share` of the second."""
    return tuple((1 - share) * a + share * b for a, b in zip(first, second, strict=True))


def by_hue(hue: float, saturation: float = 0.65, value: float = 0.9) -> Colour:
    """Gives the colour of a hue in 0..1, where 0 is red, 1/3 green and 2/3 blue."""
    channels = (np.clip(abs((hue + shift) % 1 * 6 - 3) - 1, 0, 1) for shift in (0, 2 / 3, 1 / 3))
    return tuple(float(value * (1 - saturation + saturation * channel)) for channel in channels)


@dataclass(frozen=True)
class Pen:
    """Draws into a picture, in coordinates whose origin lies at (x, y) and whose unit is `scale` pixels long, y pointing down.

    `turn` is in radians, clockwise; with `mirrored` x points to the left; `opacity` is in 0..1; `outline` in pixels.
    """

    picture: np.ndarray
    x: float = 0.0
    y: float = 0.0
    scale: float = 1.0
    turn: float = 0.0
    mirrored: bool = False
    opacity: float = 1.0
    outline: float = OUTLINE

    def at(self, x: float, y: float, scale: float = 1.0, turn: float = 0.0) -> Pen:
        """Gives a pen whose frame lies in this one's at (x, y), so many times as large, and turned."""
        px, py = self._pixel(x, y)
        return replace(self, x=px, y=py, scale=self.scale * scale, turn=self.turn + (-turn if self.mirrored else turn))

    def with_(self, **changes) -> Pen:
        """Gives the same pen with another opacity, outline, or other field."""
        return replace(self, **changes)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        self._paint(x, y, radius, lambda u, v: np.hypot(u, v) - radius, colour)

    def ellipse(self, x: float, y: float, across: float, down: float, colour: Colour) -> None:
        """Draws an ellipse of two half axes."""
        least = min(across, down)
        self._paint(x, y, max(across, down), lambda u, v: (np.hypot(u / across, v / down) - 1) * least, colour)

    def box(self, x: float, y: float, across: float, down: float, colour: Colour, corner: float = 0.0) -> None:
        """Draws a box of two half sides around (x, y), with rounded corners of a radius."""

        def distance(u, v):
            du, dv = np.abs(u) - across + corner, np.abs(v) - down + corner
            return np.hypot(np.maximum(du, 0), np.maximum(dv, 0)) + np.minimum(np.maximum(du, dv), 0) - corner

        self._paint(x, y, float(np.hypot(across, down)), distance, colour, tall=down)

    def line(self, start: tuple[float, float], end: tuple[float, float], width: float, colour: Colour) -> None:
        """Draws a line with round ends."""
        (x0, y0), (x1, y1) = start, end
        mx, my, dx, dy = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2
        square = dx * dx + dy * dy + 1e-9

        def distance(u, v):
            along = np.clip((u * dx + v * dy) / square, -1, 1)
            return np.hypot(u - along * dx, v - along * dy) - width / 2

        self._paint(mx, my, float(np.sqrt(square)) + width / 2, distance, colour)

    def polygon(self, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        corners = np.array(points, np.float32)
        x, y = (corners.min(0) + corners.max(0)) / 2
        corners = corners - np.float32([x, y])
        self._paint(x, y, float(np.hypot(*corners.T).max()), lambda u, v: _from_polygon(u, v, corners), colour)

    def _pixel(self, x: float, y: float) -> tuple[float, float]:
        x = -x if self.mirrored else x
        cos, sin = math.cos(self.turn), math.sin(self.turn)
        return self.x + self.scale * (cos * x - sin * y), self.y + self.scale * (sin * x + cos * y)

    def _paint(self, x: float, y: float, reach: float, distance, colour: Colour, tall: float | None = None) -> None:
        """Fills the pixels within `reach` of (x, y) whose `distance(u, v)` from the shape is negative; u and v count from (x, y)."""
        px, py = map(float, self._pixel(x, y))  # of NumPy's own type they would make the pixels float64
        around = self.scale * reach + self.outline + 1
        left, top = max(0, int(px - around)), max(0, int(py - around))
        here = slice(top, max(top, int(py + around) + 1)), slice(left, max(left, int(px + around) + 1))
        there = self.picture[here]
        if not there.size or self.opacity <= 0:
            return
        dx, dy = (_X[here] - px) / float(self.scale), (_Y[here] - py) / float(self.scale)
        cos, sin = math.cos(self.turn), math.sin(self.turn)
        u, v = cos * dx + sin * dy, cos * dy - sin * dx
        away = float(self.scale) * distance(-u if self.mirrored else u, v)
        colour = np.float32(colour)
        if self.outline:
            there += _cover(away - self.outline, self.opacity) * (DARK * colour - there)
        lit = colour * (1 - LIGHT * np.clip(v / (tall or reach), -1, 1))[..., None]
        there += _cover(away, self.opacity) * (lit - there)


def _cover(distance: np.ndarray, opacity: float) -> np.ndarray:
    return np.float32(opacity) * np.clip(0.5 - distance, 0, 1).astype(np.float32)[..., None]


def _from_polygon(u: np.ndarray, v: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Signed distances from a polygon: the nearest edge says how far, the parity of crossed edges says on which side."""
    nearest, inside = np.full(u.shape, np.inf, np.float32), np.zeros(u.shape, bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, 0), strict=True):
        dx, dy, du, dv = x1 - x0, y1 - y0, u - x0, v - y0
        along = np.clip((du * dx + dv * dy) / (dx * dx + dy * dy + 1e-9), 0, 1)
        nearest = np.minimum(nearest, (du - along * dx) ** 2 + (dv - along * dy) ** 2)
        if dy:
            inside ^= ((y0 > v) != (y1 > v)) & (du < dv * dx / dy)
    return np.where(inside, -1, 1) * np.sqrt(nearest)
