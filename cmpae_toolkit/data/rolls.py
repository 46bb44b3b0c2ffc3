"""From events in seconds to rolls of snippets.

One rule: a snippet holds an event that covers at least half of it, and an event that covers half of no snippet takes the one that
it covers most (the earlier of two). Events in whole snippets are thereby exactly where they say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..config import MODALITIES
from ..errors import InputError
from .videoset import Notice

MOST_OUTSIDE = 0.1  # share of a list's rows that may lie outside their videos before the list is refused
CLOSE = 1e-9  # seconds are decimal numbers: 0.3 / 0.1 is 3


def make_rolls(
    dense: pd.DataFrame, filenames: Sequence[str], categories: Sequence[str], snippets: int, lengths: np.ndarray,
    snippet_seconds: float, files: Mapping[str, Path],
) -> tuple[np.ndarray, list[Notice]]:
    """Makes the rolls (video, modality, snippet, category) of these videos, bool, and notices of events that were cut or rounded.

    `dense` is the table of `Annotations`, `lengths` (video,) counts each video's snippets. Raises InputError as `_check_outside`.
    """
    events = dense[dense["filename"].isin(filenames)]
    row = events["filename"].map({name: i for i, name in enumerate(filenames)}).to_numpy(int)
    onset, offset = (events[name].to_numpy(float) for name in ("onset", "offset"))
    end = lengths[row] * snippet_seconds
    cut_onset, cut_offset = np.clip(onset, 0, end), np.clip(offset, 0, end)
    inside = cut_onset < cut_offset
    _check_outside(events.assign(end=end), inside, snippet_seconds, files)
    first, last = on_grid(cut_onset / snippet_seconds, cut_offset / snippet_seconds)
    times = np.stack([cut_onset, cut_offset]) / snippet_seconds
    rounded = inside & (np.abs(times - [first, last]) > CLOSE * (1 + times)).any(axis=0)
    grid = "seconds" if snippet_seconds == 1 else f"snippets of {number(snippet_seconds)} s"
    rolls, notices = np.zeros((len(filenames), len(MODALITIES), snippets, len(categories)), bool), []
    columns = {name: i for i, name in enumerate(categories)}
    for i, event in enumerate(events.itertuples()):
        if inside[i]:
            rolls[row[i], MODALITIES.index(event.modality), first[i] : last[i], columns[event.category]] = True
        if (cut_onset[i], cut_offset[i]) != (event.onset, event.offset):
            result = f"cut to {number(cut_onset[i])}-{number(cut_offset[i])}" if inside[i] else "ignored"
            text = f"{span_text(event)} is not within the video's {number(end[i])} s; it is {result}."
            notices.append(Notice("clipped", event.file, event.line, text))
        if rounded[i]:
            used = event._replace(onset=first[i] * snippet_seconds, offset=last[i] * snippet_seconds)
            text = f"{number(event.onset)}-{number(event.offset)} is not in whole {grid}; {span_text(used)} is used."
            notices.append(Notice("rounded", event.file, event.line, text))
    return rolls, notices


def on_grid(onset: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gives the first snippet of each event and the one behind its last, by this module's rule; times are counted in snippets."""
    first = np.ceil(onset - 0.5 - CLOSE).astype(int)
    last = np.floor(offset + 0.5 + CLOSE).astype(int)
    begun = np.floor(onset + CLOSE).astype(int)
    later = offset - (begun + 1) > begun + 1 - onset + CLOSE  # of an event too short for half a snippet: more of it in the next one
    short = first >= last
    first = np.where(short, begun + later, first)
    return first, np.where(short, first + 1, last)


def number(value: float) -> str:
    """Writes a number without needless digits: 3, 2.5."""
    return f"{value:.10g}"


def span_text(event: Any) -> str:
    """Names an event as messages do: `Dog 0-2 of video`."""
    return f"{event.category} {number(event.onset)}-{number(event.offset)} of {event.filename}"


def _check_outside(events: pd.DataFrame, inside: np.ndarray, snippet_seconds: float, files: Mapping[str, Path]) -> None:
    """Refuses a list of which more than a tenth of the rows lie outside their videos, naming the likely cause."""
    for modality in MODALITIES:
        here = (events["modality"] == modality).to_numpy()
        outside = here & ~inside
        if outside.sum() > MOST_OUTSIDE * here.sum():
            event = events[outside].iloc[0]
            where = f"{outside.sum()} of {here.sum()} rows lie outside their videos"
            first = f"the first, {span_text(event)}, not within 0-{number(event['end'])} s"
            raise InputError(f"{files[modality]}, line {event['line']}: {where}, {first}: {_cause(events[here], snippet_seconds)}?")


def _cause(events: pd.DataFrame, snippet_seconds: float) -> str:
    """Names what most likely is wrong with the times, the likeliest first."""
    factor = (events["offset"] / events["end"]).max()
    span = events.groupby("filename").agg(onset=("onset", "min"), offset=("offset", "max"), end=("end", "first"))
    causes = {
        "are they milliseconds (seconds are needed)": factor > 100,
        "do they count from another clip's start (subtract it)": ((span["offset"] - span["onset"]) <= span["end"]).all(),
        f"do snippets last another time (snippet_seconds={number(snippet_seconds * factor)} would hold all)": True,
    }
    return ", or ".join(sorted(causes, key=lambda cause: not causes[cause]))
