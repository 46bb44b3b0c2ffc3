"""What a trained model says of a data set, and how it scores: `predict`, `evaluate`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from . import data, decode, metrics
from ._files import write_atomically
from ._products import wide_products
from .batches import Loader, Mixed, autocast, precision_of, prediction_batch, read_ahead
from .config import MethodConfig, check_same_data
from .data.events import COLUMNS as EVENT_COLUMNS
from .data.videoset import VideoSet
from .errors import InputError
from .method import Evidence, Method

if TYPE_CHECKING:
    from .checkpoint import Run


def predict(
    model: Method, video_set: VideoSet, *, cross_attention: bool | None = None, mixed_precision: Mixed = False, progress: bool = False,
    loader: Loader | None = None,
) -> Evidence:
    """The method's evidence for every video, on the CPU.

    By default as the method infers (`Method.infer`). `cross_attention`: True or False asks for one plain pass of that kind. `loader`:
    of this set, where it is predicted more than once. Raises InputError where model and data do not fit, or an answer is not finite.

    >>> from cmpae_toolkit import checkpoint, load
    >>> predict(checkpoint.shipped_run().model, load("small", "test").subset(range(4))).snippet.vacuity.shape
    torch.Size([4, 2, 10, 25])
    """
    check_same_data(model.spec, video_set.spec, video_set.title)
    if not len(video_set):
        raise InputError(f"{video_set.title} holds no video to predict.")
    device = next(model.parameters()).device
    size = prediction_batch(model.spec, model.config, device)
    indices = np.array_split(np.arange(len(video_set)), range(size, len(video_set), size))
    was_training = model.training
    model.eval()
    parts = []
    mixed = precision_of(mixed_precision, device) == "bfloat16"
    with torch.inference_mode(), autocast(device, mixed), wide_products(model.parameters()):
        batches = read_ahead(video_set, indices, device) if loader is None else loader.batches(indices)
        for batch in tqdm(batches, total=len(indices), desc="predicting", disable=not progress):
            if cross_attention is None:
                evidence = model.infer(batch.features, batch.valid)
            else:
                evidence = model(batch.features, cross_attention, batch.valid)
            parts.append(evidence.apply(lambda x: x.cpu() if x.dtype == torch.bool else x.float().cpu()))
    model.train(was_training)
    return _finite(Evidence.concatenate(parts), video_set)


LARGEST, ROUNDING = 2, 1e-3  # HAN's joint answer, pooled over snippets and modalities with weights of their own, may be up to 2


def _finite(evidence: Evidence, video_set: VideoSet) -> Evidence:
    """The evidence, or an InputError naming the first video whose probabilities or vacuities are not finite, or no probabilities."""
    for judgement in (evidence.snippet, evidence.video, evidence.joint):
        for values in (judgement.probability, judgement.vacuity):
            if values is None:
                continue
            inside = ((values > -ROUNDING) & (values < LARGEST + ROUNDING)).flatten(1).all(1)  # NaN is not
            if not bool(inside.all()):
                odd = int(inside.int().argmin())
                finite = bool(values[odd].isfinite().all())
                what = "no probability: does `forward` give logits?" if finite else "not finite: look at its features, and at the weights."
                raise InputError(f"{video_set.title}: the model's answer for {video_set.filenames[odd]} is {what}")
    return evidence


def evaluate(run: Run, video_set: VideoSet, *, one_sided: bool = False) -> dict[str, dict[str, float]]:
    """The ten F-scores of a run in percent, as `metrics.f_scores`; for AVE's task also "accuracy".

    `one_sided` adds "audible_only" and "visible_only" to each level. A set with weak labels alone is scored at video level
    (`metrics.video_scores`). Raises InputError when it has no labels at all.

    >>> from cmpae_toolkit import checkpoint, load
    >>> list(evaluate(checkpoint.shipped_run(), load("small", "test").subset(range(4)))["event"])
    ['audio', 'visual', 'audio_visual', 'type', 'event']
    """
    _check_labels(video_set)
    rolls = run.model.decode(predict(run.model, video_set), run.thresholds)
    return score(run.config, rolls, video_set.yardstick, one_sided, video_set.lengths)


def evaluate_events(
    path: str | Path, video_set: VideoSet, config: MethodConfig, *, one_sided: bool = False
) -> dict[str, dict[str, float]]:
    """The same scores of events that any tool wrote, in a format of `data.read_events`; a video without any has none.

    `config` says the task. Raises InputError when the file cannot be read, names a video or a category that the set does not have,
    or when the set has no labels.

    >>> import tempfile
    >>> from cmpae_toolkit import data, presets
    >>> videos = data.load("small", "test").subset(range(4))
    >>> event = {"filename": videos.filenames[0], "onset": 0.0, "offset": 3.0, "category": "Speech", "track": "audio"}
    >>> path = data.write_events(f"{tempfile.mkdtemp()}/events.csv", [event], "csv")
    >>> list(evaluate_events(path, videos, presets["paper"]))
    ['segment', 'event']
    """
    _check_labels(video_set)
    return score(config, data.rolls_of(data.read_events(path), video_set), video_set.yardstick, one_sided, video_set.lengths)


def _check_labels(video_set: VideoSet) -> None:
    if video_set.yardstick is None:
        raise InputError(f"{video_set.title} has no dense annotations and no labels to evaluate against: use val or test.")


def score(
    config: MethodConfig, estimate: np.ndarray, reference: np.ndarray, one_sided: bool = False, lengths: np.ndarray | None = None
) -> dict:
    """The scores of the config's task: `metrics.f_scores`, and for localization the accuracy over all snippets.

    `lengths` (video,) counts each video's snippets where they differ.

    `reference` is a roll, or (video, category) where there are weak labels alone: then `metrics.video_scores`.

    >>> from cmpae_toolkit import presets
    >>> score(presets["paper"], np.zeros((1, 2, 10, 3), bool), np.zeros((1, 2, 10, 3), bool))["segment"]["type"]
    100.0
    """
    if np.ndim(reference) == 2:
        return metrics.video_scores(estimate, reference)
    scores: dict = metrics.f_scores(estimate, reference, one_sided)
    if config.task == "localization":
        scores["accuracy"] = metrics.ave_accuracy(metrics.answers(estimate), metrics.answers(reference, lengths))
    return scores


def score_table(scores: dict[str, dict[str, dict[str, float]]]) -> pd.DataFrame:
    """Named results of `f_scores` or `video_scores` as a table: a row each, columns (level, score), in percent; one-sided ones where
    all have them.

    >>> roll = np.ones((1, 2, 10, 3), bool)
    >>> score_table({"perfect": metrics.f_scores(roll, roll)}).shape
    (1, 10)
    """
    more = metrics.ONE_SIDED if scores and all(_has_one_sided(each) for each in scores.values()) else ()
    video_level = [("video", name) for name in next(iter(scores.values()), {}).get("video", ())]
    pairs = video_level or [(level, name) for level in metrics.LEVELS for name in (*metrics.SCORES, *more)]
    columns = pd.MultiIndex.from_tuples(pairs, names=["level", "score"])
    rows = [[result[level][score] for level, score in columns] for result in scores.values()]
    return pd.DataFrame(rows, index=list(scores), columns=columns)


def with_floors(name: str, scores: dict[str, dict[str, float]], video_set: VideoSet) -> pd.DataFrame:
    """A result and, beside it, the two floors it must be read against.

    >>> from cmpae_toolkit import load
    >>> videos = load("small", "test").subset(range(4))
    >>> list(with_floors("perfect", metrics.f_scores(videos.reference, videos.reference), videos).index)
    ['perfect', 'predict nothing', 'true weak labels everywhere']
    """
    return score_table({name: scores, **floors(video_set, _has_one_sided(scores))})


def _has_one_sided(scores: dict[str, dict[str, float]]) -> bool:
    return set(metrics.ONE_SIDED) <= scores.get("segment", {}).keys()


def floors(video_set: VideoSet, one_sided: bool = False) -> dict[str, dict[str, dict[str, float]]]:
    """`metrics.floors` of a data set, at video level without a reference; only "predict nothing" where it has no weak labels.

    >>> from cmpae_toolkit import load
    >>> list(floors(load("small", "test").subset(range(4))))
    ['predict nothing', 'true weak labels everywhere']
    """
    if video_set.reference is None:
        return metrics.video_floors(video_set.weak_labels)
    if video_set.weak_labels is None:
        return {"predict nothing": metrics.f_scores(np.zeros_like(video_set.reference), video_set.reference, one_sided)}
    return metrics.floors(video_set.weak_labels, video_set.reference, one_sided, video_set.valid)


def accuracy_floors(video_set: VideoSet) -> dict[str, float]:
    """AVE's accuracy in percent of answering background everywhere, and the true category of the video everywhere.

    >>> from cmpae_toolkit import load
    >>> list(accuracy_floors(load("small", "test").subset(range(4))))
    ['background everywhere', 'true category everywhere']
    """
    right = metrics.answers(video_set.reference, video_set.lengths)
    painted = metrics.answers(metrics.painted_everywhere(video_set.weak_labels, video_set.reference.shape, video_set.valid))
    background = np.full_like(right, len(video_set.categories))
    return {
        "background everywhere": metrics.ave_accuracy(background, right),
        "true category everywhere": metrics.ave_accuracy(painted, right),
    }


def write_predictions(
    run: Run, video_set: VideoSet, folder: str | Path, *, formats: Sequence[str] = ("csv", "json"), progress: bool = True,
    clips: Mapping[str, tuple[str, float]] | None = None,
) -> list[Path]:
    """Decoded events of every video as `events.csv`, and with the opinions behind them as `events.json`.

    CSV columns: filename, onset, offset (seconds), category, track, probability, vacuity. The JSON has for each video its events
    and each modality's video-level probability and vacuity by category. `formats`: further ones of `data.write_events`, each in a
    folder of its own. `clips`: of which film each video is a part, and where it starts there in seconds; events are then those of
    films, joined where clips meet. Nothing is written before all of it is known to be finite, and the two files only together.

    >>> import tempfile
    >>> from cmpae_toolkit import checkpoint, load
    >>> made = write_predictions(checkpoint.shipped_run(), load("small", "test").subset(range(4)), tempfile.mkdtemp(), progress=False)
    >>> [path.name for path in made]
    ['events.csv', 'events.json']
    """
    evidence = predict(run.model, video_set, progress=progress)
    rows = decode.event_table(run.model.decode(evidence, run.thresholds), evidence, video_set.categories, video_set.filenames)
    per_video: dict[str, list[dict[str, Any]]] = {filename: [] for filename in video_set.filenames}
    for row in rows:
        row |= {end: row[end] * video_set.snippet_seconds for end in ("onset", "offset")}
        per_video[row["filename"]].append({k: v for k, v in row.items() if k != "filename"})
    if clips is not None:
        rows = _of_films(rows, clips)
    videos = [
        {"filename": name, "events": per_video[name], "opinions": _opinions(evidence.video[i], video_set.categories)}
        for i, name in enumerate(video_set.filenames)
    ]
    description = {"data": video_set.title, "trained_on": run.data, "thresholds": run.thresholds.to_dict(), "videos": videos}
    table = pd.DataFrame(rows, columns=[*EVENT_COLUMNS, "probability", "vacuity"])
    texts = {"csv": table.to_csv(index=False, float_format="%.6g"), "json": json.dumps(description, indent=1, allow_nan=False) + "\n"}
    folder = Path(folder)
    made = {folder / f"events.{name}": text for name, text in texts.items() if name in formats}
    _write_together(made)
    labels = [f for f in formats if f not in texts]
    names = video_set.filenames if clips is None else tuple(dict.fromkeys(film for film, _ in clips.values()))
    return [*made, *(data.write_events(folder / f, table[EVENT_COLUMNS], f, names) for f in labels)]


def _of_films(rows: list[dict[str, Any]], clips: Mapping[str, tuple[str, float]]) -> list[dict[str, Any]]:
    """Events of clips as events of their films, in seconds of these; what goes on in the next clip is one event."""
    moved = [row | {"filename": clips[row["filename"]][0]} | {end: row[end] + clips[row["filename"]][1] for end in ("onset", "offset")}
             for row in rows]
    joined: list[dict[str, Any]] = []
    for row in sorted(moved, key=lambda r: (r["filename"], r["track"], r["category"], r["onset"])):
        last = joined[-1] if joined else None
        same = last is not None and all(last[name] == row[name] for name in ("filename", "track", "category"))
        if not same or row["onset"] > last["offset"] + 1e-6:
            joined.append(row)
            continue
        lengths = [each["offset"] - each["onset"] for each in (last, row)]
        for name in ("probability", "vacuity"):  # means over the event's snippets
            if row[name] is not None and last[name] is not None:
                last[name] = float(np.average([last[name], row[name]], weights=lengths))
        last["offset"] = row["offset"]
    return sorted(joined, key=lambda r: (r["filename"], r["onset"], r["offset"], r["category"]))


def _write_together(texts: dict[Path, str]) -> None:
    """Each file is whole beside its place before the first is put there, so that a full disk leaves none."""
    if not texts:
        return
    (path, text), *rest = texts.items()

    def write(file: BinaryIO) -> None:
        file.write(text.encode("utf-8"))
        file.flush()
        _write_together(dict(rest))

    write_atomically(path, write)


def _opinions(judgement: Any, categories: tuple[str, ...]) -> dict[str, dict[str, dict[str, float]]]:
    """{modality: {category: {"probability", "vacuity"}}} of one video's judgement (modality, category)."""
    result: dict[str, dict[str, dict[str, float]]] = {}
    for m, modality in enumerate(("audio", "visual")):
        values = {"probability": judgement.probability[m].tolist()}
        if judgement.vacuity is not None:
            values["vacuity"] = judgement.vacuity[m].tolist()
        result[modality] = {c: {name: round(v[i], 6) for name, v in values.items()} for i, c in enumerate(categories)}
    return result
