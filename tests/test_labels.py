"""Smoothing, noise ratios, denoising: against plain loops. (Recorded denoising: test_released.py.)"""

import pytest
import torch

from cmpae_toolkit import labels
from cmpae_toolkit.config import Config, presets
from cmpae_toolkit.errors import InputError


def test_smoothing():
    assert labels.smooth(torch.tensor([0.0, 1.0]), 0.9).tolist() == pytest.approx([0.05, 0.95])
    both = labels.training_labels(torch.tensor([[1.0, 0.0]]), Config())
    assert both[0].flatten().tolist() == pytest.approx([1, 0, 0.95, 0.05])


def plain_removal(training_labels, losses, ratios):
    cleaned = training_labels.clone()
    for own, other in ((1, 0), (0, 1)):
        for c in range(training_labels.shape[2]):
            positives = [v for v in range(len(training_labels)) if training_labels[v, own, c] > 0.5]
            k = int(float(ratios[own, c]) * len(positives))
            hard = sorted(positives, key=lambda v: -losses[v, own, c])[:k]
            easy = sorted(positives, key=lambda v: losses[v, other, c])[:k]
            for v in set(hard) & set(easy):
                cleaned[v, own, c] = 0
    return cleaned


@pytest.mark.parametrize("seed", range(8))
def test_removal_is_the_plain_loop(seed):
    torch.manual_seed(seed)
    weak = (torch.rand(40, 6) < 0.5).float()
    training_labels = labels.training_labels(weak, Config())
    losses, ratios = torch.rand(40, 2, 6), torch.rand(2, 6).double()
    ratios[:, 0] = torch.tensor([0.0, 1.0])
    cleaned = labels.remove_noisy_labels(training_labels, losses, ratios)
    assert torch.equal(cleaned, plain_removal(training_labels, losses, ratios))
    assert not torch.equal(cleaned, training_labels)


def test_removal_worked():
    """Ten positives, ratio 0.3: the three labels that audio finds easy and vision hard are dropped from vision only."""
    training_labels = labels.training_labels(torch.ones(10, 1), Config())
    losses = torch.full((10, 2, 1), 0.5) + torch.arange(10).view(-1, 1, 1) * 1e-3
    losses[:3, 0], losses[:3, 1] = 0.01, 2.0
    cleaned = labels.remove_noisy_labels(training_labels, losses, torch.tensor([[0.0], [0.3]]))
    assert cleaned[:, 1, 0].tolist() == pytest.approx([0] * 3 + [0.95] * 7)
    assert torch.equal(cleaned[:, 0], training_labels[:, 0])


def test_ratios_must_be_shares():
    with pytest.raises(InputError, match=r"0\.\.1"):
        labels.check_ratios(torch.tensor([[0.5], [1.2]]))


def test_noise_ratios_are_the_plain_loop():
    config = presets["jomold"].changed(batch_size=16)
    probability, weak = torch.rand(50, 2, 5), (torch.rand(50, 5) < 0.4).float()
    weak[:, 4] = 0
    ratios = labels.noise_ratios(probability, weak, config)
    for m, threshold in enumerate((0.6, 1.8)):
        for c in range(4):
            batch_means = [probability[i : i + 16, m, c].double().mean() for i in range(0, 50, 16)]
            mean = sum(batch_means) / len(batch_means)
            positives = [v for v in range(50) if weak[v, c] == 1]
            label = 1.0 if m == 0 else 0.95
            wrong = [v for v in positives if probability[v, m, c].item() * label / mean < threshold]
            assert ratios[m, c].item() == pytest.approx(len(wrong) / len(positives))
    assert ratios[:, 4].tolist() == [0, 0]  # never positive: nothing to drop


@pytest.mark.parametrize(("field", "modality"), [("audio_noise_threshold", 0), ("visual_noise_threshold", 1)])
def test_a_higher_threshold_distrusts_more_labels(field, modality):
    probability, weak = torch.rand(50, 2, 5), torch.ones(50, 5)
    low, high = (labels.noise_ratios(probability, weak, Config(**{field: value})) for value in (0.5, 1.5))
    assert (high[modality] > low[modality]).all() and torch.equal(high[1 - modality], low[1 - modality])


def test_warm_up():
    linear, as_released = Config(), presets["released"]
    assert [labels.warm_up(1, b, 10, linear) for b in (0, 3, 9)] == pytest.approx([0, 0.3 / 0.9, 1])
    assert labels.warm_up(2, 0, 10, linear) == 1
    assert [labels.warm_up(e, 9, 10, as_released) for e in (1, 2, 7)] == [0, 1, 1]
    assert labels.warm_up(1, 0, 10, Config(noise_warm_up_epochs=0)) == 1
