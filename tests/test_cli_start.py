"""How the command line starts and reads its options: quickly, with every config field typed, as README and docs print it."""

import dataclasses
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import docs_commands
import pandas as pd
import pytest

from cmpae_toolkit import _commands, cli
from cmpae_toolkit.config import Config, HANConfig, JoMoLDConfig, presets
from cmpae_toolkit.errors import OPTIONS, InputError
from cmpae_toolkit.methods.linear_probe import LinearProbe

HEAVY = {"torch", "pandas", "matplotlib", "ipywidgets", "scipy"}


def started(*arguments, **environment):
    """The command in a process of its own."""
    command = [sys.executable, "-m", "cmpae_toolkit.cli", *arguments]
    return subprocess.run(command, capture_output=True, env={**os.environ, **environment}, timeout=120)


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["evaluate", "--help"], ["study", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    """Few modules mean that help comes at once; how many seconds it takes is for `make bench` to say."""
    code = f"from cmpae_toolkit import cli\ntry: cli.main({arguments})\nfinally: import sys; print(*sys.modules, file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    modules = set(result.stderr.split())
    assert result.returncode == 0 and "--help" in result.stdout
    assert not HEAVY & modules and len(modules) < 400  # at most 299 at the last count; torch alone brings 1,124


def help_of(arguments, capsys):
    """The help as one line, without frames."""
    with pytest.raises(SystemExit) as stop:
        cli.main([*arguments, "--help"])
    assert stop.value.code == 0
    return " ".join(re.sub("[│╭╰╮╯─]", " ", capsys.readouterr().out).split())


@pytest.mark.parametrize(
    ("arguments", "config"),
    [
        ([], Config()), (["--preset", "released"], presets["released"]), (["--preset=jomold"], JoMoLDConfig()),
        (["--preset", "han"], HANConfig()), (["--method", "linear_probe"], LinearProbe.Config()),
        (["--method", "cmpae_toolkit.methods.linear_probe:LinearProbe"], LinearProbe.Config()),
    ],
)
def test_every_field_is_in_the_help(arguments, config, capsys):
    text = help_of(["train", "--data", "llp", *arguments], capsys)
    for field in dataclasses.fields(config):
        option = f"--{field.name.replace('_', '-')}"
        assert re.search(rf"{option}[ ,]", text), option
    assert f"--epochs INT (default: {config.epochs})" in text
    assert 'mean of the ten F-scores on val, one score such as "event.audio", or last: the last epoch (default: mean)' in text
    assert ("--evidence-function {exp,softplus}" in text) == isinstance(config, Config)


def test_values_are_typed():
    options = ["--width", "16", "--no-denoise", "--search-thresholds", "audio", "--clip-gradient", "1"]
    train = _commands.parse(["train", "--data", "llp", *options])
    assert train.config == Config(width=16, denoise=False, search_thresholds=("audio",), clip_gradient=1.0)
    assert train.mixed_precision == "off" and _commands.parse(["train", "--mixed-precision", "auto"]).mixed_precision == "auto"
    assert _commands.parse(["train", "--data", "tiny", "--preset", "han"]).config.width == 32  # the sizes of the simulated set
    probe = _commands.parse(["train", "--data", "simulated-tiny-ave", "--method", "linear_probe"]).config
    assert isinstance(probe, LinearProbe.Config) and probe.task == "localization" and probe.epochs == 10
    with pytest.raises(SystemExit):
        _commands.parse(["train", "--widht", "3"])
    with pytest.raises(InputError, match=r"'learning_rate' is -1\.0: use a number of more than 0"):
        _commands.parse(["train", "--learning-rate", "-1"])
    with pytest.raises(InputError, match="not both"):
        _commands.parse(["train", "--preset", "han", "--method", "han"])


def test_options_of_load_are_options_of_the_command(capsys):
    """Messages name the library's options; `on_command_line` turns them into these."""
    text = help_of(["train"], capsys) + help_of(["extract"], capsys)
    assert all(f"--{name.replace('_', '-')}" in text for name in OPTIONS)


def test_help_of_every_command(capsys):
    named = "doctor download films extract labels pack train predict evaluate explorer watch tables study leaderboard methods"
    assert set(_commands.VERBS) == set(named.split())
    for verb in _commands.VERBS:
        assert f"cmpae {verb}" in help_of([verb], capsys)
    overview = help_of([], capsys)
    assert all(verb in overview for verb in _commands.VERBS)
    assert "--amount" in help_of(["study", "evidence_study"], capsys)
    assert cli.main(["trian"]) == 2 and "no command 'trian'" in capsys.readouterr().err


@pytest.mark.parametrize("line", docs_commands.commands(), ids=lambda line: " ".join(line.words[1:])[:70])
def test_printed_command_lines_are_read(line, tmp_path, monkeypatch, capsys):
    """Each as it stands; those that need neither data nor training are run, too."""
    monkeypatch.chdir(tmp_path)
    verb = _commands.parse(list(line.words[1:]))
    assert type(verb).__name__.lower() == line.words[1]
    if "--steps" in line.words or "tiny" in line.words:
        assert not verb.run() and capsys.readouterr().out


def test_tables_start_without_numbers(tmp_path, capsys):
    """`nargs="*"` with `choices` did not, on Python 3.11."""
    assert cli.main(["tables", "--data", "tiny", "--stored", "--results", str(tmp_path)]) == 2
    assert "no finished run" in capsys.readouterr().err


def test_methods(capsys):
    assert cli.main(["methods"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "5,383,293" in rows["cmpae"] and "CVPR 2023" in rows["cmpae"] and "localization, parsing" in rows["han"]
    assert {"jomold", "linear_probe"} <= rows.keys()
    work = {name: float(re.search(r" (\d+\.\d\d) ", line)[1]) for name, line in rows.items() if name != "method"}
    assert work["han"] == work["jomold"] < work["cmpae"] < work["mm_pyramid"] and work["linear_probe"] < 0.01


def test_study(tmp_path, capsys, monkeypatch):
    """A study's own signature says its options; the table that it returns is printed."""
    def echo(data: Sequence[str] = ("small",), *, seeds: int = 3, out: Path = Path("runs"), extend: bool = False) -> pd.DataFrame:
        return pd.DataFrame({"said": [f"{' '.join(data)}; {seeds}; {out.name}; {extend}"]})

    monkeypatch.setattr("cmpae_toolkit.studies.differences.run", echo)
    assert cli.main(["study", "differences", "--data", "tiny", "small", "--seeds", "1", "--out", str(tmp_path), "--extend"]) == 0
    assert f"tiny small; 1; {tmp_path.name}; True" in capsys.readouterr().out


def test_a_terminal_of_another_encoding(tmp_path):
    """Help is drawn without frames; a name that the encoding lacks is told by its code."""
    assert started("train", "--help", PYTHONIOENCODING="cp1252").returncode == 0
    (tmp_path / "feats").mkdir()
    (tmp_path / "annotations").mkdir()
    (tmp_path / "categories.txt").write_text("Dog\n", encoding="utf-8")
    (tmp_path / "annotations" / "train.csv").write_text("filename\tevent_labels\nЖук\tДождь\n", encoding="utf-8")
    result = started("evaluate", "--data", str(tmp_path), "--split", "train", PYTHONIOENCODING="cp1252")
    assert result.returncode == 2 and b"\\u0414" in result.stderr and b"Traceback" not in result.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["methods"], ["doctor", "--data", "tiny"]])
def test_the_reader_may_go_away(arguments):
    """As in `cmpae ... | head`: no traceback, neither while printing nor at the interpreter's end."""
    read, write = os.pipe()
    process = subprocess.Popen([sys.executable, "-m", "cmpae_toolkit.cli", *arguments], stdout=write, stderr=subprocess.PIPE)
    os.close(read)
    os.close(write)
    assert process.communicate(timeout=120)[1] == b"" and process.returncode == cli.READER_GONE


def test_interrupted_while_starting():
    code = """
import sys
class Interrupt:
    def find_spec(self, name, *_):
        if name == "torch": raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
from cmpae_toolkit import cli
sys.exit(cli.main(["evaluate", "--data", "tiny"]))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stderr) == (130, "cmpae: stopped.\n")


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_run_writes_where_train_does():
    text = subprocess.run(["make", "--dry-run", "run"], cwd=docs_commands.ROOT, capture_output=True, text=True, timeout=60).stdout
    words = shlex.split(next(line for line in text.splitlines() if "/cmpae " in line))
    train = _commands.parse(words[1:])
    assert (train.data, train.out, train.overwrite, train.figures) == ("small", None, True, Path("figures"))


def test_default_places(tmp_path, monkeypatch):
    place = _commands.on_runs.default_out
    for name in ("a", "b"):
        (tmp_path / name / "data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "data")
    here = place(".", "paper", 0)
    same = {place(given, "paper", 0) for given in (str(tmp_path / "a" / "data"), f"{tmp_path}/a/data/", "../data")}
    assert same == {here} and re.fullmatch(r"data-[0-9a-f]{6}-paper-seed0", here.name) and here.parent == Path("runs")
    assert place(str(tmp_path / "b" / "data"), "paper", 0) != here != place(".", "paper", 1)
    assert place("tiny", "han", 2) == place("simulated-tiny", "han", 2) == Path("runs/tiny-han-seed2")
