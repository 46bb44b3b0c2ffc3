"""Calls that do not depend on each other, on this machine's processes or on a Dask cluster."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from joblib import Parallel, delayed
from tqdm.auto import tqdm

from .._files import write_json


@dataclass(frozen=True)
class Task:
    """Something that makes one record, and what it is called there; the call travels to a worker, so it is no lambda."""

    variant: str
    seed: int | None
    call: Callable[[], dict[str, Any]]


def finish(tasks: Mapping[Path, Task], threads: int = 1, text: str = "runs") -> None:
    """Calls each task in joblib's present `backend` and writes its record to its file, as it ends.

    What a task raises is written instead, as "error" and "traceback", so that the others go on. A worker that dies loses nothing:
    its task is given to another.
    """
    files = list(tasks)
    for i, result in results([task.call for task in tasks.values()], threads, text):
        task = tasks[files[i]]
        write_json(files[i], {"variant": task.variant, "seed": task.seed, **result})


def results(calls: Sequence[Callable[[], dict[str, Any]]], threads: int, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number of the call, what it returned or its error) as the calls end, behind one progress bar."""
    done = Parallel(return_as="generator_unordered")(delayed(_attempt)(i, call, threads) for i, call in enumerate(calls))
    yield from tqdm(done, total=len(calls), desc=text, disable=not calls)


def _attempt(number: int, call: Callable[[], dict[str, Any]], threads: int) -> tuple[int, dict[str, Any]]:
    torch.set_num_threads(threads)
    try:
        return number, call()
    except Exception as error:
        where = traceback.format_exc(limit=3).replace(str(Path.cwd()), ".")
        return number, {"error": f"{type(error).__name__}: {error}", "traceback": where}
