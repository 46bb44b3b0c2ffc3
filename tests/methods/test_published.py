"""What papers and authors' code say of each method, value by value: defaults, first weights, and what no recording shows."""

import pytest
import torch
from torch.nn import functional as F

from cmpae_toolkit import losses
from cmpae_toolkit.config import DataSpec, StreamSpec
from cmpae_toolkit.method import Batch, Moment
from cmpae_toolkit.methods import coleaf, get, valor
from cmpae_toolkit.methods.avsdn_parsing import DualResidual
from cmpae_toolkit.methods.psp import Propagation

SPEC = DataSpec(("A", "B"), 5, {"sound": StreamSpec(4, 1, "audio"), "picture": StreamSpec(6, 2, "visual")})
PUBLISHED = {
    "avel": dict(batch_size=64, clip_gradient=None),
    "psp": dict(learning_rate=1e-3, decay=0.8, batch_size=128, epochs=300),
    "cmran": dict(learning_rate=5e-4, batch_size=32, epochs=200, clip_gradient=0.5),
    "cmbs": dict(learning_rate=6e-4, batch_size=64, epochs=200, clip_gradient=0.5),
    "ma": dict(learning_rate=3e-4, decay=0.1, decay_epochs=10, batch_size=16, epochs=12, gate="modality"),
    "mm_pyramid": dict(learning_rate=1e-4, decay=0.1, decay_epochs=10, batch_size=16, epochs=40, gate="joint"),
    "valor": dict(
        optimizer="adamw", betas=(0.5, 0.999), weight_decay=1e-3, clip_gradient=1.0, batch_size=64, schedule="cosine", warm_up_epochs=10,
        epochs=60, learning_rate=1e-4, gate="joint",
    ),
    "cvcms": dict(learning_rate=7e-5, batch_size=64, decay=0.5, decay_epochs=7, epochs=40, attention_dropout=0.4, smoothing_epochs=2),
    "leap": dict(learning_rate=1e-4, batch_size=32, decay=0.1, decay_epochs=10, epochs=30, gate="joint"),
    "uwav": dict(
        optimizer="adamw", betas=(0.9, 0.999), weight_decay=1e-4, clip_gradient=1.0, batch_size=64, schedule="cosine", warm_up_epochs=10,
        epochs=80, mix_concentration=1.7, gate="joint",
    ),
    "coleaf": dict(
        learning_rate=5e-4, batch_size=128, decay=0.25, decay_epochs=6, epochs=10, audio_video_threshold=0.52, visual_video_threshold=0.52,
        snippet_threshold=0.25, inference_self_share=0.3,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_defaults_are_the_published_ones(name):
    config = get(name).Config()
    assert {field: getattr(config, field) for field in PUBLISHED[name]} == PUBLISHED[name]


def test_layers_start_as_copies():
    """MM-Pyramid's feed-forward layers and fusions, VALOR's layers, the layers of DHHN's teachers."""
    pyramid = get("mm_pyramid")(get("mm_pyramid").Config().adopting(width=16), SPEC).hybrid_attention
    layers = [layer for unit in pyramid.units for layer in (*(side.layer for side in unit.sides.values()), unit.cross)]
    assert all(torch.equal(layer.linear1.weight, layers[0].linear1.weight) for layer in layers)
    assert all(torch.equal(layer.linear2.weight, layers[0].linear2.weight) for layer in layers)
    stack = get("valor")(get("valor").Config(**valor.PLUS).adopting(width=16), SPEC).hybrid_attention
    teachers = get("dhhn")(get("dhhn").Config().adopting(width=16), SPEC).teachers
    for copies in (stack, teachers["visual"].layers, [f.layer for f in pyramid.fusion.values()]):
        assert len(copies) > 1
        for name, value in copies[0].state_dict().items():
            assert all(torch.equal(other.state_dict()[name], value) for other in copies), name


def batch(**targets):
    torch.manual_seed(0)
    features = {"sound": torch.randn(3, 5, 4), "picture": torch.randn(3, 10, 6)}
    return Batch(features, torch.tensor([[1.0, 0], [1, 1], [0, 1]]), targets=targets)


def test_cvcms_smooths_the_pictures_labels_in_two_epochs_and_never_their_union():
    model = get("cvcms")(get("cvcms").Config().adopting(width=16), SPEC).eval()
    left = torch.tensor([[[1.0, 0], [0, 0]], [[0, 1], [1, 1]], [[0, 1], [0, 1]]])
    given = batch(modality_label=left)
    answer = model(given.features)
    for epoch in (1, 2, 3):
        named = model.losses(given, Moment(epoch, 0, 1))
        wanted = 0.9 * left[:, 1] + 0.05 if epoch < 3 else left[:, 1]
        expected = {
            "audio": losses.binary_cross_entropy(answer.video.probability[:, 0], left[:, 0]),
            "visual": losses.binary_cross_entropy(answer.video.probability[:, 1], wanted),
            "joint": losses.binary_cross_entropy(answer.joint.probability, left.amax(1)),
        }
        for name, value in expected.items():
            torch.testing.assert_close(named[name], value.mean(), msg=f"{name}, epoch {epoch}")


def test_coleafs_references_learn_alone_at_first():
    """Epochs 1 to 3: answer and 1.2 (sound) or 1 (picture) times the tokens; later 0.5, 0.001 or 0, and 0.5 of what the anchor found.

    The references teach from the second epoch on.
    """
    model = get("coleaf")(get("coleaf").Config().adopting(width=16), SPEC).eval()
    given = batch()
    tensors = model.as_tensors(given.features)
    wanted = torch.stack([given.weak_label, 0.9 * given.weak_label + 0.05], dim=1)
    anchor = model(given.features).video.probability
    for epoch in (1, 3, 4):
        named = model.losses(given, Moment(epoch, 0, 1))
        weights = {"audio": (1, 1.2, 0), "visual": (1, 1, 0)} if epoch < 4 else {"audio": (0.5, 0.001, 0.5), "visual": (0.5, 0, 0.5)}
        for m, modality in enumerate(("audio", "visual")):
            probability, tokens = model.references[modality](tensors)[:2]
            parts = coleaf.reference_losses(probability, tokens, anchor, wanted, m)
            expected = sum(weight * part for weight, part in zip(weights[modality], parts, strict=True))
            torch.testing.assert_close(named[f"{modality}_reference"], expected, msg=f"{modality}, epoch {epoch}")
        assert ("audio_guidance" in named) == ("visual_agreement" in named) == (epoch > 1)


def test_psp_divides_by_the_root_of_the_width():
    """It cancels in the rows' sums but for their 1e-8, which matters where matches are as small as that."""
    layer = Propagation(16, dropout=0.0, cut=0.0)
    match = torch.full((1, 2, 2), 1e-8)
    torch.testing.assert_close(layer.weights(match, None, 1), torch.full((1, 2, 2), 1 / 3))
    for part in (*layer.compared, *layer.passed):
        torch.nn.init.eye_(part.weight)
    layer.norm, x = torch.nn.Identity(), torch.zeros(1, 2, 1, 16)
    x[..., 0] = 2e-4  # a product of 4e-8, over the root of 16 as large as the 1e-8 that is added to the sum
    torch.testing.assert_close(layer(x)[..., 0], torch.full((1, 2, 1), 2e-4 * 1.5))


def test_avsdns_residuals_by_hand():
    layer = DualResidual(2)
    for linear in (layer.audio, layer.visual):
        torch.nn.init.eye_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
    audio, visual = torch.tensor([[0.2, -1.0]]), torch.tensor([[0.4, 2.0]])
    together = torch.tensor([[0.3, 0.5]])
    torch.testing.assert_close(layer(audio, visual), ((audio + together).tanh() + (visual + together).tanh()) / 2)


@pytest.mark.parametrize("name", ["avel_parsing", "avsdn_parsing"])
def test_a_video_is_its_highest_snippet_in_the_ideas_from_ave(name):
    model = get(name)(get(name).Config().adopting(width=16, lstm_width=8, hidden_width=8), SPEC).eval()
    given = batch()
    answer = model(given.features)
    assert torch.equal(answer.video.probability, answer.snippet.probability.amax(2))
    named = model.losses(given, Moment(1, 0, 1))
    smoothed = 0.9 * given.weak_label + 0.05
    torch.testing.assert_close(named["visual"], losses.binary_cross_entropy(answer.video.probability[:, 1], smoothed).mean())
    torch.testing.assert_close(named["joint"], losses.binary_cross_entropy(answer.joint.probability, given.weak_label).mean())


def test_the_idea_of_cmbs_by_its_parts():
    """Gates reach into the features by alpha; the joint answer is weighed by twice gamma times the modalities' own scores."""
    model = get("cmbs_parsing")(get("cmbs_parsing").Config().adopting(width=16), SPEC).eval()
    x = torch.randn(3, 2, 5, 16)
    gated = model.hybrid_attention(x)
    encoded, queried = model.hybrid_attention.encoder(x.unbind(1), None, True)
    gates = torch.stack([gate(encoded[:, m]) for m, gate in enumerate(model.hybrid_attention.gates)], dim=1).sigmoid()
    torch.testing.assert_close(gated, queried * (0.8 + 0.2 * gates))
    given = batch()
    before = model(given.features)
    model.config = model.config.changed(gamma=0.0)
    after = model(given.features)
    assert torch.equal(before.snippet.probability, after.snippet.probability)
    attention = before.attention
    weight = attention * F.softmax(model.modality_attention(model.hybrid_attention(model.embed(given.features))), dim=1)
    torch.testing.assert_close(after.joint.probability, (weight * 0.5).flatten(1, 2).sum(1))  # no score: a sigmoid of 0
