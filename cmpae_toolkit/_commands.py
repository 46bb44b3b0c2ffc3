"""The verbs of the `cmpae` command: each is a class whose fields are its options and whose `run` is one call into the library.

The comment behind a field is its help. What takes long to import is imported when a verb runs, so that help comes at once.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from . import studies
from .config import AVE, MethodConfig, config_for, preset_for, presets
from .errors import InputError
from .methods import get

if TYPE_CHECKING:
    from .checkpoint import Run
    from .data import VideoSet

STATE = "training_state.safetensors"
Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]
Split = Literal["train", "val", "test"]


def _default_data() -> str:
    return os.environ.get("CMPAE_DATA") or "small"


@dataclass(frozen=True, kw_only=True)
class OnData:
    """What all verbs have that read a data set."""

    data: str = field(default_factory=_default_data)
    """tiny, small, full (simulated), llp, ave, avep (downloaded) or a folder; without it $CMPAE_DATA, else small"""
    missing: Literal["error", "skip", "blank"] = "error"  # a video that lacks feature files is refused, left out, or kept with blanks
    eval_audio: Literal["corrected", "2020"] | None = None  # LLP: which of the two published audio lists
    snippet_seconds: float | None = None  # how long a snippet of a folder lasts, where the folder does not say it
    background: Flag = False  # AVE: its background videos, too
    leaks: Literal["keep", "drop"] = "keep"  # AVEP: "drop" leaves out training videos that are in val or test, too
    repeated: Literal["keep", "merge"] = "keep"  # AVEP: "merge" makes one training video of the rows of one id
    skip_missing: Flag = False  # the same as --missing skip
    drop_leaks: Flag = False  # the same as --leaks drop
    merge_repeated: Flag = False  # the same as --repeated merge

    def options(self) -> dict[str, Any]:
        """The options of `data.load` that were given; data for which there is no such option refuse it."""
        given = {
            "missing": "skip" if self.skip_missing else self.missing, "eval_audio": self.eval_audio,
            "snippet_seconds": self.snippet_seconds, "background": self.background,
            "leaks": "drop" if self.drop_leaks else self.leaks, "repeated": "merge" if self.merge_repeated else self.repeated,
        }
        return {name: value for name, value in given.items() if value not in ("error", "keep", None, False)}

    def load(self, split: str | None) -> VideoSet:
        """The split, after one line for each kind of oddity that reading found."""
        from . import data
        from .studies.identity import tell

        videos = data.load(self.data, split, **self.options())
        tell({split or "unlabelled": videos})
        return videos


@dataclass(frozen=True, kw_only=True)
class WithRun:
    """What the verbs have that use a trained run."""

    checkpoint: Path | None = None  # the folder of a trained run; without it the one that comes with the package

    def trained(self) -> Run:
        from .checkpoint import load_run, shipped_run

        return shipped_run() if self.checkpoint is None else load_run(self.checkpoint)


@dataclass(frozen=True, kw_only=True)
class Doctor(OnData):
    """Say what is there and whether it can be used."""

    json: Flag = False  # print the report as JSON

    def run(self) -> int:
        from . import _printing

        found = diagnose(self.data, **self.options())
        print(json.dumps(found, indent=1) if self.json else "\n".join(_printing.findings(found)))
        return 0 if found["usable"] else 1


@dataclass(frozen=True, kw_only=True)
class Download:
    """Get the published lists and features, or say how to get them by hand."""

    name: tyro.conf.Positional[Literal["llp", "ave"]]  # AVEP is made of the two
    lists_only: Flag = False  # leave the features (8 GB each) out
    background: Flag = False  # AVE's 178 background videos, too
    steps: Flag = False  # print pages, file names and places instead of downloading
    out: Path | None = None  # the folder; without it where the other verbs look, under $CMPAE_HOME

    def run(self) -> None:
        from . import data

        if self.steps:
            print("\n".join(data.manual_steps(self.name, self.out, self.background)))
        else:
            print(data.download(self.name, self.out, features=not self.lists_only, background=self.background))


@dataclass(frozen=True, kw_only=True)
class Pack(OnData):
    """Pack a folder's feature files into memory-mapped arrays."""

    split: tyro.conf.UseAppendAction[tuple[Split, ...]] = ()  # without it all three; may be given several times
    out: Path | None = None  # folder for the stores, one a split; without it under $CMPAE_HOME

    def run(self) -> None:
        from . import data
        from ._files import hold
        from .data.store import default_store

        with hold(self.out or default_store(data.find_data(self.data), None).parent):
            for split in self.split or data.splits:
                print(data.pack(self.data, split, None if self.out is None else self.out / split, **self.options()))


@dataclass(frozen=True, kw_only=True)
class Train(OnData):
    """Train, evaluate on test, leave checkpoint, scores and figures.

    --preset or --method decides which config fields there are; the options below them show their values for it.
    """

    preset: Literal[tuple(presets)] | None = None  # without it $CMPAE_PRESET, else ave for AVE, paper for all else
    method: str | None = None  # instead of a preset: one of `cmpae methods`, or package.module:Class for your own
    set: tuple[str, ...] = ()  # config fields to change as FIELD=VALUE, such as width=128 epochs=10
    out: Path | None = None  # the run's folder; without it runs/<data>-<preset>-seed<n>
    overwrite: Flag = False  # replace a finished run of another config, data or seed in --out
    resume: Flag = False  # go on from the state in --out
    figures: Path | None = None  # write the history and evidence-curve figures to this folder
    device: str | None = None  # cpu, cuda, mps; without it the best there is
    mixed_precision: Flag = False  # bfloat16 where it is safe
    config: Annotated[MethodConfig, tyro.conf.arg(name="")]

    @property
    def chosen(self) -> str:
        """The preset's or the method's name."""
        return preset_for(self.data, self.preset) if self.method is None else self.method.rpartition(":")[2]

    def run(self) -> None:
        changes = dict(pair.split("=", 1) if "=" in pair else (pair, "") for pair in self.set)
        config = self.config.changed(**changes)
        out = self.out or default_out(self.data, self.chosen, config.seed)
        with _saying_what_is_kept(out / STATE, self.resume):
            from .studies.grid import train_and_evaluate

            result = train_and_evaluate(
                config, self.data, out, figures=self.figures, device=self.device, resume=self.resume, overwrite=self.overwrite,
                mixed_precision=self.mixed_precision, **self.options(),
            )
        self.report(result, out)

    def report(self, result: dict[str, Any], out: Path) -> None:
        from . import _printing, inference

        scores, floors, config = result["scores"]["test"], result["floors"], result["config"]
        print(f"\n{result['data']['title']}, {result['data']['videos']['test']} videos, "
              f"{'preset' if self.method is None else 'method'} {self.chosen}, seed {config['seed']}, epoch {result['best_epoch']} of "
              f"{config['epochs']} (chosen on val), {result['seconds']:.0f} s on {result['device']}:\n")
        print(_printing.scores(inference.score_table({"this run": scores, **floors["test"]})))
        if "accuracy" in scores:
            print(_printing.accuracy("this run", scores["accuracy"], floors["accuracy"]))
        print(f"\nMade:\n  {out}: model.safetensors + config.json (checkpoint), history.csv, run.json")
        if self.figures is not None:
            print(f"  {self.figures}: run_training_history.png, run_evidence_curves.png")
        print("Next: `make lab` opens the notebooks; start with 00_start_here.")


@dataclass(frozen=True, kw_only=True)
class Predict(OnData, WithRun):
    """Write events and opinions as CSV and JSON, and events in further formats."""

    split: Split | None = None  # without it every video in the folder, no lists needed; test for simulated data
    format: tuple[Literal["csv", "json", "audacity", "vtt", "elan"], ...] = ("csv", "json")  # one or several
    out: Path = Path("predictions")  # the folder

    def run(self) -> None:
        from . import data
        from .inference import write_predictions

        video_set = self.load(self.split or ("test" if data.simulated_size(self.data) else None))
        for path in write_predictions(self.trained(), video_set, self.out, formats=self.format):
            print(path)


@dataclass(frozen=True, kw_only=True)
class Evaluate(OnData, WithRun):
    """Print the ten F-scores of a run, of the authors' checkpoint or of a file of events beside the floors."""

    split: Split = "test"  # which split
    json: Path | None = None  # write the scores to this file, too; "-" prints them instead of the table
    released: Path | None = None  # the authors' checkpoint: prints their inference beside Table 2
    predictions: Path | None = None  # events of any tool: csv, tsv, json, or a folder of Audacity, WebVTT or ELAN files

    def run(self) -> None:
        from . import inference

        if self.released is not None:
            return self.run_released()
        video_set = self.load(self.split)
        if self.predictions is not None:
            name, about = "predictions", f"events of {self.predictions}"
            scores = inference.evaluate_events(self.predictions, video_set, config_for(self.data))
        else:
            run = self.trained()
            name, about = "checkpoint", f"checkpoint trained on {run.data.get('name', 'unknown data')}"
            scores = inference.evaluate(run, video_set)
        text = self.text(name, scores, video_set)
        found = {"data": video_set.title, "scores": scores, "floors": inference.floors(video_set)}
        self.put(f"{video_set.title}, {len(video_set)} videos, {about}:\n\n{text}", found)

    @staticmethod
    def text(name: str, scores: dict[str, Any], video_set: VideoSet) -> str:
        from . import _printing, inference

        text = _printing.scores(inference.with_floors(name, scores, video_set))
        if "accuracy" not in scores:
            return text
        return f"{text}\n{_printing.accuracy(name, scores['accuracy'], inference.accuracy_floors(video_set))}"

    def run_released(self) -> None:
        from . import _printing, released
        from .studies import rows

        table, missing = rows.released_table(released.load_checkpoint(self.released), self.data, self.split, **self.options())
        said = "The paper does not say which audio list it used; before 2024 there was only the 2020 one."
        sentences = [said, *(f"Not evaluated with the {sentence}" for sentence in missing)]
        found = {name: {"/".join(column): value for column, value in row.items()} for name, row in table.iterrows()}
        self.put("\n".join([_printing.scores(table), "", *sentences]), found)

    def put(self, text: str, found: dict[str, Any]) -> None:
        """Prints the text, and writes what was found where --json says; with "-" that alone is printed."""
        from ._files import write_json

        if self.json == Path("-"):
            print(json.dumps(found, indent=1, allow_nan=False))
            return
        if self.json is not None:
            write_json(self.json, found)
        print(text)


@dataclass(frozen=True, kw_only=True)
class Tables:
    """Make Tables 1 to 6: train what is missing, print, and write CSV, Markdown, LaTeX and PNG."""

    numbers: tyro.conf.Positional[tuple[Literal[1, 2, 3, 4, 5, 6], ...]] = ()  # which tables; without any all six
    data: tuple[str, ...] = field(default_factory=lambda: (_default_data(),))  # names or folders
    seeds: int = 5  # runs of each row, with the seeds from 0 on
    results: Path = Path("runs/tables")  # the folder of the runs
    out: Path | None = None  # the folder of the tables; without it that of the runs
    stored: Flag = False  # train nothing: only read the runs that are there
    workers: int = 1  # processes at once
    threads: int = 1  # of each process
    scheduler: str | None = None  # address of a Dask cluster that runs them instead, such as tcp://host:8786
    device: str | None = None  # cpu, cuda, mps; without it the best there is

    def run(self) -> int:
        from .studies import grid, tables

        numbers, out = self.numbers or tables.NUMBERS, self.out or self.results
        if not self.stored:
            planned = tables.jobs_for(numbers, self.data, range(self.seeds))
            how = {"workers": self.workers, "threads": self.threads, "device": self.device, "scheduler": self.scheduler}
            grid.run_grid(planned, self.results, **how)
            for name in self.data:
                tables.write_floors(name, self.results)
        for table in tables.make_all(numbers, self.results, self.data):
            print("\n".join([table.to_markdown(), *map(str, table.save(out)), ""]))
        print(tables.write_categories(self.results, self.data, out))
        failed = grid.failures(self.results)
        for file, error in failed.items():
            print(f"cmpae: failed: {file}: {error}", file=sys.stderr)
        return 1 if failed else 0


@dataclass(frozen=True, kw_only=True)
class Study:
    """Run a study of this toolkit and print its table; `cmpae study NAME --help` lists its options."""

    name: tyro.conf.Positional[Literal[tuple(studies.STUDIES)]]  # which study
    call: tyro.conf.Suppress[Callable[[], Any] | None] = None

    def run(self) -> None:
        print(self.call().to_string())


@dataclass(frozen=True, kw_only=True)
class Methods:
    """List the methods that `train --method` knows: name, tasks, parameters at full size for LLP, paper."""

    def run(self) -> None:
        from . import _printing

        print(_printing.method_table().to_markdown(index=False, tablefmt="plain", disable_numparse=True))


VERBS: dict[str, type] = {verb.__name__.lower(): verb for verb in (Doctor, Download, Pack, Train, Predict, Evaluate, Tables, Study, Methods)}


def parse(arguments: Sequence[str]) -> Any:
    """The verb with its options, ready to `run`. Help and options that cannot be read end the program, as usual."""
    verb, rest = (arguments[0] if arguments else "--help"), list(arguments[1:])
    if verb in VERBS:
        return _parse_study(rest) if verb == "study" and rest and rest[0] in studies.STUDIES else _parse_verb(verb, rest)
    if verb not in ("-h", "--help"):
        raise InputError(f"there is no command {verb!r}: use one of {', '.join(VERBS)}.")
    print("usage: cmpae COMMAND [OPTIONS]\n\nEvidential audio-visual event perception; `cmpae COMMAND --help` lists the options.\n")
    for name, about in VERBS.items():
        print(f"  {name:10}{about.__doc__.splitlines()[0]}")
    print(f"\nPresets: {', '.join(presets)}. Studies: {', '.join(studies.STUDIES)}.")
    raise SystemExit(0)


def _parse_verb(verb: str, arguments: list[str]) -> Any:
    default = {"default": Train(config=_starting_config(arguments))} if verb == "train" else {}
    return tyro.cli(VERBS[verb], prog=f"cmpae {verb}", args=arguments, **default)


def _parse_study(arguments: list[str]) -> Study:
    name, *rest = arguments
    study = studies.get(name)

    @functools.wraps(study)
    def planned(*given: Any, **options: Any) -> Callable[[], Any]:
        return functools.partial(study, *given, **options)

    return Study(name=name, call=tyro.cli(planned, prog=f"cmpae study {name}", args=rest))


def _starting_config(arguments: list[str]) -> MethodConfig:
    """The config that --preset, --method and --data stand for: its class says which further options there are."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option in ("--data", "--preset", "--method"):
        first.add_argument(option, nargs="?")
    known, _ = first.parse_known_args(arguments)
    data_name = known.data or _default_data()
    if known.method is None:
        return config_for(data_name, known.preset)
    if known.preset is not None:
        raise InputError("a preset names its method: give --preset or --method, not both.")
    sizes = config_for(data_name, "paper").difference(presets["paper"])
    task = AVE if data_name.rpartition("-")[2] == "ave" else {}
    return get(known.method).Config().adopting(**sizes, **task)


@contextlib.contextmanager
def _saying_what_is_kept(state: Path, resume: bool) -> Iterator[None]:
    """Where training is cut off by Ctrl-C or by a file that cannot be written: notes that its state is there to go on from."""
    started = time.time()
    try:
        yield
    except (KeyboardInterrupt, InputError, OSError) as error:
        cut_off = not isinstance(error, InputError) or isinstance(error.__context__, OSError)
        if cut_off and state.is_file() and (resume or state.stat().st_mtime >= started):
            error.add_note(f"The state of the last whole epoch is kept in {state}: `--resume` goes on from it.")
        raise


def diagnose(data_name: str, **options: Any) -> dict[str, Any]:
    """The machine, the versions, and what `data.doctor` finds of a data set: its lists, splits, leaks, and whether it is usable."""
    from . import data
    from .batches import choose_device
    from .checkpoint import machine, versions
    from .data import doctor

    found = {"data": str(data_name), "versions": versions(), "device": str(choose_device()), "machine": machine()}
    return found | {"cmpae_home": str(data.home())} | doctor.examine(data_name, **options)


def default_out(data_name: str, chosen: str, seed: int) -> Path:
    """Where a run goes when nobody says: runs/<data>-<preset>-seed<n>; a folder's name has six digits of a hash of its path behind it."""
    from . import data
    from .studies.identity import short_name

    name = short_name(data_name)
    if data_name not in data.published and not data.simulated_size(data_name):
        folder = Path(data_name).expanduser().resolve()
        name = f"{folder.name}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:6]}"
    return Path("runs") / f"{name}-{chosen}-seed{seed}"
