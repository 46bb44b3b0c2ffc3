"""Parity with outputs recorded from the public code of CMPAE, JoMoLD and HAN (golden/)."""

import json
import random
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from recipe import SEED, golden, inputs, parameters, without_dropout
from safetensors.torch import save_file

from cmpae_toolkit import cli, labels, losses, released
from cmpae_toolkit.config import presets
from cmpae_toolkit.data import load
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.inference import evaluate
from cmpae_toolkit.method import Batch, Moment
from cmpae_toolkit.methods.avvp_names import UNUSED


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
    """Losses within 1e-5 before the first Adam step, 1e-4 after it, denoised labels exactly; outputs after four Adam steps within 2e-3."""
    model = without_dropout(released.load_state_dict(parameters("released")))
    optimizer = torch.optim.Adam(model.parameters(), lr=model.config.learning_rate)
    ratios = torch.tensor(np.stack([recording["noise_ratio/audio"], recording["noise_ratio/visual"]]))
    for step in range(4):
        weak = torch.tensor(recording[f"train/weak_label/{step}"], dtype=torch.float32)
        features = inputs(SEED * 100 + step + 1, 32)
        batch = Batch(model.as_tensors(features), weak, constants={"noise_ratios": ratios})
        named, training_labels = model.losses_and_labels(batch, Moment(1 + step // 2, step % 2, 2))
        for m, modality in enumerate(("audio", "visual")):
            np.testing.assert_allclose(training_labels[:, m], recording[f"train/{modality}_label/{step}"], atol=1e-7)
        ours = [named[name].item() for name in ("audio", "visual", "joint", "contrastive", "mutual")]
        # a first Adam step is as large where a gradient is only rounding as anywhere else, and processors round differently
        np.testing.assert_allclose(ours, recording[f"train/losses/{step}"], atol=1e-5 if step == 0 else 1e-4)
        optimizer.zero_grad()
        losses.total(named, model.config).backward()
        optimizer.step()
    with torch.no_grad():
        assert_outputs(model.eval()(inputs(SEED, 3)), recording, "after/", 2e-3)  # as far as processors differ after four such steps
    assert_norms(model, recording)


def assert_norms(model, recording):
    ours = {name: value.norm().item() for name, value in model.state_dict().items()}
    for key in (k for k in recording if k.startswith("after_norm/")):
        theirs = key.removeprefix("after_norm/")
        if UNUSED.match(theirs):
            continue
        ((name, _),) = released._renamed({theirs: np.zeros(1)}).items()
        # a softmax over snippets does not see its bias: that gradient is rounding, which Adam's first steps make as large as any
        tolerance = 6e-4 if name == "temporal_attention.layer.bias" else 1e-4
        assert ours[name] == pytest.approx(float(recording[key]), rel=tolerance), name


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


def authors_file(path, state, **more):
    """A file as the released code saves it: model, optimiser, scheduler, and the random states of Python, NumPy and torch."""
    numpy_state = np.random.RandomState(0).get_state()
    content = {
        "model": {name: torch.from_numpy(value) for name, value in state.items()}, "optimizer": {"state": {}, "param_groups": []},
        "scheduler": {"step_size": 6, "last_epoch": 3}, "py_rng_state": random.Random(0).getstate(), "np_rng_state": numpy_state,
        "torch_rng_state": torch.get_rng_state(), "epoch": 3, **more,
    }
    torch.save(content, path)
    return path


@pytest.mark.parametrize("kind", ["pt", "legacy pt", "safetensors"])
def test_checkpoint_files_give_the_recorded_outputs(kind, tmp_path, recording):
    state = parameters("released")
    if kind == "safetensors":
        path = tmp_path / "model.safetensors"
        save_file({name: torch.from_numpy(value) for name, value in state.items()}, path)
    else:
        path = authors_file(tmp_path / "model.pt", {f"module.{n}": v for n, v in state.items()} if "legacy" in kind else state)
    run = released.load_checkpoint(path)
    for cross in (True, False):
        with torch.no_grad():
            assert_outputs(run.model(inputs(SEED, 3), cross_attention=cross), recording, "cross/" if cross else "self/", 1e-5)
    assert run.config == presets["released"]
    assert run.thresholds.to_dict()["video"]["visual"]["Speech"] == 0.7
    assert (run.thresholds.video[0] == 0.45).all() and (run.thresholds.snippet == 0.25).all()


def test_old_numpy_names_load(tmp_path):
    """Files of 2023 name numpy.core, which NumPy 2 calls numpy._core."""
    path = authors_file(tmp_path / "model.pt", parameters("released"))
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(tmp_path / "old.pt", "w") as target:
        for item in source.infolist():
            target.writestr(item, source.read(item).replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    with zipfile.ZipFile(tmp_path / "old.pt") as old:
        assert b"numpy.core.multiarray" in old.read("model/data.pkl")
    assert released.load_checkpoint(tmp_path / "old.pt").best_epoch == 0


class Bomb:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def test_no_pickle_is_executed(tmp_path):
    marker = tmp_path / "marker"
    path = authors_file(tmp_path / "model.pt", parameters("jomold"), extra=Bomb(marker))
    with pytest.raises(InputError, match="never run"):
        released.load_checkpoint(path, "jomold")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:5000]), "damaged"),
        (lambda p: p.write_bytes(b""), "damaged"),
        (lambda p: p.write_text("not a checkpoint"), "damaged"),
        (lambda p: p.unlink(), "is missing"),
        (lambda p: torch.save([1, 2], p), "no parameters by name"),
        (lambda p: torch.save({"model": {"a": 3}}, p), "no parameters under 'model'"),
    ],
)
def test_broken_checkpoint_files_are_named(spoil, message, tmp_path):
    path = authors_file(tmp_path / "model.pt", {"fc_prob.weight": np.zeros((2, 2), np.float32)})
    spoil(path)
    with pytest.raises(InputError, match=message):
        released.load_checkpoint(path)


def fake_llp(folder, shared_lists, videos=4):
    """A few test videos of LLP in the published layout, with random features of the published shapes."""
    rows = (shared_lists / "AVVP_test_pd.csv").read_text().splitlines()[: videos + 1]
    folder.mkdir()
    (folder / "AVVP_test_pd.csv").write_text("\n".join(rows) + "\n")
    for name in ("AVVP_val_pd.csv", "AVVP_eval_audio.csv", "AVVP_eval_audio_2020.csv", "AVVP_eval_visual.csv"):
        shutil.copy(shared_lists / name, folder)
    rng = np.random.default_rng(0)
    for stream, shape in (("vggish", (10, 128)), ("res152", (80, 2048)), ("r2plus1d_18", (10, 512))):
        (folder / "feats" / stream).mkdir(parents=True)
        for row in rows[1:]:
            np.save(folder / "feats" / stream / f"{row[:11]}.npy", rng.random(shape, np.float32))
    return folder


def test_evaluate_released_prints_both_lists_beside_table_2(tmp_path, shared, capsys):
    folder = fake_llp(tmp_path / "llp", shared / "data" / "llp")
    checkpoint = authors_file(tmp_path / "model.pt", parameters("released"))
    assert cli.main(["evaluate", "--released", str(checkpoint), "--data", str(folder), "--json", str(tmp_path / "t.json")]) == 0
    text = capsys.readouterr().out
    for expected in ("the authors' model.pt, 2024 corrected list", "the authors' model.pt, 2020 list", "64.2", "55.7", "predict nothing"):
        assert expected in text
    table = json.loads((tmp_path / "t.json").read_text())
    expected = evaluate(released.load_checkpoint(checkpoint), load(folder, "test"))["segment"]["audio"]
    assert table["the authors' model.pt, 2024 corrected list"]["segment/audio"] == pytest.approx(expected)
    (folder / "AVVP_eval_audio_2020.csv").unlink()
    assert cli.main(["evaluate", "--released", str(checkpoint), "--data", str(folder)]) == 0
    assert "Not evaluated with the 2020 list" in capsys.readouterr().out
