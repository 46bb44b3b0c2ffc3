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
from cmpae_toolkit.data.rolls import make_rolls, on_grid
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


def weak_list(path: Path):
    """The rows of a weak list and what was found."""
    found = lists.Findings()
    table = lists.read_weak(path, CATEGORIES, found)
    found.check()
    return table, found.notices


def dense_list(path: Path, videos=("a",)):
    """The rows of a dense list and what was found."""
    found = lists.Findings()
    table = lists.read_dense(path, CATEGORIES, videos, found)
    found.check()
    return table, found.notices


def on_rolls(path: Path, snippets: int, seconds: float = 1.0, length: int | None = None):
    """The rolls (snippet, category) of the one video `a` of an audio list, and the notices."""
    dense = dense_list(path)[0].assign(modality="audio", file=path.name)
    lengths = np.array([length or snippets])
    rolls, notices = make_rolls(dense, ["a"], CATEGORIES, snippets, lengths, seconds, dict.fromkeys(("audio", "visual"), path))
    assert not rolls[:, 1].any()
    return rolls[0, 0], notices


def runs(rolls) -> dict[str, list[int]]:
    """Category -> the snippets that hold it."""
    return {name: np.flatnonzero(column).tolist() for name, column in zip(CATEGORIES, rolls.T, strict=True) if column.any()}


def test_weak_rows_by_hand(tmp_path):
    rows, notices = weak_list(weak(tmp_path / "train.csv", "a_0_10\tSpeech,Dog", "b_8.5_18.5\tRain"))
    assert rows.values.tolist() == [["a_0_10", ("Speech", "Dog"), "train.csv", 2], ["b_8.5_18.5", ("Rain",), "train.csv", 3]]
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
    rows, notices = weak_list(path)
    assert rows["filename"].iloc[-1] == "a" and set(rows["categories"].iloc[-1]) <= {"Dog"}
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
        (b"filename\tevent_labels\n../a\tDog\n", "line 2: '../a' is not a plain file name"),
        (b"filename\tevent_labels\n\tDog\n", "line 2: '' is not a plain file name"),
    ],
)
def test_broken_weak_lists(tmp_path, content, said):
    path = tmp_path / "train.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        weak_list(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_list_and_folder_in_place_of_a_list(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.csv: there is no such file"):
        weak_list(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match=r"no label files \(\.txt, \.vtt, \.eaf\) are here"):
        weak_list(tmp_path)


@pytest.mark.parametrize(
    ("row", "kind", "span"),
    [
        ("a\t1\t3\tDog", None, (1, 3)),
        ("a\t3\t3\tDog", "empty_span", None),
        ("a\t9\t0\tDog", "empty_span", None),
        ("a\t1.0\t3.0\tDog", None, (1, 3)),
        ("a\t0.6\t2.5\tDog", None, (0.6, 2.5)),
        ("a.wav\t1\t3\tDog", "suffix", (1, 3)),
        ("a\t\t\t", "no_event", None),
        ("z\t1\t3\tDog", "unknown_video", None),
        ("z\t1\t3\tNo_such_category", "unknown_video", None),
        (" a\t1\t3\tDog ", "padding", (1, 3)),
    ],
)
def test_dense_rows(tmp_path, row, kind, span):
    spans, notices = dense_list(write(tmp_path / "eval.csv", "a\t7\t8\tRain", row))
    assert spans[["onset", "offset"]].values.tolist()[1:] == ([list(span)] if span else [])
    assert kinds(notices) == ([kind] if kind else [])


def test_rows_in_two_troubles_are_told_twice(tmp_path):
    """Row 66 of the real audio list is of an unknown video and of zero length."""
    path = write(tmp_path / "eval.csv", "z\t9\t9\tDog", "a\t7\t8\tRain")
    assert sorted(kinds(dense_list(path)[1])) == ["empty_span", "unknown_video"]


def test_a_repeated_row_counts_once_and_names_the_first(tmp_path):
    path = write(tmp_path / "eval.csv", "a\t0\t2\tDog", "a\t0\t2\tRain", "a\t0\t2\tDog")
    spans, notices = dense_list(path)
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
        dense_list(path)
    assert str(path) in str(caught.value)


def test_every_error_of_a_list_is_told_at_once(tmp_path):
    path = write(tmp_path / "eval.csv", "a\tzero\t3\tDog", "a\t0\t3\tDog", "a\t0\t3\tWolf", "a\t0")
    with pytest.raises(InputError) as caught:
        dense_list(path)
    assert sorted(text.split(": ")[0] for text in caught.value.details) == [f"{path}, line {n}" for n in (2, 4, 5)]


def test_a_list_whose_videos_nobody_knows_is_refused(tmp_path):
    with pytest.raises(InputError, match="line 2: none of its 2 rows is of a video in the weak lists, such as b: are the videos called"):
        dense_list(write(tmp_path / "eval.csv", "b\t0\t3\tDog", "c\t0\t3\tDog"))


def test_events_beyond_the_video_are_cut(tmp_path):
    inside = [f"a\t{i}\t{i + 1}\tSpeech" for i in range(9)]
    path = write(tmp_path / "eval.csv", "a\t-1\t2\tDog", "a\t3\t12\tDog", "a\t10\t11\tRain", *inside)
    rolls, notices = on_rolls(path, 10)
    assert runs(rolls) == {"Dog": [0, 1, 3, 4, 5, 6, 7, 8, 9], "Speech": list(range(9))}
    assert [(notice.kind, notice.line) for notice in notices] == [("clipped", 2), ("clipped", 3), ("clipped", 4)]
    assert str(notices[1]) == "eval.csv, line 3: Dog 3-12 of a is not within the video's 10 s; it is cut to 3-10."
    assert notices[2].text.endswith("it is ignored.")


@pytest.mark.parametrize(
    ("rows", "seconds", "said"),
    [
        (("a\t2000\t6000\tDog",), 1.0, r"1 of 1 rows lie outside .*, the first, Dog 2000-6000 of a, not within 0-10 s: are they milli"),
        (("a\t30\t36\tDog", "a\t33\t40\tRain"), 1.0, "not within 0-10 s: do they count from another clip's start"),
        (("a\t2\t16\tDog", "a\t0\t1\tDog", "a\t18\t20\tDog"), 1.0, r"do snippets last another time \(snippet_seconds=2 would hold"),
        (("a\t2\t6\tDog", "a\t7\t8\tDog"), 0.5, r"line 3: 1 of 2 rows lie outside their videos.*not within 0-5 s: "),
    ],
)
def test_lists_whose_times_cannot_be_meant_so_are_refused(tmp_path, rows, seconds, said):
    with pytest.raises(InputError, match=said) as caught:
        on_rolls(write(tmp_path / "eval.csv", *rows), 10, seconds)
    assert str(tmp_path / "eval.csv") in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("onset", "offset", "snippets"),
    [
        (0, 2, [0, 1]), (0.6, 2.5, [1, 2]), (0.5, 2.4, [0, 1]), (0.4, 0.6, [0]), (4.6, 5.4, [4]), (4.7, 5.4, [5]), (4.1, 4.3, [4]),
        (4.9, 5.0, [4]), (3.5, 4.5, [3, 4]), (3.6, 4.6, [4]), (9.7, 10, [9]), (8.0, 8.0001, [8]),
    ],
)
def test_a_snippet_holds_what_covers_half_of_it_and_no_event_vanishes(onset, offset, snippets):
    first, last = on_grid(np.array([onset]), np.array([offset]))
    assert list(range(first[0], last[0])) == snippets


def test_the_rule_against_counting_every_overlap():
    """A thousand events against the rule as its sentence says it."""
    rng = np.random.default_rng(5)
    onset = rng.uniform(0, 9, 1000)
    offset = onset + rng.uniform(0.01, 2.5, 1000)
    first, last = on_grid(onset, offset)
    grid = np.arange(13)
    covered = np.clip(np.minimum(offset[:, None], grid + 1) - np.maximum(onset[:, None], grid), 0, None)
    for i, share in enumerate(covered):
        expected = np.flatnonzero(share >= 0.5) if (share >= 0.5).any() else [share.argmax()]
        assert list(range(first[i], last[i])) == list(expected)


def test_seconds_are_put_on_snippets_of_any_length(tmp_path):
    path = write(tmp_path / "eval.csv", "a\t0.3\t0.9\tDog", "a\t2\t3.5\tRain")
    rolls, notices = on_rolls(path, 13, 0.3)
    assert runs(rolls) == {"Dog": [1, 2], "Rain": [7, 8, 9, 10, 11]}
    assert [str(n) for n in notices] == ["eval.csv, line 3: 2-3.5 is not in whole snippets of 0.3 s; Rain 2.1-3.6 of a is used."]


def test_overlapping_and_touching_events(tmp_path):
    rows = ["v1_0_4\t0\t4\tDog", "v1_0_4\t3\t6\tDog", "v1_0_4\t6\t7\tDog", "v1_0_4\t8\t9\tDog", "v1_0_4\t3\t6\tRain", "v2_0_4\t4\t5\tDog"]
    notices = read_annotations(own_lists(tmp_path, rows), "val").notices
    assert [(n.kind, n.line) for n in notices if n.kind in ("overlap", "touch")] == [("overlap", 3), ("touch", 4)]


def test_rows_of_one_video_are_joined_without_losing_a_label(tmp_path):
    """A list in long form has one label a row."""
    rows, notices = weak_list(weak(tmp_path / "train.csv", "a\tDog", "b\tDog", "a\tRain", "a.mp4\tDog"))
    assert rows[["filename", "categories"]].values.tolist() == [["a", ("Dog", "Rain")], ["b", ("Dog",)]]
    assert kinds(notices) == ["suffix", "joined_rows"] and "2 rows name a video of an earlier row" in notices[1].text


def test_dcase_calls_its_last_column_event_label(tmp_path):
    path = write(tmp_path / "eval.tsv", "a.wav\t0.0\t2.0\tDog", header="filename\tonset\toffset\tevent_label")
    assert dense_list(path)[0]["filename"].tolist() == ["a"]


def test_accents_of_two_characters_are_one_name(tmp_path):
    rows, _ = weak_list(weak(tmp_path / "train.csv", "Glu\u0308hwu\u0308rmchen\tDog"))
    assert rows["filename"].tolist() == ["Gl\u00fchw\u00fcrmchen"]


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
    never = "Speech is a weak label of 1 videos, but no row of the dense lists confirms it in the whole split."
    told = [(notice.kind, notice.line, notice.text) for notice in found.notices]
    assert told == [("weak_without_dense", 2, text), ("never_confirmed", None, never)]


def test_a_split_without_any_event_of_its_weak_labels_is_refused(tmp_path):
    """"Predict nothing" would score 100."""
    folder = own_lists(tmp_path, ("t1_0_4\t0\t4\tDog",), ())
    with pytest.raises(InputError, match=r"eval_audio\.csv and .*: no event of the split 'val', though weak labels name some"):
        read_annotations(folder, "val").reference(4)
    weak(folder / "annotations" / "val.csv", "v1_0_4\t")
    assert not read_annotations(folder, "val").reference(4)[0].any()


def test_an_event_that_is_no_weak_label(tmp_path):
    rows = ("t1_0_4\t0\t1\tDog", "t1_0_4\t0\t1\tRain")
    notices = read_annotations(own_lists(tmp_path, rows, rows[1:]), "test").notices
    assert [(notice.kind, notice.file, notice.line) for notice in notices] == [("dense_without_weak", "eval_audio.csv", 3)]


def test_train_has_no_spans_and_reads_no_dense_list(tmp_path):
    own_lists(tmp_path, ("broken",))
    weak(tmp_path / "annotations" / "train.csv", "a\tDog")
    found = read_annotations(tmp_path, "train")
    assert found.dense is None and found.reference(10) == (None, []) and set(found.files) == {"train"}


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
    assert read_annotations(tmp_path, "val").dense is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Dog\nChurch bell\n", "line 2: category name 'Church bell'"),
        ("Dog\n\nRain,Sea\n", "line 3: category name 'Rain,Sea'"),
        ("Dog\nRain\tSea\n", "line 2: category name"),
        ("Dog\nRain\nDog\n", "line 3: category 'Dog' stands in line 1"),
        ("", "the file is empty"),
        ("Dog\nRa\u200bin\n", "line 2: category name 'Ra.*in' has characters that cannot be seen"),
        ("Dog\nRa\x1b[31min\n", "line 2: category name .* cannot be seen"),
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
    assert read_annotations(tmp_path, "val").dense["offset"][0] == 1
    assert read_annotations(tmp_path, "val", eval_audio="2020").dense["offset"][0] == 2
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
    assert {split: len(each) for split, each in found.items()} == {"train": 10_000, "val": 649, "test": 1_200}
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
