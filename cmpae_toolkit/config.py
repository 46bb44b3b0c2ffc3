"""Every choice of a method as one named field; presets and ablations are dicts of changed fields.

`MethodConfig` holds what the protocol fixes for all methods. The paper's configs build on one another as the papers do: `HANConfig`
(the network), `JoMoLDConfig` (its training labels), `Config` (CMPAE's evidence). `Config()` is the paper; where the authors' released
code does something else, a field says so. `DataSpec` holds what a model must know of the data, and nothing else does.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from ._fields import LARGEST, Count, DropoutRate, Explained, Named, Positive, Range, Share, Weight, Width, fits, from_text, hints, wanted
from .errors import InputError

MODALITIES = ("audio", "visual")
TRACKS = ("audio", "visual", "audio_visual")
Modality = Literal["audio", "visual"]

# The names that `Config.risk` knows: each a function (opinion, label) -> a risk per category, or where it is, "package.module:function".
# One of your own may be added; a checkpoint keeps the name, so what goes on with its training must add it, too.
RISKS: dict[str, str | Callable[..., Any]] = {
    "log": "cmpae_toolkit.losses:log_risk", "digamma": "cmpae_toolkit.losses:bayes_risk",
    "squared_error": "cmpae_toolkit.losses:squared_error_risk", "relaxed": "cmpae_toolkit.losses:relaxed_risk",
    "fisher": "cmpae_toolkit.losses:fisher_risk",
}
OwnRisk = Annotated[str, Named(RISKS, "another name in losses.RISKS, or 'package.module:function' for one of your own")]


@dataclass(frozen=True)
class MethodConfig:
    """What every method has and the protocol fixes: task, schedule, choice of epoch, decoding. Subclasses add a method's own fields."""

    method: ClassVar[str] = ""
    __doc__ = Explained(__doc__)

    def __init_subclass__(cls) -> None:
        cls.__doc__ = Explained(inspect.cleandoc(cls.__dict__.get("__doc__") or ""))

    task: Literal["parsing", "localization"] = "parsing"  # "localization": AVE's one answer a snippet, a category or background

    # Training
    epochs: Count = 25  # passes over the training videos
    batch_size: Count = 128  # videos in a training step
    learning_rate: Positive = 5e-4  # of the first epoch, or of the last one of the warm-up
    decay: Share = 0.25  # what the learning rate is multiplied by after each `decay_epochs`
    decay_epochs: Count = 6  # how many epochs keep one learning rate
    schedule: Literal["step", "cosine"] = "step"  # "cosine": from the learning rate to 0 over all epochs
    warm_up_epochs: Annotated[int, Range(0, LARGEST)] = 0  # the rate grows linearly over these
    optimizer: Literal["adam", "adamw"] = "adam"  # "adamw" takes weight decay out of the gradient
    weight_decay: Weight = 0.0  # of the optimiser
    clip_gradient: Positive | None = None  # the largest norm of the gradient
    select_epoch_by: str = "mean"  # mean of the ten F-scores on val, one score such as "event.audio", or last: the last epoch
    seed: Annotated[int, Range(0, 2**63 - 1)] = 0  # of initial weights, order of videos, dropout and label noise

    # "category": batches of videos sorted by their first category, every epoch the same, a last one that is not full left out, as in the
    # released code of AVEL, whose file is sorted so
    order: Literal["shuffled", "category"] = "shuffled"

    # Decoding
    gate: Literal["modality", "joint"] = "modality"  # whose video probability opens a category: its own modality's or the joint one
    audio_video_threshold: Share = 0.5  # the video's probability from which a category is open, for sound
    visual_video_threshold: Share = 0.5  # the same for the picture
    snippet_threshold: Share = 0.5  # the snippet's probability from which an open category is active
    search_thresholds: tuple[Modality, ...] = ()  # modalities whose video thresholds are chosen per category on val
    threshold_candidates: tuple[Share, ...] = (0.25, 0.30, 0.35, 0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.70)  # of the search
    threshold_epoch: Share | None = 0.4  # thresholds are chosen with the weights of this share of the epochs; None: of the best epoch
    threshold_shrinkage: Share = 0.0  # how far each chosen threshold is then drawn back to the fixed one: 1 is all the way

    def __post_init__(self) -> None:
        for name, hint in hints(type(self)).items():
            if not fits(getattr(self, name), hint):
                raise InputError(f"config field {name!r} is {getattr(self, name)!r}: use {wanted(hint)}.")
        if self.search_thresholds and not self.threshold_candidates:
            raise InputError("config field 'threshold_candidates' is empty, but 'search_thresholds' asks for a search among them.")

    def changed(self, **fields: Any) -> Self:
        """A copy with some fields changed, from values or from their text on a command line.

        Raises InputError for an unknown field, a value of the wrong type, or one out of range.
        """
        known = hints(type(self))
        for name in fields:
            if name not in known:
                raise InputError(f"{name!r} is not a config field: use one of {', '.join(known)}.")
        return dataclasses.replace(self, **{name: from_text(value, known[name]) for name, value in fields.items()})

    def adopting(self, **fields: Any) -> Self:
        """`changed` by those of the fields that this method's config has: sizes and schedules that several methods share."""
        return self.changed(**{name: value for name, value in fields.items() if name in hints(type(self))})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` reads them back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """A config from `to_dict`'s values; fields that are missing keep their defaults. Raises InputError as `changed` does."""
        if not isinstance(values, Mapping):
            raise InputError(f"a config is an object of named fields, not {values!r}.")
        return cls().changed(**values)

    def difference(self, other: MethodConfig) -> dict[str, Any]:
        """The fields in which this config is not like `other`, with this config's values."""
        theirs = other.to_dict()
        return {name: value for name, value in self.to_dict().items() if name not in theirs or value != theirs[name]}


@dataclass(frozen=True)
class HANConfig(MethodConfig):
    """The hybrid attention network (HAN, ECCV 2020), as it was published."""

    method: ClassVar[str] = "han"

    width: Width = 512  # of the embedded features and all layers above them
    attention_dropout: DropoutRate = 0.1  # in the hybrid attention
    visual_dropout: DropoutRate = 0.0  # of the visual features, behind the attention
    cross_attention: bool = True  # whether one modality looks at the other
    audio_smoothing: Share = 1.0  # of the weak label: y -> s y + (1 - s) / 2
    visual_smoothing: Share = 0.9  # the same for the picture
    audio_weight: Weight = 1.0  # of the loss on the sound's video opinion
    visual_weight: Weight = 1.0  # of the loss on the picture's video opinion
    joint_weight: Weight = 1.0  # of the loss on the joint opinion

    epochs: Count = 40
    batch_size: Count = 16
    learning_rate: Positive = 3e-4
    decay: Share = 0.1
    decay_epochs: Count = 10
    gate: Literal["modality", "joint"] = "joint"


@dataclass(frozen=True)
class JoMoLDConfig(HANConfig):
    """JoMoLD (ECCV 2022), CMPAE's backbone: HAN with a contrastive term and noisy labels removed."""

    method: ClassVar[str] = "jomold"

    visual_dropout: DropoutRate = 0.5
    audio_weight: Weight = 2.0
    contrastive_weight: Weight = 1.0  # of the term that makes sound and picture of one second alike
    denoise: bool = True  # whether labels that look wrong for one modality are removed in training
    estimator_epochs: Count = 25  # of the network that estimates the noise ratios
    noise_warm_up: Literal["linear", "released"] = "linear"  # how the noise ratios grow; "released": as in the authors' code
    noise_warm_up_epochs: Weight = 0.9  # over how many epochs they grow
    audio_noise_threshold: Weight = 0.6  # p over its mean below which a label counts as noise, for sound
    visual_noise_threshold: Weight = 1.8  # the same for the picture

    epochs: Count = 25
    batch_size: Count = 128
    learning_rate: Positive = 5e-4
    decay: Share = 0.25
    decay_epochs: Count = 6
    gate: Literal["modality", "joint"] = "modality"


@dataclass(frozen=True)
class Config(JoMoLDConfig):
    """CMPAE. The defaults are the preset `paper` (CVPR 2023), on JoMoLD's network and training labels."""

    method: ClassVar[str] = "cmpae"

    # Features
    embedding_activation: Literal["none", "elu"] = "none"  # behind each stream's own layer
    self_attention_share: Share = 0.0  # x = (1 - share) * with cross-attention + share * without

    # Evidence: presence and absence (Eq. 2, 3)
    evidential: bool = True  # False: sigmoid classifiers with binary cross-entropy (Eq. 1)
    presence_from: Literal["uni_modal", "cross_modal"] = "uni_modal"  # whose features collect evidence of presence
    absence_from: Literal["uni_modal", "cross_modal"] = "cross_modal"  # whose features collect evidence of absence
    selector: Literal["multiplicative", "additive"] = "multiplicative"  # Eq. 3; the released code adds instead
    selector_dropout: DropoutRate = 0.0  # in Eq. 3
    evidence_function: Literal["exp", "softplus"] = "exp"  # of a logit over the temperature
    evidence_temperature: Positive = 1.0  # the logit is divided by it
    evidence_clamp: Positive | None = None  # on the logit, before the temperature
    prior_weight: Positive = 2.0  # W: alpha = e + W / 2, vacuity W / S; R-EDL learns with 0.2

    # Pooling over snippets, and the joint branch (Eq. 6)
    pooling: Literal["evidence", "logits", "opinions"] = "evidence"  # of the paper, of the released code, of masses (ours)
    separate_attention: bool = False  # one temporal attention for presence and one for absence
    joint: Literal["evidence", "sigmoid", "mmil"] = "evidence"  # "sigmoid": released code; "mmil": HAN's pooling
    joint_input: Literal["attended", "embedded"] = "attended"  # the features that the joint branch sees: behind or before the attention
    joint_fusion: Literal["sum_first", "layer_first"] = "sum_first"  # h(x^a + x^v), or h(x^a) + h(x^v)

    # Losses (Eq. 5, 8-11)
    risk: Literal["log", "digamma", "squared_error", "relaxed", "fisher"] | OwnRisk = "log"  # psi in Eq. 5, or another evidential risk
    fisher_weight: Weight = 0.005  # lambda_1 of the risk "fisher": weight of -log det of the Fisher information
    reduction: Literal["sum", "mean"] = "mean"  # over categories; videos are always averaged
    audio_weight: Weight = 1.0
    mutual_weight: Weight = 1.0  # of mutual learning, Eq. 10
    kl_weight: Weight = 0.0  # of the KL term against misleading evidence
    kl_epochs: Count = 10  # the KL term grows linearly to its weight over these epochs
    use_joint_vacuity: bool = True  # u^av in Eq. 10
    use_unimodal_vacuity: bool = True  # u^uni in Eq. 10
    use_modality_selector: bool = True  # delta(c) of Eq. 8, 9
    mutual_tie: Modality = "visual"  # which modality Eq. 9 selects where both are equally probable
    joint_vacuity_floor: Share = 0.0  # the least u^av in Eq. 10

    # Inference
    inference_self_share: Share = 0.0  # probability = (1 - share) * with cross-attention + share * without

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pooling == "opinions" and self.separate_attention:
            raise InputError("pooling 'opinions' needs one attention for both evidences: set separate_attention to false.")


# CMPAE without its three mechanisms: the backbone's row of Table 5, at CMPAE's loss weights
BACKBONE: dict[str, Any] = dict(evidential=False, absence_from="uni_modal", joint="mmil", mutual_weight=0.0)
# JoMoLD as changes in CMPAE's config: the backbone at its own loss weights. It trains as `JoMoLDConfig()` does, bit for bit.
JOMOLD: dict[str, Any] = BACKBONE | dict(audio_weight=2.0)

RELEASED: dict[str, Any] = dict(
    embedding_activation="elu", self_attention_share=0.2, selector="additive", selector_dropout=0.2,
    evidence_temperature=0.8, evidence_clamp=10.0, pooling="logits", separate_attention=True,
    joint="sigmoid", joint_input="embedded", joint_fusion="layer_first",
    audio_weight=2.0, visual_weight=0.6, joint_weight=0.6,
    mutual_tie="audio", joint_vacuity_floor=0.9, noise_warm_up="released", epochs=20,
    inference_self_share=0.3, audio_video_threshold=0.45, visual_video_threshold=0.45, snippet_threshold=0.25,
    search_thresholds=("visual",),
)

# Ours, chosen on val by the study improved_search: the network, and how its answers are read. It costs what `paper` costs in training,
# and a second pass without cross-attention in prediction. Type F on test over five seeds, segment / event level: 72.7 / 67.0 on real
# media (`released` 72.1 / 66.5) and 65.7 / 61.0 on `small` (66.6 / 62.0). Taken back one at a time (the study leave_one_out), on real
# media pooled opinions are worth 1.8 / 1.9, the mixture 1.3 / 1.2, searched thresholds 0.8 / 0.7, the snippet threshold 0.8 / 1.1, the
# selector 0.7 / 0.9, audio weight 0.4 / 0.5, dropout 0.5 / 0.5; on `small` none is worth 0.8, and the pooling -0.5 / -0.3.
IMPROVED_NETWORK: dict[str, Any] = dict(pooling="opinions", selector="additive", selector_dropout=0.2, audio_weight=2.0)
IMPROVED_READING: dict[str, Any] = dict(
    inference_self_share=0.3, snippet_threshold=0.4, search_thresholds=MODALITIES, threshold_shrinkage=0.5, threshold_epoch=None,
)
IMPROVED: dict[str, Any] = IMPROVED_NETWORK | IMPROVED_READING

# AVE's events are audible and visible at once, so no label is wrong for one modality and none is to be removed
AVE: dict[str, Any] = dict(task="localization", denoise=False, select_epoch_by="accuracy")

presets: dict[str, MethodConfig] = {
    "paper": Config(), "released": Config(**RELEASED), "improved": Config(**IMPROVED),
    "jomold": JoMoLDConfig(), "han": HANConfig(), "ave": Config(**AVE),
    "avep": Config(),  # the paper trains and scores AVEP as it does LLP
}

# Simulated sets and films are smaller than the real ones, their features simpler: these fields let a CPU train a run in a minute.
_TINY: dict[str, Any] = dict(width=64, batch_size=16, epochs=10, estimator_epochs=6, decay_epochs=6, learning_rate=2e-3)
SIMULATED_CHANGES: dict[str, dict[str, Any]] = {
    "tiny": dict(width=32, batch_size=16, epochs=6, estimator_epochs=3, decay_epochs=3),
    "small": dict(width=128, batch_size=32, epochs=15, estimator_epochs=10, decay_epochs=5),
    "films": dict(width=128, batch_size=16, epochs=50, estimator_epochs=30, decay_epochs=17),
    "simulated-ave": dict(width=128, batch_size=32, epochs=16, decay_epochs=6),
    "simulated-avep": dict(width=128, batch_size=32, epochs=15, estimator_epochs=10, decay_epochs=5),
    "simulated-tiny-ave": _TINY,
    "simulated-tiny-avep": _TINY,
}


def _is_ave(data_name: str) -> bool:
    """By the name, or the last part of a folder's path: "ave", "simulated-ave", "data/ave"."""
    return Path(str(data_name)).name.rpartition("-")[2] == "ave"


def preset_for(data_name: str, preset: str | None = None) -> str:
    """The preset's name: the given one, else CMPAE_PRESET, else "ave" for AVE (real or simulated), else "paper".

    >>> preset_for("small", "released")
    'released'
    """
    preset = preset or os.environ.get("CMPAE_PRESET") or ("ave" if _is_ave(data_name) else "paper")
    if preset not in presets:
        raise InputError(f"there is no preset {preset!r}: use one of {', '.join(presets)}.")
    return preset


def config_for(data_name: str, preset: str | None = None) -> MethodConfig:
    """The preset that `preset_for` names, for AVE's task where the data are AVE, with `SIMULATED_CHANGES` where they are a small
    simulated set.

    >>> config_for("small").width, config_for("simulated-ave").task, config_for("some/folder") == presets["paper"]
    (128, 'localization', True)
    """
    name = str(data_name)
    short = name.removeprefix("simulated-")
    changes = SIMULATED_CHANGES.get(name, SIMULATED_CHANGES[short] if short in ("tiny", "small") else {})
    return presets[preset_for(name, preset)].adopting(**(AVE if _is_ave(name) else {}), **changes)


@dataclass(frozen=True)
class StreamSpec:
    """One feature stream: its width, how many positions a snippet has (frames, say), and its modality."""

    width: int
    per_snippet: int
    modality: str

    def __str__(self) -> str:
        positions = "1 position" if self.per_snippet == 1 else f"{self.per_snippet} positions"
        return f"{self.width} {self.modality} features at {positions} a snippet"


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
    def from_dict(cls, values: Mapping[str, Any]) -> DataSpec:
        """Reads `to_dict`'s values. Raises InputError where an entry is missing, of another type or out of range."""
        try:
            streams = {str(name): StreamSpec(**stream) for name, stream in values["streams"].items()}
            spec = cls(tuple(values["categories"]), values["snippets"], streams, values.get("snippet_seconds", 1.0))
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"the data description of a checkpoint is incomplete ({error}): save the checkpoint again.") from None
        numbers = [spec.snippets, *(n for s in streams.values() for n in (s.width, s.per_snippet))]
        whole = all(fits(n, Count) for n in numbers) and fits(spec.snippet_seconds, Positive)
        named = spec.categories and all(isinstance(c, str) for c in spec.categories) and len(set(spec.categories)) == len(spec.categories)
        if not (whole and named and all(s.modality in MODALITIES for s in streams.values())):
            raise InputError("the data description of a checkpoint holds no sizes, names or modalities that data can have.")
        return spec


def check_same_data(spec: DataSpec, other: DataSpec, what: str) -> None:
    """Raises InputError, naming the difference, when a model made for `spec` cannot read data of `other`.

    >>> check_same_data(DataSpec(("Dog",), 10), DataSpec(("Cat",), 10), "the set")
    Traceback (most recent call last):
    ...
    cmpae_toolkit.errors.InputError: ...
    """
    if spec.categories != other.categories:
        odd = sorted(set(spec.categories) ^ set(other.categories)) or ["their order"]
        raise InputError(f"{what} has other categories than the checkpoint was trained for ({', '.join(odd[:4])} differ).")
    for name, stream in spec.streams.items():
        if other.streams.get(name) != stream:
            theirs = other.streams.get(name, "no such stream")
            raise InputError(f"{what}: the checkpoint needs the stream {name!r} with {stream}, the data have {theirs}.")
