"""Config: presets against the reference's list of differences, parsing, and refusals."""

import json
import pydoc

import pytest

from cmpae_toolkit._fields import comments
from cmpae_toolkit.config import (
    AVE,
    RELEASED,
    RISKS,
    SIMULATED_CHANGES,
    Config,
    DataSpec,
    HANConfig,
    JoMoLDConfig,
    StreamSpec,
    config_for,
    presets,
)
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.methods import METHODS, get
from cmpae_toolkit.studies.ablations import DIFFERENCES, EVIDENTIAL_LOSSES, OWN_WEIGHTS, TABLE_5, TABLE_6


def test_paper_is_the_default():
    assert presets["paper"] == Config()
    paper = presets["paper"]
    assert (paper.batch_size, paper.learning_rate, paper.decay, paper.decay_epochs, paper.epochs) == (128, 5e-4, 0.25, 6, 25)


def test_presets_state_only_what_differs():
    for name, changes in {"paper": {}, "released": RELEASED, "ave": AVE, "avep": {}}.items():
        assert presets[name].difference(Config()).items() <= changes.items(), name


def test_differences_add_up_to_the_released_code():
    together = {field: value for changes in DIFFERENCES.values() for field, value in changes.items()}
    assert Config(**together, epochs=20) == presets["released"]
    assert sum(map(len, DIFFERENCES.values())) == len(together)  # no field in two of them


def test_baselines():
    jomold, han = presets["jomold"], presets["han"]
    assert (type(jomold), type(han)) == (JoMoLDConfig, HANConfig)
    assert (jomold.audio_weight, jomold.visual_weight, jomold.joint_weight, jomold.contrastive_weight) == (2.0, 1.0, 1.0, 1.0)
    assert (han.learning_rate, han.batch_size, han.decay, han.decay_epochs, han.epochs, han.gate) == (3e-4, 16, 0.1, 10, 40, "joint")


def test_tables_have_the_papers_rows():
    assert list(TABLE_5) == ["backbone (JoMoLD)", "EDL", "EDL + PAEC", "EDL + JML", "EDL + PAEC + JML"]
    assert len(TABLE_6) == 7
    assert all(Config(**changes) for changes in [*TABLE_5.values(), *TABLE_6.values()])
    assert presets["jomold"].difference(Config(**OWN_WEIGHTS["backbone, JoMoLD's weights"])) == {}


def test_round_trip_through_json():
    for config in presets.values():
        assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_files_from_before_a_field_was_added():
    old = {k: v for k, v in Config().to_dict().items() if k not in ("prior_weight", "fisher_weight")}
    assert Config.from_dict(old) == Config()


def test_evidential_losses_are_configs_of_their_own():
    made = {name: Config(**changes) for name, changes in EVIDENTIAL_LOSSES.items()}
    assert made["log (paper)"] == Config() and len(set(made.values())) == len(made)
    assert {c.risk for c in made.values()} == set(RISKS)


@pytest.mark.parametrize("name", METHODS)
def test_help_says_what_each_field_means(name):
    config_class = get(name).Config
    text = pydoc.render_doc(config_class, renderer=pydoc.plaintext)
    for field, meaning in comments(config_class).items():
        assert len(meaning) > 5 and f"    {field} = {getattr(config_class(), field)!r}: {meaning} (" in text, field


def test_help_of_a_field_says_what_it_takes():
    text = Config.__doc__
    assert "    decay = 0.25: what the learning rate is multiplied by after each `decay_epochs` (a number of at least 0 and" in text
    assert "    kl_epochs = 10: the KL term grows linearly to its weight over these epochs (a whole number of at least 1)" in text
    assert Config().__doc__ == Config.__doc__ and Config.__doc__.startswith("CMPAE. The defaults are the preset `paper`")


def test_values_from_the_command_line():
    changed = Config().changed(
        width="64", learning_rate="1e-3", denoise="false", evidence_clamp="10", search_thresholds="visual,audio", risk="digamma",
        threshold_candidates="0.3,0.6",
    )
    assert (changed.width, changed.learning_rate, changed.denoise, changed.evidence_clamp) == (64, 1e-3, False, 10.0)
    assert (changed.search_thresholds, changed.risk, changed.threshold_candidates) == (("visual", "audio"), "digamma", (0.3, 0.6))
    assert changed.changed(evidence_clamp="none").evidence_clamp is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"witdh": 3}, "'witdh' is not a config field"), ({"width": "wide"}, "'width' is 'wide': use a whole number"),
        ({"denoise": "maybe"}, "'denoise' is 'maybe': use true or false"),
        ({"risk": "huber"}, r"one of 'log', 'digamma', .* or another name in losses\.RISKS"),
        ({"epochs": 0}, "at least 1"), ({"search_thresholds": ("smell",)}, "smell"),
        ({"width": None}, "'width' is None: use a whole number"),
        ({"prior_weight": 0.0}, "more than 0"), ({"learning_rate": "nan"}, "'learning_rate' is nan"), ({"seed": -1}, "'seed' is -1"),
        ({"learning_rate": -1}, "more than 0"), ({"visual_dropout": 1.0}, "less than 1"), ({"attention_dropout": 2}, "less than 1"),
        ({"threshold_candidates": "2,3"}, "at most 1"), ({"snippet_threshold": 7}, "at most 1"), ({"width": 10**9}, "at most 65536"),
        ({"width": 8.5}, "a whole number"), ({"seed": 2**70}, "'seed'"), ({"evidence_temperature": 0}, "more than 0"),
        ({"gate": "no"}, "one of 'modality', 'joint'"), ({"epochs": True}, "a whole number"), ({"width": [1]}, "a whole number"),
    ],
)
def test_refusals(fields, message):
    with pytest.raises(InputError, match=message):
        Config().changed(**fields)


def test_environment_and_small_sets(monkeypatch):
    assert config_for("small") == Config(**SIMULATED_CHANGES["small"]) == config_for("simulated-small")
    assert config_for("some/folder") == Config()
    assert config_for("ave") == presets["ave"] and config_for("simulated-ave").task == "localization"
    assert config_for("avep") == presets["avep"] and config_for("simulated-avep").width == 128
    monkeypatch.setenv("CMPAE_PRESET", "released")
    assert config_for("full") == presets["released"]
    with pytest.raises(InputError, match="no preset 'best'"):
        config_for("full", "best")


def test_streams_are_fused_in_one_order():
    spec = DataSpec(("A",), 10, {n: StreamSpec(4, 1, "visual") for n in ("zeta", "clip", "alpha", "frames")})
    assert list(spec.of_modality("visual")) == ["frames", "clip", "alpha", "zeta"]
    assert DataSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
