"""How far to trust CMPAE's evidence: the numbers of notebook 11, one small JSON a run.

    python results/run_evidence_study.py --data small real_media --seeds 0 1 2 3 4

Per data set and seed it trains the preset `paper` in the size of `results/run_differences.py` (kept under CMPAE_HOME, so that the
call goes on after an interruption), and once more without every fifth category. On test:
do uncertainties know the errors of each track, does fusing opinions beat the AND rule on the audio-visual track, do corrupted
inputs and unseen categories raise vacuity, are probabilities calibrated before and after temperature scaling on val; MC dropout and
the ensemble of all seeds answer the same questions. `--losses` trains other evidential losses as well (`config.EVIDENTIAL_LOSSES`),
`--amount` on a quarter of the videos. The stored files are those of the call above, and of `--seeds 0 1 2 --amount --losses R-EDL`.
`real_media` is a folder of real data that is not part of this repository. A run takes about a minute of one CPU core.
"""

import argparse
import itertools
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from run_differences import base_config

from cmpae_toolkit import data, metrics
from cmpae_toolkit._files import write_json
from cmpae_toolkit.checkpoint import CONFIG, Run, load_run, provenance
from cmpae_toolkit.config import MODALITIES
from cmpae_toolkit.data.videoset import VideoSet
from cmpae_toolkit.decode import decode
from cmpae_toolkit.evidence import calibration
from cmpae_toolkit.inference import predict
from cmpae_toolkit.method import Evidence
from cmpae_toolkit.studies import evidence_measures
from cmpae_toolkit.studies.ablations import EVIDENTIAL_LOSSES
from cmpae_toolkit.train import fit

OUT = Path(__file__).parent / "evidence_study"
EVERY = 5  # each fifth category is unseen in the run `held_out`
QUARTER = 4


class Study:
    """One data set: its splits, and its trained runs by kind and seed."""

    def __init__(self, name: str) -> None:
        self.name, self.short, self.base = name, Path(name).name, base_config(name)
        self.splits = {split: data.load(name, split) for split in ("train", "val", "test")}
        self.kept = np.arange(len(self.splits["train"].categories)) % EVERY != EVERY - 1

    def sets(self, kind: str) -> tuple[VideoSet, VideoSet]:
        train_set, val_set = self.splits["train"], self.splits["val"]
        if kind == "held_out":
            return tuple(evidence_measures.only_categories(videos, self.kept)[0] for videos in (train_set, val_set))
        if kind.startswith("quarter"):
            return train_set.subset(np.arange(0, len(train_set), QUARTER)), val_set
        return train_set, val_set

    def run(self, kind: str, seed: int, **changes: Any) -> Run:
        """A trained run, from its folder where it is there."""
        folder = data.home() / "evidence_study" / self.short / f"{kind}-seed{seed}"
        if not (folder / CONFIG).is_file():
            fit(self.base.changed(seed=seed, **changes), *self.sets(kind), progress=False).save(folder)
        return load_run(folder)


def calibrated(val: Evidence, val_set: VideoSet, test: Evidence, test_set: VideoSet) -> dict[str, Any]:
    """Calibration of snippet and video probabilities on test, as they are and at the temperature chosen on val."""
    result = {}
    for level, label in (("snippet", lambda s: s.reference), ("video", lambda s: s.reference.any(2))):
        p_val, p = (getattr(e, level).probability.numpy() for e in (val, test))
        found = calibration.temperature(p_val, label(val_set))
        result[level] = {"temperature": found}
        for when, q in (("before", p), ("after", calibration.rescale(p, found))):
            result[level][when] = probability_scores(q, label(test_set))
    return result


def probability_scores(p: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    bins = calibration.reliability(p, y)
    schemes = {f"ece_{scheme}": calibration.ece(p, y, scheme=scheme) for scheme in ("equal_width", "equal_mass", "category")}
    shown = {"count": bins.count.tolist(), "probability": bins.probability.round(5).tolist(), "frequency": bins.frequency.round(5).tolist()}
    return schemes | {"brier": calibration.brier(p, y), "nll": calibration.nll(p, y), "bins": shown}


def errors(run: Run, evidence: Evidence, passes: list[Evidence], reference: np.ndarray) -> dict[str, Any]:
    """Do uncertainties know the errors? Over all decisions, and over those decoded as active."""
    found = evidence_measures.decisions(evidence)
    said = metrics.with_audio_visual(decode(evidence, run.thresholds))
    if not (said == (found["probability"] >= evidence_measures.OPEN)).all():
        raise SystemExit("decisions and decoding disagree: this study is for thresholds of 1/2")
    sampled = np.stack([evidence_measures.decisions(e)["probability"] for e in passes])
    uncertain = {name: found[name] for name in ("vacuity", "doubt", "epistemic", "dissonance")}
    uncertain |= {"MC dropout": evidence_measures.disagreement(sampled), "MC dropout doubt": evidence_measures.doubt(sampled.mean(0))}
    wrong = said != metrics.with_audio_visual(reference)
    return {"all": evidence_measures.error_scores(uncertain, wrong), "active": evidence_measures.error_scores(uncertain, wrong, said)}


def fused(run: Run, val: Evidence, val_set: VideoSet, test: Evidence, test_set: VideoSet) -> dict[str, Any]:
    """F-scores of the audio-visual track by rule, thresholds chosen on val; `AND at 1/2` is the paper's."""
    references = [s.reference.all(1) for s in (val_set, test_set)]
    record = evidence_measures.track_record(val, run.thresholds, val_set.reference)
    sources = {"": (val, test), "discounted ": (evidence_measures.trusted(val, record), evidence_measures.trusted(test, record))}
    rules = [("", name) for name in evidence_measures.RULES] + [("discounted ", name) for name in ("averaging", "constraint")]
    result = {"AND at 1/2": {"thresholds": [0.5, 0.5], **evidence_measures.both_scores(decode(test, run.thresholds).all(1), references[1])}}
    for kind, name in rules:
        p_val, (snippet, video) = (evidence_measures.by_rule(evidence_measures.RULES[name], e) for e in sources[kind])
        at_snippet, at_video = evidence_measures.choose_both(p_val, references[0])
        roll = (snippet >= at_snippet) & (video >= at_video)[:, None]
        result[kind + name] = {"thresholds": [at_snippet, at_video], **evidence_measures.both_scores(roll, references[1])}
    return result


def unknown_inputs(study: Study, run: Run, seed: int, clean: Evidence, passes: list[Evidence]) -> dict[str, Any]:
    """Corrupted test videos against clean ones: AUROC and FPR95 of each uncertainty, medians of vacuity."""
    test_set, rng, result = study.splits["test"], np.random.default_rng(seed), {}
    members = _snippets(passes)
    for name, (modality, change) in evidence_measures.corruptions().items():
        hurt_set = change(test_set, rng)
        hurt, hurt_members = predict(run.model, hurt_set), _snippets(evidence_measures.dropout_passes(run.model, hurt_set))
        result[name] = compared(evidence_measures.per_video(clean, modality, members), evidence_measures.per_video(hurt, modality, hurt_members))
    held_out = study.run("held_out", seed)
    known_set, is_known = evidence_measures.only_categories(test_set, study.kept)
    reference = test_set.reference.any((1, 2))
    only_unseen = ~is_known & ~reference[:, study.kept].any(1)
    unseen_set = evidence_measures.rename(test_set.subset(only_unseen), study.kept)
    sides = []
    for videos in (known_set, unseen_set):
        dropped = _snippets(evidence_measures.dropout_passes(held_out.model, videos))
        sides.append(evidence_measures.per_video(predict(held_out.model, videos), None, dropped))
    return result | {"unseen categories": compared(*sides) | {"videos": [int(is_known.sum()), int(only_unseen.sum())]}}


def compared(known: dict[str, np.ndarray], unknown: dict[str, np.ndarray]) -> dict[str, Any]:
    result = {name: calibration.detection(known[name], unknown[name]) for name in known}
    return result | {"median vacuity": [float(np.median(side["vacuity"])) for side in (known, unknown)]}


def _snippets(passes: list[Evidence]) -> np.ndarray:
    return np.stack([e.snippet.probability.numpy() for e in passes])


def study_seed(study: Study, seed: int) -> dict[str, Any]:
    run, (_, val_set, test_set) = study.run("all", seed), study.splits.values()
    val, test = (predict(run.model, s) for s in (val_set, test_set))
    passes = evidence_measures.dropout_passes(run.model, test_set)
    return {
        **provenance(run, test_set), "seed": seed, "scores": metrics.f_scores(decode(test, run.thresholds), test_set.reference),
        "errors": errors(run, test, passes, test_set.reference), "audio_visual": fused(run, val, val_set, test, test_set),
        "unknown": unknown_inputs(study, run, seed, test, passes), "calibration": calibrated(val, val_set, test, test_set),
    }


def study_amount(study: Study, seed: int) -> dict[str, Any]:
    """Vacuity after training on all videos, on a quarter of them in as many epochs, and on that quarter in as many steps."""
    test_set, result = study.splits["test"], {}
    longer = {name: QUARTER * getattr(study.base, name) for name in ("epochs", "decay_epochs")}
    for kind, changes in {"all": {}, "quarter": {}, "quarter_same_steps": longer}.items():
        run = study.run(kind, seed, **changes)
        evidence = predict(run.model, test_set)
        result[kind] = {
            "steps": run.best_epoch * -(-len(study.sets(kind)[0]) // run.config.batch_size),
            "type": metrics.f_scores(decode(evidence, run.thresholds), test_set.reference)["segment"]["type"],
            **{m: float(evidence.snippet.vacuity[:, i].median()) for i, m in enumerate(MODALITIES)},
        }
    return {**provenance(run, test_set), "kind": "amount", "seed": seed, "amount": result}


def study_ensemble(study: Study, seeds: list[int]) -> dict[str, Any]:
    """The mean probability of all seeds: its scores, calibration, and whether the members' disagreement knows errors and corruption."""
    test_set = study.splits["test"]
    models = {kind: [study.run(kind, seed).model for seed in seeds] for kind in ("all", "quarter")}
    evidences = [predict(model, test_set) for model in models["all"]]
    decided = np.stack([evidence_measures.decisions(e)["probability"] for e in evidences])
    said, reference = decided.mean(0) >= evidence_measures.OPEN, metrics.with_audio_visual(test_set.reference)
    uncertain = {"ensemble": evidence_measures.disagreement(decided), "doubt": evidence_measures.doubt(decided.mean(0))}
    uncertain["mean vacuity"] = np.mean([evidence_measures.decisions(e)["vacuity"] for e in evidences], axis=0)
    wrong = said != reference
    clean, unknown = _snippets(evidences), {}
    few = np.stack([evidence_measures.snippet_probability(model, test_set) for model in models["quarter"]])
    rng = np.random.default_rng(0)
    for name, (modality, change) in evidence_measures.corruptions().items():
        hurt_set = change(test_set, rng)
        m = MODALITIES.index(modality)
        hurt = np.stack([evidence_measures.snippet_probability(model, hurt_set) for model in models["all"]])
        unknown[name] = {
            "ensemble": calibration.detection(*(evidence_measures.disagreement(x[:, :, m]).mean((1, 2)) for x in (clean, hurt))),
            "doubt": calibration.detection(*(evidence_measures.doubt(x.mean(0)[:, m]).mean((1, 2)) for x in (clean, hurt))),
        }
    return {
        "seeds": seeds, "data": {"title": test_set.title, "test_checksum": test_set.checksum()},
        "scores": metrics.f_scores(said[:, :2], test_set.reference),
        "errors": {"all": evidence_measures.error_scores(uncertain, wrong), "active": evidence_measures.error_scores(uncertain, wrong, said)},
        "unknown": unknown, "calibration": {"snippet": {"before": probability_scores(clean.mean(0), test_set.reference)}},
        "mean disagreement": {"all": float(evidence_measures.disagreement(clean).mean()), "quarter": float(evidence_measures.disagreement(few).mean())},
    }


def loss_kind(name: str) -> str:
    return "loss-" + "".join(c for c in name if c.isalnum())


def study_loss(study: Study, seed: int, loss: str) -> dict[str, Any]:
    """Another evidential loss: scores, calibration, and what its vacuity knows."""
    kind = loss_kind(loss)
    run, (_, val_set, test_set) = study.run(kind, seed, **EVIDENTIAL_LOSSES[loss]), study.splits.values()
    val, test = (predict(run.model, s) for s in (val_set, test_set))
    unknown, rng, found = {}, np.random.default_rng(seed), evidence_measures.decisions(test)
    for corruption, (modality, change) in evidence_measures.corruptions().items():
        hurt = predict(run.model, change(test_set, rng))
        unknown[corruption] = compared(evidence_measures.per_video(test, modality), evidence_measures.per_video(hurt, modality))
    said = metrics.with_audio_visual(decode(test, run.thresholds))
    uncertain = {name: found[name] for name in ("vacuity", "doubt", "epistemic")}
    wrong = said != metrics.with_audio_visual(test_set.reference)
    return {
        **provenance(run, test_set), "loss": loss, "seed": seed,
        "scores": metrics.f_scores(decode(test, run.thresholds), test_set.reference),
        "errors": {"all": evidence_measures.error_scores(uncertain, wrong), "active": evidence_measures.error_scores(uncertain, wrong, said)},
        "unknown": unknown, "calibration": calibrated(val, val_set, test, test_set),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["small"], help="names of data sets, or folders (default: small)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], help="default: 0 1 2 3 4")
    parser.add_argument("--losses", nargs="+", default=[], choices=list(EVIDENTIAL_LOSSES)[1:], help="other evidential losses as well")
    parser.add_argument("--amount", action="store_true", help="less training data as well")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the JSON files (default: evidence_study, beside this script)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    studies = {}
    for seed in [*options.seeds, "ensemble"]:
        for name in options.data:
            file = options.out / Path(name).name / (f"seed{seed}.json" if seed != "ensemble" else "ensemble.json")
            if not file.is_file():
                study = studies[name] = studies.get(name) or Study(name)
                write_json(file, study_ensemble(study, options.seeds) if seed == "ensemble" else study_seed(study, seed))
                print(file, flush=True)
    calls = {"amount": study_amount} if options.amount else {}
    calls |= {loss_kind(loss): partial(study_loss, loss=loss) for loss in options.losses}
    for (kind, call), seed, name in itertools.product(calls.items(), options.seeds, options.data):
        file = options.out / Path(name).name / f"{kind}-seed{seed}.json"
        if not file.is_file():
            study = studies[name] = studies.get(name) or Study(name)
            write_json(file, call(study, seed))
            print(file, flush=True)


if __name__ == "__main__":
    main()
