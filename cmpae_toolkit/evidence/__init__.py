"""A toolbox of evidence: opinions, their fusion and logic, what kind of doubt they hold, and whether it can be trusted.

It is a library of its own and knows no data and no model. The operators take binomial opinions (`Opinion`); those of
multinomial ones stand in `evidence.dirichlet` under the same names.

>>> import torch
>>> audio, visual = Opinion(presence=torch.tensor(6.0), absence=torch.tensor(2.0)), Opinion(1.0, 1.0)
>>> fused = cumulative(audio, visual)
>>> round(fused.presence.item(), 3), round(fused.vacuity.item(), 3)
(7.0, 0.167)
"""

from ..opinion import Opinion
from . import calibration, dirichlet, fusion, uncertainty
from .calibration import (
    Reliability,
    aurc,
    best_aurc,
    brier,
    by_category,
    detection,
    ece,
    nll,
    platt,
    reliability,
    rescale,
    risk_coverage,
    temperature,
)
from .dirichlet import DirichletOpinion, one_of
from .fusion import FUSIONS, averaging, conjunction, constraint, cumulative, deduce, discount, disjunction, weighted
from .uncertainty import dissonance, entropy, expected_entropy, mutual_information

__all__ = [
    "FUSIONS", "DirichletOpinion", "Opinion", "Reliability", "aurc", "averaging", "best_aurc", "brier", "by_category", "calibration",
    "conjunction", "constraint", "cumulative", "deduce", "detection", "dirichlet", "discount", "disjunction", "dissonance", "ece",
    "entropy", "expected_entropy", "fusion", "mutual_information", "nll", "one_of", "platt", "reliability", "rescale",
    "risk_coverage", "temperature", "uncertainty", "weighted",
]


def __dir__() -> list[str]:
    return __all__
