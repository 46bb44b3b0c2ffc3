"""`fit` is, bit for bit, a plain loop written out here from the paper's and the released code's steps: one for each preset."""

import numpy as np
import pytest
import torch

from cmpae_toolkit import decode, labels, losses, metrics
from cmpae_toolkit.config import JOMOLD, Config, presets
from cmpae_toolkit.methods import get
from cmpae_toolkit.train import fit

QUICK = dict(width=16, batch_size=32, epochs=3, estimator_epochs=2, decay_epochs=2, learning_rate=2e-3)


def inputs(video_set, index):
    features = {n: torch.from_numpy(np.ascontiguousarray(x[index])).float() for n, x in video_set.features.items()}
    return features, torch.from_numpy(video_set.weak_labels[index])


def step_losses(model, features, weak, ratios, epoch, batch):
    """JoMoLD's and CMPAE's losses of a batch: labels denoised by a pass without cross-attention, then one with it."""
    config = model.config
    embedded = model.embed(features)
    projected = model.hybrid_attention.project(embedded)
    training_labels = labels.training_labels(weak, config)
    if ratios is not None:
        with torch.no_grad():
            alone = model.judge(embedded, False, projected).video
        now = ratios * labels.warm_up(epoch, batch, 3, config)
        training_labels = labels.remove_noisy_labels(training_labels, losses.evidence_risk(alone, training_labels, "log"), now)
    evidence = model.judge(embedded, projected=projected)
    if isinstance(config, Config):
        return losses.training_losses(evidence, training_labels, weak, config, "joint" if batch % 2 == 0 else "modality", epoch)
    risks = losses.binary_cross_entropy(evidence.video.probability, training_labels)
    named = {"audio": risks[:, 0].mean(), "visual": risks[:, 1].mean()}
    named["joint"] = losses.binary_cross_entropy(evidence.joint.probability, weak).mean()
    if getattr(config, "contrastive_weight", 0):
        named["contrastive"] = losses.contrastive(evidence.features).mean()
    return named


def plain_fit(config, train_set, val_set, ratios):
    """The weights of the best epoch on val (later wins), and the thresholds."""
    torch.manual_seed(config.seed)
    model = get(config.method)(config, train_set.spec)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
    best, chosen, thresholds = -1.0, None, model.thresholds()
    for epoch in range(1, config.epochs + 1):
        optimizer.param_groups[0]["lr"] = config.learning_rate * config.decay ** ((epoch - 1) // config.decay_epochs)
        torch.manual_seed(config.seed + 100_003 * epoch)
        model.train()
        for number, index in enumerate(np.array_split(torch.randperm(len(train_set)).numpy(), range(32, len(train_set), 32))):
            named = step_losses(model, *inputs(train_set, index), ratios, epoch, number)
            optimizer.zero_grad()
            sum(getattr(config, f"{name}_weight") * value for name, value in named.items()).backward()
            optimizer.step()
        with torch.no_grad():
            evidence = model.eval().infer(inputs(val_set, np.arange(len(val_set)))[0])
        scores = metrics.f_scores(decode.decode(evidence, model.thresholds()), val_set.reference)
        score = metrics.pick_score(scores, config.select_epoch_by)
        if score >= best:
            best, chosen = score, {n: v.clone() for n, v in model.state_dict().items()}
        if epoch == 1:  # 0.4 of 3 epochs
            for modality in config.search_thresholds:
                thresholds = decode.choose_video_thresholds(evidence, val_set.reference, thresholds, modality, config.threshold_candidates)
    return chosen, thresholds


def estimated(config, train_set, val_set):
    """JoMoLD's noise ratios from its estimator, trained by the same plain loop."""
    if not getattr(config, "denoise", False):
        return None
    fields = ("width", "batch_size", "learning_rate", "decay", "decay_epochs")
    estimator = presets["jomold"].changed(
        cross_attention=False, audio_weight=1.0, denoise=False, select_epoch_by="event.audio", epochs=config.estimator_epochs,
        **{name: getattr(config, name) for name in fields},
    )
    state, _ = plain_fit(estimator, train_set, val_set, None)
    model = get("jomold")(estimator, train_set.spec)
    model.load_state_dict(state)
    features, weak = inputs(train_set, np.arange(len(train_set)))
    with torch.no_grad():
        return labels.noise_ratios(model.eval()(features).video.probability, weak, estimator)


@pytest.mark.parametrize("preset", ["paper", "released", "jomold", "han", "paper, thresholds searched"])
def test_four_presets_and_threshold_search(preset, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("CMPAE_HOME", str(tmp_path))
    train_set, val_set = tiny[:2]
    config = presets[preset.partition(",")[0]].adopting(**QUICK)
    if "," in preset:
        config = config.changed(search_thresholds=("audio", "visual"))
    run = fit(config, train_set, val_set, progress=False)
    weights, thresholds = plain_fit(config, train_set, val_set, estimated(config, train_set, val_set))
    assert all(torch.equal(value, weights[name]) for name, value in run.model.state_dict().items())
    assert run.thresholds.to_dict() == thresholds.to_dict()


def test_table_5s_backbone_is_jomold(tiny):
    """CMPAE's config with JoMoLD's fields trains the weights of the method JoMoLD."""
    ours, theirs = (fit(c.changed(**QUICK), *tiny[:2], progress=False) for c in (Config(**JOMOLD), presets["jomold"]))
    for a, b in zip(ours.model.state_dict().values(), theirs.model.state_dict().values(), strict=True):
        assert torch.equal(a, b)
