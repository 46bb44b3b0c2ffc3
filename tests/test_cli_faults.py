"""What goes wrong at a command line ends in one sentence, leaves nothing half-written, and replaces nothing unasked."""

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch

from cmpae_toolkit import _commands, _files, cli, inference
from cmpae_toolkit._files import flat
from cmpae_toolkit.checkpoint import load_run
from cmpae_toolkit.data import load
from cmpae_toolkit.inference import evaluate

SMALL = ["--width", "16", "--epochs", "2", "--estimator-epochs", "1"]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    assert cli.main(["train", "--data", "tiny", *SMALL, "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`tiny` as a folder of files: the first videos of each split."""
    out = tmp_path_factory.mktemp("data") / "birds"
    for split in ("train", "val", "test"):
        load("tiny", split).subset(range(24)).to_folder(out)
    return out


def error_of(arguments, capsys, status=2):
    """The one sentence on stderr, without progress and notes."""
    assert cli.main([str(a) for a in arguments]) == status
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("cmpae: ")]
    told = [line for line in lines if not line.startswith("cmpae: note:")]
    assert len(told) == 1, lines
    return told[0]


# ---- data that is not as it should be ---------------------------------------------------------------------------------------


def test_a_missing_file_is_advised_in_the_command_lines_words(folder, tmp_path, capsys, run_folder):
    """And what the sentence advises works."""
    data = shutil.copytree(folder, tmp_path / "data")
    stream = next(path for path in (data / "feats").iterdir() if len(list(path.glob("*.npy"))) > 0)
    victim = data / "feats" / stream.name / f"{load(folder, 'test').ids[3]}.npy"
    victim.unlink()
    told = error_of(["evaluate", "--data", data, "--checkpoint", run_folder], capsys)
    assert "--missing skip" in told and "--missing blank" in told and "missing=" not in told and victim.name in told
    for choice, videos in ((["--missing", "skip"], 23), (["--missing", "blank"], 24)):
        assert cli.main(["evaluate", "--data", str(data), "--checkpoint", str(run_folder), *choice]) == 0
        told = capsys.readouterr()
        assert f"{videos} videos" in told.out and told.err.count("cmpae: note:") == 1 and victim.name in told.err


def test_notices_and_leaks_are_told(folder, tmp_path, capsys):
    """One counted line a kind on stderr, all of them in run.json."""
    data = shutil.copytree(folder, tmp_path / "data")
    lists = {name: next(data.rglob(name)) for name in ("train.csv", "test.csv", "eval_audio.csv")}
    leaked = lists["test.csv"].read_text().splitlines()[1]
    with open(lists["train.csv"], "a") as file:
        file.write(leaked + "\n")
    row = lists["eval_audio.csv"].read_text().splitlines()[1]
    with open(lists["eval_audio.csv"], "a") as file:
        file.write(f"{row}\n{row}\n")
    for path in (data / "feats" / "clip").glob("*.npy"):
        np.save(path, np.ones_like(np.load(path)))
    out = tmp_path / "run"
    assert cli.main(["train", "--data", str(data), *SMALL, "--out", str(out)]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("cmpae: note:")]
    assert sum("duplicate row (2)" in line for line in notes) == 1
    assert sum("1 videos of train are in test, too" in line for line in notes) == 1
    assert any("odd features" in line and "feats/clip" in line and "do not change over time" in line for line in notes)
    record = json.loads((out / "run.json").read_text())
    assert len(record["notices"]["test"]) >= 2 and sum("stands in line" in text for text in record["notices"]["test"]) == 2
    name = leaked.split("\t")[0]
    assert [each["test"] for each in record["leaks"].values()] == [[name]]
    for verb in (["evaluate"], ["predict", "--split", "test", "--out", str(tmp_path / "out")]):
        assert cli.main([*verb, "--data", str(data), "--checkpoint", str(out)]) == 0
        assert "duplicate row (2)" in capsys.readouterr().err


def test_predict_writes_all_or_nothing(run_folder, tmp_path, capsys, monkeypatch):
    """Answers that are not finite end in one sentence before a file is there."""
    join = inference.Evidence.concatenate
    monkeypatch.setattr(inference.Evidence, "concatenate", staticmethod(lambda parts: join(parts).apply(lambda x: x * float("nan"))))
    told = error_of(["predict", "--data", "tiny", "--checkpoint", run_folder, "--out", tmp_path / "out"], capsys)
    assert "not finite" in told and not (tmp_path / "out").exists()


@pytest.mark.parametrize(("taken", "other"), [("events.json", "events.csv"), ("events.csv", "events.json")])
def test_the_two_files_of_predict_come_together(taken, other, run_folder, tmp_path, capsys):
    """Where one of them cannot be written there is none of the other."""
    (tmp_path / "out" / taken).mkdir(parents=True)
    told = error_of(["predict", "--data", "tiny", "--checkpoint", run_folder, "--out", tmp_path / "out"], capsys)
    assert f"{taken} is a folder" in told and not (tmp_path / "out" / other).exists()


def test_training_that_diverges(tmp_path, capsys):
    told = error_of(["train", "--data", "tiny", *SMALL, "--set", "learning_rate=1e12", "--out", tmp_path], capsys)
    assert ("finite" in told or "lower the learning rate" in told) and not (tmp_path / "model.safetensors").exists()


def test_predictions_are_scored(run_folder, tmp_path, capsys):
    """Our own events give the scores of the run that wrote them, in every format."""
    out = tmp_path / "out"
    command = ["predict", "--data", "tiny", "--checkpoint", str(run_folder), "--out", str(out)]
    assert cli.main([*command, "--format", "csv", "json", "vtt", "audacity", "elan"]) == 0
    expected = evaluate(load_run(run_folder), load("tiny", "test"))
    capsys.readouterr()
    for written in ("events.csv", "events.json", "vtt", "audacity", "elan"):
        assert cli.main(["evaluate", "--predictions", str(out / written), "--data", "tiny", "--json", "-"]) == 0
        assert flat(json.loads(capsys.readouterr().out)["scores"]) == pytest.approx(flat(expected)), written
    assert cli.main(["evaluate", "--predictions", str(out / "events.csv"), "--data", "tiny"]) == 0
    text = capsys.readouterr().out
    assert "predictions" in text and "predict nothing" in text and f"{expected['segment']['type']:.1f}" in text
    table = pd.read_csv(out / "events.csv").assign(category="Unicorn")
    table.to_csv(tmp_path / "other.csv", index=False)
    assert "no category 'Unicorn'" in error_of(["evaluate", "--predictions", tmp_path / "other.csv", "--data", "tiny"], capsys)


# ---- one folder, two writers ------------------------------------------------------------------------------------------------


def test_two_trainings_into_one_folder(run_folder, tmp_path, capsys):
    """The lock names its holder and is free when that one is killed."""
    code = f"from cmpae_toolkit._files import hold\nwith hold({str(tmp_path)!r}): print('held', flush=True); import time; time.sleep(99)"
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        train = ["train", "--data", "tiny", *SMALL, "--out", tmp_path]
        assert f"process {holder.pid} is writing to {tmp_path}" in error_of(train, capsys)
        tables = ["tables", "5", "--data", "tiny", "--results", tmp_path, "--seeds", "1"]
        assert f"process {holder.pid}" in error_of(tables, capsys)
        assert f"process {holder.pid}" in error_of(["study", "schedule_search", "--data", "tiny", "--out", tmp_path], capsys)
    finally:
        holder.kill()
        holder.communicate()
    with _files.hold(tmp_path):
        pass


def test_a_finished_run_is_not_replaced_unasked(run_folder, folder, tmp_path, capsys):
    out = shutil.copytree(run_folder, tmp_path / "run")
    before = (out / "model.safetensors").read_bytes()
    command = ["train", "--data", "tiny", *SMALL, "--out", out]
    told = error_of([*command, "--seed", "1", "--decay", "0.5"], capsys)
    assert "finished run that differs in decay, seed" in told and told.endswith("or give --overwrite.")
    assert "differs in data" in error_of(["train", "--data", folder, "--preset", "paper", *SMALL, "--batch-size", "16",
                                          "--decay-epochs", "3", "--out", out], capsys)
    assert (out / "model.safetensors").read_bytes() == before
    assert cli.main([str(a) for a in [*command, "--seed", "1", "--overwrite"]]) == 0
    assert (out / "model.safetensors").read_bytes() != before
    assert cli.main([str(a) for a in [*command, "--seed", "1"]]) == 0, "the same again is no loss"


# ---- places that cannot be written ------------------------------------------------------------------------------------------

VERBS = {
    "train": ["train", "--data", "tiny", *SMALL, "--out"], "pack": ["pack", "--data", "FOLDER", "--split", "val", "--out"],
    "predict": ["predict", "--data", "tiny", "--checkpoint", "RUN", "--out"],
    "evaluate": ["evaluate", "--data", "tiny", "--checkpoint", "RUN", "--json"],
    "tables": ["tables", "5", "--data", "tiny", "--seeds", "1", "--results"],
    "study": ["study", "schedule_search", "--data", "tiny", "--seeds", "1", "--out"],
}


def filled(verb, run_folder, folder, place):
    return [{"RUN": run_folder, "FOLDER": folder}.get(word, word) for word in VERBS[verb]] + [place]


@pytest.mark.parametrize("verb", VERBS)
def test_a_file_in_a_folders_place(verb, run_folder, folder, tmp_path, capsys):
    (tmp_path / "file").write_text("kept")
    told = error_of(filled(verb, run_folder, folder, tmp_path / "file" / "out"), capsys)
    assert str(tmp_path / "file") in told and "Traceback" not in told and (tmp_path / "file").read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_disk_that_may_not_be_written(verb, run_folder, folder, tmp_path, capsys, monkeypatch):
    """Whatever the system says no to: a folder that is read-only, a full disk."""
    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(tmp_path / "out"))

    command = filled(verb, run_folder, folder, tmp_path / "out" / "place")
    monkeypatch.setattr(os, "mkdir", refuse)
    told = error_of(command, capsys)
    assert str(tmp_path / "out") in told and os.strerror(errno.EROFS) in told
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_up(tmp_path, capsys, monkeypatch):
    """Training says what is kept, and goes on from it."""
    replace, out = os.replace, tmp_path / "run"

    def full(source, target):
        if str(target).endswith("model.safetensors"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    command = ["train", "--data", "tiny", *SMALL, "--out", out]
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        told = error_of(command, capsys)
    assert "model.safetensors cannot be written (No space left" in told
    assert f"last whole epoch is kept in {out / 'training_state.safetensors'}: `--resume`" in told
    assert not (out / "model.safetensors").exists() and not list(out.glob("*.part")) + list(out.glob(".*.part"))
    assert cli.main([str(a) for a in [*command, "--resume"]]) == 0 and (out / "run.json").is_file()


def test_a_cache_that_cannot_be_written_is_a_notice(tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CMPAE_HOME", str(tmp_path / "file" / "home"))
    assert cli.main(["train", "--data", "tiny", *SMALL, "--out", str(tmp_path / "run")]) == 0
    assert "cmpae: note:" in capsys.readouterr().err and (tmp_path / "run" / "run.json").is_file()


def test_figures_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    told = error_of(["train", "--data", "tiny", *SMALL, "--out", tmp_path / "run", "--figures", tmp_path / "file" / "figures"], capsys)
    assert str(tmp_path / "file") in told and (tmp_path / "run" / "run.json").is_file()


def test_stopping_says_what_is_kept(tmp_path, capsys, monkeypatch):
    from cmpae_toolkit import train

    monkeypatch.setattr(train.Training, "finish", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    told = error_of(["train", "--data", "tiny", *SMALL, "--out", tmp_path], capsys, cli.INTERRUPTED)
    assert told.startswith("cmpae: stopped. The state of the last whole epoch is kept in") and "--resume" in told


def test_resume_removes_what_a_killed_writer_left(run_folder, tmp_path, capsys):
    out = shutil.copytree(run_folder, tmp_path / "run")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    drafts = [out / f".model.safetensors.{_files.MACHINE}-{gone.pid}-0011aabb.part", out / ".run.json.0011aabb.part"]
    for draft in drafts:
        draft.write_text("half")
    os.utime(drafts[1], (time.time() - 7200,) * 2)
    assert cli.main(["train", "--data", "tiny", *SMALL, "--out", str(out), "--resume"]) == 0
    assert not any(draft.exists() for draft in drafts)


def test_outputs_that_are_no_plain_files(run_folder, tmp_path, capsys):
    """Refused in one sentence, not replaced; a link is followed; "-" prints."""
    command = ["evaluate", "--data", "tiny", "--checkpoint", run_folder, "--json"]
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name, what in (("pipe", "a pipe"), ("socket", "a socket"), ("folder", "a folder")):
            told = error_of([*command, tmp_path / name], capsys)
            assert f"{tmp_path / name} is " in told and what in told
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "socket").is_socket() and not list((tmp_path / "folder").iterdir())
    (tmp_path / "real.json").write_text("{}")
    (tmp_path / "link.json").symlink_to("real.json")
    assert cli.main([*map(str, command), str(tmp_path / "link.json")]) == 0
    assert (tmp_path / "link.json").is_symlink()
    capsys.readouterr()
    assert cli.main([*map(str, command), "-"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "real.json").read_text())


# ---- devices and checkpoints ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["mps", "cuda", "warp", "x" * 500])
def test_a_device_that_is_not_there(device, tmp_path, capsys):
    if device in ("mps", "cuda") and getattr(torch, "cuda" if device == "cuda" else "mps").is_available():
        pytest.skip(f"{device} is here")
    told = error_of(["train", "--data", "tiny", "--device", device, "--out", tmp_path], capsys)
    assert len(told) <= 200 and "try 'cpu'" in told


class Code:
    def __reduce__(self):
        return os.system, ("true",)


def test_a_checkpoint_with_code_in_it(tmp_path, capsys):
    """It is refused without torch's advice to load it all the same."""
    torch.save({"model": Code()}, tmp_path / "model.pt")
    told = error_of(["evaluate", "--data", "tiny", "--released", tmp_path / "model.pt"], capsys)
    assert "is never run" in told and "system" in told and len(told) < 300
    assert not any(word in told for word in ("weights_only", "torch.load", "False", "trusted", "safe_globals"))


@pytest.mark.skipif(os.name == "nt", reason="signals of a shell")
def test_interrupted_by_the_keyboard(tmp_path):
    """A real Ctrl-C in a real process: one line, no traceback."""
    command = [sys.executable, "-m", "cmpae_toolkit.cli", "train", "--data", "tiny", "--epochs", "500", "--out", str(tmp_path)]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore Ctrl-C, and so would this one
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    signal.signal(signal.SIGINT, before)
    deadline = time.time() + 100
    while not (tmp_path / _commands.on_runs.STATE).is_file() and time.time() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130 and "Traceback" not in error
    assert error.splitlines()[-1].startswith("cmpae: stopped. The state of the last whole epoch is kept")


def test_not_finite_features_are_refused(folder, tmp_path, run_folder, capsys):
    data = shutil.copytree(folder, tmp_path / "data")
    victim = next((data / "feats").rglob(f"{load(folder, 'test').ids[0]}.npy"))
    features = np.load(victim)
    features[0] = np.nan
    np.save(victim, features)
    for verb in (["evaluate"], ["predict", "--out", tmp_path / "out"]):
        told = error_of([*verb, "--data", data, "--checkpoint", run_folder], capsys)
        assert victim.name in told
    assert not (tmp_path / "out").exists()
