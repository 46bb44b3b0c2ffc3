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
from .methods.valor import PLUS

# their names -> ours, one table a method; what fits no row is refused; what fits UNUSED or a row without our name is left out
EMBEDDING = [
    (r"fc_a(\.0)?", "embedding.audio.layers.audio"),  # the released CMPAE code has an index on layers inside a Sequential
    (r"fc_v(\.0)?", "embedding.visual.layers.frames"),
    (r"fc_st(\.0)?", "embedding.visual.layers.clip"),
    (r"fc_fusion(\.0)?", "embedding.visual.fusion"),
]
HYBRID = [
    (r"hat_encoder\.layers\.0\.self_attn", "hybrid_attention.self_attention"),
    (r"hat_encoder\.layers\.0\.cm_attn", "hybrid_attention.cross_attention"),
    (r"hat_encoder\.layers\.0\.(linear[12]|norm[12])", r"hybrid_attention.\1"),
]
POOLING = [(r"fc_frame_att", "temporal_attention.layer"), (r"fc_av_att", "modality_attention")]
HAN = [*EMBEDDING, *HYBRID, *POOLING, (r"fc_prob", "classifier")]
CMPAE = [
    *EMBEDDING, *HYBRID, *POOLING,
    (r"fc_prob", "collector.presence"),
    (r"fc_prob_beta", "collector.absence"),
    (r"v2a\.0", "collector.selectors.audio"),
    (r"a2v\.0", "collector.selectors.visual"),
    (r"classifier1\.0", "joint_branch.layer"),
    (r"classifier2", "joint_branch.head"),
]


def _query_layer(theirs: str, ours: str) -> list[tuple[str, str]]:
    """A transformer layer of MM-Pyramid and LEAP."""
    linears = [(rf"{theirs}\.self_attn\.linears\.{i}", f"{ours}.attention.{n}") for i, n in enumerate(("query", "key", "value", "output"))]
    norms = [(rf"{theirs}\.sublayer\.{i}\.norm", f"{ours}.norm{i + 1}") for i in range(2)]
    return [*linears, *norms, *((rf"{theirs}\.feed_forward\.w_{i}", f"{ours}.linear{i}") for i in (1, 2))]


def _pyramid(m: str) -> list[tuple[str, str]]:
    """MM-Pyramid's blocks of one modality."""
    side, unit = rf"hybrid_attention.units.\1.sides.{m}", r"MMP\.capture\.msa\.(\d)\."
    network = rf"MMP\.capture\.{m[0]}network\.(\d)\."
    return [
        *_query_layer(rf"{unit}{m[0]}sablock\.layer", f"{side}.layer"),
        (rf"{unit}l{m[0]}1", f"{side}.own_gate"),
        (rf"{unit}l{m[0]}2", f"{side}.other_gate"),
        (rf"{network}(?:net\.0|conv1)", f"{side}.conv1"),  # a checkpoint holds the same tensors under both names
        (rf"{network}(?:net\.2|conv2)", f"{side}.conv2"),
        *_query_layer(rf"MMP\.fusion\.{m[0]}adaptiveinteraction", f"hybrid_attention.fusion.{m}.layer"),
        (rf"MMP\.fusion\.{m[0]}selectfusion", f"hybrid_attention.fusion.{m}.select"),
    ]


PYRAMID = [
    *EMBEDDING, *_pyramid("audio"), *_pyramid("visual"),
    *_query_layer(r"MMP\.capture\.msa\.(\d)\.cmablock\.layer", r"hybrid_attention.units.\1.cross"),
]
STACK = [
    (r"hat_encoder\.layers\.(\d+)\.self_attn", r"hybrid_attention.\1.self_attention"),
    (r"hat_encoder\.layers\.(\d+)\.cm_attn", r"hybrid_attention.\1.cross_attention"),
    (r"hat_encoder\.layers\.(\d+)\.(linear[12]|norm[12])", r"hybrid_attention.\1.\2"),
]
VALOR_NAMES = [*EMBEDDING, *STACK, *POOLING, (r"fc_prob", "classifier")]


def _teacher(net: str, teacher: str, streams: tuple[str, ...]) -> list[tuple[str, str]]:
    """A teacher of DHHN, whose authors keep each network's state by itself: here behind "audio_net." or "video_net."."""
    keys = {"audio": "fc_a", "frames": "fc_v", "clip": "fc_st"}
    return [
        *((rf"{net}\.{keys[s]}", f"{teacher}.embedding.layers.{s}") for s in streams),
        (rf"{net}\.fc_fusion", f"{teacher}.embedding.fusion"),
        (rf"{net}\.audio_encoder\.layers\.(\d)\.self_attn", rf"{teacher}.layers.\1.self_attention"),
        (rf"{net}\.audio_encoder\.layers\.(\d)\.(linear[12]|norm[12])", rf"{teacher}.layers.\1.\2"),
        (rf"{net}\.fc_prob", f"{teacher}.classifier"),
        (rf"{net}\.fc_frame_att", f"{teacher}.temporal_attention.layer"),
    ]


def _reference(m: str, streams: tuple[str, ...]) -> list[tuple[str, str]]:
    """A reference network of CoLeaF, here behind "audio_net." or "visual_net."."""
    keys, net, reference = {"audio": "fc_a", "frames": "fc_v", "clip": "fc_st"}, rf"{m}_net\.", f"references.{m}"
    return [
        (rf"{net}cls_tokens_{m[0]}", f"{reference}.tokens"),
        *((f"{net}{keys[s]}", f"{reference}.embedding.layers.{s}") for s in streams),
        (rf"{net}fc_fusion", f"{reference}.embedding.fusion"),
        (rf"{net}hat_encoder\.layers\.0\.self_attn", f"{reference}.layer.self_attention"),
        (rf"{net}hat_encoder\.layers\.0\.(linear[12]|norm[12])", rf"{reference}.layer.\1"),
        (rf"{net}hat_encoder\..*", ""),
        (rf"{net}fc_prob", f"{reference}.classifier"),
        (rf"{net}fc_frame_att", f"{reference}.temporal_attention.layer"),
    ]


NAMES: dict[str, list[tuple[str, str]]] = {
    "released": CMPAE, "jomold": HAN, "han": HAN, "ma": HAN,
    "valor": VALOR_NAMES, "valor_plus": VALOR_NAMES, "valor_plus_plus": VALOR_NAMES,
    "cvcms": [
        *EMBEDDING, *HYBRID, *POOLING,
        (r"fc_occ_class_a", "classifier.split.audio"),
        (r"fc_occ_class_v", "classifier.split.visual"),
        (r"av_class_encoder\.layers\.0\.self_attn", "classifier.layer.self_attention"),
        (r"av_class_encoder\.layers\.0\.cm_attn", "classifier.layer.cross_attention"),
        (r"av_class_encoder\.layers\.0\.(linear[12]|norm[12])", r"classifier.layer.\1"),
        (r"fc_occ_prob_a", "classifier.score.audio"),
        (r"fc_occ_prob_v", "classifier.score.visual"),
        (r"fc_prob|fc_occ_.*|(?:frame_att|modality)_encoder.*|av_class_encoder\.norm[12]", ""),
    ],
    "dhhn": [
        *HAN,
        (r"conv_x1\.(\d)\.blocks\.0\.0", r"scales.audio.\1.conv"),
        (r"conv_x1\.(\d)\.blocks\.0\.1", r"scales.audio.\1.norm"),
        (r"conv_x2\.(\d)\.blocks\.0\.0", r"scales.visual.\1.conv"),
        (r"conv_x2\.(\d)\.blocks\.0\.1", r"scales.visual.\1.norm"),
        *_teacher("audio_net", "teachers.audio", ("audio",)),
        *_teacher("video_net", "teachers.visual", ("frames", "clip")),
    ],
    "leap": [
        *PYRAMID,
        (r"label_vectors", "label_vectors"),  # the code reads them from a file of its own; given here under our name
        (r"fc_l", "label_projection"),
        *_query_layer(r"AVL\.la_cma_network\.(\d)", r"decoders.audio.layers.\1"),
        *_query_layer(r"AVL\.lv_cma_network\.(\d)", r"decoders.visual.layers.\1"),
        (r"fc_la", "decoders.audio.score"),
        (r"fc_lv", "decoders.visual.score"),
    ],
    "uwav": [
        *STACK,
        (r"fc_a\.layers\.0", "embedding.audio.layers.0"),
        (r"fc_a\.layers\.1", "embedding.audio.layers.1"),
        (r"fc_fusion\.layers\.0", "embedding.visual.layers.0"),
        (r"fc_frame_att\.layers\.0", "temporal_attention.layer"),
        (r"fc_av_att\.layers\.0", "modality_attention"),
        (r"fc_prob", "classifier"),
    ],
    "coleaf": [
        *CMPAE, *_reference("audio", ("audio",)), *_reference("visual", ("frames", "clip")), (r"hat_encoder\.layers\.0\.cls_tokens_.", ""),
    ],
    "mm_pyramid": [*PYRAMID, *POOLING, (r"fc_prob", "classifier")],
}
# our name of a layer that has an output for each category, where it is not "classifier"
HEADS = {"released": "collector.presence", "coleaf": "collector.presence", "cvcms": "modality_attention"}
CLIP_WIDTH = 512  # of LLP's R(2+1)D features
FRAMES = {"valor_plus_plus": 1}  # visual positions a snippet, where they are not LLP's 8
# the method and the fields in which its released code is not its default config, for the names that are no presets of ours
READINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "ma": ("ma", {"joint_label": "audio"}),
    "valor": ("valor", {}), "valor_plus": ("valor", PLUS), "valor_plus_plus": ("valor", PLUS),
    "cvcms": ("cvcms", {}),
    "dhhn": ("dhhn", {"joint_label": "audio"}),
    "leap": ("leap", {"similarity": "product"}),
    "uwav": ("uwav", {"balance": "sum"}),
    "coleaf": ("coleaf", {}),
    "mm_pyramid": ("mm_pyramid", {"swap_streams": True}),
}
# per category in LLP's order; the released code keeps them in a spreadsheet
AUTHORS_VISUAL_THRESHOLDS = (
    0.7, 0.4, 0.7, 0.3, 0.3, 0.7, 0.7, 0.6, 0.55, 0.7, 0.5, 0.7, 0.7, 0.7, 0.45, 0.45, 0.6, 0.55, 0.4, 0.55, 0.65, 0.4, 0.55, 0.7, 0.3,
)
UNUSED = re.compile(
    r"fc_global\.|hat_encoder\.(norm[12]|final_norm_[av])\.|(audio|visual|cmt)_encoder\.|t_att2?\.|fc[12]\."
    r"|(MMP\.capture|MMP\.fusion|AVL)\.(multiheadattn|feedforward)\.|.*\.self_attn\.layer_norm\."
)
# what a state may lack, which then stays as it was drawn: of no use after training, or not kept with the authors' parameters
OPTIONAL = re.compile(r"(teachers|references)\.|.*num_batches_tracked|label_vectors")


def load_state_dict(state: Mapping[str, Any], preset: str = "released") -> Method:
    """The authors' parameters (arrays or tensors by their names) as a model of `preset`: a key of `NAMES`.

    Sizes are read off the shapes; categories are LLP's where there are 25, numbered otherwise. Blocks that the released
    code never uses are ignored. Raises InputError naming missing, unknown or misshapen parameters.
    """
    if preset not in NAMES:
        raise InputError(f"released code exists for the presets {', '.join(map(repr, NAMES))}, not {preset!r}.")
    renamed = _renamed(state, preset)
    try:
        spec, width = _sizes(renamed, preset)
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"this is no state of the released {preset} code: {error} is missing or misshapen.") from None
    method, changes = READINGS.get(preset, (None, {}))
    config = (get(method).Config(**changes) if method else presets[preset]).changed(width=width)
    model = get(config.method)(config, spec)
    renamed |= {n: x for n, x in model.state_dict().items() if n not in renamed and OPTIONAL.match(n)}
    _check(renamed, model.state_dict(), preset)
    check_finite(renamed, f"the state of the released {preset} code")
    model.load_state_dict(renamed)
    return model.eval()


def _sizes(renamed: dict[str, Tensor], preset: str) -> tuple[DataSpec, int]:
    """What the parameters' shapes say of the data, and the width."""
    if preset == "leap":
        count, width = len(renamed.get("label_vectors", LLP_CATEGORIES)), len(renamed["label_projection.weight"])
    else:
        count, width = renamed[f"{HEADS.get(preset, 'classifier')}.weight"].shape
    first = {"audio": "audio.layers.audio", "frames": "visual.layers.frames", "clip": "visual.layers.clip"}
    if preset == "uwav":  # whose one visual layer sees frames and clip side by side
        audio, visual = (renamed[f"embedding.{m}.layers.0.weight"].shape[1] for m in MODALITIES)
        widths = {"audio": audio, "frames": visual - CLIP_WIDTH, "clip": CLIP_WIDTH}
    else:
        widths = {name: renamed[f"embedding.{layer}.weight"].shape[1] for name, layer in first.items()}
    positions = {"audio": 1, "frames": FRAMES.get(preset, 8), "clip": 1}
    streams = {n: StreamSpec(w, positions[n], "audio" if n == "audio" else "visual") for n, w in widths.items()}
    categories = LLP_CATEGORIES if count == len(LLP_CATEGORIES) else tuple(f"category_{i}" for i in range(count))
    return DataSpec(categories, 10, streams), width


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
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read as weights only ({reason}): it is damaged, or holds code, which is never run.") from None
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
        for theirs, ours in NAMES[preset]:
            # MultiheadAttention's own sub-module is named alike in both
            match = re.fullmatch(rf"(?:{theirs})(?P<rest>(\.out_proj)?(\.[a-z_]+)?)", name)
            if match:
                if not ours:
                    break
                value = torch.as_tensor(np.asarray(value) if not isinstance(value, Tensor) else value)
                renamed[match.expand(ours) + match["rest"]] = value
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
