"""The fast ways to train give what plain training gives: static buffers, stacked seeds, one kernel for Adam."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cmpae_toolkit import losses
from cmpae_toolkit._accelerate import GraphedStep, fit_seeds
from cmpae_toolkit.config import presets
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.inference import evaluate
from cmpae_toolkit.method import Supervision
from cmpae_toolkit.methods import get
from cmpae_toolkit.train import PlainStep, fit

QUICK = dict(width=16, batch_size=32, epochs=3, estimator_epochs=1, decay_epochs=2)
NO_DROPOUT = dict(attention_dropout=0.0, visual_dropout=0.0, selector_dropout=0.0)
TIMES = {"seconds"}
STEPS = (PlainStep, GraphedStep)


def noise(tiny, share=0.3):
    return Supervision(constants={"noise_ratios": torch.full((2, len(tiny[0].categories)), share, dtype=torch.float64)})


def same_parameters(run, other):
    return all(torch.equal(x, y) for x, y in zip(run.model.state_dict().values(), other.model.state_dict().values(), strict=True))


@pytest.mark.parametrize("changes", [{}, {"kl_weight": 0.1, "kl_epochs": 2}, {"noise_warm_up": "released"}], ids=["plain", "KL", "ratios"])
def test_static_buffers_change_nothing(changes, tiny):
    """Bit for bit, dropout included: the same operations in the same order (off a GPU, where nothing is recorded)."""
    config = presets["paper"].changed(**QUICK, **changes)
    plain, static = (
        fit(config, tiny[0], tiny[1], supervision=noise(tiny), device="cpu", step=step, progress=False) for step in STEPS
    )
    assert same_parameters(plain, static)
    assert plain.history.drop(columns=TIMES).equals(static.history.drop(columns=TIMES))


@pytest.mark.requires_cuda
def test_a_recorded_graph_trains_as_the_plain_step(tiny):
    """Without dropout, whose masks are other ones; rounding differs with the kernels that a recording chooses."""
    config = presets["paper"].changed(**QUICK, **NO_DROPOUT)
    plain, recorded = (
        fit(config, tiny[0], tiny[1], supervision=noise(tiny), device="cuda", step=step, progress=False) for step in STEPS
    )
    np.testing.assert_allclose(recorded.history["loss"], plain.history["loss"], rtol=1e-4)


@pytest.mark.parametrize("preset", ["paper", "released", "jomold"])
def test_stacked_seeds_are_the_seeds_one_by_one(preset, tiny):
    """Without dropout, up to rounding: a batched matrix product adds in another order."""
    config = presets[preset].adopting(**QUICK, **NO_DROPOUT)
    shares = [noise(tiny, 0.3), noise(tiny, 0.2)]
    for seed, share, stacked in zip((4, 7), shares, fit_seeds(config, (4, 7), *tiny[:2], supervisions=shares, progress=False), strict=True):
        alone = fit(config.changed(seed=seed), tiny[0], tiny[1], supervision=share, progress=False)
        assert stacked.config == alone.config and stacked.data == alone.data
        np.testing.assert_allclose(stacked.history["loss"], alone.history["loss"], rtol=1e-5)
        np.testing.assert_allclose(stacked.history["mean"], alone.history["mean"], atol=0.5)
        assert evaluate(stacked, tiny[2])["segment"]["type"] == pytest.approx(evaluate(alone, tiny[2])["segment"]["type"], abs=0.5)


def test_stacked_seeds_draw_their_own_dropout_masks_and_repeat(tiny):
    config = presets["released"].changed(**QUICK)
    shares = [noise(tiny)] * 2
    first, again = (fit_seeds(config, (0, 1), *tiny[:2], supervisions=shares, progress=False) for _ in range(2))
    assert all(same_parameters(a, b) for a, b in zip(first, again, strict=True))
    twins = fit_seeds(config, (0, 0), *tiny[:2], supervisions=shares, progress=False)
    assert not same_parameters(*twins)  # equal but for the masks


def test_stacked_seeds_refuse_what_fit_refuses(tiny):
    blind = replace(tiny[1], reference=None, weak_labels=None)
    with pytest.raises(InputError, match="no labels to choose the epoch by"):
        fit_seeds(presets["paper"].changed(**QUICK), (0, 1), tiny[0], blind, progress=False)
    with pytest.raises(InputError, match=r"0\.\.1"):
        fit_seeds(presets["paper"].changed(**QUICK), (0,), *tiny[:2], supervisions=[noise(tiny, 2.0)], progress=False)


@pytest.mark.parametrize("step", [PlainStep, GraphedStep])
def test_one_kernel_for_adam_is_the_plain_loop(step, tiny):
    """Five steps against PyTorch's own unfused Adam with the decay of the schedule, to float32's rounding."""
    config = presets["paper"].changed(width=8, decay_epochs=1)
    made = step(get("cmpae")(config, tiny[0].spec), torch.device("cpu"))
    fused = list(made.method.parameters())
    plain = [x.detach().clone().requires_grad_() for x in fused]
    other = torch.optim.Adam(plain, lr=config.learning_rate, fused=False)
    for epoch in range(1, 6):
        made.set_learning_rate(made.method.learning_rate(epoch))
        other.param_groups[0]["lr"] = config.learning_rate * 0.25 ** (epoch - 1)
        for parameters, optimizer in ((fused, made.optimizer), (plain, other)):
            optimizer.zero_grad()
            sum((x**2 * torch.arange(1.0, x.numel() + 1).view_as(x)).sum() for x in parameters).backward()
            optimizer.step()
    for x, y in zip(fused, plain, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-6, atol=1e-7)


def test_share_of_the_kl_term():
    config = presets["paper"].changed(kl_weight=0.5, kl_epochs=4)
    assert [losses.kl_share(config, epoch) for epoch in (1, 2, 4, 9)] == [1 / 4, 2 / 4, 1, 1]
    assert losses.kl_share(presets["paper"], 3) == 0
