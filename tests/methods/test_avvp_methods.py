"""LLP's other methods against recordings of their authors' code (golden/), and what each does to the labels."""

import gzip
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from recipe import GOLDEN, SEED, golden, inputs

from cmpae_toolkit import losses, released
from cmpae_toolkit.batches import autocast
from cmpae_toolkit.config import DataSpec, StreamSpec
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.method import Batch, Moment
from cmpae_toolkit.methods import coleaf, cvcms, dhhn, get, leap, ma, snippet_labels, uwav, valor

SHARED = Path(__file__).resolve().parents[3] / "shared"
SCALE = {"mm_pyramid": 0.7, "leap": 0.9}  # of the recipe's matrices; 1 for DHHN's three networks
SMALL = DataSpec(("A", "B"), 5, {"a": StreamSpec(4, 1, "audio"), "v": StreamSpec(4, 1, "visual")})


@pytest.fixture(scope="module")
def recordings():
    """Recorded values and the shapes of the authors' parameters: golden numbers, and where shared/ is beside, the snippets' too."""
    values = dict(golden("avvp"))
    shapes = json.loads(gzip.decompress((GOLDEN / "avvp_state_shapes.json.gz").read_bytes()))
    for part in ("avvp", "avvp_more"):
        if (SHARED / "parity").is_dir():
            values |= dict(np.load(SHARED / "parity" / f"{part}_visible.npz"))
    return values, shapes


def parameters(shapes, name):
    """Section 0.2's recipe: every parameter from its own name."""
    scale = SCALE.get(name, 1.0 if name.startswith("dhhn") else 1.5)
    state = {}
    for key, shape in sorted(shapes[name].items()):
        x = np.random.default_rng([SEED, zlib.crc32(key.encode())]).standard_normal(shape)
        if len(shape) >= 2:
            x = x * scale / np.sqrt(np.prod(shape[1:]))
        elif key.endswith("running_var"):
            x = np.exp(0.1 * x)
        elif key.endswith("weight"):
            x = 1 + 0.1 * x
        else:
            x = 0.1 * x
        state[key] = x.astype(np.float32)
    return state


def batch_of(model, targets=(), **more):
    """The recipe's batch of 8 videos; `targets` names those of "snippet_label" and "modality_label" that are to be there."""
    t = SEED * 100 + 1
    weak = np.random.default_rng([t, 8]).random((8, 25)) < 0.12
    weak[np.arange(8), np.arange(8)] = True
    made = {}
    if "snippet_label" in targets:
        rng = np.random.default_rng([t, 9])
        made["snippet_label"] = np.stack([(rng.random((8, 10, 25)) < 0.5) & weak[:, None] for _ in range(2)], axis=1)
    if "modality_label" in targets:
        rng = np.random.default_rng([t, 13])
        made["modality_label"] = np.stack([weak * (rng.random((8, 25)) < 0.7) for _ in range(2)], axis=1)
    tensors = {n: torch.tensor(x, dtype=torch.float32) for n, x in made.items()}
    return Batch(model.as_tensors(inputs(t, 8) | more), torch.tensor(weak, dtype=torch.float32), targets=tensors)


def assert_outputs(evidence, values, prefix):
    ours = {"joint": evidence.joint.probability, "audio": evidence.video.probability[:, 0], "visual": evidence.video.probability[:, 1]}
    if f"{prefix}snippet_probability" in values:
        ours["snippet"] = evidence.snippet.probability.transpose(1, 2)
    for name, value in ours.items():
        np.testing.assert_allclose(value, values[f"{prefix}{name}_probability"], atol=1e-5, err_msg=f"{prefix}{name}")


def assert_losses(model, named, values, prefix, order):
    """The named losses in the recording's order, within 1e-5, and the norm of their weighted sum's gradient within 1e-4."""
    np.testing.assert_allclose([named[n].item() for n in order], values[f"{prefix}losses"], rtol=1e-5, err_msg=prefix)
    model.zero_grad()
    losses.total(named, model.config).backward()
    assert gradient_norm(model) == pytest.approx(float(values[f"{prefix}grad_norm"]), rel=1e-4)


def still(model):
    """The model in training mode with every dropout rate 0, as it was recorded."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "dropout", None), float):  # of attention weights
            module.dropout = 0.0
    return model.train()


def gradient_norm(module):
    return torch.stack([p.grad.norm() for p in module.parameters() if p.grad is not None]).norm().item()


def loaded(recordings, name):
    return released.load_state_dict(parameters(recordings[1], name), name)


# ---- MA ------------------------------------------------------------------------------------------------------------------------


def test_ma_is_the_authors_code(recordings):
    values, model = recordings[0], loaded(recordings, "ma")
    with torch.no_grad():
        evidence = model(inputs(SEED, 3))
    assert_outputs(evidence, values, "ma/")
    similarity = losses.snippet_similarity(evidence.features).flatten(0, 1)
    np.testing.assert_allclose(similarity, values["ma/similarity"], atol=1e-5)
    named = still(model).losses(batch_of(model), Moment(1, 0, 1))
    assert_losses(model, named, values, "ma/", ("audio", "visual", "joint", "contrastive"))


def rule_inputs():
    rng = np.random.default_rng([SEED, 21])
    weak = rng.random((200, 25)) < 0.12
    weak[np.arange(200), np.arange(200) % 25] = True
    weak[199], weak[199, 24] = False, True
    own, with_picture, with_sound = (np.stack([np.float32(rng.random((200, 25))) ** 2 for _ in "av"], axis=1) for _ in range(3))
    own[:, :, 4] = weak[:, None, 4]
    return [torch.tensor(x, dtype=torch.float32) for x in (weak, own, with_picture, with_sound)]


def test_ma_removes_the_authors_labels(recordings):
    values = recordings[0]
    weak, own, with_picture, with_sound = rule_inputs()
    rates = ma.error_rates(own, weak)
    gone = ma.removed(weak, rates, with_picture, with_sound)
    for m, modality in enumerate(("audio", "visual")):
        np.testing.assert_allclose(rates[m], values[f"ma/rule/error_rate_{modality}"], atol=1e-7)
        assert np.array_equal(gone[:, m], values[f"ma/rule/removed_{modality}"])
    assert not gone[:, :, 4].any()  # no error, nothing removed
    model = loaded(recordings, "ma")
    batch = Batch({"audio": weak}, weak, targets={ma.LABEL: weak.unsqueeze(1) * ~gone})
    made = ma.refined(ma.labels.training_labels(weak, model.config), batch)
    np.testing.assert_allclose(made[:, 0], values["ma/rule/audio_label"], atol=1e-7)
    np.testing.assert_allclose(made[:, 1], values["ma/rule/visual_label"], atol=1e-7)
    for reading, expected in (("audio", values["ma/rule/joint_label"]), ("weak", weak)):
        np.testing.assert_array_equal(ma.joint_target(batch, reading), expected)


def test_ma_exchanges_with_videos_that_share_no_category(tiny):
    train_set = tiny[0]
    partner = ma.partners(train_set, 0)
    weak = train_set.weak_labels > 0.5
    found = partner >= 0
    assert found.sum() > 50 and not (weak[found] & weak[partner[found]]).any()
    assert not (ma.partners(train_set, 1) == partner).all()
    other = train_set.subset(np.where(found, partner, 0))
    swapped = ma.mixed(train_set, other, "visual")
    assert swapped.features["audio"] is train_set.features["audio"] and swapped.features["clip"] is other.features["clip"]
    whole = train_set.subset(np.arange(3))
    everything = ma.replace(whole, weak_labels=np.ones_like(whole.weak_labels))
    assert (ma.partners(everything, 0) == -1).all()
    nothing = torch.zeros(3, 2, len(whole.categories))  # finds nothing at all; yet who has no partner keeps the labels
    assert torch.equal(ma.exchanged_labels(lambda _: nothing, everything, 0), torch.ones_like(nothing))


# ---- MM-Pyramid ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ma", "mm_pyramid", "dhhn", "cvcms"])
def test_the_losses_learn_from_the_exchanged_labels(name):
    """With no label left to the sound its loss is that of a sound without events, and so is that of DHHN's teacher."""
    model = get(name)(get(name).Config().adopting(width=16), SMALL)
    features, weak = {n: torch.randn(3, 5, 4) for n in "av"}, torch.ones(3, 2)
    left = torch.stack([torch.zeros(3, 2), weak], dim=1)
    named = model.eval().losses(Batch(features, weak, targets={"modality_label": left}), Moment(9, 0, 1))
    sound = model(features).video.probability[:, 0]
    torch.testing.assert_close(named["audio"], losses.binary_cross_entropy(sound, torch.zeros(3, 2)).mean())
    if name == "dhhn":
        taught = model.teachers["audio"](model.as_tensors(features), None)[0]
        torch.testing.assert_close(named["audio_teacher"], losses.binary_cross_entropy(taught, torch.zeros(3, 2)).mean())


def test_tracks_are_exchanged_only_where_a_video_has_both():
    model = get("mm_pyramid")(get("mm_pyramid").Config().adopting(width=16), SMALL).eval()
    features, valid = {n: torch.randn(2, 5, 4) for n in "av"}, torch.ones(2, 2, 5, dtype=torch.bool)
    valid[1, 0] = False  # the second video has no sound
    plain = model(features, valid=valid)
    model.config = model.config.changed(swap_streams=True)
    exchanged = model(features, valid=valid)
    for ours, theirs in ((exchanged.video, plain.video), (exchanged.snippet, plain.snippet)):
        assert torch.equal(ours.probability[0], theirs.probability[0].flip(0))
        assert torch.equal(ours.probability[1], theirs.probability[1])


def test_mm_pyramid_is_the_authors_code(recordings):
    model = loaded(recordings, "mm_pyramid")
    with torch.no_grad():
        evidence = model(inputs(SEED, 3))
    assert_outputs(evidence, recordings[0], "mm_pyramid/")
    named = still(model).losses(batch_of(model), Moment(1, 0, 1))
    assert_losses(model, named, recordings[0], "mm_pyramid/", ("audio", "visual", "joint"))


# ---- VALOR ---------------------------------------------------------------------------------------------------------------------


def clip_and_clap(seed, videos):
    rng = np.random.default_rng([seed, 11])
    maps, pictures = rng.standard_normal((videos, 64, 768)), rng.standard_normal((videos, 10, 768))
    return {"audio": valor.snippets_of_clap(maps), "frames": np.float32(pictures)}


@pytest.mark.parametrize("name", ["valor", "valor_plus", "valor_plus_plus"])
def test_valor_is_the_authors_code(name, recordings):
    other = clip_and_clap if name == "valor_plus_plus" else lambda *_: {}
    model = loaded(recordings, name)
    with torch.no_grad():
        evidence = model(inputs(SEED, 3) | other(SEED, 3))
    assert_outputs(evidence, recordings[0], f"{name}/")
    batch = batch_of(model, ["snippet_label"], **other(SEED * 100 + 1, 8))
    assert_losses(model, still(model).losses(batch, Moment(1, 0, 1)), recordings[0], f"{name}/", ("joint", "audio", "visual"))


def test_valors_learning_rates(recordings):
    model = loaded(recordings, "valor")
    rates = [model.learning_rate(epoch) for epoch in range(1, 61)]
    np.testing.assert_allclose(rates, recordings[0]["valor/learning_rates"], rtol=1e-12)
    group = model.optimizer().param_groups[0]
    assert group["betas"] == (0.5, 0.999) and group["weight_decay"] == 1e-3


def test_snippet_labels_are_read_and_wrong_files_named(tiny, tmp_path):
    train_set = tiny[0].subset(np.arange(2))
    for modality in ("audio", "visual"):
        (tmp_path / modality).mkdir()
        for name in train_set.ids:
            np.save(tmp_path / modality / f"{name}.npy", np.full((10, len(train_set.categories)), 0.25))
    assert (snippet_labels.read_snippet_labels(tmp_path, train_set) == 0.25).all()
    short = ma.replace(train_set, lengths=np.array([4, 10]), present=np.array([[True, True], [False, True]]))
    (tmp_path / "audio" / f"{train_set.ids[1]}.npy").unlink()
    made = snippet_labels.read_snippet_labels(tmp_path, short)
    assert not made[0, :, 4:].any() and not made[1, 0].any() and made[1, 1].all()
    with pytest.raises(InputError, match=train_set.ids[1]):
        snippet_labels.read_snippet_labels(tmp_path, train_set)
    np.save(tmp_path / "visual" / f"{train_set.ids[0]}.npy", np.full((10, len(train_set.categories)), 3.0))
    with pytest.raises(InputError, match="must hold labels"):
        snippet_labels.read_snippet_labels(tmp_path, short)
    with pytest.raises(InputError, match="set snippet_labels"):
        snippet_labels.read_snippet_labels("", train_set)


# ---- CVCMS ---------------------------------------------------------------------------------------------------------------------


def test_cvcms_is_the_authors_code(recordings, monkeypatch):
    model = loaded(recordings, "cvcms")
    with torch.no_grad():
        evidence = model(inputs(SEED, 3))
    assert_outputs(evidence, recordings[0], "cvcms/")
    monkeypatch.setattr(cvcms, "others_of_batch", lambda count, device: (torch.arange(count) + 1) % count)
    seen = []
    monkeypatch.setattr(cvcms, "cross_video_contrast", lambda s, *rest, f=cvcms.cross_video_contrast: (seen.append(s), f(s, *rest))[1])
    named = still(model).losses(batch_of(model, ["modality_label"]), Moment(3, 0, 1))
    np.testing.assert_allclose(seen[0].detach(), recordings[0]["cvcms/similarity"], atol=1e-5)
    assert_losses(model, named, recordings[0], "cvcms/", ("audio", "visual", "joint", "contrastive"))
    assert "contrastive" not in model.losses(batch_of(model), Moment(2, 0, 1))


def test_cvcms_borrows_from_others():
    torch.manual_seed(0)
    drawn = torch.stack([cvcms.others_of_batch(5, "cpu") for _ in range(200)])
    assert not (drawn == torch.arange(5)).any() and len(drawn[:, 0].unique()) == 4


# ---- DHHN ----------------------------------------------------------------------------------------------------------------------


def dhhn_model(recordings):
    parts = {"dhhn_hcmn": "", "dhhn_audio_net": "audio_net.", "dhhn_video_net": "video_net."}
    state = {prefix + key: value for name, prefix in parts.items() for key, value in parameters(recordings[1], name).items()}
    return released.load_state_dict(state, "dhhn")


def test_dhhn_is_the_authors_code(recordings):
    values, model = recordings[0], dhhn_model(recordings)
    with torch.no_grad():
        evidence = model(inputs(SEED, 3))
        taught = [teacher(model.as_tensors(inputs(SEED, 3))) for teacher in model.teachers.values()]
    assert_outputs(evidence, values, "dhhn/")
    for name, (video, snippet) in zip(("audio", "video"), taught, strict=True):
        np.testing.assert_allclose(video, values[f"dhhn/{name}_net/video_probability"], atol=1e-5)
        recorded = values.get(f"dhhn/{name}_net/snippet_probability", snippet)
        np.testing.assert_allclose(snippet, recorded, atol=1e-5)
    alone = released.load_state_dict(parameters(recordings[1], "dhhn_hcmn"), "dhhn")
    with torch.no_grad():
        assert_outputs(alone(inputs(SEED, 3)), values, "dhhn/")


def test_dhhns_losses_are_the_authors(recordings):
    values, model = recordings[0], still(dhhn_model(recordings))
    named = model.losses(batch_of(model), Moment(1, 0, 1))
    order = ("audio", "visual", "joint", "audio_imitation", "visual_imitation", "difference", "audio_teacher", "visual_teacher",
             "teacher_difference")
    np.testing.assert_allclose([named[n].item() for n in order], values["dhhn/losses"], rtol=1e-5)
    losses.total(named, model.config).backward()
    norms = [gradient_norm(teacher) for teacher in model.teachers.values()]
    norms.insert(0, (gradient_norm(model) ** 2 - sum(n**2 for n in norms)) ** 0.5)
    np.testing.assert_allclose(norms, values["dhhn/grad_norm"], rtol=1e-4)


def test_dhhns_teachers_take_their_share_of_the_rate():
    torch.manual_seed(0)
    spec = DataSpec(("A", "B"), 10, {"audio": StreamSpec(4, 1, "audio"), "frames": StreamSpec(4, 2, "visual")})
    model = dhhn.DHHN(dhhn.DHHNConfig(width=8, **dhhn.WEAK), spec)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    optimizer = model.optimizer()
    for p in model.parameters():
        p.grad = torch.ones_like(p)  # Adam's first step is then as long as the rate
    optimizer.step()
    steps = {n: (before[n] - p).abs().max().item() for n, p in model.named_parameters()}
    for prefix, share in (("classifier.", 1), ("teachers.audio.", 2), ("teachers.visual.", 0.2)):
        assert all(step == pytest.approx(share * 3e-4, rel=1e-3) for n, step in steps.items() if n.startswith(prefix))
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([3e-4] * 3)


# ---- LEAP ----------------------------------------------------------------------------------------------------------------------


def test_leap_is_the_authors_code(recordings):
    vectors = np.random.default_rng([SEED, 12]).standard_normal((25, 300)).astype(np.float32)
    model = released.load_state_dict(parameters(recordings[1], "leap") | {"label_vectors": vectors}, "leap")
    with torch.no_grad():
        evidence = model(inputs(SEED, 3))
    assert_outputs(evidence, recordings[0], "leap/")
    named = still(model).losses(batch_of(model, ["snippet_label"]), Moment(1, 0, 1))
    order = ("audio", "visual", "joint", "visual_snippet", "audio_snippet", "similarity")
    assert_losses(model, named, recordings[0], "leap/", order)


def test_leaps_targets_by_hand():
    wanted = torch.zeros(1, 2, 2, 3)
    wanted[0, 0, 0, :2] = wanted[0, 1, 0, 1:] = wanted[0, 1, 1, 0] = 1  # sounds: {0, 1}, none; pictures: {1, 2}, {0}
    torch.testing.assert_close(leap.iou(wanted), torch.tensor([[[1 / 3, 1 / 2], [0, 0]]]))
    torch.testing.assert_close(leap.product(wanted), torch.tensor([[[1 / 3 + 0.01, 1 / 3 + 0.01], [0.01, 0.01]]]))


def test_leaps_union_opens_at_the_configs_thresholds():
    model = get("leap")(get("leap").Config(audio_video_threshold=0.0, visual_video_threshold=1.0).adopting(width=16), SMALL).eval()
    features = {n: torch.randn(3, 5, 4) for n in "av"}
    assert (model(features).joint.probability == 1).all()
    model.config = model.config.changed(audio_video_threshold=1.0)
    assert (model(features).joint.probability == 0).all()


def test_leaps_label_vectors(tmp_path):
    (tmp_path / "glove.txt").write_text("dog 1 0\ncar 0 2\nred 0 4\n")
    vectors = leap.vectors_of_names(tmp_path / "glove.txt", ["Dog", "Red_car"])
    assert vectors.tolist() == [[1, 0], [0, 3]]
    with pytest.raises(InputError, match="no word of Cat"):
        leap.vectors_of_names(tmp_path / "glove.txt", ["Dog", "Cat"])
    np.save(tmp_path / "names.npy", vectors)
    config = leap.LEAPConfig(label_vectors=str(tmp_path / "names.npy"), label_width=2)
    assert torch.equal(leap.name_vectors(config, ["Dog", "Red_car"]), torch.tensor(vectors))
    with pytest.raises(InputError, match="each of the 3"):
        leap.name_vectors(config, ["Dog", "Red_car", "Cat"])


# ---- UWAV ----------------------------------------------------------------------------------------------------------------------


def test_uwavs_student_is_the_authors_code(recordings, monkeypatch):
    values, model = recordings[0], loaded(recordings, "uwav")
    with torch.no_grad():
        assert_outputs(model(inputs(SEED, 3)), values, "uwav/")
    plain = batch_of(model, ["snippet_label"])
    rng = np.random.default_rng([SEED * 100 + 1, 10])
    logits = [torch.tensor(2 * rng.standard_normal((8, 10, 25)), dtype=torch.float32) for _ in range(2)]
    thresholds = [torch.tensor(rng.standard_normal(25), dtype=torch.float32) for _ in range(2)]
    thresholds[0][4] = -torch.inf
    soft = torch.stack([uwav.soft_labels(z, t, plain.weak_label) for z, t in zip(logits, thresholds, strict=True)], dim=1)
    events = plain.targets["snippet_label"].sum(-1).mean((0, 2))  # recorded with hard labels that are not those of the soft ones
    batch = Batch(plain.features, plain.weak_label, targets={"snippet_label": soft}, constants={"events": events})
    monkeypatch.setattr(uwav, "draw_mixture", lambda count, *_: (torch.tensor(0.3), torch.arange(count).flip(0)))
    mixed = []
    monkeypatch.setattr(model, "mixture", lambda *a, f=model.mixture: (mixed.append(f(*a)), mixed[-1])[1])
    named = still(model).losses(batch, Moment(1, 0, 1))
    ours = [named[n].item() for n in ("joint", "audio", "visual")] + [x.item() for x in mixed]
    np.testing.assert_allclose(ours, values["uwav/losses"], rtol=1e-5)
    losses.total(named, model.config).backward()
    assert gradient_norm(model) == pytest.approx(float(values["uwav/grad_norm"]), rel=1e-4)


def test_uwavs_teachers_threshold_is_the_authors(recordings):
    """Recorded: 300 logits, every fourth outside the weak label; the threshold with the best F, and that F."""
    recorded = recordings[0].get("uwav/teacher/threshold")
    if recorded is None:
        pytest.skip("the recording of a teacher's threshold lies beside the repository only")
    rng = np.random.default_rng([SEED, 15])
    z = rng.standard_normal(300)
    occurs = rng.random(300) < 1 / (1 + np.exp(-1.5 * z))
    inside = np.arange(300) % 4 != 0
    np.testing.assert_allclose(snippet_labels.best_threshold(z[inside], occurs[inside]), recorded, rtol=1e-6)


def test_uwavs_schedule_and_weights():
    spec = DataSpec(("A", "B"), 10, {"audio": StreamSpec(4, 1, "audio"), "frames": StreamSpec(4, 2, "visual")})
    small = dict(width=16, attention_layers=1, feed_forward_width=8, audio_hidden=8)
    model = uwav.UWAV(uwav.UWAVConfig(**small), spec)
    rates = [model.learning_rate(n) for n in (1, 10, 45, 80)]
    np.testing.assert_allclose(rates, [1e-5, 1e-4, (1e-4 + 5e-6) / 2, 5e-6], rtol=1e-12)
    weights = model.balance(torch.tensor([[1.0, 0.0]]), torch.tensor([0.5, 1.0]))
    torch.testing.assert_close(weights, torch.tensor([[[[0.375, 0.25]], [[0.25, 0.5]]]]))


# ---- CoLeaF --------------------------------------------------------------------------------------------------------------------


def coleaf_model(recordings):
    parts = {"coleaf_anchor": "", "coleaf_audio": "audio_net.", "coleaf_visual": "visual_net."}
    state = {prefix + key: value for name, prefix in parts.items() for key, value in parameters(recordings[1], name).items()}
    return released.load_state_dict(state, "coleaf")


def test_coleaf_is_the_authors_code(recordings):
    values, model = recordings[0], coleaf_model(recordings)
    with torch.no_grad():
        for cross in (True, False):
            assert_outputs(model(inputs(SEED, 3), cross_attention=cross), values, f"coleaf/{'cross' if cross else 'self'}/")
        judged = {m: r(model.as_tensors(inputs(SEED, 3))) for m, r in model.references.items()}
    for m, (video, tokens, snippet, _) in judged.items():
        for name, value in (("", video), ("token_", tokens), ("snippet_", snippet)):
            np.testing.assert_allclose(value, values.get(f"coleaf/reference/{m}_{name}probability", value), atol=1e-5)


def test_coleafs_losses_are_the_authors(recordings, monkeypatch):
    values, model = recordings[0], still(coleaf_model(recordings))
    apart, function = [], coleaf.reference_losses
    monkeypatch.setattr(coleaf, "reference_losses", lambda *a: (apart.extend(function(*a)), function(*a))[1])
    named = model.losses(batch_of(model), Moment(4, 0, 2))
    order = ("audio", "visual", "joint", "contrastive", "mutual")
    order += ("audio_agreement", "visual_agreement", "audio_guidance", "visual_guidance")
    np.testing.assert_allclose([named[n].item() for n in order], values["coleaf/losses"], rtol=1e-5)
    np.testing.assert_allclose([x.item() for x in apart], values["coleaf/reference_losses"], rtol=1e-5)
    losses.total(named, model.config).backward()
    norms = [gradient_norm(reference) for reference in model.references.values()]
    for p in model.references.parameters():
        p.grad = None
    np.testing.assert_allclose([gradient_norm(model), *norms], values["coleaf/grad_norm"], rtol=1e-4)
    odd = model.losses(batch_of(model), Moment(4, 1, 2))
    assert odd["mutual"].item() == pytest.approx(float(values["coleaf/mutual_odd"]), rel=1e-5)


# the published rates, epoch by epoch
STEPS = {
    "ma": [3e-4] * 10 + [3e-5] * 2, "mm_pyramid": [1e-4 * 0.1 ** (n // 10) for n in range(40)],
    "cvcms": [7e-5 * 0.5 ** (n // 7) for n in range(40)], "dhhn": [3e-4] * 5, "leap": [1e-4 * 0.1 ** (n // 10) for n in range(30)],
    "coleaf": [5e-4] * 6 + [1.25e-4] * 4,
}


def warm_cosine(rate, lowest, warm_up, epochs):
    """The spec's Warm-cos, from epoch 1."""
    n = np.arange(1, epochs + 1)
    cosine = lowest + (rate - lowest) / 2 * (1 + np.cos(np.pi * (n - warm_up) / (epochs - warm_up)))
    return np.where(n < warm_up, rate * n / warm_up, cosine)


@pytest.mark.parametrize(("name", "fields", "rates"), [
    *((name, {}, rates) for name, rates in STEPS.items()), ("dhhn", dhhn.WEAK, [3e-4] * 10),
    ("valor", valor.PLUS, warm_cosine(3e-4, 3e-6, 10, 60)), ("uwav", {}, warm_cosine(1e-4, 5e-6, 10, 80)),
])
def test_learning_rates(name, fields, rates):
    config = get(name).Config().changed(**fields)
    spec = DataSpec(("A", "B"), 10, {"audio": StreamSpec(4, 1, "audio"), "frames": StreamSpec(4, 2, "visual")})
    model = get(name)(config.adopting(width=16, attention_layers=1, feed_forward_width=8, audio_hidden=8), spec)
    np.testing.assert_allclose([model.learning_rate(n) for n in range(1, config.epochs + 1)], rates, rtol=1e-12)
    assert type(model.optimizer()).__name__.lower() == config.optimizer


# ---- all -----------------------------------------------------------------------------------------------------------------------

FIELDS = {  # every field that a method adds, or has another default for, with another value
    "ma": dict(joint_label="audio", contrastive_weight=0.5),
    "mm_pyramid": dict(attention_heads=4, units=2, dropout=0.5, swap_streams=True),
    "valor": dict(attention_heads=4, attention_layers=2, feed_forward_width=8, visual_smoothing=0.5, audio_smoothing=0.5),
    "cvcms": dict(
        attention_dropout=0.6, class_width=4, class_dropout=0.7, smoothing_epochs=0, contrastive_after=9, contrastive_weight=0.1,
    ),
    "dhhn": dict(teacher_heads=4, teacher_smoothing=0.5, joint_label="audio"),
    "leap": dict(
        encoder="hybrid", attention_heads=4, units=2, dropout=0.5, decoder_layers=1, label_width=8, similarity="product",
        similarity_weight=0.5, visual_smoothing=0.5,
    ),
    "uwav": dict(audio_hidden=4, balance="sum", positive_weight=0.9, mix_concentration=0.2, mix_weight=0.5),
    "coleaf": dict(
        early_epochs=9, agreement_after=9, reference_dropout=0.0, audio_agreement_weight=0.5, visual_agreement_weight=0.5,
        audio_guidance_weight=0.5, visual_guidance_weight=0.5, **coleaf.PAPER,
    ),
}


def first_step(config, mixed_precision=False):
    """The weighted loss of one training batch and the gradient's norm, with all random numbers the same."""
    torch.manual_seed(0)
    spec = DataSpec(("A", "B", "C"), 5, {"audio": StreamSpec(4, 1, "audio"), "frames": StreamSpec(6, 2, "visual")})
    model = get(config.method)(config, spec).train()
    if config.method == "coleaf":  # its references are sure of themselves, and each hears or sees what the other does not
        for reference, bias in zip(model.references.values(), ([5.0, -5, 5], [-5.0, 5, 5]), strict=True):
            reference.classifier.bias.data = torch.tensor(bias)
    weak, wanted = torch.tensor([[1.0, 0, 1], [0, 1, 0], [1, 1, 0]]), torch.rand(3, 2, 5, 3).round()
    targets = {"modality_label": weak.unsqueeze(1) * torch.tensor([[[1.0], [0]], [[0], [1]], [[1], [1]]]), "snippet_label": wanted}
    features = {"audio": torch.randn(3, 5, 4), "frames": torch.randn(3, 10, 6)}
    batch = Batch(features, weak, None, targets, {"events": torch.tensor([0.5, 0.8])})
    with autocast(torch.device("cpu"), mixed_precision):
        named = model.losses(batch, Moment(2 if config.method == "cvcms" else 4, 0, 1))
        loss = losses.total(named, config)
    loss.backward()
    return loss.item(), gradient_norm(model)


@pytest.mark.parametrize(("name", "field"), [(name, field) for name, fields in FIELDS.items() for field in fields])
def test_every_own_field_matters(name, field):
    base = get(name).Config().adopting(width=16, contrastive_after=1)
    assert first_step(base.changed(**{field: FIELDS[name][field]})) != pytest.approx(first_step(base), rel=1e-6)


@pytest.mark.parametrize("name", FIELDS)
def test_a_step_in_bfloat16_is_finite(name):
    """Where probabilities of 1 are not told from those that the losses keep away from 1, a logarithm is infinite."""
    assert np.isfinite(first_step(get(name).Config().adopting(width=16, contrastive_after=1), mixed_precision=True)).all()


@pytest.mark.parametrize("name", FIELDS)
def test_data_without_a_modality_are_refused(name):
    with pytest.raises(InputError, match="at least one of each modality"):
        get(name)(get(name).Config(), DataSpec(("A", "B"), 10, {"audio": StreamSpec(4, 1, "audio")}))
