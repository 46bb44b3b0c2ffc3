"""The few SVG elements, shapes and axes that `live` draws with. One unit is a pixel at full width."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Sequence

import numpy as np

SHAPES = (  # markers of half-size 4 around the point
    "m-4,0a4,4 0 1 0 8,0a4,4 0 1 0 -8,0z", "m-3.5,-3.5h7v7h-7z", "m0,-4.5l4.5,8h-9z", "m0,-5l5,5l-5,5l-5,-5z", "m0,4.5l4.5,-8h-9z",
    "m-1.6,-4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3z",
)


def text(x: float, y: float, words: str, kind: str = "") -> str:
    """Words whose base line starts (or with the class `mid`, is centred; `end`, ends) at a point."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{html.escape(words, quote=False)}</text>'


def rect(x: float, y: float, width: float, height: float, kind: str, more: str = "") -> str:
    """A rectangle of the class `kind`, by its upper left corner."""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" class="{kind}"{more}/>'


def path(d: str, kind: str) -> str:
    """A path of the class `kind`."""
    return f'<path d="{d}" class="{kind}"/>'


def line(x: Sequence[float], y: Sequence[float]) -> str:
    """The path through points."""
    return "M" + "L".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def marks(x: Sequence[float], y: Sequence[float], number: int) -> str:
    """The path of category `number`'s marker at every point."""
    shape = SHAPES[number % len(SHAPES)]
    return "".join(f"M{a:.1f},{b:.1f}{shape}" for a, b in zip(x, y, strict=True))


def picture(tile: np.ndarray) -> str:
    """A tile (height, width, 3), uint8, as the address of an embedded picture."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(tile).save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def scale(value: float, log: bool) -> float:
    """Evidence on the axis: as it is, or linear up to 1 and logarithmic (1 a decade) above."""
    return value if not log or value <= 1 else 1 + math.log10(value)


def ticks(top: float, log: bool) -> list[float]:
    """Round numbers from 0 to `top` > 0, at most seven."""
    if log:
        decades = max(0, math.ceil(math.log10(max(top, 1))))
        every = max(1, -(-decades // 5))
        return [0.0] + [10.0**k for k in range(0, decades + 1, every) if 10.0**k <= top * 1.0001]
    raw = top / 4
    base = 10.0 ** math.floor(math.log10(raw))
    step = base * next(k for k in (1, 2, 5, 10) if k * base >= raw * 0.9999)
    return [step * k for k in range(int(top / step * 1.0001) + 1)]


def number(value: float) -> str:
    """A tick's label: 0.25, 500, 1e6."""
    if value == 0 or 1e-3 <= value < 1e5:
        return f"{value:g}"
    exponent = math.floor(math.log10(value) + 1e-9)
    return f"{value / 10.0**exponent:.3g}e{exponent}"
