"""A trained run and its folder: `model.safetensors` + `config.json` (+ `history.csv`), written atomically; training state for resume."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
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
from .config import DataSpec, MethodConfig
from .data.videoset import VideoSet
from .decode import Thresholds
from .errors import InputError
from .method import Method
from .methods import get

MODEL, CONFIG, HISTORY, STATE = "model.safetensors", "config.json", "history.csv", "training_state.safetensors"


@dataclass
class Run:
    """What training leaves: the model with the weights of the best epoch, the history (a row an epoch) and the thresholds.

    >>> run = shipped_run()
    >>> run.config.method, len(run.history) == run.config.epochs
    ('cmpae', True)
    """

    model: Method
    history: pd.DataFrame
    thresholds: Thresholds
    best_epoch: int
    data: dict[str, Any] = field(default_factory=dict)  # name, checksum, simulated: what it was trained on
    precision: str = "float32"  # that it was trained in, or "bfloat16"

    @property
    def config(self) -> MethodConfig:
        return self.model.config

    @property
    def spec(self) -> DataSpec:
        return self.model.spec

    def save(self, folder: str | Path) -> Path:
        """Writes the run's folder; no file is ever half-written."""
        folder = Path(folder)
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.model.state_dict().items()}
        description = {
            "method": self.config.method, "config": self.config.to_dict(), "spec": self.spec.to_dict(),
            "thresholds": self.thresholds.to_dict(),
            "best_epoch": self.best_epoch, "data": self.data, "precision": self.precision,
        }
        write_atomically(folder / MODEL, lambda file: file.write(save(tensors)))
        write_text(folder / HISTORY, self.history.to_csv(index=False))
        write_json(folder / CONFIG, description)
        return folder


def load_run(folder: str | Path) -> Run:
    """The run saved in a folder, its model on the CPU in eval mode. Raises InputError naming the missing or broken file.

    >>> load_run(SHIPPED["paper"]).config.width
    128
    """
    folder = Path(folder)
    for file in (folder / CONFIG, folder / MODEL):
        if not file.is_file():
            raise InputError(f"{file} is missing: give the folder that training wrote.")
    description = read_json(folder / CONFIG)
    try:
        method, spec = get(description.get("method", "cmpae")), DataSpec.from_dict(description["spec"])
        config = method.Config.from_dict(description["config"])
        thresholds = Thresholds.from_dict(description["thresholds"], spec.categories)
        best_epoch, data = int(description["best_epoch"]), dict(description.get("data", {}))
        precision = str(description.get("precision", "float32"))
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise InputError(f"{folder / CONFIG}: {error}") from None
        raise InputError(f"{folder / CONFIG}: the entry {error} is missing or broken; save the checkpoint again.") from None
    model = method(config, spec)
    load_parameters(model, read_tensors(folder / MODEL)[0], folder / MODEL)
    return Run(model.eval(), _read_history(folder / HISTORY), thresholds, best_epoch, data, precision)


def _read_history(path: Path) -> pd.DataFrame:
    """The history, empty where a model was never trained here."""
    if not path.is_file() or not path.read_bytes().strip():
        return pd.DataFrame()
    try:
        return pd.read_csv(path)
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(f"{path} is no table of numbers ({str(error).splitlines()[0]}): it was damaged; delete it.") from None


def load_parameters(model: torch.nn.Module, tensors: dict[str, Tensor], source: Path | str) -> None:
    """Copies parameters by name. Raises InputError when they are of another configuration, or no finite floating-point numbers.

    >>> layer = torch.nn.Linear(2, 1)
    >>> load_parameters(layer, {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}, "an example")
    >>> layer(torch.ones(2)).item()
    2.0
    """
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in tensors.items()}
    if wanted != given:
        name = sorted(n for n in wanted.keys() | given.keys() if wanted.get(n) != given.get(n))[0]
        raise InputError(
            f"{source} is of another configuration: {name} has shape {given.get(name, 'none')}, the config needs "
            f"{wanted.get(name, 'none')}; use the config.json that was saved with it."
        )
    for name, value in model.state_dict().items():
        if value.is_floating_point() != tensors[name].is_floating_point() or tensors[name].is_complex():
            kind = str(tensors[name].dtype).removeprefix("torch.")
            raise InputError(f"{source}: {name} holds {kind}, the model has {str(value.dtype).removeprefix('torch.')}.")
    check_finite(tensors, str(source))
    model.load_state_dict(tensors)


def check_finite(tensors: Mapping[str, Tensor], source: str) -> None:
    """Raises InputError, naming the first, where weights are not all finite.

    >>> check_finite({"bias": torch.tensor([float("nan")])}, "an example")
    Traceback (most recent call last):
    ...
    cmpae_toolkit.errors.InputError: ...
    """
    for name, value in tensors.items():
        if not bool(value.isfinite().all()):
            raise InputError(f"{source}: {name} holds values that are not finite; training diverged, or the file was damaged.")


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
    key: dict[str, Any]  # all that changes the course of training: a state of another run is refused

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
            theirs = flat(rest["key"])
            state = cls(**rest, **parts)
        except (AttributeError, KeyError, ValueError, TypeError, RecursionError):  # a key that is no object has no items
            raise InputError(f"{path} is no training state of this toolkit: delete it to start anew.") from None
        differing = [name for name, value in flat(key).items() if theirs.get(name) != value]
        if differing:
            raise InputError(f"{path} is of another run ({', '.join(differing[:4])} differ): choose another folder, or delete it.")
        check_finite(state.model | state.best, str(path))
        return state


ASSETS = Path(__file__).parent / "assets"


# preset -> a small run on the simulated set `small`, trained by `make checkpoint`
SHIPPED = {"paper": ASSETS / "simulated_small", "improved": ASSETS / "simulated_small_improved"}
SHIPPED_ON_FILMS = ASSETS / "films_paper"  # the preset `paper` on synthetic films by hand-made features, trained by the same command


def shipped_run(preset: str = "paper") -> Run:
    """A trained run that comes with the package: a preset of `SHIPPED` on the simulated `small` set. Raises InputError for others.

    >>> shipped_run().model.spec.categories[:2]
    ('Speech', 'Car')
    """
    if preset not in SHIPPED:
        raise InputError(f"no run of {preset!r} comes with the package: there are {' and '.join(SHIPPED)}.")
    return load_run(SHIPPED[preset])


def films_run() -> Run:
    """A trained run that comes with the package and judges its synthetic films (`films.SHOWCASE`): the preset `paper`.

    >>> films_run().model.spec.categories[:3]
    ('Speech', 'Engine', 'Siren')
    """
    return load_run(SHIPPED_ON_FILMS)


def versions() -> dict[str, str]:
    """What a result was made with.

    >>> "torch" in versions()
    True
    """
    return {
        "cmpae_toolkit": __version__, "python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__,
        "platform": platform.platform(terse=True), "threads": str(torch.get_num_threads()),
    }


def provenance(run: Run, test_set: VideoSet, device: str | None = None) -> dict[str, Any]:
    """What every stored result says of where it comes from: data, config, what was chosen on val, device, precision and versions.

    >>> from cmpae_toolkit import load
    >>> sorted(provenance(shipped_run(), load("small", "test")))
    ['best_epoch', 'config', 'data', 'device', 'precision', 'thresholds', 'versions']
    """
    return {
        "data": run.data | {"title": test_set.title, "test_checksum": test_set.checksum()}, "config": run.config.to_dict(),
        "best_epoch": run.best_epoch, "thresholds": run.thresholds.to_dict(), "device": str(choose_device(device)),
        "precision": run.precision, "versions": versions(),
    }


def machine() -> dict[str, Any]:
    """Processors, graphics processors with their memory, and the free disk where downloads are kept.

    >>> sorted(machine())
    ['cpu', 'cpus', 'disk_free_gb', 'gpus']
    """
    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return {
        "cpu": platform.processor() or platform.machine(), "cpus": os.cpu_count(),
        "gpus": [f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB" for gpu in gpus],
        "disk_free_gb": round(free_bytes(data.home()) / 1e9, 1),
    }
