"""The verbs about one run: train, predict, evaluate."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from ..config import MethodConfig, config_for, preset_for, presets
from ..errors import InputError
from .options import Flag, OnData, Split, WithRun

if TYPE_CHECKING:
    from ..data import VideoSet

STATE = "training_state.safetensors"


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
    mixed_precision: Literal["off", "on", "auto"] = "off"  # bfloat16 where it is safe; auto: only where the processor has it
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
            from ..studies.grid import train_and_evaluate

            result = train_and_evaluate(
                config, self.data, out, figures=self.figures, device=self.device, resume=self.resume, overwrite=self.overwrite,
                mixed_precision={"off": False, "on": True}.get(self.mixed_precision, "auto"), **self.options(),
            )
        keep_extraction(self.data, out)
        self.report(result, out)

    def report(self, result: dict[str, Any], out: Path) -> None:
        from .. import inference
        from . import printing

        scores, floors, config = result["scores"]["test"], result["floors"], result["config"]
        chosen = "chosen on val" + (" by video-level F, as it has weak labels only" if "video" in result["scores"]["val"] else "")
        print(f"\n{result['data']['title']}, {result['data']['videos']['test']} videos, "
              f"{'preset' if self.method is None else 'method'} {self.chosen}, seed {config['seed']}, epoch {result['best_epoch']} of "
              f"{config['epochs']} ({chosen}), {result['seconds']:.0f} s on {result['device']}:\n")
        print(printing.scores(inference.score_table({"this run": scores, **floors["test"]})))
        if "accuracy" in scores:
            print(printing.accuracy("this run", scores["accuracy"], floors["accuracy"]))
        print(f"\nMade:\n  {out}: model.safetensors + config.json (checkpoint), history.csv, run.json")
        if self.figures is not None:
            print(f"  {self.figures}: run_training_history.png, run_evidence_curves.png")
        print("Next: `make lab` opens the notebooks; start with 00_start_here.")


@dataclass(frozen=True, kw_only=True)
class Predict(OnData, WithRun):
    """Write events and opinions as CSV and JSON, and events in further formats."""

    split: Split | None = None  # without it every video in the folder, no lists needed; test for simulated data
    video: tuple[Path, ...] = ()  # instead of --data: films or sounds, or folders of them, extracted as the run's own data were
    networks: str | None = None  # for --video: as in `cmpae extract`; without it what the checkpoint says
    format: tuple[Literal["csv", "json", "audacity", "vtt", "elan"], ...] = ()  # one or several; without it csv and json
    out: Path = Path("predictions")  # the folder

    def run(self) -> None:
        from .. import data
        from ..inference import write_predictions

        if self.video:
            return self.run_on_films()
        video_set = self.load(self.split or ("test" if data.simulated_size(self.data) else None))
        run = self.trained()
        if not video_set.categories:  # unlabelled input says nothing of categories
            video_set = dataclasses.replace(video_set, categories=run.model.spec.categories)
        for path in write_predictions(run, video_set, self.out, formats=self.format or ("csv", "json")):
            print(path)

    def run_on_films(self) -> None:
        """Extracts films with the networks that the run was trained on, and writes their events, joined over clips."""
        from .. import data
        from ..extract import extract
        from ..inference import write_predictions

        run = self.trained()
        networks = networks_of(self.checkpoint, self.networks)
        with tempfile.TemporaryDirectory(prefix="cmpae-") as place:
            report = extract(self.video, place, networks=networks, snippets=run.model.spec.snippets,
                             snippet_seconds=run.model.spec.snippet_seconds)
            films = dataclasses.replace(data.load(place, None), name="films", categories=run.model.spec.categories)
            clips = {video: (film["id"], span[0]) for film in report.films for video, span in film["clips"].items()}
            made = write_predictions(run, films, self.out, formats=self.format or ("csv", "json", "audacity", "vtt"), clips=clips)
        for line in list(report.lines())[1:]:
            print(f"cmpae: note: {line.strip()}", file=sys.stderr)
        print("\n".join(map(str, made)))


@dataclass(frozen=True, kw_only=True)
class Evaluate(OnData, WithRun):
    """Print the ten F-scores of a run, of the authors' checkpoint or of a file of events beside the floors."""

    split: Split = "test"  # which split
    json: Path | None = None  # write the scores to this file, too; "-" prints them instead of the table
    released: Path | None = None  # the authors' checkpoint: prints their inference beside Table 2
    predictions: Path | None = None  # events of any tool: csv, tsv, json, or a folder of Audacity, WebVTT or ELAN files
    one_sided: Flag = False  # also score what is only audible, and what is only visible

    def run(self) -> None:
        from .. import inference

        if self.released is not None:
            return self.run_released()
        video_set = self.load(self.split)
        if self.predictions is not None:
            name, about = "predictions", f"events of {self.predictions}"
            scores = inference.evaluate_events(self.predictions, video_set, config_for(self.data), one_sided=self.one_sided)
        else:
            run = self.trained()
            name, about = "checkpoint", f"checkpoint trained on {run.data.get('name', 'unknown data')}"
            scores = inference.evaluate(run, video_set, one_sided=self.one_sided)
        text = self.text(name, scores, video_set)
        found = {"data": video_set.title, "scores": scores, "floors": inference.floors(video_set, self.one_sided)}
        self.put(f"{video_set.title}, {len(video_set)} videos, {about}:\n\n{text}", found)

    @staticmethod
    def text(name: str, scores: dict[str, Any], video_set: VideoSet) -> str:
        from .. import inference
        from . import printing

        text = printing.scores(inference.with_floors(name, scores, video_set))
        if "accuracy" not in scores:
            return text
        return f"{text}\n{printing.accuracy(name, scores['accuracy'], inference.accuracy_floors(video_set))}"

    def run_released(self) -> None:
        from .. import released
        from ..studies import rows
        from . import printing

        table, missing = rows.released_table(released.load_checkpoint(self.released), self.data, self.split, **self.options())
        said = "The paper does not say which audio list it used; before 2024 there was only the 2020 one."
        sentences = [said, *(f"Not evaluated with the {sentence}" for sentence in missing)]
        found = {name: {"/".join(column): value for column, value in row.items()} for name, row in table.iterrows()}
        self.put("\n".join([printing.scores(table), "", *sentences]), found)

    def put(self, text: str, found: dict[str, Any]) -> None:
        """Prints the text, and writes what was found where --json says; with "-" that alone is printed."""
        from .._files import write_json

        if self.json == Path("-"):
            print(json.dumps(found, indent=1, allow_nan=False))
            return
        if self.json is not None:
            write_json(self.json, found)
        print(text)


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


def networks_of(checkpoint: Path | None, networks: str | None) -> str:
    """The networks that are given, else those with which a run's data were extracted. Raises InputError where nobody says it."""
    if networks is not None:
        return networks
    from ..data.source import PROVENANCE

    path = None if checkpoint is None else Path(checkpoint) / PROVENANCE
    if path is None or not path.is_file():
        raise InputError("the run does not say with which networks its data were extracted: train it on a folder of `cmpae extract`, "
                         "or name them with --networks.")
    try:
        return str(json.loads(path.read_bytes())["networks"]["name"])
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path} cannot be read: name the networks with --networks.") from None


def keep_extraction(data_name: str, out: Path) -> None:
    """Notes beside a checkpoint how its data were extracted, where their folder says it."""
    from .. import data
    from .._files import write_json
    from ..data.source import PROVENANCE

    path = (data.find_data(data_name) if data_name in data.made else Path(data_name).expanduser()) / PROVENANCE
    if path.is_file():
        told = json.loads(path.read_bytes())
        write_json(out / PROVENANCE, {name: told[name] for name in told if name != "films"})


def default_out(data_name: str, chosen: str, seed: int) -> Path:
    """Where a run goes when nobody says: runs/<data>-<preset>-seed<n>; a folder's name has six digits of a hash of its path behind it."""
    from .. import data
    from ..studies.identity import short_name

    name = short_name(data_name)
    if data_name not in (*data.made, *data.published) and not data.simulated_size(data_name):
        folder = Path(data_name).expanduser().resolve()
        name = f"{folder.name}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:6]}"
    return Path("runs") / f"{name}-{chosen}-seed{seed}"
