"""CLIP and CLAP: tiny networks with random weights, saved in the real formats; no hub is reached."""

import json

import numpy as np
import pytest
import torch
from films import make_film, tone

from cmpae_toolkit.data import load
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.extract import clip_clap, extract, paper

transformers = pytest.importorskip("transformers", reason="transformers is not installed: pip install 'cmpae-toolkit[clip]'")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The two models in the folder where models put by hand lie."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CMPAE_HOME", str(tmp_path_factory.mktemp("home")))
        yield saved_models()


def saved_models():
    torch.manual_seed(0)
    clip = transformers.CLIPVisionConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
                                         image_size=32, patch_size=16, projection_dim=12)
    transformers.CLIPVisionModelWithProjection(clip).save_pretrained(clip_clap.folder() / "clip")
    clap = transformers.ClapAudioConfig(hidden_size=32, patch_embeds_hidden_size=4, depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 1, 1],
                                        projection_dim=8, enable_fusion=True)
    transformers.ClapAudioModelWithProjection(clap).save_pretrained(clip_clap.folder() / "clap")
    return clip_clap.networks(motion=paper.R2Plus1D((1,)))


def test_a_folder_of_films(saved, tmp_path):
    make_film(tmp_path / "a.mp4", seconds=3.0), make_film(tmp_path / "b.mp4", seconds=3.0, audio=None)
    extract(tmp_path, tmp_path / "set", networks=saved, progress=False)
    videos = load(tmp_path / "set", None)
    shapes = {stream: values.shape[1:] for stream, values in videos.features.items()}
    assert shapes == {"audio": (3, 32), "frames": (3, 12), "clip": (3, 64)}
    np.testing.assert_allclose(np.linalg.norm(videos.features["frames"], axis=2), 1, atol=1e-3)
    weights = json.loads((tmp_path / "set" / "extraction.json").read_text())["networks"]["weights"]
    assert len(weights["clip"]["sha256"]) == 64 == len(weights["clap"]["sha256"]) and weights["clip"]["file"] == "model.safetensors"
    assert videos.present[list(videos.ids).index("b")].tolist() == [False, True]


def test_sounds_are_heard_where_they_are(saved):
    """A second's row changes most with that second's sound; equal calls are equal."""
    sounds = [tone(1.0, clip_clap.RATE, start=t)[0] for t in range(10)]
    plain = saved.together(sounds)["audio"]
    assert plain.shape == (10, 32) and (saved.together(sounds)["audio"] == plain).all()
    tokens = torch.arange(32.0).expand(1, 5, 2, 32)
    rows = clip_clap.rows(tokens, 1.0, 10)
    assert rows.shape == (10, 5) and (rows.diff(dim=0) > 0).all() and rows.mean() == pytest.approx(15.5, abs=1e-3)
    assert clip_clap.rows(tokens, 0.3, 3)[:, 0] == pytest.approx(rows[:3, 0], abs=0.05)


def test_pictures_as_clip_wants_them(saved):
    picture = np.full((48, 96, 3), 255, np.uint8)
    picture[:, :20] = 0  # what the middle leaves out
    made = clip_clap.picture_input(picture)
    assert made.shape == (3, 224, 224)
    assert float(made[0].min()) == pytest.approx((1 - 0.48145466) / 0.26862954, rel=1e-4)
    library = transformers.CLIPImageProcessorPil() if hasattr(transformers, "CLIPImageProcessorPil") else None
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    if library is not None:
        theirs = torch.as_tensor(np.asarray(library(noise, return_tensors="np")["pixel_values"][0]))
        torch.testing.assert_close(clip_clap.picture_input(noise), theirs, atol=0.02, rtol=0)


def test_what_cannot_be_had_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("CMPAE_HOME", str(tmp_path))
    damaged = clip_clap.folder() / "clip"
    damaged.mkdir(parents=True)
    (damaged / "config.json").write_text("no model")
    with pytest.raises(InputError, match="put the model's folder"):
        clip_clap.model("clip")
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(InputError, match="need transformers"):
        clip_clap.model("clap")
