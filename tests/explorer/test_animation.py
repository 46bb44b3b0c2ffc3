"""A film above its evidence as a picture that moves: the one that is in the README, and a tiny one that is made here."""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from films import make_film
from PIL import Image
from test_explorer import make_run, videos  # noqa: F401

from cmpae_toolkit.errors import InputError
from cmpae_toolkit.explorer import export_animation

SHOWN = Path(__file__).parents[2] / "figures" / "film.gif"


def pictures(path):
    with Image.open(io.BytesIO(path.read_bytes())) as moving:
        for number in range(moving.n_frames):
            moving.seek(number)
            yield moving.info["duration"], np.asarray(moving.convert("RGB"))


def test_the_film_plays_and_the_playhead_runs(videos, tmp_path):  # noqa: F811
    pytest.importorskip("av", reason="PyAV is not installed: pip install av")
    make_film(tmp_path / f"{videos.ids[0]}.mp4", seconds=1)
    run, one = make_run(videos, "paper"), (videos, tmp_path / "moving.gif", 0)
    made = [[*pictures(export_animation(run, *one, media=tmp_path, pictures=1))] for _ in range(2)]
    durations, shown = zip(*made[0], strict=True)
    assert set(durations) == {1000} and len(shown) == round(videos.snippets * videos.snippet_seconds)
    for first, again in zip(shown, [picture for _, picture in made[1]], strict=True):
        np.testing.assert_array_equal(first, again)
    below = shown[0].shape[0] // 2  # the curves are in the lower half: a dark line moves through them to the right
    moved = [np.flatnonzero((a[below:] != b[below:]).any((0, 2))) for a, b in itertools.pairwise(shown)]
    assert all(a.min() < b.min() and a.max() < b.max() for a, b in itertools.pairwise(moved))
    with pytest.raises(InputError, match="no film of"):
        export_animation(run, videos, tmp_path / "other.gif", 1, media=tmp_path)


def test_the_shown_one_moves_and_is_small():
    assert SHOWN.stat().st_size <= 2_000_000
    shown = [picture for _, picture in pictures(SHOWN)]
    assert len(shown) > 1 and 700 <= shown[0].shape[1] <= 1000
    assert all((a != b).any() for a, b in itertools.pairwise(shown))
