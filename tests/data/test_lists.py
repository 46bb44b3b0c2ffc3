"""Weak and dense lists: every quirk of the published ones, every way to break one, and the counts of the real LLP lists."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cmpae_toolkit import data
from cmpae_toolkit._files import write_atomically
from cmpae_toolkit.data import lists
from cmpae_toolkit.data.annotations import LLP_CATEGORIES, find_layout, read_annotations, splits
from cmpae_toolkit.errors import InputError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "llp"
needs_llp = pytest.mark.skipif(not SHARED.is_dir(), reason="the published LLP lists are not here")
CATEGORIES = ("Dog", "Speech", "Rain")


def write(path: Path, *rows: str, header: str = "filename\tonset\toffset\tevent_labels", end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(end.join([header, *rows, ""]).encode())
    return path


def weak(path: Path, *rows: str, **options) -> Path:
    return write(path, *rows, header="filename\tevent_labels", **options)


def own_lists(folder: Path, audio: tuple[str, ...] = (), visual: tuple[str, ...] = ()) -> Path:
    """A folder of two val videos and one test video."""
    (folder / "categories.txt").write_text("\n".join(CATEGORIES))
    weak(folder / "annotations" / "val.csv", "v1_0_4\tDog,Speech", "v2_0_4\tRain")
    weak(folder / "annotations" / "test.csv", "t1_0_4\tDog")
    write(folder / "annotations" / "eval_audio.csv", *audio)
    write(folder / "annotations" / "eval_visual.csv", *visual)
    return folder


def kinds(notices) -> list[str]:
    return [notice.kind for notice in notices]


def test_weak_rows_by_hand(tmp_path):
    rows, notices = lists.read_weak(weak(tmp_path / "train.csv", "a_0_10\tSpeech,Dog", "b_8.5_18.5\tRain"), CATEGORIES)
    assert [(row.filename, row.categories, row.line) for row in rows] == [
        ("a_0_10", ("Speech", "Dog"), 2),
        ("b_8.5_18.5", ("Rain",), 3),
    ]
    assert notices == []


@pytest.mark.parametrize(
    ("content", "kind", "line"),
    [
        ("filename\tevent_labels\na\tDog,Dog\n", "repeated_category", 2),
        ("filename\tevent_labels\na\t\n", "no_label", 2),
        ("filename\tevent_labels\r\na\tDog\r\n", "line_ends", None),
        ("filename\tevent_labels\ra\tDog\r", "line_ends", None),
        ("\ufefffilename\tevent_labels\na\tDog\n", "byte_order_mark", 1),
        ('filename\tevent_labels\nb\tRain\na \t "Dog"\n', "padding", 3),
    ],
)
def test_quirks_of_weak_lists_are_kept_as_notices(tmp_path, content, kind, line):
    path = tmp_path / "train.csv"
    path.write_bytes(content.encode())
    rows, notices = lists.read_weak(path, CATEGORIES)
    assert rows[-1].filename == "a" and set(rows[-1].categories) <= {"Dog"}
    assert [(n.kind, n.file, n.line) for n in notices] == [(kind, "train.csv", line)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "the file is empty"),
        (b"filename\tevent_labels\n", "header and no videos"),
        ("filename\tevent_labels\na\tFußball\n".encode("latin-1"), "line 2: the file is not UTF-8"),
        (b"filename,event_labels\na,Dog\n", "line 1: the header is 'filename,event_labels': .*separated by tabs"),
        (b"a\tDog\n", "line 1: the header"),
        (b"filename\tevent_labels\na Dog\n", "line 2: 1 columns, not 2"),
        (b"filename\tevent_labels\na\tDog\t3\n", "line 2: 3 columns"),
        (b"filename\tevent_labels\na\tDog\n\nb\tRain,Dgo\n", "line 4: category 'Dgo' of b is unknown"),
        (b"filename\tevent_labels\na\tDog\nb\tDog\na\tRain\n", "line 4: a stands in line 2 already"),
        (b"filename\tevent_labels\n../a\tDog\n", "line 2: '../a' is not a plain file name"),
        (b"filename\tevent_labels\n\tDog\n", "line 2: '' is not a plain file name"),
    ],
)
def test_broken_weak_lists(tmp_path, content, said):
    path = tmp_path / "train.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        lists.read_weak(path, CATEGORIES)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_list_and_folder_in_place_of_a_list(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.csv: there is no such file"):
        lists.read_weak(tmp_path / "nowhere.csv", CATEGORIES)
    with pytest.raises(InputError, match="cannot be read"):
        lists.read_weak(tmp_path, CATEGORIES)


@pytest.mark.parametrize(
    ("row", "kind", "span"),
    [
        ("a\t1\t3\tDog", None, (1, 3)),
        ("a\t3\t3\tDog", "empty_span", None),
        ("a\t9\t0\tDog", "empty_span", None),
        ("a\t1.0\t3.0\tDog", None, (1, 3)),
        ("a\t0.6\t2.5\tDog", "rounded", (1, 3)),
        ("z\t1\t3\tDog", "unknown_video", None),
        ("z\t1\t3\tNo_such_category", "unknown_video", None),
        (" a\t1\t3\tDog ", "padding", (1, 3)),
    ],
)
def test_dense_rows(tmp_path, row, kind, span):
    spans, notices = lists.read_dense(write(tmp_path / "eval.csv", row), CATEGORIES, {"a"})
    assert [(each.onset, each.offset) for each in spans] == ([span] if span else [])
    assert kinds(notices) == ([kind] if kind else [])


def test_rows_in_two_troubles_are_told_twice(tmp_path):
    """Row 66 of the real audio list is of an unknown video and of zero length."""
    path = write(tmp_path / "eval.csv", "z\t9\t9\tDog")
    assert sorted(kinds(lists.read_dense(path, CATEGORIES, {"a"})[1])) == ["empty_span", "unknown_video"]


def test_a_repeated_row_counts_once_and_names_the_first(tmp_path):
    path = write(tmp_path / "eval.csv", "a\t0\t2\tDog", "a\t0\t2\tRain", "a\t0\t2\tDog")
    spans, notices = lists.read_dense(path, CATEGORIES, {"a"})
    assert len(spans) == 2
    assert str(notices[0]) == "eval.csv, line 4: Dog 0-2 of a stands in line 2 already; it counts once."


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a\tzero\t3\tDog", "line 2: onset is 'zero'"),
        ("a\t0\t\tDog", "line 2: offset is ''"),
        ("a\t0\tnan\tDog", "line 2: offset is 'nan'"),
        ("a\tinf\t3\tDog", "line 2: onset is 'inf'"),
        ("a\t0\t3\tWolf", "line 2: category 'Wolf' of a is unknown"),
        ("a\t0\tDog", "line 2: 3 columns"),
    ],
)
def test_broken_dense_rows(tmp_path, row, said):
    path = write(tmp_path / "eval.csv", row)
    with pytest.raises(InputError, match=said) as caught:
        lists.read_dense(path, CATEGORIES, {"a"})
    assert str(path) in str(caught.value)


def test_spans_beyond_the_video_are_cut(tmp_path):
    path = write(tmp_path / "eval.csv", "a\t-1\t2\tDog", "a\t3\t12\tDog", "a\t10\t11\tRain", "a\t0\t10\tSpeech")
    spans, notices = lists.clip_spans(lists.read_dense(path, CATEGORIES, {"a"})[0], 10, path)
    assert [(span.category, span.onset, span.offset) for span in spans] == [("Dog", 0, 2), ("Dog", 3, 10), ("Speech", 0, 10)]
    assert [(notice.kind, notice.line) for notice in notices] == [("clipped", 2), ("clipped", 3), ("clipped", 4)]


def test_overlapping_and_touching_spans(tmp_path):
    rows = ["a\t0\t4\tDog", "a\t3\t6\tDog", "a\t6\t7\tDog", "a\t8\t9\tDog", "a\t3\t6\tRain", "b\t4\t5\tDog"]
    path = write(tmp_path / "eval.csv", *rows)
    notices = lists.meeting_spans(lists.read_dense(path, CATEGORIES, {"a", "b"})[0], path)
    assert [(notice.kind, notice.line) for notice in notices] == [("overlap", 3), ("touch", 4)]


def test_reference_rolls_by_hand(tmp_path):
    folder = own_lists(tmp_path, ("v1_0_4\t0\t2\tDog", "v1_0_4\t3\t9\tDog", "t1_0_4\t0\t4\tDog"), ("v2_0_4\t1\t2\tRain",))
    found = read_annotations(folder, "val")
    rolls, clipped = found.reference(4)
    expected = np.zeros((2, 2, 4, 3), bool)  # video modality snippet category
    expected[0, 0, [0, 1, 3], 0] = True
    expected[1, 1, 1, 2] = True
    assert np.array_equal(rolls, expected) and kinds(clipped) == ["clipped"]
    assert found.filenames == ("v1_0_4", "v2_0_4") and found.categories == CATEGORIES
    assert found.weak_labels.tolist() == [[1, 1, 0], [0, 0, 1]] and found.weak_labels.dtype == np.float32
    text = "v1_0_4 has the weak label Speech, but no event of it in the dense lists."
    assert [(notice.kind, notice.line, notice.text) for notice in found.notices] == [("weak_without_dense", 2, text)]


def test_an_event_that_is_no_weak_label(tmp_path):
    rows = ("t1_0_4\t0\t1\tDog", "t1_0_4\t0\t1\tRain")
    notices = read_annotations(own_lists(tmp_path, rows, rows[1:]), "test").notices
    assert [(notice.kind, notice.file, notice.line) for notice in notices] == [("dense_without_weak", "eval_audio.csv", 3)]


def test_train_has_no_spans_and_reads_no_dense_list(tmp_path):
    own_lists(tmp_path, ("broken",))
    weak(tmp_path / "annotations" / "train.csv", "a\tDog")
    found = read_annotations(tmp_path, "train")
    assert found.spans is None and found.reference(10) == (None, []) and set(found.files) == {"train"}


def test_layouts_that_are_none(tmp_path):
    with pytest.raises(InputError, match=r"no lists here: looked for AVVP_train\.csv.* in the folder itself, data/, "):
        find_layout(tmp_path)
    with pytest.raises(InputError, match="there is no such folder"):
        find_layout(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"list\.csv: is a file, not a folder"):
        find_layout(weak(tmp_path / "list.csv", "a\tDog"))
    weak(tmp_path / "annotations" / "val.csv", "a\tDog")
    with pytest.raises(InputError, match=r"categories\.txt: there is no such file"):
        find_layout(tmp_path)


def test_splits_and_dense_lists_that_are_not_there(tmp_path):
    own_lists(tmp_path)
    with pytest.raises(InputError, match=r"no list of the split 'train': looked for train\.csv in annotations/"):
        read_annotations(tmp_path, "train")
    with pytest.raises(InputError, match="unknown split 'dev': use one of train, val, test"):
        read_annotations(tmp_path, "dev")
    (tmp_path / "annotations" / "eval_visual.csv").unlink()
    with pytest.raises(InputError, match=r"one dense list without the other: looked for eval_visual\.csv"):
        read_annotations(tmp_path, "val")
    (tmp_path / "annotations" / "eval_audio.csv").unlink()
    assert read_annotations(tmp_path, "val").spans is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Dog\nChurch bell\n", "line 2: category name 'Church bell'"),
        ("Dog\n\nRain,Sea\n", "line 3: category name 'Rain,Sea'"),
        ("Dog\nRain\tSea\n", "line 2: category name"),
        ("Dog\nRain\nDog\n", "line 3: category 'Dog' stands in line 1"),
        ("", "the file is empty"),
    ],
)
def test_broken_category_lists(tmp_path, content, said):
    (tmp_path / "categories.txt").write_text(content)
    with pytest.raises(InputError, match=said):
        lists.read_categories(tmp_path / "categories.txt")


@pytest.mark.parametrize("below", [".", "data", "annotations"])
def test_llp_names_are_found_and_categories_beside_them_count(tmp_path, below):
    weak(tmp_path / below / "AVVP_val_pd.csv", "abcdefghijk_0_10\tSpeech")
    assert find_layout(tmp_path).categories == LLP_CATEGORIES
    (tmp_path / below / "categories.txt").write_text("Speech\nHorse\n")
    assert find_layout(tmp_path).categories == ("Speech", "Horse")
    assert find_layout(tmp_path).kind == "llp"


def test_audio_lists_without_a_known_checksum_are_told_by_name(tmp_path):
    own_lists(tmp_path, ("v1_0_4\t0\t1\tDog",))
    old = write(tmp_path / "annotations" / "eval_audio_2020.csv", "v1_0_4\t0\t2\tDog")
    assert lists.list_version(old) == "other"
    assert read_annotations(tmp_path, "val").spans["audio"][0].offset == 1
    assert read_annotations(tmp_path, "val", eval_audio="2020").spans["audio"][0].offset == 2
    old.unlink()
    with pytest.raises(InputError, match=r"no audio list of the version '2020', only eval_audio\.csv"):
        read_annotations(tmp_path, "val", eval_audio="2020")
    with pytest.raises(InputError, match="eval_audio is 'new': use 'corrected' or '2020'"):
        read_annotations(tmp_path, "val", eval_audio="new")


@needs_llp
@pytest.mark.parametrize(
    ("choice", "name", "unknown", "without"),
    [("corrected", "AVVP_eval_audio.csv", 14, 25), ("2020", "AVVP_eval_audio_2020.csv", 17, 26)],
)
def test_quirks_of_the_real_lists(choice, name, unknown, without):
    found = {split: read_annotations(SHARED, split, eval_audio=choice) for split in splits}
    assert {split: len(each.videos) for split, each in found.items()} == {"train": 10_000, "val": 649, "test": 1_200}
    counts = Counter((n.kind, n.file) for n in set().union(*(each.notices for each in found.values())))
    assert counts["empty_span", name] == 6
    assert counts["duplicate_row", name] == 8
    assert counts["unknown_video", name] == unknown
    assert counts["unknown_video", "AVVP_eval_visual.csv"] == 11
    assert counts["repeated_category", "AVVP_test_pd.csv"] == 1
    assert counts["overlap", name] + counts["duplicate_row", name] == 21  # a repeated row overlaps itself
    assert counts["touch", name] == 11
    assert counts["weak_without_dense", "AVVP_test_pd.csv"] == without
    assert kinds(found["test"].notices).count("dense_without_weak") == 38
    assert found["test"].eval_audio == {"corrected": "2024 corrected", "2020": "2020 list"}[choice]
    assert found["test"].weak_labels.sum(1).max() == 7 and round(float(found["train"].weak_labels.sum(1).mean()), 2) == 1.61


@needs_llp
def test_the_corrected_list_is_the_default_and_versions_are_told_by_checksum(tmp_path):
    found = read_annotations(SHARED, "val")
    assert found.eval_audio == "2024 corrected" and found.files["audio"].name == "AVVP_eval_audio.csv"
    said = next(notice for notice in found.notices if notice.kind == "list_version")
    assert str(said) == "AVVP_eval_audio.csv: the audio list that was used is the version '2024 corrected'."
    for path in SHARED.glob("*.csv"):  # an early download: only the old list, under the usual name
        if path.name != "AVVP_eval_audio.csv":
            (tmp_path / path.name.replace("_2020", "")).write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_annotations(tmp_path, "val").eval_audio == "2020 list"
    with pytest.raises(InputError, match=r"only AVVP_eval_audio\.csv \(2020 list\)"):
        read_annotations(tmp_path, "val", eval_audio="corrected")


def test_the_home_folder_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("CMPAE_HOME", str(tmp_path))
    assert data.home() == tmp_path
    monkeypatch.delenv("CMPAE_HOME")
    assert data.home().name == "cmpae_toolkit"


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path):
    path = tmp_path / "deep" / "list.csv"
    write_atomically(path, lambda file: file.write(b"old"))

    def fail(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old" and list(path.parent.iterdir()) == [path]
