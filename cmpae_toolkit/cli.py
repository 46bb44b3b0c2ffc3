"""The `cmpae` command, for machines without a browser; each subcommand is one call into the library."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from . import checkpoint, data, inference, released
from ._files import write_json
from .batches import choose_device
from .checkpoint import load_run, machine, versions
from .config import config_for, preset_for, presets
from .data import doctor
from .errors import InputError, InputWarning
from .inference import evaluate
from .studies import grid, rows, tables

SPLITS = ("train", "val", "test")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one subcommand; bad input ends in one sentence on stderr and exit status 2."""
    options = parser().parse_args(arguments)
    warnings.showwarning = _one_line
    warnings.simplefilter("always", InputWarning)
    try:
        return options.run(options) or 0
    except InputError as error:
        print(f"cmpae: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("cmpae: stopped; `--resume` goes on from the last whole epoch.", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="cmpae", description=__doc__, epilog=f"Presets: {', '.join(presets)}.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    common, checkpoint = _data_options(), _checkpoint_options()
    _add_data_commands(commands, common)
    _add_run_commands(commands, common, checkpoint)
    _add_tables(commands)
    return top


def _data_options() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--data", default=data.default_name(), metavar="NAME_OR_FOLDER",
        help=f"{', '.join(data.names)} (simulated), {', '.join(data.published)} (downloaded) or a folder "
        f"(default: $CMPAE_DATA, else small; now %(default)s)",
    )
    common.add_argument("--skip-missing", action="store_true", help="leave out videos without all their feature files")
    common.add_argument("--drop-leaks", action="store_true", help="AVEP: leave out training videos that are in val or test, too")
    common.add_argument("--merge-repeated", action="store_true", help="AVEP: one training video with all its categories for rows of one id")
    return common


def _checkpoint_options() -> argparse.ArgumentParser:
    checkpoint = argparse.ArgumentParser(add_help=False)
    checkpoint.add_argument(
        "--checkpoint", type=Path, metavar="FOLDER", help="a trained run (default: the one that comes with the package)"
    )
    return checkpoint


def _add_data_commands(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    sub = commands.add_parser("doctor", parents=[common], help="say what is there and whether it can be used")
    sub.add_argument("--json", action="store_true", help="print the report as JSON")
    sub.set_defaults(run=_doctor)

    sub = commands.add_parser("download", help="get the published lists and features, or say how to get them by hand")
    sub.add_argument("name", choices=data.published[:2], help="AVEP is made of the two")
    sub.add_argument("--lists-only", action="store_true", help="leave the features (8 GB each) out")
    sub.add_argument("--background", action="store_true", help="AVE's 178 background videos, too")
    sub.add_argument("--steps", action="store_true", help="print pages, file names and places instead of downloading")
    sub.add_argument("--out", type=Path, metavar="FOLDER", help="(default: where the other commands look, under $CMPAE_HOME)")
    sub.set_defaults(run=_download)

    sub = commands.add_parser("pack", parents=[common], help="pack a folder's feature files into memory-mapped arrays")
    sub.add_argument("--split", choices=SPLITS, action="append", help="(default: all three)")
    sub.add_argument("--out", type=Path, help="folder for the stores, one a split (default: under $CMPAE_HOME)")
    sub.set_defaults(run=_pack)


def _add_run_commands(commands: argparse._SubParsersAction, common: argparse.ArgumentParser, checkpoint: argparse.ArgumentParser) -> None:
    sub = commands.add_parser("train", parents=[common], help="train, evaluate on test, leave checkpoint, scores and figures")
    sub.add_argument("--preset", choices=presets, help="(default: $CMPAE_PRESET, else ave for AVE, paper for all else)")
    sub.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="config fields to change, such as width=128 epochs=10")
    sub.add_argument("--seed", type=int, help="seed of the run (default: the config's, 0)")
    sub.add_argument("--out", type=Path, metavar="FOLDER", help="(default: runs/<data>)")
    sub.add_argument("--figures", type=Path, metavar="FOLDER", help="write the history and evidence-curve figures here")
    sub.add_argument("--device", help="cpu, cuda, mps (default: the best there is)")
    sub.add_argument("--mixed-precision", action="store_true", help="bfloat16 where it is safe")
    sub.add_argument("--resume", action="store_true", help="go on from the state in --out")
    sub.set_defaults(run=_train)

    sub = commands.add_parser("predict", parents=[common, checkpoint], help="write events and opinions as CSV and JSON")
    sub.add_argument("--split", choices=SPLITS, help="(default: every video in the folder, no lists needed; test for simulated data)")
    sub.add_argument("--out", type=Path, default=Path("predictions"), metavar="FOLDER", help="(default: %(default)s)")
    sub.set_defaults(run=_predict)

    sub = commands.add_parser("evaluate", parents=[common, checkpoint], help="print the ten F-scores beside the floors")
    sub.add_argument("--split", choices=SPLITS, default="test", help="(default: %(default)s)")
    sub.add_argument("--json", type=Path, metavar="FILE", help="write the scores here, too")
    sub.add_argument("--released", type=Path, metavar="FILE", help="the authors' checkpoint: prints their inference beside Table 2")
    sub.set_defaults(run=_evaluate)


def _add_tables(commands: argparse._SubParsersAction) -> None:
    sub = commands.add_parser("tables", help="make Tables 1 to 6: train what is missing, print, and write CSV, Markdown, LaTeX, PNG")
    sub.add_argument("numbers", nargs="*", type=int, choices=tables.NUMBERS, metavar="N", help="which tables (default: all six)")
    sub.add_argument("--data", nargs="+", default=[data.default_name()], metavar="NAME_OR_FOLDER", help="(default: %(default)s)")
    sub.add_argument("--seeds", type=int, default=5, metavar="K", help="runs of each row, seeds 0 to K - 1 (default: %(default)s)")
    sub.add_argument("--results", type=Path, default=Path("runs/tables"), metavar="FOLDER", help="of the runs (default: %(default)s)")
    sub.add_argument("--out", type=Path, metavar="FOLDER", help="of the tables (default: the one of the runs)")
    sub.add_argument("--stored", action="store_true", help="train nothing: only read the runs that are there")
    sub.add_argument("--workers", type=int, default=1, help="processes at once (default: %(default)s)")
    sub.add_argument("--threads", type=int, default=1, help="threads of each (default: %(default)s)")
    sub.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster that runs them instead, such as tcp://host:8786")
    sub.add_argument("--device", help="cpu, cuda, mps (default: the best there is)")
    sub.set_defaults(run=_tables)


def _tables(options: argparse.Namespace) -> int:
    numbers = options.numbers or tables.NUMBERS
    if not options.stored:
        planned = tables.jobs_for(numbers, options.data, range(options.seeds))
        grid.run_grid(
            planned, options.results, workers=options.workers, threads=options.threads, device=options.device, scheduler=options.scheduler
        )
        for name in options.data:
            tables.write_floors(name, options.results)
    for number in numbers:
        table = tables.make(number, options.results, options.data)
        print(table.to_markdown())
        for path in table.save(options.out or options.results):
            print(path)
        print()
    print(tables.write_categories(options.results, options.data, options.out or options.results))
    failed = grid.failures(options.results)
    for file, error in failed.items():
        print(f"cmpae: failed: {file}: {error}", file=sys.stderr)
    return 1 if failed else 0


def _train(options: argparse.Namespace) -> None:
    changes = dict(pair.split("=", 1) if "=" in pair else (pair, "") for pair in options.set)
    config = config_for(options.data, options.preset).changed(**changes)
    if options.seed is not None:
        config = config.changed(seed=options.seed)
    out = options.out or default_out(options.data)
    result = grid.train_and_evaluate(
        config, options.data, out, figures=options.figures, device=options.device, resume=options.resume,
        mixed_precision=options.mixed_precision, **_load_options(options),
    )
    title = result["data"]["title"]
    rows = {"this run": result["scores"]["test"], **result["floors"]["test"]}
    preset = preset_for(options.data, options.preset)
    print(f"\n{title}, {result['data']['videos']['test']} videos, preset {preset}, seed {config.seed}, epoch {result['best_epoch']} of "
          f"{config.epochs} (chosen on val), {result['seconds']:.0f} s on {result['device']}:\n")
    print(printed(inference.score_table(rows)))
    if "accuracy" in result["scores"]["test"]:
        print(_accuracy_line("this run", result["scores"]["test"]["accuracy"], result["floors"]["accuracy"]))
    made = [f"{out}: model.safetensors + config.json (checkpoint), history.csv, run.json"]
    if options.figures is not None:
        made.append(f"{options.figures}: run_training_history.png, run_evidence_curves.png")
    print("\nMade:\n  " + "\n  ".join(made))
    print("Next: `make lab` opens the notebooks; start with 00_start_here.")


def _evaluate(options: argparse.Namespace) -> None:
    if options.released is not None:
        run = released.load_checkpoint(options.released)
        table, missing = rows.released_table(run, options.data, options.split, **_load_options(options))
        print(printed(table))
        print("\nThe paper does not say which audio list it used; before 2024 there was only the 2020 one.")
        for sentence in missing:
            print(f"Not evaluated with the {sentence}")
        if options.json is not None:
            write_json(options.json, {name: {"/".join(c): v for c, v in row.items()} for name, row in table.iterrows()})
        return
    run = _run(options)
    video_set = data.load(options.data, options.split, **_load_options(options))
    scores = evaluate(run, video_set)
    print(f"{video_set.title}, {len(video_set)} videos, checkpoint trained on {run.data.get('name', 'unknown data')}:\n")
    print(printed(inference.with_floors("checkpoint", scores, video_set)))
    if "accuracy" in scores:
        print(_accuracy_line("checkpoint", scores["accuracy"], inference.accuracy_floors(video_set)))
    if options.json is not None:
        write_json(options.json, {"data": video_set.title, "scores": scores, "floors": inference.floors(video_set)})


def _predict(options: argparse.Namespace) -> None:
    split = options.split or ("test" if data.simulated_size(options.data) else None)
    video_set = data.load(options.data, split, **_load_options(options))
    for path in inference.write_predictions(_run(options), video_set, options.out):
        print(path)


def _pack(options: argparse.Namespace) -> None:
    for split in options.split or SPLITS:
        out = None if options.out is None else options.out / split
        print(data.pack(options.data, split, out, **_load_options(options)))


def _download(options: argparse.Namespace) -> None:
    if options.steps:
        print("\n".join(data.manual_steps(options.name, options.out, options.background)))
        return
    print(data.download(options.name, options.out, features=not options.lists_only, background=options.background))


def _doctor(options: argparse.Namespace) -> int:
    found = diagnose(options.data, **_load_options(options))
    print(json.dumps(found, indent=1) if options.json else "\n".join(_findings(found)))
    return 0 if found["usable"] else 1


def _findings(found: dict) -> Iterator[str]:
    """The lines of a diagnosis."""
    verdict, machine = "usable" if found["usable"] else "NOT usable", found["machine"]
    yield f"{found['data']}: {verdict}; device {found['device']}; files kept in {found['cmpae_home']}"
    yield "  " + ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    gpus = "; ".join(machine["gpus"]) or "no GPU"
    yield f"  {machine['cpus']} x {machine['cpu']}; {gpus}; {machine['disk_free_gb']} GB of disk free"
    for each in found["lists"]:
        yield f"  list {each['path']}: {each['version']} (sha256 {each['sha256'][:12]})"
    for split, about in found["splits"].items():
        yield from _split_findings(split, about)
    if found["leakage"]["count"]:
        first = "; ".join(f"{v['id']} in {', '.join(v['splits'])}" for v in found["leakage"]["videos"][:3])
        yield f"  {found['leakage']['count']} videos are in several splits, such as {first}"


def _split_findings(split: str, about: dict) -> Iterator[str]:
    if "videos" in about:
        streams = ", ".join(f"{name} {shape[0]} x {shape[1]}" for name, shape in about["streams"].items()) or "no features"
        reference = "dense reference" if about["dense_reference"] else "weak labels only"
        counts = f"{about['videos']} videos, {about['categories']} categories, {about['complete']} complete"
        yield f"  {split}: {counts}, {streams}; {reference}; {len(about['notices'])} notices"
        yield from (f"    missing {each}" for each in about["missing"]["first"])
    if "problem" in about:
        yield f"  {split}: {about['problem']}"
    for kind in ("bad_rows", "bad_files", "notices"):
        yield from (f"    {each}" for each in about.get(kind, ()) if each != about.get("problem"))


def printed(table: pd.DataFrame) -> str:
    """A score table for a terminal, one block a level so that it fits 80 columns."""
    blocks = []
    for level in table.columns.levels[0].sort_values(ascending=False):  # segment before event
        block = table[level].copy()
        block.columns = [c.replace("_", "-") for c in block.columns]
        block.index.name = f"{level} level, F in %"
        block = block.reset_index()
        blocks.append(block.to_string(index=False, float_format="{:.1f}".format, justify="right"))
    return "\n\n".join(blocks)


def _accuracy_line(name: str, accuracy: float, floors: dict[str, float]) -> str:
    beside = ", ".join(f"{floor} {value:.1f}" for floor, value in floors.items())
    return f"\naccuracy over all snippets in %: {name} {accuracy:.1f}; {beside}"


def _run(options: argparse.Namespace) -> checkpoint.Run:
    return checkpoint.shipped_run() if options.checkpoint is None else load_run(options.checkpoint)


def _load_options(options: argparse.Namespace) -> dict[str, str]:
    asked = (
        ("missing", "skip", options.skip_missing), ("leaks", "drop", options.drop_leaks), ("repeated", "merge", options.merge_repeated),
    )
    return {name: value for name, value, is_on in asked if is_on}


def _one_line(message: Warning | str, *_rest: object) -> None:
    print(f"cmpae: note: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())


def diagnose(data_name: str, **options: Any) -> dict[str, Any]:
    """The machine, the versions, and what `data.doctor` finds of a data set: its lists, splits, leaks, and whether it is usable."""
    found = {"data": str(data_name), "versions": versions(), "device": str(choose_device()), "machine": machine()}
    return found | {"cmpae_home": str(data.home())} | doctor.examine(data_name, **options)


def default_out(data_name: str) -> Path:
    """Where a run goes when nobody says: runs/<data>."""
    return Path("runs") / Path(os.path.normpath(data_name)).name
