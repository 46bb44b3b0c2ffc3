"""The benchmarks' floors count what the model really multiplies, and nothing twice; every stage of the table runs."""

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import floors, stages
from benchmarks.run import table
from cmpae_toolkit import losses, metrics
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
