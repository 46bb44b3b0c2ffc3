"""Videos of different lengths, snippets of other than a second, and videos that lack a modality: read, written, packed, told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cmpae_toolkit.data import VideoSet, doctor, load, load_folder, open_store, pack
from cmpae_toolkit.errors import InputError, InputWarning

LENGTHS = {"film": 37, "clip": 10, "word": 1}  # snippets


def make_folder(root: Path, snippet_seconds: float | None = 0.5, extra: str = "") -> Path:
    """Three val videos: audio one row a snippet, frames two."""
    (root / "annotations").mkdir(parents=True)
    (root / "categories.txt").write_text("Owl\nTit\n")
    (root / "annotations" / "val.csv").write_text("filename\tevent_labels\nfilm\tOwl\nclip\tOwl,Tit\nword\tTit\n" + extra)
    seconds = snippet_seconds or 1.0
    audio = [("film", 30 * seconds, 37 * seconds, "Owl"), ("clip", 2 * seconds, 4 * seconds, "Tit"), ("word", 0, seconds, "Tit")]
    for modality, rows in (("audio", audio), ("visual", [("clip", 0, 9 * seconds, "Owl")])):
        lines = ["filename\tonset\toffset\tevent_labels", *("\t".join(map(str, row)) for row in rows)]
        (root / "annotations" / f"eval_{modality}.csv").write_text("\n".join(lines) + "\n")
    for number, (video, length) in enumerate(LENGTHS.items()):
        rng = np.random.default_rng(number)
        for stream, shape in (("audio", (length, 3)), ("frames", (2 * length, 5))):
            (root / "feats" / stream).mkdir(parents=True, exist_ok=True)
            np.save(root / "feats" / stream / f"{video}.npy", rng.normal(size=shape).astype(np.float16))
    if snippet_seconds:
        (root / "dataset.json").write_text(json.dumps({"snippet_seconds": snippet_seconds}))
    return root


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CMPAE_HOME", str(tmp_path / "home"))
    return make_folder(tmp_path / "films")


def equal(one: VideoSet, other: VideoSet) -> bool:
    arrays = [(one.features[stream], other.features[stream]) for stream in one.features]
    arrays += [(getattr(one, name), getattr(other, name)) for name in ("weak_labels", "reference", "lengths", "present")]
    same = all((a is None and b is None) or np.array_equal(a, b) for a, b in arrays)
    return same and one.ids == other.ids and one.snippet_seconds == other.snippet_seconds and one.checksum() == other.checksum()


def test_a_film_beside_a_clip(folder):
    videos = load_folder(folder, "val")
    assert videos.lengths.tolist() == list(LENGTHS.values()) and videos.snippets == 37 and videos.snippet_seconds == 0.5
    assert videos.features["audio"].shape == (3, 37, 3) and videos.features["frames"].shape == (3, 74, 5)
    assert videos.spec.streams["frames"].per_snippet == 2 and videos.spec.snippet_seconds == 0.5
    assert np.array_equal(videos.features["frames"][1, :20], np.load(folder / "feats" / "frames" / "clip.npy"))
    assert not videos.features["frames"][1, 20:].any() and not videos.features["audio"][2, 1:].any()
    expected = np.zeros((3, 2, 37, 2), bool)
    expected[0, 0, 30:37, 0] = expected[1, 0, 2:4, 1] = expected[2, 0, 0, 1] = expected[1, 1, :9, 0] = True
    assert np.array_equal(videos.reference, expected) and not (videos.reference & ~videos.valid[..., None]).any()
    assert videos.valid.sum(axis=2).tolist() == [[n, n] for n in LENGTHS.values()]


def test_events_beyond_a_short_video_are_cut_at_its_own_end(folder):
    path = folder / "annotations" / "eval_visual.csv"
    path.write_text(path.read_text() + "clip\t3\t7\tTit\n")
    videos = load_folder(folder, "val")
    assert np.flatnonzero(videos.reference[1, 1, :, 1]).tolist() == [6, 7, 8, 9]
    assert "Tit 3-7 of clip is not within the video's 5 s; it is cut to 3-5." in [notice.text for notice in videos.notices]


def test_round_trips(folder, tmp_path):
    videos = load_folder(folder, "val")
    again = load_folder(videos.to_folder(tmp_path / "again"), "val")
    assert equal(videos, again) and json.loads((tmp_path / "again" / "dataset.json").read_text())["snippet_seconds"] == 0.5
    packed = open_store(pack(folder, "val", progress=False))
    assert equal(videos, packed) and isinstance(load(folder, "val").features["audio"], np.memmap)
    chosen = videos.subset([2, 1])
    assert chosen.lengths.tolist() == [1, 10] and chosen.snippets == 37
    short = load_folder(chosen.to_folder(tmp_path / "short"), "val")
    assert short.lengths.tolist() == [1, 10] and short.snippets == 10
    assert np.array_equal(short.reference, chosen.reference[:, :, :10])


def test_equal_lengths_stay_none(folder):
    for stream in ("audio", "frames"):
        for video in ("film", "word"):
            np.save(folder / "feats" / stream / f"{video}.npy", np.load(folder / "feats" / stream / "clip.npy"))
    (folder / "annotations" / "eval_audio.csv").write_text("filename\tonset\toffset\tevent_labels\nfilm\t0\t5\tOwl\n")
    videos = load_folder(folder, "val")
    assert videos.lengths is None and videos.valid is None and videos.snippets == 10


@pytest.mark.parametrize(
    ("stream", "rows", "said"),
    [("audio", 9, "lasts 10 snippets, but .*audio/clip.npy 9: extract the same"), ("frames", 19, "has 19 rows, no whole multiple of")],
)
def test_streams_of_one_video_must_be_equally_long(folder, stream, rows, said):
    path = folder / "feats" / stream / "clip.npy"
    np.save(path, np.load(path)[:rows])
    with pytest.raises(InputError, match=rf"clip\.npy \(clip, line 3 of val\.csv\) {said}"):
        load_folder(folder, "val")


def test_the_length_of_a_snippet_as_an_option(tmp_path):
    folder = make_folder(tmp_path / "a", None)
    assert load_folder(folder, "val").snippet_seconds == 1.0
    with pytest.raises(InputError, match=r"do snippets last another time \(snippet_seconds=1"):
        load_folder(folder, "val", snippet_seconds=0.25)
    half = load(make_folder(tmp_path / "b", 0.5), "val", snippet_seconds=1)
    assert half.snippet_seconds == 1.0 and np.flatnonzero(half.reference[0, 0, :, 0]).tolist() == [15, 16, 17, 18]
    with pytest.raises(InputError, match="snippet_seconds is '-1': write how many seconds"):
        load(folder, "val", snippet_seconds=-1)


def test_another_length_of_a_snippet_is_another_store_content(folder):
    store = pack(folder, "val", progress=False)
    (folder / "dataset.json").write_text('{"snippet_seconds": 0.6}')
    assert not isinstance(load(folder, "val").features["audio"], np.memmap)
    assert open_store(pack(folder, "val", progress=False)).snippet_seconds == 0.6 and open_store(store).snippet_seconds == 0.6
    assert pack(folder, "val", progress=False, snippet_seconds=0.5) == store and open_store(store).snippet_seconds == 0.5


def test_lists_in_milliseconds_are_not_usable(folder):
    path = folder / "annotations" / "eval_audio.csv"
    path.write_text("filename\tonset\toffset\tevent_labels\nclip\t2000\t4000\tTit\nfilm\t1000\t9000\tOwl\n")
    said = r"eval_audio\.csv, line 2: 2 of 2 rows lie outside their videos, the first, Tit 2000-4000 of clip, .*are they milliseconds"
    with pytest.raises(InputError, match=said):
        load_folder(folder, "val")
    report = doctor.examine(folder)["splits"]["val"]
    assert not report["usable"] and "are they milliseconds" in report["problem"]


def test_the_doctor_tells_lengths_and_asks_how_long_a_snippet_lasts(folder, tmp_path):
    val = doctor.examine(folder)["splits"]["val"]
    assert val["snippet_seconds"] == 0.5 and val["snippets"] == [1, 37] and val["modalities"] == {"audio": "audio", "frames": "visual"}
    assert not any("snippets last 1 s" in notice for notice in val["notices"])
    half = make_folder(tmp_path / "half", 0.5)
    (half / "dataset.json").unlink()
    asked = [notice for notice in doctor.examine(half)["splits"]["val"]["notices"] if "do snippets last 1 s?" in notice]
    assert len(asked) == 1 and "snippet_seconds=1" in asked[0]
    assert not any("snippets last" in n for n in doctor.examine(half, snippet_seconds=1.0)["splits"]["val"]["notices"])


def test_a_film_without_sound_stays_when_asked_for(folder, tmp_path):
    (folder / "feats" / "audio" / "clip.npy").unlink()
    with pytest.raises(InputError, match=r"1 of 3 videos have no features.*missing='skip', or .* missing='blank'"):
        load_folder(folder, "val")
    videos = load_folder(folder, "val", missing="blank")
    assert videos.ids == ("film", "clip", "word") and videos.present.tolist() == [[True, True], [False, True], [True, True]]
    assert not videos.features["audio"][1].any() and videos.features["frames"][1].any() and videos.lengths.tolist() == [37, 10, 1]
    assert not videos.valid[1, 0].any() and videos.valid[1, 1].sum() == 10
    assert [n.kind for n in videos.notices if n.kind == "blank"] == ["blank"]
    assert videos.subset([1]).present.tolist() == [[False, True]]
    again = load_folder(videos.to_folder(tmp_path / "again"), "val", missing="blank")
    assert equal(videos, again) and not (tmp_path / "again" / "feats" / "audio" / "clip.npy").exists()
    assert equal(videos, open_store(pack(folder, "val", missing="blank", progress=False)))
    with pytest.warns(InputWarning, match="1 of 3 videos have no features"):
        skipped = open_store(pack(folder, "val", missing="skip", progress=False))
    assert skipped.ids == ("film", "word") and skipped.present is None  # beside the other store, not in its place
    report = doctor.examine(folder, missing="blank")["splits"]["val"]
    assert report["usable"] and report["complete"] == 3 and not doctor.examine(folder)["splits"]["val"]["usable"]


def test_a_video_without_any_modality_is_left_out_even_then(folder):
    for stream in ("audio", "frames"):
        (folder / "feats" / stream / "clip.npy").unlink()
    (folder / "feats" / "frames" / "word.npy").unlink()
    with pytest.warns(InputWarning, match="1 of 3 videos have no features"):
        videos = load_folder(folder, "val", missing="blank")
    assert videos.ids == ("film", "word") and videos.present.tolist() == [[True, True], [True, False]]


def test_all_videos_without_sound(folder):
    for path in (folder / "feats" / "audio").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="no file of the stream 'audio' is there, of 3 videos"):
        load_folder(folder, "val", missing="blank")
