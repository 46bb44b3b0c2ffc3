"""The benchmarks' floors count what the model really multiplies, and nothing twice; the plain twin trains as the model does; every
stage of the table runs."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import floors, growth, layer, precision, stages
from benchmarks.compare import BINDINGS, compared, in_each_binding, small_epoch
from benchmarks.run import table
from benchmarks.twin import PlainTwin, plain_losses
from benchmarks.zoo import epoch_seconds
from cmpae_toolkit import _products, losses, metrics
from cmpae_toolkit.config import presets
from cmpae_toolkit.method import Batch, Moment
from cmpae_toolkit.methods import get

VIDEOS = 4


def features(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.rand(VIDEOS, *shape, generator=generator) for name, shape in stages.SHAPES.items()}


def multiply_adds(call):
    """As PyTorch counts them: every matrix product, in the forward and the backward pass."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        call()
    return counter.get_total_flops() / 2 / VIDEOS


@pytest.mark.parametrize("preset", ["paper", "released", "jomold", "han"])
def test_a_training_step_multiplies_what_the_floor_counts(preset):
    config = presets[preset].changed(width=64)
    model = get(config.method)(config, stages.SPEC).train()
    ratios = {} if preset == "han" else {"noise_ratios": torch.full((2, stages.CATEGORIES), 0.2, dtype=torch.float64)}

    def step():
        batch = Batch(features(), torch.ones(VIDEOS, stages.CATEGORIES), constants=ratios)
        named = model.losses(batch, Moment(2, 0, 10))
        losses.total(named, config).backward()

    assert multiply_adds(step) == pytest.approx(floors.training(config, stages.SPEC), rel=0.01)


@pytest.mark.parametrize("preset", ["paper", "released", "jomold"])
def test_a_prediction_multiplies_what_the_floor_counts(preset):
    """The pass without cross-attention repeats one small product for the mixture: 4 % at most."""
    config = presets[preset].changed(width=64)
    model = get(config.method)(config, stages.SPEC).eval()

    def predict():
        with torch.no_grad():
            return model.infer(features())

    counted, floor = multiply_adds(predict), floors.prediction(config, stages.SPEC)
    assert floor * 0.99 <= counted <= floor * 1.04


@pytest.mark.parametrize("preset", ["paper", "released"])
def test_the_plain_twin_has_the_models_losses_and_gradients(preset):
    """Without dropout, to rounding; and it multiplies more than the floor, since it shares nothing."""
    torch.manual_seed(0)
    model = get("cmpae")(presets[preset].changed(width=32), stages.SPEC).eval()
    weak = torch.zeros(VIDEOS, stages.CATEGORIES)
    weak[:, :4] = 1
    batch = Batch(features(), weak, constants={"noise_ratios": torch.full((2, stages.CATEGORIES), 0.5, dtype=torch.float64)})
    found = []
    for losses_of in (lambda *given: model.losses(*given), lambda *given: plain_losses(model, *given)):
        model.zero_grad()
        named = losses_of(batch, Moment(2, 1, 4))
        losses.total(named, model.config).backward()
        found.append((named, [p.grad for p in model.parameters() if p.grad is not None]))
    assert found[0][0].keys() == found[1][0].keys()
    for name, value in found[0][0].items():
        torch.testing.assert_close(value, found[1][0][name], rtol=1e-5, atol=1e-6)
    for ours, plain in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-3, atol=1e-5)
    counted = multiply_adds(lambda: losses.total(plain_losses(model.train(), batch, Moment(2, 1, 4)), model.config).backward())
    assert counted > 1.05 * floors.training(model.config, stages.SPEC)


def test_a_step_of_the_twin_learns():
    model = get("cmpae")(presets["paper"].changed(width=16, learning_rate=1e-2), stages.SPEC).eval()
    twin = PlainTwin(model)
    constants = {"noise_ratios": torch.zeros(2, stages.CATEGORIES, dtype=torch.float64)}
    batch = Batch(features(), torch.ones(VIDEOS, stages.CATEGORIES), constants=constants)
    first, *_, last = (losses.total(twin(batch, Moment(1, 0, 4)), model.config).item() for _ in range(5))
    assert last < first


def test_comparison_of_steps_with_their_twin(monkeypatch):
    monkeypatch.setattr(stages, "_rate", lambda *_: 1e9)
    small = {name: presets[name].changed(width=16) for name in ("paper", "released")}
    monkeypatch.setattr(stages, "presets", small)
    rows = list(stages.step(0.0, batch_size=2, repeats=1))
    shown = compared(rows)
    assert set(shown["step"]) == {"paper", "released"} and (shown["plain / ours"] > 0).all() and (shown["ours / floor"] > 0).all()
    assert (shown["plain / ours"] == shown["released / ours"])[shown["step"] == "released"].all()
    assert "plain" in table([vars(row) | {"peak_mb": 1} for row in rows])


def test_each_binding_is_measured_in_a_process_of_its_own(monkeypatch):
    """The variables are there before that process starts, and it is told which they are."""
    calls = []
    monkeypatch.setattr("subprocess.run", lambda command, env, check: calls.append((command[-1], env)))
    monkeypatch.setattr("sys.argv", ["compare", "--threads", "2"])
    in_each_binding(2)
    assert [name for name, _ in calls] == list(BINDINGS) and {env["OMP_NUM_THREADS"] for _, env in calls} == {"2"}
    assert [env.get("OMP_PROC_BIND") for _, env in calls] == [None, "close", "spread", None]


def test_an_epoch_of_make_run_on_one_thread_and_on_all(monkeypatch, tiny):
    monkeypatch.setattr("benchmarks.compare.load", lambda _, split: tiny[split == "val"])
    before = torch.get_num_threads()
    found = small_epoch(presets["paper"].changed(width=8, batch_size=64), 2, repeats=1)
    torch.set_num_threads(before)
    assert set(found) == {1, 2} and min(found.values()) > 0


def test_an_epoch_of_any_method_from_a_few_of_its_steps(tiny):
    assert epoch_seconds(get("cvcms").Config(width=8, class_width=4, batch_size=8), *tiny[:2], steps=1) > 0


@pytest.mark.parametrize("product", [F.linear, _products._product], ids=["plain", "oneDNN"])
def test_the_blocked_layer_is_the_plain_one(product):
    if product is not F.linear and not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this PyTorch has no oneDNN")
    torch.manual_seed(0)
    x, weight, bias = torch.randn(48, 6), torch.randn(5, 6, requires_grad=True), torch.randn(5, requires_grad=True)
    plain = F.elu(F.linear(x, weight, bias)).unflatten(0, (-1, layer.FRAMES)).mean(1)
    blocked = layer.Blocked.apply(x, weight, bias, 16, product)
    torch.testing.assert_close(blocked, plain)
    of_plain, of_blocked = (torch.autograd.grad(y.sin().sum(), (weight, bias)) for y in (plain, blocked))
    for ours, theirs in zip(of_blocked, of_plain, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_every_way_through_the_layer_runs():
    ways = layer.variants(2, 80)
    assert {"plain, from float32", "blocked, from float16"} <= ways.keys()
    for call in ways.values():
        call()


def test_growth_is_measured_and_told(monkeypatch):
    monkeypatch.setattr(growth, "BASE", {"videos": 4, "categories": 3, "snippets": 2})
    found = growth.measure("categories", 5)
    assert found["epoch"] > 0 and set(found) == {*growth.PARTS, "peak_mb"}
    monkeypatch.setattr(growth, "GROWN", {"videos": (1, 2)})
    numbers = dict.fromkeys((*growth.PARTS, "peak_mb"), 1.5)
    shown = growth.table({("videos", 1): numbers, ("videos", 2): {name: 3.0 for name in numbers}})
    assert list(shown["epoch"]) == ["1.5", "3 (x 2.0)"] and list(shown["larger"]) == ["", "x 2"]


def test_paired_intervals_of_precisions():
    """By hand: differences 1, 2, 3 have the mean 2 and the half width 4.3027 x 1 / sqrt(3)."""
    rows = []
    for seed, moved in enumerate((1, 2, 3)):
        for name, value in (("float32", 50 + seed), ("bfloat16", 50 + seed + moved)):
            scores = dict.fromkeys(precision.TEN, value)
            rows.append({"data": "made up", "preset": "paper", "seed": seed, "precision": name, **scores})
    shown = precision.differences(rows)
    assert len(shown) == 10 and (shown["seeds"] == 3).all()
    np.testing.assert_allclose(shown[["float32", "difference", "from", "to"]].iloc[0], [51, 2, 2 - 2.4841, 2 + 2.4841], atol=1e-3)


def test_made_up_sets_have_llps_shapes(tmp_path):
    video_set = stages.videos(3, tmp_path)
    assert video_set.spec == stages.SPEC and video_set.features["frames"].shape == (3, 80, 2048)
    assert isinstance(video_set.features["frames"], np.memmap)
    rolls = stages.rolls(400, np.random.default_rng(0))
    assert rolls.shape == (400, 2, 10, 25) and rolls.dtype == bool
    assert 0.5 < rolls.any(2).sum(-1).mean() < 2.5
    assert metrics.f_scores(rolls, rolls)["event"]["type"] == 100


def test_rows_of_a_small_stage(monkeypatch):
    monkeypatch.setattr(stages, "TEST", 5)
    monkeypatch.setattr(stages, "VAL", 5)
    rows = [vars(row) | {"peak_mb": 1} for stage in ("score", "thresholds") for row in stages.STAGES[stage](1e9)]
    assert len(rows) == 9 and all(row["seconds"] > 0 and row["floor"] > 0 for row in rows)
    shown = table(rows)
    assert list(shown["size"][:3]) == ["test x 1", "test x 2", "test x 4"] and (shown["ratio"].astype(float) > 0).all()


def test_rows_of_the_methods(monkeypatch):
    """Each method gets a step and a prediction, whatever labels it learns from."""
    monkeypatch.setattr(stages, "FEW", 2)
    monkeypatch.setattr(stages, "METHODS", {"uwav": stages.METHODS["uwav"], "psp": stages.METHODS["psp"]})
    monkeypatch.setattr(stages, "_best", lambda call, repeats: (call(), 1.0)[1])
    rows = list(stages.methods(1e9))
    assert [row.stage for row in rows] == ["training step, uwav", "predict, uwav", "training step, psp", "predict, psp"]
