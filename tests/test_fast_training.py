"""The fast ways to train give what plain training gives: static buffers, stacked seeds, one kernel for Adam."""

import numpy as np
import pytest
import torch

from cmpae_toolkit import losses
from cmpae_toolkit._accelerate import fit_seeds
from cmpae_toolkit.config import presets
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.inference import evaluate
from cmpae_toolkit.train import adam, fit, set_learning_rate

QUICK = dict(width=16, batch_size=32, epochs=3, estimator_epochs=1, decay_epochs=2)
NO_DROPOUT = dict(attention_dropout=0.0, visual_dropout=0.0, selector_dropout=0.0)
TIMES = {"seconds"}


def ratios(tiny, share=0.3):
    return torch.full((2, len(tiny[0].categories)), share, dtype=torch.float64)


def same_parameters(run, other):
    return all(torch.equal(x, y) for x, y in zip(run.model.state_dict().values(), other.model.state_dict().values(), strict=True))


@pytest.mark.parametrize("changes", [{}, {"kl_weight": 0.1, "kl_epochs": 2}, {"denoise": False}], ids=["plain", "KL", "all labels"])
def test_static_buffers_change_nothing(changes, tiny):
    """Bit for bit, dropout included: the same operations in the same order (off a GPU, where nothing is recorded)."""
    config = presets["paper"].changed(**QUICK, **changes)
    plain, static = (
        fit(config, tiny[0], tiny[1], ratios=ratios(tiny), device="cpu", graphed=graphed, progress=False) for graphed in (False, True)
    )
    assert same_parameters(plain, static)
    assert plain.history.drop(columns=TIMES).equals(static.history.drop(columns=TIMES))


@pytest.mark.requires_cuda
def test_a_recorded_graph_trains_as_the_plain_step(tiny):
    """Without dropout, whose masks are other ones; rounding differs with the kernels that a recording chooses."""
    config = presets["paper"].changed(**QUICK, **NO_DROPOUT)
    plain, recorded = (
        fit(config, tiny[0], tiny[1], ratios=ratios(tiny), device="cuda", graphed=graphed, progress=False) for graphed in (False, True)
    )
    np.testing.assert_allclose(recorded.history["loss"], plain.history["loss"], rtol=1e-4)


@pytest.mark.parametrize("preset", ["paper", "released", "jomold"])
def test_stacked_seeds_are_the_seeds_one_by_one(preset, tiny):
    """Without dropout, up to rounding: a batched matrix product adds in another order."""
    config = presets[preset].changed(**QUICK, **NO_DROPOUT)
    shares = torch.stack([ratios(tiny, 0.3), ratios(tiny, 0.2)])
    for seed, share, stacked in zip((4, 7), shares, fit_seeds(config, (4, 7), *tiny[:2], ratios=shares, progress=False), strict=True):
        alone = fit(config.changed(seed=seed), tiny[0], tiny[1], ratios=share, progress=False)
        assert stacked.config == alone.config and stacked.data == alone.data
        np.testing.assert_allclose(stacked.history["loss"], alone.history["loss"], rtol=1e-5)
        np.testing.assert_allclose(stacked.history["mean"], alone.history["mean"], atol=0.5)
        assert evaluate(stacked, tiny[2])["segment"]["type"] == pytest.approx(evaluate(alone, tiny[2])["segment"]["type"], abs=0.5)


def test_stacked_seeds_draw_their_own_dropout_masks_and_repeat(tiny):
    config = presets["released"].changed(**QUICK)
    shares = torch.stack([ratios(tiny)] * 2)
    first, again = (fit_seeds(config, (0, 1), *tiny[:2], ratios=shares, progress=False) for _ in range(2))
    assert all(same_parameters(a, b) for a, b in zip(first, again, strict=True))
    twins = fit_seeds(config, (0, 0), *tiny[:2], ratios=shares, progress=False)
    assert not same_parameters(*twins)  # equal but for the masks


def test_stacked_seeds_refuse_what_fit_refuses(tiny):
    with pytest.raises(InputError, match="no dense annotations"):
        fit_seeds(presets["paper"].changed(**QUICK), (0, 1), tiny[0], tiny[0], progress=False)
    with pytest.raises(InputError, match=r"0\.\.1"):
        fit_seeds(presets["paper"].changed(**QUICK), (0,), *tiny[:2], ratios=torch.stack([ratios(tiny, 2.0)]), progress=False)


@pytest.mark.parametrize("graphed", [False, True])
def test_one_kernel_for_adam_is_the_plain_loop(graphed):
    """Five steps against PyTorch's own unfused Adam with the decay of the schedule, to float32's rounding."""
    config = presets["paper"].changed(decay_epochs=1)
    starts = [torch.randn(7, 5), torch.randn(3)]
    fused, plain = ([x.clone().requires_grad_() for x in starts] for _ in range(2))
    rate = config.learning_rate
    optimizers = adam(fused, rate, torch.device("cpu"), graphed), torch.optim.Adam(plain, lr=rate, fused=False)
    for epoch in range(1, 6):
        for parameters, optimizer in zip((fused, plain), optimizers, strict=True):
            set_learning_rate(optimizer, config, epoch)
            optimizer.zero_grad()
            sum((x**2 * torch.arange(1.0, x.numel() + 1).view_as(x)).sum() for x in parameters).backward()
            optimizer.step()
    for x, y in zip(fused, plain, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-6, atol=1e-7)


def test_share_of_the_kl_term():
    config = presets["paper"].changed(kl_weight=0.5, kl_epochs=4)
    assert [losses.kl_share(config, epoch) for epoch in (1, 2, 4, 9)] == [1 / 4, 2 / 4, 1, 1]
    assert losses.kl_share(presets["paper"], 3) == 0
