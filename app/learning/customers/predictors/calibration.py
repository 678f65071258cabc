"""Probabilities that come true as often as they say.

Sigmoid: Platt (1999). Isotonic regression: Zadrozny and Elkan (2002).
"""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_LEAST: Final = 1e-4
"""No probability is told as certain."""
_ISOTONIC_FROM: Final = 1000
"""Rows below which a free curve would follow chance."""
_FOLDS: Final = 5


@dataclass(frozen=True)
class Calibration:
    """A rising curve through points, with straight lines between them in terms of log-odds."""

    kind: str
    """none, sigmoid or isotonic."""
    raw: Floats
    """Log-odds of the model, ascending, `(n_points,)`."""
    true: Floats
    """Log-odds that hold, `(n_points,)`."""

    def apply(self, probability: Floats) -> Floats:
        """Calibrated probabilities, `(n,)`, strictly between 0 and 1."""
        if self.kind == "none":
            return np.clip(probability, _LEAST, 1 - _LEAST)
        return np.clip(expit(np.interp(_odds(probability), self.raw, self.true)), _LEAST, 1 - _LEAST)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"kind": np.array([self.kind], dtype=np.str_), "raw": self.raw, "true": self.true}

    @classmethod
    def from_arrays(cls, arrays: Any) -> Self:
        return cls(str(arrays["kind"][0]), arrays["raw"], arrays["true"])


NO_CALIBRATION: Final = Calibration("none", np.zeros(0), np.zeros(0))


def fit_calibration(raw: Floats, y: Flags, rng: np.random.Generator) -> Calibration:
    """The kind that does best across folds; none where neither does better than the model as it is."""
    kinds = ["sigmoid", "isotonic"] if len(y) >= _ISOTONIC_FROM else ["sigmoid"]
    fold = folds(y, _FOLDS, rng)
    losses = {kind: log_loss(cross_calibrated(kind, raw, y, fold), y) for kind in ["none", *kinds]}
    best = min(losses, key=lambda kind: losses[kind])
    return _fit(best, raw, y)


def cross_calibrated(kind: str, raw: Floats, y: Flags, fold: NDArray[np.int64]) -> Floats:
    """Each row calibrated by the others' folds, so that no row judges itself."""
    told = np.empty(len(y))
    for number in range(int(fold.max()) + 1):
        inside = fold == number
        told[inside] = _fit(kind, raw[~inside], y[~inside]).apply(raw[inside])
    return told


def folds(y: Flags, number: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A fold for each row, both classes spread evenly, `(n,)`."""
    fold = np.empty(len(y), dtype=np.int64)
    for kind in (True, False):
        rows = np.flatnonzero(y == kind)
        fold[rng.permutation(rows)] = np.arange(len(rows)) % number
    return fold


def log_loss(probability: Floats, y: Flags) -> float:
    """Mean negative logarithm of the probability of what came."""
    return float(-np.log(np.where(y, probability, 1 - probability)).mean())


def _fit(kind: str, raw: Floats, y: Flags) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    if kind == "none":
        return NO_CALIBRATION
    odds = _odds(raw)
    if kind == "isotonic":
        model = IsotonicRegression(out_of_bounds="clip").fit(odds, y.astype(np.float64))
        edge = 1 / (len(y) + 2)
        points = np.clip(model.y_thresholds_, edge, 1 - edge)
        return Calibration(kind, np.asarray(model.X_thresholds_, dtype=np.float64), _odds(points))
    slope, shift = _platt(odds, y)
    ends = _odds(np.array([0.0, 1.0]))
    return Calibration(kind, ends, slope * ends + shift)


def _platt(odds: Floats, y: Flags) -> tuple[float, float]:
    """Slope and shift by maximum likelihood, the slope not negative; targets off 0 and 1 as by Platt."""
    from scipy.optimize import minimize

    positive = int(y.sum())
    target = np.where(y, (positive + 1) / (positive + 2), 1 / (len(y) - positive + 2))

    def loss(parameters: Floats) -> tuple[float, Floats]:
        score = parameters[0] * odds + parameters[1]
        error = expit(score) - target
        value = np.logaddexp(0, score).mean() - (target * score).mean()
        return float(value), np.array([(error * odds).mean(), error.mean()])

    found = minimize(
        loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)]
    )
    return float(found.x[0]), float(found.x[1])


def _odds(probability: Floats) -> Floats:
    return np.asarray(logit(np.clip(probability, _LEAST, 1 - _LEAST)))
