"""Which runs the tables of the paper need on a data set: a label and a config each, equal configs once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import data
from ..config import BACKBONE, IMPROVED, JOMOLD, RELEASED, MethodConfig, config_for, preset_for
from ..method import Method
from ..methods import get
from ..methods.dhhn import WEAK
from ..methods.snippet_labels import BY_HAN

SCHEDULE = ("width", "batch_size", "learning_rate", "epochs", "estimator_epochs", "decay", "decay_epochs")  # alike in Tables 5, 6
# Other methods keep the learning rate, its decay, the epochs and all else that their authors published; the size is the data set's
SIZE = ("width", "batch_size", "estimator_epochs")
LONGEST = 40  # epochs
_BOTH = {"JoMoLD": "jomold", "HAN": "han"}
OTHERS = {  # task -> label -> method
    "parsing": _BOTH | {"MA": "ma", "MM-Pyramid": "mm_pyramid", "CVCMS": "cvcms", "DHHN": "dhhn", "CoLeaF": "coleaf"},
    "localization": _BOTH | {"AVEL": "avel", "PSP": "psp", "CMRAN": "cmran", "CMBS": "cmbs"},
}
_Changed = dict[str, dict[str, tuple[str, dict[str, Any]]]]  # task -> label -> method and changes
# Ideas of others on LLP's task, for which no authors have published a schedule: on CMPAE's alone
OURS: _Changed = {
    "parsing": {
        "CMBS's idea (ours)": ("cmbs_parsing", {}), "AVEL's idea (ours)": ("avel_parsing", {}),
        "AVSDN's idea (ours)": ("avsdn_parsing", {}),
    },
    "localization": {},
}
# Methods that learn from labels of snippets, which HAN makes here in place of CLIP and CLAP
HAN_LABELS: _Changed = {
    "parsing": {f"{label}, HAN's labels (ours)": (label.lower(), dict(snippet_labels=BY_HAN)) for label in ("VALOR", "LEAP", "UWAV")},
    "localization": {},
}
# Other readings of published methods: without MA's contrastive loss, as the paper's Table 2 prints it; on MA's labels or on weak ones,
# whichever of the two the row above is not on; and AVEL with its code's order of batches
READINGS: _Changed = {
    "parsing": {
        "MA, no contrastive loss": ("ma", dict(contrastive_weight=0.0)), "MA, weak labels": ("ma", dict(label_source="weak")),
        "MM-Pyramid, MA's labels": ("mm_pyramid", dict(label_source="exchange")),
        "CVCMS, weak labels": ("cvcms", dict(label_source="weak")), "DHHN, weak labels": ("dhhn", WEAK),
    },
    "localization": {"AVEL, batches by category": ("avel", dict(order="category"))},
}
OUR_SCHEDULE = ", CMPAE's schedule"  # ends the labels of other methods trained with CMPAE's; JoMoLD's is the row with its own weights

# Labels that share a config: the first is trained, the others show its runs (reference: Table 5's EDL + JML is Table 6's row)
SAME = {"both uni-modal": "EDL + JML", "CMPAE": "EDL + PAEC + JML"}


def table_config(data_name: str) -> MethodConfig:
    """The full model in the size and schedule of the tables for a data set (its name, or the name of its folder)."""
    size = data.simulated_size(data_name)
    name = f"simulated {size}" if size else Path(data_name).name
    return config_for(data_name, preset_for(data_name)).changed(**TABLE_CHANGES.get(name, {}))


def table_runs(data_name: str) -> dict[str, MethodConfig]:
    """label -> config of every run that some table shows for this data set: Tables 5 and 6, the other methods that fit its task,
    the released code and the rows with pooled opinions, with and without the mechanisms, and the preset `improved`."""
    base = table_config(data_name)
    rows = {**TABLE_5, **OWN_WEIGHTS, **TABLE_6, **ABLATIONS_OF_POOLED}
    ablations = {label: base.changed(**changes) for label, changes in rows.items() if label not in SAME}
    kept = {name: getattr(base, name) for name in SCHEDULE}
    released = {label: base.changed(**RELEASED | changes | kept) for label, changes in ABLATIONS_OF_RELEASED.items()}
    others = {label: _as_published(get(method), base) for label, method in OTHERS[base.task].items()}
    of_ours, read_otherwise, of_han = (
        {label: _as_published(get(method), base).changed(**changes) for label, (method, changes) in rows[base.task].items()}
        for rows in (OURS, READINGS, HAN_LABELS)
    )
    published = others | read_otherwise | of_han
    ours = dict(milestones=(), schedule=base.schedule, warm_up_epochs=base.warm_up_epochs, **kept)
    on_ours = {f"{label}{OUR_SCHEDULE}": c.adopting(**ours) for label, c in (published | of_ours).items() if label != "JoMoLD"}
    return ablations | published | on_ours | released | {"improved": base.changed(**IMPROVED)}


def _as_published(method: type[Method], base: MethodConfig) -> MethodConfig:
    """Another method with its own schedule, in the data set's size and for its task, as far as its config has these fields."""
    task = {} if base.task == "parsing" else dict(task=base.task, denoise=False, select_epoch_by=base.select_epoch_by)
    return _shortened(method.Config().adopting(**task, **{name: getattr(base, name) for name in SIZE}))


def _shortened(config: MethodConfig) -> MethodConfig:
    """A schedule of more than `LONGEST` epochs, such as the 200 to 300 of AVE's methods, drawn together to as many, with its decay and
    its warm-up."""
    def fewer(epochs: int) -> int:
        return max(1, round(epochs * LONGEST / config.epochs))

    if config.epochs <= LONGEST:
        return config
    milestones = getattr(config, "milestones", ())  # where there are any, they decide
    decay = dict(milestones=tuple(map(fewer, milestones))) if milestones else dict(decay_epochs=fewer(config.decay_epochs))
    warm_up = dict(warm_up_epochs=fewer(config.warm_up_epochs)) if config.warm_up_epochs else {}
    return config.changed(epochs=LONGEST, **decay, **warm_up)


# Size of the studies on data that are not simulated: a quarter of the paper's width, so that a grid fits a laptop
REAL_SIZE: dict[str, Any] = dict(width=128, batch_size=64, epochs=15, estimator_epochs=15, decay_epochs=4)


def study_config(data_name: str) -> MethodConfig:
    """The preset `paper` (`ave` for AVE) in the size of the studies for a data set (a name or a folder)."""
    small = data.simulated_size(data_name) or data_name in data.made
    return config_for(data_name, preset_for(data_name)).changed(**({} if small else REAL_SIZE))


# The released code's differences from the paper one at a time (docs/paper_versus_released_code.ipynb); with its 20 epochs they are RELEASED
DIFFERENCES: dict[str, dict[str, Any]] = {
    "ELU after every embedding": dict(embedding_activation="elu"),
    "x mixed with self-attention only": dict(self_attention_share=0.2),
    "additive selector": dict(selector="additive"),
    "evidence temperature and clamp": dict(evidence_temperature=0.8, evidence_clamp=10.0),
    "logits pooled, not evidence": dict(pooling="logits"),
    "attention of its own for absence": dict(separate_attention=True),
    "dropout in the selector": dict(selector_dropout=0.2),
    "sigmoid joint branch": dict(joint="sigmoid"),
    "joint branch from the embedding": dict(joint_input="embedded", joint_fusion="layer_first"),
    "loss weights 2, 0.6, 0.6": dict(audio_weight=2.0, visual_weight=0.6, joint_weight=0.6),
    "ties of the selector to audio": dict(mutual_tie="audio"),
    "joint vacuity at least 0.9": dict(joint_vacuity_floor=0.9),
    "noise ratios 0 in epoch 1, then full": dict(noise_warm_up="released"),
    "probabilities mixed at inference": dict(inference_self_share=0.3),
    "lower thresholds, visual ones searched": dict(
        audio_video_threshold=0.45, visual_video_threshold=0.45, snippet_threshold=0.25, search_thresholds=("visual",)
    ),
}


# Evidential losses of others, as changes in `paper`: notebooks 11b and 11c. The KL weight is ours (Sensoy et al.: growing to 1).
EVIDENTIAL_LOSSES: dict[str, dict[str, Any]] = {
    "log (paper)": {},
    "digamma": dict(risk="digamma"),
    "log + KL": dict(kl_weight=0.1),
    "EDL": dict(risk="squared_error", kl_weight=0.1),
    "I-EDL": dict(risk="fisher", kl_weight=0.1),
    "R-EDL": dict(risk="relaxed", prior_weight=0.2, kl_weight=0.1),
}


# Table 5 of the paper, changes against `paper`. Without JML the joint branch is the backbone's MMIL pooling.
_NO_JML: dict[str, Any] = dict(mutual_weight=0.0, joint="mmil")


TABLE_5: dict[str, dict[str, Any]] = {
    "backbone (JoMoLD)": BACKBONE,
    "EDL": _NO_JML | dict(absence_from="uni_modal"),
    "EDL + PAEC": _NO_JML,
    "EDL + JML": dict(absence_from="uni_modal"),
    "EDL + PAEC + JML": {},
}


TABLE_6: dict[str, dict[str, Any]] = {
    "both uni-modal": dict(absence_from="uni_modal"),
    "both cross-modal": dict(presence_from="cross_modal"),
    "exchange uni/cross": dict(presence_from="cross_modal", absence_from="uni_modal"),
    "w/o u_av": dict(use_joint_vacuity=False),
    "w/o u_uni": dict(use_unimodal_vacuity=False),
    "w/o delta(c)": dict(use_modality_selector=False),
    "CMPAE": {},
}


# The same two mechanisms taken out of the authors' code instead of the paper: changes against `released`
ABLATIONS_OF_RELEASED: dict[str, dict[str, Any]] = {
    "released code": {},
    "released code w/o PAEC": dict(absence_from="uni_modal"),
    "released code w/o JML": dict(mutual_weight=0.0),
    "released code w/o both": dict(absence_from="uni_modal", mutual_weight=0.0),
}


# Table 5's evidential rows with the snippets' opinions pooled instead of their evidence, which is ours: changes against `paper`
ABLATIONS_OF_POOLED: dict[str, dict[str, Any]] = {
    f"{row}, opinions pooled": TABLE_5[row] | dict(pooling="opinions") for row in reversed(TABLE_5) if TABLE_5[row] is not BACKBONE
}


# A sixth row of Table 5: the backbone with the loss weights that its authors chose, not those of the other rows
OWN_WEIGHTS: dict[str, dict[str, Any]] = {"backbone, JoMoLD's weights": JOMOLD}


# Size and schedule of our rows in the tables, the same for every row of a data set; chosen on val by the study schedule_search.
# Real media at an eighth of the paper's cost. All other real data: the paper's own.
FASTER: dict[str, Any] = dict(learning_rate=1e-3)
LONGER: dict[str, Any] = dict(epochs=25, decay_epochs=6)
TABLE_CHANGES: dict[str, dict[str, Any]] = {
    "simulated small": FASTER,
    "simulated ave": LONGER | FASTER,
    "simulated avep": LONGER | FASTER,
    "real_media": REAL_SIZE | FASTER,
}
