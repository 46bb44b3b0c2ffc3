"""Every choice of the method as one named field; presets and ablations are dicts of changed fields.

`Config()` is the paper. Where the authors' released code or a baseline does something else, a field says so, and
`PRESETS` lists only the fields that differ. `DataSpec` holds what the model must know of the data and nothing else does.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from typing import Any

from .errors import InputError

MODALITIES = ("audio", "visual")
TRACKS = ("audio", "visual", "audio_visual")


@dataclass(frozen=True)
class Config:
    """One experiment. Defaults are the preset `paper` (CVPR 2023, with JoMoLD's embedding and training labels)."""

    # Features: embedding and hybrid attention (HAN)
    width: int = 512
    embedding_activation: str = "none"
    attention_dropout: float = 0.1
    visual_dropout: float = 0.5
    cross_attention: bool = True
    self_attention_share: float = 0.0  # x = (1 - share) * with cross-attention + share * without

    # Evidence: presence and absence (Eq. 2, 3)
    evidential: bool = True  # False: sigmoid classifiers with binary cross-entropy (Eq. 1)
    presence_from: str = "uni_modal"
    absence_from: str = "cross_modal"
    selector: str = "multiplicative"  # Eq. 3; the released code adds instead
    selector_dropout: float = 0.0
    evidence_function: str = "exp"
    evidence_temperature: float = 1.0
    evidence_clamp: float | None = None  # on the logit, before the temperature
    prior_weight: float = 2.0  # W: alpha = e + W / 2, vacuity W / S; R-EDL learns with 0.2

    # Pooling over snippets, and the joint branch (Eq. 6)
    pooling: str = "evidence"
    separate_attention: bool = False  # one temporal attention for presence and one for absence
    joint: str = "evidence"  # "sigmoid": released code; "mmil": HAN's pooling over snippets and modalities
    joint_input: str = "attended"
    joint_fusion: str = "sum_first"  # h(x^a + x^v); "layer_first": h(x^a) + h(x^v)

    # Losses (Eq. 5, 8-11)
    risk: str = "log"  # psi in Eq. 5, or another evidential risk (`losses.evidence_risk`)
    fisher_weight: float = 0.005  # lambda_1 of the risk "fisher": weight of -log det of the Fisher information
    reduction: str = "sum"  # over categories; videos are always averaged
    audio_weight: float = 1.0
    visual_weight: float = 1.0
    joint_weight: float = 1.0
    contrastive_weight: float = 1.0
    mutual_weight: float = 1.0
    kl_weight: float = 0.0
    kl_epochs: int = 10  # the KL term grows linearly to its weight over these epochs
    use_joint_vacuity: bool = True  # u^av in Eq. 10
    use_unimodal_vacuity: bool = True  # u^uni in Eq. 10
    use_modality_selector: bool = True  # delta(c) of Eq. 8, 9
    mutual_tie: str = "visual"
    joint_vacuity_floor: float = 0.0

    # Training labels (JoMoLD)
    audio_smoothing: float = 1.0  # y -> s y + (1 - s) / 2
    visual_smoothing: float = 0.9
    denoise: bool = True
    noise_warm_up: str = "linear"
    noise_warm_up_epochs: float = 0.9
    audio_noise_threshold: float = 0.6
    visual_noise_threshold: float = 1.8

    # Training
    epochs: int = 25
    estimator_epochs: int = 25  # of the network that estimates the noise ratios
    batch_size: int = 128
    learning_rate: float = 5e-4
    decay: float = 0.25
    decay_epochs: int = 6
    select_epoch_by: str = "mean"  # mean of the ten F-scores on val, or one score such as "event.audio"
    seed: int = 0

    # Decoding
    task: str = "parsing"  # "localization": AVE's one answer a snippet, a category or background
    inference_self_share: float = 0.0  # probability = (1 - share) * with cross-attention + share * without
    gate: str = "modality"  # whose video probability opens a category: its own modality's or the joint one
    audio_video_threshold: float = 0.5
    visual_video_threshold: float = 0.5
    snippet_threshold: float = 0.5
    search_thresholds: tuple[str, ...] = ()  # modalities whose video thresholds are chosen per category on val
    threshold_candidates: tuple[float, ...] = (0.25, 0.30, 0.35, 0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.70)
    threshold_epoch: float = 0.4  # thresholds are chosen with the weights of this share of the epochs

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise InputError(f"config field {name!r} is {getattr(self, name)!r}: use one of {', '.join(map(repr, allowed))}.")
        for name in ("width", "epochs", "estimator_epochs", "batch_size", "decay_epochs"):
            if getattr(self, name) < 1:
                raise InputError(f"config field {name!r} is {getattr(self, name)!r}: use 1 or more.")
        if not self.prior_weight > 0:
            raise InputError(f"config field 'prior_weight' is {self.prior_weight!r}: use more than 0.")
        unknown = set(self.search_thresholds) - set(MODALITIES)
        if unknown:
            raise InputError(f"config field 'search_thresholds' names {sorted(unknown)}: use any of {MODALITIES}.")

    def changed(self, **fields: Any) -> Config:
        """A copy with some fields changed; an unknown field or a value of the wrong type is an InputError."""
        known = {f.name: f for f in dataclasses.fields(self)}
        values = {}
        for name, value in fields.items():
            if name not in known:
                raise InputError(f"{name!r} is not a config field: use one of {', '.join(known)}.")
            values[name] = _typed(name, value, known[name].type)
        return dataclasses.replace(self, **values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `Config.from_dict` reads them back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Config:
        return cls().changed(**values)

    def difference(self, other: Config) -> dict[str, Any]:
        """The fields in which this config is not like `other`."""
        theirs = other.to_dict()
        return {name: value for name, value in self.to_dict().items() if value != theirs[name]}


CHOICES: dict[str, tuple[str, ...]] = {
    "embedding_activation": ("none", "elu"),
    "presence_from": ("uni_modal", "cross_modal"),
    "absence_from": ("uni_modal", "cross_modal"),
    "selector": ("multiplicative", "additive"),
    "evidence_function": ("exp", "softplus"),
    "pooling": ("evidence", "logits"),
    "joint": ("evidence", "sigmoid", "mmil"),
    "joint_input": ("attended", "embedded"),
    "joint_fusion": ("sum_first", "layer_first"),
    "risk": ("log", "digamma", "squared_error", "relaxed", "fisher"),
    "reduction": ("sum", "mean"),
    "mutual_tie": MODALITIES,
    "noise_warm_up": ("linear", "released"),
    "task": ("parsing", "localization"),
    "gate": ("modality", "joint"),
}


def _typed(name: str, value: Any, annotation: str) -> Any:
    """`value` as the field's type, from a string of the command line or a value of a JSON file."""
    text = isinstance(value, str)
    try:
        if annotation.startswith("tuple"):
            parts = [p for p in value.split(",") if p] if text else value
            return tuple(float(p) if "float" in annotation else str(p) for p in parts)
        if annotation == "bool":
            return {"true": True, "1": True, "false": False, "0": False}[str(value).lower()]
        if annotation == "str":
            return str(value)
        if "None" in annotation and (value is None or (text and value.lower() == "none")):
            return None
        return int(value) if annotation == "int" else float(value)
    except (KeyError, TypeError, ValueError):
        raise InputError(f"config field {name!r} cannot be {value!r}: it takes {annotation}.") from None


JOMOLD: dict[str, Any] = dict(
    evidential=False, absence_from="uni_modal", joint="mmil", reduction="mean", audio_weight=2.0, mutual_weight=0.0,
)

HAN: dict[str, Any] = JOMOLD | dict(
    visual_dropout=0.0, audio_weight=1.0, contrastive_weight=0.0, denoise=False, gate="joint",
    learning_rate=3e-4, batch_size=16, decay=0.1, decay_epochs=10, epochs=40,
)

RELEASED: dict[str, Any] = dict(
    embedding_activation="elu", self_attention_share=0.2, selector="additive", selector_dropout=0.2,
    evidence_temperature=0.8, evidence_clamp=10.0, pooling="logits", separate_attention=True,
    joint="sigmoid", joint_input="embedded", joint_fusion="layer_first",
    reduction="mean", audio_weight=2.0, visual_weight=0.6, joint_weight=0.6,
    mutual_tie="audio", joint_vacuity_floor=0.9, noise_warm_up="released", epochs=20,
    inference_self_share=0.3, audio_video_threshold=0.45, visual_video_threshold=0.45, snippet_threshold=0.25,
    search_thresholds=("visual",),
)

# AVE's events are audible and visible at once, so no label is wrong for one modality and none is to be removed
AVE: dict[str, Any] = dict(task="localization", denoise=False, select_epoch_by="accuracy")


PRESET_CHANGES: dict[str, dict[str, Any]] = {
    "paper": {}, "released": RELEASED, "jomold": JOMOLD, "han": HAN, "ave": AVE,
    "avep": {},  # the paper trains and scores AVEP as it does LLP
}
presets: dict[str, Config] = {name: Config(**changes) for name, changes in PRESET_CHANGES.items()}

# JoMoLD's first stage: the network whose losses tell how noisy each modality's labels are (its section 3.2)
NOISE_ESTIMATOR: dict[str, Any] = JOMOLD | dict(
    cross_attention=False, audio_weight=1.0, denoise=False, select_epoch_by="event.audio",
)


# Simulated sets are smaller than the real ones and their features simpler: these fields let a CPU train a run in a minute.
_TINY: dict[str, Any] = dict(width=64, batch_size=16, epochs=10, estimator_epochs=6, decay_epochs=6, learning_rate=2e-3)
SIMULATED_CHANGES: dict[str, dict[str, Any]] = {
    "tiny": dict(width=32, batch_size=16, epochs=6, estimator_epochs=3, decay_epochs=3),
    "small": dict(width=128, batch_size=32, epochs=15, estimator_epochs=10, decay_epochs=5),
    "simulated-ave": dict(width=128, batch_size=32, epochs=16, decay_epochs=6),
    "simulated-avep": dict(width=128, batch_size=32, epochs=15, estimator_epochs=10, decay_epochs=5),
    "simulated-tiny-ave": _TINY,
    "simulated-tiny-avep": _TINY,
}


def preset_for(data_name: str, preset: str | None = None) -> str:
    """The preset's name: the given one, else CMPAE_PRESET, else "ave" for AVE (real or simulated), else "paper"."""
    preset = preset or os.environ.get("CMPAE_PRESET") or ("ave" if str(data_name).rpartition("-")[2] == "ave" else "paper")
    if preset not in presets:
        raise InputError(f"there is no preset {preset!r}: use one of {', '.join(presets)}.")
    return preset


def config_for(data_name: str, preset: str | None = None) -> Config:
    """The preset that `preset_for` names, with `SIMULATED_CHANGES` where the data are a small simulated set."""
    name = str(data_name)
    short = name.removeprefix("simulated-")
    changes = SIMULATED_CHANGES.get(name, SIMULATED_CHANGES[short] if short in ("tiny", "small") else {})
    return presets[preset_for(name, preset)].changed(**changes)


@dataclass(frozen=True)
class StreamSpec:
    """One feature stream: its width, how many positions a snippet has (frames, say), and its modality."""

    width: int
    per_snippet: int
    modality: str


@dataclass(frozen=True)
class DataSpec:
    """What a model must know of the data: category names in order, snippets in a (longest) video and their seconds, the streams."""

    categories: tuple[str, ...]
    snippets: int
    streams: dict[str, StreamSpec] = field(default_factory=dict)
    snippet_seconds: float = 1.0

    def of_modality(self, modality: str) -> dict[str, StreamSpec]:
        """The streams of one modality, in the order in which the fusion layer concatenates them."""
        order = {"frames": 0, "clip": 1}
        names = [n for n, s in self.streams.items() if s.modality == modality]
        return {n: self.streams[n] for n in sorted(names, key=lambda n: (order.get(n, 2), n))}

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DataSpec:
        try:
            streams = {name: StreamSpec(**stream) for name, stream in values["streams"].items()}
            return cls(tuple(values["categories"]), int(values["snippets"]), streams, float(values.get("snippet_seconds", 1.0)))
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"the data description of a checkpoint is incomplete ({error}): save the checkpoint again.") from None
