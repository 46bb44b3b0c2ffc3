"""AVEP: the union of LLP and AVE's 14 further categories, its counts on the real lists, its leaks, its features."""

from __future__ import annotations

import numpy as np
import pytest
from ave_folder import LLP_SHAPES, LLP_VIDEOS, ROWS, features, write_ave, write_feats, write_llp

from cmpae_toolkit import data
from cmpae_toolkit.data import AVEP_CATEGORIES, load, load_avep, open_store, pack, read_avep, splits
from cmpae_toolkit.data.avep import AVE_14
from cmpae_toolkit.errors import InputError, InputWarning

AVE_IDS = ["aaaaaaaaaa0", "aaaaaaaaaa2", "aaaaaaaaaa3", "aaaaaaaaaa5", "aaaaaaaaaa6"]  # those of the 14 categories
LLP_IDS = [video[:11] for videos in LLP_VIDEOS.values() for video in videos]


@pytest.fixture
def both(tmp_path, monkeypatch):
    """The folders of LLP and AVE below home, each with the features of its own videos."""
    monkeypatch.setenv("CMPAE_HOME", str(tmp_path))
    llp = write_feats(write_llp(tmp_path / "llp"), LLP_IDS)
    return llp, write_feats(write_ave(tmp_path / "ave", with_features=False), AVE_IDS)


def test_the_union_by_hand(both):
    videos = load_avep(*both, "val")
    assert videos.filenames == ("bbbbbbbbbb2_0_10", "aaaaaaaaaa5") and videos.ids == ("bbbbbbbbbb2", "aaaaaaaaaa5")
    assert videos.name == "avep" and len(videos.categories) == 39
    rodents, dog = videos.categories.index("Rodents_rats_mice"), videos.categories.index("Dog")
    assert [np.flatnonzero(row).tolist() for row in videos.weak_labels] == [[dog], [rodents]]
    expected = np.zeros((2, 2, 10, 39), bool)
    expected[0, :, 2:4, dog] = expected[1, :, 1:2, rodents] = True
    assert np.array_equal(videos.reference, expected)
    assert {name: x.shape[1:] for name, x in videos.features.items()} == {"audio": (10, 4), "frames": (20, 6), "clip": (10, 5)}
    number = AVE_IDS.index("aaaaaaaaaa5")
    assert np.array_equal(videos.features["clip"][1], features(number, LLP_SHAPES["r2plus1d_18"]).astype(np.float32))


def test_other_categories_of_ave_are_left_out(both):
    assert load_avep(*both, "train").filenames == (
        "bbbbbbbbbb0_0_10", "aaaaaaaaaa3_5_15", "aaaaaaaaaa6_row0007", "aaaaaaaaaa0", "aaaaaaaaaa3_row0004", "aaaaaaaaaa2",
        "aaaaaaaaaa6_row0006",
    )
    assert load_avep(*both, "train").reference is None and load_avep(*both, "test").filenames[1:] == ("aaaaaaaaaa3_row0003",)


def test_leaks_are_told_and_leave_the_earlier_split(both):
    told = [str(n) for n in read_avep(*both, "train").notices if n.kind == "leak"]
    assert len(told) == 2
    assert told[0].startswith("AVVP_train.csv, line 3: aaaaaaaaaa3 (LLP) is also in the split test as aaaaaaaaaa3")
    assert told[1].startswith("Annotations.txt, line 5: aaaaaaaaaa3 (AVE-14)") and told[1].endswith("(AVE-14); both stay.")
    dropped = read_avep(*both, "train", leaks="drop")
    assert set(read_avep(*both, "train").filenames) - set(dropped.filenames) == {"aaaaaaaaaa3_5_15", "aaaaaaaaaa3_row0004"}
    assert dropped.first_ave == 1 and all("left out here" in n.text for n in dropped.notices if n.kind == "leak")
    test = read_avep(*both, "test", leaks="drop")
    assert test.filenames == read_avep(*both, "test").filenames
    assert [n.text.endswith("it is left out there.") for n in test.notices if n.kind == "leak"] == [True]


def test_repeated_ids_are_told_and_merged(both):
    kept, merged = (read_avep(*both, "train", repeated=choice) for choice in ("keep", "merge"))
    assert [str(n) for n in kept.notices if n.kind == "repeated_id"] == [
        "Annotations.txt, line 7: aaaaaaaaaa6 (Ukulele) is also in line 8 of this split (Flute); both stay."
    ]
    assert len(merged) == len(kept) - 1
    row = merged.filenames.index("aaaaaaaaaa6_row0007")
    assert [AVEP_CATEGORIES[i] for i in np.flatnonzero(merged.weak_labels[row])] == ["Flute", "Ukulele"]
    cleaned = load_avep(*both, "train", repeated="merge", leaks="drop")
    assert cleaned.ids[-3:] == ("aaaaaaaaaa6_row0007", "aaaaaaaaaa0", "aaaaaaaaaa2")


def test_merged_rows_keep_both_events(both):
    folder = both[1]
    path = folder / "Annotations.txt"
    path.write_text(path.read_text().replace("Bark&aaaaaaaaaa8", "Bus&aaaaaaaaaa3"))
    with pytest.raises(InputError, match="the files are not of one version"):
        read_avep(*both, "test")
    rows = [*ROWS[:-1], ("Bus", "aaaaaaaaaa3", 5, 8, "test")]
    write_ave(folder, rows, with_features=False)
    annotations = read_avep(*both, "test", repeated="merge")
    assert annotations.weak["categories"][1] == ("Flute", "Bus")
    rolls = annotations.reference(10)[0][1]
    assert rolls.sum((1, 2)).tolist() == [1 + 3, 1 + 3]


def test_features_of_the_other_folder_will_do(both):
    llp, ave = both
    for stream in LLP_SHAPES:
        (ave / "feats" / stream / "aaaaaaaaaa5.npy").rename(llp / "feats" / stream / "aaaaaaaaaa5.npy")
    assert len(load_avep(llp, ave, "val")) == 2
    (llp / "feats" / "vggish" / "aaaaaaaaaa5.npy").unlink()
    said = r"Annotations\.txt, line 6: 1 of 2 videos have no features, the first aaaaaaaaaa5 \(.*aaaaaaaaaa5\.npy\)"
    with pytest.raises(InputError, match=said):
        load_avep(llp, ave, "val")
    with pytest.warns(InputWarning, match="1 of 2 videos"):
        assert load_avep(llp, ave, "val", missing="skip").filenames == ("bbbbbbbbbb2_0_10",)


def test_without_any_features(tmp_path):
    llp, ave = write_llp(tmp_path / "a"), write_ave(tmp_path / "b", with_features=False)
    assert len(read_avep(llp, ave, "train")) == 7
    with pytest.raises(InputError, match="no features: looked for feats"):
        load_avep(llp, ave, "train")


def test_load_by_name_and_by_folder(both, tmp_path):
    assert load("avep", "train").ids == load(tmp_path, "train").ids == load_avep(*both, "train").ids
    assert len(load("avep", "train", leaks="drop", repeated="merge")) == 4
    store = open_store(pack("avep", "val", progress=False))
    assert np.array_equal(store.features["audio"], load_avep(*both, "val").features["audio"].astype(np.float16))
    assert store.name == load("avep", "val").name == "avep" and isinstance(load("avep", "val").features["audio"], np.memmap)
    assert not isinstance(load("avep", "val", leaks="drop").features["audio"], np.memmap)  # another variant
    assert len(load("llp", "train")) == 2
    (tmp_path / "llp").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="llp is not here yet: run `cmpae download llp`"):
        load("avep", "val")


def test_options_that_are_none(both):
    for option in ("leaks", "repeated", "missing"):
        with pytest.raises(InputError, match=f"{option} is 'no': use '(keep|error)'"):
            load_avep(*both, "val", **{option: "no"})
    (both[0] / "categories.txt").write_text("Dog\nCat\n")
    with pytest.raises(InputError, match="AVEP needs LLP as published, with its 25 categories"):
        load_avep(*both, "val")


def test_round_trip_of_merged_avep(both, tmp_path):
    videos = load_avep(*both, "train", repeated="merge")
    videos.to_folder(tmp_path / "own")
    assert data.load_folder(tmp_path / "own", "train").ids == videos.ids


def test_published_counts(shared):
    llp, ave = shared / "data" / "llp", shared / "data" / "ave"
    read = {split: read_avep(llp, ave, split) for split in splits}
    assert {split: len(each) for split, each in read.items()} == {"train": 11_581, "val": 839, "test": 1_390}
    assert len(AVEP_CATEGORIES) == len(set(AVEP_CATEGORIES)) == 39 == 25 + len(AVE_14)
    assert all(len(set(each.filenames)) == len(each) and each.weak_labels.any(1).all() for each in read.values())
    lines = {split: len((llp / f"AVVP_{split}_pd.csv").read_text().splitlines()) for split in ("val", "test")}
    assert (lines["val"] + 190, lines["test"] + 190) == (840, 1_391)  # the paper's numbers count the header


def test_published_leaks(shared):
    llp, ave = shared / "data" / "llp", shared / "data" / "ave"
    read = {split: read_avep(llp, ave, split) for split in splits}
    leaks = {split: {n.text.split()[0] for n in each.notices if n.kind == "leak"} for split, each in read.items()}
    assert leaks == {
        "train": {"2qVuxENcRvw", "0f_iTO5t3hU", "-r8VXRqHpmg"}, "val": {"2qVuxENcRvw"}, "test": {"0f_iTO5t3hU", "-r8VXRqHpmg"}
    }
    repeated = {n.text.split()[0] for n in read["train"].notices if n.kind == "repeated_id"}
    assert repeated == {"-QVO0p4jbho", "-mMr3S6543A", "1zTYiYCegfg", "-gREEONxBkk"}
    clean = {split: read_avep(llp, ave, split, leaks="drop", repeated="merge") for split in splits}
    assert [len(each) for each in clean.values()] == [11_581 - 3 - 4, 839, 1_390]
