"""What CLIP sees and CLAP hears in each snippet, as scores of the categories' names: the teachers of VALOR, LEAP and UWAV.

The networks that made a data set's features with `--networks clip-clap` are asked once more, for words this time: a score is the cosine
of a snippet's vector with that of a sentence about the category. VALOR's authors gave CLAP a second of sound at a time; here it is
the second's share of what CLAP heard in ten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from .._files import read_json
from ..config import MODALITIES
from ..data.videoset import VideoSet
from ..errors import InputError
from . import clip_clap

SENTENCES = {"audio": "This is a sound of {}.", "visual": "A photo of {}."}  # where a category has none of its own
NETWORKS = {"audio": "clap", "visual": "clip"}


def scores(video_set: VideoSet, sentences: Mapping[str, Sequence[str]] | None = None) -> np.ndarray:
    """Cosines of snippets and categories in -1..1: (video, modality, snippet, category), float32.

    `video_set`: features of the networks `clip-clap`. `sentences`: modality -> a sentence for each category. Raises InputError where
    the streams are others, or the networks cannot be had.
    """
    vectors = {"audio": _heard(video_set), "visual": _seen(video_set)}
    sentences = sentences or sentences_about(video_set.categories)
    found = []
    for modality in MODALITIES:
        names = vectors_of_words(NETWORKS[modality], sentences[modality])
        found.append(F.normalize(vectors[modality], dim=-1) @ names.T)
    return torch.stack(found, dim=1).numpy()


def sentences_about(categories: Sequence[str]) -> dict[str, list[str]]:
    """Modality -> a sentence about each category.

    >>> sentences_about(["Baby_cry"])
    {'audio': ['This is a sound of baby cry.'], 'visual': ['A photo of baby cry.']}
    """
    words = [category.replace("_", " ").lower() for category in categories]
    return {modality: [sentence.format(word) for word in words] for modality, sentence in SENTENCES.items()}


def read_sentences(path: Path, categories: Sequence[str]) -> dict[str, list[str]]:
    """Sentences of one's own from JSON {modality: {category: sentence}}; raises InputError where one is missing."""
    given = read_json(path)
    try:
        return {modality: [str(given[modality][category]) for category in categories] for modality in MODALITIES}
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} must hold a sentence for each category under audio and visual: {error} is missing.") from None


def vectors_of_words(part: str, sentences: Sequence[str]) -> torch.Tensor:
    """The sentences' vectors in the space of "clip" or "clap": (sentence, width), of unit length, float32."""
    network, tokenizer = clip_clap.words(part)
    tokens = tokenizer(list(sentences), padding=True, return_tensors="pt")
    with torch.inference_mode():
        return F.normalize(network(**tokens).text_embeds, dim=-1)


def _heard(video_set: VideoSet) -> torch.Tensor:
    """CLAP's vectors (video, snippet, width) of its tokens, which are what the stream `audio` holds."""
    network = clip_clap.model("clap")[0]
    tokens = _stream(video_set, "audio", network.config.hidden_size)
    with torch.inference_mode():
        return network.eval().audio_projection(tokens)


def _seen(video_set: VideoSet) -> torch.Tensor:
    return _stream(video_set, "frames", clip_clap.model("clip")[0].config.projection_dim)


def _stream(video_set: VideoSet, name: str, width: int) -> torch.Tensor:
    found = video_set.features.get(name)
    if found is None or found.shape[1:] != (video_set.snippets, width):
        raise InputError(
            f"{video_set.title}: the stream {name!r} is not of CLIP and CLAP: make the features by `cmpae extract --networks clip-clap`."
        )
    return torch.from_numpy(np.asarray(found, dtype=np.float32))
