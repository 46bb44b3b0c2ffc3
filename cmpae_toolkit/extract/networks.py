"""What turns snippets into features: `NETWORKS` by name, or your own."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import InputError, InputWarning
from . import decoding, signals

Compute = Callable[[np.ndarray | None, tuple[np.ndarray, ...], np.ndarray | None], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Networks:
    """One way to extract. `streams`: stream -> its modality, "audio" or "visual"; `rate`: of the sound in Hz; `pictures` a snippet.

    `compute(sound, pictures, before)` gives {stream: (position, width)} of one snippet: `sound` (sample,) or None, `pictures` (height,
    width, 3), uint8, or none, `before` the last picture of the snippet before or None. A stream of a modality that is not there is
    left out. `about` says in plain values where it comes from: names, checksums, preprocessing.

    `together`, where there is one, hears the sounds (sample,) of up to ten seconds of snippets at once, and gives {stream: (snippet,
    width)} beside what `compute` gives. `read` takes the place of `decoding.snippets`.
    """

    name: str
    streams: Mapping[str, str]
    rate: int
    pictures: int
    compute: Compute
    about: Mapping[str, Any] = field(default_factory=dict)
    together: Callable[[Sequence[np.ndarray]], dict[str, np.ndarray]] | None = None
    read: Callable[..., Iterator[decoding.Snippet]] = decoding.snippets


def handmade(device: str | None = None) -> Networks:
    """Signal features without any network: see `signals`."""
    about = {
        "sound": "log-mel: 16 kHz mono, 48 bands from 60 Hz to 8 kHz, Hann windows of 25 ms every 10 ms; mean, deviation, maximum, change",
        "pictures": "four a snippet, from the middles of its quarters, stretched to 192 x 144: colours in 48 cells, edges in 12, change",
        "weights": "none: hand-made features, no network",
    }
    streams = {"audio": "audio", "frames": "visual"}
    return Networks("handmade", streams, signals.RATE, signals.PICTURES, signals.features, about)


def light(device: str | None = None) -> Networks:
    """aiSFX for sounds and EfficientNet-Lite0 for pictures (see `light`); hand-made features, with a warning, where their weights
    cannot be had."""
    from . import light as parts

    try:
        parts.make_ready()
        return Networks("light", {"audio": "audio", "frames": "visual"}, parts.RATE, parts.PICTURES, parts.Light(device), parts.about())
    except InputError as error:
        warnings.warn(f"hand-made features are taken instead of the networks: {error}", InputWarning, stacklevel=3)
        return handmade(device)


def paper(device: str | None = None) -> Networks:
    """LLP's own networks, as the paper's features were made (see `paper`); a GPU is meant. Raises InputError without their weights."""
    from . import paper as parts

    return Networks("paper", parts.STREAMS, parts.RATE, parts.PICTURES, parts.load(device), parts.about())


def as_released(device: str | None = None) -> Networks:
    """LLP's own networks, with the quirks of the features that were published (see `as_released`)."""
    from . import as_released as quirks
    from . import paper as parts

    about = parts.about() | quirks.about()
    return Networks(AS_RELEASED, parts.STREAMS, parts.RATE, parts.PICTURES, parts.load(device), about, read=quirks.snippets)


def clip_clap(device: str | None = None) -> Networks:
    """CLIP, CLAP and R(2+1)D-18 (see `clip_clap`); a GPU is meant. Raises InputError without transformers or the weights."""
    from . import clip_clap as parts

    return parts.networks(device)


AS_RELEASED = "paper-as-released"
NETWORKS: dict[str, Callable[[str | None], Networks]] = {
    "light": light, "handmade": handmade, "paper": paper, AS_RELEASED: as_released, "clip-clap": clip_clap,
}


def get(networks: str | Networks, device: str | None = None) -> Networks:
    """Finds networks by name, or your own by `package.module:name` of a `Networks` or a function of the device that makes one.

    Raises InputError where there are none of that name, or what they need is missing.
    """
    if isinstance(networks, Networks):
        return networks
    if networks in NETWORKS:
        return NETWORKS[networks](device)
    module, colon, name = networks.partition(":")
    if not colon:
        raise InputError(f"there are no networks {networks!r}: use one of {', '.join(NETWORKS)}, or package.module:name for your own.")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InputError(f"the networks {networks!r} cannot be imported ({error}).") from None
    made = found if isinstance(found, Networks) else found(device)
    if not isinstance(made, Networks):
        raise InputError(f"{networks!r} is no cmpae_toolkit.extract.Networks and makes none.")
    return made
