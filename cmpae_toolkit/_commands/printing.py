"""What the command line prints: score tables that fit a terminal, findings of the doctor, the list of methods."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pandas as pd
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from .. import metrics
from ..config import DataSpec, StreamSpec
from ..data import LLP_CATEGORIES
from ..errors import InputError
from ..method import Method
from ..methods import METHODS, get

LLP = DataSpec(
    LLP_CATEGORIES, 10,
    {"audio": StreamSpec(128, 1, "audio"), "frames": StreamSpec(2048, 8, "visual"), "clip": StreamSpec(512, 1, "visual")},
)


def method_table() -> pd.DataFrame:
    """A row for each method: name, tasks, paper, and on features of LLP's shapes at the default size its parameters and the
    arithmetic of one video's answer, in 10^9 floating-point operations of its matrix products."""
    rows = []
    for name in METHODS:
        method = get(name)
        size, work = _cost(method)
        rows.append({"method": name, "tasks": ", ".join(sorted(method.tasks)), "parameters": size, "GFLOP": work, "paper": method.paper})
    return pd.DataFrame(rows)


def _cost(method: type[Method]) -> tuple[str, str]:
    try:
        size, work = _counted(method, "meta")  # nothing is drawn or multiplied
    except NotImplementedError:  # what is computed hangs on the numbers
        size, work = _counted(method, "cpu")
    except InputError:
        return "needs other features", ""
    return f"{size:,}", f"{work / 1e9:.2f}"


def _counted(method: type[Method], device: str) -> tuple[int, int]:
    """The parameters, and the floating-point operations of the matrix products behind one video's answer."""
    with torch.device(device), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        model = method(method.Config(), LLP).eval()
        model({name: torch.zeros(1, LLP.snippets * s.per_snippet, s.width) for name, s in LLP.streams.items()})
    return sum(parameter.numel() for parameter in model.parameters()), counter.get_total_flops()


def scores(table: pd.DataFrame) -> str:
    """A score table for a terminal, one block a level so that it fits 80 columns."""
    blocks = []
    given = table.columns.unique(1)
    parts = [part for part in (metrics.SCORES, metrics.ONE_SIDED, metrics.VIDEO_SCORES) if part[0] in given]
    for level, part in itertools.product(table.columns.unique(0), parts):
        block = table[level][list(part)].copy()
        block.columns = [c.replace("_", "-") for c in block.columns]
        block.index.name = f"{level} level, F in %"
        block = block.reset_index()
        blocks.append(block.to_string(index=False, float_format="{:.1f}".format, justify="right"))
    return "\n\n".join(blocks)


def accuracy(name: str, value: float, floors: dict[str, float]) -> str:
    """AVE's accuracy beside its floors, in one line."""
    beside = ", ".join(f"{floor} {value:.1f}" for floor, value in floors.items())
    return f"\naccuracy over all snippets in %: {name} {value:.1f}; {beside}"


def findings(found: dict[str, Any]) -> Iterator[str]:
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


def _split_findings(split: str, about: dict[str, Any]) -> Iterator[str]:
    if "videos" in about:
        modality = about["modalities"]
        streams = [f"{name} ({modality[name]}) {rows} x {width}" for name, (rows, width) in about["streams"].items()]
        reference = "dense reference" if about["dense_reference"] else "weak labels only"
        counts = f"{about['videos']} videos, {about['categories']} categories, {about['complete']} complete"
        yield f"  {split}: {counts}, {', '.join(streams) or 'no features'}; {reference}; {len(about['notices'])} notices"
        if about["snippets"] is not None:
            least, most = about["snippets"]
            yield f"    {most if least == most else f'{least} to {most}'} snippets of {about['snippet_seconds']:g} s a video"
        yield from (f"    missing {each}" for each in about["missing"]["first"])
    if "problem" in about:
        yield f"  {split}: {about['problem']}"
    for kind in ("bad_rows", "bad_files", "notices"):
        yield from (f"    {each}" for each in about.get(kind, ()) if each != about.get("problem"))
