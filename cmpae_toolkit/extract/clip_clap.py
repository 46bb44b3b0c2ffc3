"""What newer methods see and hear with: CLIP ViT-L/14, LAION-CLAP, and R(2+1)D-18 of LLP's own features.

CLIP looks at the picture in the middle of a snippet. CLAP hears up to ten seconds at once; its tokens are brought to one row a
snippet by averaging, which is what VALOR's first layer does after a linear map. Both networks come through the library transformers,
by the commit of their repository; the checksum of the file that was read goes into the provenance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .._files import home, sha256
from ..errors import InputError
from . import paper
from .networks import Networks

RATE, PICTURES, SIZE = 48_000, 8, 224  # Hz; pictures a snippet, for R(2+1)D; pixels of CLIP's picture
MISSING = "CLIP and CLAP need transformers: `pip install 'transformers>=5'`, or use other --networks."
LONGEST = 10 * RATE  # samples that CLAP hears at once
STREAMS = {"audio": "audio", "frames": "visual", "clip": "visual"}
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # of CLIP's pictures
MODELS: Mapping[str, Mapping[str, str]] = {
    "clip": {
        "name": "openai/clip-vit-large-patch14", "revision": "32bd64288804d66eefd0ccbe215aa642df71cc41",
        "sha256": "a2bf730a0c7debf160f7a6b50b3aaf3703e7e88ac73de7a314903141db026dcb",
    },
    "clap": {"name": "laion/clap-htsat-fused", "revision": "cca9e288ab447cee67d9ada1f85ddb46500f1401"},
}


def folder() -> Path:
    """Where models put by hand lie: `clip` and `clap`, each as `save_pretrained` writes it."""
    return home() / "networks" / "clip-clap"


def networks(device: str | None = None, motion: nn.Module | None = None) -> Networks:
    """All three networks. `motion`: in the place of R(2+1)D-18. Raises InputError without transformers or the weights."""
    found = {part: model(part) for part in MODELS}
    motion = paper.filled(paper.R2Plus1D(), paper.weights("clip"), paper.WEIGHTS["clip"]) if motion is None else motion
    parts = ClipClap(found["clip"][0], found["clap"][0], motion, device)
    about = {
        "sound": "CLAP on up to 10 s of sound at 48 kHz mono, repeated where shorter; its last tokens, averaged: 768 values a snippet",
        "pictures": "CLIP on the fifth of eight pictures a snippet: shorter side 224, middle, unit length, 768 values; R(2+1)D-18 on "
                    "all eight, 512 values",
        "weights": {part: dict(each[1]) for part, each in found.items()} | {"motion": paper.WEIGHTS["clip"]},
    }
    return Networks("clip-clap", STREAMS, RATE, PICTURES, parts, about, together=parts.hear)


def model(part: str) -> tuple[nn.Module, dict[str, str]]:
    """The network "clip" that sees or "clap" that hears, from `folder()` where it lies there, else through its library's loader; and
    what it is.

    Raises InputError where transformers is missing, the weights cannot be had, or their checksum is another.
    """
    try:
        from transformers import ClapAudioModelWithProjection, CLIPVisionModelWithProjection
        from transformers.utils import cached_file
    except ImportError:
        raise InputError(MISSING) from None
    kind = {"clip": CLIPVisionModelWithProjection, "clap": ClapAudioModelWithProjection}[part]
    about, own = dict(MODELS[part]), folder() / part
    names = ("model.safetensors", "pytorch_model.bin")

    def loaded(place: str, **revision: str) -> tuple[nn.Module, str]:
        net = kind.from_pretrained(place, **revision)
        files = (cached_file(place, name, _raise_exceptions_for_missing_entries=False, **revision) for name in names)
        return net, next(found for found in files if found)

    net, file = _had(part, loaded)
    digest = sha256(Path(file))
    if not own.is_dir() and digest != about.get("sha256", digest):
        raise InputError(f"{file} has another sha256 than {about['name']} should: delete it, and it is fetched anew.")
    return net, ({"name": f"put into {own.name} by hand"} if own.is_dir() else about) | {"file": Path(file).name, "sha256": digest}


def words(part: str) -> tuple[nn.Module, Any]:
    """The network of "clip" or "clap" that reads, with its tokenizer, from the same place as `model`. Raises InputError as that does."""
    try:
        from transformers import AutoTokenizer, ClapTextModelWithProjection, CLIPTextModelWithProjection
    except ImportError:
        raise InputError(MISSING) from None
    kind = {"clip": CLIPTextModelWithProjection, "clap": ClapTextModelWithProjection}[part]
    net, tokenizer = _had(part, lambda place, **revision: (
        kind.from_pretrained(place, **revision), AutoTokenizer.from_pretrained(place, **revision)
    ))
    return net.eval().requires_grad_(False), tokenizer


def _had(part: str, load: Callable[..., Any]) -> Any:
    """What `load(place, revision=...)` makes of the folder of one's own, or of the published repository."""
    about, own = MODELS[part], folder() / part
    try:
        return load(str(own)) if own.is_dir() else load(about["name"], revision=about["revision"])
    except Exception as error:  # a hub, a disk and a damaged file raise nearly anything
        text = f"could not be had ({type(error).__name__}): look at your connection, or put the model's folder to {own}"
        raise InputError(f"{about['name']} {text}.") from None


class ClipClap:
    """Computes features with the three networks, on a device: pictures snippet by snippet, sounds together."""

    def __init__(self, clip: nn.Module, clap: nn.Module, motion: nn.Module, device: str | None = None) -> None:
        from transformers import ClapFeatureExtractor

        self.device = torch.device(device or "cpu")
        self.clip, self.clap, self.motion = (net.eval().requires_grad_(False).to(self.device) for net in (clip, clap, motion))
        # "fusion" also chooses the bank of filters that the network was trained with
        self.spectra = ClapFeatureExtractor(feature_size=clap.config.num_mel_bins, truncation="fusion", padding="repeatpad")

    def __call__(self, sound: np.ndarray | None, pictures: tuple[np.ndarray, ...], before: np.ndarray | None) -> dict[str, np.ndarray]:
        if not pictures:
            return {}
        size = self.clip.config.image_size
        motion = torch.stack([paper.clip_input(picture) for picture in pictures], dim=1)[None]
        with torch.inference_mode():
            seen = self.clip(pixel_values=picture_input(pictures[len(pictures) // 2], size)[None].to(self.device)).image_embeds
            moved = self.motion(motion.to(self.device))
        return {"frames": F.normalize(seen, dim=1).cpu().numpy(), "clip": moved.cpu().numpy()}

    def hear(self, sounds: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """"audio" (snippet, width) of consecutive sounds (sample,) at 48 kHz that last ten seconds at most together."""
        sound = np.concatenate(sounds)[:LONGEST]
        spectrum = self.spectra(sound, sampling_rate=RATE, return_tensors="pt")["input_features"]
        with torch.inference_mode():  # alone in its batch a sound is always fused, as at the published features
            asked = {"input_features": spectrum.float().to(self.device), "is_longer": torch.ones(1, 1, dtype=torch.bool)}
            tokens = self.clap(**asked).last_hidden_state
        return {"audio": rows(tokens, len(sound) / LONGEST, len(sounds)).cpu().numpy()}


def rows(tokens: torch.Tensor, share: float, count: int) -> torch.Tensor:
    """Tokens (1, width, frequency, time) of ten seconds -> (count, width) of their first `share` in 0..1."""
    fine = F.interpolate(tokens, (tokens.shape[2], 1024), mode="bicubic", align_corners=False).mean(2)
    return F.adaptive_avg_pool1d(fine[..., : max(count, round(1024 * share))], count)[0].T


def picture_input(picture: np.ndarray, size: int = SIZE) -> torch.Tensor:
    """(height, width, 3), uint8 -> (3, size, size) as CLIP wants it: the shorter side, bicubic, the middle, standardised."""
    from PIL import Image

    height, width = picture.shape[:2]
    scale = size / min(height, width)
    wide, high = max(size, int(width * scale)), max(size, int(height * scale))
    small = np.asarray(Image.fromarray(picture).resize((wide, high), Image.Resampling.BICUBIC))
    top, left = (high - size) // 2, (wide - size) // 2
    return paper.standardised(small[top : top + size, left : left + size], MEAN, STD)
