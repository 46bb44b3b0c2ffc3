"""The shared projections change nothing: against PyTorch's attention, and against passes that share nothing."""

import pytest
import torch
from torch import nn

from cmpae_toolkit import labels, losses
from cmpae_toolkit.batches import take
from cmpae_toolkit.config import presets
from cmpae_toolkit.data import load
from cmpae_toolkit.layers import Attention, HybridAttention
from cmpae_toolkit.method import Batch, Moment
from cmpae_toolkit.model import CMPAE


def x(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def both_attentions():
    torch.manual_seed(2)
    theirs = nn.MultiheadAttention(16, 1, dropout=0.3, batch_first=True)
    torch.manual_seed(2)
    return theirs, Attention(16, 0.3)


def test_parameters_are_named_and_drawn_as_in_pytorch():
    theirs, ours = both_attentions()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for name, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name]), name


@pytest.mark.parametrize("to_other", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_equal_to_pytorchs_attention(to_other, training):
    """With dropout too: the same generator draws the same mask."""
    theirs, ours = (m.train(training) for m in both_attentions())
    features = x(3, 2, 5, 16)
    own, other = features.flatten(0, 1), features.flip(1).flatten(0, 1)
    source = other if to_other else own
    torch.manual_seed(5)
    expected = theirs(own, source, source, need_weights=False)[0].view_as(features)
    torch.manual_seed(5)
    torch.testing.assert_close(ours(ours.project(features), to_other), expected)


@pytest.mark.parametrize("cross_attention", [False, True])
def test_a_shared_projection_changes_nothing(cross_attention):
    layer, features = HybridAttention(16, 0.1).train(), x(3, 2, 5, 16)
    torch.manual_seed(5)
    alone = layer(features, cross_attention)
    torch.manual_seed(5)
    assert torch.equal(layer(features, cross_attention, layer.project(features)), alone)


@pytest.mark.parametrize("preset", ["paper", "released"])
def test_both_passes_of_inference_are_those_that_share_nothing(preset, tiny):
    torch.manual_seed(0)
    model = CMPAE(presets[preset].changed(width=16), tiny[1].spec).eval()
    features = take(tiny[1], range(8), torch.device("cpu")).features
    with torch.no_grad():
        embedded = model.embed(features)
        for shared, cross_attention in zip(model.judge_both(embedded), (True, False), strict=True):
            plain = model.judge(embedded, cross_attention)
            for name in ("snippet", "video", "joint"):
                assert torch.equal(getattr(shared, name).probability, getattr(plain, name).probability)
            assert torch.equal(model.judge_video(embedded, cross_attention).probability, plain.video.probability)


def plain_step(model, batch):
    """`losses_and_labels` in the second epoch with every pass computed on its own."""
    embedded, weak_label, ratios = model.embed(batch.features), batch.weak_label, batch.constants["noise_ratios"]
    start = labels.training_labels(weak_label, model.config)
    with torch.no_grad():
        risks = losses.evidence_risk(model.judge(embedded.detach(), cross_attention=False).video, start, "log")
    cleaned = labels.remove_noisy_labels(start, risks, ratios)
    return losses.training_losses(model.judge(embedded), cleaned, weak_label, model.config, "joint", 2), cleaned


@pytest.mark.parametrize("preset", ["paper", "released"])
def test_a_training_step_that_shares_is_one_that_does_not(preset):
    """Equal losses and labels with all dropouts on; gradients up to the order in which float32 sums are taken."""
    train_set = load("tiny", "train")
    torch.manual_seed(0)
    model = CMPAE(presets[preset].changed(width=16), train_set.spec).train()
    taken = take(train_set, range(32), torch.device("cpu"))
    ratios = torch.full((2, len(train_set.categories)), 0.4, dtype=torch.float64)
    results = []
    batch = Batch(taken.features, taken.weak_label, constants={"noise_ratios": ratios})
    for step in (lambda: model.losses_and_labels(batch, Moment(2, 0, 10)), lambda: plain_step(model, batch)):
        torch.manual_seed(9)
        named, cleaned = step()
        model.zero_grad()
        losses.total(named, model.config).backward()
        results.append((named, cleaned, {n: p.grad.clone() for n, p in model.named_parameters()}))
    (named, cleaned, gradients), (plain_named, plain_cleaned, plain_gradients) = results
    assert torch.equal(cleaned, plain_cleaned) and (cleaned != labels.training_labels(batch.weak_label, model.config)).any()
    assert {n: v.item() for n, v in named.items()} == {n: v.item() for n, v in plain_named.items()}
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, plain_gradients[name], rtol=1e-4, atol=1e-6)
