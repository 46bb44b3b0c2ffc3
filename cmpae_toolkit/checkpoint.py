"""A trained run and its folder: `model.safetensors` + `config.json` (+ `history.csv`), written atomically; training state for resume."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save
from torch import Tensor

from . import __version__, data
from ._files import flat, free_bytes, read_json, read_tensors, write_atomically, write_json, write_text
from .batches import choose_device
from .config import Config, DataSpec
from .data.videoset import VideoSet
from .decode import Thresholds
from .errors import InputError
from .model import CMPAE

MODEL, CONFIG, HISTORY, STATE = "model.safetensors", "config.json", "history.csv", "training_state.safetensors"


@dataclass
class Run:
    """What training leaves: the model with the weights of the best epoch, the history (a row an epoch) and the thresholds."""

    model: CMPAE
    history: pd.DataFrame
    thresholds: Thresholds
    best_epoch: int
    data: dict[str, Any] = field(default_factory=dict)  # name, checksum, simulated: what it was trained on

    @property
    def config(self) -> Config:
        return self.model.config

    @property
    def spec(self) -> DataSpec:
        return self.model.spec

    def save(self, folder: str | Path) -> Path:
        """Writes the run's folder; no file is ever half-written."""
        folder = Path(folder)
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.model.state_dict().items()}
        description = {
            "config": self.config.to_dict(), "spec": self.spec.to_dict(), "thresholds": self.thresholds.to_dict(),
            "best_epoch": self.best_epoch, "data": self.data,
        }
        write_atomically(folder / MODEL, lambda file: file.write(save(tensors)))
        write_text(folder / HISTORY, self.history.to_csv(index=False))
        write_json(folder / CONFIG, description)
        return folder


def load_run(folder: str | Path) -> Run:
    """The run saved in a folder, its model on the CPU in eval mode. Raises InputError naming the missing or broken file."""
    folder = Path(folder)
    description = read_json(folder / CONFIG)
    try:
        config, spec = Config.from_dict(description["config"]), DataSpec.from_dict(description["spec"])
        thresholds = Thresholds.from_dict(description["thresholds"], spec.categories)
        best_epoch, data = int(description["best_epoch"]), description.get("data", {})
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / CONFIG}: the entry {error} is missing or broken; save the checkpoint again.") from None
    model = CMPAE(config, spec)
    load_parameters(model, read_tensors(folder / MODEL)[0], folder / MODEL)
    history = folder / HISTORY
    is_told = history.is_file() and history.read_text(encoding="utf-8").strip()  # an untrained model has none
    return Run(model.eval(), pd.read_csv(history) if is_told else pd.DataFrame(), thresholds, best_epoch, data)


def load_parameters(model: torch.nn.Module, tensors: dict[str, Tensor], source: Path) -> None:
    """Copies parameters by name. Raises InputError when they are of a model of another configuration."""
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in tensors.items()}
    if wanted != given:
        name = sorted(n for n in wanted.keys() | given.keys() if wanted.get(n) != given.get(n))[0]
        raise InputError(
            f"{source} is of another configuration: {name} has shape {given.get(name, 'none')}, the config needs "
            f"{wanted.get(name, 'none')}; use the config.json that was saved with it."
        )
    model.load_state_dict(tensors)


def check_same_data(spec: DataSpec, other: DataSpec, what: str) -> None:
    """Raises InputError, naming the difference, when a model made for `spec` cannot read data of `other`."""
    if spec.categories != other.categories:
        odd = sorted(set(spec.categories) ^ set(other.categories)) or ["their order"]
        raise InputError(f"{what} has other categories than the checkpoint was trained for ({', '.join(odd[:4])} differ).")
    for name, stream in spec.streams.items():
        if other.streams.get(name) != stream:
            raise InputError(f"{what}: the checkpoint needs the stream {name!r} as {stream}, the data have {other.streams.get(name)}.")


@dataclass
class TrainingState:
    """All that the next epoch needs: kept as one file, so that a kill leaves the old state or the new one, nothing between.

    Randomness is seeded per epoch, so no generator state is stored.
    """

    epoch: int
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    best: dict[str, Tensor]
    best_epoch: int
    history: list[dict[str, float]]
    thresholds: dict[str, Any]
    key: dict[str, Any]  # config and data: a state of other ones is refused

    def save(self, path: Path) -> None:
        parts = {"model": self.model, "optimizer": self.optimizer, "best": self.best}
        tensors = {f"{part}/{name}": value.detach().cpu().contiguous().clone() for part, ts in parts.items() for name, value in ts.items()}
        rest = {name: getattr(self, name) for name in ("epoch", "best_epoch", "history", "thresholds", "key")}
        write_atomically(path, lambda file: file.write(save(tensors, {"state": json.dumps(rest)})))

    @classmethod
    def load(cls, path: Path, key: dict[str, Any]) -> TrainingState:
        """Raises InputError when the file is broken or was written by a run with another config or other data."""
        tensors, metadata = read_tensors(path)
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}, "best": {}}
        try:
            rest = json.loads(metadata["state"])
            for name, value in tensors.items():
                part, _, parameter = name.partition("/")
                parts[part][parameter] = value
            theirs = rest["key"]
        except (KeyError, ValueError):
            raise InputError(f"{path} is no training state of this toolkit: delete it to start anew.") from None
        differing = [name for name, value in flat(key).items() if flat(theirs).get(name) != value]
        if differing:
            raise InputError(f"{path} is of another run ({', '.join(differing[:4])} differ): choose another folder, or delete it.")
        return cls(**rest, **parts)


ASSETS = Path(__file__).parent / "assets"


CHECKPOINT = ASSETS / "simulated_small"  # trained by `make checkpoint`


def shipped_run() -> Run:
    """The small trained run that comes with the package: preset `paper` on the simulated `small` set."""
    return load_run(CHECKPOINT)


def versions() -> dict[str, str]:
    """What a result was made with."""
    return {
        "cmpae_toolkit": __version__, "python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__,
        "platform": platform.platform(terse=True), "threads": str(torch.get_num_threads()),
    }


def provenance(run: Run, test_set: VideoSet, device: str | None = None) -> dict[str, Any]:
    """What every stored result says of where it comes from: data, config, what was chosen on val, device and versions."""
    return {
        "data": run.data | {"title": test_set.title, "test_checksum": test_set.checksum()}, "config": run.config.to_dict(),
        "best_epoch": run.best_epoch, "thresholds": run.thresholds.to_dict(), "device": str(choose_device(device)),
        "versions": versions(),
    }


def machine() -> dict[str, Any]:
    """Processors, graphics processors with their memory, and the free disk where downloads are kept."""
    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return {
        "cpu": platform.processor() or platform.machine(), "cpus": os.cpu_count(),
        "gpus": [f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB" for gpu in gpus],
        "disk_free_gb": round(free_bytes(data.home()) / 1e9, 1),
    }
