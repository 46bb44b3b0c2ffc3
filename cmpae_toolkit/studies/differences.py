"""The released code's differences from the paper, one at a time: what each does to a trained model, and to a training.

The study trains `paper`, `released`, `jomold`, and `paper` with each single difference: docs/paper_versus_released_code.ipynb has the
numbers. Every variant keeps the size and the schedule of its data set's base config, so that it differs from `paper` in the named
fields only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from .. import labels, losses
from ..config import JOMOLD, RELEASED, Config
from ..method import Features
from ..model import CMPAE
from ..opinion import Judgement, Opinion
from .ablations import DIFFERENCES, study_config
from .grid import Job, jobs, run_grid
from .statistics import summarise

KEPT = ("width", "batch_size", "epochs", "estimator_epochs", "decay_epochs")


def run(
    data: Sequence[str] = ("small",), *, seeds: int = 3, out: Path = Path("runs/differences"), workers: int = 1, extend: bool = False
) -> pd.DataFrame:
    """Trains what is missing in `out` and summarises it against `paper`; a run takes half a minute on one CPU core.

    `extend`: runs of the stored study on the same simulated data count as finished.
    """
    return summarise(run_grid(grid(data, range(seeds)), out, workers=workers, extend="differences" if extend else None), "paper")


def variants(base: Config) -> dict[str, dict[str, Any]]:
    """Three presets and the single differences, as the fields that each changes in `base`."""
    kept = {name: getattr(base, name) for name in KEPT}
    return {"paper": {}, "released": RELEASED | kept, "jomold": JOMOLD | kept, **DIFFERENCES}


def grid(data_names: Sequence[str], seeds: Iterable[int]) -> list[Job]:
    """All runs, seed by seed: whoever stops early has whole seeds."""
    bases = {name: study_config(name) for name in data_names}
    return [job for seed in seeds for name, base in bases.items() for job in jobs(variants(base), base, [name], [seed])]


def same_weights(model: CMPAE, seed: int = 0, **changes: Any) -> CMPAE:
    """A model with changed config fields and the weights of `model`, in eval mode, on its device.

    Parameters that `model` does not have, or has in another shape, are drawn anew with `seed`; the caller's random state stays.
    """
    theirs = model.state_dict()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        changed = CMPAE(model.config.changed(**changes), model.spec)
    own = changed.state_dict()
    changed.load_state_dict({n: v for n, v in theirs.items() if n in own and v.shape == own[n].shape}, strict=False)
    return changed.to(next(model.parameters()).device).eval()


def gradient_norm(loss: Tensor, parameters: nn.Module | Iterable[Tensor]) -> float:
    """The length of the gradient of a scalar loss on some parameters, 0 where it does not reach them; the graph is kept."""
    chosen = tuple(parameters.parameters() if isinstance(parameters, nn.Module) else parameters)
    gradients = torch.autograd.grad(loss, chosen, retain_graph=True, materialize_grads=True)
    return float(torch.stack([g.square().sum() for g in gradients]).sum().sqrt())


def effects(
    model: CMPAE, features: Features, weak_label: Float[Tensor, "video category"], differences: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """A row for each difference (changed fields): what it changes on one batch with the weights of `model`, nothing retrained.

    `factor on e`, `factor on ê`: the median factor >= 1 between the video evidences, NaN where there is none. `mean |Δp|`: of the
    video probability. `cosine`: between the gradients of the total loss, over the parameters that both models have.
    `new tensors`: parameters that `model` does not have; they are random.
    """
    before, gradient = _judge(model, features, weak_label)
    rows = {}
    for name, changes in differences.items():
        after, changed = _judge(same_weights(model, **changes), features, weak_label)
        both = [n for n, g in changed.items() if n in gradient and g.shape == gradient[n].shape]
        vectors = (torch.cat([g[n].flatten() for n in both]).double() for g in (gradient, changed))
        rows[name] = {
            "factor on e": _factor(before, after, "presence"), "factor on ê": _factor(before, after, "absence"),
            "mean |Δp|": float((after.probability - before.probability).detach().abs().mean()),
            "cosine": float(torch.cosine_similarity(*vectors, dim=0)), "new tensors": len(changed) - len(both),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _judge(model: CMPAE, features: Features, weak_label: Tensor) -> tuple[Judgement, dict[str, Tensor]]:
    """The video judgement, and the gradient of Eq. 11 by parameter: the mean of its two alternating forms, without dropout."""
    was_training = model.training
    evidence = model.eval()(features)
    label = labels.training_labels(weak_label, model.config)
    loss = sum(
        losses.total(losses.training_losses(evidence, label, weak_label, model.config, teacher), model.config)
        for teacher in ("joint", "modality")
    ) / 2
    names, parameters = zip(*model.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
    model.train(was_training)
    return evidence.video.detach(), dict(zip(names, gradients, strict=True))


def _factor(before: Judgement, after: Judgement, kind: str) -> float:
    if not (isinstance(before, Opinion) and isinstance(after, Opinion)):
        return float("nan")
    logs = (getattr(o, kind).clamp_min(torch.finfo(torch.float32).tiny).log() for o in (before, after))
    return float(torch.sub(*logs).abs().median().exp())
