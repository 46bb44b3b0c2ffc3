"""Folders of feature files: both layouts, every way in which a file can be bad, and the way back into a folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cmpae_toolkit.data import VideoSet, default_name, load, load_folder
from cmpae_toolkit.data.annotations import LLP_CATEGORIES, splits
from cmpae_toolkit.data.naming import id_candidates
from cmpae_toolkit.errors import InputError, InputWarning

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_llp = pytest.mark.skipif(not (SHARED / "llp").is_dir(), reason="the published LLP lists are not here")
needs_media = pytest.mark.skipif(not (SHARED / "real_media").is_dir(), reason="the composed real media are not here")

LLP_SHAPES = {"vggish": (10, 128), "res152": (80, 2048), "r2plus1d_18": (10, 512)}
SHAPES = {"audio": (4, 3), "frames": (8, 5)}


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array, allow_pickle=array.dtype == object)
    return path


def values(video: str, shape: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(list(video.encode())).normal(size=shape).astype(dtype)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two val videos and one of test, in the toolkit's own format."""
    root = tmp_path / "birds"
    annotations = root / "annotations"
    annotations.mkdir(parents=True)
    (root / "categories.txt").write_text("Owl\nTit\n")
    (annotations / "val.csv").write_text("filename\tevent_labels\nv1\tOwl,Tit\nv2_0_4\tTit\n")
    (annotations / "test.csv").write_text("filename\tevent_labels\nt1\tOwl\n")
    (annotations / "eval_audio.csv").write_text("filename\tonset\toffset\tevent_labels\nv1\t0\t2\tOwl\nt1\t0\t9\tOwl\n")
    (annotations / "eval_visual.csv").write_text("filename\tonset\toffset\tevent_labels\nv1\t1\t4\tTit\nv2_0_4\t1\t2\tTit\n")
    for video in ("v1", "v2", "t1"):
        for stream, shape in SHAPES.items():
            save(root / "feats" / stream / f"{video}.npy", values(video, shape))
    return root


def describe(folder: Path, **entries) -> None:
    (folder / "dataset.json").write_text(json.dumps(entries))


def same(one: VideoSet, other: VideoSet) -> bool:
    """All that a VideoSet holds but its notices, and its features exactly, type included."""
    fields = ("name", "split", "categories", "ids", "filenames", "modalities", "simulated", "snippet_seconds")
    arrays = [(one.features[name], other.features[name]) for name in one.features]
    arrays += [(getattr(one, name), getattr(other, name)) for name in ("weak_labels", "reference", "lengths", "present")]
    return (
        all(getattr(one, name) == getattr(other, name) for name in fields)
        and one.features.keys() == other.features.keys()
        and all((a is None and b is None) or (a.dtype == b.dtype and np.array_equal(a, b)) for a, b in arrays)
    )


def test_own_format_by_hand(folder):
    videos = load_folder(folder, "val")
    assert (videos.name, videos.split, videos.ids, videos.filenames) == ("birds", "val", ("v1", "v2"), ("v1", "v2_0_4"))
    assert videos.modalities == {"audio": "audio", "frames": "visual"} and videos.snippets == 4
    assert {name: (x.shape, str(x.dtype)) for name, x in videos.features.items()} == {
        "audio": ((2, 4, 3), "float32"),
        "frames": ((2, 8, 5), "float32"),
    }
    assert np.array_equal(videos.features["frames"][1], values("v2", (8, 5)))
    assert videos.weak_labels.tolist() == [[1, 1], [0, 1]]
    expected = np.zeros((2, 2, 4, 2), bool)
    expected[0, 0, :2, 0] = expected[0, 1, 1:, 1] = expected[1, 1, 1, 1] = True
    assert np.array_equal(videos.reference, expected)
    assert [notice.kind for notice in load_folder(folder, "test").notices] == ["clipped"]


def test_ids_of_listed_names():
    assert id_candidates("CSWQ_HzQ_10_20", "own") == ("CSWQ_HzQ_10_20", "CSWQ_HzQ", "CSWQ_HzQ_10")
    assert id_candidates("AP0061o0Nvk_101.8_111.8", "own")[1:] == ("AP0061o0Nvk",)
    assert id_candidates("AP0061o0Nvk_101.8_111.8", "llp")[0] == "AP0061o0Nvk"
    assert id_candidates("a-b", "own") == ("a-b",)


def test_a_feature_file_under_the_full_name_comes_first(folder):
    for stream, shape in SHAPES.items():
        save(folder / "feats" / stream / "v2_0_4.npy", values("else", shape))
    assert load_folder(folder, "val").ids == ("v1", "v2_0_4")


def test_a_stream_of_an_unknown_name_is_asked_for_never_guessed(folder):
    for stream in ("audio_clap", "beats"):
        (folder / "feats" / "frames").rename(folder / "feats" / stream)
        with pytest.raises(InputError, match=rf'feats/{stream}: is this stream audio or visual\? Write .*"{stream}".*dataset\.json'):
            load_folder(folder, "val")
        describe(folder, streams={stream: {"modality": "visual"}})
        assert load_folder(folder, "val").modalities == {"audio": "audio", stream: "visual"}
        (folder / "feats" / stream).rename(folder / "feats" / "frames")
        (folder / "dataset.json").unlink()


def test_the_published_names_are_known(folder):
    (folder / "feats" / "audio").rename(folder / "feats" / "vggish")
    for stream in ("clip", "res152", "r2plus1d_18"):
        for video in ("v1", "v2", "t1"):
            save(folder / "feats" / stream / f"{video}.npy", values(video, (4, 2)))
    expected = {"vggish": "audio"} | dict.fromkeys(("clip", "frames", "r2plus1d_18", "res152"), "visual")
    assert load_folder(folder, "val").modalities == expected


def test_streams_and_about_of_an_older_folder_are_understood(folder):
    (folder / "feats" / "frames").rename(folder / "feats" / "audio_of_eyes")
    (folder / "streams.json").write_text('{"audio_of_eyes": "visual"}')
    (folder / "about.json").write_text('{"name": "owls", "simulated": true}')
    videos = load_folder(folder, "val")
    assert videos.modalities == {"audio": "audio", "audio_of_eyes": "visual"} and (videos.name, videos.simulated) == ("owls", True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not a JSON object"), ("[1]", "not a JSON object"), ('{"streams": {"audio": "audio"}}', '"audio" or "visual"'),
        ('{"streams": {"audio": {"modality": "smell"}}}', '"audio" or "visual"'), ('{"streams": []}', '"audio" or "visual"'),
        ('{"streams": {"x": {"modality": "audio"}}}', "no stream 'x'"), ('{"snippet_seconds": "1"}', "snippet_seconds is '1'"),
        ('{"snippet_seconds": 0}', "snippet_seconds is '0': write how many"), ('{"snippet_seconds": NaN}', "snippet_seconds is 'nan'"),
        ('{"snippet_seconds": true}', "snippet_seconds is 'True'"), ('{"snippet_seconds": 1' + "0" * 400 + "}", "snippet_seconds is '100"),
        ('{"streams": {"frames": {"modality": "audio"}}}', "no stream of"),
    ],
)
def test_broken_descriptions(folder, content, said):
    (folder / "dataset.json").write_text(content)
    with pytest.raises(InputError, match=said):
        load_folder(folder, "val")


def test_names_are_found_however_they_are_written(folder):
    """Composed and decomposed accents are one name, and the suffix of a sound or film file is no part of it."""
    for stream in SHAPES:
        (folder / "feats" / stream / "v1.npy").rename(folder / "feats" / stream / "Glu\u0308hwurm.wav.npy")
    for name in ("val", "eval_audio", "eval_visual"):
        path = folder / "annotations" / f"{name}.csv"
        path.write_text(path.read_text().replace("v1\t", "Gl\u00fchwurm.mp4\t" if name == "val" else "Glu\u0308hwurm\t"))
    videos = load_folder(folder, "val")
    assert videos.ids == (*videos.filenames[:1], "v2") == ("Gl\u00fchwurm", "v2") and videos.reference[0].sum() == 5
    assert np.array_equal(videos.features["frames"][0], values("v1", (8, 5)))
    assert load_folder(folder, None).ids == ("Gl\u00fchwurm", "t1", "v2")


def test_axes_between_are_merged_and_other_types_cast(folder):
    for video in ("v1", "v2"):
        save(folder / "feats" / "frames" / f"{video}.npy", values(video, (4, 2, 5), "float64"))
        save(folder / "feats" / "audio" / f"{video}.npy", np.arange(12, dtype=np.int16).reshape(4, 3))
    videos = load_folder(folder, "val")
    assert np.array_equal(videos.features["frames"][0], values("v1", (8, 5), "float64").astype(np.float32))
    assert videos.snippets == 4 and videos.features["audio"].dtype == np.float32 and videos.features["audio"][0, 3, 2] == 11


def test_float16_stays_unless_a_file_has_more(folder):
    for video in ("v1", "v2"):
        for stream, shape in SHAPES.items():
            save(folder / "feats" / stream / f"{video}.npy", values(video, shape, "float16"))
    assert load_folder(folder, "val").features["audio"].dtype == np.float16
    save(folder / "feats" / "audio" / "v2.npy", values("v2", (4, 3)))
    mixed = load_folder(folder, "val").features
    assert (mixed["audio"].dtype, mixed["frames"].dtype) == (np.float32, np.float16)
    assert np.array_equal(mixed["audio"][0], values("v1", (4, 3), "float16"))
    assert np.array_equal(mixed["audio"][1], values("v2", (4, 3)))


def object_array() -> np.ndarray:
    return np.array([[{"a": 1}, None]], dtype=object)


NOT_A_NUMBER = np.full((4, 3), np.nan, np.float32)
BAD_FILES = {
    "empty file": (b"", "damaged or no .npy file"),
    "text": (b"not an array at all", "damaged or no .npy file|Python objects"),
    "cut header": (b"\x93NUMPY\x01\x00v\x00{'descr'", "damaged or no .npy file"),
    "objects": (object_array(), "holds Python objects, which are never unpickled"),
    "words": (np.array([["a", "b"]]), "holds <U1 instead of numbers"),
    "no snippets": (np.zeros((0, 3), np.float32), "damaged|is empty"),
    "one axis": (np.zeros(12, np.float32), r"has shape \(12,\) instead of \(snippet, width\)"),
    "other width": (np.zeros((4, 7), np.float32), r"has width 7, but .*v1\.npy has 3: use features of one network"),
    "not a number": (NOT_A_NUMBER, "NaN or infinite"),
    "infinite": (np.full((4, 3), np.inf, np.float16), "NaN or infinite"),
    "beyond float32": (np.full((4, 3), 1e300), "NaN or infinite"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_feature_files_are_named_with_their_row(folder, case):
    content, said = BAD_FILES[case]
    path = folder / "feats" / "audio" / "v2.npy"
    path.write_bytes(content) if isinstance(content, bytes) else save(path, content)
    with pytest.raises(InputError, match=said) as caught:
        load_folder(folder, "val")
    assert f"{path} (v2_0_4, line 3 of val.csv)" in str(caught.value) and "\n" not in str(caught.value)


def test_truncated_and_zipped_files(folder):
    path = folder / "feats" / "audio" / "v2.npy"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match=r"v2\.npy \(v2_0_4, line 3 of val\.csv\) is damaged"):
        load_folder(folder, "val")
    with open(path, "wb") as file:
        np.savez(file, x=np.zeros((4, 3)))
    with pytest.raises(InputError, match=r"is an \.npz archive"):
        load_folder(folder, "val")


def test_streams_that_do_not_fit_together(folder):
    save(folder / "feats" / "frames" / "v1.npy", np.zeros((9, 5)))
    with pytest.raises(InputError, match=r"v1\.npy \(v1, line 2 of val\.csv\) has 9 rows, which is no whole multiple of the 4"):
        load_folder(folder, "val")


def test_missing_features(folder):
    (folder / "feats" / "frames" / "v2.npy").unlink()
    said = r"val\.csv, line 3: 1 of 2 videos have no features, the first v2_0_4 \(.*v2\.npy\): .*missing='skip'"
    with pytest.raises(InputError, match=said):
        load_folder(folder, "val")
    with pytest.warns(InputWarning, match="1 of 2 videos have no features, the first v2_0_4"):
        videos = load_folder(folder, "val", missing="skip")
    assert videos.filenames == ("v1",) and videos.weak_labels.tolist() == [[1, 1]] and videos.reference.shape[0] == 1
    assert [notice.kind for notice in videos.notices] == ["missing_features"]
    (folder / "feats" / "frames" / "v1.npy").unlink()
    with pytest.warns(InputWarning, match="2 of 2"), pytest.raises(InputError, match="no video has a feature file in each of"):
        load_folder(folder, "val", missing="skip")
    with pytest.raises(InputError, match="missing is 'drop': use 'error', 'skip' or 'blank'"):
        load_folder(folder, "val", missing="drop")


def test_a_video_without_any_file_lists_where_it_was_looked_for(folder):
    for stream in SHAPES:
        (folder / "feats" / stream / "v2.npy").unlink()
    with pytest.raises(InputError, match=r"v2_0_4\.npy or v2\.npy"):
        load_folder(folder, "val")


def test_folders_that_are_none(tmp_path, folder):
    with pytest.raises(InputError, match="there is no such folder"):
        load_folder(tmp_path / "nowhere", "val")
    with pytest.raises(InputError, match="is a file, not a folder"):
        load_folder(folder / "categories.txt", "val")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no lists here: looked for"):
        load_folder(tmp_path / "empty", "val")
    with pytest.raises(InputError, match=r"no features: looked for feats/<stream>/<id>\.npy"):
        load_folder(tmp_path / "empty", None)
    (folder / "feats").rename(folder / "features")
    with pytest.raises(InputError, match="no features: looked for"):
        load_folder(folder, "val")


def test_rows_that_share_an_id(folder):
    (folder / "annotations" / "val.csv").write_text("filename\tevent_labels\nv2_0_4\tOwl\nv2_4_8\tTit\n")
    videos = load_folder(folder, "val")
    assert videos.ids == ("v2", "v2") and np.array_equal(*videos.features["audio"])
    assert [notice.line for notice in videos.notices if notice.kind == "shared_features"] == [2, 3]
    with pytest.raises(InputError, match="'v2' occurs twice"):
        videos.to_folder(folder.parent / "again")


def test_unlabelled_input(folder):
    (folder / "feats" / "audio" / "t1.npy").unlink()
    videos = load_folder(folder, None)
    assert videos.ids == ("t1", "v1", "v2") and videos.weak_labels is None and videos.reference is None
    assert videos.split == "unlabelled" and videos.categories == ("Owl", "Tit")
    assert [notice.kind for notice in videos.notices] == ["blank"] and "1 of 3 videos lack a modality" in videos.notices[0].text
    assert videos.present.tolist() == [[False, True], [True, True], [True, True]] and not videos.features["audio"][0].any()
    assert np.array_equal(videos.features["frames"][0], values("t1", (8, 5)))
    again = videos.to_folder(folder.parent / "again")
    assert same(load_folder(again, None, name="birds"), videos)
    whole = load_folder(folder, None, missing="skip")
    assert whole.ids == ("v1", "v2") and [notice.kind for notice in whole.notices] == ["missing_features"]


def test_unlabelled_input_in_llp_folders_without_lists(tmp_path):
    for stream, shape in LLP_SHAPES.items():
        save(tmp_path / "feats" / stream / "abcdefghijk.npy", values("a", shape))
    videos = load_folder(tmp_path, None)
    assert videos.categories == LLP_CATEGORIES and set(videos.features) == {"audio", "frames", "clip"}


def example(split: str, dtype: str = "float32", changes: dict | None = None) -> VideoSet:
    rng = np.random.default_rng(len(split))
    fields: dict = dict(
        name="made up", split=split, categories=("Dog", "Rain", "Sea"), ids=tuple(f"{split}_{i}" for i in range(5)),
        features={"audio": rng.normal(size=(5, 4, 3)).astype(dtype), "frames": rng.normal(size=(5, 12, 2)).astype(dtype)},
        modalities={"audio": "audio", "frames": "visual"}, weak_labels=(rng.random((5, 3)) > 0.5).astype(np.float32),
        reference=None if split == "train" else rng.random((5, 2, 4, 3)) > 0.6, simulated=True,
    )
    return VideoSet(**fields | (changes or {}))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_round_trip_of_all_splits_in_one_folder(tmp_path, dtype):
    sets = [example(split, dtype) for split in splits]
    for videos in [*sets, sets[1]]:  # writing a split again changes nothing
        assert videos.to_folder(tmp_path) == tmp_path
    for videos in sets:
        assert same(load_folder(tmp_path, videos.split), videos)
    rows = (tmp_path / "annotations" / "eval_audio.csv").read_text().splitlines()
    assert len(rows) == len(set(rows)) and not list(tmp_path.rglob("*.part"))


def test_a_smaller_split_written_again_leaves_no_events_behind(tmp_path):
    sets = {split: example(split) for split in splits}
    for videos in sets.values():
        videos.to_folder(tmp_path)
    sets["val"].subset([0, 2]).to_folder(tmp_path)
    for videos in (sets["val"].subset([0, 2]), sets["test"]):
        read = load_folder(tmp_path, videos.split)
        assert same(read, videos) and "unknown_video" not in [notice.kind for notice in read.notices]


def test_round_trip_of_a_read_folder(folder, tmp_path):
    videos = load_folder(folder, "val")
    videos.to_folder(tmp_path / "copy")
    assert same(load_folder(tmp_path / "copy", "val"), videos)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"categories": ("Dog", "Church bell", "Sea")}, "category name 'Church bell' cannot stand in a list"),
        ({"categories": ("Dog", "Rain,Sea", "Sea")}, "category name 'Rain,Sea'"),
        ({"categories": ("Dog", "Rain\t", "Sea")}, "category name"),
        ({"categories": ("Dog", "Ra\u200bin", "Sea")}, "category name .* has characters that cannot be seen"),
        ({"ids": ("a.wav", "b", "c", "d", "e")}, "the id of 'a.wav' cannot be told from its name"),
        ({"ids": ("../a", "b", "c", "d", "e")}, "'../a' is not a plain file name"),
        ({"filenames": ("f", "g", "h", "i", "j")}, "the id of 'f' cannot be told from its name"),
        ({"filenames": ("v_0_4",) * 5, "ids": ("v",) * 5}, "'v' occurs twice"),
        ({"weak_labels": np.full((5, 3), 0.5, np.float32)}, "weak labels other than 0 and 1"),
        ({"split": "dev", "reference": None}, "must be one of train, val, test"),
    ],
)
def test_what_no_folder_can_hold_is_refused_before_writing(tmp_path, changes, said):
    with pytest.raises(InputError, match=said):
        example("val", changes=changes).to_folder(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_another_data_set_in_the_folder_is_not_overwritten(tmp_path):
    example("val").to_folder(tmp_path)
    with pytest.raises(InputError, match=r"categories\.txt: the folder holds another data set"):
        example("test", changes={"categories": ("Cat", "Rain", "Sea")}).to_folder(tmp_path)
    assert not (tmp_path / "annotations" / "test.csv").exists()


def test_a_broken_description_of_a_written_folder(tmp_path):
    example("val").to_folder(tmp_path)
    (tmp_path / "dataset.json").write_text("[1, 2]")
    with pytest.raises(InputError, match=r"dataset\.json: not a JSON object"):
        load_folder(tmp_path, "val")


@needs_llp
def test_llp_as_published(tmp_path):
    """The real lists cut to a few videos, with features of the true shapes."""
    for name in ("AVVP_train.csv", "AVVP_val_pd.csv", "AVVP_test_pd.csv"):
        rows = (SHARED / "llp" / name).read_text().splitlines()[:4]
        (tmp_path / name).write_text("\n".join(rows) + "\n")
        for filename in (row.split("\t")[0] for row in rows[1:]):
            for stream, shape in LLP_SHAPES.items():
                save(tmp_path / "feats" / stream / f"{filename[:11]}.npy", values(filename, shape))
    kept = {path.name[:11] for path in (tmp_path / "feats" / "vggish").iterdir()}
    for name in ("AVVP_eval_audio.csv", "AVVP_eval_visual.csv"):
        header, *rows = (SHARED / "llp" / name).read_text().splitlines()
        (tmp_path / name).write_text("\n".join([header, *(row for row in rows if row[:11] in kept)]) + "\n")
    videos = load_folder(tmp_path, "test")
    assert videos.filenames == ("4YdbENYcIyE_23_33", "KSRjje7GH44_60_70", "McVcuryKUp4_160_170")
    assert videos.ids[0] == "4YdbENYcIyE" and videos.categories == LLP_CATEGORIES
    shapes = {"audio": (3, 10, 128), "frames": (3, 80, 2048), "clip": (3, 10, 512)}
    assert {name: x.shape for name, x in videos.features.items()} == shapes
    assert videos.spec.streams["frames"].per_snippet == 8
    blender, speech = LLP_CATEGORIES.index("Blender"), LLP_CATEGORIES.index("Speech")
    assert np.array_equal(videos.reference[1, 0, :, [blender, speech]], [[t >= 8 for t in range(10)], [t < 8 for t in range(10)]])
    assert load_folder(tmp_path, "train").reference is None and len(load_folder(tmp_path, "train")) == 3


def test_llp_layout_with_other_streams_beside(tmp_path):
    (tmp_path / "AVVP_train.csv").write_text("filename\tevent_labels\nabcdefghijk_0_10\tDog\n")
    for stream, shape in {**LLP_SHAPES, "clip_vit": (10, 768)}.items():
        save(tmp_path / "feats" / stream / "abcdefghijk.npy", values("a", shape))
    assert set(load_folder(tmp_path, "train").features) == {"audio", "frames", "clip"}


@needs_media
def test_real_media(tmp_path):
    lists = [f"annotations/{name}.csv" for name in ("train", "val", "test", "eval_audio", "eval_visual")]
    for part in ("categories.txt", *lists):
        (tmp_path / part).parent.mkdir(exist_ok=True)
        (tmp_path / part).write_bytes((SHARED / "real_media" / part).read_bytes())
    with np.load(SHARED / "real_media" / "features" / "val.npz", allow_pickle=False) as stored:
        for stream in ("audio", "frames", "clip"):
            for video, x in zip(stored["ids"][:7], stored[stream][:7], strict=True):
                save(tmp_path / "feats" / stream / f"{video}.npy", x)
        first = stored["audio"][0]
    with pytest.warns(InputWarning, match="293 of 300 videos have no features"):
        videos = load_folder(tmp_path, "val", missing="skip")
    assert len(videos) == 7 and videos.features["frames"].shape == (7, 20, 256) and videos.features["frames"].dtype == np.float16
    assert np.array_equal(videos.features["audio"][0], first)
    guitar = videos.categories.index("Guitar")  # first row: Guitar, audible from 1 to 8, visible from 1 to 6
    assert videos.filenames[0] == "ntcNJIlwJxe_0_10" and videos.reference[0, :, :, guitar].sum(1).tolist() == [7, 5]


def test_load_names_what_there_is(folder, monkeypatch):
    monkeypatch.setenv("CMPAE_HOME", str(folder.parent / "home"))
    with pytest.raises(InputError, match=r"'smal': use tiny, small, full \(simulated\), films \(synthetic\) or the path of a folder"):
        load("smal", "val")
    for name in ("tiny", folder):
        with pytest.raises(InputError, match="unknown split 'dev': use one of train, val, test"):
            load(name, "dev")
        with pytest.raises(InputError, match="unknown option 'size' of load"):
            load(name, "val", size=3)
    monkeypatch.delenv("CMPAE_DATA", raising=False)
    assert default_name() == "small"
    monkeypatch.setenv("CMPAE_DATA", str(folder))
    assert default_name() == str(folder) and same(load(split="val"), load_folder(folder, "val"))
    assert load(folder, "val", name="owls").name == "owls"


def test_load_simulated_data():
    tiny = load("simulated-tiny", "val", seed=3)
    assert tiny.simulated and tiny.checksum() == load("tiny", "val", seed=3).checksum() != load("tiny", "val").checksum()


def test_the_description_of_a_written_folder(tmp_path):
    example("val").to_folder(tmp_path)
    streams = {"audio": {"modality": "audio"}, "frames": {"modality": "visual"}}
    expected = {"name": "made up", "simulated": True, "snippet_seconds": 1.0, "streams": streams}
    assert json.loads((tmp_path / "dataset.json").read_text()) == expected
