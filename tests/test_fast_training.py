"""What makes training fast changes no result: one kernel for Adam; and the share of a loss term that grows over the epochs."""

import torch

from cmpae_toolkit import losses
from cmpae_toolkit.config import presets
from cmpae_toolkit.methods import get
from cmpae_toolkit.train import PlainStep


def test_one_kernel_for_adam_is_the_plain_loop(tiny):
    """Five steps against PyTorch's own unfused Adam with the decay of the schedule, to float32's rounding."""
    config = presets["paper"].changed(width=8, decay_epochs=1)
    made = PlainStep(get("cmpae")(config, tiny[0].spec), torch.device("cpu"))
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
