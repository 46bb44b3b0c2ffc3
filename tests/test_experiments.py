"""Grids: resume, recorded failures, summaries; and that the test split chooses nothing."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from cmpae_toolkit import data, experiments
from cmpae_toolkit.config import Config
from cmpae_toolkit.experiments import collect, jobs, run_grid
from cmpae_toolkit.paired import summarise

BASE = Config(width=16, batch_size=32, epochs=2, estimator_epochs=1)
VARIANTS = {"full": {}, "no JML": {"mutual_weight": 0.0, "joint": "mmil"}}


def test_grid_resumes_and_records_failures(tmp_path, monkeypatch):
    grid = jobs(VARIANTS, BASE, ["tiny"], [0, 1])
    assert len({job.file for job in grid}) == 4
    genuine = experiments.run
    monkeypatch.setattr(
        experiments, "run", lambda job, device: 1 / 0 if job.variant == "no JML" and job.config.seed == 1 else genuine(job, device)
    )
    table = run_grid(grid, tmp_path)
    assert len(table) == 3 and set(table["data"]) == {"simulated tiny (test)"}
    failed = json.loads((tmp_path / grid[3].file).read_text())
    assert failed["error"] == "ZeroDivisionError: division by zero" and failed["seed"] == 1
    ran = []
    monkeypatch.setattr(experiments, "run", lambda job, device: (ran.append(job), genuine(job, device))[1])
    assert len(run_grid(grid, tmp_path)) == 4
    assert ran == [grid[3]]
    result = json.loads((tmp_path / grid[0].file).read_text())
    assert result["config"]["seed"] == 0 and len(result["per_video"]["segment"]) == 48 and len(result["history"]["epoch"]) == 2
    assert np.mean(result["per_video"]["event"]) == pytest.approx(result["scores"]["event"]["type"], abs=0.01)


def test_two_processes_give_the_same_scores(tmp_path):
    grid = jobs({"full": {}}, BASE, ["tiny"], [0, 1])
    one, two = (run_grid(grid, tmp_path / str(workers), workers=workers) for workers in (1, 2))
    pd.testing.assert_frame_equal(one.drop(columns="file"), two.drop(columns="file"))


def test_a_poisoned_test_set_changes_nothing_that_was_chosen(monkeypatch):
    (job,) = jobs({"searched": {"search_thresholds": ("visual",)}}, BASE, ["tiny"], [0])
    clean = experiments.run(job)
    load, order = data.load, []

    def poisoned(name, split):
        order.append(split)
        loaded = load(name, split)
        if split == "test":
            features = {n: x[::-1] * 100 for n, x in loaded.features.items()}
            loaded = dataclasses.replace(loaded, features=features, reference=~loaded.reference)
        return loaded

    monkeypatch.setattr(data, "load", poisoned)
    spoilt = experiments.run(job)
    for chosen in ("best_epoch", "thresholds", "config"):
        assert spoilt[chosen] == clean[chosen]
    assert {k: v for k, v in spoilt["history"].items() if k != "seconds"} == {k: v for k, v in clean["history"].items() if k != "seconds"}
    assert order[-1] == "test" and order.count("test") == 1
    assert spoilt["scores"] != clean["scores"]


def test_summary_is_paired_by_seed():
    rows = [("full", 0, 60.0), ("full", 1, 64.0), ("full", 2, 62.0), ("less", 0, 59.0), ("less", 1, 62.0), ("less", 2, 59.0)]
    table = pd.DataFrame([{"data": "d", "variant": v, "seed": s, "segment.type": x} for v, s, x in rows])
    summary = summarise(table, "full", ["segment.type"]).set_index("variant")
    assert summary.loc["full", "segment.type"] == 62 and summary.loc["full", "segment.type difference"] == 0
    less = summary.loc["less"]
    assert less["n"] == 3 and less["segment.type sd"] == pytest.approx(np.sqrt(3))
    assert less["segment.type difference"] == -2  # of -1, -2, -3
    assert less["segment.type ±"] == pytest.approx(4.302653 * 1 / np.sqrt(3), rel=1e-5)  # Student's t, 2 degrees of freedom


def test_unfinished_files_are_not_results(tmp_path):
    (tmp_path / "broken.json").write_text('{"error": "x", "variant": "a", "seed": 0}')
    assert collect(tmp_path).empty
