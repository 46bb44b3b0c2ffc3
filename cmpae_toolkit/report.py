"""From data to a finished result in one call: train, evaluate, and leave checkpoint, scores, figures and one JSON."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from . import __version__, data, decode, metrics
from .config import Config, config_for
from .data import doctor
from .data.archives import free_bytes
from .data.home import write_atomically, write_text
from .data.videoset import VideoSet
from .errors import InputError
from .runs import CONFIG, Run, load_run, read_json, write_json
from .train import choose_device, evaluate, fit, predict

ASSETS = Path(__file__).parent / "assets"
PAPER_TABLES = ASSETS / "paper_tables.json"
CHECKPOINT = ASSETS / "simulated_small"  # trained by `make checkpoint`


def shipped_run() -> Run:
    """The small trained run that comes with the package: preset `paper` on the simulated `small` set."""
    return load_run(CHECKPOINT)


def trained_run(data_name: str, preset: str | None = None) -> Run:
    """A run to look at: the shipped one where it fits, one trained earlier by this call, else one trained now and kept.

    The notebooks call this, so that every data set and preset that the environment names works. Kept under `CMPAE_HOME`.
    """
    config = config_for(data_name, preset)
    if data.simulated_size(data_name) == "small" and config == config_for("small", "paper"):
        return shipped_run()
    train_set, val_set = (data.load(data_name, split) for split in ("train", "val"))
    key = hashlib.sha256(repr((config, train_set.checksum(), val_set.checksum())).encode()).hexdigest()[:16]
    folder = data.home() / "runs" / key
    if (folder / CONFIG).is_file():
        return load_run(folder)
    run = fit(config, train_set, val_set)
    run.save(folder)
    return run


def score_table(scores: dict[str, dict[str, dict[str, float]]]) -> pd.DataFrame:
    """Named results of `f_scores` as a table: a row each, columns (level, score), in percent."""
    columns = pd.MultiIndex.from_product([metrics.LEVELS, metrics.SCORES], names=["level", "score"])
    rows = [[result[level][score] for level, score in columns] for result in scores.values()]
    return pd.DataFrame(rows, index=list(scores), columns=columns)


def with_floors(name: str, scores: dict[str, dict[str, float]], video_set: VideoSet) -> pd.DataFrame:
    """A result and, beside it, the two floors it must be read against."""
    return score_table({name: scores, **floors(video_set)})


def floors(video_set: VideoSet) -> dict[str, dict[str, dict[str, float]]]:
    """`metrics.floors` of a data set; only "predict nothing" where it has no weak labels."""
    if video_set.weak_labels is None:
        return {"predict nothing": metrics.f_scores(np.zeros_like(video_set.reference), video_set.reference)}
    return metrics.floors(video_set.weak_labels, video_set.reference)


def accuracy_floors(video_set: VideoSet) -> dict[str, float]:
    """AVE's accuracy in percent of answering background everywhere, and the true category of the video everywhere."""
    right = metrics.answers(video_set.reference)
    painted = metrics.answers(np.broadcast_to(video_set.weak_labels[:, None, None] > 0.5, video_set.reference.shape))
    background = np.full_like(right, len(video_set.categories))
    return {
        "background everywhere": metrics.ave_accuracy(background, right),
        "true category everywhere": metrics.ave_accuracy(painted, right),
    }


def paper_table(name: str) -> dict[str, Any]:
    """A table of the paper as its numbers were printed: `columns` and `rows`, e.g. "table_2_AVVP" (source: the CVPR 2023 text)."""
    return read_json(PAPER_TABLES)[name]


def released_table(run: Run, data_name: str, split: str = "test", **options: Any) -> tuple[pd.DataFrame, list[str]]:
    """The authors' checkpoint on LLP beside the paper's Table 2, for each version of the audio reference list that is there.

    The floors of each list stand below its row. Returns the table and what is missing, as sentences.
    """
    rows, missing = {}, []
    for choice, year in (("corrected", "2024 corrected list"), ("2020", "2020 list")):
        try:
            video_set = data.load(data_name, split, eval_audio=choice, **options)
        except InputError as error:
            missing.append(f"{year}: {error}")
            continue
        rows[f"{run.data['name']}, {year}"] = evaluate(run, video_set)
        rows |= {f"{name}, {year}": scores for name, scores in floors(video_set).items()}
    if not rows:
        raise InputError(f"{data_name} cannot be evaluated with either audio list: {missing[0]}")
    paper = paper_table("table_2_AVVP")
    columns = [column.split(".") for column in paper["columns"]]
    printed = {level: {} for level in metrics.LEVELS}
    for (level, score), value in zip(columns, paper["rows"]["CMPAE"], strict=True):
        printed[level][score] = value
    return score_table({"CMPAE, as printed in the paper's Table 2": printed, **rows}), missing


def versions() -> dict[str, str]:
    """What a result was made with."""
    return {
        "cmpae_toolkit": __version__, "python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__,
        "platform": platform.platform(terse=True), "threads": str(torch.get_num_threads()),
    }


def provenance(run: Run, test_set: VideoSet, device: str | None = None) -> dict[str, Any]:
    """What every stored result says of where it comes from: data, config, what was chosen on val, device and versions."""
    return {
        "data": run.data | {"title": test_set.title, "test_checksum": test_set.checksum()}, "config": run.config.to_dict(),
        "best_epoch": run.best_epoch, "thresholds": run.thresholds.to_dict(), "device": str(choose_device(device)),
        "versions": versions(),
    }


def train_and_evaluate(
    config: Config, data_name: str, out: str | Path, *, figures: str | Path | None = None, device: str | None = None,
    resume: bool = False, mixed_precision: bool = False, progress: bool = True, **options: Any,
) -> dict[str, Any]:
    """Trains on train, chooses on val, scores test once; writes checkpoint, history, run.json and, if asked, two figures.

    Returns what run.json holds: config, data, scores, floors, thresholds, seconds, device and versions. `options` go to `data.load`.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file: give a folder to write the run to.")
    sets = {split: data.load(data_name, split, **options) for split in ("train", "val", "test")}
    started = time.perf_counter()
    run = fit(
        config, sets["train"], sets["val"], device=device, folder=out, resume=resume, mixed_precision=mixed_precision, progress=progress
    )
    seconds = time.perf_counter() - started
    test = sets["test"]
    result = {
        **provenance(run, test, device), "seconds": round(seconds, 1),
        "scores": {"val": evaluate(run, sets["val"]), "test": evaluate(run, test)}, "floors": {"test": floors(test)},
    }
    result["data"]["videos"] = {split: len(video_set) for split, video_set in sets.items()}
    if config.task == "localization":
        result["floors"]["accuracy"] = accuracy_floors(test)
    run.save(out)
    write_json(out / "run.json", result)
    if figures is not None:
        save_figures(run, test, Path(figures))
    return result


def save_figures(run: Run, video_set: VideoSet, folder: Path) -> list[Path]:
    """The training history and the evidence curves (Figure 3) of one video as PNG files."""
    from . import plots
    from .what_if import explore

    history = plots.training_history(run.history, best_epoch=run.best_epoch)
    history.suptitle(video_set.name)
    curves = plots.figure_3(explore(run, video_set, example_video(video_set), log=True))
    made = []
    for name, figure in (("run_training_history", history), ("run_evidence_curves", curves)):
        path = folder / f"{name}.png"
        write_atomically(path, lambda file, figure=figure: figure.savefig(file, format="png", dpi=120))
        made.append(path)
    return made


def example_video(video_set: VideoSet) -> int:
    """The first video like the paper's Figure 3: an event in both tracks, another in the audio track only, both with an end
    inside the video; failing that without the last condition; else the first video."""
    if video_set.reference is None:
        return 0
    reference = video_set.reference
    lasts = reference.all(2)  # (video, modality, category): the event fills the whole track
    audible, visible = reference.any(2).transpose(1, 0, 2)
    in_both, audio_only = audible & visible, audible & ~visible
    ends = ~lasts.any(1)
    for mask in (ends, np.ones_like(ends)):
        found = np.flatnonzero((in_both & mask).any(1) & (audio_only & mask).any(1))
        if len(found):
            return int(found[0])
    return 0


def write_predictions(run: Run, video_set: VideoSet, folder: str | Path, *, progress: bool = True) -> list[Path]:
    """Decoded events of every video as `events.csv`, and with the opinions behind them as `events.json`.

    CSV columns: filename, onset, offset (seconds), category, track, probability, vacuity. The JSON has for each video its events
    and each modality's video-level probability and vacuity by category.
    """
    evidence = predict(run.model, video_set, progress=progress)
    rows = decode.event_table(decode.decode(evidence, run.thresholds), evidence, video_set.categories, video_set.filenames)
    columns = ["filename", "onset", "offset", "category", "track", "probability", "vacuity"]
    table = pd.DataFrame(rows, columns=columns)
    per_video = {filename: [] for filename in video_set.filenames}
    for row in rows:
        per_video[row["filename"]].append({k: v for k, v in row.items() if k != "filename"})
    videos = [
        {"filename": name, "events": per_video[name], "opinions": _opinions(evidence.video[i], video_set.categories)}
        for i, name in enumerate(video_set.filenames)
    ]
    folder = Path(folder)
    write_text(folder / "events.csv", table.to_csv(index=False, float_format="%.6g"))
    description = {"data": video_set.title, "trained_on": run.data, "thresholds": run.thresholds.to_dict(), "videos": videos}
    write_json(folder / "events.json", description)
    return [folder / "events.csv", folder / "events.json"]


def _opinions(judgement: Any, categories: tuple[str, ...]) -> dict[str, dict[str, dict[str, float]]]:
    """{modality: {category: {"probability", "vacuity"}}} of one video's judgement (modality, category)."""
    result: dict[str, dict[str, dict[str, float]]] = {}
    for m, modality in enumerate(("audio", "visual")):
        values = {"probability": judgement.probability[m].tolist()}
        if judgement.vacuity is not None:
            values["vacuity"] = judgement.vacuity[m].tolist()
        result[modality] = {c: {name: round(v[i], 6) for name, v in values.items()} for i, c in enumerate(categories)}
    return result


def diagnose(data_name: str, **options: Any) -> dict[str, Any]:
    """The machine, the versions, and what `data.doctor` finds of a data set: its lists, splits, leaks, and whether it is usable."""
    found = {"data": str(data_name), "versions": versions(), "device": str(choose_device()), "machine": machine()}
    return found | {"cmpae_home": str(data.home())} | doctor.examine(data_name, **options)


def machine() -> dict[str, Any]:
    """Processors, graphics processors with their memory, and the free disk where downloads are kept."""
    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return {
        "cpu": platform.processor() or platform.machine(), "cpus": os.cpu_count(),
        "gpus": [f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB" for gpu in gpus],
        "disk_free_gb": round(free_bytes(data.home()) / 1e9, 1),
    }


def default_out(data_name: str) -> Path:
    """Where a run goes when nobody says: runs/<data>."""
    return Path("runs") / Path(os.path.normpath(data_name)).name
