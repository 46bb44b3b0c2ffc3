"""Notices counted, leaks, features of an odd scale, finite values, checksums of every value, and both wordings of an option."""

from __future__ import annotations

import ast
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cmpae_toolkit
from cmpae_toolkit.data import Notice, VideoSet, counted, doctor, feature_notices, leaks, load_folder, open_store, pack, scan
from cmpae_toolkit.errors import OPTIONS, InputError, InputWarning, on_command_line


def videos(count: int = 100, split: str = "val", **changes) -> VideoSet:
    rng = np.random.default_rng(count)
    fields: dict = dict(
        name="made up", split=split, categories=("Dog", "Rain"), ids=tuple(f"{split}{i:04d}" for i in range(count)),
        features={"audio": rng.normal(size=(count, 4, 3)).astype(np.float32), "frames": rng.normal(size=(count, 8, 5)).astype(np.float32)},
        modalities={"audio": "audio", "frames": "visual"}, weak_labels=np.ones((count, 2), np.float32),
        reference=rng.random((count, 2, 4, 2)) > 0.5,
    )
    return VideoSet(**fields | changes)


@pytest.fixture
def store(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("CMPAE_HOME", str(tmp_path / "home"))
    return pack(videos().to_folder(tmp_path / "folder"), "val", tmp_path / "store", progress=False)


def test_notices_are_counted_by_kind():
    notices = [Notice("touch", "a.csv", 3, "one."), Notice("list_version", "a.csv", None, "new."), Notice("touch", "b.csv", 1, "two.")]
    assert counted(notices) == ["touch (2): a.csv, line 3: one.", "list version (1): a.csv: new."]
    assert counted(()) == []


def test_leaks_by_youtube_id_or_by_the_whole_name():
    names = {
        "train": ("abcdefghijk_0_10", "scene_1_1", "rain", "abcdefghij0"), "val": ("abcdefghijk_30_40", "scene_3_1"),
        "test": ("rain", "abcdefghij0_row0007", "scene_1_1_1_1"),
    }
    sets = [videos(len(ids), split, ids=ids) for split, ids in names.items()]
    assert leaks(*sets) == {
        "abcdefghijk": {"train": ["abcdefghijk_0_10"], "val": ["abcdefghijk_30_40"]},
        "rain": {"train": ["rain"], "test": ["rain"]}, "abcdefghij0": {"train": ["abcdefghij0"], "test": ["abcdefghij0_row0007"]},
    }
    assert leaks(*sets[:2]).keys() == {"abcdefghijk"} and leaks(sets[0]) == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: x * 0, "many do not change over time and the scale is not that .*: of 100 videos 100% are constant .* 0,"),
        (lambda x: x * 0 + 1, "^feats/audio: many do not change over time: of 100 videos 100% are constant"),
        (lambda x: np.where(np.arange(100)[:, None, None] < 20, x[:, :1], x), "of 100 videos 20% are constant over time"),
        (lambda x: x * 1e6, r"^feats/audio: the scale is not .*, the largest value \d\.\d+e\+06\.$"),
        (lambda x: x * 1e-6, "^feats/audio: the scale is not that of a network's features: .* the mean norm is 1"),
    ],
)
def test_features_of_an_odd_scale_are_told(change, said, tmp_path):
    whole = videos()
    assert feature_notices(whole) == []
    odd = replace(whole, features=whole.features | {"audio": change(whole.features["audio"]).astype(np.float32)})
    (notice,) = feature_notices(odd)
    assert notice.kind == "odd_features" and re.search(said, str(notice))
    told = doctor.examine(odd.to_folder(tmp_path / "odd"))["splits"]["val"]["notices"]
    assert sum("feats/audio" in text for text in told) == 1


def test_padding_and_absent_modalities_are_no_odd_features():
    whole = videos()
    padded = {name: np.concatenate([x, np.zeros_like(x)], axis=1) for name, x in whole.features.items()}
    reference = np.concatenate([whole.reference, np.zeros_like(whole.reference)], axis=2)
    lengths = np.array([8] + [4] * 99)
    assert feature_notices(replace(whole, features=padded, reference=reference, lengths=lengths)) == []
    present = np.arange(100)[:, None] > [-1, 49]
    frames = np.where(present[:, 1, None, None], whole.features["frames"], 0)
    assert feature_notices(replace(whole, features=whole.features | {"frames": frames}, present=present)) == []
    assert len(feature_notices(replace(whole, features=whole.features | {"frames": frames}))) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_check_for_finite_features(value, store):
    made = videos()
    assert made.check_finite() is made
    made.features["frames"][73, 5, 1] = value
    with pytest.raises(InputError, match=r"made up \(val\): stream 'frames' of val0073 holds NaN or infinite values"):
        made.check_finite()
    opened = open_store(store)
    assert opened.check_finite() is opened
    np.load(store / "frames.npy", mmap_mode="r+")[73, 5, 1] = value
    with pytest.raises(InputError, match="stream 'frames' of val0073 holds NaN"):
        open_store(store)


def test_the_checksum_sees_every_value():
    """With 2,000 videos and 64 samples the sound of 1,935 could once be zeroed unseen."""
    made = videos(2000)
    before = made.checksum()
    made.features["audio"][1357, 2, 1] += 1e-3
    after = made.checksum()
    assert before != after
    made.features["audio"][1357, 2, 1] = videos(2000).features["audio"][1357, 2, 1]
    assert made.checksum() == before
    changes = (
        {"categories": ("Cat", "Rain")}, {"ids": (*made.ids[:-1], "x")}, {"reference": None}, {"weak_labels": None},
        {"snippet_seconds": 0.5}, {"lengths": np.full(2000, 3)}, {"present": np.ones((2000, 2), bool)},
    )
    assert len({before, *(replace(made, **change).checksum() for change in changes)}) == 1 + len(changes)


def test_a_stores_content_is_read_once(store, tmp_path, monkeypatch):
    opened, reads, read = open_store(store), [], scan._scan
    monkeypatch.setattr(scan, "_scan", lambda array: reads.append(1) or read(array))
    in_memory = load_folder(tmp_path / "folder", "val")
    half = replace(in_memory, features={name: x.astype(np.float16) for name, x in in_memory.features.items()})
    assert opened.checksum() == half.checksum() and len(reads) == 2  # those of `half`
    assert open_store(store).checksum() == opened.checksum() and len(reads) == 2
    array = np.load(store / "audio.npy", mmap_mode="r+")
    array[99, 3, 2] += 1
    array.flush()
    os.utime(store / "audio.npy")
    assert open_store(store).checksum() != half.checksum() and len(reads) == 2 + 1 + 2
    part = open_store(store).subset(np.arange(50))
    assert part.checksum() == videos_of(store, 50).checksum()


def videos_of(store: Path, count: int) -> VideoSet:
    opened = open_store(store)
    arrays = {name: np.array(x[:count]) for name, x in opened.features.items()}
    return replace(opened.subset(np.arange(count)), features=arrays)


def test_a_cache_that_is_broken_or_cannot_be_written_changes_nothing(store):
    right = open_store(store).checksum()
    for content in (b"", b"[]", b"{", b'{"audio.npy": 3}', b'{"audio.npy": {"file": [1, 2], "sha256": "x", "not_finite": null}}'):
        (store / "scan.json").write_bytes(content)
        assert open_store(store).checksum() == right
    (store / "scan.json").unlink()
    (store / "scan.json").mkdir()
    with pytest.warns(InputWarning, match=r"scan\.json is a folder.* Until then (audio|frames)\.npy is read as a whole each time"):
        assert open_store(store).checksum() == right


ADVICE = re.compile(r"\b(\w+)=(?:'|\{)")


def messages():
    """Every text of the package (with its file) that names an option of `load` as a call does."""
    for path in sorted(Path(cmpae_toolkit.__file__).parent.rglob("*.py")):
        tree = ast.parse(path.read_text())
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose and "errors.py" not in path.name:
                yield from ((path.name, each[0]) for each in re.finditer(r"\b\w+='\w+'", node.value))


def test_every_message_that_advises_an_option_has_a_wording_for_the_command_line():
    found = set(messages())
    assert {("source.py", "missing='skip'"), ("source.py", "missing='blank'"), ("arrays.py", "missing='skip'")} <= found
    for file, text in found:
        name, value = text.split("=")
        assert name in OPTIONS, f"{file} advises {text}, which errors.OPTIONS does not know"
        assert on_command_line(f"do it with {text}.") == f"do it with --{name.replace('_', '-')} {value[1:-1]}."


def test_options_on_the_command_line():
    said = "give snippet_seconds=0.5, eval_audio='2020' and background=True, not x='y'"
    assert on_command_line(said) == "give --snippet-seconds 0.5, --eval-audio 2020 and --background, not x='y'"
    assert on_command_line("a file called missing=skip.npy") == "a file called missing=skip.npy"


def test_a_missing_file_is_advised_in_both_wordings(tmp_path):
    folder = videos(3).to_folder(tmp_path / "a")
    (folder / "feats" / "audio" / "val0001.npy").unlink()
    with pytest.raises(InputError) as caught:
        load_folder(folder, "val")
    assert "leave these videos out with missing='skip', or keep what has one modality with missing='blank'" in str(caught.value)
    told = on_command_line(str(caught.value))
    assert "with --missing skip, or keep what has one modality with --missing blank" in told and "missing=" not in told
