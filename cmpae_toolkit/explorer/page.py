"""The explorer as one HTML file: no kernel, no network. The numbers of a few videos, as they are and changed, are in the page."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from .._files import write_text
from ..checkpoint import Run
from ..config import MODALITIES
from ..data.videoset import VideoSet
from ..errors import InputError
from ..inference import predict
from ..method import Evidence
from ..plots import ExplorerState
from .state import AS_IT_IS, WhatIf, available_orders, explore, name, order

HERE = Path(__file__).parent
MOST_EVIDENCE = 1e100  # more is drawn as so much


def changes(other: int) -> list[tuple[str, WhatIf, bool | None]]:
    """Lists what the page can change: its name, the change, and whether cross-attention is as the run has it (None) or off."""
    scaled = [(f"{m} × {s:g}", WhatIf(scale=(s, 1.0) if m == "audio" else (1.0, s)), None) for m in MODALITIES for s in (0.5, 2)]
    muted = [(f"{m} muted", WhatIf(mute=(m,)), None) for m in MODALITIES]
    swap = WhatIf(swap_visual_with=other)
    off = [("as it is", AS_IT_IS), *((text, change) for text, change, _ in muted), ("another's visual track", swap)]
    return [
        ("as it is", AS_IT_IS, None), *muted, ("another video's visual track", swap, None), *scaled,
        *((f"{text}, without cross-attention", change, False) for text, change in off),
    ]


def interesting(run: Run, video_set: VideoSet, evidence: Evidence, each: int = 2) -> list[tuple[int, str]]:
    """Lists the first videos of every order that data and heads allow, with the order's name; none comes twice."""
    found: dict[int, str] = {}
    for by in available_orders(evidence, video_set):
        new = [i for i in order(evidence, video_set, run.thresholds, by) if i not in found]
        found |= {i: by for i in new[:each]}
    return list(found.items())


def export_html(run: Run, video_set: VideoSet, path: str | Path, videos: Sequence[int] | None = None, each: int = 2) -> Path:
    """Writes the explorer of a few videos as one HTML file; by default `each` of every order of `interesting`.

    Each video takes about 70 kB. Raises InputError for a localisation run (the page decides by two thresholds only), without
    videos, or where there is no such video.
    """
    evidence = predict(run.model, video_set)
    if run.thresholds.both is not None or evidence.answer is not None:
        raise InputError("the exported page parses by video and snippet thresholds; a localisation run has another rule.")
    chosen = interesting(run, video_set, evidence, each) if videos is None else [(i, "chosen") for i in videos]
    if not chosen:
        raise InputError(f"{video_set.title}: no video was chosen for the page.")
    values = {
        "categories": list(video_set.categories), "changes": [text for text, _, _ in changes(0)],
        "thresholds": {level: getattr(run.thresholds, level).ravel().tolist() for level in ("video", "snippet")},
        "videos": [_video(run, video_set, i, evidence) | {"why": why} for i, why in chosen],
    }
    write_text(Path(path), _page(values, video_set))
    return Path(path)


def _page(values: dict[str, Any], video_set: VideoSet) -> str:
    note = "The data are simulated: features made by a program, not from real videos." if video_set.simulated else ""
    template, style, script = ((HERE / file).read_text(encoding="utf-8") for file in ("page.html", "view.css", "view.js"))
    # whatever a name holds, no "<" of it may open or close an element
    data = json.dumps(values, separators=(",", ":"), allow_nan=False).replace("<", r"\u003c")
    return Template(template).substitute(title=html.escape(video_set.title), note=note, style=style, script=script, data=data)


def _video(run: Run, video_set: VideoSet, index: int, evidence: Evidence) -> dict[str, Any]:
    """Packs one video with all its changes; the visual track to swap in is the next video's."""
    before = packed(first := explore(run, video_set, index, evidence=evidence))
    made = []
    for _, change, cross in changes((index + 1) % len(video_set)):
        new = packed(explore(run, video_set, index, change, cross_attention=cross, evidence=evidence))
        made.append({k: v for k, v in new.items() if k not in ("reference", "estimate") or (k == "reference" and v != before[k])})
    chosen = [video_set.categories.index(c) for c in first.chosen]
    return {"name": name(video_set, index), "chosen": chosen, "reference": before["reference"], "changes": made}


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
