"""How far to trust a trained model's evidence: do its uncertainties know its errors, its corrupted inputs, its ignorance?

The measurements of the study `evidence_study` and of notebooks 11a to 11c. Everything takes an `Evidence` of opinions (`predict`) or
probabilities of several models or dropout passes, and returns arrays or plain numbers; nothing is trained here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from .. import metrics
from ..batches import take
from ..config import MODALITIES, TRACKS
from ..data.videoset import VideoSet
from ..decode import Thresholds, decode
from ..evidence import calibration, fusion
from ..evidence.uncertainty import dissonance, mutual_information
from ..inference import predict
from ..method import Evidence
from ..model import CMPAE
from ..opinion import Opinion
from ..train import seeded
from .grid import THRESHOLDS

OPEN = 0.5  # the paper's thresholds, of video and snippet
PASSES, BATCH = 10, 256  # of MC dropout


def decisions(evidence: Evidence) -> dict[str, np.ndarray]:
    """What stands behind each decoded yes or no: arrays (video, track, snippet, category).

    A category is active in a snippet where its snippet and its video probability both reach 1/2 (in both modalities for the track
    audio_visual), that is, where the least of them does: its opinion decides. "probability", "vacuity", "epistemic"
    (mutual information) and "dissonance" are of that opinion; "doubt" is 1 - max(p, 1 - p), the max-probability baseline.
    """
    snippet, video = evidence.snippet, evidence.video
    stacked = Opinion.from_log_parameters(*(
        torch.stack([s, v.unsqueeze(2).expand_as(s)], dim=-1)
        for s, v in ((snippet.log_alpha, video.log_alpha), (snippet.log_beta, video.log_beta))
    ), prior_weight=snippet.prior_weight)
    parts = {
        "probability": stacked.probability, "vacuity": stacked.vacuity, "epistemic": mutual_information(stacked),
        "dissonance": dissonance(stacked),
    }
    found = {name: _deciding(parts["probability"], value) for name, value in parts.items()}
    found["doubt"] = doubt(found["probability"])
    return found


def _deciding(probability: torch.Tensor, value: torch.Tensor) -> np.ndarray:
    """`value` of the least probability: (video, modality, snippet, category, 2) -> (video, track, snippet, category)."""
    of_both = (torch.cat(list(x.unbind(1)), dim=-1).unsqueeze(1) for x in (probability, value))
    both_probability, both_value = of_both
    single = value.gather(-1, probability.argmin(-1, keepdim=True))
    joined = both_value.gather(-1, both_probability.argmin(-1, keepdim=True))
    return torch.cat([single, joined], dim=1).squeeze(-1).numpy()


def doubt(probability: np.ndarray) -> np.ndarray:
    """1 - max(p, 1 - p) in 0..1/2: the baseline that needs no evidence."""
    return np.minimum(probability, 1 - probability)


def disagreement(probabilities: np.ndarray) -> np.ndarray:
    """Epistemic uncertainty of members (member, ...): entropy of the mean minus mean of the entropies, in nats, per entry."""
    def entropy(p: np.ndarray) -> np.ndarray:
        p = np.clip(p, 1e-7, 1 - 1e-7)
        return -(p * np.log(p) + (1 - p) * np.log1p(-p))

    return entropy(probabilities.mean(0)) - entropy(probabilities).mean(0)


def dropout_passes(model: CMPAE, video_set: VideoSet, passes: int = PASSES, seed: int = 0) -> list[Evidence]:
    """MC dropout (Gal, Ghahramani, ICML 2016): the evidence of several passes with dropout on; the model stays as it was."""
    was_training = model.training
    model.train()
    index = np.array_split(np.arange(len(video_set)), range(BATCH, len(video_set), BATCH))
    device = next(model.parameters()).device
    with torch.no_grad(), seeded(seed):
        found = [Evidence.concatenate([model(take(video_set, i, device).features).to("cpu") for i in index]) for _ in range(passes)]
    model.train(was_training)
    return found


def error_scores(uncertainties: Mapping[str, np.ndarray], error: np.ndarray, chosen: np.ndarray | None = None) -> dict[str, dict]:
    """Per track: the error rate, the best possible AURC, and for each uncertainty its AURC and how well it detects errors (AUROC).

    Arrays (video, track, snippet, category); `chosen` restricts the entries, to those decoded as active, say. A random order
    has the error rate as its AURC and 1/2 as its AUROC.
    """
    result = {}
    for t, track in enumerate(TRACKS):
        mask = np.ones_like(error[:, t]) if chosen is None else chosen[:, t]
        wrong = error[:, t][mask]
        row = {"entries": int(wrong.size), "error": float(wrong.mean()), "best": calibration.best_aurc(wrong)}
        for name, value in uncertainties.items():
            u = value[:, t][mask]
            row[name] = {"aurc": calibration.aurc(u, wrong), "auroc": calibration.detection(u[~wrong], u[wrong])["auroc"]}
        result[track] = row
    return result


# ---- the audio-visual track: the AND rule against fused opinions ----------------------------------------------------------

Rule = Callable[[Opinion, Opinion], torch.Tensor]

RULES: dict[str, Rule] = {
    "AND (minimum)": lambda a, v: torch.minimum(a.probability, v.probability),
    "conjunction": lambda a, v: fusion.conjunction(a, v).probability,  # p is the product
    **{name: (lambda a, v, fuse=fuse: fuse(a, v).probability) for name, fuse in fusion.FUSIONS.items()},
}


def by_rule(rule: Rule, evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """The probability that an event is audible and visible: (video, snippet, category) and, for whole videos, (video, category)."""
    return tuple(rule(judged[:, 0], judged[:, 1]).numpy() for judged in (evidence.snippet, evidence.video))


def trusted(evidence: Evidence, trust: Opinion) -> Evidence:
    """Every opinion discounted by the `trust` (modality, category) in its modality: see `track_record`."""
    spread = trust.apply(lambda x: x.unsqueeze(1))
    snippet, video = fusion.discount(spread, evidence.snippet), fusion.discount(trust, evidence.video)
    return replace(evidence, snippet=snippet, video=video)


def track_record(evidence: Evidence, thresholds: Thresholds, reference: np.ndarray) -> Opinion:
    """Trust in each modality's word on each category (modality, category), from its right and wrong active snippets on val."""
    said = decode(evidence, thresholds)
    right, wrong = (said & reference).sum((0, 2)), (said & ~reference).sum((0, 2))
    return Opinion(torch.tensor(right, dtype=torch.float32), torch.tensor(wrong, dtype=torch.float32))


def both_scores(roll: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Segment- and event-level F of the audio-visual track in percent, of rolls (video, snippet, category)."""
    roll, reference = roll[:, None], reference[:, None]
    counts = {"segment": metrics.segment_counts(roll, reference), "event": metrics.event_counts(roll, reference)}
    return {level: float(100 * metrics.video_f(count[:, :, 0]).mean()) for level, count in counts.items()}


def choose_both(
    probabilities: tuple[np.ndarray, np.ndarray], reference: np.ndarray, grid: Sequence[float] = THRESHOLDS
) -> tuple[float, float]:
    """The snippet and video threshold with the best mean of both F-scores on val (ties: the smaller snippet threshold)."""
    snippet, video = probabilities
    best, chosen = -1.0, (OPEN, OPEN)
    for at_snippet in grid:
        active = snippet >= at_snippet
        for at_video in grid:
            score = np.mean(list(both_scores(active & (video >= at_video)[:, None], reference).values()))
            if score > best + 1e-9:
                best, chosen = score, (float(at_snippet), float(at_video))
    return chosen


# ---- corrupted input --------------------------------------------------------------------------------------------------------


def corruptions() -> dict[str, tuple[str, Callable[[VideoSet, np.random.Generator], VideoSet]]]:
    """Name -> the modality that is hurt, and what is done to its streams. Noise is Gaussian, in standard deviations of each feature."""
    def noisy(strength: float) -> Callable:
        def change(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            scale = x.astype(np.float32).std((0, 1))
            return x + (strength * scale * rng.standard_normal(x.shape, dtype=np.float32)).astype(x.dtype)
        return change

    def shuffled(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.roll(x, max(1, len(x) // 2), axis=0)  # every video gets another one's track, all streams alike

    def gone(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.zeros_like(x)

    kinds = {
        "audio noise 1 sd": ("audio", noisy(1.0)), "audio noise 3 sd": ("audio", noisy(3.0)), "audio dropped": ("audio", gone),
        "visual dropped": ("visual", gone), "visual shuffled": ("visual", shuffled),
    }
    return {name: (modality, _of_streams(modality, change)) for name, (modality, change) in kinds.items()}


def _of_streams(modality: str, change: Callable) -> Callable[[VideoSet, np.random.Generator], VideoSet]:
    def apply(videos: VideoSet, rng: np.random.Generator) -> VideoSet:
        hurt = {n: change(np.asarray(x), rng) if videos.modalities[n] == modality else x for n, x in videos.features.items()}
        return replace(videos, features=hurt)
    return apply


def per_video(evidence: Evidence, modality: str | None = None, members: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Uncertainties of whole videos (video,): means over the snippets and categories of one modality (None: both).

    "vacuity", "epistemic", "doubt" (max probability, entry by entry), "nothing found" (1 - the largest p); `members`
    (member, video, modality, snippet, category): also their "disagreement".
    """
    which = slice(None) if modality is None else [MODALITIES.index(modality)]
    judged = evidence.snippet[:, which]
    p = judged.probability.numpy()
    axes = (1, 2, 3)
    found = {
        "vacuity": judged.vacuity.numpy().mean(axes), "epistemic": mutual_information(judged).numpy().mean(axes),
        "doubt": doubt(p).mean(axes), "nothing found": 1 - p.max(axes),
    }
    if members is not None:
        found["disagreement"] = disagreement(members[:, :, which]).mean(axes)
    return found


def only_categories(videos: VideoSet, kept: np.ndarray) -> tuple[VideoSet, np.ndarray]:
    """The videos without any of the other categories, described by the kept ones (category,), bool; and which videos those are."""
    labels = videos.weak_labels if videos.reference is None else videos.reference.any((1, 2))
    inside = ~(np.asarray(labels)[:, ~kept] > 0.5).any(1)
    return rename(videos.subset(inside), kept), inside


def rename(videos: VideoSet, kept: np.ndarray) -> VideoSet:
    """All videos, described by the kept categories alone."""
    names = tuple(name for name, keep in zip(videos.categories, kept, strict=True) if keep)
    weak, reference = videos.weak_labels, videos.reference
    return replace(
        videos, categories=names, weak_labels=None if weak is None else weak[:, kept],
        reference=None if reference is None else reference[..., kept],
    )


def snippet_probability(model: CMPAE, videos: VideoSet) -> np.ndarray:
    """(video, modality, snippet, category): one member of an ensemble."""
    return predict(model, videos).snippet.probability.numpy()
