"""The film of a video with its evidence as a picture that moves, for a page without scripts, such as a README."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .._files import write_atomically
from ..checkpoint import Run
from ..data.videoset import VideoSet
from ..decode import decode
from ..errors import InputError
from ..extract.decoding import stills
from ..inference import predict
from ..method import Evidence
from ..plots.animation import film_animation
from .state import duration, explore, media_of, name, near_quantile, video_f

PICTURES = 5  # a second
QUANTILE = 0.75  # of the videos' F


def export_animation(
    run: Run, video_set: VideoSet, path: str | Path, index: int | None = None, *, media: str | Path, pictures: int = PICTURES
) -> Path:
    """Writes a GIF in which a video's film plays above its evidence, `pictures` a second.

    By default it shows the video whose F is nearest to the 75 % quantile of the set's; of those equally near, the one whose events begin
    and end most often. `media`: the folder of the films (see `find_media`). Raises InputError where there is no such video, or it has
    no film.

    >>> from cmpae_toolkit import checkpoint, load
    >>> export_animation(checkpoint.shipped_run(), load("tiny", "test").subset([0]), "moving.gif", 0, media="no_such_folder")
    Traceback (most recent call last):
    ...
    cmpae_toolkit.errors.InputError: ...
    """
    evidence = predict(run.model, video_set)
    index = _good(run, video_set, evidence) if index is None else index
    state = explore(run, video_set, index, evidence=evidence, log=True)
    found, length = media_of(video_set, index, media), duration(video_set, index) * video_set.snippet_seconds
    if found.path is None:
        raise InputError(f"{media} holds no film of {video_set.ids[index]}.")
    shown = stills(found.path, round(pictures * length), (found.start, found.start + length))
    moving = film_animation(state, shown, f"{video_set.title}: {name(video_set, index)}")
    return write_atomically(Path(path), lambda file: file.write(moving))


def _good(run: Run, video_set: VideoSet, evidence: Evidence) -> int:
    if video_set.reference is None:
        return 0
    reference = np.asarray(video_set.reference, bool)
    return int(near_quantile(video_f(decode(evidence, run.thresholds), reference), reference, QUANTILE).argmax())


if __name__ == "__main__":  # the README's: python -m cmpae_toolkit.explorer.animation figures/film.gif
    import sys

    from .. import data
    from ..checkpoint import films_run
    from ..films import SHOWCASE

    print(export_animation(films_run(), data.load(SHOWCASE, "test"), sys.argv[1], media=SHOWCASE / "videos"))
