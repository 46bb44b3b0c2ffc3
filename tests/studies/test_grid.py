"""Grids: resume, recorded failures, summaries; and that the test split chooses nothing."""

import dataclasses
import hashlib
import json
import logging
import os
import signal
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest

from cmpae_toolkit import data
from cmpae_toolkit.config import Config
from cmpae_toolkit.decode import Thresholds
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.studies import grid
from cmpae_toolkit.studies.grid import jobs, run_grid
from cmpae_toolkit.studies.identity import identify

BASE = Config(width=16, batch_size=32, epochs=2, estimator_epochs=1)
VARIANTS = {"full": {}, "no JML": {"mutual_weight": 0.0, "joint": "mmil"}}


def test_grid_resumes_and_records_failures(tmp_path, monkeypatch):
    planned = jobs(VARIANTS, BASE, ["tiny"], [0, 1])
    assert len({job.file for job in planned}) == 4
    genuine = grid.run
    monkeypatch.setattr(
        grid, "run", lambda job, *rest: 1 / 0 if job.variant == "no JML" and job.config.seed == 1 else genuine(job, *rest)
    )
    table = run_grid(planned, tmp_path)
    assert len(table) == 3 and set(table["data"]) == {"simulated tiny (test)"}
    (place,) = {path.parent for path in tmp_path.rglob("*-seed*.json")}
    assert place.name == identify("tiny").folder
    failed = json.loads((place / planned[3].file).read_text())
    assert failed["error"] == "ZeroDivisionError: division by zero" and failed["seed"] == 1
    ran = []
    monkeypatch.setattr(grid, "run", lambda job, *rest: (ran.append(job), genuine(job, *rest))[1])
    assert len(run_grid(planned, tmp_path)) == 4
    assert ran == [planned[3]]
    result = json.loads((place / planned[0].file).read_text())
    assert result["config"]["seed"] == 0 and len(result["per_video"]["segment"]) == 48 and len(result["history"]["epoch"]) == 2
    assert np.mean(result["per_video"]["event"]) == pytest.approx(result["scores"]["event"]["type"], abs=0.01)
    assert result["per_video"].keys() == {"segment", "event"}


def test_a_record_of_localization_keeps_the_accuracy_of_each_video():
    (job,) = jobs({"located": {"task": "localization", "select_epoch_by": "accuracy"}}, BASE, ["simulated-tiny-ave"], [0])
    record = grid.run(job)
    assert np.mean(record["per_video"]["accuracy"]) == pytest.approx(record["scores"]["accuracy"], abs=0.01)


def test_two_processes_give_the_same_scores(tmp_path):
    planned = jobs({"full": {}}, BASE, ["tiny"], [0, 1])
    one, two = (run_grid(planned, tmp_path / str(workers), workers=workers) for workers in (1, 2))
    pd.testing.assert_frame_equal(one.drop(columns="record"), two.drop(columns="record"))


def test_a_poisoned_test_set_changes_nothing_that_was_chosen(monkeypatch):
    (job,) = jobs({"searched": {"search_thresholds": ("visual",)}}, BASE, ["tiny"], [0])
    clean = grid.run(job)
    load, order = data.load, []

    def poisoned(name, split):
        order.append(split)
        loaded = load(name, split)
        if split == "test":
            features = {n: x[::-1] * 100 for n, x in loaded.features.items()}
            loaded = dataclasses.replace(loaded, features=features, reference=~loaded.reference)
        return loaded

    monkeypatch.setattr(data, "load", poisoned)
    spoilt = grid.run(job)
    for chosen in ("best_epoch", "thresholds", "config"):
        assert spoilt[chosen] == clean[chosen]
    assert {k: v for k, v in spoilt["history"].items() if k != "seconds"} == {k: v for k, v in clean["history"].items() if k != "seconds"}
    assert order[-1] == "test" and order.count("test") == 1
    assert spoilt["scores"] != clean["scores"]


def test_a_grid_survives_a_killed_worker_of_a_cluster(tmp_path):
    """A real Dask scheduler with two workers, one of which is killed after the first result: no run is lost or repeated."""
    distributed = pytest.importorskip("distributed")
    planned = jobs(VARIANTS, BASE.changed(epochs=6), ["tiny"], [0, 1, 2])
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=logging.ERROR) as cluster:
        killed = []

        def kill_one():
            while not list(tmp_path.rglob("*-seed*.json")):
                time.sleep(0.02)
            worker = next(iter(cluster.workers.values()))
            killed.append(worker.pid)
            os.kill(worker.pid, signal.SIGKILL)

        killer = threading.Thread(target=kill_one, daemon=True)
        killer.start()
        table = run_grid(planned, tmp_path, scheduler=cluster.scheduler_address)
        killer.join(10)
        assert len(killed) == 1 and len(table) == len(planned) and not grid.failures(tmp_path)
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
        assert len(run_grid(planned, tmp_path, scheduler=cluster.scheduler_address)) == len(planned)
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")} == before
    alone = run_grid(planned[:1], tmp_path / "alone")
    assert alone["segment.type"].item() == table.loc[(table["variant"] == "full") & (table["seed"] == 0), "segment.type"].item()


def test_a_cluster_that_is_not_there_is_told_in_a_sentence(tmp_path, monkeypatch):
    dask = pytest.importorskip("dask")
    with dask.config.set({"distributed.comm.timeouts.connect": "0.3s"}), pytest.raises(InputError, match="no Dask scheduler answers"):
        run_grid(jobs(VARIANTS, BASE, ["tiny"], [0]), tmp_path, scheduler="tcp://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match="pip install dask distributed"):
        run_grid(jobs(VARIANTS, BASE, ["tiny"], [0]), tmp_path, scheduler="tcp://127.0.0.1:9")


def test_a_search_scores_val_and_never_loads_test(tmp_path, monkeypatch):
    (job,) = jobs({"full": {}}, BASE, ["tiny"], [0], split="val")
    load, loaded = data.load, []
    monkeypatch.setattr(data, "load", lambda name, split: (loaded.append(split), load(name, split))[1])
    result = grid.run(job)
    assert "test" not in loaded and result["split"] == "val" and job.file.endswith("-val.json")
    best = result["history"]["epoch"].index(result["best_epoch"])
    assert result["scores"]["segment"]["type"] == pytest.approx(result["history"]["segment.type"][best], abs=1e-4)


def test_a_run_keeps_its_categories_and_its_curve_over_thresholds():
    (job,) = jobs({"full": {}}, BASE, ["tiny"], [0])
    result = grid.run(job)
    categories = data.load("tiny", "test").categories
    assert all(len(values) == len(categories) for tracks in result["per_category"].values() for values in tracks.values())
    curve = result["val_by_snippet_threshold"]
    best = result["history"]["epoch"].index(result["best_epoch"])
    assert curve["segment.type"][curve["threshold"].index(0.5)] == pytest.approx(result["history"]["segment.type"][best], abs=1e-3)
    assert grid.threshold_curve(None, dataclasses.replace(Thresholds.of(BASE, ["a"]), both=0.2), None) == {}


def test_names_of_runs_outlive_new_config_fields():
    """Only fields that differ from the defaults are in the name."""
    (job,) = jobs({"full": {"width": 32}}, Config(), ["tiny"], [0])
    digest = hashlib.sha256(repr([("width", 32)]).encode()).hexdigest()[:8]
    assert job.file == f"full-seed0-{digest}.json"
