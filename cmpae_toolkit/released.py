"""Parameters under the names of the authors' released code: CMPAE, and the public JoMoLD and HAN code with the same parts."""

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
from .decode import Thresholds
from .errors import InputError
from .method import Method
from .methods import get

# their names -> ours; {0} is the index that the released CMPAE code has on layers inside a Sequential
RENAMED = [
    (r"fc_a(\.0)?", "embedding.audio.layers.audio"),
    (r"fc_v(\.0)?", "embedding.visual.layers.frames"),
    (r"fc_st(\.0)?", "embedding.visual.layers.clip"),
    (r"fc_fusion(\.0)?", "embedding.visual.fusion"),
    (r"hat_encoder\.layers\.0\.self_attn", "hybrid_attention.self_attention"),
    (r"hat_encoder\.layers\.0\.cm_attn", "hybrid_attention.cross_attention"),
    (r"hat_encoder\.layers\.0\.(linear[12]|norm[12])", r"hybrid_attention.\1"),
    (r"fc_frame_att", "temporal_attention.layer"),
    (r"fc_av_att", "modality_attention"),
]
HEADS = {
    "released": [
        (r"fc_prob", "collector.presence"),
        (r"fc_prob_beta", "collector.absence"),
        (r"v2a\.0", "collector.selectors.audio"),
        (r"a2v\.0", "collector.selectors.visual"),
        (r"classifier1\.0", "joint_branch.layer"),
        (r"classifier2", "joint_branch.head"),
    ],
    "jomold": [(r"fc_prob", "classifier")],
    "han": [(r"fc_prob", "classifier")],
}
# per category in LLP's order; the released code keeps them in a spreadsheet
AUTHORS_VISUAL_THRESHOLDS = (
    0.7, 0.4, 0.7, 0.3, 0.3, 0.7, 0.7, 0.6, 0.55, 0.7, 0.5, 0.7, 0.7, 0.7, 0.45, 0.45, 0.6, 0.55, 0.4, 0.55, 0.65, 0.4, 0.55, 0.7, 0.3,
)
UNUSED = re.compile(r"fc_global\.|hat_encoder\.norm[12]\.|(audio|visual|cmt)_encoder\.")


def load_state_dict(state: Mapping[str, Any], preset: str = "released") -> Method:
    """The authors' parameters (arrays or tensors by their names) as a model of `preset`: "released", "jomold" or "han".

    Sizes are read off the shapes; categories are LLP's where there are 25, numbered otherwise. Blocks that the released
    code never uses are ignored. Raises InputError naming missing, unknown or misshapen parameters.
    """
    if preset not in HEADS:
        raise InputError(f"released code exists for the presets 'released', 'jomold' and 'han', not {preset!r}.")
    renamed = _renamed(state, preset)
    try:
        count, width = renamed[f"{HEADS[preset][0][1]}.weight"].shape
        streams = {
            "audio": StreamSpec(renamed["embedding.audio.layers.audio.weight"].shape[1], 1, "audio"),
            "frames": StreamSpec(renamed["embedding.visual.layers.frames.weight"].shape[1], 8, "visual"),
            "clip": StreamSpec(renamed["embedding.visual.layers.clip.weight"].shape[1], 1, "visual"),
        }
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"this is no state of the released {preset} code: {error} is missing or misshapen.") from None
    categories = LLP_CATEGORIES if count == len(LLP_CATEGORIES) else tuple(f"category_{i}" for i in range(count))
    config = presets[preset].changed(width=width)
    model = get(config.method)(config, DataSpec(categories, 10, streams))
    _check(renamed, model.state_dict(), preset)
    check_finite(renamed, f"the state of the released {preset} code")
    model.load_state_dict(renamed)
    return model.eval()


def load_checkpoint(path: str | Path, preset: str = "released") -> Run:
    """The authors' `.pt` checkpoint, or its parameters as `.safetensors`, as a run with the released inference.

    A `.pt` is read weights-only: tensors and plain numbers, no code is ever executed; optimiser, scheduler and random states are
    ignored. For LLP's categories the visual video thresholds are the authors' 25. Raises InputError on anything else.
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
        if UNUSED.match(name):
            continue
        module, _, parameter = name.rpartition(".")
        for theirs, ours in RENAMED + HEADS[preset]:
            # MultiheadAttention's own sub-module is named alike in both
            match = re.fullmatch(rf"{theirs}(?P<rest>\.out_proj)?", module)
            if match:
                value = torch.as_tensor(np.asarray(value) if not isinstance(value, Tensor) else value)
                renamed[f"{match.expand(ours)}{match['rest'] or ''}.{parameter}"] = value
                break
        else:
            raise InputError(f"the parameter {name!r} is not one of the released code: is this another model's state?")
    return renamed


def _check(given: dict[str, Tensor], wanted: dict[str, Tensor], preset: str) -> None:
    missing, unknown = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
    if missing or unknown:
        raise InputError(f"state of another model than {preset!r}: missing {missing or 'none'}, not expected {unknown or 'none'}.")
    for name, value in wanted.items():
        if given[name].shape != value.shape:
            raise InputError(f"{name} has shape {tuple(given[name].shape)}, {preset!r} needs {tuple(value.shape)}.")
