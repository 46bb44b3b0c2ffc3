"""LLP's own networks: VGGish for sounds, ResNet-152 and R(2+1)D-18 for pictures, as the features of the CMPAE paper were made.

Each is plain torch with the parameter names of its published weight file, so that torchvision and TensorFlow are not needed. The
released features differ in small ways, which `as_released` imitates. `check.compare` tells how close features are to published ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._files import home
from ..errors import InputError

RATE, PICTURES, FRAMES = 16_000, 8, 96  # Hz; pictures a snippet; spectra that VGGish reads: the first 0.975 s
WEIGHTS = {  # the digits at the end of a name are the beginning of the file's sha256
    "audio": "https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
    "frames": "https://download.pytorch.org/models/resnet152-394f9c45.pth",
    "clip": "https://download.pytorch.org/models/r2plus1d_18-91a641e6.pth",
}
STREAMS = {"audio": "audio", "frames": "visual", "clip": "visual"}
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
KINETICS = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)


class VGGish(nn.Module):
    """VGGish up to its last ReLU, without PCA: (item, 96, 64) -> (item, 128). Hershey et al., ICASSP 2017."""

    def __init__(self, widths: Sequence[int] = (64, 128, 256, 512), hidden: int = 4096) -> None:
        super().__init__()
        layers, before = [], 1
        for place, width in enumerate(widths):
            for _ in range(1 if place < 2 else 2):
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
                before = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        sizes = (24 * before, hidden, hidden, 128)
        self.embeddings = nn.Sequential(*(m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.ReLU())))

    def forward(self, x: Tensor) -> Tensor:
        return self.embeddings(self.features(x[:, None]).permute(0, 2, 3, 1).flatten(1))  # time, band, channel


class ResNet(nn.Module):
    """ResNet-152 without its classifier: (item, 3, 224, 224) -> (item, 2048). He et al., CVPR 2016."""

    def __init__(self, layers: Sequence[int] = (3, 8, 36, 3)) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.layers = [f"layer{place + 1}" for place in range(len(layers))]
        before = 64
        for place, (name, count) in enumerate(zip(self.layers, layers, strict=True)):
            width = 64 * 2**place
            blocks = [Bottleneck(before if i == 0 else 4 * width, width, 2 if place and i == 0 else 1) for i in range(count)]
            self.add_module(name, nn.Sequential(*blocks))
            before = 4 * width

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for name in self.layers:
            x = getattr(self, name)(x)
        return x.mean((2, 3))


class Bottleneck(nn.Module):
    """Three convolutions, narrow in the middle, beside a shortcut."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        if stride > 1 or before != 4 * width:
            self.downsample = nn.Sequential(nn.Conv2d(before, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return F.relu(self.bn3(self.conv3(y)) + (self.downsample(x) if hasattr(self, "downsample") else x))


class R2Plus1D(nn.Module):
    """R(2+1)D-18 without its classifier: (item, 3, 8, 112, 112) -> (item, 512). Tran et al., CVPR 2018."""

    def __init__(self, layers: Sequence[int] = (2, 2, 2, 2)) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(3, 45, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False), nn.BatchNorm3d(45), nn.ReLU(),
            nn.Conv3d(45, 64, (3, 1, 1), 1, (1, 0, 0), bias=False), nn.BatchNorm3d(64), nn.ReLU(),
        )
        self.layers = [f"layer{place + 1}" for place in range(len(layers))]
        before = 64
        for place, (name, count) in enumerate(zip(self.layers, layers, strict=True)):
            width = 64 * 2**place
            blocks = [SpaceThenTime(before if i == 0 else width, width, 2 if place and i == 0 else 1) for i in range(count)]
            self.add_module(name, nn.Sequential(*blocks))
            before = width

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for name in self.layers:
            x = getattr(self, name)(x)
        return x.mean((2, 3, 4))


class SpaceThenTime(nn.Module):
    """Two convolutions, each in space and then in time, beside a shortcut."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        middle = before * width * 27 // (before * 9 + 3 * width)  # as many parameters as a convolution in space and time has
        self.conv1 = nn.Sequential(_apart(before, middle, width, stride), nn.BatchNorm3d(width), nn.ReLU())
        self.conv2 = nn.Sequential(_apart(width, middle, width, 1), nn.BatchNorm3d(width))
        if stride > 1 or before != width:
            self.downsample = nn.Sequential(nn.Conv3d(before, width, 1, stride, bias=False), nn.BatchNorm3d(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv2(self.conv1(x)) + (self.downsample(x) if hasattr(self, "downsample") else x))


def _apart(before: int, middle: int, width: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(before, middle, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False), nn.BatchNorm3d(middle), nn.ReLU(),
        nn.Conv3d(middle, width, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False),
    )


def log_mel(sound: np.ndarray) -> Tensor:
    """Samples (sample,) at 16 kHz -> (frame, 64): log(magnitude + 0.01) of HTK mel bands of 125 to 7500 Hz, 25 ms every 10 ms."""
    pieces = torch.from_numpy(np.ascontiguousarray(sound, dtype=np.float32)).unfold(0, 400, 160)
    window = torch.hann_window(400, periodic=True)
    return torch.log(torch.fft.rfft(F.pad(pieces * window, (0, 112))).abs() @ _mel() + 0.01)


@cache
def _mel() -> Tensor:
    """(bin, band): triangles in mels, 0 at 0 Hz."""
    def mel(hertz: Any) -> Any:
        return 1127 * np.log1p(np.asarray(hertz) / 700)

    at, edges = mel(np.linspace(0, RATE / 2, 257))[:, None], np.linspace(mel(125), mel(7500), 66)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    weights = np.clip(np.minimum((at - low) / (middle - low), (high - at) / (high - middle)), 0, None)
    weights[0] = 0
    return torch.from_numpy(weights.astype(np.float32))


def sound_input(sound: np.ndarray) -> Tensor:
    """The first 0.975 s of a snippet's sound, silence behind where it is shorter: (96, 64)."""
    needed = 400 + 160 * (FRAMES - 1)
    return log_mel(np.pad(sound[:needed], (0, max(0, needed - len(sound)))))


def frame_input(picture: np.ndarray) -> Tensor:
    """(height, width, 3), uint8 -> (3, 224, 224): the shorter side to 256, the middle, standardised."""
    height, width = picture.shape[:2]
    scale = 256 / min(height, width)
    small = _resized(picture, (256, int(height * scale)) if width <= height else (int(width * scale), 256))
    top, left = (round((length - 224) / 2) for length in small.shape[:2])
    return standardised(small[top : top + 224, left : left + 224], *IMAGENET)


def clip_input(picture: np.ndarray) -> Tensor:
    """(height, width, 3), uint8 -> (3, 112, 112): squashed, standardised."""
    return standardised(_resized(picture, (112, 112)), *KINETICS)


def _resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))


def standardised(picture: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(height, width, 3), uint8 -> (3, height, width), float32, of this mean and deviation."""
    x = torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)
    return (x - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


class Paper:
    """Computes a snippet's features with the three networks, on a device. `nets`: stream -> network."""

    def __init__(self, nets: Mapping[str, nn.Module], device: str | None = None) -> None:
        self.device = torch.device(device or "cpu")
        self.nets = {stream: net.eval().requires_grad_(False).to(self.device) for stream, net in nets.items()}

    def __call__(self, sound: np.ndarray | None, pictures: tuple[np.ndarray, ...], before: np.ndarray | None) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        if sound is not None:
            found["audio"] = self._run("audio", sound_input(sound)[None])
        if pictures:
            found["frames"] = np.concatenate([self._run("frames", frame_input(picture)[None]) for picture in pictures])
            found["clip"] = self._run("clip", torch.stack([clip_input(picture) for picture in pictures], dim=1)[None])
        return found

    def _run(self, stream: str, batch: Tensor) -> np.ndarray:
        with torch.inference_mode():
            return self.nets[stream](batch.to(self.device)).float().cpu().numpy()


def load(device: str | None = None) -> Paper:
    """The three networks with their published weights (655 MB), fetched at first use to CMPAE_HOME. Raises InputError."""
    made = {"audio": VGGish, "frames": ResNet, "clip": R2Plus1D}
    return Paper({stream: filled(make(), weights(stream), WEIGHTS[stream]) for stream, make in made.items()}, device)


def filled(net: nn.Module, values: Mapping[str, Tensor], source: str) -> nn.Module:
    """The network with these weights; those of a classifier are left out. Raises InputError where they are of another one."""
    wanted = [name for name in net.state_dict() if not name.endswith("num_batches_tracked")]
    unfit = [name for name in wanted if name not in values or values[name].shape != net.state_dict()[name].shape]
    if unfit:
        raise InputError(f"{Path(source).name} is of another network: {unfit[0]} is not there, or has another shape.")
    net.load_state_dict({name: values[name] for name in wanted}, strict=False)
    return net


def weights(stream: str) -> Mapping[str, Tensor]:
    """The published weights of a stream's network; torch compares the file's sha256 with the digits in its name."""
    url, place = WEIGHTS[stream], home() / "networks" / "paper"
    try:
        return torch.hub.load_state_dict_from_url(
            url, model_dir=str(place), map_location="cpu", check_hash=True, weights_only=True, progress=False
        )
    except Exception as error:  # the network, the disk and a damaged file raise nearly anything
        text = f"could not be had ({type(error).__name__}): look at your connection, or put the file into {place} by hand"
        raise InputError(f"{url} {text}.") from None


def about() -> dict[str, Any]:
    """What provenance says of these networks."""
    return {
        "sound": "VGGish before PCA on the first 0.975 s of the snippet at 16 kHz mono; log-mel, 64 bands; 128 values",
        "pictures": "eight a snippet, from its eighths' middles; ResNet-152: shorter side 256, middle 224, 2048 values each; R(2+1)D-18: "
                    "all eight squashed to 112 x 112, 512 values",
        "weights": dict(WEIGHTS),
    }
