"""What the doctor finds in good, incomplete and broken data sets, on paper and in the terminal."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ave_folder import LLP_VIDEOS, features, put, write_ave, write_feats, write_llp

from cmpae_toolkit import cli
from cmpae_toolkit._commands.on_data import diagnose
from cmpae_toolkit.data import doctor, list_version, pack
from cmpae_toolkit.data.ave import AVE_CATEGORIES
from cmpae_toolkit.data.simulation import simulate as simulator
from cmpae_toolkit.data.simulation.simulate import simulate

LLP_IDS = [video[:11] for videos in LLP_VIDEOS.values() for video in videos]


@pytest.fixture
def llp(tmp_path, monkeypatch):
    monkeypatch.setenv("CMPAE_HOME", str(tmp_path / "home"))
    return write_feats(write_llp(tmp_path / "home" / "llp"), LLP_IDS)


def test_a_whole_folder(llp):
    found = doctor.examine("llp")
    assert found["usable"] and (found["kind"], found["folder"]) == ("llp", str(llp))
    assert {name: about["videos"] for name, about in found["splits"].items()} == {"train": 2, "val": 1, "test": 1}
    val = found["splits"]["val"]
    assert val["streams"] == {"audio": [10, 4], "frames": [20, 6], "clip": [10, 5]} and val["title"] == "llp (val)"
    assert val["complete"] == 1 and val["dense_reference"] and not found["splits"]["train"]["dense_reference"]
    assert [each["version"] for each in found["lists"]] == ["other"] * 5 and found["leakage"]["count"] == 0
    json.dumps(found)


def test_missing_features_are_counted_and_named(llp):
    (llp / "feats" / "res152" / "bbbbbbbbbb0.npy").unlink()
    found = doctor.examine(llp)
    train = found["splits"]["train"]
    assert not found["usable"] and not train["usable"] and found["splits"]["val"]["usable"]
    assert (train["videos"], train["complete"], train["missing"]["count"]) == (2, 1, 1)
    assert train["missing"]["first"][0].startswith("bbbbbbbbbb0_0_10: ") and "1 of 2 videos have no features" in train["problem"]
    assert doctor.examine(llp, missing="skip")["usable"]


def test_lists_without_features(llp):
    (llp / "feats").rename(llp / "later")
    val = doctor.examine(llp)["splits"]["val"]
    assert not val["usable"] and val["videos"] == 1 and val["complete"] == 0 and "no features: looked for" in val["problem"]


def test_broken_feature_files_are_found_by_their_size_and_by_sampling(llp, monkeypatch):
    ids = [f"cccccccccc{i:x}" for i in range(12)]
    write_llp(llp, {**LLP_VIDEOS, "train": [f"{video}_0_10" for video in ids]})
    write_feats(llp, ids)
    monkeypatch.setattr(doctor, "SAMPLED", 1)
    assert doctor.examine(llp)["usable"]
    path = llp / "feats" / "vggish" / "cccccccccc7.npy"
    path.write_bytes(path.read_bytes()[:-4])
    train = doctor.examine(llp)["splits"]["train"]
    assert len(train["bad_files"]) == 1 and "cccccccccc7.npy (cccccccccc7_0_10, line 9" in train["problem"]
    np.save(path, np.full((10, 4), np.nan, np.float32))  # of the usual size
    assert doctor.examine(llp)["usable"]
    monkeypatch.setattr(doctor, "SAMPLED", 12)
    assert "holds NaN" in doctor.examine(llp)["splits"]["train"]["problem"]


def test_every_bad_row_with_its_file_and_line(llp):
    (llp / "AVVP_train.csv").write_text("filename\tevent_labels\nx_0_10\tDgo\ny_0_10\tDog\nz_0_10\ny_0_10\tCat\n")
    visual = llp / "AVVP_eval_visual.csv"
    visual.write_bytes(visual.read_bytes() + b"bbbbbbbbbb2_0_10\tone\t3\tDog\r\nbbbbbbbbbb2_0_10\t1\t\xff\tDog\r\n")
    found = doctor.examine(llp)
    rows = found["splits"]["train"]["bad_rows"]
    assert [row.split(": ")[0] for row in rows] == [f"{llp / 'AVVP_train.csv'}, line {n}" for n in (2, 4)]
    assert [row.split(": ")[0] for row in found["splits"]["val"]["bad_rows"]] == [f"{visual}, line {n}" for n in (4, 5)]
    assert found["splits"]["train"]["problem"] == rows[0] and not found["usable"]


def test_not_more_bad_rows_than_one_reads(llp):
    (llp / "AVVP_train.csv").write_text("filename\tevent_labels\n" + "one column\n" * 100)
    assert len(doctor.examine(llp)["splits"]["train"]["bad_rows"]) == doctor.MOST_ROWS


def test_leaks_between_splits(llp):
    write_llp(llp, {**LLP_VIDEOS, "val": ["bbbbbbbbbb0_30_40"]})
    leakage = doctor.examine(llp)["leakage"]
    expected = {"id": "bbbbbbbbbb0", "splits": {"train": ["bbbbbbbbbb0_0_10"], "val": ["bbbbbbbbbb0_30_40"]}}
    assert leakage == {"count": 1, "videos": [expected]}


def test_the_toolkits_own_folder_and_a_store(tiny, tmp_path):
    for split in tiny:
        split.to_folder(tmp_path / "own")
    found = doctor.examine(tmp_path / "own")
    assert found["usable"] and found["kind"] == "own" and found["splits"]["val"]["title"] == "simulated tiny (val)"
    store = pack(tmp_path / "own", "val", tmp_path / "packed", progress=False)
    found = doctor.examine(store)
    assert found["usable"] and found["kind"] == "store" and found["splits"]["val"]["videos"] == 48
    with open(store / "audio.npy", "r+b") as file:
        file.seek(-4, 2)
        file.write(b"\x11\x11\x11\x11")
    found = doctor.examine(store)
    assert not found["usable"] and "do not have their checksum" in found["splits"]["val"]["problem"]
    (store / "store.json").write_text("{}")
    assert not doctor.examine(store)["usable"]


def test_ave_and_avep(llp, tmp_path):
    ave = write_ave(tmp_path / "home" / "ave")
    found = doctor.examine("ave")
    assert found["usable"] and found["kind"] == "ave"
    assert found["splits"]["train"]["streams"] == {"audio": [10, 4], "frames": [40, 6]}
    assert [video["id"] for video in found["leakage"]["videos"]] == ["aaaaaaaaaa3"]
    write_feats(ave, ["aaaaaaaaaa0", "aaaaaaaaaa2", "aaaaaaaaaa3", "aaaaaaaaaa5", "aaaaaaaaaa6"])
    found = doctor.examine("avep")
    assert found["usable"] and found["kind"] == "avep" and found["splits"]["train"]["categories"] == 39
    assert len(found["lists"]) == 5 + 5 and found["leakage"]["count"] == 1
    audio = np.stack([features(i, (10, 4)) for i in range(9)])
    audio[3] = np.inf
    put(ave / "audio_feature.h5", audio)
    assert "row 3" in doctor.examine("ave")["splits"]["test"]["problem"]
    (ave / "Annotations.txt").write_text((ave / "Annotations.txt").read_text().replace("Bark&", "Bork&"))
    rows = doctor.examine("ave")["splits"]["test"]["bad_rows"]
    assert [row.split(": ")[0] for row in rows] == [f"{ave / 'Annotations.txt'}, line 9"]


def test_what_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("CMPAE_HOME", str(tmp_path / "home"))
    for name, said in (("nowhere", "no folder 'nowhere'"), ("llp", "run `cmpae download llp`"), (tmp_path, "no lists here")):
        found = doctor.examine(name)
        assert not found["usable"] and all(said in split["problem"] for split in found["splits"].values())


def test_simulated_data_is_not_generated(monkeypatch):
    made = []
    monkeypatch.setattr(simulator, "simulate", lambda *a, videos, **o: made.append(videos) or simulate(*a, videos=videos, **o))
    found = doctor.examine("full")
    assert found["usable"] and found["splits"]["train"]["videos"] == 10_000 and "simulated" in found["splits"]["train"]["title"]
    assert found["splits"]["val"]["streams"] == {"audio": [10, 128], "frames": [80, 2048], "clip": [10, 512]}
    assert made == [1, 1, 1]


def test_versions_by_checksum(shared, tmp_path):
    folder = shared / "data" / "llp"
    assert {path.name: list_version(path) for path in sorted(folder.glob("*eval*"))} == {
        "AVVP_eval_audio.csv": "2024 corrected", "AVVP_eval_audio_2020.csv": "2020 list", "AVVP_eval_visual.csv": "as published"
    }
    windows = tmp_path / "AVVP_train.csv"
    windows.write_bytes((folder / "AVVP_train.csv").read_bytes().replace(b"\n", b"\r\n"))
    assert list_version(windows) == "as published"
    windows.write_bytes(b"\n" + windows.read_bytes())
    assert list_version(windows) == "other"


def test_the_published_lists(shared):
    for name, count in (("llp", 6), ("ave", 6)):
        found = doctor.examine(shared / "data" / name)
        versions = [each["version"] for each in found["lists"]]
        assert len(versions) == count and "other" not in versions and not found["usable"]
        assert found["leakage"]["count"] == {"llp": 0, "ave": 18}[name]
    assert found["splits"]["train"]["videos"] == 3339 and found["splits"]["train"]["categories"] == len(AVE_CATEGORIES)


def test_terminal_and_exit_status(llp, capsys):
    assert cli.main(["doctor", "--data", "llp"]) == 0
    said = capsys.readouterr().out
    assert "llp: usable" in said and "train: 2 videos, 25 categories, 2 complete, audio (audio) 10 x 4" in said
    assert f"list {llp / 'AVVP_train.csv'}: other (sha256" in said
    (llp / "feats" / "vggish" / "bbbbbbbbbb0.npy").unlink()
    assert cli.main(["doctor", "--data", "llp"]) == 1
    said = capsys.readouterr().out
    assert "NOT usable" in said and "1 of 2 videos have no features" in said and "    missing bbbbbbbbbb0_0_10: " in said
    assert cli.main(["doctor", "--data", "llp", "--missing", "skip", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["usable"] and found["splits"]["train"]["complete"] == 1 and found["machine"]["cpus"] >= 1


def test_a_folder_that_does_not_say_how_long_snippets_last(tiny, tmp_path, capsys):
    for split in tiny:
        split.to_folder(tmp_path / "own")
    (tmp_path / "own" / "dataset.json").write_text('{"streams": {}}')
    assert cli.main(["doctor", "--data", str(tmp_path / "own")]) == 0
    assert "10 snippets of 1 s a video" in capsys.readouterr().out


def test_diagnosis_names_the_machine(llp):
    found = diagnose("llp")
    assert {"torch", "numpy"} <= found["versions"].keys() and found["device"] and isinstance(found["machine"]["gpus"], list)
