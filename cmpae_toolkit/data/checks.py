"""What training and the doctor say of a data set: notices counted, videos in two splits, features of an odd scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from .naming import source_id
from .videoset import Notice, VideoSet

SAMPLED = 256  # videos whose features are looked at
USUAL_NORM = (1e-3, 1e4)  # of a snippet's features; networks' features have norms of about 1 to 1,000
USUAL_VALUE = 1e4
MOST_CONSTANT = 0.1


def counted(notices: Iterable[Notice]) -> list[str]:
    """Makes one line for each kind of notice: how many there are, and the first of them with its file and line.

    >>> counted([Notice("empty event", "eval.csv", 4, "0 to 0 s"), Notice("empty event", "eval.csv", 9, "3 to 3 s")])
    ['empty event (2): eval.csv, line 4: 0 to 0 s']
    """
    kinds: dict[str, list[Notice]] = {}
    for notice in notices:
        kinds.setdefault(notice.kind, []).append(notice)
    return [f"{kind.replace('_', ' ')} ({len(those)}): {those[0]}" for kind, those in kinds.items()]


def leaks(*sets: VideoSet) -> dict[str, dict[str, list[str]]]:
    """Finds videos that several splits hold: id -> split -> file names. Give train, val and, where there is one, test.

    Names that begin with a YouTube id are compared by it, since two clips of one film share scene and sound; others as a whole.

    >>> from cmpae_toolkit import load
    >>> leaks(load("tiny", "val"), load("tiny", "test"))
    {}
    """
    return shared_names({videos.split: videos.filenames for videos in sets})


def shared_names(names: Mapping[str, Iterable[str]]) -> dict[str, dict[str, list[str]]]:
    """Does what `leaks` does with listed names: split -> names."""
    where: dict[str, dict[str, list[str]]] = {}
    for split, filenames in names.items():
        for filename in filenames:
            where.setdefault(source_id(filename), {}).setdefault(split, []).append(filename)
    return {video: there for video, there in where.items() if len(there) > 1}


def feature_notices(videos: VideoSet) -> list[Notice]:
    """Gives a notice for each stream whose features are mostly constant over time, or of a scale that no network takes.

    Looks at up to 256 videos spread over the set, which takes about a second for LLP from a store.

    >>> from cmpae_toolkit import load
    >>> feature_notices(load("tiny", "test"))
    []
    """
    chosen = np.unique(np.linspace(0, len(videos) - 1, min(SAMPLED, len(videos))).astype(int))
    notices = []
    for stream, x in videos.features.items():
        positions = x.shape[1] // videos.snippets
        lengths = np.full(len(videos), videos.snippets) if videos.lengths is None else videos.lengths
        arrays = [np.asarray(x[i, : lengths[i] * positions], np.float32) for i in chosen if _has(videos, i, stream)]
        notices += scale_notices(stream, arrays)
    return notices


def scale_notices(stream: str, arrays: list[np.ndarray]) -> list[Notice]:
    """Gives the notices of one stream, from arrays (position, width) of some of its videos."""
    if not arrays:
        return []
    constant = np.mean([len(x) > 1 and bool((x == x[0]).all()) for x in arrays])
    norm = np.mean([np.linalg.norm(x.astype(np.float64), axis=1).mean() for x in arrays])
    largest = max(float(np.abs(x).max()) for x in arrays)
    seen = f"of {len(arrays)} videos {constant:.0%} are constant over time, the mean norm is {norm:.3g}, the largest value {largest:.3g}"
    odd = []
    if constant > MOST_CONSTANT:
        odd.append("many do not change over time")
    if not USUAL_NORM[0] <= norm <= USUAL_NORM[1] or largest > USUAL_VALUE:
        odd.append("the scale is not that of a network's features")
    return [Notice("odd_features", f"feats/{stream}", None, f"{' and '.join(odd)}: {seen}.")] if odd else []


def _has(videos: VideoSet, position: int, stream: str) -> bool:
    modality = ("audio", "visual").index(videos.modalities[stream])
    return videos.present is None or bool(videos.present[position, modality])
