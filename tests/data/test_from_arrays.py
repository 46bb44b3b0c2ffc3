"""Sets of arrays in memory: made of nothing but arrays, refused where these do not fit, and taken wherever a name is."""

import numpy as np
import pytest
import torch

from cmpae_toolkit.config import Config
from cmpae_toolkit.data import Splits, VideoSet, leaks, load
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.inference import evaluate, with_floors
from cmpae_toolkit.studies import grid
from cmpae_toolkit.studies.grid import jobs, run_grid
from cmpae_toolkit.train import fit

QUICK = Config(width=8, batch_size=16, epochs=1, estimator_epochs=1)


def arrays(videos=24, seed=0):
    rng = np.random.default_rng(seed)
    reference = rng.random((videos, 2, 10, 3)) < 0.2
    features = {"audio": rng.normal(size=(videos, 10, 4)), "frames": rng.normal(size=(videos, 20, 6))}
    return {**features, "weak_labels": reference.any((1, 2)), "reference": reference}


def test_four_arrays_are_enough():
    train_set, val_set = VideoSet.from_arrays(**arrays()), VideoSet.from_arrays(**arrays(seed=1), split="val")
    run = fit(QUICK, train_set, val_set, progress=False)
    assert evaluate(run, val_set)["segment"]["type"] > 0 and len(with_floors("CMPAE", evaluate(run, val_set), val_set)) == 3
    assert train_set.features["frames"].dtype == np.float32 and train_set.spec.streams["frames"].per_snippet == 2
    assert train_set.weak_labels.dtype == np.float32 and train_set.reference.dtype == bool and not leaks(train_set, val_set)


def test_tensors_names_and_streams_of_ones_own():
    given = {name: torch.as_tensor(x) for name, x in arrays().items()}
    given["motion"] = given.pop("frames").half()
    made = VideoSet.from_arrays(**given, modalities={"motion": "visual"}, categories=["Owl", "Tit", "Jay"], ids=[str(i) for i in range(24)])
    assert made.categories == ("Owl", "Tit", "Jay") and made.ids[-1] == "23" and made.features["motion"].dtype == np.float16
    assert list(made.spec.of_modality("visual")) == ["motion"]


def test_what_a_folder_holds_comes_back_from_its_arrays(tiny):
    test_set = tiny[2]
    about = {name: getattr(test_set, name) for name in ("weak_labels", "reference", "categories", "ids")}
    assert VideoSet.from_arrays(**test_set.features, **about).checksum() == test_set.checksum()


@pytest.mark.parametrize(("changes", "message"), [
    ({"audio": np.zeros((24, 10))}, r"stream 'audio' must be numbers \(video, snippet x positions, width\), got float64 \(24, 10\)"),
    ({"audio": np.full((24, 10, 4), "a")}, "stream 'audio' must be numbers"),
    ({"audio": np.full((24, 10, 4), np.nan)}, "stream 'audio' of train_00000 holds NaN"),
    ({"audio": np.zeros((5, 10, 4))}, "frames holds 24 videos, the list 5"),
    ({"frames": np.zeros((24, 25, 6))}, "stream 'frames' has 25 positions for 10 snippets"),
    ({"smell": np.zeros((24, 10, 6))}, "is the stream 'smell' audio or visual"),
    ({"weak_labels": np.full((24, 3), 0.5)}, "weak_labels must be 2-dimensional and hold 0 and 1"),
    ({"weak_labels": np.zeros((24, 4))}, r"3 categories, but labels for \[4, 3\]|4 categories, but labels for \[4, 3\]"),
    ({"reference": np.zeros((24, 2, 11, 3))}, r"the reference has shape \(24, 2, 11, 3\), the features need \(24, 2, 10, 3\)"),
    ({"weak_labels": None, "reference": None}, "0 categories"), ({"categories": ["Owl"]}, "1 categories, but labels for"),
    ({"categories": ["Owl", "Owl", "Jay"]}, "no two are equal"), ({"categories": range(3)}, "categories are texts"),
    ({"snippet_seconds": 0}, "snippet_seconds is 0"), ({"snippet_seconds": float("nan")}, "snippet_seconds is nan"),
    ({"lengths": [0] * 24}, "lengths are whole numbers"), ({"lengths": [2.5] * 24}, "from 1 to 10"),
    ({"lengths": [3]}, "lengths holds 1 videos"),
    ({"present": np.ones((24, 3))}, r"present has shape \(24, 3\)"),
])
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        VideoSet.from_arrays(**arrays() | changes)


def test_a_mask_of_another_length_is_refused():
    videos = VideoSet.from_arrays(**arrays())
    assert len(videos.subset(np.arange(24) < 3)) == 3
    with pytest.raises(InputError, match="the mask has shape"):
        videos.subset(np.ones(5, bool))


def test_no_stream_at_all_is_refused():
    with pytest.raises(InputError, match="no feature stream of the audio modality"):
        VideoSet.from_arrays(weak_labels=np.zeros((0, 3)))


def in_memory(seed=0):
    return Splits(*(VideoSet.from_arrays(**arrays(seed=seed + i), split=s, name="birds") for i, s in enumerate(("train", "val", "test"))))


def test_a_grid_takes_sets_in_memory(tmp_path, monkeypatch):
    sets = in_memory()
    planned = jobs({"full": {}, "no mutual learning": {"mutual_weight": 0.0}}, QUICK, [sets], [0])
    table = run_grid(planned, tmp_path)
    assert list(table["variant"]) == ["full", "no mutual learning"] and set(table["data"]) == {"birds (test)"}
    monkeypatch.setattr(grid, "run", None)  # nothing is trained again, for the same arrays under another object
    assert len(run_grid(jobs({"full": {}}, QUICK, [in_memory()], [0]), tmp_path)) == 1
    assert len(grid.collect(tmp_path, sets)) == 2 and len(grid.collect(tmp_path, in_memory(seed=5))) == 0


def test_load_takes_them_as_it_takes_a_name():
    sets = in_memory()
    assert load(sets, "val") is sets.val
    with pytest.raises(InputError, match="birds: there is no split 'test' among these sets in memory"):
        load(Splits(sets.train, sets.val), "test")
    with pytest.raises(InputError, match="unknown option 'missing'"):
        load(sets, "val", missing="skip")
