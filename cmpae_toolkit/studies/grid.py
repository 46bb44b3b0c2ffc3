"""Grids of independent runs: variants x seeds x data sets on joblib or a Dask cluster, one JSON a run, resumable.

A run's JSON holds its config, seed, scores, per-video type scores, thresholds, history, seconds, device, versions and data
checksum. Finished runs are never repeated; a failed one is recorded with its error and tried again by the next call.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed, parallel_config
from tqdm.auto import tqdm

from .. import data, metrics
from .._files import flat, read_json, write_json
from ..checkpoint import provenance
from ..config import Config
from ..decode import Thresholds, decode
from ..errors import InputError
from ..explorer.state import save_figures
from ..inference import accuracy_floors, evaluate, floors, predict, score
from ..method import Evidence, Supervision
from ..methods import get
from ..train import fit

KEPT_PER_VIDEO = "type"  # per-video scores that a paired bootstrap over videos needs
CURVE = np.round(np.arange(0.05, 0.96, 0.05), 2)  # snippet thresholds at which val is scored


@dataclass(frozen=True)
class Job:
    """One run: a named variant of a config with its seed, on one data set (a name or a folder).

    `split` is scored in the end: "test", or "val" for a search, which must not see test.
    """

    variant: str
    config: Config
    data: str
    split: str = "test"

    @property
    def file(self) -> str:
        """Readable, and unique to the config: <data>/<variant>-seed<n>-<hash>.json. A field that a later version adds with the
        old behaviour as its default changes no name."""
        digest = hashlib.sha256(repr(sorted(self.config.difference(Config()).items())).encode()).hexdigest()[:8]
        plain = "".join(c if c.isalnum() else "_" for c in self.variant)
        scored = "" if self.split == "test" else f"-{self.split}"
        return f"{Path(self.data).name}/{plain}-seed{self.config.seed}-{digest}{scored}.json"


def jobs(
    variants: Mapping[str, Mapping[str, Any]], base: Config, data_names: Iterable[str], seeds: Iterable[int], split: str = "test"
) -> list[Job]:
    """variants x data sets x seeds; a variant is the fields that it changes in `base`."""
    seeds = list(seeds)
    return [
        Job(name, base.changed(**changes, seed=seed), str(folder), split)
        for folder in data_names for name, changes in variants.items() for seed in seeds
    ]


def run_grid(
    grid: list[Job], folder: str | Path, *, workers: int = 1, threads: int = 1, device: str | None = None, scheduler: str | None = None
) -> pd.DataFrame:
    """Runs what is not finished yet and returns `collect(folder)`.

    `workers` local processes with `threads` threads each; or, with the address of a Dask `scheduler` ("tcp://host:8786"), the
    workers of that cluster, which must be able to load the data by the same name. Results come back here and are written here. A
    worker that dies loses nothing: its run is given to another. Each data set's and seed's earlier stage is trained first, once.
    """
    folder = Path(folder)
    with _backend(workers, threads, scheduler):
        todo = [job for job in grid if not _is_finished(folder / job.file)]
        stages = {_stage(job): (job, threads, device) for job in todo if get(job.config.method).stage(job.config) is not None}
        prepared = {_stage(job): made for (job, *_), made in _results(_prepare, list(stages.values()), "earlier stages")}
        runs = [(job, threads, device, prepared.get(_stage(job))) for job in todo]
        for (job, *_), result in _results(_run, runs, "runs"):
            write_json(folder / job.file, {"variant": job.variant, "seed": job.config.seed, **result})
    return collect(folder)


def _backend(workers: int, threads: int, scheduler: str | None) -> contextlib.AbstractContextManager:
    """Joblib's processes, each held to its threads; or a Dask cluster."""
    if scheduler is None:
        return parallel_config("loky", n_jobs=workers, inner_max_num_threads=threads)
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise InputError("a grid on a Dask cluster needs the extra `cluster`: pip install 'cmpae-toolkit[cluster]'.") from None
    try:
        return parallel_config("dask", scheduler_host=scheduler)
    except (OSError, ValueError) as error:
        raise InputError(f"no Dask scheduler answers at {scheduler!r} ({error}): start one, or leave the address out.") from None


def _results(call, items: list[tuple], text: str) -> Iterator[tuple[tuple, Any]]:
    """(item, call(*item)) as the calls end, behind one progress bar."""
    done = Parallel(return_as="generator_unordered")(delayed(_numbered)(call, i, item) for i, item in enumerate(items))
    for i, result in tqdm(done, total=len(items), desc=text, disable=not items):
        yield items[i], result


def _numbered(call, number: int, item: tuple) -> tuple[int, Any]:
    return number, call(*item)


def _stage(job: Job) -> Any:
    """Jobs of one earlier stage on the same data share its supervision."""
    return job.data, get(job.config.method).stage(job.config)


def _prepare(job: Job, threads: int, device: str | None) -> Supervision:
    torch.set_num_threads(threads)
    train_set, val_set = (data.load(job.data, split) for split in ("train", "val"))
    return get(job.config.method).prepare(job.config, train_set, val_set, partial(fit, device=device, progress=False))


def _run(job: Job, threads: int, device: str | None, supervision: Supervision | None) -> dict[str, Any]:
    torch.set_num_threads(threads)
    try:
        return run(job, device, supervision)
    except Exception as error:  # recorded, so that the rest of the grid goes on
        where = traceback.format_exc(limit=3).replace(str(Path.cwd()), ".")
        return {"error": f"{type(error).__name__}: {error}", "traceback": where}


def run(job: Job, device: str | None = None, supervision: Supervision | None = None) -> dict[str, Any]:
    """Trains and scores one job; the split that is scored is loaded after everything has been chosen on val.

    `supervision`: what the method's `prepare` makes, where it is made already.
    """
    started = time.perf_counter()
    train_set, val_set = (data.load(job.data, split) for split in ("train", "val"))
    trained = fit(job.config, train_set, val_set, supervision=supervision, device=device, progress=False)
    curve = threshold_curve(predict(trained.model, val_set), trained.thresholds, val_set.reference)
    test_set = data.load(job.data, job.split)
    rolls = trained.model.decode(predict(trained.model, test_set), trained.thresholds)
    return {
        **provenance(trained, test_set, device), "split": job.split, "scores": score(job.config, rolls, test_set.reference),
        "per_video": _type_per_video(rolls, test_set.reference), "per_category": _per_category(rolls, test_set.reference),
        "val_by_snippet_threshold": curve, "history": trained.history.round(5).to_dict("list"),
        "seconds": round(time.perf_counter() - started, 1),
    }


def threshold_curve(evidence: Evidence, thresholds: Thresholds, reference: np.ndarray) -> dict[str, list[float]]:
    """Type F at both levels over snippet thresholds, the video thresholds left as they are; empty for AVE's task."""
    if thresholds.both is not None:
        return {}
    curve: dict[str, list[float]] = {"threshold": CURVE.tolist(), **{f"{level}.{KEPT_PER_VIDEO}": [] for level in metrics.LEVELS}}
    for value in CURVE:
        changed = replace(thresholds, snippet=np.full_like(thresholds.snippet, value))
        scores = metrics.f_scores(decode(evidence, changed), reference)
        for level in metrics.LEVELS:
            curve[f"{level}.{KEPT_PER_VIDEO}"].append(round(scores[level][KEPT_PER_VIDEO], 3))
    return curve


def _type_per_video(rolls: np.ndarray, reference: np.ndarray) -> dict[str, list[float]]:
    per_video = metrics.scores_per_video(rolls, reference)
    return {level: np.round(100 * per_video[level][KEPT_PER_VIDEO], 2).tolist() for level in metrics.LEVELS}


def _per_category(rolls: np.ndarray, reference: np.ndarray) -> dict[str, dict[str, list[float | None]]]:
    """`metrics.category_scores` for JSON, which has no NaN."""
    def plain(values: np.ndarray) -> list[float | None]:
        return [None if np.isnan(v) else round(float(v), 2) for v in values]

    scores = metrics.category_scores(rolls, reference)
    return {level: {track: plain(values) for track, values in tracks.items()} for level, tracks in scores.items()}


def _is_finished(file: Path) -> bool:
    if not file.is_file():
        return False
    try:
        return "error" not in read_json(file)
    except InputError:
        return False


def collect(folder: str | Path) -> pd.DataFrame:
    """The finished runs of a folder, a row each: data, variant, seed, file, and the scores as columns like "segment.type"."""
    rows = []
    for file in sorted(Path(folder).rglob("*.json")):
        result = read_json(file)
        if "scores" in result:
            rows.append({
                "data": result["data"]["title"], "variant": result["variant"], "seed": result["seed"], "file": str(file),
                **flat(result["scores"]),
            })
    return pd.DataFrame(rows)


def failures(folder: str | Path) -> dict[str, str]:
    """The runs of a folder that ended in an error: file -> error. The next `run_grid` tries them again."""
    found = ((file, read_json(file)) for file in sorted(Path(folder).rglob("*.json")))
    return {str(file): result["error"] for file, result in found if isinstance(result, dict) and "error" in result}


def train_and_evaluate(
    config: Config, data_name: str, out: str | Path, *, figures: str | Path | None = None, device: str | None = None,
    resume: bool = False, mixed_precision: bool = False, progress: bool = True, **options: Any,
) -> dict[str, Any]:
    """Trains on train, chooses on val, scores test once; writes checkpoint, history, run.json and, if asked, two figures.

    Returns what run.json holds: config, data, scores, floors, thresholds, seconds, device and versions. `options` go to `data.load`.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file: give a folder to write the run to.")
    sets = {split: data.load(data_name, split, **options) for split in ("train", "val", "test")}
    started = time.perf_counter()
    run = fit(
        config, sets["train"], sets["val"], device=device, folder=out, resume=resume, mixed_precision=mixed_precision, progress=progress
    )
    seconds = time.perf_counter() - started
    test = sets["test"]
    result = {
        **provenance(run, test, device), "seconds": round(seconds, 1),
        "scores": {"val": evaluate(run, sets["val"]), "test": evaluate(run, test)}, "floors": {"test": floors(test)},
    }
    result["data"]["videos"] = {split: len(video_set) for split, video_set in sets.items()}
    if config.task == "localization":
        result["floors"]["accuracy"] = accuracy_floors(test)
    run.save(out)
    write_json(out / "run.json", result)
    if figures is not None:
        save_figures(run, test, Path(figures))
    return result
