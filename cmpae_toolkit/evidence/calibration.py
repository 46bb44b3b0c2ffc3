"""Can a probability be taken at its word, and does an uncertainty know when it is wrong? For multi-label arrays.

Probabilities in 0..1 and labels 0 or 1 (or False, True) have one shape with the category last: (video, modality, category),
(video, modality, snippet, category), ... Every entry is one yes-or-no question; sums run over all of them, `by_category` keeps
the categories apart. Uncertainties are numbers of any range, larger for less certain. NumPy in, NumPy out, no model known.

scikit-learn does what it has (Brier score, log-likelihood, ROC); bins, risk-coverage, temperature and Platt scaling are ours. All bins
follow one rule: a bin holds its upper edge, and the first one holds 0 as well. Where most answers are "no", as here, a small ECE is
easy: read it beside the mean by category and the reliability diagram.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import InputError

BINS = 15
KEPT = 0.95  # share of known inputs that are still taken for known in FPR95


@dataclass(frozen=True)
class Reliability:
    """What a reliability diagram shows, a value per bin that holds any entry: entries, mean probability, share of label 1."""

    count: np.ndarray
    probability: np.ndarray
    frequency: np.ndarray

    @property
    def error(self) -> float:
        """ECE: mean |probability - frequency| over the entries, in 0..1."""
        return float(np.abs(self.probability - self.frequency) @ self.count / self.count.sum())


def reliability(probability: np.ndarray, label: np.ndarray, bins: int = BINS, scheme: str = "equal_width") -> Reliability:
    """Bins over the probability: `scheme` "equal_width" (Guo et al., ICML 2017) or "equal_mass" (Nguyen, O'Connor, EMNLP 2015).

    Equal probabilities stay together, so bins of equal mass can be fewer. Raises InputError on shapes or values out of range.
    """
    p, y = _checked(probability, label)
    if bins < 1 or scheme not in ("equal_width", "equal_mass"):
        raise InputError(f"{bins} bins of scheme {scheme!r}: use 1 or more of 'equal_width' or 'equal_mass'.")
    inner = np.arange(1, bins) / bins
    edges = inner if scheme == "equal_width" else np.unique(np.quantile(p, inner))
    number = np.searchsorted(edges, p, side="left")
    count = np.bincount(number)
    held = count > 0
    return Reliability(count[held], *(np.bincount(number, x)[held] / count[held] for x in (p, y)))


def ece(probability: np.ndarray, label: np.ndarray, bins: int = BINS, scheme: str = "equal_width") -> float:
    """Expected calibration error in 0..1, lower is better. `scheme`: "equal_width", "equal_mass" (adaptive), or "category": the
    mean over categories of each one's equal-width error (classwise ECE, Kull et al., NeurIPS 2019)."""
    if scheme == "category":
        return float(by_category(lambda p, y: ece(p, y, bins), probability, label).mean())
    return reliability(probability, label, bins, scheme).error


def brier(probability: np.ndarray, label: np.ndarray) -> float:
    """Mean squared error of the probabilities, in 0..1 (Brier, 1950, for yes-or-no questions)."""
    from sklearn.metrics import brier_score_loss

    p, y = _checked(probability, label)
    return float(brier_score_loss(y.astype(int), p))


def nll(probability: np.ndarray, label: np.ndarray) -> float:
    """Mean negative log-likelihood in nats; probabilities are kept 1e-7 from 0 and 1."""
    from sklearn.metrics import log_loss

    p, y = _checked(probability, label)
    return float(log_loss(y.astype(int), p.clip(1e-7, 1 - 1e-7), labels=[0, 1]))


def by_category(score: Callable[[np.ndarray, np.ndarray], float], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(category,): a score of two arrays, such as `brier`, for each entry of the last axis."""
    first, second = np.asarray(first), np.asarray(second)
    return np.array([score(first[..., c], second[..., c]) for c in range(first.shape[-1])])


def risk_coverage(uncertainty: np.ndarray, loss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coverage k / n (n,) and mean loss of the k most certain entries (n,): what is left when the uncertain are not answered.

    El-Yaniv, Wiener, JMLR 2010; `loss` any finite number, such as 0 or 1 for right and wrong. Entries of equal uncertainty are
    taken in random order, in expectation, so a constant uncertainty gives the flat line of random choice.
    """
    u, loss = np.asarray(uncertainty, dtype=float).ravel(), np.asarray(loss, dtype=float).ravel()
    if u.shape != loss.shape or not u.size or not (np.isfinite(u).all() and np.isfinite(loss).all()):
        raise InputError(f"{u.size} uncertainties for {loss.size} losses: as many finite ones are needed, at least one.")
    _, group = np.unique(u, return_inverse=True)
    sizes = np.bincount(group)
    expected = np.repeat(np.bincount(group, loss) / sizes, sizes)
    number = np.arange(1, u.size + 1)
    return number / u.size, np.cumsum(expected) / number


def aurc(uncertainty: np.ndarray, loss: np.ndarray) -> float:
    """Area under `risk_coverage` (its mean over coverages): lower is better; random choice gives the mean loss."""
    return float(risk_coverage(uncertainty, loss)[1].mean())


def best_aurc(loss: np.ndarray) -> float:
    """`aurc` of an uncertainty that orders the entries by their loss: no other can be lower (Geifman et al., ICLR 2019)."""
    return aurc(loss, loss)


def detection(known: np.ndarray, unknown: np.ndarray) -> dict[str, float]:
    """How well an uncertainty tells unknown inputs (out of distribution, corrupted) from known ones; any shapes.

    "auroc": chance that an unknown input is the less certain of two, 1/2 for ignorance. "fpr95": share of unknown inputs
    taken for known at the threshold that lets 95 % of the known pass (Hendrycks, Gimpel, ICLR 2017), lower is better.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    known, unknown = np.asarray(known, dtype=float).ravel(), np.asarray(unknown, dtype=float).ravel()
    if not known.size or not unknown.size:
        raise InputError(f"{known.size} known and {unknown.size} unknown inputs: at least one of each is needed.")
    is_known = np.repeat([1, 0], [known.size, unknown.size])
    certainty = -np.concatenate([known, unknown])
    false, true, _ = roc_curve(is_known, certainty, drop_intermediate=False)
    return {"auroc": float(roc_auc_score(is_known, certainty)), "fpr95": float(false[np.argmax(true >= KEPT)])}


def temperature(probability: np.ndarray, label: np.ndarray) -> float:
    """The T > 0 for which sigmoid(logit(p) / T) has the least negative log-likelihood (Guo et al., ICML 2017): choose it on val.

    One number for all entries: it changes no ranking and no decision at p = 1/2. Above 1: p was too sure. In 1e-3..1e3.
    """
    from scipy.optimize import minimize_scalar

    z, y = _logits(probability, label)
    found = minimize_scalar(
        lambda log_t: _loss(z * np.exp(-log_t), y), bounds=(np.log(1e-3), np.log(1e3)), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))


def platt(probability: np.ndarray, label: np.ndarray) -> tuple[float, float]:
    """Temperature and shift for which sigmoid(logit(p) / T + shift) has the least negative log-likelihood (Platt, 1999).

    The shift moves all probabilities one way, which a temperature cannot; decisions at 1/2 change. T is positive.
    """
    from scipy.optimize import minimize

    z, y = _logits(probability, label)
    found = minimize(lambda x: _loss(z * np.exp(-x[0]) + x[1], y), [0.0, 0.0], method="L-BFGS-B", bounds=[(-7, 7), (-30, 30)])
    return float(np.exp(found.x[0])), float(found.x[1])


def rescale(probability: np.ndarray, temperature: float, shift: float = 0.0) -> np.ndarray:
    """sigmoid(logit(p) / temperature + shift), of the probability's shape."""
    if not temperature > 0:
        raise InputError(f"the temperature is {temperature}: use more than 0.")
    return 1 / (1 + np.exp(-_logit(np.asarray(probability, dtype=float)) / temperature - shift))


def _loss(logit: np.ndarray, label: np.ndarray) -> float:
    return float(np.mean(np.logaddexp(0, logit) - label * logit))


def _logits(probability: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p, y = _checked(probability, label)
    return _logit(p), y


def _logit(p: np.ndarray) -> np.ndarray:
    p = p.clip(1e-12, 1 - 1e-12)
    return np.log(p) - np.log1p(-p)


def _checked(probability: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as flat float arrays."""
    p, y = np.asarray(probability, dtype=float), np.asarray(label, dtype=float)
    if p.shape != y.shape or not p.size:
        raise InputError(f"probabilities of shape {p.shape} for labels of shape {y.shape}: the same is needed, with an entry or more.")
    if not ((p >= 0) & (p <= 1)).all() or not np.isin(y, (0, 1)).all():
        raise InputError("probabilities must lie in 0..1 and labels be 0 or 1.")
    return p.ravel(), y.ravel()
