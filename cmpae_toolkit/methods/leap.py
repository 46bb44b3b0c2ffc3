"""LEAP: the categories' names look for their snippets (Zhou et al., ECCV 2024).

A vector of each category's name attends to the snippets of a modality. Its last attention scores are the snippets' answer, and what
it has become is the video's. The training labels of snippets are VALOR's. `encoder` "pyramid" is MM-Pyramid's encoder, as in the
released code; the row that UWAV's paper prints is with "hybrid", HAN's.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import labels, losses
from .._fields import Count, DropoutRate, Positive, Share, Weight
from ..config import MODALITIES, DataSpec, HANConfig
from ..data.videoset import VideoSet
from ..errors import InputError
from ..layers import masked
from ..method import Batch, Evidence, Fit, Moment, Supervision
from ..opinion import PointEstimate
from .mm_pyramid import Pyramid, QueryLayer
from .snippet_labels import LABEL, OnSnippetLabels, read_numbers
from .valor import mean_by_modality


@dataclass(frozen=True)
class LEAPConfig(HANConfig):
    """LEAP as it was published."""

    method: ClassVar[str] = "leap"

    encoder: Literal["pyramid", "hybrid"] = "pyramid"  # of the snippets: MM-Pyramid's, or HAN's layer
    attention_heads: Count = 8  # of encoder and decoder
    units: Count = 4  # of the pyramid
    dropout: DropoutRate = 0.2  # of the blocks' residual branches
    decoder_layers: Count = 2  # of each modality
    label_vectors: str = ""  # an .npy file (category, width), see `vectors_of_names`; none: a fixed random vector for each name
    label_width: Count = 300  # of a name's vector
    snippet_labels: str = ""  # a folder of audio/<id>.npy and visual/<id>.npy, (snippet, category) in 0..1; "han": of a HAN trained first
    # what the similarity of sound and picture should be: events in common over all events (paper), or a count of common ones through
    # a sigmoid, with negative similarities cut off (released code)
    similarity: Literal["iou", "product"] = "iou"
    similarity_weight: Weight = 1.0  # of the term that makes snippets of the same events alike
    visual_smoothing: Share = 1.0

    epochs: Count = 30
    batch_size: Count = 32
    learning_rate: Positive = 1e-4


class Decoder(nn.Module):
    """The names' attention to one modality."""

    def __init__(self, config: LEAPConfig) -> None:
        super().__init__()
        sizes = (config.width, config.attention_heads, config.attention_dropout, config.dropout)
        self.layers = nn.ModuleList(QueryLayer(*sizes) for _ in range(config.decoder_layers))
        self.score = nn.Linear(config.width, 1)

    def forward(self, names: Tensor, x: Tensor, exists: Tensor | None) -> tuple[Tensor, Tensor]:
        """Names (video, category, width), snippets (video, snippet, width) -> logits (video, snippet, category), (video, category)."""
        seen = None if exists is None else exists.unsqueeze(1)
        for layer in self.layers:
            names = names + layer.dropout(layer.attention(layer.norm1(names), x, seen))
            looked = names
            names = layer.feed_forward(names)
        attention = layer.attention  # the last one's scores, of the names before their feed-forward step and without a norm
        query, key = attention.by_head(attention.query(looked)), attention.by_head(attention.key(x))
        scores = (query @ key.transpose(-1, -2)).mean(1) / query.shape[-1] ** 0.5
        return scores.transpose(1, 2), self.score(names).squeeze(-1)


class LEAP(OnSnippetLabels):
    """An encoder, and a decoder of each modality whose queries are the categories' names; the joint answer is a hard union."""

    Config = LEAPConfig
    tasks: ClassVar[frozenset[str]] = frozenset({"parsing"})  # the hard union ranks no category above another
    paper = "Zhou et al.: Label-anticipated event disentanglement for audio-visual video parsing. ECCV 2024"

    def __init__(self, config: LEAPConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        del self.classifier, self.temporal_attention, self.modality_attention  # the decoders stand in their place
        if config.encoder == "pyramid":
            self.hybrid_attention = Pyramid(config)
        known = not config.label_vectors or Path(config.label_vectors).is_file()
        # a checkpoint holds the vectors and outlives their file; without both, every answer is NaN and refused
        vectors = name_vectors(config, spec.categories) if known else torch.full((len(spec.categories), config.label_width), torch.nan)
        self.register_buffer("label_vectors", vectors)
        self.label_projection = nn.Linear(vectors.shape[1], config.width)
        self.decoders = nn.ModuleDict({m: Decoder(config) for m in MODALITIES})

    @classmethod
    def prepare(cls, config: LEAPConfig, train_set: VideoSet, val_set: VideoSet, fit: Fit) -> Supervision:
        name_vectors(config, train_set.categories)
        return super().prepare(config, train_set, val_set, fit)

    def judge(
        self, embedded: Tensor, cross_attention: bool = True, projected: Tensor | None = None, valid: Tensor | None = None
    ) -> Evidence:
        attended = self.hybrid_attention(embedded, cross_attention and self.config.cross_attention, projected, valid)
        names = self.label_projection(self.label_vectors).expand(len(attended), -1, -1)
        inputs = (attended[:, 0], self.visual_dropout(attended[:, 1]))
        seen = (None, None) if valid is None else valid.unbind(1)
        parts = [decoder(names, x, s) for decoder, x, s in zip(self.decoders.values(), inputs, seen, strict=True)]
        # in float32 also under autocast: the hard joint answer is 1, which the losses keep away from 1 by less than bfloat16 resolves
        snippet, video = (losses.at_least_float32(torch.stack(logits, dim=1)).sigmoid() for logits in zip(*parts, strict=True))
        video = masked(video, None if valid is None else valid.any(2))
        opens_at = video.new_tensor([self.config.audio_video_threshold, self.config.visual_video_threshold])
        joint = (video >= opens_at[:, None]).any(1).to(video)
        return Evidence(*map(PointEstimate, (snippet, video, joint)), features=attended, valid=valid)

    def losses(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """Cross-entropy of videos and snippets with the snippets' labels; of the joint answer, which has no gradient; similarity."""
        evidence, wanted = self(batch.features, valid=batch.valid), batch.targets[LABEL]
        strengths = (self.config.audio_smoothing, self.config.visual_smoothing)
        of_videos = torch.stack([labels.smooth(x.amax(1), s) for x, s in zip(wanted.unbind(1), strengths, strict=True)], dim=1)
        named = self.risks(evidence, of_videos, batch.weak_label)
        snippets = mean_by_modality(losses.binary_cross_entropy(evidence.snippet.probability, wanted), batch.valid)
        named |= {f"{m}_snippet": value for m, value in snippets.items()}
        if self.config.similarity_weight:
            target = iou(wanted) if self.config.similarity == "iou" else product(wanted)
            cosine = losses.snippet_similarity(evidence.features, temperature=1.0)
            squares = ((cosine if self.config.similarity == "iou" else F.relu(cosine)) - target).square()
            pairs = None if batch.valid is None else batch.valid[:, 0].unsqueeze(2) & batch.valid[:, 1].unsqueeze(1)
            named["similarity"] = squares.mean() if pairs is None else (squares * pairs).sum() / pairs.sum().clamp_min(1)
        return named


def iou(wanted: Tensor) -> Tensor:
    """Events that a sound and a picture have in common, over all events of either: (video, snippet, snippet), 0 where there is none."""
    audio, visual = wanted.unbind(1)
    common = audio @ visual.transpose(1, 2)
    either = audio.sum(-1).unsqueeze(2) + visual.sum(-1).unsqueeze(1) - common
    return common / either.clamp_min(1e-8)


def product(wanted: Tensor) -> Tensor:
    """The released code's target: r / (1 + r) + 0.01, r the common events over the largest number in one of the video's snippets."""
    audio, visual = wanted.unbind(1)
    common = audio @ visual.transpose(1, 2) / wanted.sum(-1).amax((1, 2)).clamp_min(1e-8).reshape(-1, 1, 1)
    return common / (1 + common) + 0.01


def name_vectors(config: LEAPConfig, categories: Sequence[str]) -> Tensor:
    """The vectors of the categories' names (category, width), float32, from the config's file or drawn from each name's letters.

    Raises InputError where the file is missing or of other categories.
    """
    if not config.label_vectors:
        drawn = [np.random.default_rng(zlib.crc32(c.encode())).standard_normal(config.label_width) for c in categories]
        return torch.tensor(np.array(drawn), dtype=torch.float32)
    vectors = read_numbers(Path(config.label_vectors))
    if vectors.shape != (len(categories), config.label_width):
        raise InputError(
            f"{config.label_vectors} has shape {vectors.shape}: a vector of {config.label_width} for each of the {len(categories)} "
            "categories is needed."
        )
    return torch.from_numpy(vectors)


def vectors_of_names(glove: str | Path, categories: Sequence[str]) -> np.ndarray:
    """The mean vector of each name's words (category, width), float32, from a text file of GloVe; to be kept as .npy.

    How the authors treat names of several words is not published. Raises InputError where no word of a name is in the file.
    """
    words = {c: c.lower().replace("_", " ").replace("(", " ").replace(")", " ").replace(",", " ").split() for c in categories}
    wanted, found = {w for parts in words.values() for w in parts}, {}
    with open(glove, encoding="utf-8") as file:
        for line in file:
            word, _, numbers = line.partition(" ")
            if word in wanted:
                found[word] = np.array(numbers.split(), dtype=np.float32)
    unknown = [c for c, parts in words.items() if not any(w in found for w in parts)]
    if unknown:
        raise InputError(f"{glove} has no word of {', '.join(unknown)}.")
    return np.stack([np.mean([found[w] for w in parts if w in found], axis=0) for parts in words.values()])
