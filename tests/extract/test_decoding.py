"""The reader: frames by their stamps, sound in its place, rotation, memory."""

import numpy as np
import pytest
from films import make_film
from odd_files import shown_by

from cmpae_toolkit.errors import InputError
from cmpae_toolkit.extract.decoding import Notes, look_at, snippets, stills


def numbers(read):
    """The numbers of the frames that a lossless film shows, from their brightness."""
    return [round((float(p[:, -1].mean()) - 40) / 10) for each in read for p in each.pictures]


def pitch(samples, rate=16000):
    return np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples)


def test_frames_by_their_stamps(tmp_path):
    stamps = [0.0, 0.1, 0.2, 0.65, 0.7, 1.3, 1.4, 1.95]
    film = make_film(tmp_path / "a.mkv", video="ffv1", audio="flac", times=stamps, sound_seconds=2.0)
    asked = (np.arange(8) + 0.5) / 4
    assert numbers(snippets(film))[:8] == [int(np.searchsorted(stamps, t, side="right")) - 1 for t in asked]


def test_late_tracks_keep_their_time(tmp_path):
    film = make_film(tmp_path / "a.mkv", video="ffv1", audio="flac", seconds=2, late_sound=0.5, sound_seconds=1.5)
    first, second, *_ = snippets(film)
    assert np.abs(first.sound[:7900]).max() == 0 and np.abs(first.sound[8100:]).max() > 0.4
    assert pitch(first.sound[8100:]) == pytest.approx(500, abs=5) and pitch(second.sound[8100:]) == pytest.approx(1000, abs=5)
    film = make_film(tmp_path / "b.mkv", video="ffv1", audio="flac", seconds=1, late_pictures=0.5, sound_seconds=1.5)
    assert numbers(snippets(film))[:4] == [0, 0, 1, 3]  # the first picture stands for what comes before it


@pytest.mark.parametrize("rate, layout", [(8000, "mono"), (44100, "stereo"), (48000, "5.1"), (11025, "mono")])
def test_every_second_has_its_own_pitch(tmp_path, rate, layout):
    film = make_film(tmp_path / "a.mka", video=None, audio="flac", rate=rate, layout=layout, seconds=3)
    read = list(snippets(film, rate=16000))
    assert len(read) == 3 and all(each.sound.shape == (16000,) and each.pictures == () for each in read)
    assert [pitch(each.sound) for each in read] == pytest.approx([500, 1000, 1500], abs=3)


def test_gaps_are_silent_and_counted(tmp_path):
    film, notes = make_film(tmp_path / "a.mkv", video="ffv1", audio="pcm_s16le", seconds=2, gap=(0.6, 1.2)), Notes()
    sound = np.concatenate([each.sound for each in snippets(film, notes=notes)])
    assert np.abs(sound[11000:18000]).max() < 0.05 < np.abs(sound[21000:30000]).max()
    assert any("gap" in text for text in notes.texts())


def test_a_film_is_seen_upright(tmp_path):
    """With a bright edge on its left, the film is turned and mirrored by each of the matrices that a camera writes."""
    whole = make_film(tmp_path / "a.mp4", audio=None).read_bytes()
    edges = {"left": np.s_[:, 0], "right": np.s_[:, -1], "top": np.s_[0], "bottom": np.s_[-1]}
    for matrix, bright in {
        (1, 0, 0, 1): "left", (0, 1, -1, 0): "top", (-1, 0, 0, -1): "right", (0, -1, 1, 0): "bottom",
        (-1, 0, 0, 1): "right", (1, 0, 0, -1): "left", (0, 1, 1, 0): "top",
    }.items():
        (tmp_path / "b.mp4").write_bytes(shown_by(whole, matrix))
        shown = stills(tmp_path / "b.mp4", 1)[0]
        assert shown.shape == ((256, 341, 3) if matrix[0] else (341, 256, 3))
        assert [name for name, edge in edges.items() if shown[edge].min() > 200] == [bright], matrix


def test_the_llp_clip(shared):
    film = shared / "data" / "llp_clip" / "BjCEufrlXm4.mp4"
    if not film.is_file():
        pytest.skip("the real clip is not beside this checkout")
    about, notes = look_at(film), Notes()
    read = list(snippets(film, notes=notes))
    assert about.rate == 44100 and about.size == (320, 240) and about.seconds == pytest.approx(10.028, abs=0.01)
    assert [each.share for each in read[:10]] == [1.0] * 10 and read[10].share < 0.1 and notes.texts() == []
    assert all(each.pictures[0].shape == (256, 341, 3) for each in read)


def test_what_is_no_film(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no film")
    for path, said in ((tmp_path, "no such file"), (tmp_path / "b.mp4", "no such file"), (tmp_path / "a.mp4", "cannot be read")):
        with pytest.raises(InputError, match=said):
            look_at(path)


def test_memory_does_not_grow(tmp_path):
    """What is held while reading a film of 40 s whose sound stands behind all its pictures."""
    import tracemalloc

    film = make_film(tmp_path / "a.mkv", video="mpeg4", audio="pcm_s16le", seconds=40, fps=5)
    peaks = []
    for take in (5, 40):
        tracemalloc.start()
        for count, _ in enumerate(snippets(film), 1):
            if count == take:
                break
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
