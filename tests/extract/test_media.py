"""Media beside the data: frames by hand, sounds by hand, and files that cannot be read."""

import sys

import numpy as np
import pytest
from films import make_film
from PIL import Image
from scipy.io import wavfile

from cmpae_toolkit.errors import InputError
from cmpae_toolkit.extract.media import find_media


def pictures(folder, colors):
    folder.mkdir()
    for i, color in enumerate(colors):
        Image.new("RGB", (192, 108), (color, 0, 0)).save(folder / f"{i:03}.png")


def test_a_frame_from_the_middle_of_each_snippet(tmp_path):
    pictures(tmp_path / "a", range(0, 80, 10))  # 8 pictures for 4 snippets: middles 1, 3, 5, 7
    found = find_media(tmp_path, ("a", "a_0_10"), 4)
    assert [int(f[0, 0, 0]) for f in found.frames] == [10, 30, 50, 70]
    assert found.frames[0].shape == (54, 96, 3) and found.note == ""
    fewer = find_media(tmp_path, ("a",), 16)
    assert [int(f[0, 0, 0]) for f in fewer.frames] == [10 * (i // 2) for i in range(16)]


@pytest.mark.parametrize("kind", [np.int16, np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_outline_of_a_sound(tmp_path, kind, channels):
    x = np.zeros(400)
    x[:200], x[100] = 0.25, -0.5
    stored = {np.int16: x * 32000, np.uint8: 128 + x * 100, np.float32: x}[kind].astype(kind)
    wavfile.write(tmp_path / "a.wav", 40, np.stack([stored] * channels, 1) if channels == 2 else stored)
    wave = find_media(tmp_path, ("a",), 10).waveform
    assert wave.shape == (200, 2)
    np.testing.assert_allclose(wave[0], [0.5, 0.5], atol=0.01)  # 0.25 where the loudest is 0.5
    np.testing.assert_allclose(wave[50, 0], -1, atol=0.01)
    np.testing.assert_allclose(wave[150], 0, atol=0.01)


def test_the_outline_of_a_films_sound(tmp_path):
    pytest.importorskip("av", reason="PyAV is not installed: pip install av")
    make_film(tmp_path / "a.mp4", seconds=2)
    wave = find_media(tmp_path, ("a",), 2).waveform
    assert wave.shape == (200, 2) and np.abs(wave).max() == pytest.approx(1) and (wave[:, 1] - wave[:, 0] > 0.2).mean() > 0.9


@pytest.mark.parametrize("rate", [8000, 44100])
def test_the_spectrogram_of_a_sound_is_as_long_as_the_video(tmp_path, rate):
    time = np.arange(3 * rate) / rate
    x = 0.5 * np.sin(2 * np.pi * np.where(time < 1, 500, 2000) * time) * (time < 2)
    wavfile.write(tmp_path / "a.wav", rate, (32767 * x).astype(np.int16))
    heard = find_media(tmp_path, ("a",), 8, seconds=0.5).spectrogram  # 4 s, of which the sound has 3
    assert heard.shape == (48, 80) and heard.min() == 0 and heard.max() == 1
    low, high = heard[:, :18].mean(1).argmax(), heard[:, 22:38].mean(1).argmax()
    edges = 700 * np.expm1(np.linspace(np.log1p(60 / 700), np.log1p(8000 / 700), 50))  # Hz
    assert edges[low] < 500 < edges[low + 2] and edges[high] < 2000 < edges[high + 2]
    assert not heard[:, 42:].any()
    wavfile.write(tmp_path / "b.wav", rate, np.zeros(rate, np.int16))
    assert not find_media(tmp_path, ("b",), 1).spectrogram.any()


def test_blank_where_there_is_nothing(tmp_path):
    for folder in (None, tmp_path):
        found = find_media(folder, ("a",), 3)
        assert found.frames == (None,) * 3 and found.waveform is None and found.note == "no media files at hand"
    with pytest.raises(InputError, match="no folder of media"):
        find_media(tmp_path / "none", ("a",), 3)


def test_broken_files_are_named_and_leave_blank_tiles(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.jpg").write_bytes(b"no picture")
    (tmp_path / "a.wav").write_bytes(b"no sound")
    found = find_media(tmp_path, ("a",), 3)
    assert found.frames == (None,) * 3 and found.waveform is None and "a: " in found.note


def test_a_film_needs_a_reader(tmp_path, monkeypatch):
    (tmp_path / "a.mp4").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "av", None)  # what Python does where it is not installed
    assert "pip install av" in find_media(tmp_path, ("a",), 3).note


def colours(found):
    """Which of red, green and blue is strongest in each tile."""
    return [int(tile.reshape(-1, 3).mean(0).argmax()) for tile in found.frames]


def test_a_clip_is_looked_for_in_its_film(tmp_path):
    """The second k of this film has the colour k % 3; its tones rise, so that a clip's outline is no silence."""
    pytest.importorskip("av", reason="PyAV is not installed: pip install av")
    make_film(tmp_path / "a.mp4", seconds=6)
    found = find_media(tmp_path, ("a_2_4",), 2)
    assert colours(found) == [2, 0] and found.start == 2 and found.path == tmp_path / "a.mp4"
    whole = find_media(tmp_path, ("a",), 6)
    assert colours(whole) == [0, 1, 2, 0, 1, 2] and whole.start == 0
    (tmp_path / "a_2_4.mp4").write_bytes((tmp_path / "a.mp4").read_bytes())
    assert find_media(tmp_path, ("a_2_4",), 2).start == 0  # a file of its own comes first
