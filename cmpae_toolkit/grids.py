"""Which runs the tables of the paper need on a data set: a label and a config each, equal configs once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .config import (
    ABLATIONS_OF_POOLED,
    ABLATIONS_OF_RELEASED,
    HAN,
    JOMOLD,
    RELEASED,
    TABLE_5,
    TABLE_6,
    TABLE_CHANGES,
    Config,
    config_for,
    preset_for,
)

SCHEDULE = ("width", "batch_size", "learning_rate", "epochs", "estimator_epochs", "decay", "decay_epochs")  # alike in Tables 5, 6
SIZE = ("width", "estimator_epochs")  # baselines keep their own schedules, at this size
OWN_SCHEDULES: dict[str, dict[str, Any]] = {"JoMoLD": JOMOLD, "HAN": HAN}

# Labels that share a config: the first is trained, the others show its runs (reference: Table 5's EDL + JML is Table 6's row)
SAME = {"both uni-modal": "EDL + JML", "CMPAE": "EDL + PAEC + JML"}


def table_config(data_name: str) -> Config:
    """The full model in the size and schedule of the tables for a data set (its name, or the name of its folder)."""
    name = Path(data_name).name
    return config_for(data_name, preset_for(data_name)).changed(**TABLE_CHANGES.get(name.removeprefix("simulated-"), {}))


def table_runs(data_name: str) -> dict[str, Config]:
    """label -> config of every run that some table shows for this data set: Tables 5 and 6, the baselines with schedules of
    their own, the released code and the pooled rows with and without the mechanisms. For AVE only the methods of Table 3 that run there."""
    base = table_config(data_name)
    if base.task == "localization":
        return {"EDL + PAEC + JML": base, "backbone (JoMoLD)": base.changed(**JOMOLD), "JoMoLD": _baseline(base, JOMOLD)}
    ablations = {label: base.changed(**changes) for label, changes in {**TABLE_5, **TABLE_6}.items() if label not in SAME}
    kept = {name: getattr(base, name) for name in SCHEDULE}
    released = {label: base.changed(**RELEASED | changes | kept) for label, changes in ABLATIONS_OF_RELEASED.items()}
    pooled = {label: base.changed(**changes) for label, changes in ABLATIONS_OF_POOLED.items()}
    return ablations | {label: _baseline(base, changes) for label, changes in OWN_SCHEDULES.items()} | released | pooled


def _baseline(base: Config, changes: dict[str, Any]) -> Config:
    """A baseline with its own schedule, in the data set's size and for its task."""
    task = {} if base.task == "parsing" else dict(task=base.task, denoise=False, select_epoch_by=base.select_epoch_by)
    return Config(**changes).changed(**task, **{name: getattr(base, name) for name in SIZE})
