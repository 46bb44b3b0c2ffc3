"""A folder with every kind of broken and odd file, and what becomes of each: read, read with a notice, or named and left out."""

import json
import os

import numpy as np
import pytest
from films import make_film
from PIL import Image

from cmpae_toolkit import data
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.extract import extract

# name: how it is made, and the notice that it gets (None: none)
ODD = {
    "plain.mp4": ({}, None),
    "h264.mp4": ({"video": "libx264"}, None),
    "matroska.mkv": ({}, None),
    "quicktime.mov": ({}, None),
    "old.avi": ({"audio": "mp2"}, None),
    "web.webm": ({"video": "libvpx", "audio": "libopus", "rate": 48000}, None),
    "flash.flv": ({"video": "flv", "audio": "libmp3lame", "rate": 44100}, None),
    "broadcast.ts": ({"video": "mpeg2video", "audio": "mp2", "fps": 25}, None),
    "disc.mpg": ({"video": "mpeg2video", "audio": "mp2", "fps": 25}, None),
    "pictures_as_jpeg.avi": ({"video": "mjpeg", "audio": "pcm_s16le"}, None),
    "lossless.mkv": ({"video": "ffv1", "audio": "flac"}, None),
    "animation.gif": ({"video": "gif", "audio": None}, "no sound"),
    "silent.mp4": ({"audio": None}, "no sound"),
    "song.mp3": ({"video": None, "audio": "libmp3lame"}, "no pictures"),
    "sound.wav": ({"video": None, "audio": "pcm_s16le"}, "no pictures"),
    "sound.flac": ({"video": None, "audio": "flac"}, "no pictures"),
    "sound.opus": ({"video": None, "audio": "libopus", "rate": 48000}, "no pictures"),
    "sound.m4a": ({"video": None, "format": "mp4"}, "no pictures"),
    "only_sound.mp4": ({"video": None}, "no pictures"),
    "telephone.wav": ({"video": None, "audio": "pcm_u8", "rate": 8000}, "no pictures"),
    "studio.wav": ({"video": None, "audio": "pcm_f32le", "rate": 96000}, "no pictures"),
    "odd_rate.wav": ({"video": None, "audio": "pcm_s16le", "rate": 11025}, "no pictures"),
    "surround.mka": ({"video": None, "audio": "flac", "layout": "5.1"}, "no pictures"),
    "stereo.mp4": ({"layout": "stereo", "rate": 44100}, None),
    "late_sound.mkv": ({"late_sound": 0.4}, None),
    "late_pictures.mkv": ({"late_pictures": 0.4}, None),
    "short_sound.mp4": ({"seconds": 2.0, "sound_seconds": 0.7}, "sound ends at 1 of 2 s"),
    "short_pictures.mp4": ({"seconds": 0.5, "sound_seconds": 2.0}, "pictures end at 0.5"),
    "gap_in_sound.mkv": ({"seconds": 2.0, "gap": (0.6, 1.2)}, "gaps in the sound"),
    "variable_rate.mkv": ({"times": [0, 0.1, 0.7, 0.75, 0.9]}, None),
    "one_frame.mp4": ({"seconds": 0.1}, None),
    "still.mkv": ({"times": [0.0]}, "pictures end"),
    "leaping_stamps.mkv": ({"times": [0, 0.1, 5000]}, "stamps leap"),
    "tiny_picture.mkv": ({"size": (2, 2), "video": "ffv1"}, None),
    "wide_picture.mkv": ({"size": (512, 4), "video": "ffv1"}, None),
    "slow.mp4": ({"seconds": 2.0, "fps": 1}, None),
    "a film, with: spaces & #signs.mp4": ({}, None),
    "film.in.dots.mp4.mkv": ({}, None),
    "LOUD.MP4": ({}, None),
    "фильм.mp4": ({}, None),
}
BROKEN = {  # name: what is in the file, and what is said of it
    "empty.mp4": (lambda whole: b"", "the file is empty"),
    "text.mp4": (lambda whole: b"This is no film.\n" * 40, "cannot be read"),
    "noise.mkv": (lambda whole: np.random.default_rng(0).bytes(20000), "cannot be read"),
    "page.webm": (lambda whole: b"<!doctype html><title>404</title>" * 9, "cannot be read"),
    "no_index.mp4": (lambda whole: whole[: len(whole) // 2], "cannot be read"),
    "only_head.mp4": (lambda whole: whole[:30], "cannot be read"),
    "zeros.avi": (lambda whole: bytes(5000), "cannot be read"),
    "half_a_header.wav": (lambda whole: b"RIFF\x10\0\0\0WAVEfmt ", "read"),
}


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """The folder, and the report of extracting it."""
    folder = tmp_path_factory.mktemp("odd")
    for name, (options, _) in ODD.items():
        make_film(folder / name, **options)
    whole = (folder / "plain.mp4").read_bytes()
    for name, (content, _) in BROKEN.items():
        (folder / name).write_bytes(content(whole))
    mkv = (folder / "matroska.mkv").read_bytes()
    (folder / "cut.mkv").write_bytes(mkv[: len(mkv) * 2 // 3])
    film = bytearray((folder / "h264.mp4").read_bytes())
    film[len(film) // 3 : len(film) // 3 + 60] = bytes(range(60))
    (folder / "damaged.mp4").write_bytes(film)
    (folder / "wrong_name.mp3").write_bytes(whole)
    (folder / "link.mp4").symlink_to(folder / "gone.mp4")
    os.mkfifo(folder / "pipe.mp4")
    (folder / "folder.mp4").mkdir()
    (folder / "folder.mp4" / "inside.mp4").write_bytes(whole)
    (folder / "notes.txt").write_text("no film")
    Image.new("RGB", (8, 8)).save(folder / "cover.png")
    (folder / ".hidden.mp4").write_bytes(whole)
    out = tmp_path_factory.mktemp("out") / "set"
    return folder, out, extract(folder, out, networks="handmade", snippets=4, snippet_seconds=0.5, progress=False)


def by_file(report):
    return {os.path.basename(film["path"]): film for film in report.films}


def test_every_odd_file_is_read(odd):
    films = by_file(odd[2])
    assert len(ODD) + len(BROKEN) >= 40
    for name, (_, notice) in ODD.items():
        film = films[name]
        assert film["problem"] is None and film["clips"], (name, film)
        assert (film["notices"] == []) if notice is None else any(notice in each for each in film["notices"]), (name, film["notices"])


def test_every_broken_file_is_named_and_left_out(odd):
    _, _, report = odd
    films = by_file(report)
    for name, (_, said) in BROKEN.items():
        assert said in films[name]["problem"] and not films[name]["clips"], (name, films[name])
    for name in ("link.mp4", "pipe.mp4"):
        assert "there is no such file" in films[name]["problem"]
    assert len(report.failed) == len(BROKEN) + 2
    assert films["cut.mkv"]["problem"] is None and films["damaged.mp4"]["problem"] is None
    assert films["wrong_name.mp3"]["clips"] and films["inside.mp4"]["id"] == "folder.mp4__inside"
    assert not {"notes.txt", "cover.png", ".hidden.mp4", "folder.mp4"} & set(films)
    assert report.notices["no pictures"] == sum(notice == "no pictures" for _, notice in ODD.values())


def test_the_folder_is_a_data_set(odd):
    _, out, report = odd
    videos = data.load(out, None)
    assert len(videos) == report.videos and videos.snippet_seconds == 0.5 and videos.snippets == 4
    where = {name: i for i, name in enumerate(videos.ids)}
    assert videos.present[where["silent"]].tolist() == [False, True]
    assert videos.present[where["song"]].tolist() == [True, False]
    told = json.loads((out / "extraction.json").read_text())
    assert told["networks"]["name"] == "handmade" and told["versions"]["av"] and len(told["films"]) == len(report.films)


def test_a_folder_of_broken_files_only(odd, tmp_path):
    with pytest.raises(InputError, match="none of the 1 files could be read"):
        extract(odd[0] / "empty.mp4", tmp_path / "a", networks="handmade", progress=False)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="no film and no sound"):
        extract(tmp_path / "nothing", tmp_path / "b", networks="handmade", progress=False)
    with pytest.raises(InputError, match="there is no file"):
        extract(tmp_path / "gone", tmp_path / "c", networks="handmade", progress=False)
