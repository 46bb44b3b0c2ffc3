"""AVE as published: lists, labels, features in .h5 files, packing, and every way in which such a file can be wrong."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from ave_folder import AUDIO, ORDERS, ROWS, VISUAL, features, put, write_ave, write_background

from cmpae_toolkit import data, metrics
from cmpae_toolkit.data import AVE_CATEGORIES, arrays, ave, ave_labels, ave_truth, h5, load, load_ave, open_store, pack, read_ave, splits
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.studies.rows import paper_table


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CMPAE_HOME", str(tmp_path / "home"))
    return write_ave(tmp_path / "sounds")


@pytest.fixture(scope="session")
def published(shared):
    return shared / "data" / "ave"


def kinds(annotations):
    return [notice.kind for notice in annotations.notices]


def test_a_split_by_hand(folder):
    videos = load_ave(folder, "val")
    assert (videos.name, videos.split, videos.categories) == ("sounds", "val", AVE_CATEGORIES)
    assert videos.ids == videos.filenames == ("aaaaaaaaaa5", "aaaaaaaaaa1")
    assert videos.features["audio"].shape == (2, 10, 4) and videos.features["frames"].shape == (2, 10 * 4, 6)
    assert videos.snippets == 10 and videos.spec.streams["frames"].per_snippet == 4
    assert np.array_equal(videos.features["audio"][1], features(1, AUDIO).astype(np.float32))
    assert np.array_equal(videos.features["frames"][0], features(105, VISUAL).astype(np.float32).reshape(40, 6))
    rodents, violin = AVE_CATEGORIES.index("Rodents_rats_mice"), AVE_CATEGORIES.index("Violin_fiddle")
    assert [np.flatnonzero(row).tolist() for row in videos.weak_labels] == [[rodents], [violin]]
    expected = np.zeros((2, 2, 10, 28), bool)
    expected[0, :, 1:2, rodents] = expected[1, :, 2:5, violin] = True
    assert np.array_equal(videos.reference, expected)


def test_train_has_names_of_rows_and_its_truth_aside(folder):
    videos = load_ave(folder, "train")
    assert videos.reference is None and videos.weak_labels.sum() == 5
    assert videos.ids == ("aaaaaaaaaa6_row0007", "aaaaaaaaaa0", "aaaaaaaaaa3_row0004", "aaaaaaaaaa2", "aaaaaaaaaa6_row0006")
    truth = ave_truth(folder, "train")
    assert truth.shape == (5, 2, 10, 28) and truth.any(3).sum(2).tolist() == [[n, n] for n in (3, 10, 4, 0, 6)]
    assert np.array_equal(ave_truth(folder, "val"), load_ave(folder, "val").reference)


def test_oddities_are_notices(folder):
    train, test = read_ave(folder, "train"), read_ave(folder, "test")
    assert sorted(kinds(train)) == ["empty_span", "leak", "repeated_id"] and kinds(test) == ["leak"]
    told = {notice.kind: str(notice) for notice in train.notices}
    assert told["empty_span"].startswith("Annotations.txt, line 3: the span of aaaaaaaaaa2 (Church_bell) is empty")
    assert told["leak"].endswith("line 5: aaaaaaaaaa3 (Ukulele) is also in line 4 (Flute) in the split test.")
    assert told["repeated_id"].endswith("line 8: aaaaaaaaaa6 (Flute) is also in line 7 (Ukulele) in this split.")


def test_lists_may_lie_below_and_need_no_features(tmp_path):
    for below in ("data", "annotations"):
        folder = write_ave(tmp_path / below, with_features=False, below=below)
        assert len(read_ave(folder, "train")) == 5
        with pytest.raises(InputError, match=r"no audio_feature\.h5: put it into"):
            load_ave(folder, "train")


def test_the_floor_of_the_published_lists(published):
    """The true category on every second of the test videos: what Table 3 prints beneath the methods."""
    rolls, _ = read_ave(published, "test").reference(10)
    occurs = rolls[:, 0].any(1)
    painted = metrics.answers(np.broadcast_to(occurs[:, None, None], rolls.shape))
    right = metrics.answers(rolls)
    others = (right == rolls.shape[-1]).any(1)
    measured = [metrics.ave_accuracy(painted, right), metrics.ave_accuracy(painted[others], right[others])]
    assert (len(rolls), others.sum()) == (402, 141)
    assert np.round(measured, 2).tolist() == paper_table("floors_AVE_test")["rows"]["true category everywhere"]


def test_header_byte_order_mark_and_windows_line_ends_change_nothing(folder):
    path = folder / "Annotations.txt"
    text = "Category&VideoID&Quality&StartTime&EndTime\n" + path.read_text()
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    with_header = read_ave(folder, "val")
    assert with_header.filenames == ("aaaaaaaaaa5", "aaaaaaaaaa1") and with_header.weak["line"][0] == 7
    assert {"byte_order_mark", "line_ends"} <= set(kinds(with_header))


def test_spans_that_are_no_whole_seconds_or_too_long(folder):
    path = folder / "Annotations.txt"
    path.write_text(path.read_text().replace("aaaaaaaaaa5&good&1&2", "aaaaaaaaaa5&good&0.6&12"))
    annotations = read_ave(folder, "val")
    assert "clipped" in kinds(annotations) and annotations.dense[["onset", "offset"]].values[0].tolist() == [0.6, 10]
    rolls, notices = annotations.reference(10)
    assert [n.kind for n in notices] == ["rounded"] * 2 and rolls[0, 0].any(1).tolist() == [False] + [True] * 9


def test_dense_labels_are_read_or_rebuilt(folder):
    rebuilt = ave_labels(folder)
    assert rebuilt.shape == (9, 10, 29) and (rebuilt.sum(2) == 1).all()
    assert rebuilt[:, :, -1].sum(1).tolist() == [10 - (row[3] - row[2]) for row in ROWS]
    assert np.array_equal(rebuilt[:, :, :-1].transpose(0, 1, 2)[ORDERS["val"]] > 0, load_ave(folder, "val").reference[:, 0])
    put(folder / "labels.h5", rebuilt[:, ::-1])
    assert np.array_equal(ave_labels(folder), rebuilt[:, ::-1])


def test_span_file_that_says_otherwise(folder):
    rolls = ave.span_rolls(ave.read_lists(folder)).astype(np.float32)
    put(folder / "labels_closs.h5", rolls)
    assert "other_spans" not in kinds(read_ave(folder, "val"))
    rolls[4] = 0
    put(folder / "labels_closs.h5", rolls)
    assert "1 rows have other spans than Annotations.txt, the first row 4" in str(read_ave(folder, "val").notices[-1])


def test_background_videos_join_train_only(folder):
    with pytest.raises(InputError, match=r"no audio_feature_noisy\.h5"):
        load_ave(folder, "train", background=True)
    write_background(folder)
    videos = load_ave(folder, "train", background=True)
    assert len(videos) == 5 + 3 and videos.ids[5:] == ("background_0000", "background_0001", "background_0002")
    assert videos.weak_labels.sum(1).tolist() == [1] * 5 + [0] * 3
    assert np.array_equal(videos.features["audio"][6], features(201, AUDIO).astype(np.float32))
    assert len(load_ave(folder, "val", background=True)) == 2 and len(load_ave(folder, "train")) == 5
    put(folder / "labels_noisy.h5", np.eye(29)[:3])
    with pytest.raises(InputError, match="some of the 3 videos are not labelled as background"):
        load_ave(folder, "train", background=True)
    put(folder / "labels_noisy.h5", np.ones((2, 29)))
    with pytest.raises(InputError, match=r"labels_noisy\.h5: 'avadataset' has shape \(2, 29\)"):
        load_ave(folder, "train", background=True)


def test_background_of_another_shape(folder):
    write_background(folder)
    put(folder / "audio_feature_noisy.h5", np.ones((3, 10, 7)))
    with pytest.raises(InputError, match=r"shape \(3, 10, 7\), which does not fit"):
        load_ave(folder, "train", background=True)


def test_packed_in_the_order_of_the_file_and_equal_in_float16(folder, monkeypatch):
    write_background(folder)
    monkeypatch.setattr(arrays, "BLOCK", 2)
    read, blocks = h5.read_rows, []
    monkeypatch.setattr(h5, "read_rows", lambda path, *rest: blocks.append((path.name, rest[-1])) or read(path, *rest))
    packed = open_store(pack(folder, "train", background=True, progress=False))
    assert [rows for name, rows in blocks if name == "visual_feature.h5"][-3:] == [[0, 2], [4, 6], [7]]
    whole = load_ave(folder, "train", background=True)
    assert packed.ids == whole.ids and packed.notices == whole.notices and packed.reference is None
    for stream, x in whole.features.items():
        assert isinstance(packed.features[stream], np.memmap) and np.array_equal(packed.features[stream], x.astype(np.float16))
    assert data.verify(pack(folder, "train", background=True, progress=False)) == 3
    assert len(open_store(pack(folder, "train", progress=False))) == 5  # beside it, not in its place


def test_load_recognises_the_folder_and_the_download(folder, tmp_path, monkeypatch):
    assert load(folder, "val").ids == load(str(folder), "val", missing="skip").ids == ("aaaaaaaaaa5", "aaaaaaaaaa1")
    with pytest.raises(InputError, match="ave is not here yet: run `cmpae download ave`"):
        load("ave", "val")
    write_ave(tmp_path / "home" / "ave")
    assert load("ave", "test").name == "ave" and len(load("ave", "train")) == 5
    monkeypatch.setattr(data.formats, "PACK_FROM", 1)
    assert isinstance(load("ave", "val", progress=False).features["frames"], np.memmap)
    with pytest.raises(InputError, match="unknown option 'leaks' of load: this data takes background"):
        load("ave", "val", leaks="drop")
    with pytest.raises(InputError, match="unknown split None"):
        load("ave", None)


def test_a_folder_of_ones_own_made_of_ave(folder, tmp_path):
    for split in splits:
        load_ave(folder, split).to_folder(tmp_path / "own")
    again, videos = data.load_folder(tmp_path / "own", "test"), load_ave(folder, "test")
    assert again.ids == videos.ids and np.array_equal(again.reference, videos.reference)
    assert np.array_equal(again.features["frames"], videos.features["frames"])


def feature_file(write):
    def change(folder):
        with h5py.File(folder / "audio_feature.h5", "w") as file:
            write(file)

    return change


def cut(name, share):
    def change(folder):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: int(len(whole) * share)])

    return change


def with_values(name, values, key="avadataset"):
    return lambda folder: put(folder / name, values, key)


def huge(file):
    file.create_dataset("avadataset", (9, 10, 10**12), np.float64, chunks=(1, 1, 8))[0, 0, :8] = 1


def external(file):
    file.create_dataset("avadataset", (9, 10, 4), np.float64, external=[("elsewhere.bin", 0, h5py.h5f.UNLIMITED)])


def virtual(file):
    layout = h5py.VirtualLayout((9, 10, 4), np.float64)
    layout[:] = h5py.VirtualSource("visual_feature.h5", "avadataset", (9, 10, 4))
    file.create_virtual_dataset("avadataset", layout)


def link(file):
    file["avadataset"] = h5py.ExternalLink("visual_feature.h5", "avadataset")


NAN = np.ones((9, 10, 4))
NAN[5, 3, 2] = np.nan
WEAK = np.eye(29)[[AVE_CATEGORIES.index(ave.clean_category(row[0])) for row in ROWS]]
BROKEN = {
    "no HDF5": (lambda f: (f / "audio_feature.h5").write_bytes(b"<html>quota</html>"), "damaged, cut short or no HDF5 file"),
    "empty": (lambda f: (f / "audio_feature.h5").write_bytes(b""), "damaged, cut short or no HDF5 file"),
    "cut features": (cut("visual_feature.h5", 0.6), r"visual_feature\.h5 is damaged, cut short"),
    "cut order": (cut("val_order.h5", 0.9), r"val_order\.h5 is damaged"),
    "other key": (with_values("audio_feature.h5", NAN, "features"), "no dataset 'avadataset', only 'features'"),
    "other order key": (with_values("val_order.h5", [1], "avadataset"), "no dataset 'order', only 'avadataset'"),
    "group": (feature_file(lambda file: file.create_group("avadataset")), "is a group, not a dataset"),
    "too few rows": (with_values("audio_feature.h5", NAN[:8]), r"has shape \(8, 10, 4\) instead of \(9, 10, any\)"),
    "too few snippets": (with_values("audio_feature.h5", NAN[:, :9]), r"has shape \(9, 9, 4\)"),
    "too few axes": (with_values("visual_feature.h5", NAN), r"instead of \(9, 10, any, any, any\)"),
    "scalar": (with_values("audio_feature.h5", 3.0), r"has shape \(\)"),
    "texts": (with_values("audio_feature.h5", np.array([[["a"] * 4] * 10] * 9, object)), "holds Python objects, texts"),
    "complex": (with_values("audio_feature.h5", NAN.astype(complex)), "holds complex128 instead of numbers"),
    "nothing written": (feature_file(lambda f: f.create_dataset("avadataset", (9, 10, 4), "f4")), "too few values or none"),
    "huge claim": (feature_file(huge), "rows too large to be true"),
    "huge order": (
        lambda f: put(f / "val_order.h5", np.zeros(10**5, np.int64), "order"), "holds 100000 rows, more than the 9 there are"
    ),
    "values elsewhere": (feature_file(external), "lie in other files, which are never opened"),
    "virtual": (feature_file(virtual), "lie in other files, which are never opened"),
    "link": (feature_file(link), "is a link to another place, which is never followed"),
    "not a number": (with_values("audio_feature.h5", NAN), r"row 5, aaaaaaaaaa5, line 6 of Annotations\.txt\) holds NaN"),
    "order of floats": (with_values("val_order.h5", [1.0, 5.0], "order"), "holds float64 instead of integers"),
    "order of rows that are none": (with_values("val_order.h5", [1, 9], "order"), "row number 9 is not one of the 9"),
    "negative": (with_values("val_order.h5", [1, -1], "order"), "row number -1 is not one of the 9"),
    "row twice": (with_values("val_order.h5", [1, 1], "order"), "row number 1 stands there twice"),
    "row in two splits": (with_values("val_order.h5", [1, 7], "order"), "row number 7 is also in the split 'train'"),
    "order of two axes": (with_values("val_order.h5", [[1]], "order"), r"has shape \(1, 1\) instead of \(any,\)"),
    "labels of another version": (with_values("mil_labels.h5", WEAK[::-1]), r"row 0 is Bark, but Annotations\.txt, line 1 says"),
    "soft labels": (with_values("mil_labels.h5", WEAK * 0.5), "row 0 is not one-hot"),
    "labels of 25": (with_values("mil_labels.h5", WEAK[:, :25]), r"has shape \(9, 25\) instead of \(9, 29\)"),
    "labels not a number": (with_values("mil_labels.h5", WEAK * np.nan), "holds NaN or infinite"),
    "no list": (lambda f: (f / "Annotations.txt").unlink(), r"no Annotations\.txt in the folder itself"),
    "no labels": (lambda f: (f / "mil_labels.h5").unlink(), r"no mil_labels\.h5"),
    "no order": (lambda f: (f / "val_order.h5").unlink(), "no list of the split 'val': looked for val_order"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_named(folder, case):
    change, said = BROKEN[case]
    change(folder)
    with pytest.raises(InputError, match=said) as caught:
        load(folder, "val")
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("Violin, fiddle&aaaaaaaaaa1&good&2", "line 2: 4 fields, not 5"),
        ("Kazoo&aaaaaaaaaa1&good&2&5", "line 2: category 'Kazoo' of aaaaaaaaaa1 is unknown"),
        ("Violin, fiddle&../../etc&good&2&5", "line 2: '../../etc' is not a plain file name"),
        ("Violin, fiddle&aaaaaaaaaa1&good&two&5", "line 2: start is 'two'"),
        ("Violin, fiddle&aaaaaaaaaa1&good&2&nan", "line 2: end is 'nan'"),
        ("Violin, fiddle&aaaaaaaaaa1&good&7&5", "line 2: the event of aaaaaaaaaa1 ends at 5, before 7"),
    ],
)
def test_broken_rows_are_named(folder, row, said):
    path = folder / "Annotations.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], row, *lines[2:]]))
    with pytest.raises(InputError, match=said):
        load(folder, "val")


def test_published_categories_and_counts(published):
    order = dict.fromkeys(line.split("&")[0] for line in (published / "Annotations.txt").read_text().splitlines())
    assert tuple(map(ave.clean_category, order)) == AVE_CATEGORIES
    assert {split: len(read_ave(published, split)) for split in splits} == {"train": 3339, "val": 402, "test": 402}
    found = ave.read_lists(published)
    assert found.rows["youtube_id"].nunique() == 4097 and found.rows["filename"].nunique() == 4143


def test_published_spans_equal_the_span_file_in_every_row(published):
    found = ave.read_lists(published)
    with h5py.File(published / "labels_closs.h5") as file:
        theirs = file["avadataset"][()] == 1
    assert (ave.span_rolls(found) == theirs).all(1).sum() == 4143 == len(theirs)
    assert found.rows["filename"][found.rows["onset"] >= found.rows["offset"]].tolist() == ["VWi2ENBuTbw"]
    labels = ave_labels(published)
    assert labels.shape == (4143, 10, 29) and np.array_equal(labels[..., -1] == 0, theirs) and (labels.sum(2) == 1).all()
    assert [ave_truth(published, split).any(3).sum() for split in splits] == [2 * theirs[found.splits[s]].sum() for s in splits]


def test_published_oddities(published):
    notices = [notice for split in splits for notice in read_ave(published, split).notices]
    assert [n.kind for n in notices].count("empty_span") == 1
    ids = {kind: {n.text.split()[0] for n in notices if n.kind == kind} for kind in ("repeated_id", "leak")}
    assert len(ids["leak"]) == 18 and len(ids["leak"] | ids["repeated_id"]) == 45
