"""A stored run belongs to the content of its data: folders of one name never share runs, and changed data are trained anew."""

import dataclasses
import json
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from cmpae_toolkit import data
from cmpae_toolkit._files import hold
from cmpae_toolkit.config import Config
from cmpae_toolkit.errors import InputError, InputWarning
from cmpae_toolkit.studies import grid, records, tables
from cmpae_toolkit.studies.grid import jobs, run_grid
from cmpae_toolkit.studies.identity import identify, short_name

BASE = Config(width=16, batch_size=32, epochs=1, denoise=False)


@pytest.fixture
def ran(monkeypatch):
    """The jobs that are really trained."""
    genuine, seen = grid.run, []
    monkeypatch.setattr(grid, "run", lambda job, *rest: (seen.append(job), genuine(job, *rest))[1])
    return seen


def write_folder(folder, tiny, loudness=1.0):
    for videos in tiny:
        part = videos.subset(np.arange(16))
        features = {name: (x * loudness).astype(x.dtype) for name, x in part.features.items()}
        dataclasses.replace(part, features=features).to_folder(folder)
    return str(folder)


def test_two_folders_of_one_name_share_nothing(tmp_path, tiny, ran):
    first, second = write_folder(tmp_path / "v1" / "birds", tiny), write_folder(tmp_path / "v2" / "birds", tiny, 3.0)
    one, two = (run_grid(jobs({"EDL + PAEC + JML": {}}, BASE, [name], [0]), tmp_path / "out") for name in (first, second))
    assert len(ran) == 2 and len(one) == len(two) == 1 and one["file"].item() != two["file"].item()
    assert one["record"].item()["history"]["loss"] != two["record"].item()["history"]["loss"]
    for name, table in ((first, one), (second, two)):
        assert records.collect(tmp_path / "out", name)["segment.type"].tolist() == table["segment.type"].tolist()
        frame = tables.make(2, tmp_path / "out", [name]).frame
        assert frame.loc[frame["n"].notna(), "segment.type"].tolist() == table["segment.type"].tolist()
    assert len(run_grid(jobs({"EDL + PAEC + JML": {}}, BASE, [first, second], [0]), tmp_path / "out")) == 2 and len(ran) == 2


def test_features_that_were_extracted_anew_are_trained_anew(tmp_path, tiny, ran):
    folder = write_folder(tmp_path / "birds", tiny)
    planned = jobs({"full": {}}, BASE, [folder], [0])
    (before,) = run_grid(planned, tmp_path / "out")["file"]
    shutil.rmtree(folder)
    write_folder(tmp_path / "birds", tiny, 2.0)
    (after,) = run_grid(planned, tmp_path / "out")["file"]
    assert len(ran) == 2 and before != after
    shutil.rmtree(folder)  # without the data, the two cannot be told apart
    with pytest.raises(InputError, match="2 data sets named 'birds'"):
        records.collect(tmp_path / "out", folder)


@pytest.mark.parametrize("spoil", [
    lambda record: record["data"]["checksums"].update(test="000000000000"), lambda record: record["config"].update(width=8),
    lambda record: record["config"].update(width="wide"), lambda record: record.pop("config"), lambda record: record.pop("data"),
], ids=["other data", "other config", "no config", "config gone", "data gone"])
def test_a_record_that_is_of_something_else_is_made_again(tmp_path, ran, spoil):
    planned = jobs({"full": {}}, BASE, ["tiny"], [0])
    (file,) = run_grid(planned, tmp_path)["file"]
    genuine = (tmp_path / file).read_text()
    record = json.loads(genuine)
    spoil(record)
    (tmp_path / file).write_text(json.dumps(record))
    assert len(run_grid(planned, tmp_path)) == 1 and len(ran) == 2
    assert json.loads((tmp_path / file).read_text())["scores"] == json.loads(genuine)["scores"]


def test_frozen_runs_on_the_same_simulated_data_count_as_finished(tmp_path, monkeypatch, ran):
    planned = jobs({"full": {}}, BASE, ["tiny"], [0, 1])
    for record in run_grid(planned[:1], tmp_path / "first")["record"]:
        record["data"]["checksums"] = dict.fromkeys(record["data"]["checksums"], "of another processor")
        (tmp_path / "old" / "tiny").mkdir(parents=True)
        (tmp_path / "old" / "tiny" / planned[0].file).write_text(json.dumps(record))
    monkeypatch.setattr(records, "RESULTS", tmp_path / "results")
    records.freeze(tmp_path / "old", "kept", tmp_path / "results")
    with pytest.warns(InputWarning, match="1 runs of 'kept' are taken over"):
        assert len(run_grid(planned, tmp_path / "second", extend="kept")) == 2 and ran == planned
    assert len(run_grid(planned, tmp_path / "second")) == 2 and ran == planned  # what was taken over stays
    (taken,) = [r for r in records.collect(tmp_path / "second")["record"] if "checksums" not in r["data"]]
    record, identity = dict(taken), identify("tiny")
    assert taken["data"]["stored_checksums"]["train"] == "of another processor"
    on_val = record | {"split": "val"}
    assert not identity.holds(on_val | {"per_video": {"segment": [0.0]}})
    assert identify("tiny", ("train", "val")).holds(on_val | {"per_video": {"segment": [0.0] * 48}})
    assert identity.holds(record) and not identity.holds(records.collect("kept")["record"].item())
    record["per_video"]["segment"].pop()
    assert not identity.holds(record) and not dataclasses.replace(identity, simulated=False).holds(record) and not identity.holds({})


def test_names():
    assert short_name("small") == short_name("simulated-small") == "small" and short_name("simulated-ave") == "simulated-ave"
    assert short_name("v1/birds/") == short_name("v1/../birds") == "birds" and short_name(".") not in (".", "")
    identity = identify("tiny")
    assert set(identity.checksums) == set(data.splits) and identity.folder.startswith("simulated_tiny-")
    assert identify("tiny", ("train", "val")).folder != identity.folder


def test_a_search_never_loads_test(tmp_path, monkeypatch):
    load, loaded = data.load, []
    monkeypatch.setattr(data, "load", lambda name, split: (loaded.append(split), load(name, split))[1])
    assert len(run_grid(jobs({"full": {}}, BASE, ["tiny"], [0], "val"), tmp_path)) == 1
    assert "test" not in loaded


def test_two_grids_in_one_folder(tmp_path):
    """The second is told which process holds the folder; a killed one holds nothing."""
    code = "import sys, time; from cmpae_toolkit._files import hold\nwith hold(sys.argv[1]): print('held', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=f"process {other.pid} is writing to {tmp_path}"):
            run_grid(jobs({"full": {}}, BASE, ["tiny"], [0]), tmp_path)
        assert not list(tmp_path.glob("*/*.json"))
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()
        other.stdout.close()
    with pytest.raises(InputError, match="no data set"):
        run_grid(jobs({"full": {}}, BASE, ["nowhere"], [0]), tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with hold(tmp_path), pytest.raises(InputError, match="is writing to"), hold(tmp_path):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written to"), hold(tmp_path / "file"):
        pass
