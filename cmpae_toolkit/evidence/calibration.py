"""Measures of whether a probability can be taken at its word, and of whether an uncertainty knows when it is wrong.

All functions take multi-label arrays: probabilities in 0..1 and labels 0 or 1 (or False, True) have one shape with the category
last, such as (video, modality, category) or (video, modality, snippet, category). Every entry is one yes-or-no question. Sums run
over all entries; `by_category` keeps the categories apart. An uncertainty is a number of any range that is larger where the
answer is less certain. NumPy arrays go in and come out, and no model is known here.

scikit-learn computes the Brier score, the log-likelihood and ROC curves; the bins, risk-coverage, temperature and Platt scaling
are written out. Where most answers are "no", as in event perception, a small ECE is easy to reach: read it beside its mean over
the categories and the reliability diagram.
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
    """The content of a reliability diagram: for each bin that holds an entry its entries, mean probability and share of label 1."""

    count: np.ndarray
    probability: np.ndarray
    frequency: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error: the mean of |probability - frequency| over the entries, in 0..1."""
        return float(np.abs(self.probability - self.frequency) @ self.count / self.count.sum())


def reliability(probability: np.ndarray, label: np.ndarray, bins: int = BINS, scheme: str = "equal_width") -> Reliability:
    """Sorts the entries into bins over the probability and compares each bin's mean probability with its share of label 1.

    `scheme` is "equal_width" (Guo et al., ICML 2017) or "equal_mass" (Nguyen, O'Connor, EMNLP 2015). A bin holds its upper edge and
    not its lower one; the first also holds 0. Equal probabilities stay together, so bins of equal mass can be fewer than asked
    for. Raises InputError on other schemes, on shapes that differ and on values out of range.

    >>> found = reliability(np.array([0.1, 0.3, 0.5, 1.0]), np.array([0, 1, 0, 1]), bins=2)
    >>> found.count.tolist(), found.frequency.tolist()
    ([3, 1], [0.3333333333333333, 1.0])
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
    """The expected calibration error in 0..1; lower is better.

    `scheme` is one of `reliability`, or "category": the mean over the categories of each one's error with bins of equal width
    (classwise ECE, Kull et al., NeurIPS 2019). Raises InputError as `reliability` does.

    >>> round(ece(np.array([0.25, 0.25, 1.0, 1.0]), np.array([0, 0, 1, 1])), 3)  # the first two claimed too much by 0.25
    0.125
    """
    if scheme == "category":
        return float(by_category(lambda p, y: ece(p, y, bins), probability, label).mean())
    return reliability(probability, label, bins, scheme).error


def brier(probability: np.ndarray, label: np.ndarray) -> float:
    """The mean squared error of the probabilities, in 0..1 (Brier, 1950, for yes-or-no questions).

    >>> brier(np.array([0.5, 1.0]), np.array([0, 1]))
    0.125
    """
    from sklearn.metrics import brier_score_loss

    p, y = _checked(probability, label)
    return float(brier_score_loss(y.astype(int), p))


def nll(probability: np.ndarray, label: np.ndarray) -> float:
    """The mean negative log-likelihood in nats; probabilities are kept 1e-7 away from 0 and 1.

    >>> round(nll(np.array([0.5, 0.5]), np.array([0, 1])), 4)  # log 2
    0.6931
    """
    from sklearn.metrics import log_loss

    p, y = _checked(probability, label)
    return float(log_loss(y.astype(int), p.clip(1e-7, 1 - 1e-7), labels=[0, 1]))


def by_category(score: Callable[[np.ndarray, np.ndarray], float], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Applies a score of two arrays, such as `brier`, to each entry of the last axis and returns an array (category,).

    >>> by_category(brier, np.array([[0.5, 1.0]]), np.array([[0, 1]])).tolist()
    [0.25, 0.0]
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape:
        raise InputError(f"arrays of one shape are compared, category by category: got {first.shape} and {second.shape}.")
    return np.array([score(first[..., c], second[..., c]) for c in range(first.shape[-1])])


def risk_coverage(uncertainty: np.ndarray, loss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Says what is lost when only the most certain entries are answered (El-Yaniv, Wiener, JMLR 2010).

    `loss` holds any finite numbers, such as 0 for right and 1 for wrong. The result is the coverage k / n (n,) and the mean loss
    of the k most certain entries (n,). Entries of equal uncertainty count as in random order, in expectation, so a constant
    uncertainty gives the flat line of random choice. Raises InputError where sizes differ or a value is not finite.

    >>> coverage, risk = risk_coverage(np.array([0.1, 0.9, 0.2, 0.8]), np.array([0, 1, 0, 1]))
    >>> risk.round(2).tolist()
    [0.0, 0.0, 0.33, 0.5]
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
    """The area under `risk_coverage`, its mean over the coverages: lower is better, and random choice gives the mean loss.

    >>> aurc(np.zeros(4), np.array([0, 1, 0, 1]))
    0.5
    """
    return float(risk_coverage(uncertainty, loss)[1].mean())


def best_aurc(loss: np.ndarray) -> float:
    """The `aurc` of an uncertainty that orders the entries by their loss: no other is lower (Geifman et al., ICLR 2019).

    >>> round(best_aurc(np.array([0, 1, 0, 1])), 4)  # the mean of 0, 0, 1/3 and 2/4
    0.2083
    """
    return aurc(loss, loss)


def detection(known: np.ndarray, unknown: np.ndarray) -> dict[str, float]:
    """Says how well an uncertainty tells unknown inputs (corrupted, say, or of another kind) from known ones; shapes are free.

    "auroc" is the chance that of a known and an unknown input the unknown one is less certain; ignorance gives 1/2. "fpr95" is the
    share of unknown inputs that are taken for known at the threshold that lets 95 % of the known pass (Hendrycks, Gimpel, ICLR
    2017); lower is better. Raises InputError where either kind is missing.

    >>> detection(known=np.array([0.1, 0.2, 0.3]), unknown=np.array([0.7, 0.9]))
    {'auroc': 1.0, 'fpr95': 0.0}
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
    """Finds the T > 0 for which sigmoid(logit(p) / T) has the least negative log-likelihood (Guo et al., ICML 2017).

    Choose it on validation data. As one number for all entries it changes no ranking and no decision at p = 1/2. T lies in
    1e-3..1e3, and above 1 where p was too sure.

    >>> round(temperature(np.full(4, 0.9), np.array([1, 1, 1, 0])), 2)  # three of four are right: p should be 0.75
    2.0
    """
    from scipy.optimize import minimize_scalar

    z, y = _logits(probability, label)
    found = minimize_scalar(
        lambda log_t: _loss(z * np.exp(-log_t), y), bounds=(np.log(1e-3), np.log(1e3)), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))


def platt(probability: np.ndarray, label: np.ndarray) -> tuple[float, float]:
    """Finds T > 0 and the shift for which sigmoid(logit(p) / T + shift) has the least negative log-likelihood (Platt, 1999).

    The shift moves all probabilities one way, which a temperature cannot do, so decisions at p = 1/2 change.

    >>> fitted = platt(np.repeat([0.2, 0.8], 4), np.array([1, 1, 0, 0, 1, 1, 1, 0]))  # 1/2 and 3/4 have label 1
    >>> rescale(np.array([0.2, 0.8]), *fitted).round(2).tolist()
    [0.5, 0.75]
    """
    from scipy.optimize import minimize

    z, y = _logits(probability, label)
    found = minimize(lambda x: _loss(z * np.exp(-x[0]) + x[1], y), [0.0, 0.0], method="L-BFGS-B", bounds=[(-7, 7), (-30, 30)])
    return float(np.exp(found.x[0])), float(found.x[1])


def rescale(probability: np.ndarray, temperature: float, shift: float = 0.0) -> np.ndarray:
    """Returns sigmoid(logit(p) / temperature + shift), of the probability's shape. Raises InputError unless T is above 0.

    >>> rescale(np.array([0.1, 0.5, 0.9]), temperature=2.0).round(2).tolist()
    [0.25, 0.5, 0.75]
    """
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
