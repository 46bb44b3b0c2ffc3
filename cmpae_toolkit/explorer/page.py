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
from ..data.videoset import VideoSet
from ..errors import InputError
from ..inference import predict
from ..plots import ExplorerState
from ..plots.figure_3 import NO_PLACE
from ..plots.theme import readable
from ..plots.videos import NO_CHOICE, NO_EVIDENCE
from .state import AS_IT_IS, WhatIf, available_orders, explore, name, order

HERE = Path(__file__).parent
MOST_LOG = 60.0  # of log(1 + evidence) that the page holds; its 65536 steps are finer than a pixel


def changes(other: int) -> list[tuple[str, WhatIf, bool | None]]:
    """What the page can change: its name, the change, and whether cross-attention is as the run has it (None) or off."""
    scaled = [(f"{m} × {s:g}", WhatIf(scale=(s, 1.0) if m == "audio" else (1.0, s)), None) for m in ("audio", "visual") for s in (0.5, 2)]
    muted = [(f"{m} muted", WhatIf(mute=(m,)), None) for m in ("audio", "visual")]
    swap = WhatIf(swap_visual_with=other)
    off = [("as it is", AS_IT_IS), *((text, change) for text, change, _ in muted), ("another's visual track", swap)]
    return [
        ("as it is", AS_IT_IS, None), *muted, ("another video's visual track", swap, None), *scaled,
        *((f"{text}, without cross-attention", change, False) for text, change in off),
    ]


def interesting(run: Run, video_set: VideoSet, evidence: Any, each: int = 2) -> list[tuple[int, str]]:
    """The first videos of every order that data and heads allow, with the order's name; none twice."""
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
    if run.thresholds.both is not None:
        raise InputError("the exported page parses by video and snippet thresholds; a localisation run has another rule.")
    evidence = predict(run.model, video_set)
    chosen = interesting(run, video_set, evidence, each) if videos is None else [(i, "chosen") for i in videos]
    if not chosen:
        raise InputError(f"{video_set.title}: no video was chosen for the page.")
    written = [_video(run, video_set, i, why, evidence) for i, why in chosen]
    one = written[0]["state"]
    values = {
        "title": video_set.title, "categories": list(video_set.categories), "snippets": one.probability.shape[1],
        "thresholds": {level: getattr(run.thresholds, level).ravel().tolist() for level in ("video", "snippet")},
        "changes": [text for text, _, _ in changes(0)], "evidence_step": MOST_LOG / 65535, "no_evidence": NO_EVIDENCE,
        "no_choice": NO_CHOICE, "no_place": readable(NO_PLACE, 30).split("\n"),
        "videos": [{k: v for k, v in video.items() if k != "state"} for video in written],
    }
    write_text(Path(path), _page(values, video_set))
    return Path(path)


def _page(values: dict[str, Any], video_set: VideoSet) -> str:
    note = "The data are simulated: features made by a program, not from real videos." if video_set.simulated else ""
    template = Template((HERE / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=html.escape(video_set.title), note=note, style=(HERE / "view.css").read_text(encoding="utf-8"),
        script=(HERE / "view.js").read_text(encoding="utf-8"),
        # "</" would end the script element; in JSON "<\/" is the same
        data=json.dumps(values, separators=(",", ":"), allow_nan=False).replace("</", "<\\/"),
    )


def _video(run: Run, video_set: VideoSet, index: int, why: str, evidence: Any) -> dict[str, Any]:
    """One video with all its changes; the visual track to swap in is the next video's."""
    other = (index + 1) % len(video_set)
    before = explore(run, video_set, index, evidence=evidence)
    made = []
    for _, change, cross in changes(other):
        state = explore(run, video_set, index, change, cross_attention=cross, evidence=evidence)
        made.append(_packed(state) | ({} if change.swap_visual_with is None else {"reference": _bits(state.reference)}))
    return {
        "name": name(video_set, index), "why": why, "chosen": [video_set.categories.index(c) for c in before.chosen],
        "reference": _bits(before.reference), "changes": made, "number": index, "state": before,
    }


def _packed(state: ExplorerState) -> dict[str, Any]:
    """The numbers of a state: probabilities exact, as float32; evidence and vacuity in 16 bits, attention in 8."""
    step = float(state.attention.max()) / 255 or 1.0
    packed: dict[str, Any] = {"title": state.title, "attention_step": step}
    packed["attention"] = _text(np.round(state.attention / step).astype(np.uint8))
    for prefix in ("", "video_"):
        probability, vacuity, presence, absence = (getattr(state, prefix + n) for n in ("probability", "vacuity", "presence", "absence"))
        packed[f"{prefix}p"] = _text(probability.astype("<f4"))
        if presence is not None:
            logs = {"e": np.log1p(presence), "a": np.log1p(absence)}
            packed |= {prefix + n: _text(np.round(np.minimum(x, MOST_LOG) * 65535 / MOST_LOG).astype("<u2")) for n, x in logs.items()}
        elif vacuity is not None:
            packed[f"{prefix}u"] = _text(np.round(vacuity * 65535).astype("<u2"))
    return packed


def _bits(roll: np.ndarray | None) -> str | None:
    return None if roll is None else _text(np.packbits(roll))


def _text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
