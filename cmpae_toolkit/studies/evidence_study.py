"""How far to trust CMPAE's evidence: the numbers of notebooks 11a to 11c.

For each data set and seed the study trains the preset `paper` (kept under CMPAE_HOME, so that a call goes on after an interruption),
and once more without every fifth category. On test: do uncertainties know the errors of each track, does fusing opinions beat the
AND rule on the audio-visual track, do corrupted inputs and unseen categories raise vacuity, are probabilities calibrated before and
after temperature scaling on val? MC dropout and the ensemble of all seeds answer the same questions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import data, metrics
from .._files import hold, read_json
from .._parallel import backend
from ..checkpoint import CONFIG, Run, load_run, provenance
from ..config import IMPROVED_NETWORK, MODALITIES
from ..data.videoset import VideoSet
from ..decode import decode
from ..evidence import calibration
from ..inference import predict
from ..method import Evidence
from ..train import fit
from . import evidence_measures as measures
from .ablations import EVIDENTIAL_LOSSES, study_config
from .evidence_report import calibrated, compared, errors, fused, of_errors, probability_scores, snippets
from .grid import Job, is_done
from .identity import Identity, identify, identity_of, write_manifest
from .records import collect, numbers
from .workers import Task, finish

EVERY = 5  # each fifth category is unseen in the run `held_out`
QUARTER = 4
Call = Callable[["Study", int], dict[str, Any]]


def run(
    data: Sequence[str] = ("small",), *, seeds: int = 5, out: Path = Path("runs/evidence_study"), workers: int = 1,
    losses: Sequence[str] = (), amount: bool = False, improved: bool = False,
) -> pd.DataFrame:
    """Measures what is missing in `out` and returns every number, a row a run; a run takes about a minute of one CPU core.

    `losses`: names of `ablations.EVIDENTIAL_LOSSES`, which are trained as well. `amount`: so are less training data. `improved`: so is
    that preset's network, which is read here as `paper` is, without its mixture and thresholds.
    """
    calls: dict[str, Call] = {"paper": measure_seed} | ({"amount": measure_amount} if amount else {})
    calls |= {"improved": measure_seed} if improved else {}
    calls |= {loss: partial(measure_loss, loss=loss) for loss in losses}
    planned = [(_job(kind, name, seed), call) for seed in range(seeds) for name in data for kind, call in calls.items()]
    ensembles = [(_job("ensemble", name, 0), partial(measure_ensemble, seeds=list(range(seeds)))) for name in data]
    owners = {name: identify(name) for name in data}
    with backend(workers), hold(out):
        for owner in owners.values():
            write_manifest(Path(out), owner)
        for stage in (planned, ensembles):  # an ensemble is made of the seeds' runs
            finish(dict(task for job, call in stage for task in _missing(Path(out), job, call, owners[job.data])))
    return numbers(collect(out))


NETWORKS: dict[str, dict[str, Any]] = {"improved": IMPROVED_NETWORK}  # kind -> changes in `paper` for all that is trained for it


def _job(kind: str, name: str, seed: int) -> Job:
    return Job(kind, study_config(name).changed(seed=seed, **EVIDENTIAL_LOSSES.get(kind, {}), **NETWORKS.get(kind, {})), name)


def _missing(out: Path, job: Job, call: Call, identity: Identity) -> list[tuple[Path, Task]]:
    file = out / identity.folder / job.file
    is_ensemble = job.variant == "ensemble"
    if is_done(file, job, identity) and not (is_ensemble and read_json(file)["seeds"] != call.keywords["seeds"]):
        return []
    return [(file, Task(job.variant, None if is_ensemble else job.config.seed, partial(_measured, call, job)))]


def _measured(call: Call, job: Job) -> dict[str, Any]:
    return call(Study(job.data, NETWORKS.get(job.variant)), job.config.seed)


class Study:
    """One data set: its splits, and its trained runs by kind and seed."""

    def __init__(self, name: str, changes: Mapping[str, Any] | None = None) -> None:
        self.name, self.base = name, study_config(name).changed(**(changes or {}))
        self.splits = {split: data.load(name, split) for split in data.splits}
        self.identity = identity_of(name, self.splits)
        self.kept = np.arange(len(self.splits["train"].categories)) % EVERY != EVERY - 1

    def sets(self, kind: str) -> tuple[VideoSet, VideoSet]:
        train_set, val_set = self.splits["train"], self.splits["val"]
        if kind == "held_out":
            return tuple(measures.only_categories(videos, self.kept)[0] for videos in (train_set, val_set))
        if kind.startswith("quarter"):
            return train_set.subset(np.arange(0, len(train_set), QUARTER)), val_set
        return train_set, val_set

    def run(self, kind: str, seed: int, **changes: Any) -> Run:
        """A trained run, from its folder where it is there: the folder's name tells the data's checksums and the config."""
        config = self.base.changed(seed=seed, **changes)
        folder = data.home() / "evidence_study" / self.identity.folder / Path(Job(kind, config, self.name).file).stem
        if not (folder / CONFIG).is_file():
            fit(config, *self.sets(kind), progress=False).save(folder)
        return load_run(folder)

    def about(self, run: Run) -> dict[str, Any]:
        """What each record says of its data, config and machine."""
        record = provenance(run, self.splits["test"])
        record["data"] |= {"checksums": self.identity.checksums, "videos": self.identity.videos}
        return record


def measure_seed(study: Study, seed: int) -> dict[str, Any]:
    """Everything that is asked of the preset `paper`, and of `improved`'s network."""
    run, (_, val_set, test_set) = study.run("all", seed), study.splits.values()
    val, test = (predict(run.model, s) for s in (val_set, test_set))
    passes = measures.dropout_passes(run.model, test_set)
    sampled = np.stack([measures.decisions(e)["probability"] for e in passes])
    more = {"MC dropout": measures.disagreement(sampled), "MC dropout doubt": measures.doubt(sampled.mean(0))}
    return study.about(run) | {
        "scores": metrics.f_scores(decode(test, run.thresholds), test_set.reference),
        "errors": errors(run, test, test_set.reference, ("vacuity", "doubt", "epistemic", "dissonance"), more),
        "audio_visual": fused(run, val, val_set, test, test_set),
        "unknown": corrupted(study, run, seed, test, passes) | unseen(study, seed), "calibration": calibrated(val, val_set, test, test_set),
    }


def measure_loss(study: Study, seed: int, loss: str) -> dict[str, Any]:
    """Another evidential loss: scores, calibration, and what its vacuity knows."""
    kind = "loss-" + "".join(c for c in loss if c.isalnum())
    run, (_, val_set, test_set) = study.run(kind, seed, **EVIDENTIAL_LOSSES[loss]), study.splits.values()
    val, test = (predict(run.model, s) for s in (val_set, test_set))
    return study.about(run) | {
        "scores": metrics.f_scores(decode(test, run.thresholds), test_set.reference),
        "errors": errors(run, test, test_set.reference, ("vacuity", "doubt", "epistemic")),
        "unknown": corrupted(study, run, seed, test), "calibration": calibrated(val, val_set, test, test_set),
    }


def measure_amount(study: Study, seed: int) -> dict[str, Any]:
    """Vacuity after training on all videos, on a quarter of them in as many epochs, and on that quarter in four times the epochs.

    "steps" are those up to the chosen epoch.
    """
    test_set, result = study.splits["test"], {}
    longer = {name: QUARTER * getattr(study.base, name) for name in ("epochs", "decay_epochs")}
    for kind, changes in {"quarter_same_steps": longer, "quarter": {}, "all": {}}.items():
        run = study.run(kind, seed, **changes)
        evidence = predict(run.model, test_set)
        result[kind] = {
            "steps": run.best_epoch * -(-len(study.sets(kind)[0]) // run.config.batch_size),
            "type": metrics.f_scores(decode(evidence, run.thresholds), test_set.reference)["segment"]["type"],
            **{m: float(evidence.snippet.vacuity[:, i].median()) for i, m in enumerate(MODALITIES)},
        }
    return study.about(run) | {"amount": result}


def measure_ensemble(study: Study, _seed: int, seeds: list[int]) -> dict[str, Any]:
    """The mean probability of all seeds: its scores, calibration, and whether the members' disagreement knows errors and corruption."""
    test_set = study.splits["test"]
    runs = {kind: [study.run(kind, seed) for seed in seeds] for kind in ("quarter", "all")}
    evidences = [predict(run.model, test_set) for run in runs["all"]]
    decided = [measures.decisions(e) for e in evidences]
    p = np.stack([d["probability"] for d in decided])
    uncertain = {"ensemble": measures.disagreement(p), "doubt": measures.doubt(p.mean(0))}
    uncertain["mean vacuity"] = np.mean([d["vacuity"] for d in decided], axis=0)
    said, reference = p.mean(0) >= measures.OPEN, metrics.with_audio_visual(test_set.reference)
    clean = snippets(evidences)
    few = np.stack([measures.snippet_probability(run.model, test_set) for run in runs["quarter"]])
    return study.about(runs["all"][0]) | {
        "seeds": seeds, "scores": metrics.f_scores(said[:, :2], test_set.reference),
        "errors": of_errors(uncertain, said, said != reference), "unknown": corrupted_members(runs["all"], test_set, clean),
        "calibration": {"snippet": {"before": probability_scores(clean.mean(0), test_set.reference)}},
        "mean disagreement": {kind: float(measures.disagreement(x).mean()) for kind, x in (("all", clean), ("quarter", few))},
    }


def corrupted_members(runs: Sequence[Run], test_set: VideoSet, clean: np.ndarray) -> dict[str, Any]:
    """Corrupted test videos against clean ones by an ensemble (member, video, modality, snippet, category)."""
    rng, result = np.random.default_rng(0), {}
    for name, (modality, change) in measures.corruptions().items():
        hurt_set, m = change(test_set, rng), MODALITIES.index(modality)
        hurt = np.stack([measures.snippet_probability(run.model, hurt_set) for run in runs])[:, :, m]
        both = clean[:, :, m], hurt
        result[name] = {
            "ensemble": calibration.detection(*(measures.disagreement(x).mean((1, 2)) for x in both)),
            "doubt": calibration.detection(*(measures.doubt(x.mean(0)).mean((1, 2)) for x in both)),
        }
    return result


def corrupted(study: Study, run: Run, seed: int, clean: Evidence, passes: Sequence[Evidence] = ()) -> dict[str, Any]:
    """Corrupted test videos against clean ones: AUROC and FPR95 of each uncertainty, medians of vacuity."""
    test_set, rng, result = study.splits["test"], np.random.default_rng(seed), {}
    members = snippets(passes) if passes else None
    for name, (modality, change) in measures.corruptions().items():
        hurt_set = change(test_set, rng)
        hurt_members = snippets(measures.dropout_passes(run.model, hurt_set)) if passes else None
        hurt = measures.per_video(predict(run.model, hurt_set), modality, hurt_members)
        result[name] = compared(measures.per_video(clean, modality, members), hurt)
    return result


def unseen(study: Study, seed: int) -> dict[str, Any]:
    """Test videos with unseen categories only against those with none, by a model that never saw each fifth category."""
    held_out, test_set = study.run("held_out", seed), study.splits["test"]
    known_set, is_known = measures.only_categories(test_set, study.kept)
    only_unseen = ~is_known & ~test_set.reference.any((1, 2))[:, study.kept].any(1)
    unseen_set = measures.rename(test_set.subset(only_unseen), study.kept)
    sides = []
    for videos in (known_set, unseen_set):
        dropped = snippets(measures.dropout_passes(held_out.model, videos))
        sides.append(measures.per_video(predict(held_out.model, videos), None, dropped))
    return {"unseen categories": compared(*sides) | {"videos": [int(is_known.sum()), int(only_unseen.sum())]}}
