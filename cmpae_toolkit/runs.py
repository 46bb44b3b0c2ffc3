"""A trained run and its folder: `model.safetensors` + `config.json` (+ `history.csv`), written atomically; training state for resume."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .config import Config, DataSpec
from .data.home import write_atomically, write_text
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


def write_json(path: Path, value: Any) -> None:
    """JSON, written atomically."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Parsed JSON. Raises InputError when the file is absent or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"{path} is missing: give the folder that training wrote.") from None
    except ValueError as error:
        raise InputError(f"{path} is not readable JSON ({error}): it was damaged or cut short.") from None


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and metadata of a safetensors file (which holds no code). Raises InputError when absent or broken."""
    if not path.is_file():
        raise InputError(f"{path} is missing: give the folder that training wrote.")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is no whole safetensors file ({error}): it was damaged or cut short.") from None


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


def flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}; lists stay, tuples become lists as JSON makes them."""
    result = {}
    for name, value in nested.items():
        if isinstance(value, dict):
            result |= flat(value, f"{prefix}{name}.")
        else:
            result[f"{prefix}{name}"] = list(value) if isinstance(value, tuple) else value
    return result
