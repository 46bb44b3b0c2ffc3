"""Labels of snippets: thresholds against brute force, files there and back, a teacher's labels, and those of a HAN trained first."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from cmpae_toolkit.errors import InputError
from cmpae_toolkit.methods import get, snippet_labels
from cmpae_toolkit.studies.grid import Job, run_grid
from cmpae_toolkit.train import fit

QUICK = dict(width=8, batch_size=32, epochs=1, attention_heads=2, snippet_labels="han")


def f_of(score, occurs, threshold):
    found = score >= threshold
    return 2 * (found & occurs).sum() / (found.sum() + occurs.sum())


def test_thresholds_are_the_best_there_are():
    rng = np.random.default_rng(3)
    scores, reference = rng.normal(size=(30, 2, 5, 4)).round(1), rng.random((30, 2, 5, 4)) < 0.4
    weak = (rng.random((30, 4)) < 0.6).astype(float)
    scores[reference] += 0.5
    reference[:, 0, :, 1], weak[:, 3] = False, 0  # a category that is never heard, and one that no video has
    chosen = snippet_labels.choose_thresholds(scores, reference, weak)
    for m, c in np.ndindex(2, 3):
        score, occurs = (x[weak[:, c] > 0.5, m, :, c].ravel() for x in (scores, reference))
        if (m, c) == (0, 1):
            assert np.isinf(chosen[m, c])
        else:
            best = max(f_of(score, occurs, t) for t in np.unique(score))
            assert f_of(score, occurs, chosen[m, c]) == best > 0
            assert all(f_of(score, occurs, t) < best for t in np.unique(score) if t < score[score >= chosen[m, c]].min())
    assert chosen[0, 3] == np.median(chosen[0, [0, 2]]) and chosen[1, 3] == np.median(chosen[1, :3])
    made = snippet_labels.labels_of_scores(scores, chosen, weak)
    assert not made[:, 0, :, 1].any() and not made.transpose(0, 3, 1, 2)[weak < 0.5].any() and made.any()


def test_a_teachers_labels_are_what_methods_read(tiny, tmp_path):
    """A teacher who knows the truth leaves the truth under the weak labels, in files and in numbers; one who guesses does not."""
    train_set, val_set = tiny[2].subset(range(6)), tiny[1]  # of the training set nobody knows the truth
    told = snippet_labels.make(lambda videos: videos.reference.astype(float), train_set, val_set, tmp_path / "labels")
    read = snippet_labels.read_snippet_labels(tmp_path / "labels", train_set)
    occurs = val_set.reference.any((0, 2))
    expected = train_set.reference & occurs[:, None] & (train_set.weak_labels > 0.5)[:, None, None]
    assert torch.equal(read.bool(), torch.from_numpy(expected)) and expected.any()
    assert told["f_on_val"] == {"audio": 100.0, "visual": 100.0}
    assert json.loads((tmp_path / "labels" / "labels.json").read_text()) == told
    silent = np.flatnonzero(~occurs[0])
    assert all(told["thresholds"]["audio"][train_set.categories[c]] is None for c in silent if val_set.weak_labels[:, c].any())
    rng = np.random.default_rng(0)
    guessed = snippet_labels.make(lambda videos: rng.random(videos.reference.shape), train_set, val_set, tmp_path / "guessed")
    assert max(guessed["f_on_val"].values()) < 100
    with pytest.raises(InputError, match="no labels of snippets"):
        snippet_labels.make(lambda videos: videos.reference, train_set, replace(val_set, reference=None), tmp_path / "none")


def test_scores_of_what_does_not_exist_choose_nothing(tiny, tmp_path):
    """Blank snippets of short videos with the highest scores of all leave the thresholds as they are."""
    train_set, val_set = tiny[2].subset(range(4)), tiny[1]
    lengths = np.full(len(val_set), 6)
    reference = val_set.reference.copy()
    reference[:, :, 6:] = False
    short = replace(val_set, lengths=lengths, reference=reference)

    def teacher(videos, blank):
        scores = videos.reference.astype(float)
        if videos is short:
            scores[:, :, 6:] = blank
        return scores

    told = [snippet_labels.make(partial(teacher, blank=blank), train_set, short, tmp_path / str(blank)) for blank in (0.0, 9.0)]
    assert told[0] == told[1] and told[0]["f_on_val"]["audio"] == 100.0


@pytest.mark.parametrize("name", ["valor", "leap", "uwav"])
def test_labels_of_a_han_trained_first(name, tiny):
    """They lie within the weak label, are HAN's answers, and the three methods share one HAN."""
    train_set, val_set = tiny[:2]
    config = get(name).Config().adopting(**QUICK)
    stages = []

    def trained(stage, *sets):
        stages.append(stage)
        return fit(stage.changed(epochs=2), *sets, progress=False)

    made = get(name).prepare(config, train_set, val_set, trained)
    label = made.targets["snippet_label"]
    assert stages == [get("han").Config(width=8, batch_size=32)] and get(name).stage(config.changed(snippet_labels="")) is None
    assert label.shape == (len(train_set), 2, 10, len(train_set.categories)) and set(label.unique().tolist()) <= {0.0, 1.0}
    assert not label.permute(0, 3, 1, 2)[torch.as_tensor(train_set.weak_labels) < 0.5].any()
    assert made.constants["events"] == pytest.approx(label.sum(-1).mean((0, 2)))


def test_a_grid_trains_their_han_once(tmp_path, monkeypatch):
    from cmpae_toolkit.studies import grid

    prepared = []
    monkeypatch.setattr(grid, "_prepare", lambda job, device, make=grid._prepare: prepared.append(job) or make(job, device))
    jobs = [Job(name, get(name).Config().adopting(**QUICK), "tiny") for name in ("valor", "leap", "uwav")]
    found = run_grid(jobs, tmp_path)
    assert len(prepared) == 1 and len(found) == 3 and found["segment.type"].between(0, 100).all()
