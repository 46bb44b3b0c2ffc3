"""Packed stores: same data as the folder, resumed after a break, verified, repacked when stale, never half there."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import shutil
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from cmpae_toolkit import _files, batches, data, inference, train
from cmpae_toolkit.config import presets
from cmpae_toolkit.data import VideoSet, arrays, load, load_folder, open_store, pack, verify
from cmpae_toolkit.errors import InputError, InputWarning

COUNT = 150  # more than two chunks


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A val and a test split in float32, and a home of its own."""
    monkeypatch.setenv("CMPAE_HOME", str(tmp_path / "home"))
    for split, count in (("val", COUNT), ("test", 3)):
        rng = np.random.default_rng(count)
        VideoSet(
            name="packed", split=split, categories=("Dog", "Rain"), ids=tuple(f"{split}{i:03d}" for i in range(count)),
            features={n: rng.normal(size=(count, *s)).astype(np.float32) for n, s in {"audio": (4, 3), "frames": (8, 5)}.items()},
            modalities={"audio": "audio", "frames": "visual"}, weak_labels=np.ones((count, 2), np.float32),
            reference=rng.random((count, 2, 4, 2)) > 0.5, simulated=True,
        ).to_folder(tmp_path / "videos")
    return tmp_path / "videos"


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """The name of every feature file whose values are read from now on."""
    done, read = [], arrays._read

    def counted(places, video):
        done.extend(place.path.name for place in places)
        return read(places, video)

    monkeypatch.setattr(arrays, "_read", counted)
    return done


def test_a_store_holds_what_the_folder_holds_in_float16(folder):
    store = pack(folder, "val", progress=False)
    packed, read = open_store(store), load_folder(folder, "val")
    for field in ("name", "split", "categories", "ids", "filenames", "modalities", "simulated", "notices"):
        assert getattr(packed, field) == getattr(read, field)
    for stream, x in read.features.items():
        assert isinstance(packed.features[stream], np.memmap) and not packed.features[stream].flags.writeable
        assert packed.features[stream].dtype == np.float16 and np.array_equal(packed.features[stream], x.astype(np.float16))
    assert np.array_equal(packed.weak_labels, read.weak_labels) and np.array_equal(packed.reference, read.reference)
    assert verify(store) == 4
    assert store.is_relative_to(data.home()) and store.name == "val" and list(store.parent.iterdir()) == [store]


def test_a_fresh_store_is_left_alone_and_preferred(folder, reads):
    store = pack(folder, "val", progress=False)
    before = (store / "store.json").stat().st_mtime_ns
    reads.clear()
    assert pack(folder, "val", progress=False) == store and (store / "store.json").stat().st_mtime_ns == before
    videos = load(folder, "val")
    assert isinstance(videos.features["audio"], np.memmap) and reads == []
    assert load(folder, "val", name="mine").name == "mine"


def test_large_folders_are_packed_by_load(folder, monkeypatch, capsys):
    assert not isinstance(load(folder, "val").features["audio"], np.memmap)
    monkeypatch.setattr(data.formats, "PACK_FROM", 1000)
    assert isinstance(load(folder, "val").features["audio"], np.memmap)
    assert "pack val" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_packing_leaves_nothing(folder, monkeypatch, error):
    def interrupted(places, video):
        if places[0].path.name == "val100.npy":
            raise error
        return read(places, video)

    read, out = arrays._read, folder.parent / "stores" / "val"
    monkeypatch.setattr(arrays, "_read", interrupted)
    expected = pytest.raises(InputError, match="No space") if isinstance(error, OSError) else pytest.raises(error)
    with expected:
        pack(folder, "val", out, progress=False)
    assert not list(out.parent.iterdir())


def test_a_place_that_cannot_be_written_is_told_in_one_sentence(folder):
    (folder.parent / "file").write_text("")
    with pytest.raises(InputError, match=r"file.store cannot be written \(.*\): make room, or choose another place") as caught:
        pack(folder, "val", folder.parent / "file" / "store", progress=False)
    assert "\n" not in str(caught.value)


def test_the_draft_of_a_killed_packing_is_removed_by_the_next(folder):
    out = folder.parent / "store"
    process = multiprocessing.get_context("spawn").Process(target=int)
    process.start()
    process.join()
    left, alive = (out.with_name(f".store.{_files.MACHINE}-{pid}-00ff.part") for pid in (process.pid, os.getppid()))
    for draft in (left, alive):
        draft.mkdir()
    pack(folder, "val", out, progress=False)
    assert not left.exists() and alive.exists()


def changed_feature(folder: Path) -> None:
    np.save(folder / "feats" / "audio" / "val005.npy", np.zeros((4, 3), np.float32))
    os.utime(folder / "feats" / "audio" / "val005.npy", ns=(1, 1))


def changed_weak_list(folder: Path) -> None:
    path = folder / "annotations" / "val.csv"
    path.write_text(path.read_text().replace("val005\tDog,Rain", "val005\tDog"))


def changed_dense_list(folder: Path) -> None:
    with open(folder / "annotations" / "eval_audio.csv", "a") as file:
        file.write("val005\t0\t4\tDog\n")


def shorter_list(folder: Path) -> None:
    path = folder / "annotations" / "val.csv"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "val005" not in line))


@pytest.mark.parametrize("change", [changed_feature, changed_weak_list, changed_dense_list, shorter_list])
def test_stale_stores_are_packed_again(folder, change):
    store = pack(folder, "val", progress=False)
    change(folder)
    assert not isinstance(load(folder, "val").features["audio"], np.memmap)
    assert pack(folder, "val", progress=False) == store
    packed, read = load(folder, "val"), load_folder(folder, "val")
    assert isinstance(packed.features["audio"], np.memmap) and packed.ids == read.ids
    assert np.array_equal(packed.weak_labels, read.weak_labels) and np.array_equal(packed.reference, read.reference)
    assert np.array_equal(packed.features["audio"], read.features["audio"].astype(np.float16))
    assert verify(store) == 4 and list(store.parent.iterdir()) == [store]


def test_the_other_split_does_not_make_a_store_stale(folder, reads):
    pack(folder, "val", progress=False)
    np.save(folder / "feats" / "audio" / "test001.npy", np.zeros((4, 3), np.float32))
    reads.clear()
    pack(folder, "val", progress=False)
    assert reads == []


def test_verify_names_a_damaged_video(folder):
    store = pack(folder, "val", progress=False)
    np.load(store / "frames.npy", mmap_mode="r+")[3, 0, 0] += 1
    with pytest.raises(InputError, match=r"frames\.npy: damaged, its values do not have their checksum"):
        verify(store)
    path = store / "frames.npy"
    path.write_bytes(path.read_bytes()[:-10])
    for read in (verify, open_store):
        with pytest.raises(InputError, match=r"frames\.npy: unreadable part of a packed store"):
            read(store)


@pytest.mark.parametrize("value", [70_000.0, -1e6])
def test_values_beyond_float16_are_refused(folder, value):
    path = folder / "feats" / "audio" / "val120.npy"
    np.save(path, np.full((4, 3), value, np.float32))
    with pytest.raises(InputError, match=r"val120\.npy \(val120, line 122 of val\.csv\) holds values beyond float16 \(65504\)"):
        pack(folder, "val", folder.parent / "store", progress=False)
    assert not (folder.parent / "store").exists()


def test_a_bad_file_stops_the_packing(folder):
    path = folder / "feats" / "frames" / "val100.npy"
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    with pytest.raises(InputError, match=r"val100\.npy \(val100, line 102 of val\.csv\) is damaged"):
        pack(folder, "val", progress=False)
    path.write_bytes(good)
    assert verify(pack(folder, "val", progress=False)) == 4


def test_missing_features_and_packing(folder):
    (folder / "feats" / "audio" / "val001.npy").unlink()
    with pytest.raises(InputError, match="1 of 150 videos have no features"):
        pack(folder, "val", progress=False)
    with pytest.warns(InputWarning, match="1 of 150"):
        store = pack(folder, "val", missing="skip", progress=False)
    assert len(open_store(store)) == COUNT - 1
    with pytest.raises(InputError, match="1 of 150"):  # a store of fewer videos does not silently stand in
        load(folder, "val")


def test_a_full_disk_is_told_before_packing(folder, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(InputError, match=r"the packed store needs 0\.00 GB .*CMPAE_HOME"):
        pack(folder, "val", folder.parent / "store", progress=False)
    assert not list(folder.parent.glob("store*"))


def test_places_that_hold_something_else(folder):
    with pytest.raises(InputError, match="something else than a packed store is here"):
        pack(folder, "val", folder, progress=False)
    assert (folder / "categories.txt").is_file()
    with pytest.raises(InputError, match="no finished packed store"):
        open_store(folder)


def test_a_store_is_loaded_by_its_path(folder):
    store = pack(folder, "val", folder.parent / "mine", progress=False)
    shutil.rmtree(folder)
    assert len(load(store, "val")) == COUNT
    with pytest.raises(InputError, match="holds the split 'val', not 'test'"):
        load(store, "test")


def test_unlabelled_videos_can_be_packed(folder):
    videos = open_store(pack(folder, None, progress=False))
    assert len(videos) == COUNT + 3 and videos.weak_labels is None and videos.reference is None


def anonymous_bytes() -> int:
    """What this process holds itself (RssAnon), without the pages of mapped files; 0 where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:")), 0)


def test_training_and_prediction_leave_the_features_on_disk(tmp_path, monkeypatch):
    """No stream is copied as a whole: not to take a batch (NumPy's memory is traced), and not elsewhere to be kept (RssAnon, Linux)."""
    shapes, batch = {"audio": (10, 8), "frames": (80, 2048)}, 8
    stores = {split: empty_store(tmp_path / split, split, count, shapes) for split, count in (("train", 480), ("val", 8))}
    train_set, val_set = (open_store(store) for store in stores.values())
    whole = train_set.features["frames"].nbytes
    taken, held, gather = [], [], batches._gather

    def watched(video_set, index):
        assert all(isinstance(x, np.memmap) for x in video_set.features.values())
        tracemalloc.start()
        try:
            return gather(video_set, index)
        finally:
            taken.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            held.append(anonymous_bytes())

    monkeypatch.setattr(inference, "prediction_batch", lambda *_: batch)
    config = presets["paper"].changed(width=8, batch_size=batch, epochs=1, denoise=False)
    train.fit(config, val_set, val_set, device="cpu", progress=False)  # whatever is imported or kept at the first time
    before = anonymous_bytes()
    monkeypatch.setattr(batches, "_gather", watched)
    run = train.fit(config, train_set, val_set, device="cpu", progress=False)
    inference.predict(run.model, train_set)
    assert len(taken) == (480 + 8 + 480) / batch and max(taken) < 2 * whole * batch / 480
    grown = max(held) - before  # three batches at most: one in use, one waiting, one being read
    assert grown < whole / 2, f"the process grew by {grown:,} bytes; the stream has {whole:,}"


def test_a_checksum_reads_one_video_at_a_time(tmp_path):
    videos = open_store(empty_store(tmp_path / "store", "train", 120, {"audio": (10, 8), "frames": (80, 2048)}))
    tracemalloc.start()
    try:
        videos.checksum()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * videos.features["frames"][0].nbytes


def empty_store(store: Path, split: str, count: int, shapes: dict[str, tuple[int, int]]) -> Path:
    """A packed store of zeros, which take no room on disk."""
    store.mkdir()
    for stream, shape in shapes.items():
        np.lib.format.open_memmap(store / f"{stream}.npy", "w+", np.float16, (count, *shape)).flush()
    ids = [f"{split}{i:03d}" for i in range(count)]
    weak = (np.arange(count)[:, None] % 2 == np.arange(2)).astype(np.float32)
    np.save(store / "weak_labels.npy", weak)
    np.save(store / "reference.npy", np.broadcast_to(weak[:, None, None] > 0, (count, 2, 10, 2)))
    about = {
        "name": "zeros", "split": split, "categories": ["Dog", "Rain"], "ids": ids, "filenames": ids, "simulated": True,
        "modalities": {"audio": "audio", "frames": "visual"}, "arrays": ["weak_labels", "reference"], "notices": [], "plan": "",
        "format": 2, "snippet_seconds": 1.0, "sha256": dict.fromkeys((*shapes, "weak_labels", "reference"), ""),
    }
    (store / "store.json").write_text(json.dumps(about))
    return store


@pytest.fixture
def memory():
    """The command `benchmarks/memory.py`, which measured the numbers that are told of packing and training."""
    spec = importlib.util.spec_from_file_location("memory", Path(__file__).parents[2] / "benchmarks" / "memory.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_memory_benchmark_sees_what_a_process_holds(memory):
    idle, full = (memory.peak_memory(eval, f"(b'x' * {size}, __import__('time').sleep(0.5))") for size in (1, 10**8))
    for peak in ("peak_rss", "peak_anonymous"):
        assert 0.9e8 < full[peak] - idle[peak] < 1.1e8
    with pytest.raises(SystemExit, match="eval ended with status 1"):
        memory.peak_memory(eval, "1 / 0")


def test_the_memory_benchmark_says_where_it_cannot_measure(memory, monkeypatch, capsys):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory.main([]) == 2 and "only Linux" in capsys.readouterr().err


def test_the_memory_benchmark_packs_folders_that_are_read_back(memory, tmp_path):
    memory.make_folder(tmp_path / "llp", {"train": 3, "val": 2, "test": 1})
    memory.pack_split(tmp_path / "llp", "train", tmp_path / "store")
    assert {n: x.shape for n, x in open_store(tmp_path / "store").features.items()} == {n: (3, *s) for n, s in memory.SHAPES.items()}
    assert load_folder(tmp_path / "llp", "val").reference.sum() == 2 * 2 * 6 and verify(tmp_path / "store") == 4


def test_nothing_of_a_store_is_a_pickle(folder):
    for path in pack(folder, "test", progress=False).iterdir():
        if path.suffix == ".npy":
            np.load(path, allow_pickle=False)
        else:
            json.loads(path.read_text())
