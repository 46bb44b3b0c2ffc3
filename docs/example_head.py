"""A head of one's own on CMPAE, for docs/recipes/head.md: no network for the joint opinion, the modalities' evidence is added up."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from cmpae_toolkit.config import Config, DataSpec
from cmpae_toolkit.evidence import cumulative
from cmpae_toolkit.method import Evidence
from cmpae_toolkit.model import CMPAE


@dataclass(frozen=True)
class AddedConfig(Config):
    """CMPAE's fields; mutual learning is off, since there is no joint branch to learn from."""

    method: ClassVar[str] = "example_head:Added"

    mutual_weight: float = 0.0


class Added(CMPAE):
    """CMPAE whose joint opinion is the cumulative fusion of both modalities' opinions."""

    Config = AddedConfig

    def __init__(self, config: AddedConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        del self.joint_branch

    def read(self, attended: Tensor, embedded: Tensor, valid: Tensor | None = None) -> Evidence:
        _, logits, attention = self.collect(attended, valid)
        video = self.pool(logits, attention)
        audio, visual = (video.apply(lambda x, m=m: x[:, m]) for m in (0, 1))
        return Evidence(self.opinion(*logits), video, cumulative(audio, visual), attention[0], attended, valid=valid)
