"""The network: embedding, hybrid attention, evidence collector (PAEC), MMIL pooling and joint branch.

Axes are (video, modality, snippet, width or category) throughout; modality order audio, visual. Every way in which the
paper, the released code and the baselines differ is a field of `Config`; sizes come from the data (`DataSpec`).
"""


import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from .config import MODALITIES, Config, DataSpec
from .errors import InputError
from .layers import Embedding, HybridAttention, TemporalAttention
from .method import Evidence, Features
from .opinion import Judgement, Opinion, PointEstimate, accumulate, log_evidence

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

    def forward(self, x: Float[Tensor, "video modality snippet width"]) -> tuple[Tensor, Tensor | None]:
        if self.fusion == "sum_first":
            hidden = F.leaky_relu(self.layer(x.sum(1)), SLOPE)
        else:
            hidden = F.leaky_relu(self.layer(x), SLOPE).sum(1)
        logits = self.head(hidden)
        return logits.chunk(2, dim=-1) if self.evidential else (logits, None)


class CMPAE(nn.Module):
    """Cross-modal presence-absence evidence; with other `Config` fields its ablations and the baselines HAN and JoMoLD."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        categories = len(spec.categories)
        streams = {m: spec.of_modality(m) for m in MODALITIES}
        if not all(streams.values()):
            raise InputError(f"the data have the streams {sorted(spec.streams)}: at least one of each modality is needed.")
        self.embedding = nn.ModuleDict(
            {m: Embedding(s, config, fuse=m == "visual" or len(s) > 1) for m, s in streams.items()}
        )
        self.hybrid_attention = HybridAttention(config)
        self.visual_dropout = nn.Dropout(config.visual_dropout)
        self.collector = EvidenceCollector(categories, config)
        self.temporal_attention = TemporalAttention(categories, config)
        if config.joint == "mmil":
            self.modality_attention = nn.Linear(config.width, categories)
        else:
            self.joint_branch = JointBranch(categories, config)

    def forward(self, features: Features, cross_attention: bool = True) -> Evidence:
        """`features`: a tensor or array (video, snippet x positions, width) per stream. Raises InputError on other shapes."""
        return self.judge(self.embed(features), cross_attention)

    def embed(self, features: Features) -> Float[Tensor, "video modality snippet width"]:
        """Embedded features, the same with and without cross-attention."""
        tensors = self.as_tensors(features)
        return torch.stack([self.embedding[m](tensors) for m in MODALITIES], dim=1)

    def judge(
        self,
        embedded: Float[Tensor, "video modality snippet width"],
        cross_attention: bool = True,
        projected: Float[Tensor, "video modality snippet three_widths"] | None = None,
    ) -> Evidence:
        """Everything after the embedding. `projected`: `hybrid_attention.project(embedded)` where it is known already."""
        return self.read(self.attend(embedded, cross_attention, projected), embedded)

    def judge_both(self, embedded: Float[Tensor, "video modality snippet width"]) -> tuple[Evidence, Evidence]:
        """`judge` with and without cross-attention, for inference: what both need is computed once."""
        projected = self.hybrid_attention.project(embedded)
        alone = self.hybrid_attention(embedded, False, projected)
        cross = self._mixed(self.hybrid_attention(embedded, True, projected), alone) if self.config.cross_attention else alone
        return self.read(cross, embedded), self.read(alone, embedded)

    def attend(
        self,
        x: Float[Tensor, "video modality snippet width"],
        cross_attention: bool,
        projected: Float[Tensor, "video modality snippet three_widths"] | None = None,
    ) -> Float[Tensor, "video modality snippet width"]:
        """The features x^m that the heads see: hybrid attention with or without its cross term, or the config's mixture of both."""
        if not (cross_attention and self.config.cross_attention):
            return self.hybrid_attention(x, False, projected)
        if self.config.self_attention_share == 0:
            return self.hybrid_attention(x, True, projected)
        projected = self.hybrid_attention.project(x) if projected is None else projected
        return self._mixed(self.hybrid_attention(x, True, projected), self.hybrid_attention(x, False, projected))

    def _mixed(self, cross: Tensor, alone: Tensor) -> Tensor:
        share = self.config.self_attention_share
        return cross if share == 0 else (1 - share) * cross + share * alone

    def read(
        self, attended: Float[Tensor, "video modality snippet width"], embedded: Float[Tensor, "video modality snippet width"]
    ) -> Evidence:
        """The heads on attended features; the joint branch may look at the embedded ones."""
        x, logits, attention = self.collect(attended)
        if self.config.joint == "mmil":
            joint = self.mmil(x, logits, attention)
        elif self.config.joint == "sigmoid":
            joint = self.joint_point_estimate(embedded if self.config.joint_input == "embedded" else x)
        else:
            joint_logits = self.joint_branch(embedded if self.config.joint_input == "embedded" else x)
            joint = self.pool(joint_logits, tuple(a.mean(1) for a in attention))
        return Evidence(self.opinion(*logits), self.pool(logits, attention), joint, attention[0], attended)

    def collect(
        self, attended: Float[Tensor, "video modality snippet width"]
    ) -> tuple[Tensor, tuple[Tensor, Tensor | None], tuple[Tensor, Tensor]]:
        """The features after the visual dropout, and both modalities' logits and temporal attention (presence, absence)."""
        # dropout on the visual features comes after the contrastive similarities are taken (JoMoLD)
        x = torch.stack([attended[:, 0], self.visual_dropout(attended[:, 1])], dim=1)
        return x, self.collector(x), self.temporal_attention(x)

    def judge_video(
        self, embedded: Float[Tensor, "video modality snippet width"], cross_attention: bool, projected: Tensor | None = None
    ) -> Judgement:
        """`judge(...).video` alone, without the joint branch."""
        _, logits, attention = self.collect(self.attend(embedded, cross_attention, projected))
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
        """Snippets -> video: attention-weighted sum over snippets of evidence (paper), logits (released code), or probability."""
        if logits[1] is None:
            return PointEstimate((attention[0] * logits[0].sigmoid()).sum(-2))
        if self.config.pooling == "logits":
            return self.opinion(*((a * z).sum(-2) for z, a in zip(logits, attention, strict=True)))
        logs = (accumulate(self.log_evidence(z), a) for z, a in zip(logits, attention, strict=True))
        return Opinion.from_log_evidence(*logs, prior_weight=self.config.prior_weight)

    def mmil(self, x: Tensor, logits: tuple[Tensor, Tensor | None], attention: tuple[Tensor, Tensor]) -> Judgement:
        """HAN's joint pooling, over snippets and modalities at once: the weights are A_temporal A_modality."""
        over_modalities = self.modality_attention(x).softmax(dim=1)
        weights = tuple((a * over_modalities).flatten(1, 2) for a in attention)
        return self.pool(tuple(None if z is None else z.flatten(1, 2) for z in logits), weights)

    def joint_point_estimate(self, x: Tensor) -> PointEstimate:
        """The released joint branch: mean sigmoid over snippets, and one vacuity C / sum_c (e + 1) a video."""
        logits, _ = self.joint_branch(x)
        evidence = self.log_evidence(logits.mean(1)).exp()
        vacuity = logits.shape[-1] / (evidence + 1).sum(-1, keepdim=True)
        probability = logits.sigmoid().mean(1)
        return PointEstimate(probability, vacuity.expand_as(probability))

    def as_tensors(self, features: Features) -> dict[str, Tensor]:
        """The streams on the model's device and in its dtype, their shapes checked."""
        weight = next(self.parameters())
        tensors = {}
        for name, stream in self.spec.streams.items():
            if name not in features:
                raise InputError(f"the model needs the feature stream {name!r}, the data have {sorted(features)}.")
            x = torch.as_tensor(features[name], dtype=weight.dtype, device=weight.device)
            if x.ndim != 3 or x.shape[2] != stream.width or x.shape[1] % stream.per_snippet:
                raise InputError(
                    f"stream {name!r} has shape {tuple(x.shape)}: the model was made for (video, snippets x {stream.per_snippet}, "
                    f"{stream.width})."
                )
            tensors[name] = x
        lengths = {name: x.shape[1] // self.spec.streams[name].per_snippet for name, x in tensors.items()}
        if len(set(lengths.values())) > 1 or len({len(x) for x in tensors.values()}) > 1:
            raise InputError(f"the streams disagree: snippets {lengths}, videos { {n: len(x) for n, x in tensors.items()} }.")
        return tensors
