"""Parameters under the names of the authors' released code: of CMPAE, and of the other methods' public code."""

import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError  # to name its error; nothing is unpickled here
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ._files import read_tensors
from .checkpoint import Run, check_finite
from .config import MODALITIES, DataSpec, StreamSpec, presets
from .data.annotations import LLP_CATEGORIES
from .data.ave import AVE_CATEGORIES
from .decode import Thresholds
from .errors import InputError
from .method import Method
from .methods import get
from .methods.ave_names import AVE_NAMES, AVE_SIZES
from .methods.avvp_names import FRAMES, LLP_HEADS, LLP_NAMES, LLP_READINGS, OPTIONAL

# their names -> ours, one table a method; what fits no row is refused, and what their code never uses has no name here (None)
NAMES: dict[str, list[tuple[str, str | None]]] = {**LLP_NAMES, **AVE_NAMES}
# the method, and the fields in which its released code is not its default config, for the names that are no presets of ours
READINGS: dict[str, tuple[str, dict[str, Any]]] = {
    **LLP_READINGS,
    "avel": ("avel", {"pooling": "max"}), "psp": ("psp", {}), "cmran": ("cmran", {}), "cmbs": ("cmbs", {"event_gate": "always_open"}),
}
CLIP_WIDTH = 512  # of LLP's R(2+1)D features
# per category in LLP's order; the released code keeps them in a spreadsheet
AUTHORS_VISUAL_THRESHOLDS = (
    0.7, 0.4, 0.7, 0.3, 0.3, 0.7, 0.7, 0.6, 0.55, 0.7, 0.5, 0.7, 0.7, 0.7, 0.45, 0.45, 0.6, 0.55, 0.4, 0.55, 0.65, 0.4, 0.55, 0.7, 0.3,
)


def load_state_dict(state: Mapping[str, Any], preset: str = "released") -> Method:
    """The authors' parameters (arrays or tensors by their names) as a model of `preset`, a key of `NAMES`, that does as their code does.

    Sizes are read off the shapes; categories are LLP's where there are 25 and AVE's where there are 28, numbered otherwise. Blocks that
    the released code never uses are ignored. Raises InputError naming missing, unknown or misshapen parameters.

    >>> load_state_dict({"fc_prob.weight": np.zeros((25, 512), np.float32)})
    Traceback (most recent call last):
    ...
    cmpae_toolkit.errors.InputError: ...
    """
    if preset not in NAMES:
        raise InputError(f"released code exists for the presets {', '.join(map(repr, NAMES))}, not {preset!r}.")
    renamed = _renamed(state, preset)
    try:
        spec, width = _ave_sizes(renamed, preset) if preset in AVE_SIZES else _sizes(renamed, preset)
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"this is no state of the released {preset} code: {error} is missing or misshapen.") from None
    method, changes = READINGS.get(preset, (None, {}))
    config = (get(method).Config(**changes) if method else presets[preset]).changed(width=width)
    model = get(config.method)(config, spec)
    renamed = _fitted(renamed, model.state_dict())
    _check(renamed, model.state_dict(), preset)
    check_finite(renamed, f"the state of the released {preset} code")
    model.load_state_dict(renamed)
    return model.eval()


def _sizes(renamed: dict[str, Tensor], preset: str) -> tuple[DataSpec, int]:
    """What the parameters' shapes say of LLP's data, and the width."""
    if preset == "leap":
        count, width = len(renamed.get("label_vectors", LLP_CATEGORIES)), len(renamed["label_projection.weight"])
    else:
        count, width = renamed[f"{LLP_HEADS.get(preset, 'classifier')}.weight"].shape
    if preset == "uwav":  # whose one visual layer sees frames and clip side by side
        audio, visual = (renamed[f"embedding.{m}.layers.0.weight"].shape[1] for m in MODALITIES)
        widths = {"audio": audio, "frames": visual - CLIP_WIDTH, "clip": CLIP_WIDTH}
    else:
        layers = {"audio": "audio.layers.audio", "frames": "visual.layers.frames", "clip": "visual.layers.clip"}
        widths = {name: renamed[f"embedding.{layer}.weight"].shape[1] for name, layer in layers.items()}
    positions = {"frames": FRAMES.get(preset, 8)}
    streams = {n: StreamSpec(w, positions.get(n, 1), "audio" if n == "audio" else "visual") for n, w in widths.items()}
    return DataSpec(_named(count, LLP_CATEGORIES), 10, streams), width


def _ave_sizes(renamed: dict[str, Tensor], preset: str) -> tuple[DataSpec, int]:
    """What the parameters' shapes say of AVE's data, and the width; the number of positions where a shape has it, else 7 x 7."""
    answers, audio, visual = (renamed[f"{name}.weight"] for name in AVE_SIZES[preset])
    guided = renamed.get("attention.from_visual.weight")
    width, positions = (answers.shape[1], 49) if guided is None else (len(audio), len(guided))
    streams = {"audio": StreamSpec(audio.shape[1], 1, "audio"), "frames": StreamSpec(visual.shape[1], positions, "visual")}
    return DataSpec(_named(len(answers) - 1, AVE_CATEGORIES), 10, streams), width


def _named(count: int, published: tuple[str, ...]) -> tuple[str, ...]:
    return published if count == len(published) else tuple(f"category_{i}" for i in range(count))


def load_checkpoint(path: str | Path, preset: str = "released") -> Run:
    """The authors' `.pt` checkpoint, or its parameters as `.safetensors`, as a run with the released inference.

    A `.pt` is read weights-only: tensors and plain numbers, no code is ever executed; optimiser, scheduler and random states are
    ignored. For LLP's categories the visual video thresholds are the authors' 25. Raises InputError on anything else.

    >>> load_checkpoint("nowhere.pt")
    Traceback (most recent call last):
    ...
    cmpae_toolkit.errors.InputError: ...
    """
    path = Path(path)
    state = read_tensors(path)[0] if path.suffix == ".safetensors" else _weights_only(path)
    model = load_state_dict(state, preset)
    thresholds = Thresholds.of(model.config, model.spec.categories)
    if preset == "released" and model.spec.categories == LLP_CATEGORIES:
        thresholds.video[MODALITIES.index("visual")] = AUTHORS_VISUAL_THRESHOLDS
    return Run(model, pd.DataFrame(), thresholds, best_epoch=0, data={"name": f"the authors' {path.name}"})


def _weights_only(path: Path) -> dict[str, Any]:
    """The `model` entry (or the whole) of a torch file, without running what a pickle asks for."""
    if not path.is_file():
        raise InputError(f"{path} is missing: download the authors' checkpoint (README, section on released checkpoints) first.")
    try:
        with torch.serialization.safe_globals(_numpy_state_types()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, ValueError, OSError, KeyError, AttributeError) as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))  # of torch's text only what was found:
        what = f"it holds {named[1]}, which is code and is never run" if named else "it is damaged"  # its advice is to run it
        raise InputError(f"{path} cannot be read as weights only: {what}; get it again from its authors.") from None
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds no parameters by name but a {type(content).__name__}.")
    state = content.get("model", content.get("state_dict", content))
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path} holds no parameters under 'model': is it the authors' checkpoint?")
    return {str(name).removeprefix("module."): value for name, value in state.items()}


def _numpy_state_types() -> list[Any]:
    """What a saved NumPy random state is made of: arrays and number types only, under NumPy 1's and 2's names."""
    reconstruct = np.empty(0).__reduce__()[0]
    names = [(reconstruct, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")]
    return [*names, np.ndarray, np.dtype, *(type(np.dtype(t)) for t in ("u4", "u8", "i4", "i8", "f4", "f8"))]


def _renamed(state: Mapping[str, Any], preset: str = "released") -> dict[str, Tensor]:
    renamed = {}
    for name, value in state.items():
        for theirs, ours in NAMES[preset]:
            # MultiheadAttention's own sub-module is named alike in both
            match = re.fullmatch(rf"(?:{theirs})(?P<rest>(\.out_proj)?(\.\w+)?)", name)
            if match:
                if ours is not None:
                    value = torch.as_tensor(np.asarray(value) if not isinstance(value, Tensor) else value)
                    renamed[match.expand(ours) + match["rest"]] = value
                break
        else:
            raise InputError(f"the parameter {name!r} is not one of the released code: is this another model's state?")
    return renamed


def _fitted(given: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Convolutions of size 1 as the linear layers that they are here, and what a state may lack as it was drawn."""
    fitted = {n: x.squeeze(-1) if n in wanted and wanted[n].ndim == x.ndim - 1 else x for n, x in given.items()}
    return fitted | {n: x for n, x in wanted.items() if n not in given and OPTIONAL.match(n)}


def _check(given: dict[str, Tensor], wanted: dict[str, Tensor], preset: str) -> None:
    missing, unknown = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
    if missing or unknown:
        raise InputError(f"state of another model than {preset!r}: missing {missing or 'none'}, not expected {unknown or 'none'}.")
    for name, value in wanted.items():
        if given[name].shape != value.shape:
            raise InputError(f"{name} has shape {tuple(given[name].shape)}, {preset!r} needs {tuple(value.shape)}.")
