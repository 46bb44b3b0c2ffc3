"""The rows of Tables 1 to 6: printed ones from the paper, measured ones from stored runs, floors from beside them.

A printed number stands in a row whose data is the paper's data set and "printed"; a measured one in a row with the data that it
was measured on, so that nothing simulated ever stands under the name of a real data set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .. import data, metrics
from .._files import flat, read_json
from ..checkpoint import ASSETS, Run
from ..errors import InputError
from ..inference import evaluate, floors, score_table
from . import statistics
from .ablations import (
    ABLATIONS_OF_POOLED,
    ABLATIONS_OF_RELEASED,
    HAN_LABELS,
    OTHERS,
    OUR_SCHEDULE,
    OURS,
    OWN_WEIGHTS,
    READINGS,
    SAME,
    TABLE_5,
    TABLE_6,
)

TEN = tuple(f"{level}.{name}" for level in metrics.LEVELS for name in metrics.SCORES)
TYPE = tuple(f"{level}.type" for level in metrics.LEVELS)
WITH_BACKGROUND = "accuracy, videos with background"  # AVE's accuracy on the videos that are not one event from end to end
FULL = "EDL + PAEC + JML"  # the label of the full model's runs
# Label of runs -> the name of the printed row with the same labels and losses, where it has another name
_PRINTED_AS = {
    "MA": "MA, with its contrastive loss", "MA, no contrastive loss": "MA", "MM-Pyramid": "MM-Pyramid, weak labels",
    "MM-Pyramid, MA's labels": "MM-Pyramid",
}
SHOWN = {  # label of runs -> row of Tables 1 to 4, and the name of the printed row of the same method, if there is one
    FULL: ("CMPAE, preset paper", "CMPAE"),
    "released code": ("CMPAE, preset released", "CMPAE"),
    "improved": ("CMPAE, preset improved", "CMPAE"),
    "backbone, JoMoLD's weights": ("JoMoLD, CMPAE's schedule", "JoMoLD"),
} | {
    label: (f"{label}, its own schedule", _PRINTED_AS.get(label, label))
    for rows in (OTHERS, READINGS, HAN_LABELS) for of in rows.values() for label in of
} | {
    f"{label}{OUR_SCHEDULE}": (f"{label}{OUR_SCHEDULE}", _PRINTED_AS.get(label, label))
    for rows in (OTHERS, READINGS, OURS, HAN_LABELS) for of in rows.values() for label in of if label != "JoMoLD"
}
MORE_ABLATIONS = (OWN_WEIGHTS, ABLATIONS_OF_POOLED, ABLATIONS_OF_RELEASED)  # below Table 5
FULL_OF = {"released code": "released code", "opinions pooled": f"{FULL}, opinions pooled"}  # a row's kind -> its full model
ABLATIONS: dict[int, Mapping[str, Mapping[str, Any]]] = {5: TABLE_5, 6: TABLE_6}

STAR_NOTE = "* reproduced by the paper's authors"
MEAN_SLIP = (
    "In print, type is not the mean of audio, visual and audio-visual for MM-Pyramid, at the segment level for MA with its contrastive "
    "loss, and at the event level for DHHN on weak labels, CoLeaF and PPL."
)
AVEP_SLIP = "In print, type at the event level is not the mean of audio, visual and audio-visual for HAN and MGN."
LABELS_NOTE = (
    "The printed rows of CVCMS, DHHN and MM-Pyramid are on MA's labels, and MA's is without its contrastive loss; what was printed on "
    "weak labels, or with that loss, stands in rows of its own. CVCMS's authors chose their epoch on test, MA's took the last one."
)
NO_ROW_NOTE = (
    "Printed only: no public code of PoiBin, MGN, VPLAN, PPL, MUG and E-CMANet was at hand to read; nothing was recorded from that of "
    "LSLD and NREP, so that ours could not be checked; VALOR++ and UWAV+ need CLIP's and CLAP's features."
)
BACKGROUND_NOTE = "Videos with background are those that are not one event from end to end; in the others nothing is to be located in time."
AVE_NOTE = (
    "The authors of PSP, CMRAN and CMBS chose their epoch on test, and AVEL's took the last, so these printed numbers are optimistic "
    "beside ours, chosen on val. Printed only: AVRB, CMAN (AAAI 2022, as printed), DPNet and MM-Pyramid's network for AVE have no "
    "public code."
)
GAINS_SLIP = "The abstract's gains of 3.6 % and 6.1 % in visual and audio are Table 4's audio and visual gains at the event level."
SAME_NOTE = (
    "Table 5's \"EDL + JML\" and Table 6's \"both uni-modal\" are one configuration by our reading, trained once and shown in both; "
    "the paper prints different numbers for them."
)
PRINTED_NOTE = "In brackets: the difference to the printed number on the same data set."
INTERVAL_NOTE = (
    "- full: the difference to the full model, paired by seed, with its 95 % interval over seeds (±, Student's t) and over test "
    "videos (in brackets, bootstrap of the mean over seeds). Rows of the released code and with "
    "pooled opinions: the difference to the full model of their kind. All rows of Table 5 share reduction, loss weights, labels, "
    "schedule and decoding; the backbone with JoMoLD's weights alone has another weight, 2, for audio."
)


def methods(
    number: int, runs: dict[str, pd.DataFrame], beside: Mapping[str, dict[str, Any] | None], also: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """Tables 1 to 4: printed rows first, then for each data set what was measured there and its floors, `beside`.

    `also`: labels of further runs, shown under these names.
    """
    columns, printed, notes = _printed(number)
    rows = [{"method": method, "data": where, **dict(zip(columns, values, strict=True))} for method, where, values in printed]
    for name, found in runs.items():
        if not len(found):
            continue
        if number == 1:
            found = found.assign(**{"mean": found[list(TEN)].mean(axis=1)})
        if number == 3 and "others" in (beside.get(name) or {}):
            found = found.assign(**{WITH_BACKGROUND: [_on(record, beside[name]["others"]) for record in found["record"]]})
        fitting = [c for c in columns if c in found and found[c].notna().any()]
        if number == 1 and "accuracy" in fitting:
            fitting = ["accuracy"]
        for label, (shown, in_print) in (SHOWN | {label: (label, label) for label in also}).items():
            of_label = found[found["variant"] == label]
            if len(of_label) and fitting:
                row = _measured(shown, of_label, fitting)
                rows.append(row | _against_printed(row, in_print, printed, columns))
        rows += _floor_rows(beside.get(name), fitting)
    frame = pd.DataFrame(rows, columns=["method", "data", "n", *(f"{c}{s}" for c in columns for s in ("", " sd", " - printed"))])
    kept = frame.columns[frame.notna().any() | frame.columns.isin(["n"])]
    return frame[kept], notes + ([PRINTED_NOTE] if any(c.endswith(" - printed") for c in kept) else [])


def _printed(number: int) -> tuple[tuple[str, ...], list[tuple[str, str, list[float]]], list[str]]:
    """Score columns, printed rows (method, data, values) and notes of Tables 1 to 4."""
    if number == 1:
        table = paper_table("table_1")
        rows = [(m, "LLP, printed", [v, np.nan]) for m, v in table["AVVP"].items()]
        return ("mean", "accuracy"), rows + [(m, "AVE, printed", [np.nan, v]) for m, v in table["AVE"].items()], []
    if number == 3:
        rows = [(m, "AVE, printed", [v, np.nan]) for m, v in paper_table("table_3_AVE_accuracy").items()]
        rows += [(m, "AVE, published lists", v) for m, v in paper_table("floors_AVE_test")["rows"].items()]
        return ("accuracy", WITH_BACKGROUND), rows, [STAR_NOTE, BACKGROUND_NOTE, AVE_NOTE]
    table = paper_table("table_2_AVVP" if number == 2 else "table_4_AVEP")
    rows = [(m, "LLP, printed" if number == 2 else "AVEP, printed", v) for m, v in table["rows"].items()]
    if number == 4:
        rows += [(m, "AVEP, printed later", v) for m, v in paper_table("later_work_AVEP")["rows"].items()]
        return TEN, rows, [GAINS_SLIP, AVEP_SLIP]
    rows += [(m, "LLP, printed by others", v) for m, v in paper_table("earlier_work_AVVP")["rows"].items()]
    later = paper_table("later_work_AVVP")
    rows += [(m, "LLP, printed later", v) for m, v in later["same_features"].items()]
    rows += [(m, "LLP with CLIP and CLAP features, printed later", v) for m, v in later["clip_clap_features"].items()]
    rows += [(m, "LLP, corrected list", v) for m, v in paper_table("floors_LLP_test")["rows"].items()]
    return TEN, rows, [STAR_NOTE, LABELS_NOTE, NO_ROW_NOTE, MEAN_SLIP, GAINS_SLIP]


def _plain(printed: str) -> str:
    """A printed row's name without its venue and the star of those that the paper's authors reproduced."""
    return printed.partition(" (")[0].rstrip("*")


def printed_beside(number: int) -> dict[str, dict[str, float]]:
    """What Tables 2 to 4 print of the methods behind our rows: row -> score -> percent. The data are the paper's, not ours."""
    columns, printed, _ = _printed(number)
    found = {}
    for shown, in_print in SHOWN.values():
        values = next((values for name, where, values in printed if _plain(name) == in_print and "printed" in where), None)
        if values is not None:
            found[shown] = dict(zip(columns, values, strict=True))
    return found


def _on(record: Mapping[str, Any], videos: Sequence[int]) -> float:
    """The accuracy of a run on some of its test videos; NaN where its record has none of single videos."""
    of_video = record["per_video"].get("accuracy")
    return float(np.mean(np.asarray(of_video)[videos])) if of_video else np.nan


def _measured(shown: str, runs: pd.DataFrame, columns: Sequence[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"method": shown, "data": runs["data"].iloc[0], "n": len(runs)}
    for column in columns:
        row |= {column: runs[column].mean(), f"{column} sd": runs[column].std()}
    return row


def _against_printed(
    row: dict[str, Any], method: str, printed: list[tuple[str, str, list[float]]], columns: Sequence[str]
) -> dict[str, float]:
    """Measured - printed where the data set is the printed row's own, which its name says; nothing on any other data."""
    measured_on = row["data"].partition(" (")[0].lower()
    for name, where, values in printed:
        if _plain(name) == method and where.partition(",")[0].lower() == measured_on:
            return {f"{c} - printed": row[c] - v for c, v in zip(columns, values, strict=True) if c in row}
    return {}


def _floor_rows(stored: dict[str, Any] | None, columns: Sequence[str]) -> list[dict[str, Any]]:
    if stored is None or not columns:
        return []
    if "accuracy" in columns:
        return [{"method": name, "data": stored["title"], **{c: stored[c][name] for c in columns}} for name in stored["accuracy"]]
    rows = []
    for name, scores in stored["floors"].items():
        values = flat(scores) | {"mean": metrics.mean_score(scores)}
        rows.append({"method": name, "data": stored["title"], **{c: values[c] for c in columns}})
    return rows


def ablation(number: int, runs: dict[str, pd.DataFrame]) -> tuple[pd.DataFrame, list[str]]:
    """Tables 5 and 6: printed rows with their distance to the full model, then ours with it, paired."""
    table = paper_table(f"table_{number}")
    labels = list(ABLATIONS[number])
    rows = []
    for place, label in (("AVVP", "LLP, printed"), ("AVEP", "AVEP, printed")):
        at = [table["columns"].index(f"{score} {place}") for score in TYPE]
        full = table["rows"][labels[-1]]
        for row in labels:
            values = [table["rows"][row][i] for i in at]
            difference = {f"{s} - full": v - full[i] for s, v, i in zip(TYPE, values, at, strict=True)}
            rows.append({"method": row, "data": label, **dict(zip(TYPE, values, strict=True)), **difference})
    missing = []
    for name, found in runs.items():
        if not len(found) or not found["variant"].isin([SAME.get(row, row) for row in labels[:-1]]).any():
            continue
        for row in labels:
            of_label = found[found["variant"] == SAME.get(row, row)]
            if not len(of_label):
                missing.append(f"{row} on {name}")
                continue
            rows.append(_measured(row, of_label, TYPE) | _against_full(of_label, found[found["variant"] == FULL]))
        for label in (label for more in MORE_ABLATIONS for label in more) if number == 5 else ():
            of_label = found[found["variant"] == label]
            if len(of_label):
                full = next((full for kind, full in FULL_OF.items() if kind in label), FULL)
                rows.append(_measured(label, of_label, TYPE) | _against_full(of_label, found[found["variant"] == full]))
    suffixes = ("", " sd", " - full", " ±", " low", " high")
    frame = pd.DataFrame(rows, columns=["method", "data", "n", *(f"{c}{s}" for c in TYPE for s in suffixes)])
    notes = [SAME_NOTE, INTERVAL_NOTE] + ([table["note"][0].upper() + table["note"][1:]] if "note" in table else [])
    return frame, notes + ([f"Not run yet: {', '.join(missing)}."] if missing else [])


def _against_full(runs: pd.DataFrame, full: pd.DataFrame) -> dict[str, float]:
    """The paired difference to the full model in both type scores, with both intervals; 0 without them for the full model itself."""
    if not len(full):
        return {}
    if runs["variant"].iloc[0] == full["variant"].iloc[0]:
        return {f"{score} - full": 0.0 for score in TYPE}
    row: dict[str, float] = {}
    for score in TYPE:
        differences = statistics.by_seed(runs, full, score)
        low, high = statistics.over_videos(_per_video(runs, full, score.split(".")[0]))
        row |= {f"{score} - full": differences.mean(), f"{score} ±": statistics.half_width(differences)}
        row |= {f"{score} low": low, f"{score} high": high}
    return row


def _per_video(runs: pd.DataFrame, full: pd.DataFrame, level: str) -> np.ndarray:
    """runs - full in type F for each test video, the mean over the seeds that both have: (video,)."""
    records = runs.set_index("seed")["record"], full.set_index("seed")["record"]
    seeds = records[0].index.intersection(records[1].index)
    ours, theirs = (np.array([r[s]["per_video"][level] for s in seeds]) for r in records)
    return (ours - theirs).mean(axis=0)


PAPER_TABLES = ASSETS / "paper_tables.json"


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
