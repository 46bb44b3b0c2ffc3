"""The released code's differences: the same weights under changed fields, and what changes."""

import math

import pytest
import torch

from cmpae_toolkit.config import JOMOLD, Config, DataSpec, StreamSpec
from cmpae_toolkit.model import CMPAE
from cmpae_toolkit.studies import differences
from cmpae_toolkit.studies.ablations import DIFFERENCES

SPEC = DataSpec(("dog", "cat", "car"), 4, {"audio": StreamSpec(5, 1, "audio"), "frames": StreamSpec(6, 2, "visual")})


@pytest.fixture
def model():
    torch.manual_seed(0)
    return CMPAE(Config(width=8), SPEC).eval()


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    features = {"audio": torch.randn(6, 4, 5, generator=generator), "frames": torch.randn(6, 8, 6, generator=generator)}
    return features, (torch.rand(6, 3, generator=generator) > 0.5).float()


def test_same_weights(model, batch):
    state = torch.get_rng_state()
    twin, pooled = differences.same_weights(model), differences.same_weights(model, pooling="logits")
    assert torch.equal(torch.get_rng_state(), state) and not twin.training
    with torch.no_grad():
        out, same, other = (m(batch[0]) for m in (model, twin, pooled))
    assert torch.equal(out.video.probability, same.video.probability)
    assert torch.equal(out.snippet.probability, other.snippet.probability)
    assert not torch.equal(out.video.probability, other.video.probability)


def test_new_parameters_are_the_same_each_time(model):
    a, b = (differences.same_weights(model, separate_attention=True).temporal_attention.layer.weight for _ in range(2))
    assert torch.equal(a, b) and a.shape == (6, 8)


def test_gradient_norm():
    w, unused = torch.ones(4, requires_grad=True), torch.ones(2, requires_grad=True)
    loss = (3 * w).sum()
    assert differences.gradient_norm(loss, [w, unused]) == pytest.approx(math.sqrt(4 * 3**2))
    assert differences.gradient_norm(loss, [unused]) == 0
    layer = torch.nn.Linear(1, 1)
    assert differences.gradient_norm(layer(torch.full((1, 1), 2.0)).sum(), layer) == pytest.approx(math.sqrt(2**2 + 1))


def test_effects(model, batch):
    model.train()
    table = differences.effects(model, *batch, {"nothing": {}, **DIFFERENCES})
    assert model.training and list(table.index) == ["nothing", *DIFFERENCES]
    assert table.loc["nothing"].tolist() == pytest.approx([1, 1, 0, 1, 0])
    forward = table["factor on ê"] > 1
    assert set(table.index[forward]) == set(list(DIFFERENCES)[:6])
    assert table.loc["additive selector", "factor on e"] == 1 < table.loc["additive selector", "factor on ê"]
    assert table.loc["loss weights 2, 0.6, 0.6", "cosine"] < 1 and table.loc["loss weights 2, 0.6, 0.6", "mean |Δp|"] == 0
    assert set(table.index[table["new tensors"] > 0]) == {"attention of its own for absence", "sigmoid joint branch"}


def test_effects_without_evidence(model, batch):
    row = differences.effects(model, *batch, {"sigmoid heads": JOMOLD}).loc["sigmoid heads"]
    assert math.isnan(row["factor on e"]) and row["mean |Δp|"] > 0
