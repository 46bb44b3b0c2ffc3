"""Looking into a model video by video: what Figure 3 shows of one video, what if its features were others, and which video first.

`explore` is pure: a run, a data set, the number of a video and what to change of it -> `plots.ExplorerState`, which
`plots.figure_3` draws still and `view.js` live. The widgets of `widget` only collect the arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from .. import decode, metrics, plots
from .._files import write_atomically
from ..checkpoint import Run
from ..config import MODALITIES
from ..data.videoset import VideoSet
from ..decode import Thresholds
from ..errors import InputError
from ..extract.media import Media, find_media
from ..inference import predict
from ..method import Evidence, Method
from ..opinion import Judgement, Opinion
from ..plots import ExplorerState

QUANTILES = {"good": 0.9, "typical": 0.5, "bad": 0.1}  # of the videos' F, the mean of its ten F-scores
CORRECTS, SURER = "sight corrects hearing", "missing picture makes it surer"
ORDERS = (*QUANTILES, CORRECTS, SURER, "most vacuous", "wrong and confident", "audio only", "visual only", "as listed")
LEVELS = ("snippet", "video")
MOST_CHOSEN = 6  # categories that a video starts with


@dataclass(frozen=True)
class WhatIf:
    """Changes to one video's features, in this order: `swap_visual_with` puts another video's visual features and reference
    (by its number) in place of its own, `scale` multiplies (audio, visual), `mute` names modalities whose features become 0.

    >>> print(WhatIf(mute=("visual",), scale=(0.5, 1)))
    visual muted, audio × 0.5
    """

    mute: tuple[str, ...] = ()
    swap_visual_with: int | None = None
    scale: tuple[float, float] = (1.0, 1.0)

    def apply(self, video_set: VideoSet, index: int) -> VideoSet:
        """Returns the one changed video as a set. Its reference stays that of the unmuted tracks: they tell what was there."""
        unknown = set(self.mute) - set(MODALITIES)
        if unknown:
            raise InputError(f"cannot mute {sorted(unknown)}: use any of {MODALITIES}.")
        one = video_set.subset([index])
        other = one if self.swap_visual_with is None else video_set.subset([self.swap_visual_with])
        features, reference, present = {}, one.reference, one.present
        for name, modality in one.modalities.items():
            x = (other if modality == "visual" else one).features[name]
            factor = 0.0 if modality in self.mute else self.scale[MODALITIES.index(modality)]
            features[name] = np.asarray(x, dtype=np.float32) * np.float32(factor)
        if reference is not None and other.reference is not None:
            reference = np.stack([reference[:, 0], other.reference[:, 1]], axis=1)
        if present is not None:
            present = np.stack([present[:, 0], other.present[:, 1]], axis=1)
        return replace(one, features=features, reference=reference, present=present)

    def __str__(self) -> str:
        parts = [f"{m} muted" for m in self.mute]
        parts += [f"{m} × {s:g}" for m, s in zip(MODALITIES, self.scale, strict=True) if s != 1 and m not in self.mute]
        if self.swap_visual_with is not None:
            parts.append(f"visual track of video {self.swap_visual_with}")
        return ", ".join(parts)


AS_IT_IS = WhatIf()


def explore(
    run_or_model: Run | Method, video_set: VideoSet, index: int, what_if: WhatIf = AS_IT_IS, *, chosen: Sequence[str] | None = None,
    snippet: int = 0, log: bool = False, level: str = "snippet", video_threshold: float | None = None,
    snippet_threshold: float | None = None, cross_attention: bool | None = None, evidence: Evidence | None = None,
    media: Media | None = None, compare: bool = True,
) -> ExplorerState:
    """Returns what the model says of video `index`, as far as that video lasts, ready for `plots.figure_3`.

    `chosen`: categories, by default `default_choice`, the weakly labelled and the estimated ones. Thresholds in 0..1 replace the
    run's for every category. `level`: "snippet" or "video", whose evidence and opinions are drawn. `evidence`: the whole set's, from
    `predict`, to save computing it; it is used only where nothing is changed. `cross_attention`: as in `predict`. `media`: the video's
    frames and sound, from `find_media`. Where something is changed, `before` of the result is the same without the what-if, and for
    a change of cross-attention alone, as the run has it; `compare=False` saves computing it. Raises InputError where there is no such
    video or level.

    >>> from cmpae_toolkit import checkpoint, load
    >>> run, videos = checkpoint.shipped_run(), load("small", "test")
    >>> state = explore(run, videos, 0, WhatIf(mute=("visual",)), cross_attention=False)
    >>> bool((state.presence[0] == state.before.presence[0]).all())  # of the sound: Eq. 2
    True
    """
    if level not in LEVELS:
        raise InputError(f"there is no level {level!r}: use any of {LEVELS}.")
    check_number(video_set, index)
    model = run_or_model if isinstance(run_or_model, Method) else run_or_model.model
    video = what_if.apply(video_set, index)
    if evidence is not None and what_if == AS_IT_IS and cross_attention is None:
        judged = evidence[index : index + 1]
    else:
        judged = predict(model, video, cross_attention=cross_attention)
    thresholds = with_values(thresholds_of(run_or_model), video_threshold, snippet_threshold)
    length = duration(video_set, index)
    estimate = model.decode(judged, thresholds)[:, :, :length]
    reference = None if video.reference is None else np.asarray(video.reference, bool)[:, :, :length]
    options = dict(snippet=snippet, log=log, level=level, video_threshold=video_threshold, snippet_threshold=snippet_threshold)
    before = None
    if compare and (what_if != AS_IT_IS or cross_attention is not None):
        cross = cross_attention if what_if != AS_IT_IS else None
        before = explore(run_or_model, video_set, index, cross_attention=cross, evidence=evidence, compare=False, **options)
    return ExplorerState(
        title=title(video_set, index, what_if, cross_attention), categories=tuple(video_set.categories),
        chosen=default_choice(video, estimate[0]) if chosen is None else tuple(chosen),
        reference=None if reference is None else reference[0], estimate=estimate[0],
        scores=None if reference is None else metrics.f_scores(estimate, reference),
        snippet=max(0, min(snippet, length - 1)), log=log, level=level, seconds=video_set.snippet_seconds,
        video_thresholds=thresholds.video, snippet_thresholds=thresholds.snippet,
        present=(True, True) if video.present is None else tuple(bool(x) for x in video.present[0]), before=before,
        **({} if media is None else vars(media)), **arrays(judged, thresholds, length),
    )


def check_number(video_set: VideoSet, index: int) -> None:
    """Raises InputError where a set has no video of this number."""
    if not 0 <= index < len(video_set):
        raise InputError(f"{video_set.title} has the videos 0 to {len(video_set) - 1}, not {index}.")


def media_of(video_set: VideoSet, index: int, folder: str | Path | None) -> Media:
    """Reads frames, sound and film of a video from a folder of media, by its id or file name (see `find_media`)."""
    check_number(video_set, index)
    names = video_set.ids[index], video_set.filenames[index]
    return find_media(folder, names, duration(video_set, index), video_set.snippet_seconds)


def duration(video_set: VideoSet, index: int) -> int:
    """Returns how many snippets a video has."""
    return video_set.snippets if video_set.lengths is None else int(video_set.lengths[index])


def arrays(judged: Evidence, thresholds: Thresholds, length: int) -> dict[str, Any]:
    """Returns one video's evidence as the arrays of an `ExplorerState`, cut to its length, and None for what its heads do not give."""
    def plain(x: Tensor | None) -> np.ndarray | None:
        return None if x is None else (x[0, :, :length] if x.ndim == 4 else x[0]).detach().cpu().numpy()

    def all_of(judgement: Judgement) -> dict[str, np.ndarray | None]:
        # Exp evidence may be beyond float32
        opinion = judgement.apply(lambda x: x.double()) if isinstance(judgement, Opinion) else None
        return {
            "probability": plain(judgement.probability), "vacuity": plain(judgement.vacuity),
            "presence": None if opinion is None else plain(opinion.presence),
            "absence": None if opinion is None else plain(opinion.absence),
        }

    gate = judged.video
    if thresholds.gate == "joint":
        gate = judged.joint.apply(lambda x: x[:, None].expand(judged.video.shape))
    whole = {f"video_{name}": x for name, x in all_of(gate).items()}
    weight = {"prior_weight": float(judged.snippet.prior_weight)} if isinstance(judged.snippet, Opinion) else {}
    return {**all_of(judged.snippet), **whole, **weight, "attention": plain(judged.attention)}


def thresholds_of(run_or_model: Run | Method) -> Thresholds:
    """Returns a run's thresholds; of a bare model, those that it starts from."""
    return run_or_model.thresholds() if isinstance(run_or_model, Method) else run_or_model.thresholds


def with_values(thresholds: Thresholds, video: float | None, snippet: float | None) -> Thresholds:
    """Sets one threshold for every category where one is given; a localisation's is the product of both modalities'."""
    values = {"video": video, "snippet": snippet}
    changed = {k: np.full_like(getattr(thresholds, k), v) for k, v in values.items() if v is not None}
    if thresholds.both is not None and snippet is not None:
        changed["both"] = snippet**2
    return replace(thresholds, **changed)


def default_choice(video: VideoSet, estimate: np.ndarray) -> tuple[str, ...]:
    """Chooses the weakly labelled and the estimated categories of a set of one video, in the data's order.

    Of the estimated ones no more than make `MOST_CHOSEN` in all, those with the most snippets: an untrained model finds
    every category everywhere.
    """
    size = estimate.sum((0, 1)).astype(float)
    if video.weak_labels is not None:
        size[video.weak_labels[0] > 0.5] = np.inf
    room = max(MOST_CHOSEN, int(np.isinf(size).sum()))
    first = set(np.argsort(-size, kind="stable")[:room].tolist())
    return tuple(c for i, c in enumerate(video.categories) if i in first and size[i] > 0)


def title(video_set: VideoSet, index: int, what_if: WhatIf, cross_attention: bool | None) -> str:
    """Names the data (and says where they are simulated), the video, its weak labels and every change."""
    changed = [str(what_if)] if what_if != AS_IT_IS else []
    changed += ["without cross-attention"] if cross_attention is False else []
    text = f"{video_set.title}: {name(video_set, index)}"
    return text + (f"; what if: {', '.join(changed)}" if changed else "")


def name(video_set: VideoSet, index: int) -> str:
    """Names a video by its id, with its weak labels."""
    if video_set.weak_labels is None:
        return video_set.ids[index]
    labels = [c.replace("_", " ") for c, y in zip(video_set.categories, video_set.weak_labels[index], strict=True) if y > 0.5]
    return f"{video_set.ids[index]} ({', '.join(labels) or 'no label'})"


def without_picture(model: Method, video_set: VideoSet) -> Evidence:
    """Predicts a set whose visual features are all 0, as with `WhatIf(mute=("visual",))`."""
    silent = {n: x if video_set.modalities[n] == "audio" else np.zeros_like(x) for n, x in video_set.features.items()}
    return predict(model, replace(video_set, features=silent))


def ranks(
    evidence: Evidence, video_set: VideoSet, thresholds: Thresholds, by: str, muted: Callable[[], Evidence] | None = None,
) -> np.ndarray:
    """Tells how far up each video (video,) belongs in an order of `ORDERS`. Raises InputError where data or heads lack what it needs.

    "good", "typical", "bad": how near the mean of the video's ten F-scores is to that quantile (`QUANTILES`) of the set's; of those
    equally near, first the one whose events begin and end most often.
    "sight corrects hearing": audio snippets that are decided rightly and, with the picture muted, wrongly, less the opposite. "missing
    picture makes it surer": how far the audio vacuity of the weakly labelled categories falls when the picture is muted. Both need
    `muted`, which gives the evidence of `without_picture`.
    "most vacuous": mean video-level vacuity of the weakly labelled categories (of all, where there is none). "wrong and
    confident": the surprise, the sum of |2p - 1| = |belief - disbelief| over wrongly decided snippets of both modalities.
    "audio only", "visual only": the snippets in which an event of the reference is only audible, only visible.
    """
    if by == "as listed":
        return np.zeros(len(video_set))
    possible = available_orders(evidence, video_set, muted is not None)
    if by not in possible:
        raise InputError(f"these videos cannot be ordered by {by!r}: use {', '.join(possible)}.")
    if by == "most vacuous":
        return labelled_vacuity(evidence.video.vacuity.numpy(), video_set.weak_labels)
    if by == SURER:
        vacuity = (x.snippet.vacuity[:, :1].mean(2).numpy() for x in (evidence, muted()))
        now, then = (labelled_vacuity(u, video_set.weak_labels) for u in vacuity)
        return now - then
    reference = np.asarray(video_set.reference, bool)
    if by in QUANTILES:
        return near_quantile(video_f(decode.decode(evidence, thresholds), reference), reference, QUANTILES[by])
    if by == CORRECTS:
        right, wrong = (decode.decode(x, thresholds)[:, 0] == reference[:, 0] for x in (evidence, muted()))
        return (right.astype(float) - wrong).sum((1, 2))
    if by == "wrong and confident":
        wrong = decode.decode(evidence, thresholds) != reference
        return (wrong * np.abs(2 * evidence.snippet.probability.numpy() - 1)).sum((1, 2, 3))
    m = MODALITIES.index(by.removesuffix(" only"))
    return (reference[:, m] & ~reference[:, 1 - m]).sum((1, 2)).astype(float)


def video_f(estimate: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Averages the ten F-scores of each video (video,), in 0..1."""
    scores = metrics.scores_per_video(estimate, reference)
    return np.mean([x for level in scores.values() for x in level.values()], axis=0)


def near_quantile(f: np.ndarray, reference: np.ndarray, quantile: float) -> np.ndarray:
    """Ranks videos (video,) by how near their F is to a quantile of the set's; of those equally near, first the one whose events begin and
    end most often."""
    return -np.abs(f - np.quantile(f, quantile)) + 1e-6 * np.diff(reference, axis=2).sum((1, 2, 3))


class Order:
    """Orders one set as often as it is asked to, like `order`; names and ranks are made once. With a `model`, every order of `ORDERS`
    that data and heads allow is there; without one those that need no second prediction are."""

    def __init__(self, evidence: Evidence, video_set: VideoSet, thresholds: Thresholds, model: Method | None = None) -> None:
        self.names = [name(video_set, i) for i in range(len(video_set))]
        self._searched = [text.lower().replace("_", " ") for text in self.names]
        self._given, self._ranks = (evidence, video_set, thresholds), {}
        self._muted = None if model is None else cache(lambda: without_picture(model, video_set))

    @property
    def available(self) -> tuple[str, ...]:
        return available_orders(*self._given[:2], self._muted is not None)

    def __call__(self, by: str = "as listed", search: str = "") -> list[int]:
        if by not in self._ranks:
            self._ranks[by] = np.argsort(-ranks(*self._given, by, self._muted), kind="stable").tolist()
        text = search.strip().lower().replace("_", " ")
        return [i for i in self._ranks[by] if text in self._searched[i]]


def order(evidence: Evidence, video_set: VideoSet, thresholds: Thresholds, by: str = "as listed", search: str = "") -> list[int]:
    """Lists the numbers of the videos whose id or labelled category contains `search`, the first in the order `by` first.

    >>> from cmpae_toolkit import checkpoint, load
    >>> run, videos = checkpoint.shipped_run(), load("small", "test").subset(range(20))
    >>> sorted(order(predict(run.model, videos), videos, run.thresholds, "most vacuous", search="speech")) == [
    ...     i for i, labels in enumerate(videos.weak_labels) if labels[videos.categories.index("Speech")]]
    True
    """
    return Order(evidence, video_set, thresholds)(by, search)


def available_orders(evidence: Evidence, video_set: VideoSet, muted: bool = False) -> tuple[str, ...]:
    """Lists the orders for which the heads give a vacuity or the data a reference, and, where needed, a second prediction is at hand."""
    lacking = set() if muted else {CORRECTS, SURER}
    lacking |= set() if evidence.video.vacuity is not None else {"most vacuous"}
    lacking |= set() if evidence.snippet.vacuity is not None else {SURER}
    lacking |= set() if video_set.reference is not None else set(ORDERS) - {"as listed", "most vacuous", SURER}
    return tuple(o for o in ORDERS if o not in lacking)


def labelled_vacuity(vacuity: np.ndarray, weak_labels: np.ndarray | None) -> np.ndarray:
    """Averages a vacuity (video, modality, category) over modalities and weakly labelled categories (of all, where there is none)."""
    mean = vacuity.mean(1)
    weight = np.ones_like(mean) if weak_labels is None else (weak_labels > 0.5).astype(float)
    weight[weight.sum(1) == 0] = 1
    return (mean * weight).sum(1) / weight.sum(1)


def save_figures(run: Run, video_set: VideoSet, folder: Path) -> None:
    """Writes the training history and the evidence curves (Figure 3) of one video as PNG files."""
    history = plots.training_history(run.history, best_epoch=run.best_epoch)
    history.suptitle(plots.theme.plain(video_set.name))
    curves = plots.figure_3(explore(run, video_set, example_video(video_set), log=True))
    for name, figure in (("run_training_history", history), ("run_evidence_curves", curves)):
        write_atomically(folder / f"{name}.png", lambda file, figure=figure: figure.savefig(file, format="png", dpi=120))


def example_video(video_set: VideoSet) -> int:
    """Finds the first video like the paper's Figure 3: an event in both tracks, another in the audio track only, both with an end
    inside the video; failing that without the last condition; else the first video."""
    if video_set.reference is None:
        return 0
    reference = video_set.reference
    lasts = reference.all(2)  # (video, modality, category): the event fills the whole track
    audible, visible = reference.any(2).transpose(1, 0, 2)
    in_both, audio_only = audible & visible, audible & ~visible
    ends = ~lasts.any(1)
    for mask in (ends, np.ones_like(ends)):
        found = np.flatnonzero((in_both & mask).any(1) & (audio_only & mask).any(1))
        if len(found):
            return int(found[0])
    return 0
