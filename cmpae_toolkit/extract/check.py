"""Are features like published ones? Features that were extracted a little differently cost a model its accuracy and nobody a warning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ..data.annotations import find_layout
from ..data.features import files_in, find_streams
from ..data.source import describe
from ..errors import InputError


def compare(folder: str | Path, published: str | Path) -> pd.DataFrame:
    """Cosine similarity of the features in two folders of a data set, row by row, for the videos that both have.

    A row a stream: `videos`, `rows`, and of the rows' cosines `mean`, `median` and `least` in -1..1; rows that are zero in both count
    as 1, in one as 0. Raises InputError where no stream and video is in both, or where widths or lengths differ.
    """
    mine, theirs = _folders(folder), _folders(published)
    found = {}
    for stream in (name for name in mine if name in theirs):
        ours, other = files_in(mine[stream]), files_in(theirs[stream])
        videos = sorted(ours.keys() & other.keys())
        if videos:
            cosines = [_cosine(mine[stream] / ours[video], theirs[stream] / other[video]) for video in videos]
            each = np.concatenate(cosines)
            found[stream] = {"videos": len(videos), "rows": len(each), "mean": each.mean(), "median": np.median(each), "least": each.min()}
    if not found:
        raise InputError(f"{folder} and {published} have no stream and video in common, by the names of their files below feats/.")
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("stream")


def _folders(folder: str | Path) -> Mapping[str, Path]:
    folder = Path(folder)
    return find_streams(folder, find_layout(folder, lists_needed=False).kind, describe(folder).modalities or {}).folders


def _cosine(mine: Path, theirs: Path) -> np.ndarray:
    a, b = (_rows(path) for path in (mine, theirs))
    if a.shape != b.shape:
        raise InputError(f"{mine} has the shape {a.shape}, {theirs} {b.shape}: these are features of other networks, or of other snippets.")
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    both_zero = ~(a.any(axis=1) | b.any(axis=1))
    return np.where(both_zero, 1.0, (a * b).sum(axis=1) / np.maximum(lengths, 1e-12))


def _rows(path: Path) -> np.ndarray:
    try:
        return np.atleast_2d(np.load(path, allow_pickle=False).astype(float))
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} is no readable feature file ({type(error).__name__}): extract or download it again.") from None
