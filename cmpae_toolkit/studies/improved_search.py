"""How the preset `improved` was chosen: on val only, on several data sets together, by a search that is declared here.

Stage 1 changes one thing at a time in a start that was set by hand, stage 2 joins what paid, stage 3 leaves the network alone and
chooses how its answers are read: the mixture at inference, the snippet threshold, and whether video thresholds are searched. A
setting's worth is the mean over data sets and seeds of its type F on val, segment and event level alike. Of the joined settings,
which lie within 0.3 of each other on one seed, `CHOSEN` is the one with the fewest changes among those with the selector's dropout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import metrics
from ..config import MODALITIES, Config
from ..data.videoset import VideoSet
from ..decode import Thresholds, choose_thresholds, decode
from ..inference import predict
from ..method import Evidence
from ..model import mix
from .ablations import table_config
from .grid import Trained, jobs, run_grid

START: dict[str, Any] = dict(
    pooling="opinions", selector="additive", embedding_activation="elu", self_attention_share=0.2, audio_weight=2.0
)
ONE_CHANGE: dict[str, dict[str, Any]] = {
    "multiplicative selector": dict(selector="multiplicative"),
    "selector dropout 0.2": dict(selector_dropout=0.2),
    "no ELU": dict(embedding_activation="none"),
    "no self-attention share": dict(self_attention_share=0.0),
    "self-attention share 0.4": dict(self_attention_share=0.4),
    "audio weight 1": dict(audio_weight=1.0),
    "visual and joint weight 0.6": dict(visual_weight=0.6, joint_weight=0.6),
    "without PAEC": dict(absence_from="uni_modal"),
    "without JML": dict(mutual_weight=0.0, joint="mmil"),
    "mutual weight 0.3": dict(mutual_weight=0.3),
    "mutual weight 3": dict(mutual_weight=3.0),
    "no labels removed": dict(denoise=False),
    "fewer labels removed": dict(audio_noise_threshold=0.5, visual_noise_threshold=1.5),
    "more labels removed": dict(audio_noise_threshold=0.7, visual_noise_threshold=2.1),
    "evidence temperature 0.8": dict(evidence_temperature=0.8),
    "prior weight 1": dict(prior_weight=1.0),
    "no visual dropout": dict(visual_dropout=0.0),
}
# Stage 2: what gained in stage 1, joined step by step
_NO_EXTRAS: dict[str, Any] = dict(embedding_activation="none", self_attention_share=0.0)
JOINED: dict[str, dict[str, Any]] = {
    "no ELU, no share": _NO_EXTRAS,
    "no ELU, no share, dropout": _NO_EXTRAS | dict(selector_dropout=0.2),
    "no ELU, no share, dropout, mutual 0.3": _NO_EXTRAS | dict(selector_dropout=0.2, mutual_weight=0.3),
    "no ELU, no share, dropout, mutual 0.3, more labels removed": _NO_EXTRAS | dict(
        selector_dropout=0.2, mutual_weight=0.3, audio_noise_threshold=0.7, visual_noise_threshold=2.1
    ),
}
CHOSEN = "no ELU, no share, dropout"
MIXTURES = (0.0, 0.15, 0.3, 0.45)
SNIPPET_THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55)
SEARCHED: dict[str, dict[str, Any]] = {
    "fixed": {}, "searched": dict(search_thresholds=MODALITIES), "half way": dict(search_thresholds=MODALITIES, threshold_shrinkage=0.5),
}
FOLDS = 5  # of val, in which thresholds are chosen on the other folds


def run(
    data: Sequence[str] = ("small",), *, seeds: int = 1, out: Path = Path("runs/improved_search"), workers: int = 1,
    settings: Sequence[str] = (),
) -> pd.DataFrame:
    """Trains what is missing in `out` and returns `worth`. `settings`: names of stages 1 and 2 to train; without them all."""
    variants = {"start": {}, **ONE_CHANGE, **JOINED}
    chosen = {name: START | variants[name] for name in settings or variants}
    grid = [job for seed in range(seeds) for name in data for job in jobs(chosen, table_config(name), [name], [seed], "val")]
    return worth(run_grid(grid, out, workers=workers, measures={"decodings": decodings}))


def worth(runs: pd.DataFrame) -> pd.DataFrame:
    """Type F on val, the mean of both levels in percent: a row a setting, a column a data set, their mean, and runs; best first."""
    runs = runs.assign(val=runs[["segment.type", "event.type"]].mean(axis=1))
    table = runs.pivot_table(index="variant", columns="data", values="val")
    table = table.assign(mean=table.mean(axis=1), runs=runs.groupby("variant").size())
    return table.sort_values("mean", ascending=False)


def decodings(trained: Trained) -> dict[str, float]:
    """Stage 3 of one run: type F on val, the mean of both levels in percent, of each way to read it. Thresholds that are searched are
    chosen on four fifths of val and used on the fifth, so that every video is scored by thresholds that never saw it."""
    model, config, val = trained.run.model, trained.run.config, trained.val_set
    cross, alone = (predict(model, val, cross_attention=c) for c in (True, False))
    found = {}
    for share, threshold, (how, changes) in product(MIXTURES, SNIPPET_THRESHOLDS, SEARCHED.items()):
        evidence = mix(cross, alone, share) if share else cross
        read = config.changed(snippet_threshold=threshold, **changes)
        found[f"mixture {share}, snippet {threshold}, {how}"] = type_score(cross_validated(read, evidence, val), val.reference)
    return found


def cross_validated(config: Config, evidence: Evidence, val: VideoSet) -> np.ndarray:
    """Rolls of val, each fold decoded with the thresholds that the others chose."""
    fold, rolls = np.arange(len(val)) % FOLDS, np.zeros_like(val.reference)
    start = Thresholds.of(config, val.categories)
    for k in range(FOLDS):
        rolls[fold == k] = decode(evidence[fold == k], choose_thresholds(config, evidence[fold != k], val.reference[fold != k], start))
    return rolls


def type_score(rolls: np.ndarray, reference: np.ndarray) -> float:
    scores = metrics.f_scores(rolls, reference)
    return float(np.mean([scores[level]["type"] for level in metrics.LEVELS]))


def decoding_worth(runs: pd.DataFrame, settings: Sequence[str] = tuple(JOINED)) -> pd.DataFrame:
    """Stage 3, the mean over the runs of some settings: a row a way to read, a column a data set, and their mean; best first."""
    of_setting = runs[runs["variant"].isin(settings)]
    rows: list[Mapping[str, Any]] = [
        {"data": r.data, "how": how, "val": v} for r in of_setting.itertuples() for how, v in r.record["decodings"].items()
    ]
    table = pd.DataFrame(rows).pivot_table(index="how", columns="data", values="val")
    return table.assign(mean=table.mean(axis=1)).sort_values("mean", ascending=False)
