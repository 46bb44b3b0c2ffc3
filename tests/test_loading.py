"""Batches: read ahead, resident or taken one by one, they are the same numbers."""

import numpy as np
import pytest
import torch

from cmpae_toolkit import batches
from cmpae_toolkit.batches import LARGEST_BATCH, Loader, Resident, choose_device, prediction_batch, read_ahead, take
from cmpae_toolkit.config import Config, DataSpec, StreamSpec, presets
from cmpae_toolkit.data import load, open_store, pack

CPU = torch.device("cpu")
INDICES = [np.array([5, 0, 3]), np.array([1]), np.array([2, 2, 7, 6])]


def assert_same(batches, video_set):
    batches = list(batches)
    assert len(batches) == len(INDICES)
    for batch, index in zip(batches, INDICES, strict=True):
        for name, x in video_set.features.items():
            assert batch.features[name].dtype == torch.float32
            assert np.array_equal(batch.features[name].numpy(), x[index].astype(np.float32))
        assert np.array_equal(batch.weak_label.numpy(), video_set.weak_labels[index]) and batch.valid is None


@pytest.mark.parametrize("how", [
    lambda s: (take(s, i, CPU) for i in INDICES), lambda s: read_ahead(s, INDICES, CPU), lambda s: Resident(s, CPU).batches(INDICES),
    lambda s: Loader(s, CPU).batches(INDICES),
], ids=["taken", "read ahead", "resident", "loader"])
def test_every_way_gives_the_same_batches(how, tiny):
    assert_same(how(tiny[0]), tiny[0])


def test_read_ahead_from_a_packed_store(store):
    assert all(isinstance(x, np.memmap) for x in store.features.values())
    assert_same(read_ahead(store, INDICES, CPU), store)


@pytest.fixture
def store(tiny, tmp_path):
    return open_store(pack(tiny[0].to_folder(tmp_path / "set"), "train", tmp_path / "store", progress=False))


def test_only_one_batch_is_read_ahead(store, monkeypatch):
    read = []
    gather = batches._gather
    monkeypatch.setattr(batches, "_gather", lambda video_set, index: (read.append(index[0]), gather(video_set, index))[1])
    coming = read_ahead(store, np.arange(10)[:, None], CPU)
    next(coming)
    assert len(read) <= 2
    assert len(list(coming)) == 9 and read == list(range(10))


def test_an_unreadable_batch_ends_the_loop_with_its_error(store, monkeypatch):
    gather = batches._gather

    def broken(video_set, index):
        if index[0] == 3:
            raise OSError("a disk gone")
        return gather(video_set, index)

    monkeypatch.setattr(batches, "_gather", broken)
    coming = read_ahead(store, np.arange(10)[:, None], CPU)
    for _ in range(3):
        next(coming)
    with pytest.raises(OSError, match="a disk gone"):
        next(coming)


def test_what_is_in_memory_is_not_read_by_a_thread(tiny, monkeypatch):
    monkeypatch.setattr(batches, "ThreadPoolExecutor", None)
    assert_same(read_ahead(tiny[0], INDICES, CPU), tiny[0])


def test_prediction_batch_follows_the_size_of_a_video():
    """LLP's shape at the paper's width: frames 80 x (2048 + 2 x 512), and so on, in float32 within 80 MiB."""
    def spec(snippets):
        return DataSpec(("a",), snippets, {"audio": StreamSpec(128, 1, "audio"), "frames": StreamSpec(2048, 8, "visual")})

    numbers = 80 * (2048 + 2 * 512) + 10 * (128 + 2 * 512) + 2 * 10 * 12 * 512
    assert prediction_batch(spec(10), presets["paper"], CPU) == 80 * 2**20 // (4 * numbers)
    assert prediction_batch(spec(100), presets["paper"], CPU) == 80 * 2**20 // (10 * 4 * numbers)
    assert prediction_batch(spec(10**6), presets["paper"], CPU) == 1
    assert prediction_batch(spec(1), Config(width=1), CPU) == LARGEST_BATCH


def test_features_of_a_loaded_set_fit_its_device():
    assert choose_device("cpu") == CPU
    assert Loader(load("tiny", "val"), CPU).resident is None  # on a CPU the arrays are in memory, or mapped, already


@pytest.mark.requires_cuda
def test_a_small_set_is_resident_on_a_gpu():
    video_set = load("tiny", "val")
    loader = Loader(video_set, torch.device("cuda"))
    assert loader.resident is not None
    assert_same(((({n: x.cpu() for n, x in f.items()}), w.cpu()) for f, w in loader.batches(INDICES)), video_set)
