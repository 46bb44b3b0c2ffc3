"""The quirks of the published features: which pictures ffmpeg chooses, sound without a filter, what is refused."""

import io
import shutil
import subprocess

import numpy as np
import pytest
from films import make_film
from PIL import Image
from test_paper import tiny_paper

from cmpae_toolkit.data import load
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.extract import as_released, decoding, extract, networks
from cmpae_toolkit.extract.as_released import chosen, decimated, snippets


def test_thirty_frames_a_second_come_early():
    """The first choices and the number of LLP's real clip of ten seconds, as they were published."""
    found = chosen(np.arange(300) * 12 / 359, 359 / 12)
    assert found[:10] == [0, 1, 3, 7, 10, 14, 18, 22, 25, 29] and len(found) == 82
    late = np.arange(2, 82) / 8 - np.array(found)[2:] * 12 / 359
    assert late.min() > 0.08 and late.max() < 0.18


def test_slow_films_repeat_their_frames():
    found = chosen([0, 0.5, 1, 1.5], 2)
    assert sorted(found) == found and set(found) == {0, 1, 2, 3} and len(found) >= 12
    assert chosen([0.0], 25) == [0] and chosen([], 25) == []


@pytest.mark.parametrize("fps", [5, 12, 25])
def test_ffmpeg_chooses_the_same(tmp_path, fps):
    """Against the program itself, where it is installed: by the pictures' brightness, which tells their number."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("the program ffmpeg is not installed")
    film = make_film(tmp_path / "a.mkv", video="ffv1", audio=None, seconds=2, fps=fps)
    command = ["ffmpeg", "-v", "error", "-i", str(film), "-r", "8", str(tmp_path / "%03d.png")]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    theirs = [int(np.asarray(Image.open(path).convert("L"))[24, 60]) for path in sorted(tmp_path.glob("*.png"))]
    ours = chosen(np.arange(2 * fps) / fps, fps)
    assert len(theirs) == len(ours)
    np.testing.assert_allclose(theirs, [40 + 10 * (number % 16) for number in ours], atol=3)


def test_sound_folds_back():
    """10 kHz becomes 6 kHz where nothing filters; what is below 8 kHz stays where it is."""
    t = np.arange(44_100) / 44_100
    for hertz, found in ((10_000, 6_000), (1_000, 1_000)):
        sound = decimated(0.5 * np.sin(2 * np.pi * hertz * t).astype(np.float32))
        assert len(sound) == 16_000 and np.abs(np.fft.rfft(sound)).argmax() == found
    assert np.abs(decimated(np.ones(4410, np.float32))).max() == pytest.approx(0.99, abs=1e-4)


def test_ten_seconds_become_eighty_pictures(tmp_path):
    film = make_film(tmp_path / "a.mkv", video="ffv1", audio="pcm_s16le", seconds=10)
    found = list(snippets(film))
    assert len(found) == 10 and {len(each.pictures) for each in found} == {8} and all(len(each.sound) == 16_000 for each in found)
    order = chosen(np.arange(100) / 10, 10)
    taken = [order[k] for k in np.round(np.linspace(0, len(order) - 1, 80)).astype(int)]
    seen = [int(p[24, 60].mean()) for each in found for p in each.pictures]
    np.testing.assert_allclose(seen, [40 + 10 * (number % 16) for number in taken], atol=4)


def test_what_has_no_published_features(tmp_path):
    for options, said in ((dict(seconds=13), "lasts 13"), (dict(seconds=10, sound_seconds=5), "5.0 s of sound"),
                          (dict(seconds=10, video=None), "no picture")):
        film = make_film(tmp_path / "a.mkv", **{"video": "ffv1", "audio": "pcm_s16le", "fps": 2} | options)
        with pytest.raises(InputError, match=said):
            list(snippets(film))
    with pytest.raises(InputError, match="one second"):
        next(snippets(film, seconds=2.0))
    with pytest.raises(InputError, match="networks='paper'"):
        extract(film, tmp_path / "out", networks="handmade", as_released=True)


def test_the_folder_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(networks.NETWORKS, networks.AS_RELEASED, lambda device: networks.Networks(
        networks.AS_RELEASED, tiny_paper().streams, 16_000, 8, tiny_paper().compute, as_released.about(), read=snippets))
    make_film(tmp_path / "a.mkv", video="ffv1", audio="pcm_s16le", seconds=10, fps=4)
    extract(tmp_path / "a.mkv", tmp_path / "out", networks="paper", as_released=True, progress=False)
    assert load(tmp_path / "out", None).features["frames"].shape == (1, 80, 2048)
    assert "nearest samples" in (tmp_path / "out" / "extraction.json").read_text()


def test_the_real_clip(shared):
    film = decoding.look_at(shared / "data" / "llp_clip" / "BjCEufrlXm4.mp4")
    pictures = as_released._shown(film, decoding.Notes())
    assert len(pictures) == 82
    assert Image.open(io.BytesIO(pictures[0][as_released.TURN :])).size == (320, 240)
