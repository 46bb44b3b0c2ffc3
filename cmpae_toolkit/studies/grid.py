"""Grids of independent runs: variants x seeds x data sets on joblib or a Dask cluster, one JSON a run, resumable.

A run's JSON holds its config, seed, scores, per-video type scores, thresholds, history, seconds, device, versions and the checksums
of its data. Finished runs are never repeated; a failed one is recorded with its error and tried again by the next call.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import data, metrics
from .._files import hold, read_json, write_json
from .._parallel import backend
from ..batches import Mixed
from ..checkpoint import Run, provenance
from ..config import Config, MethodConfig
from ..data.videoset import Splits, VideoSet
from ..decode import Thresholds, decode
from ..errors import InputError, InputWarning
from ..inference import accuracy_floors, evaluate, floors, predict, score
from ..method import Evidence, Supervision
from ..methods import get
from ..train import fit
from . import one_sided
from .identity import Identity, check_replaceable, identify, identity_of, tell, write_manifest
from .records import collect, failures, is_finished, read
from .workers import Task, finish, results

__all__ = ["Job", "Trained", "collect", "failures", "jobs", "run", "run_grid", "threshold_curve", "train_and_evaluate"]

KEPT_PER_VIDEO = "type"  # per-video scores that a paired bootstrap over videos needs
THRESHOLDS = np.round(np.arange(0.05, 0.96, 0.05), 2)  # at which val is scored


@dataclass(frozen=True)
class Job:
    """One run: a named variant of a config with its seed, on one data set (a name, a folder, or sets in memory).

    `split` is scored in the end: "test", or "val" for a search, which must not see test.

    >>> from cmpae_toolkit import presets
    >>> Job("paper", presets["paper"], "small").split
    'test'
    """

    variant: str
    config: MethodConfig
    data: str | Splits
    split: str = "test"

    @property
    def file(self) -> str:
        """The file's name, readable, and unique to the config: <variant>-seed<n>-<hash>.json. A field that a later version adds
        with the old behaviour as its default changes no name."""
        method = [] if type(self.config) is Config else [("method", type(self.config).__qualname__)]
        told = repr(method + sorted(self.config.difference(type(self.config)()).items()))
        plain = "".join(c if c.isalnum() else "_" for c in self.variant)
        scored = "" if self.split == "test" else f"-{self.split}"
        return f"{plain}-seed{self.config.seed}-{hashlib.sha256(told.encode()).hexdigest()[:8]}{scored}.json"

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that the run reads."""
        return data.splits if self.split == "test" else ("train", "val")


@dataclass(frozen=True)
class Trained:
    """A finished training with what it was scored on: `rolls` (video, modality, snippet, category), bool, are of `test_set`."""

    run: Run
    val_set: VideoSet
    test_set: VideoSet
    rolls: np.ndarray


Measures = Mapping[str, Callable[[Trained], Any]]  # what a study adds to each record; functions of a module, so that they travel


def jobs(
    variants: Mapping[str, Mapping[str, Any]], base: MethodConfig, data_names: Iterable[str | Splits], seeds: Iterable[int],
    split: str = "test",
) -> list[Job]:
    """variants x data sets x seeds; a variant is the fields that it changes in `base`."""
    seeds = list(seeds)
    return [
        Job(name, base.changed(**changes, seed=seed), where if isinstance(where, Splits) else str(where), split)
        for where in data_names for name, changes in variants.items() for seed in seeds
    ]


def run_grid(
    grid: list[Job], folder: str | Path, *, workers: int = 1, threads: int = 1, device: str | None = None, scheduler: str | None = None,
    measures: Measures | None = None, extend: str | None = None,
) -> pd.DataFrame:
    """Runs the jobs that are not finished yet in `folder` and returns all of them, as `collect` does.

    A run is finished where its record has the job's config and the checksums of the job's data. `extend` names a frozen study whose
    runs count as finished where the checksums are these or, of simulated data, where name, number of videos and categories are; a
    warning counts those with other checksums, as another processor makes them in its last bits. `workers` local processes with `threads`
    threads each; or, with the address of a Dask `scheduler` ("tcp://host:8786"), the workers of that cluster, which must be able to load
    the data by the same name. Each data set's and seed's earlier stage is trained first, once. `measures`: entries of each record
    beside those of `run`. Raises InputError when another process writes to the folder, or when data cannot be loaded.

    >>> import tempfile
    >>> from cmpae_toolkit import presets
    >>> quick = presets["jomold"].changed(width=8, epochs=1, denoise=False)
    >>> run_grid(jobs({"plain": {}}, quick, ["tiny"], seeds=[0]), tempfile.mkdtemp())[["variant", "seed"]].values.tolist()
    [['plain', 0]]
    """
    folder, frozen = Path(folder), {} if extend is None else read(extend)
    found = {key: identify(*key) for key in {(job.data, job.splits) for job in grid}}
    owners = {job: found[job.data, job.splits] for job in grid}
    files = {job: folder / owner.folder / job.file for job, owner in owners.items()}
    with backend(workers, threads, scheduler), hold(folder):
        for identity in found.values():
            write_manifest(folder, identity)
        others = 0
        for job, owner in owners.items():
            known = owner.without_sums(frozen.get(f"{owner.given}/{job.file}", {}))
            if owner.holds(known) and not is_done(files[job], job, owner):
                write_json(files[job], known)
                others += "stored_checksums" in known["data"]
        if others:
            warnings.warn(f"{others} runs of {extend!r} are taken over whose simulated data have other checksums than here: made on "
                          "another processor they may differ in their last bits.", InputWarning, stacklevel=2)
        todo = [job for job, owner in owners.items() if not is_done(files[job], job, owner, measures or ())]
        prepared = _prepared(todo, threads, device)
        calls = {job: partial(run, job, device, prepared.get(job), measures) for job in todo}
        finish({files[job]: Task(job.variant, job.config.seed, call) for job, call in calls.items()}, threads)
    table = collect(folder)
    return table[table["file"].isin([file.relative_to(folder).as_posix() for file in files.values()])].reset_index(drop=True)


def _prepared(todo: list[Job], threads: int, device: str | None) -> dict[Job, Supervision | None]:
    """Job -> the supervision of its earlier stage, trained once for the jobs of one data set, seed and stage.

    Where a stage fails, the run itself tries again and records the error.
    """
    stages = {job: (job.data, get(job.config.method).stage(job.config)) for job in todo}
    stages = {job: stage for job, stage in stages.items() if stage[1] is not None}
    first = {stage: job for job, stage in stages.items()}
    calls = [partial(_prepare, job, device) for job in first.values()]
    found = {list(first)[i]: result.get("supervision") for i, result in results(calls, threads, "earlier stages")}
    return {job: found[stage] for job, stage in stages.items()}


def _prepare(job: Job, device: str | None) -> dict[str, Any]:
    train_set, val_set = (data.load(job.data, split) for split in ("train", "val"))
    stage = partial(fit, device=device, progress=False)
    return {"supervision": get(job.config.method).prepare(job.config, train_set, val_set, stage)}


def is_done(file: Path, job: Job, identity: Identity, entries: Iterable[str] = ()) -> bool:
    """Whether a file holds a finished run of this job on these data, with these entries."""
    try:
        record = read_json(file)
        is_ours = type(job.config).from_dict(record["config"]) == job.config and identity.holds(record)
        return is_finished(record) and is_ours and record.keys() >= set(entries)
    except (InputError, KeyError, TypeError, AttributeError):
        return False


def _columns(history: pd.DataFrame) -> dict[str, list[Any]]:
    """A history's columns for JSON; None where a loss was not taken in an epoch."""
    return {name: [None if pd.isna(x) else round(x, 5) for x in values] for name, values in history.to_dict("list").items()}


def run(
    job: Job, device: str | None = None, supervision: Supervision | None = None, measures: Measures | None = None
) -> dict[str, Any]:
    """Trains and scores one job; the split that is scored is loaded after everything has been chosen on val.

    `supervision`: what the method's `prepare` makes, where it is made already. `measures`: further entries of the record.
    """
    load = partial(data.load, job.data)
    trained, record = _train_and_score(job.config, job.data, load, job.split, device, supervision=supervision, progress=False)
    reference = trained.test_set.reference
    curve = threshold_curve(predict(trained.run.model, trained.val_set), trained.run.thresholds, trained.val_set.reference)
    return record | {
        "split": job.split, "scores": score(job.config, trained.rolls, reference, lengths=trained.test_set.lengths),
        "per_video": _per_video(job.config, trained.rolls, trained.test_set), "per_category": _per_category(trained.rolls, reference),
        "one_sided": one_sided.shares(trained.rolls, reference),
        "val_by_snippet_threshold": curve, "history": _columns(trained.run.history),
    } | {name: measure(trained) for name, measure in (measures or {}).items()}


def train_and_evaluate(
    config: MethodConfig, data_name: str, out: str | Path, *, figures: str | Path | None = None, device: str | None = None,
    resume: bool = False, overwrite: bool = False, mixed_precision: Mixed = False, progress: bool = True, **options: Any,
) -> dict[str, Any]:
    """Trains on train, chooses on val, scores test once; writes checkpoint, history, run.json and, if asked, two figures.

    Returns what run.json holds: config, data, scores, floors, thresholds, seconds, device, precision, versions, and what loading
    found odd, of which it warns. `options` go to `data.load`. Raises InputError, before anything is trained, when another process
    writes to `out`, when a split is missing, or when `out` holds a finished run of another config or other data and `overwrite` is
    False.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file: give a folder to write the run to.")
    sets = {split: data.load(data_name, split, **options) for split in data.splits}
    with hold(out):
        if not overwrite:
            check_replaceable(out, config, sets)
        found = tell({split: replace(s, notices=(*s.notices, *data.feature_notices(s))) for split, s in sets.items()})
        trained, result = _train_and_score(
            config, data_name, sets.__getitem__, "test", device, folder=out, resume=resume, mixed_precision=mixed_precision,
            progress=progress,
        )
        test = trained.test_set
        scores = {"val": evaluate(trained.run, sets["val"]), "test": score(config, trained.rolls, test.yardstick, lengths=test.lengths)}
        result |= {"scores": scores, "floors": {"test": floors(test)}, **found}
        if config.task == "localization":
            result["floors"]["accuracy"] = accuracy_floors(test)
        trained.run.save(out)
        write_json(out / "run.json", result)
    if figures is not None:
        from ..explorer.state import save_figures  # here, as it loads matplotlib

        save_figures(trained.run, test, Path(figures))
    return result


def _train_and_score(
    config: MethodConfig, data_name: str, load: Callable[[str], VideoSet], split: str, device: str | None, **fitting: Any
) -> tuple[Trained, dict[str, Any]]:
    """One run: trained on train, chosen on val, decoded on `split`, which is loaded last; and where all that comes from."""
    sets = {name: load(name) for name in ("train", "val")}
    started = time.perf_counter()
    trained = fit(config, sets["train"], sets["val"], device=device, **fitting)
    seconds = time.perf_counter() - started
    sets[split] = load(split)
    rolls = trained.model.decode(predict(trained.model, sets[split]), trained.thresholds)
    record = provenance(trained, sets[split], device) | {
        "seconds": round(seconds, 1), "parameters": sum(p.numel() for p in trained.model.parameters()),
    }
    owner = identity_of(data_name, sets)
    record["data"] |= {"checksums": owner.checksums, "videos": owner.videos}
    return Trained(trained, sets["val"], sets[split], rolls), record


def threshold_curve(evidence: Evidence, thresholds: Thresholds, reference: np.ndarray) -> dict[str, list[float]]:
    """Type F at both levels over snippet thresholds, the video thresholds left as they are; empty for AVE's task."""
    if thresholds.both is not None:
        return {}
    curve: dict[str, list[float]] = {"threshold": THRESHOLDS.tolist(), **{f"{level}.{KEPT_PER_VIDEO}": [] for level in metrics.LEVELS}}
    for value in THRESHOLDS:
        changed = replace(thresholds, snippet=np.full_like(thresholds.snippet, value))
        scores = metrics.f_scores(decode(evidence, changed), reference)
        for level in metrics.LEVELS:
            curve[f"{level}.{KEPT_PER_VIDEO}"].append(round(scores[level][KEPT_PER_VIDEO], 3))
    return curve


def _per_video(config: MethodConfig, rolls: np.ndarray, videos: VideoSet) -> dict[str, list[float]]:
    """Type F of each video at both levels, and for localization its accuracy, in percent."""
    per_video = metrics.scores_per_video(rolls, videos.reference)
    found = {level: 100 * per_video[level][KEPT_PER_VIDEO] for level in metrics.LEVELS}
    if config.task == "localization":
        answered, right = metrics.answers(rolls, videos.lengths), metrics.answers(videos.reference, videos.lengths)
        found["accuracy"] = [metrics.ave_accuracy(*pair) for pair in zip(answered[:, None], right[:, None], strict=True)]
    return {name: np.round(values, 2).tolist() for name, values in found.items()}


def _per_category(rolls: np.ndarray, reference: np.ndarray) -> dict[str, dict[str, list[float | None]]]:
    """`metrics.category_scores` for JSON, which has no NaN."""
    def plain(values: np.ndarray) -> list[float | None]:
        return [None if np.isnan(v) else round(float(v), 2) for v in values]

    scores = metrics.category_scores(rolls, reference)
    return {level: {track: plain(values) for track, values in tracks.items()} for level, tracks in scores.items()}
