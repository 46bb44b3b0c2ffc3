"""CLIP and CLAP: tiny networks with random weights, saved in the real formats; no hub is reached."""

import json

import numpy as np
import pytest
import torch
from films import make_film, tone

from cmpae_toolkit.cli import main
from cmpae_toolkit.data import load
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.extract import clip_clap, extract, paper, teachers
from cmpae_toolkit.methods import snippet_labels

transformers = pytest.importorskip("transformers", reason="transformers is not installed: pip install transformers")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The two models in the folder where models put by hand lie."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CMPAE_HOME", str(tmp_path_factory.mktemp("home")))
        yield saved_models()


def saved_models():
    """Both models whole, as their repositories hold them, with tokenizers that know single letters."""
    torch.manual_seed(0)
    letters = [chr(i) for i in range(33, 127)]
    known = ["<|startoftext|>", "<|endoftext|>", *letters, *(c + "</w>" for c in letters)]
    small = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    clip = transformers.CLIPConfig(
        text_config=small | dict(vocab_size=len(known), bos_token_id=0, eos_token_id=1, pad_token_id=1, projection_dim=12),
        vision_config=small | dict(image_size=32, patch_size=16, projection_dim=12), projection_dim=12,
    )
    transformers.CLIPModel(clip).save_pretrained(clip_clap.folder() / "clip")
    transformers.CLIPTokenizer(vocab={w: i for i, w in enumerate(known)}, merges=[]).save_pretrained(clip_clap.folder() / "clip")
    known = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *letters, *("\u0120" + c for c in letters)]
    hearing = dict(hidden_size=32, patch_embeds_hidden_size=4, depths=[1] * 4, num_attention_heads=[1] * 4, enable_fusion=True)
    clap = transformers.ClapConfig(
        text_config=small | dict(vocab_size=len(known), projection_dim=8), audio_config=hearing | dict(projection_dim=8), projection_dim=8
    )
    transformers.ClapModel(clap).save_pretrained(clip_clap.folder() / "clap")
    transformers.RobertaTokenizer(vocab={w: i for i, w in enumerate(known)}, merges=[]).save_pretrained(clip_clap.folder() / "clap")
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


@pytest.fixture(scope="module")
def labelled(saved, tmp_path_factory):
    """Nine films with timed labels, as features of the two networks."""
    place = tmp_path_factory.mktemp("films")
    rows = []
    for i in range(9):
        make_film(place / f"{i}.mp4", seconds=3.0, **({"audio": None} if i == 8 else {}))
        rows.append(f"{i}.mp4,{i % 3 // 2},{2 + i % 2},{'Baby_cry' if i % 2 else 'Dog'}")
    (place / "events.csv").write_text("\n".join(["filename,onset,offset,category", *rows]) + "\n")
    extract(place, place / "set", networks=saved, labels=place / "events.csv", progress=False)
    return place / "set"


def test_a_snippets_scores_are_cosines_with_words(saved, labelled):
    videos = load(labelled, "train")
    found = teachers.scores(videos)
    assert found.shape == (len(videos), 2, 3, 2) and (np.abs(found) <= 1.0001).all()
    words = teachers.vectors_of_words("clip", ["A photo of baby cry.", "A photo of dog."])
    assert words.norm(dim=1) == pytest.approx(torch.ones(2)) and videos.categories == ("Baby_cry", "Dog")
    np.testing.assert_allclose(found[:, 1], np.float32(videos.features["frames"]) @ words.numpy().T, atol=2e-3)
    alone = teachers.vectors_of_words("clap", ["This is a sound of dog."])  # unmoved by a longer sentence beside it
    both = teachers.vectors_of_words("clap", ["This is a sound of dog.", "This is a sound of baby cry, far away."])
    torch.testing.assert_close(alone[0], both[0])
    other = teachers.scores(videos, teachers.sentences_about(["cat", "cat"]))
    np.testing.assert_allclose(other[..., 0], other[..., 1])


def test_claps_tokens_become_its_own_vector(saved):
    """What the library makes of ten seconds is what becomes of the mean of their rows."""
    sounds = [tone(1.0, clip_clap.RATE, start=t)[0] for t in range(10)]
    network = clip_clap.model("clap")[0].eval()
    spectrum = saved.together.__self__.spectra(np.concatenate(sounds), sampling_rate=clip_clap.RATE, return_tensors="pt")["input_features"]
    with torch.inference_mode():
        theirs = network(input_features=spectrum.float(), is_longer=torch.ones(1, 1, dtype=torch.bool)).audio_embeds[0]
        ours = network.audio_projection(torch.from_numpy(saved.together(sounds)["audio"]).mean(0))
    torch.testing.assert_close(torch.nn.functional.normalize(ours, dim=0), torch.nn.functional.normalize(theirs, dim=0), atol=1e-3, rtol=0)


def test_labels_from_the_command_line_train_valor(labelled, tmp_path, capsys):
    sentences = {m: {"Baby_cry": "A baby.", "Dog": "A dog."} for m in ("audio", "visual")}
    (tmp_path / "sentences.json").write_text(json.dumps(sentences))
    asked = ["labels", "--data", str(labelled), "--out", str(tmp_path / "labels"), "--sentences", str(tmp_path / "sentences.json")]
    assert main(asked) == 0
    assert "F on val" in capsys.readouterr().out
    train_set = load(labelled, "train")
    made = snippet_labels.read_snippet_labels(tmp_path / "labels", train_set)
    assert made.shape == (len(train_set), 2, 3, 2) and not made.permute(0, 3, 1, 2)[torch.as_tensor(train_set.weak_labels) < 0.5].any()
    quick = ["--width", "8", "--epochs", "1", "--attention-heads", "2", "--out", str(tmp_path / "run"), "--data", str(labelled)]
    assert main(["train", "--method", "valor", "--snippet-labels", str(tmp_path / "labels"), *quick]) == 0
    (tmp_path / "sentences.json").write_text('{"audio": {}, "visual": {}}')
    assert main(asked) == 2
    assert "Baby_cry" in capsys.readouterr().err


def test_features_of_other_networks_have_no_scores(saved):
    with pytest.raises(InputError, match="networks clip-clap"):
        teachers.scores(load("tiny", "val"))


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
