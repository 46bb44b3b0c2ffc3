"""Stored runs: frozen studies give back what was frozen, byte for byte, and every bad source is one sentence."""

import gzip
import json
import re

import pandas as pd
import pytest

from cmpae_toolkit import studies
from cmpae_toolkit.config import Config
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.studies import records
from cmpae_toolkit.studies.grid import Job
from cmpae_toolkit.studies.identity import MANIFEST

FROZEN = ("tables", "leave_one_out", "differences", "schedule_search", "improved_search", "evidence_study", "full_size", "films")


def write(folder, name, **record):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps({"variant": "a", "seed": 0, "data": {"title": "birds (test)"}, "scores": {"x": 1.5}} | record))


def test_unfinished_files_are_not_results(tmp_path):
    write(tmp_path, "broken.json", error="x")
    assert records.collect(tmp_path).empty and records.failures(tmp_path) == {"broken.json": "x"}


def test_freezing_and_reading_are_inverse(tmp_path):
    runs, out = tmp_path / "runs", tmp_path / "out"
    write(runs / "birds-1234abcd", "a-seed0.json", history={"loss": [2.0, 1.0]}, config={"seed": 0})
    write(runs / "birds-1234abcd", "b-seed0.json", variant="b", scores={"x": 0.1 + 0.2})
    write(runs / "birds-1234abcd", "failed.json", error="x")
    (runs / "birds-1234abcd" / MANIFEST).write_text(json.dumps({"given": "birds"}))
    (runs / "birds-1234abcd" / "floors.json").write_text(json.dumps({"floors": {}}))
    table, whole = records.freeze(runs, "birds_study", out)
    first = table.read_bytes(), whole.read_bytes()
    records.freeze(runs, "birds_study", out)
    assert (table.read_bytes(), whole.read_bytes()) == first
    lines = [json.loads(line) for line in gzip.decompress(whole.read_bytes()).splitlines()]
    assert [line.pop("file") for line in lines] == ["birds/a-seed0.json", "birds/b-seed0.json", "birds/floors.json"]
    assert lines[0] == json.loads((runs / "birds-1234abcd" / "a-seed0.json").read_text()) and lines[1]["scores"]["x"] == 0.1 + 0.2
    shown = pd.read_csv(table)
    assert shown["variant"].tolist() == ["a", "b"] and shown["scores.x"].tolist() == [1.5, 0.3]


def test_two_data_sets_of_one_name_are_told_apart(tmp_path):
    for digits in ("11111111", "22222222"):
        write(tmp_path / f"birds-{digits}", "a.json")
        (tmp_path / f"birds-{digits}" / MANIFEST).write_text(json.dumps({"given": "birds"}))
    assert set(records.collect(tmp_path)["data"]) == {"birds (test) [11111111]", "birds (test) [22222222]"}
    with pytest.raises(InputError, match="two data sets named 'birds'"):
        records.freeze(tmp_path, "birds", tmp_path / "out")
    with pytest.raises(InputError, match="2 data sets named 'birds': give the folder"):
        records.collect(tmp_path, "elsewhere/birds")


def test_bad_sources_are_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="nowhere is no folder of runs"):
        records.collect(tmp_path / "nowhere")
    with pytest.raises(InputError, match="neither a folder 'tabels' nor a stored study"):
        records.collect("tabels")
    with pytest.raises(InputError, match="no finished run to freeze"):
        records.freeze(tmp_path, "nothing", tmp_path)
    monkeypatch.setattr(records, "RESULTS", tmp_path / "installed")  # a package without the repository around it
    with pytest.raises(InputError, match=r"stored studies are in the folder results/ of the repository"):
        studies.collect("tables")
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    flipped = bytearray(gzip.compress(b'{"file": "a.json", "seed": 0}\n' * 50))
    flipped[20] ^= 255
    for content in (b"no gzip", gzip.compress(b'{"file": "a.json"}\n')[:-9], flipped, *map(gzip.compress, (b"{", b"{}", b"[1]"))):
        (tmp_path / "cut.jsonl.gz").write_bytes(content)
        with pytest.raises(InputError, match="no whole file of stored runs"):
            records.read("cut")
        (tmp_path / "cut.jsonl.gz").unlink()


@pytest.mark.parametrize("name", FROZEN)
def test_the_table_of_a_frozen_study_is_that_of_its_records(name, tmp_path):
    """Freezing what is stored again gives the same table: nobody has edited one of the two files."""
    for file, record in records.read(name).items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(json.dumps(record))
    table, whole = records.freeze(tmp_path, name, tmp_path / "out")
    assert table.read_bytes() == (records.RESULTS / f"{name}.csv").read_bytes()
    assert gzip.decompress(whole.read_bytes()) == gzip.decompress((records.RESULTS / f"{name}.jsonl.gz").read_bytes())


def test_every_stored_study_is_described():
    text = (records.RESULTS / "README.md").read_text()
    stored = {path.name.split(".")[0] for path in records.RESULTS.iterdir()} - {"README"}
    assert stored == set(FROZEN) == set(re.findall(r"^\| `(\w+)` \|", text, re.M))
    assert {path.suffix for path in records.RESULTS.iterdir()} == {".md", ".csv", ".gz"}


def test_stored_runs_keep_their_names():
    """Their file names end in a hash of the config; a new field must not make a grid train them all again."""
    stored = studies.collect("differences")
    for run in stored.itertuples():
        assert Job(run.variant, Config.from_dict(run.record["config"]), "small").file == run.file.partition("/")[2]
    assert len(stored) > 50


def test_numbers_stand_under_their_paths():
    table = records.numbers(studies.collect("evidence_study"))
    assert "errors.all.audio.vacuity.aurc" in table and not any(c.startswith(("config", "thresholds")) for c in table)
    assert table["variant"].value_counts().to_dict() == {"paper": 10, "improved": 10, "amount": 6, "R-EDL": 6, "log + KL": 6, "ensemble": 2}
