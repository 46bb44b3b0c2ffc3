"""The story: one scrolling page that explains evidence from a coin to the model's known weakness, with what it says of simulated videos.

It is written by `make story` as docs/story.html, needs neither a kernel nor a network, and is drawn by `view.js` and `story.js`.
"""

from __future__ import annotations

import html
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from .._files import write_text
from ..checkpoint import Run, shipped_run
from ..data import load
from ..data.videoset import VideoSet
from ..errors import InputError
from ..inference import predict
from ..method import Evidence
from ..opinion import Opinion
from .page import HERE, as_json, changes, check_parses, page_values, whole_video
from .state import AS_IT_IS, CORRECTS, SURER, Order, WhatIf, explore, labelled_vacuity, without_picture

# as it is and with the picture muted, each with and without cross-attention; story.js knows them by their place
SHOWN = [(text, change, cross) for text, change, cross in changes(0) if change in (AS_IT_IS, WhatIf(mute=("visual",)))]


def export_story(path: str | Path) -> Path:
    """Writes the story of the shipped model and the simulated set's test split as one HTML file of about 170 kB.

    >>> import tempfile
    >>> export_story(f"{tempfile.mkdtemp()}/story.html").stat().st_size < 400_000
    True
    """
    values, words = story_of(shipped_run(), load("small", "test"))
    style, *scripts, template = ((HERE / f).read_text(encoding="utf-8") for f in ("view.css", "view.js", "story.js", "story.html"))
    parts = {"style": style, "script": "\n".join(scripts), "data": as_json(values)} | words
    write_text(path, Template(template).substitute(parts))
    return Path(path)


def story_of(run: Run, video_set: VideoSet) -> tuple[dict[str, Any], dict[str, Any]]:
    """Finds the videos that tell the story: what `story.js` needs, and the numbers and names that stand in the page's text.

    Raises InputError where the set has no video of the kind that a step needs, or the run no evidence of two kinds.
    """
    if video_set.reference is None or video_set.weak_labels is None:
        raise InputError(f"{video_set.title}: the story needs videos with a reference and weak labels.")
    evidence, blank = predict(run.model, video_set), without_picture(run.model, video_set)
    check_parses(run, evidence)
    if not isinstance(evidence.snippet, Opinion):
        raise InputError(f"the story is about evidence, of which {run.config.method} collects none.")
    order = Order(evidence, video_set, run.thresholds, run.model)
    corrected, quiet = order(CORRECTS)[0], order(SURER)[0]
    scene, scene_words = _corrected(run, video_set, corrected)
    spike, spike_words = _outvoted(run, video_set, evidence)
    surer, surer_words = _surer(run, video_set, quiet, evidence, blank)
    videos = [whole_video(run, video_set, i, evidence, changed=SHOWN) for i in (corrected, spike.pop("index"), quiet)]
    told = {"scene": {"video": 0} | scene, "spike": {"video": 1} | spike, "surer": {"video": 2} | surer}
    words = {"categories": len(video_set.categories), "seconds": video_set.snippets, "videos": len(video_set)}
    return page_values(run, video_set, videos, SHOWN) | {"story": told}, words | scene_words | spike_words | surer_words


def _corrected(run: Run, video_set: VideoSet, index: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The video whose sound alone would be heard wrongly: what is really there, and the category that sight keeps out."""
    muted = explore(run, video_set, index, WhatIf(mute=("visual",)), cross_attention=False)
    false = (muted.estimate[0] & ~muted.before.estimate[0] & ~muted.reference[0]).sum(0)
    real, alarm = int(muted.reference.all((0, 1)).argmax()), int(false.argmax())
    words = {"real": _named(video_set, real), "alarm": _named(video_set, alarm), "alarms": int(false[alarm])}
    likely = int((muted.before.probability[0, :, alarm] >= 0.5).sum())
    words["seldom"] = f"{likely} second{'s' * (likely != 1)} alone would reach one half" if likely else "no second alone reaches one half"
    words["kept"] = f"{muted.before.video_probability[0, alarm]:.2f}"
    words |= {name: f"{state.absence[0, :, alarm].max():.0f}" for name, state in (("against", muted.before), ("left", muted))}
    return {"real": real, "alarm": alarm, "second": video_set.snippets // 2}, words


def _outvoted(run: Run, video_set: VideoSet, evidence: Evidence) -> tuple[dict[str, Any], dict[str, Any]]:
    """A category that is there in most seconds and found in all but one, and that this one closes for the whole video."""
    p, weights = evidence.snippet.probability.numpy(), evidence.attention.numpy()
    found = p >= run.thresholds.snippet[:, None]
    closed = evidence.video.probability.numpy() < run.thresholds.video
    there = np.asarray(video_set.reference).mean(2)
    possible = closed & (found.sum(2) == video_set.snippets - 1) & (there > 0.5)
    if not possible.any():
        raise InputError(f"{video_set.title} has no video in which one second closes a category; the story needs one.")
    opinions = (weights * p).sum(2)
    index, m, c = map(int, np.unravel_index(np.where(possible, opinions, 0).argmax(), possible.shape))
    numbers = {"presence": evidence.snippet.presence, "absence": evidence.snippet.absence, "weights": evidence.attention}
    numbers = {name: x[index, m, :, c].tolist() for name, x in numbers.items()}
    second = int(np.argmax(absence := numbers["absence"]))
    words = {"spike": f"{absence[second]:.0f}", "spike_category": _named(video_set, c), "sensed": ("heard", "seen")[m]}
    words |= {"nine": video_set.snippets - 1, "truly": int(video_set.reference[index, m, :, c].sum())}
    return {"index": index, "modality": m, "category": c, "second": second} | numbers, words


def _surer(run: Run, video_set: VideoSet, index: int, evidence: Evidence, blank: Evidence) -> tuple[dict[str, Any], dict[str, Any]]:
    """The video whose sound is judged with most certainty once the picture is gone, and how the whole set fares."""
    with_picture, without = (labelled_vacuity(x.snippet.vacuity[:, :1].mean(2).numpy(), video_set.weak_labels) for x in (evidence, blank))
    u = [x.snippet.vacuity[index, 0].mean(0).numpy() for x in (evidence, blank)]
    c = int(np.where(video_set.weak_labels[index] > 0.5, u[0] - u[1], -1).argmax())
    words = {"surer_category": _named(video_set, c), "missed": int(video_set.reference[index, 0, :, c].sum())}
    words |= {"share": f"{(without < with_picture).mean():.0%}", "u_with": f"{u[0][c]:.2f}", "u_without": f"{u[1][c]:.2f}"}
    words |= {"mean_with": f"{with_picture.mean():.2f}", "mean_without": f"{without.mean():.2f}"}
    return {"category": c}, words


def _named(video_set: VideoSet, c: int) -> str:
    return html.escape(video_set.categories[c].replace("_", " "))
