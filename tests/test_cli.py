"""The command line as a user meets it: results, files, one-sentence errors, exit statuses."""

import json

import numpy as np
import pandas as pd
import pytest

from cmpae_toolkit import checkpoint, cli, inference, metrics
from cmpae_toolkit._files import flat
from cmpae_toolkit.checkpoint import load_run
from cmpae_toolkit.data import load
from cmpae_toolkit.explorer import state
from cmpae_toolkit.inference import evaluate

FIELDS = ["--set", "width=16", "epochs=2", "estimator_epochs=1"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    status = cli.main(["train", "--data", "tiny", *FIELDS, "--seed", "3", "--out", str(out / "a"), "--figures", str(out / "figures")])
    assert status == 0
    return out


def test_train_leaves_everything(trained, tiny):
    made = {p.relative_to(trained).as_posix() for p in trained.rglob("*") if p.is_file()}
    assert {"a/model.safetensors", "a/config.json", "a/history.csv", "a/run.json"} <= made
    for name in ("run_training_history", "run_evidence_curves"):
        assert (trained / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    result = json.loads((trained / "a" / "run.json").read_text())
    assert result["config"]["width"] == 16 and result["config"]["seed"] == 3
    assert "simulated" in result["data"]["title"]
    assert flat(result["scores"]["test"]) == pytest.approx(flat(evaluate(load_run(trained / "a"), tiny[2])))
    assert result["floors"]["test"] == metrics.floors(tiny[2].weak_labels, tiny[2].reference)
    assert result["precision"] == "float32"
    assert set(result["versions"]) >= {"torch", "python", "cmpae_toolkit"} and result["seconds"] > 0


def test_train_prints_scores_beside_floors(tmp_path, capsys):
    assert cli.main(["train", "--data", "tiny", *FIELDS, "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    for expected in ("simulated tiny (test), 48 videos", "this run", "predict nothing", "true weak labels everywhere", "make lab"):
        assert expected in text
    assert max(len(line) for line in text.splitlines() if "%" in line or "nothing" in line) <= 80
    assert cli.main(["train", "--data", "tiny", *FIELDS, "--out", str(tmp_path), "--resume"]) == 0


def test_ave_is_scored_by_accuracy(tmp_path, capsys):
    command = ["--data", "simulated-tiny-ave"]
    assert cli.main(["train", *command, "--out", str(tmp_path), "--set", "epochs=3"]) == 0
    text = capsys.readouterr().out
    assert "preset ave" in text and "accuracy over all snippets" in text and "background everywhere" in text
    assert cli.main(["evaluate", *command, "--checkpoint", str(tmp_path)]) == 0
    assert "accuracy over all snippets in %: checkpoint" in capsys.readouterr().out
    result = json.loads((tmp_path / "run.json").read_text())
    test = load("simulated-tiny-ave", "test")
    background = 100 * (metrics.answers(test.reference) == len(test.categories)).mean()
    assert result["floors"]["accuracy"]["background everywhere"] == pytest.approx(background)


def test_evaluate(trained, capsys, tmp_path, tiny):
    file = tmp_path / "scores.json"
    assert cli.main(["evaluate", "--data", "tiny", "--checkpoint", str(trained / "a"), "--json", str(file)]) == 0
    scores = json.loads(file.read_text())["scores"]
    assert flat(scores) == pytest.approx(flat(evaluate(load_run(trained / "a"), tiny[2])))
    assert f"{scores['segment']['type']:.1f}" in capsys.readouterr().out


def test_one_sided_columns_are_printed_and_written_where_they_are_asked_for(trained, capsys, tmp_path, tiny):
    file = tmp_path / "scores.json"
    command = ["evaluate", "--data", "tiny", "--checkpoint", str(trained / "a"), "--json", str(file), "--one-sided"]
    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    assert printed.count("audible-only  visible-only") == 2 and max(map(len, printed.splitlines())) <= 80
    found = json.loads(file.read_text())
    assert flat(found["scores"]) == pytest.approx(flat(evaluate(load_run(trained / "a"), tiny[2], one_sided=True)))
    nothing = metrics.f_scores(np.zeros_like(tiny[2].reference), tiny[2].reference, one_sided=True)
    assert flat(found["floors"]["predict nothing"]) == pytest.approx(flat(nothing))
    assert cli.main(command[:-3]) == 0 and "audible-only" not in capsys.readouterr().out


def test_the_shipped_checkpoint_beats_predicting_nothing(capsys):
    assert cli.main(["evaluate", "--data", "small"]) == 0
    run, test = checkpoint.shipped_run(), load("small", "test")
    scores, floors = evaluate(run, test), inference.floors(test)
    stored = json.loads((checkpoint.SHIPPED["paper"] / "run.json").read_text())["scores"]["test"]
    for level in metrics.LEVELS:
        assert scores[level] == pytest.approx(stored[level], abs=0.3)  # other processors round otherwise
        assert scores[level]["type"] > 5 * floors["predict nothing"][level]["type"]
    assert "simulated small (test), 600 videos" in capsys.readouterr().out


def test_predict_unlabelled_folder(trained, tiny, tmp_path, capsys):
    for stream, x in tiny[2].features.items():
        (tmp_path / "in" / "feats" / stream).mkdir(parents=True)
        for name, video in zip(tiny[2].ids[:7], x, strict=False):
            np.save(tmp_path / "in" / "feats" / stream / f"{name}.npy", video)
    (tmp_path / "in" / "categories.txt").write_text("\n".join(tiny[2].categories))
    out = tmp_path / "out"
    command = ["predict", "--checkpoint", str(trained / "a"), "--out", str(out)]
    assert cli.main([*command, "--data", str(tmp_path / "in")]) == 0
    table, description = pd.read_csv(out / "events.csv"), json.loads((out / "events.json").read_text())
    assert list(table) == ["filename", "onset", "offset", "category", "track", "probability", "vacuity"]
    assert len(description["videos"]) == 7
    assert len(table) == sum(len(v["events"]) for v in description["videos"]) > 0
    assert (table["onset"] < table["offset"]).all() and table["probability"].between(0, 1).all() and table["vacuity"].between(0, 1).all()
    opinion = description["videos"][0]["opinions"]["audio"]["Dog"]
    assert set(opinion) == {"probability", "vacuity"}
    capsys.readouterr()


def test_predict_takes_test_of_every_simulated_set(tmp_path, capsys):
    set_name = "simulated-tiny-ave"
    assert cli.main(["train", "--data", set_name, "--out", str(tmp_path / "run"), "--set", "epochs=1", "width=16"]) == 0
    assert cli.main(["predict", "--data", set_name, "--checkpoint", str(tmp_path / "run"), "--out", str(tmp_path / "out")]) == 0
    assert len(json.loads((tmp_path / "out" / "events.json").read_text())["videos"]) == len(load(set_name, "test"))
    capsys.readouterr()


def test_doctor(capsys, tmp_path):
    assert cli.main(["doctor", "--data", "tiny"]) == 0
    assert "train: 96 videos, 25 categories" in capsys.readouterr().out
    assert cli.main(["doctor", "--data", "tiny", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["usable"] and found["splits"]["val"]["dense_reference"]
    assert cli.main(["doctor", "--data", str(tmp_path)]) == 1
    assert "NOT usable" in capsys.readouterr().out


def test_pack(tiny, tmp_path, capsys):
    for split in tiny:
        split.to_folder(tmp_path / "data")
    assert cli.main(["pack", "--data", str(tmp_path / "data"), "--split", "val", "--out", str(tmp_path / "packed")]) == 0
    packed = load(tmp_path / "packed" / "val", "val")
    assert isinstance(packed.features["frames"], np.memmap) and packed.ids == tiny[1].ids
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--data", "nowhere"], "no data set 'nowhere'"),
        (["train", "--data", "tiny", "--set", "widht=3"], "'widht' is not a config field"),
        (["train", "--data", "tiny", "--set", "width"], "'width' is ''"),
        (["evaluate", "--checkpoint", "nowhere"], "config.json is missing"),
        (["evaluate", "--data", "tiny"], "needs the stream"),  # the shipped checkpoint is of `small`
        (["train", "--data", "tiny", "--device", "warp"], "'warp' cannot be used"),
        (["pack", "--data", "tiny"], "tiny"),
    ],
)
def test_errors_are_one_sentence(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    last = error.strip().splitlines()[-1]
    assert last.startswith("cmpae: ") and message in last and "Traceback" not in error


def test_out_must_be_a_folder(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["train", "--data", "tiny", "--out", str(tmp_path / "file")]) == 2
    assert "is a file" in capsys.readouterr().err


def test_example_video_shows_both_kinds_of_event(tiny):
    reference = tiny[2].reference[state.example_video(tiny[2])]
    audible, visible = reference.any(1)
    assert (audible & visible).any() and (audible & ~visible).any()
