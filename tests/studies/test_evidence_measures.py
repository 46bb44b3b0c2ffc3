"""The measurements of notebooks 11a to 11c against plain loops and worked cases."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cmpae_toolkit.config import Config
from cmpae_toolkit.decode import Thresholds, decode
from cmpae_toolkit.inference import predict
from cmpae_toolkit.metrics import f_scores, with_audio_visual
from cmpae_toolkit.model import CMPAE
from cmpae_toolkit.opinion import Opinion
from cmpae_toolkit.studies import evidence_measures


@pytest.fixture(scope="module")
def trained(tiny):
    torch.manual_seed(0)
    model = CMPAE(Config(width=16), tiny[0].spec).eval()
    return model, tiny[2].subset(np.arange(12))


@pytest.fixture(scope="module")
def evidence(trained):
    return predict(*trained)


def test_the_deciding_opinion_is_the_least_probable_one(evidence):
    found = evidence_measures.decisions(evidence)
    p, u = evidence.snippet.probability, evidence.snippet.vacuity
    q, w = evidence.video.probability, evidence.video.vacuity
    rng = np.random.default_rng(0)
    for _ in range(40):
        v, t, c = (int(rng.integers(n)) for n in (p.shape[0], p.shape[2], p.shape[3]))
        for track, modalities in ((0, [0]), (1, [1]), (2, [0, 1])):
            options = [(x[v, m, t, c] if x.ndim == 4 else x[v, m, c], y[v, m, t, c] if y.ndim == 4 else y[v, m, c])
                       for m in modalities for x, y in ((p, u), (q, w))]
            probability, vacuity = min(options)
            assert found["probability"][v, track, t, c] == pytest.approx(probability.item(), rel=1e-6)
            assert found["vacuity"][v, track, t, c] == pytest.approx(vacuity.item(), rel=1e-6)
    said = with_audio_visual(decode(evidence, Thresholds.of(Config(), tuple(map(str, range(p.shape[-1]))))))
    assert (said == (found["probability"] >= evidence_measures.OPEN)).all()
    assert (found["doubt"] <= 0.5).all() and (found["epistemic"] >= 0).all()


def test_disagreement_worked():
    agree, split = np.array([[0.3], [0.3]]), np.array([[0.0], [1.0]])
    assert evidence_measures.disagreement(agree)[0] == pytest.approx(0, abs=1e-12)
    assert evidence_measures.disagreement(split)[0] == pytest.approx(np.log(2), abs=1e-5)


def test_dropout_passes_differ_and_leave_the_model_alone(trained):
    model, videos = trained
    before = predict(model, videos).snippet.probability
    one, two = evidence_measures.dropout_passes(model, videos, passes=2)
    again = evidence_measures.dropout_passes(model, videos, passes=2)
    assert not torch.equal(one.snippet.probability, two.snippet.probability)
    assert torch.equal(two.snippet.probability, again[1].snippet.probability)
    assert not model.training and torch.equal(predict(model, videos).snippet.probability, before)


def test_error_scores():
    error = np.zeros((4, 3, 2, 2), bool)
    error[0] = True
    knows, ignorant = error * 1.0, np.zeros(error.shape)
    scores = evidence_measures.error_scores({"knows": knows, "ignorant": ignorant}, error)
    for row in scores.values():
        assert row["entries"] == 16 and row["error"] == 0.25
        assert row["knows"] == {"aurc": row["best"], "auroc": 1.0} and row["ignorant"] == {"aurc": pytest.approx(0.25), "auroc": 0.5}
    chosen = np.zeros_like(error)
    chosen[:2] = True
    assert evidence_measures.error_scores({"knows": knows}, error, chosen)["visual"]["error"] == 0.5


def test_and_rule_is_the_decoding(evidence, trained):
    """At 1/2 and 1/2, the minimum over modalities gives the audio-visual track of the paper's decoding, and its F-scores."""
    videos = trained[1]
    snippet, video = evidence_measures.by_rule(evidence_measures.RULES["AND (minimum)"], evidence)
    roll = (snippet >= 0.5) & (video >= 0.5)[:, None]
    rolls = decode(evidence, Thresholds.of(Config(), videos.categories))
    assert (roll == rolls.all(1)).all()
    scores = f_scores(rolls, videos.reference)
    expected = {level: scores[level]["audio_visual"] for level in scores}
    assert evidence_measures.both_scores(roll, videos.reference.all(1)) == pytest.approx(expected)
    product = evidence.snippet.probability.prod(1).numpy()
    np.testing.assert_allclose(evidence_measures.by_rule(evidence_measures.RULES["conjunction"], evidence)[0], product, rtol=1e-4)


def test_thresholds_are_the_best_of_the_grid():
    rng = np.random.default_rng(1)
    reference = rng.random((30, 10, 3)) < 0.3
    snippet, video = np.where(reference, 0.42, 0.28), np.where(reference.any(1), 0.9, 0.62)
    at_snippet, at_video = evidence_measures.choose_both((snippet, video), reference, [0.2, 0.3, 0.5, 0.7])
    assert (at_snippet, at_video) == (0.3, 0.2)
    assert evidence_measures.both_scores(snippet >= 0.3, reference) == {"segment": 100.0, "event": 100.0}


def test_trust_from_a_track_record(evidence, trained):
    videos = trained[1]
    thresholds = replace(Thresholds.of(Config(), videos.categories), video=np.zeros((2, 25)), snippet=np.zeros((2, 25)))
    record = evidence_measures.track_record(evidence, thresholds, videos.reference)  # all is said, so the share of truth is the trust
    truth = videos.reference.sum((0, 2))
    np.testing.assert_allclose(record.presence, truth, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(record.absence, 12 * 10 - truth, rtol=1e-4)
    heard = evidence_measures.trusted(evidence, record)
    assert heard.snippet.shape == evidence.snippet.shape and (heard.snippet.vacuity >= evidence.snippet.vacuity - 1e-6).all()


def test_corruptions_hurt_one_modality_alone(trained):
    _, videos = trained
    for name, (modality, change) in evidence_measures.corruptions().items():
        hurt = change(videos, np.random.default_rng(0))
        for stream, x in videos.features.items():
            assert np.array_equal(hurt.features[stream], x) == (videos.modalities[stream] != modality), (name, stream)
            assert hurt.features[stream].dtype == x.dtype and hurt.features[stream].shape == x.shape
    shuffled = evidence_measures.corruptions()["visual shuffled"][1](videos, np.random.default_rng(0))
    assert all(np.array_equal(shuffled.features[n][6], videos.features[n][0]) for n in ("frames", "clip"))


def test_per_video(evidence):
    members = np.stack([evidence.snippet.probability.numpy(), 1 - evidence.snippet.probability.numpy()])
    found = evidence_measures.per_video(evidence, "visual", members)
    assert found["vacuity"][3] == pytest.approx(evidence.snippet.vacuity[3, 1].mean().item(), rel=1e-5)
    assert found["nothing found"][3] == pytest.approx(1 - evidence.snippet.probability[3, 1].max().item(), rel=1e-5)
    assert found["disagreement"].shape == (12,) and evidence_measures.per_video(evidence)["doubt"].shape == (12,)


def test_hidden_categories(tiny):
    kept = np.arange(25) % 5 != 4
    for videos in (tiny[0], tiny[2]):
        inside, mask = evidence_measures.only_categories(videos, kept)
        labels = videos.weak_labels if videos.reference is None else videos.reference.any((1, 2))
        assert len(inside.categories) == 20 and len(inside) == mask.sum() < len(videos)
        assert not labels[mask][:, ~kept].any() and inside.weak_labels.shape == (len(inside), 20)
    assert len(evidence_measures.rename(tiny[2], kept)) == len(tiny[2])


def test_other_priors_decide_alike():
    """`decisions` keeps the prior weight of the model's opinions."""
    from cmpae_toolkit.method import Evidence

    snippet, video = (Opinion(torch.full(s, 1.0), torch.full(s, 2.0), prior_weight=0.2) for s in ((1, 2, 3, 4), (1, 2, 4)))
    found = evidence_measures.decisions(Evidence(snippet, video, video[:, 0], torch.zeros(1), torch.zeros(1)))
    assert found["vacuity"] == pytest.approx(0.2 / 3.2) and found["probability"] == pytest.approx(1.1 / 3.2)
