"""CMPAE: evidence for presence and for absence, collected across modalities (PAEC), and the joint branch that learns with it (JML).

Axes are (video, modality, snippet, width or category) throughout; modality order audio, visual. Every way in which the paper, the
released code and the ablations differ is a field of `Config`; sizes come from the data (`DataSpec`).
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from .config import MODALITIES, Config, DataSpec
from .data.videoset import VideoSet
from .layers import HybridAttention, TemporalAttention, embeddings, masked, mean_over_modalities, mean_over_snippets, softmax_over
from .losses import find_risk, training_losses
from .method import Batch, Evidence, Features, Fit, Moment, Supervision
from .methods.jomold import Denoising, denoised
from .opinion import Judgement, Opinion, PointEstimate, accumulate, average_masses, log_evidence

SLOPE = 0.2  # of every LeakyReLU


class EvidenceCollector(nn.Module):
    """PAEC: logits for presence from the modality itself (Eq. 2), for absence with the other modality's help (Eq. 3)."""

    def __init__(self, categories: int, config: Config) -> None:
        super().__init__()
        self.config = config
        self.presence = nn.Linear(config.width, categories)
        self.absence = nn.Linear(config.width, categories) if config.evidential else None
        sources = (config.presence_from, config.absence_from) if config.evidential else (config.presence_from,)
        needs_selector = "cross_modal" in sources
        self.selectors = nn.ModuleDict({m: nn.Linear(config.width, config.width) for m in MODALITIES} if needs_selector else {})
        self.dropout = nn.Dropout(config.selector_dropout)

    def select(self, x: Float[Tensor, "video modality snippet width"]) -> Float[Tensor, "video modality snippet width"]:
        """Eq. 3: x * (h^m(x^m + x^other) + 1); the released code: x + h^m(x^m + x^other)."""
        both = x.sum(1)
        selector = torch.stack([F.leaky_relu(self.dropout(h(both)), SLOPE) for h in self.selectors.values()], dim=1)
        return x * (selector + 1) if self.config.selector == "multiplicative" else x + selector

    def forward(self, x: Float[Tensor, "video modality snippet width"]) -> tuple[Tensor, Tensor | None]:
        """Logits for presence and, for evidential heads, for absence: each (video, modality, snippet, category)."""
        source = {"uni_modal": x}
        if self.selectors:
            source["cross_modal"] = self.select(x)
        presence = self.presence(source[self.config.presence_from])
        return presence, None if self.absence is None else self.absence(source[self.config.absence_from])


class JointBranch(nn.Module):
    """f^av of Eq. 6: logits from both modalities together, (video, snippet, category)."""

    def __init__(self, categories: int, config: Config) -> None:
        super().__init__()
        self.fusion, self.evidential = config.joint_fusion, config.evidential and config.joint == "evidence"
        self.layer = nn.Linear(config.width, config.width)
        self.head = nn.Linear(config.width, categories * (2 if self.evidential else 1))

    def forward(
        self, x: Float[Tensor, "video modality snippet width"], valid: Bool[Tensor, "video modality snippet"] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        if self.fusion == "sum_first":
            hidden = F.leaky_relu(self.layer(x.sum(1)), SLOPE)
        else:
            hidden = masked(F.leaky_relu(self.layer(x), SLOPE), valid).sum(1)
        logits = self.head(hidden)
        return logits.chunk(2, dim=-1) if self.evidential else (logits, None)


class CMPAE(Denoising):
    """Cross-modal presence-absence evidence; with other `Config` fields its ablations, among them JoMoLD's network."""

    Config = Config
    paper = (
        "Gao, Chen, Xu: Collecting cross-modal presence-absence evidence for weakly-supervised audio-visual event perception. CVPR 2023"
    )

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config, spec)
        categories = len(spec.categories)
        self.embedding = embeddings(spec, config.width, config.embedding_activation)
        self.hybrid_attention = HybridAttention(config.width, config.attention_dropout)
        self.visual_dropout = nn.Dropout(config.visual_dropout)
        self.collector = EvidenceCollector(categories, config)
        self.temporal_attention = TemporalAttention(categories, config.width, maps=2 if config.separate_attention else 1)
        if config.joint == "mmil":
            self.modality_attention = nn.Linear(config.width, categories)
        else:
            self.joint_branch = JointBranch(categories, config)

    @classmethod
    def prepare(cls, config: Config, train_set: VideoSet, val_set: VideoSet, fit: Fit) -> Supervision:
        """The noise ratios, once the risk is known to be there."""
        find_risk(config.risk)
        return super().prepare(config, train_set, val_set, fit)

    def forward(self, features: Features, cross_attention: bool = True, valid: Tensor | None = None) -> Evidence:
        """`features`: a tensor or array (video, snippet x positions, width) per stream. Raises InputError on other shapes."""
        return self.judge(self.embed(features), cross_attention, valid=valid)

    # ---- training -------------------------------------------------------------------------------------------------------------

    def losses(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """Eq. 11's named losses. Even batches let the joint branch teach, odd ones the modalities (Eq. 10)."""
        return self.losses_and_labels(batch, moment)[0]

    def losses_and_labels(self, batch: Batch, moment: Moment) -> tuple[dict[str, Tensor], Tensor]:
        """`losses`, and the training labels (video, modality, category) that they were taken with."""
        embedded = self.embed(batch.features)
        projected = self.hybrid_attention.project(embedded)  # the same in all passes over the batch
        alone = lambda: self.judge_video(embedded, False, projected, batch.valid)  # noqa: E731
        training_labels = denoised(self, batch, moment, alone)
        evidence = self.judge(embedded, projected=projected, valid=batch.valid)
        teacher = "joint" if moment.batch % 2 == 0 else "modality"
        return training_losses(evidence, training_labels, batch.weak_label, self.config, teacher, moment.epoch), training_labels

    # ---- inference ------------------------------------------------------------------------------------------------------------

    def infer(self, features: Features, valid: Tensor | None = None) -> Evidence:
        """With cross-attention, mixed with the probabilities without it where `inference_self_share` says so."""
        if not self.config.inference_self_share:
            return self(features, valid=valid)
        return mix(*self.judge_both(self.embed(features), valid), self.config.inference_self_share)

    def judge_both(
        self, embedded: Float[Tensor, "video modality snippet width"], valid: Tensor | None = None
    ) -> tuple[Evidence, Evidence]:
        """`judge` with and without cross-attention, for inference: what both need is computed once."""
        projected = self.hybrid_attention.project(embedded)
        alone = self.hybrid_attention(embedded, False, projected, valid)
        cross = alone
        if self.config.cross_attention:
            cross = self._mixed(self.hybrid_attention(embedded, True, projected, valid), alone)
        return self.read(cross, embedded, valid), self.read(alone, embedded, valid)

    # ---- the network ----------------------------------------------------------------------------------------------------------

    def embed(self, features: Features) -> Float[Tensor, "video modality snippet width"]:
        """Embedded features, the same with and without cross-attention."""
        tensors = self.as_tensors(features)
        return torch.stack([self.embedding[m](tensors) for m in MODALITIES], dim=1)

    def judge(
        self,
        embedded: Float[Tensor, "video modality snippet width"],
        cross_attention: bool = True,
        projected: Float[Tensor, "video modality snippet three_widths"] | None = None,
        valid: Bool[Tensor, "video modality snippet"] | None = None,
    ) -> Evidence:
        """Everything after the embedding. `projected`: `hybrid_attention.project(embedded)` where it is known already."""
        return self.read(self.attend(embedded, cross_attention, projected, valid), embedded, valid)

    def attend(
        self,
        x: Float[Tensor, "video modality snippet width"],
        cross_attention: bool,
        projected: Float[Tensor, "video modality snippet three_widths"] | None = None,
        valid: Bool[Tensor, "video modality snippet"] | None = None,
    ) -> Float[Tensor, "video modality snippet width"]:
        """The features x^m that the heads see: hybrid attention with or without its cross term, or the config's mixture of both."""
        if not (cross_attention and self.config.cross_attention):
            return self.hybrid_attention(x, False, projected, valid)
        if self.config.self_attention_share == 0:
            return self.hybrid_attention(x, True, projected, valid)
        projected = self.hybrid_attention.project(x) if projected is None else projected
        return self._mixed(self.hybrid_attention(x, True, projected, valid), self.hybrid_attention(x, False, projected, valid))

    def _mixed(self, cross: Tensor, alone: Tensor) -> Tensor:
        share = self.config.self_attention_share
        return cross if share == 0 else (1 - share) * cross + share * alone

    def read(
        self,
        attended: Float[Tensor, "video modality snippet width"],
        embedded: Float[Tensor, "video modality snippet width"],
        valid: Bool[Tensor, "video modality snippet"] | None = None,
    ) -> Evidence:
        """The heads on attended features; the joint branch may look at the embedded ones."""
        x, logits, attention = self.collect(attended, valid)
        seen = masked(embedded, valid) if self.config.joint_input == "embedded" else x
        if self.config.joint == "mmil":
            joint = self.mmil(x, logits, attention, valid)
        elif self.config.joint == "sigmoid":
            joint = self.joint_point_estimate(seen, valid)
        else:
            joint = self.pool(self.joint_branch(seen, valid), tuple(mean_over_modalities(a, valid) for a in attention))
        return Evidence(self.opinion(*logits), self.pool(logits, attention), joint, attention[0], attended, valid=valid)

    def collect(
        self, attended: Float[Tensor, "video modality snippet width"], valid: Bool[Tensor, "video modality snippet"] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor | None], tuple[Tensor, Tensor]]:
        """The features after the visual dropout, and both modalities' logits and temporal attention (presence, absence)."""
        # dropout on the visual features comes after the contrastive similarities are taken (JoMoLD)
        x = torch.stack([attended[:, 0], self.visual_dropout(attended[:, 1])], dim=1)
        return x, self.collector(x), self.temporal_attention(x, valid)

    def judge_video(
        self,
        embedded: Float[Tensor, "video modality snippet width"],
        cross_attention: bool,
        projected: Tensor | None = None,
        valid: Tensor | None = None,
    ) -> Judgement:
        """`judge(...).video` alone, without the joint branch."""
        _, logits, attention = self.collect(self.attend(embedded, cross_attention, projected, valid), valid)
        return self.pool(logits, attention)

    def opinion(self, presence: Tensor, absence: Tensor | None) -> Judgement:
        """Logits -> opinions, or the sigmoid where there is no absence head."""
        if absence is None:
            return PointEstimate(presence.sigmoid())
        logs = (self.log_evidence(z) for z in (presence, absence))
        return Opinion.from_log_evidence(*logs, prior_weight=self.config.prior_weight)

    def log_evidence(self, logit: Tensor) -> Tensor:
        c = self.config
        return log_evidence(logit, c.evidence_function, c.evidence_temperature, c.evidence_clamp)

    def pool(self, logits: tuple[Tensor, Tensor | None], attention: tuple[Tensor, Tensor]) -> Judgement:
        """Snippets -> video: attention-weighted sum of evidence (paper), logits (released code), or masses; of probability without EDL."""
        if logits[1] is None:
            return PointEstimate((attention[0] * logits[0].sigmoid()).sum(-2))
        if self.config.pooling == "opinions":
            return average_masses(self.opinion(*logits), attention[0])
        if self.config.pooling == "logits":
            return self.opinion(*((a * z).sum(-2) for z, a in zip(logits, attention, strict=True)))
        logs = (accumulate(self.log_evidence(z), a) for z, a in zip(logits, attention, strict=True))
        return Opinion.from_log_evidence(*logs, prior_weight=self.config.prior_weight)

    def mmil(
        self, x: Tensor, logits: tuple[Tensor, Tensor | None], attention: tuple[Tensor, Tensor], valid: Tensor | None = None
    ) -> Judgement:
        """HAN's joint pooling, over snippets and modalities at once: the weights are A_temporal A_modality."""
        over_modalities = softmax_over(self.modality_attention(x), 1, valid)
        weights = tuple((a * over_modalities).flatten(1, 2) for a in attention)
        return self.pool(tuple(None if z is None else z.flatten(1, 2) for z in logits), weights)

    def joint_point_estimate(self, x: Tensor, valid: Tensor | None = None) -> PointEstimate:
        """The released joint branch: mean sigmoid over snippets, and one vacuity C / sum_c (e + 1) a video."""
        logits, _ = self.joint_branch(x, valid)
        evidence = self.log_evidence(mean_over_snippets(logits, valid)).exp()
        vacuity = logits.shape[-1] / (evidence + 1).sum(-1, keepdim=True)
        probability = mean_over_snippets(logits.sigmoid(), valid)
        return PointEstimate(probability, vacuity.expand_as(probability))


def mix(cross: Evidence, alone: Evidence, share: float) -> Evidence:
    """Probabilities and vacuities (1 - share) * with cross-attention + share * without, as the released code infers.

    >>> from cmpae_toolkit import checkpoint, load, predict
    >>> run, videos = checkpoint.shipped_run(), load("small", "test").subset([0])
    >>> both = predict(run.model, videos), predict(run.model, videos, cross_attention=False)
    >>> bool(torch.equal(mix(*both, share=1.0).snippet.probability, both[1].snippet.probability))
    True
    """
    mixed = {}
    for name in ("snippet", "video", "joint"):
        a, b = getattr(cross, name), getattr(alone, name)
        vacuity = None if a.vacuity is None else (1 - share) * a.vacuity + share * b.vacuity
        mixed[name] = PointEstimate((1 - share) * a.probability + share * b.probability, vacuity)
    return replace(cross, **mixed)
