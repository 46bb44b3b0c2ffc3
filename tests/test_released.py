"""Parity with outputs recorded from the public code of CMPAE, JoMoLD and HAN (golden/)."""

import numpy as np
import pytest
import torch
from recipe import SEED, golden, inputs, parameters, without_dropout

from cmpae_toolkit import labels, losses, released
from cmpae_toolkit.config import presets
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.train import training_step


@pytest.fixture(scope="module")
def recording():
    return golden("released")


def assert_outputs(evidence, recorded, prefix, tolerance):
    ours = {
        "joint": evidence.joint, "audio": evidence.video[:, 0], "visual": evidence.video[:, 1],
        "snippet": evidence.snippet.apply(lambda x: x.transpose(1, 2)),
    }
    for name, judgement in ours.items():
        np.testing.assert_allclose(judgement.probability.detach(), recorded[f"{prefix}{name}_probability"], atol=tolerance)
        if f"{prefix}{name}_uncertainty" in recorded:
            vacuity = recorded[f"{prefix}{name}_uncertainty"]
            vacuity = vacuity.reshape(-1, 1) if name == "joint" else vacuity
            np.testing.assert_allclose(judgement.vacuity.detach(), np.broadcast_to(vacuity, judgement.shape), atol=tolerance)
    similarity = losses.snippet_similarity(evidence.features).flatten(0, 1).detach()
    if f"{prefix}similarity" in recorded:
        np.testing.assert_allclose(similarity, recorded[f"{prefix}similarity"], atol=tolerance)


@pytest.mark.parametrize("cross", [True, False])
@pytest.mark.parametrize("preset", ["released", "jomold"])
def test_outputs_with_and_without_cross_attention(preset, cross, recording):
    recorded = recording if preset == "released" else golden("baselines")
    model = released.load_state_dict(parameters(preset), preset)
    with torch.no_grad():
        evidence = model(inputs(SEED, 3), cross_attention=cross)
    prefix = ("" if preset == "released" else f"{preset}/") + ("cross/" if cross else "self/")
    assert_outputs(evidence, recorded, prefix, 1e-5)


def test_outputs_of_han():
    model = released.load_state_dict(parameters("han"), "han")
    with torch.no_grad():
        assert_outputs(model(inputs(SEED, 3)), golden("baselines"), "han/", 1e-5)


def test_four_training_steps(recording):
    """Losses and denoised labels of each step within 1e-5; outputs after four Adam steps within 1e-3."""
    model = without_dropout(released.load_state_dict(parameters("released")))
    optimizer = torch.optim.Adam(model.parameters(), lr=model.config.learning_rate)
    ratios = torch.tensor(np.stack([recording["noise_ratio/audio"], recording["noise_ratio/visual"]]))
    for step in range(4):
        weak = torch.tensor(recording[f"train/weak_label/{step}"], dtype=torch.float32)
        features = inputs(SEED * 100 + step + 1, 32)
        named, training_labels = training_step(model, features, weak, ratios, epoch=1 + step // 2, batch=step % 2, batches=2)
        for m, modality in enumerate(("audio", "visual")):
            np.testing.assert_allclose(training_labels[:, m], recording[f"train/{modality}_label/{step}"], atol=1e-7)
        ours = [named[name].item() for name in ("audio", "visual", "joint", "contrastive", "mutual")]
        np.testing.assert_allclose(ours, recording[f"train/losses/{step}"], atol=1e-5)
        optimizer.zero_grad()
        losses.total(named, model.config).backward()
        optimizer.step()
    with torch.no_grad():
        assert_outputs(model.eval()(inputs(SEED, 3)), recording, "after/", 1e-3)
    assert_norms(model, recording)


def assert_norms(model, recording):
    ours = {name: value.norm().item() for name, value in model.state_dict().items()}
    for key in (k for k in recording if k.startswith("after_norm/")):
        theirs = key.removeprefix("after_norm/")
        if released.UNUSED.match(theirs):
            continue
        ((name, _),) = released._renamed({theirs: np.zeros(1)}).items()
        assert ours[name] == pytest.approx(float(recording[key]), rel=1e-4), name


def test_denoising_with_large_ratios():
    recorded = golden("denoise")
    model = without_dropout(released.load_state_dict(parameters("released")))
    weak = torch.tensor(recorded["weak_label"], dtype=torch.float32)
    start = labels.training_labels(weak, model.config)
    with torch.no_grad():
        evidence = model(inputs(350, 64), cross_attention=False)
        risks = losses.evidence_risk(evidence.video, start, "log")
    ratios = torch.tensor(np.stack([recorded["ratio_audio"], recorded["ratio_visual"]]))
    cleaned = labels.remove_noisy_labels(start, risks, ratios)
    assert (cleaned != start).sum((0, 2)).min() > 50  # both modalities lose labels, or the test says nothing
    np.testing.assert_array_equal(cleaned[:, 0], recorded["audio_label"].astype(np.float32))
    np.testing.assert_allclose(cleaned[:, 1], recorded["visual_label"], atol=1e-7)


def test_wrong_states_are_named():
    state = parameters("jomold")
    with pytest.raises(InputError, match=r"missing \['collector.absence"):
        released.load_state_dict(state, "released")
    with pytest.raises(InputError, match="not 'paper'"):
        released.load_state_dict(state, "paper")
    with pytest.raises(InputError, match=r"backbone.conv1.weight"):
        released.load_state_dict({**state, "backbone.conv1.weight": np.zeros((3, 3))}, "jomold")
    with pytest.raises(InputError, match=r"hybrid_attention.norm1.weight has shape \(5,\)"):
        released.load_state_dict({**state, "hat_encoder.layers.0.norm1.weight": np.zeros(5)}, "jomold")
    del state["fc_prob.weight"]
    with pytest.raises(InputError, match="missing or misshapen"):
        released.load_state_dict(state, "jomold")


def test_other_category_counts_load():
    state = parameters("jomold")
    for name in ("fc_prob", "fc_frame_att", "fc_av_att"):
        state[f"{name}.weight"], state[f"{name}.bias"] = state[f"{name}.weight"][:7], state[f"{name}.bias"][:7]
    model = released.load_state_dict(state, "jomold")
    assert len(model.spec.categories) == 7
    assert model.config == presets["jomold"]
