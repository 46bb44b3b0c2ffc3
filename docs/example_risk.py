"""An evidential risk of one's own, for docs/recipes/loss.md: the paper's log risk, in which what is right already counts less."""

from torch import Tensor

from cmpae_toolkit.losses import log_risk
from cmpae_toolkit.opinion import Opinion


def focal_risk(opinion: Opinion, label: Tensor) -> Tensor:
    """|y - p| times Eq. 5 with psi = log, a value per category (after the focal loss of Lin et al., ICCV 2017, with gamma = 1)."""
    return (label - opinion.probability).abs() * log_risk(opinion, label)
