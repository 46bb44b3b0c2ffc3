"""Stored runs: one JSON a run while a study runs, and one CSV and one gzipped JSON-lines file a study once it is frozen."""

from __future__ import annotations

import functools
import gzip
import io
import json
import zlib
from pathlib import Path
from typing import Any

import pandas as pd

from .._files import flat, read_json, write_atomically, write_text
from ..data.videoset import Splits
from ..errors import InputError
from .identity import MANIFEST, identify, short_name

RESULTS = Path(__file__).parents[2] / "results"  # the frozen studies, which only a clone of the repository has
FLOORS = "floors.json"  # beside the runs on a data set
LEFT_OUT = ("config", "thresholds", "versions")  # of a record, in a table of its numbers


# ---- reading ----------------------------------------------------------------------------------------------------------------


def read(source: str | Path) -> dict[str, dict[str, Any]]:
    """File -> record of a folder of runs, or of a frozen study by its name, such as "tables"; the files are relative to the source.

    Raises InputError when there is neither, or when a file is damaged.
    """
    frozen = _frozen(source)
    if frozen is not None:
        return _read_frozen(frozen, frozen.stat().st_mtime_ns)
    folder = Path(source)
    if folder.is_dir():
        return {file.relative_to(folder).as_posix(): read_json(file) for file in sorted(folder.rglob("*.json"))}
    if not isinstance(source, str) or folder.name != source:
        raise InputError(f"{source} is no folder of runs: give one that `cmpae study` or `cmpae tables` wrote to.")
    raise InputError(
        f"there is neither a folder {source!r} nor a stored study of that name: the stored studies are in the folder results/ of "
        f"the repository, which `pip install -e .` in a clone of it makes readable."
    )


def _frozen(source: str | Path) -> Path | None:
    """The file of a frozen study that a plain name means; a `Path`, or anything with a separator, is a folder."""
    path = RESULTS / f"{source}.jsonl.gz"
    return path if isinstance(source, str) and Path(source).name == source and path.is_file() else None


@functools.lru_cache(4)
def _read_frozen(path: Path, _changed: int) -> dict[str, dict[str, Any]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            records = [json.loads(line) for line in lines]
        return {record.pop("file"): record for record in records}
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is no whole file of stored runs ({error}): check it out of the repository again.") from None


def collect(source: str | Path, data_name: str | Path | Splits | None = None) -> pd.DataFrame:
    """The finished runs of a folder or of a frozen study, a row each, all or those on one data set.

    Columns: data (the title), variant, seed, file, record (the whole record, a dict), and the scores, such as "segment.type", in
    percent. Two data sets of one title in one folder are told apart by their checksums. Raises InputError as `read` does.

    >>> runs = collect("tables", "small")
    >>> runs[["seed", "segment.type"]].notna().all().tolist()
    [True, True]
    """
    found = read(source)
    within = None if data_name is None else folder_of(source, data_name)
    rows = []
    for file, record in found.items():
        if is_finished(record) and within in (None, file.rpartition("/")[0]):
            about = {"data": record["data"]["title"], "variant": record["variant"], "seed": record["seed"], "file": file, "record": record}
            rows.append(about | flat(record.get("scores", {})))
    frame = pd.DataFrame(rows, columns=None if rows else ["data", "variant", "seed", "file", "record"])
    places = frame["file"].str.rpartition("/")[0] if rows else frame["file"]
    ambiguous = places.groupby(frame["data"]).transform("nunique") > 1
    if ambiguous.any() and within is None:
        frame.loc[ambiguous, "data"] += " [" + places[ambiguous].str.rpartition("-")[2] + "]"
    return frame


def is_finished(record: Any) -> bool:
    """Whether a record is that of a run that ended without an error."""
    return isinstance(record, dict) and "variant" in record and "error" not in record


def failures(folder: str | Path) -> dict[str, str]:
    """The runs of a folder that ended in an error: file -> error. The next `run_grid` tries them again."""
    return {file: record["error"] for file, record in read(folder).items() if isinstance(record, dict) and "error" in record}


def floors(source: str | Path, data_name: str | Path) -> dict[str, Any] | None:
    """The floors of a data set that were stored beside its runs; None where there are none."""
    return read(source).get(f"{folder_of(source, data_name)}/{FLOORS}")


def folder_of(source: str | Path, data_name: str | Path | Splits) -> str:
    """The folder of a source in which the runs on a data set are: in a frozen study the data's short name, else `Identity.folder`.

    Where the data are not on this machine, the only folder made under their short name. Raises InputError when several were.
    """
    if _frozen(source) is not None:
        return short_name(data_name)
    try:
        return identify(data_name).folder
    except InputError:
        named = [file.parent.name for file in Path(source).glob(f"*/{MANIFEST}") if read_json(file)["given"] == short_name(data_name)]
    if len(named) > 1:
        raise InputError(f"{source} holds runs on {len(named)} data sets named {short_name(data_name)!r}: give the folder of the data.")
    return named[0] if named else short_name(data_name)


def numbers(runs: pd.DataFrame) -> pd.DataFrame:
    """`collect`'s runs with every number of their records under its path, such as "errors.all.audio.vacuity.aurc".

    >>> numbers(collect("tables", "small").head(2))["scores.segment.type"].notna().tolist()
    [True, True]
    """
    return pd.DataFrame([{"data": run.data, "variant": run.variant, "seed": run.seed} | _values(run.record) for run in runs.itertuples()])


def _values(record: dict[str, Any]) -> dict[str, Any]:
    return flat({k: v for k, v in record.items() if k not in (*LEFT_OUT, "data", "variant", "seed")})


# ---- freezing ---------------------------------------------------------------------------------------------------------------


def freeze(folder: str | Path, name: str, out: str | Path = RESULTS) -> tuple[Path, Path]:
    """Writes a folder of runs as `<name>.csv`, a row a finished run, and `<name>.jsonl.gz`, the whole records; the same runs give
    the same bytes. Runs on a data set stand under its short name. Raises InputError when two data sets share it, or nothing is there.

    >>> import tempfile
    >>> freeze(tempfile.mkdtemp(), "nothing", tempfile.mkdtemp())
    Traceback (most recent call last):
    ...
    cmpae_toolkit.errors.InputError: ...
    """
    records = {}
    for file, record in read(folder).items():
        if Path(file).name == MANIFEST or (isinstance(record, dict) and "error" in record):
            continue
        place, _, base = file.rpartition("/")
        manifest = Path(folder) / place / MANIFEST
        short = read_json(manifest)["given"] if manifest.is_file() else place
        if records.setdefault(f"{short}/{base}", record) is not record:
            raise InputError(f"{folder} holds runs on two data sets named {short!r}: rename the folder of one and run it again.")
    runs = {file: record for file, record in sorted(records.items()) if is_finished(record)}
    if not runs:
        raise InputError(f"{folder} holds no finished run to freeze.")
    table = pd.DataFrame([_row(file, record) for file, record in runs.items()])
    packed = io.BytesIO()
    with gzip.GzipFile("", "wb", 9, packed, mtime=0) as lines:
        for file, record in sorted(records.items()):
            lines.write((json.dumps({"file": file, **record}, allow_nan=False) + "\n").encode())
    whole = write_atomically(Path(out) / f"{name}.jsonl.gz", lambda file: file.write(packed.getvalue()))
    return write_text(Path(out) / f"{name}.csv", table.to_csv(index=False, float_format="%.6g", lineterminator="\n")), whole


def _row(file: str, record: dict[str, Any]) -> dict[str, Any]:
    """The single values of a record; lists, such as the history, are in the whole record only."""
    about = {"file": file, "data": record["data"]["title"], "variant": record["variant"], "seed": record["seed"]}
    values = flat({"data": record["data"]}) | _values(record)
    return about | {name: value for name, value in values.items() if name != "data.title" and not isinstance(value, list)}
