"""Data with video-level labels alone: trained, thresholds chosen and scored by video-level F, and said so."""

import dataclasses
import json

import numpy as np
import pytest

from cmpae_toolkit import cli, metrics, plots
from cmpae_toolkit.config import config_for
from cmpae_toolkit.data import load
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.train import fit

FIELDS = ["--set", "width=16", "epochs=2", "estimator_epochs=1", "search_thresholds=audio,visual"]


@pytest.fixture(scope="module")
def weak_only(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weak")
    for split in ("train", "val", "test"):
        dataclasses.replace(load("tiny", split), reference=None, simulated=True).to_folder(folder)
    return folder


def test_video_scores_by_hand():
    roll = np.zeros((3, 2, 4, 3), dtype=bool)
    roll[0, 0, 1, 0] = roll[0, 1, 2, 1] = roll[1, 1, 0, 1] = True
    labels = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0]])
    scores = metrics.video_scores(roll, labels)["video"]
    assert scores["micro"] == pytest.approx(100 * 4 / 6)  # two right, one wrong, one missed
    assert scores["macro"] == pytest.approx(100 * np.mean([2 / 3, 2 / 3]))  # the third category occurs nowhere
    assert metrics.pick_score({"video": scores}, "event.audio") == pytest.approx(metrics.mean_score({"video": scores}))
    with pytest.raises(InputError, match="video-level scores"):
        metrics.video_scores(roll, labels[:2])


def test_weak_labels_train_and_report_at_video_level(weak_only, tmp_path, capsys):
    run = tmp_path / "run"
    assert cli.main(["train", "--data", str(weak_only), *FIELDS, "--out", str(run)]) == 0
    said = capsys.readouterr().out
    assert "video-level F, as it has weak labels only" in said and "video level, F in %" in said and "every category everywhere" in said
    result = json.loads((run / "run.json").read_text())
    assert set(result["scores"]["test"]) == {"video"} and set(result["scores"]["val"]["video"]) == {"micro", "macro"}
    assert cli.main(["evaluate", "--data", str(weak_only), "--checkpoint", str(run)]) == 0
    assert "video level, F in %" in capsys.readouterr().out
    predict_unlabelled(run, tmp_path)


def test_the_chosen_epoch_is_the_best_at_video_level(tiny):
    config = config_for("tiny").changed(width=16, denoise=False)
    weak = dataclasses.replace(tiny[1], reference=None)
    run = fit(config.changed(epochs=3, search_thresholds=("audio",)), tiny[0], weak, progress=False)
    means = run.history[["video.micro", "video.macro"]].mean(axis=1)
    assert run.history["mean"].to_numpy() == pytest.approx(means.to_numpy())
    assert means[run.best_epoch - 1] == means.max()
    labels = {t.get_text() for ax in plots.training_history(run.history).axes for t in ax.get_legend().get_texts()}
    assert {"video, micro", "mean of the two"} <= labels
    with pytest.raises(InputError, match="needs dense ones"):
        fit(config.changed(task="localization"), tiny[0], weak, progress=False)


def predict_unlabelled(run, tmp_path):
    """Input without categories.txt takes the checkpoint's categories."""
    bare = tmp_path / "bare"
    dataclasses.replace(load("tiny", "test"), categories=(), weak_labels=None, reference=None).to_folder(bare)
    assert not (bare / "categories.txt").exists()
    assert cli.main(["predict", "--data", str(bare), "--checkpoint", str(run), "--out", str(tmp_path / "p")]) == 0
    opinions = json.loads((tmp_path / "p" / "events.json").read_text())["videos"][0]["opinions"]["audio"]
    assert tuple(opinions) == load("tiny", "test").categories
