"""The explorer as one HTML file: no kernel, no network. The numbers of a few videos, as they are and changed, are in the page."""

from __future__ import annotations

import base64
import functools
import html
import io
import json
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

import numpy as np

from .._files import write_atomically, write_text
from ..checkpoint import Run
from ..config import MODALITIES
from ..data.videoset import VideoSet
from ..errors import InputError
from ..extract.media import Media
from ..inference import predict
from ..method import Evidence
from ..plots import ExplorerState
from ..plots.figure_3 import MOST_EVIDENCE
from ..plots.theme import COLORS
from .film import for_browser
from .state import AS_IT_IS, QUANTILES, Order, WhatIf, explore, media_of, name

HERE = Path(__file__).parent
FILMS = ("embed", "beside")
SHADES = 32  # of a spectrogram
Change = tuple[str, WhatIf, bool | None]  # its name, the change, and whether cross-attention is as the run has it (None) or off


def changes(other: int) -> list[Change]:
    """Lists what the page can change."""
    scaled = [(f"{m} × {s:g}", WhatIf(scale=(s, 1.0) if m == "audio" else (1.0, s)), None) for m in MODALITIES for s in (0.5, 2)]
    muted = [(f"{m} muted", WhatIf(mute=(m,)), None) for m in MODALITIES]
    swap = WhatIf(swap_visual_with=other)
    off = [("as it is", AS_IT_IS), *((text, change) for text, change, _ in muted), ("another's visual track", swap)]
    return [
        ("as it is", AS_IT_IS, None), *muted, ("another video's visual track", swap, None), *scaled,
        *((f"{text}, without cross-attention", change, False) for text, change in off),
    ]


def before(changed: Sequence[Change]) -> list[int | None]:
    """Names for each change the one without it, which is drawn pale beneath: with or without cross-attention as the change itself."""
    plain = {cross: i for i, (_, change, cross) in enumerate(changed) if change == AS_IT_IS}
    first = [(change == AS_IT_IS, cross) for _, change, cross in changed]
    return [(None if cross is None else plain[None]) if alone else plain[cross] for alone, cross in first]


def interesting(run: Run, video_set: VideoSet, evidence: Evidence, each: int = 1) -> list[tuple[int, str]]:
    """Lists the first videos of every order that data and heads allow, with the order's name; none comes twice.

    Where there is a reference, the first goes well, and good, typical and bad videos are those at declared quantiles of F.
    """
    found: dict[int, str] = {}
    ordered = Order(evidence, video_set, run.thresholds, run.model)
    for by in ordered.available:
        new = [i for i in ordered(by) if i not in found]
        found |= {i: why(by) for i in new[:each]}
    return list(found.items())


def why(by: str) -> str:
    """Says what an order looks for, with the quantile where it is one of F."""
    return f"{by}: F at the {QUANTILES[by]:.0%} quantile" if by in QUANTILES else by


def export_html(
    run: Run, video_set: VideoSet, path: str | Path, videos: Sequence[int] | None = None, each: int = 1, *,
    media: str | Path | None = None, films: str = "embed",
) -> Path:
    """Writes the explorer of a few videos as one HTML file; by default `each` of every order of `interesting`.

    Each video takes about 70 kB. `media`: a folder of the videos' media (see `find_media`); `films`: "embed" puts them into the page,
    "beside" into a folder next to it, `<name>_films`. Raises InputError for a localisation run (the page decides by two thresholds
    only), without videos, or where there is no such video.

    >>> import tempfile
    >>> from cmpae_toolkit import checkpoint, load
    >>> export_html(checkpoint.shipped_run(), load("small", "test").subset([0]), f"{tempfile.mkdtemp()}/page.html", videos=[0]).name
    'page.html'
    """
    if films not in FILMS:
        raise InputError(f"films can be put {' or '.join(map(repr, FILMS))}, not {films!r}.")
    evidence, path = predict(run.model, video_set), Path(path)
    check_parses(run, evidence)
    chosen = interesting(run, video_set, evidence, each) if videos is None else [(i, "chosen") for i in videos]
    if not chosen:
        raise InputError(f"{video_set.title}: no video was chosen for the page.")
    packed_videos = []
    for i, reason in chosen:
        found = None if media is None else media_of(video_set, i, media)
        whole = whole_video(run, video_set, i, evidence, found)
        packed_videos.append(whole | _film(found, path if films == "beside" else None, video_set.ids[i]) | {"why": reason})
    write_text(path, page_text(page_values(run, video_set, packed_videos), video_set))
    return path


def check_parses(run: Run, evidence: Evidence) -> None:
    """Raises InputError for a run that decides by another rule than the page's two thresholds."""
    if run.thresholds.both is not None or evidence.answer is not None:
        raise InputError("the exported page parses by video and snippet thresholds; a localisation run has another rule.")


def page_values(run: Run, video_set: VideoSet, videos: list[dict[str, Any]], changed: Sequence[Change] | None = None) -> dict[str, Any]:
    """Collects what `view.js` needs for a page of these packed videos with these changes, by default all."""
    changed = changes(0) if changed is None else changed
    return {
        "categories": list(video_set.categories), "changes": [text for text, _, _ in changed], "before": before(changed),
        "thresholds": {level: getattr(run.thresholds, level).ravel().tolist() for level in ("video", "snippet")}, "videos": videos,
    }


def page_text(values: dict[str, Any], video_set: VideoSet, fetched: str = "null") -> str:
    """Fills the page's template; `fetched` is the script that gives a video whose numbers are not in `values`."""
    note = "The data are simulated: features made by a program, not from real videos." if video_set.simulated else ""
    template, style, script = ((HERE / file).read_text(encoding="utf-8") for file in ("page.html", "view.css", "view.js"))
    parts = {"title": html.escape(video_set.title), "note": note, "style": style, "script": script, "fetched": fetched}
    return Template(template).substitute(parts, data=as_json(values))


def as_json(values: dict[str, Any]) -> str:
    """Values as the content of a script element: whatever a name holds, no "<" of it may open or close an element."""
    return json.dumps(values, separators=(",", ":"), allow_nan=False).replace("<", r"\u003c")


def whole_video(
    run: Run, video_set: VideoSet, index: int, evidence: Evidence | None, media: Media | None = None,
    changed: Sequence[Change] | None = None,
) -> dict[str, Any]:
    """Packs one video with these changes, by default all; the visual track to swap in is the next video's."""
    as_it_is = packed(first := explore(run, video_set, index, evidence=evidence, media=media))
    made = []
    for _, change, cross in changes((index + 1) % len(video_set)) if changed is None else changed:
        new = packed(explore(run, video_set, index, change, cross_attention=cross, evidence=evidence, compare=False))
        made.append({k: v for k, v in new.items() if k not in ("reference", "estimate") or (k == "reference" and v != as_it_is[k])})
    chosen = [video_set.categories.index(c) for c in first.chosen]
    found = {"name": name(video_set, index), "chosen": chosen, "reference": as_it_is["reference"], "changes": made}
    return found if media is None else found | {"media": packed_media(first)}


def _film(media: Media | None, beside: Path | None, name: str) -> dict[str, Any]:
    """Packs the film into the page, or, of a page's path, puts it beside the page and gives its address."""
    if media is None or media.path is None:
        return {}
    content, kind, begins = for_browser(media.path, media.part)
    start = media.start - begins
    if beside is None:
        return {"film": {"type": kind, "start": start, "data": base64.b64encode(content).decode()}}
    folder = f"{beside.stem}_films"
    file = f"{re.sub(r'[^A-Za-z0-9_-]', '_', name)}-{zlib.crc32(name.encode()):08x}.{kind.rpartition('/')[2]}"
    write_atomically(beside.with_name(folder) / file, lambda opened: opened.write(content))
    return {"film": {"type": kind, "start": start, "src": quote(f"{folder}/{file}")}}


def packed_media(state: ExplorerState) -> dict[str, Any]:
    """Packs frames and spectrogram (as embedded pictures) and the note of a state; {} where it has no row for them."""
    if state.frames is None:
        return {}
    return {
        "frames": [None if tile is None else _address(tile.tobytes(), tile.shape) for tile in state.frames],
        "spectrogram": None if state.spectrogram is None else _heard(np.round(state.spectrogram * (SHADES - 1)).astype(np.uint8)),
        "note": state.note,
    }


@functools.lru_cache(64)
def _address(pixels: bytes, shape: tuple[int, int, int]) -> str:
    """Returns a tile of (height, width, 3) bytes as the address of an embedded JPEG picture."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.frombytes("RGB", (shape[1], shape[0]), pixels).save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _heard(levels: np.ndarray) -> str:
    """Returns a spectrogram (band, column) in levels as the address of a PNG picture: one colour, the more opaque the louder, so that
    it suits a light page and a dark one."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(levels[::-1]), "P")
    picture.putpalette(bytes.fromhex(COLORS["audio"][1:]) * SHADES)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True, transparency=bytes(255 * k // (SHADES - 1) for k in range(SHADES)))
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def packed(state: ExplorerState) -> dict[str, Any]:
    """Packs the numbers of a state for `view.js`: probabilities exact, as float32; log(1 + evidence) and vacuity in 16 bits, attention in
    8, rolls in one. Arrays are base64 of their bytes."""
    result = {
        "title": state.title, "seconds": state.seconds, "present": list(state.present), "prior_weight": state.prior_weight,
        "p": _text(state.probability.astype("<f4")), "video_p": _text(state.video_probability.astype("<f4")),
        "reference": _bits(state.reference), "estimate": _bits(state.estimate),
    }
    if state.attention is not None:
        step = result["attention_step"] = float(state.attention.max()) / 255 or 1.0
        result["attention"] = _text(np.round(state.attention / step).astype(np.uint8))
    if state.presence is None:
        vacuity = {"u": state.vacuity, "video_u": state.video_vacuity}
        return result | {n: _text(np.round(x * 65535).astype("<u2")) for n, x in vacuity.items() if x is not None}
    evidence = {"e": state.presence, "a": state.absence, "video_e": state.video_presence, "video_a": state.video_absence}
    logs = {n: np.log1p(np.minimum(x, MOST_EVIDENCE)) for n, x in evidence.items()}
    step = result["evidence_step"] = max(float(x.max()) for x in logs.values()) / 65535 or 1.0
    return result | {n: _text(np.round(x / step).astype("<u2")) for n, x in logs.items()}


def _bits(roll: np.ndarray | None) -> str | None:
    return None if roll is None else _text(np.packbits(roll))


def _text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
