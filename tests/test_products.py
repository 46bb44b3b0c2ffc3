"""Wide layers by oneDNN are `F.linear`, its gradients too; nothing narrow takes that way."""

import contextlib

import pytest
import torch
from torch.nn import functional as F

from benchmarks import stages
from cmpae_toolkit import _products
from cmpae_toolkit.config import presets
from cmpae_toolkit.method import Batch, Moment
from cmpae_toolkit.methods import get

pytestmark = pytest.mark.skipif(not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this PyTorch has no oneDNN")


def made(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("inner", [512, 2048])  # below and above LARGE
@pytest.mark.parametrize("with_bias", [True, False])
def test_wide_layers_and_their_gradients(inner, with_bias):
    x, weight, bias = made(2, 3, inner), made(512, inner, seed=1) / 30, made(512, seed=2) if with_bias else None
    results = []
    for product in (F.linear, _products.linear):
        given = [None if t is None else t.clone().requires_grad_() for t in (x, weight, bias)]
        y = product(*given)
        y.sin().sum().backward()
        results.append([y.detach(), *(t.grad for t in given if t is not None)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("large", [1, 10**9])  # both ways to the gradient of the weights
def test_gradients_in_double(large, monkeypatch):
    """The formulas alone, on a product that knows float64."""
    monkeypatch.setattr(_products, "_product", F.linear)
    monkeypatch.setattr(_products, "LARGE", large)
    given = [made(*shape, dtype=torch.float64).requires_grad_() for shape in ((2, 3, 4), (5, 4), (5,))]
    assert torch.autograd.gradcheck(_products.linear, given)


def test_inputs_without_gradient_get_none():
    x, weight = made(4, 512), made(512, 512, seed=1).requires_grad_()
    _products.linear(x, weight).sum().backward()
    torch.testing.assert_close(weight.grad, x.sum(0).expand(512, 512), rtol=1e-4, atol=1e-4)


def test_only_wide_float32_layers_take_this_way(monkeypatch):
    monkeypatch.setattr(_products, "is_there", lambda: True)
    monkeypatch.setattr(_products, "linear", lambda *_: "oneDNN")
    narrow, wide = made(128, 512), made(512, 512)
    assert isinstance(_products.wide_products([narrow, made(512)]), contextlib.nullcontext)
    with _products.wide_products([narrow, wide]):
        assert F.linear(made(1, 512), wide) == "oneDNN" == torch.nn.Linear(512, 512)(made(1, 512))
        assert F.linear(made(1, 512), narrow).shape == (1, 128)
        assert F.linear(made(1, 512).double(), wide.double()).dtype == torch.float64
        with torch.autocast("cpu", torch.bfloat16):
            assert F.linear(made(1, 512), wide).dtype == torch.bfloat16
    monkeypatch.setattr(_products, "is_there", lambda: False)
    assert isinstance(_products.wide_products([wide]), contextlib.nullcontext)


def test_a_step_of_the_published_size_stays_the_same(monkeypatch):
    """Losses and gradients of `released` at width 512, without dropout, to float32's rounding."""
    monkeypatch.setattr(_products, "is_there", lambda: True)
    torch.manual_seed(0)
    model = get("cmpae")(presets["released"].changed(evidence_clamp=1.0), stages.SPEC).eval()
    video_set = stages.videos(2)
    features = {name: torch.from_numpy(x).float() for name, x in video_set.features.items()}
    batch = Batch(features, torch.from_numpy(video_set.weak_labels))
    found = []
    for context in (contextlib.nullcontext(), _products.wide_products(model.parameters())):
        model.zero_grad()
        with context:
            loss = sum(model.losses(batch, Moment(2, 0, 4)).values())
        loss.backward()
        found.append([loss.detach(), *(p.grad for p in model.parameters() if p.grad is not None)])
    for ours, plain in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-3, atol=2e-5)
