"""What is read from a checkpoint, a training state or the authors' file is validated, and ends in one sentence where it is wrong."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from cmpae_toolkit import released
from cmpae_toolkit.checkpoint import CONFIG, HISTORY, MODEL, STATE, load_run
from cmpae_toolkit.config import Config
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.train import fit

QUICK = Config(width=8, batch_size=32, epochs=2, estimator_epochs=1)


@pytest.fixture(scope="module")
def saved(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    fit(QUICK, *tiny[:2], folder=folder, progress=False).save(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    for file in saved.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def change_weights(path, change):
    with safe_open(path, framework="pt") as file:
        tensors, about = {n: file.get_tensor(n) for n in file.keys()}, file.metadata()  # noqa: SIM118
    name = next(n for n in sorted(tensors) if n.endswith("collector.presence.weight"))
    tensors[name] = change(tensors[name])
    save_file(tensors, path, about)


WEIGHTS = {
    "NaN": (lambda x: x * float("nan"), "not finite"), "infinite": (lambda x: x + float("inf"), "not finite"),
    "one NaN": (lambda x: x.index_fill(0, torch.tensor([0]), float("nan")), "not finite"),
    "bool": (lambda x: x > 0, "holds bool"), "uint8": (lambda x: x.to(torch.uint8), "holds uint8"),
    "int64": (lambda x: x.long(), "holds int64"), "complex": (lambda x: x.to(torch.complex64), "holds complex64"),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights(folder, name):
    change, message = WEIGHTS[name]
    change_weights(folder / MODEL, change)
    with pytest.raises(InputError, match=message):
        load_run(folder)


def put(*path_and_value):
    *path, last, value = path_and_value

    def change(description):
        inside = description
        for name in path:
            inside = inside[name]
        inside[last] = value
    return change


SETTINGS = [
    put("thresholds", "video", "audio", "Dog", float("nan")), put("thresholds", "video", "audio", "Dog", -1),
    put("thresholds", "snippet", "visual", "Dog", 50), put("thresholds", "snippet", "visual", "Dog", "half"),
    put("thresholds", "snippet", "visual", []), put("thresholds", "video", None), put("thresholds", 3), put("thresholds", "gate", "maybe"),
    put("thresholds", "both", 2.5), put("thresholds", "both", "no"), put("config", "evidence_temperature", 0),
    put("config", "evidence_temperature", float("nan")), put("config", "width", 8.5), put("config", "width", 10**9),
    put("config", "width", "wide"), put("config", "width", None), put("config", "width", {}), put("config", "selector", ["additive"]),
    put("config", "search_thresholds", 3), put("config", "threshold_candidates", [2, 3]), put("config", None), put("config", "text"),
    put("config", [1, 2]), put("spec", None), put("spec", "categories", 3), put("spec", "categories", []),
    put("spec", "categories", ["Dog", "Dog"]), put("spec", "categories", [1, 2]), put("spec", "snippets", "ten"),
    put("spec", "snippets", -1), put("spec", "streams", "audio", "width", 0), put("spec", "streams", "audio", "width", "wide"),
    put("spec", "streams", "audio", "modality", "smell"), put("spec", "streams", "audio", 3), put("spec", "snippet_seconds", 0),
    put("best_epoch", "last"), put("best_epoch", None), put("best_epoch", float("inf")), put("data", 7), put("method", "best"),
    put("method", 5), put("method", "os:system"),
]


@pytest.mark.parametrize("number", range(len(SETTINGS)))
def test_settings(folder, number):
    description = json.loads((folder / CONFIG).read_text())
    SETTINGS[number](description)
    (folder / CONFIG).write_text(json.dumps(description))
    with pytest.raises(InputError) as found:
        load_run(folder)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("text", ["[1, 2]", "3", "null", '"text"', "[" * 100_000, "{}", "", "{'a': 1}"])
def test_what_is_no_object(folder, text):
    (folder / CONFIG).write_text(text)
    with pytest.raises(InputError):
        load_run(folder)


@pytest.mark.parametrize("content", [b'"', b"\xff\xfe\x00", b'epoch\n"'])
def test_a_damaged_history(folder, content):
    (folder / HISTORY).write_bytes(content)
    with pytest.raises(InputError, match=r"history\.csv"):
        load_run(folder)


def change_state(path, change):
    with safe_open(path, framework="pt") as file:
        tensors, about = {n: file.get_tensor(n) for n in file.keys()}, file.metadata()  # noqa: SIM118
    tensors, text = change(tensors, json.loads(about["state"]))
    save_file(tensors, path, {"state": text if isinstance(text, str) else json.dumps(text)})


STATES = {
    "no object": lambda t, s: (t, "[1]"), "number": lambda t, s: (t, "3"), "null": lambda t, s: (t, "null"),
    "lacks an entry": lambda t, s: (t, {k: v for k, v in s.items() if k != "history"}),
    "has an extra entry": lambda t, s: (t, s | {"mood": 3}), "key of another kind": lambda t, s: (t, s | {"key": 3}),
    "history of numbers": lambda t, s: (t, s | {"history": [1, 2]}), "epoch of text": lambda t, s: (t, s | {"epoch": "two"}),
    "unknown moments": lambda t, s: (t | {"optimizer/nothing/exp_avg": torch.ones(1)}, s),
    "lacks a weight": lambda t, s: ({n: x for n, x in t.items() if n != "model/collector.presence.weight"}, s),
    "NaN in the best weights": lambda t, s: (t | {"best/collector.presence.weight": t["best/collector.presence.weight"] * np.nan}, s),
    "a part of no name": lambda t, s: (t | {"worst/x": torch.ones(1)}, s),
    "thresholds of text": lambda t, s: (t, s | {"thresholds": "high"}),
}


@pytest.mark.parametrize("name", STATES)
def test_training_states(folder, name, tiny):
    change_state(folder / STATE, STATES[name])
    with pytest.raises(InputError):
        fit(QUICK, *tiny[:2], folder=folder, resume=True, progress=False)


@pytest.mark.parametrize("shape", [(), (3,), (0,), (2, 2, 2)])
def test_authors_tensors_of_other_dimensions(shape):
    state = {n: np.zeros(shape, np.float32) for n in ("fc_prob.weight", "fc_a.0.weight", "fc_v.0.weight", "fc_st.0.weight")}
    with pytest.raises(InputError):
        released.load_state_dict(state)


def test_training_that_leaves_no_numbers_says_so(tiny):
    """A learning rate of 1e11 on one batch an epoch: the loss of each epoch is taken before the step that spoils the weights."""
    config = QUICK.changed(batch_size=96, epochs=1, learning_rate=1e11, denoise=False)
    with pytest.raises(InputError, match="not finite"):
        fit(config, *tiny[:2], progress=False)
