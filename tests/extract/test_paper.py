"""LLP's networks against recordings of torchvision's and torchvggish's own classes, and their input against plain loops."""

import json
import math

import numpy as np
import pytest
import torch
from films import make_film, tone

from cmpae_toolkit import cli
from cmpae_toolkit.config import StreamSpec
from cmpae_toolkit.data import load
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.extract import Networks, extract, paper
from cmpae_toolkit.extract.check import compare


def by_formula(net):
    """Every parameter and buffer by a formula of its place, as when the recordings were made."""
    for place, (name, tensor) in enumerate(net.state_dict().items()):
        if not tensor.is_floating_point():
            continue
        wave = torch.sin(torch.arange(tensor.numel(), dtype=torch.float64) * 12.9898 + place * 0.5)
        if name.endswith("running_var"):
            value = 1 + 0.3 * wave
        elif name.endswith("running_mean"):
            value = 0.1 * wave
        elif tensor.ndim == 1:
            value = 1 + 0.2 * wave if name.endswith("weight") else 0.1 * wave
        else:
            value = wave * math.sqrt(4 / tensor[0].numel())
        tensor.copy_(value.reshape(tensor.shape).to(tensor.dtype))
    return net.eval()


def wave(*shape):
    return torch.cos(torch.arange(math.prod(shape), dtype=torch.float64) * 0.1).float().reshape(shape)


@pytest.mark.parametrize(
    ("name", "make", "shape"),
    [
        ("resnet50", lambda: paper.ResNet((3, 4, 6, 3)), (1, 3, 224, 224)), ("r2plus1d_18", paper.R2Plus1D, (1, 3, 8, 112, 112)),
        ("vggish", paper.VGGish, (1, 96, 64)),
    ],
)
def test_networks_equal_their_recordings(shared, name, make, shape):
    recorded = json.loads((shared / "extraction" / "recordings.json").read_text())[name]
    with torch.no_grad():
        found = by_formula(make())(wave(*shape))[0].double()
    np.testing.assert_allclose(found[:8], recorded["first 8"], rtol=1e-4, atol=1e-4)
    assert float(found.norm()) == pytest.approx(recorded["norm"], rel=1e-5)
    assert float(found.mean()) == pytest.approx(recorded["mean"], rel=1e-5)


def test_resnet_152_has_its_parameters():
    with torch.device("meta"):
        count = sum(p.numel() for p in paper.ResNet().parameters())
    assert count == 60_192_808 - 2048 * 1000 - 1000  # as published, without the classifier


def test_log_mel_by_a_plain_loop():
    sound = tone(1.0)[0]
    found = paper.log_mel(sound).numpy()
    edges = np.linspace(1127 * math.log(1 + 125 / 700), 1127 * math.log(1 + 7500 / 700), 66)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    for frame, band in ((0, 3), (40, 12), (97, 60)):
        magnitude = np.abs(np.fft.rfft(sound[160 * frame : 160 * frame + 400] * window, 512))
        total = 0.0
        for k in range(1, 257):
            at = 1127 * math.log(1 + k * 8000 / 256 / 700)
            rise = (at - edges[band]) / (edges[band + 1] - edges[band])
            fall = (edges[band + 2] - at) / (edges[band + 2] - edges[band + 1])
            total += max(0.0, min(rise, fall)) * magnitude[k]
        assert found[frame, band] == pytest.approx(math.log(total + 0.01), abs=1e-3)  # of 0.01, float32 keeps a thousandth
    assert found.shape == (98, 64) and paper.sound_input(sound[:100]).shape == (96, 64)


def test_pictures_are_cropped_or_squashed():
    picture = np.zeros((240, 320, 3), np.uint8)
    picture[:, 48:272] = 255  # what the middle keeps of 320, and some
    kept, squashed = paper.frame_input(picture), paper.clip_input(picture)
    assert kept.shape == (3, 224, 224) and squashed.shape == (3, 112, 112)
    assert float(kept[0].min()) == pytest.approx((1 - 0.485) / 0.229, rel=1e-5)
    assert float(squashed[0, 0, 0]) == pytest.approx(-0.43216 / 0.22803, rel=1e-5)


class Narrow(torch.nn.Module):
    """A tiny stand-in that keeps the shapes: means over all but the item and the first axis."""

    def __init__(self, width):
        super().__init__()
        self.layer = torch.nn.Linear(1, width)

    def forward(self, x):
        return self.layer(x.flatten(1).mean(1, keepdim=True)).relu()


def tiny_paper():
    torch.manual_seed(0)
    parts = paper.Paper({"audio": Narrow(128), "frames": Narrow(2048), "clip": Narrow(512)})
    return Networks("paper", paper.STREAMS, paper.RATE, paper.PICTURES, parts, paper.about())


def test_folders_have_the_shapes_of_llp_and_are_compared(tmp_path, capsys):
    make_film(tmp_path / "a.mp4", seconds=3.0)
    extract(tmp_path / "a.mp4", tmp_path / "one", networks=tiny_paper(), progress=False)
    videos = load(tmp_path / "one", None)
    assert videos.spec.streams == {
        "audio": StreamSpec(128, 1, "audio"), "frames": StreamSpec(2048, 8, "visual"), "clip": StreamSpec(512, 1, "visual"),
    }
    assert videos.snippets == 3
    extract(tmp_path / "a.mp4", tmp_path / "two", networks=tiny_paper(), progress=False)
    same = compare(tmp_path / "one", tmp_path / "two")
    assert (same["least"] > 1 - 1e-9).all() and same.loc["frames", "rows"] == 24
    path = tmp_path / "two" / "feats" / "clip" / "a.npy"
    changed = np.load(path)
    changed[1] = -changed[1]
    np.save(path, changed)
    assert compare(tmp_path / "one", tmp_path / "two").loc["clip", "least"] == pytest.approx(-1)
    np.save(path, changed[:2])
    with pytest.raises(InputError, match="other snippets"):
        compare(tmp_path / "one", tmp_path / "two")
    path.write_bytes(b"no numbers")
    with pytest.raises(InputError, match="no readable feature file"):
        compare(tmp_path / "one", tmp_path / "two")
    path.rename(path.with_name("b.npy"))
    assert "clip" not in compare(tmp_path / "one", tmp_path / "two").index


def test_the_command_compares(tmp_path, capsys):
    make_film(tmp_path / "a.mp4", seconds=1.0)
    for out in ("one", "two"):
        more = ["--check", str(tmp_path / "one")] if out == "two" else []
        assert cli.main(["extract", str(tmp_path / "a.mp4"), "--out", str(tmp_path / out), "--networks", "handmade", *more]) == 0
    assert "Cosine similarity" in capsys.readouterr().out


def test_weights_of_another_network_are_refused():
    values = paper.R2Plus1D((1, 1)).state_dict()
    assert paper.filled(paper.R2Plus1D((1, 1)), values | {"fc.weight": torch.ones(1)}, "x.pth") is not None
    with pytest.raises(InputError, match="another network"):
        paper.filled(paper.R2Plus1D((1, 2)), values, "x.pth")
