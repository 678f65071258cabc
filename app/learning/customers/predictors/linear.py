"""Linear and logistic regression on standardised features, as plain arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]

_SKEWED: Final = 1.0


@dataclass(frozen=True)
class Scaling:
    """From features to what coefficients are multiplied by; all `(n_features,)`."""

    logged: NDArray[np.bool_]
    """Features taken by their logarithm, because they are skewed."""
    low: Floats
    """Range seen in training: a straight line is not to be followed beyond."""
    high: Floats
    mean: Floats
    deviation: Floats
    """0 for a feature that is the same for all, which then counts for nothing."""

    def apply(self, values: Floats) -> Floats:
        """Standard deviations from the mean, `(n, n_features)`."""
        divisor = np.where(self.deviation > 0, self.deviation, np.inf)
        inside = np.clip(values, self.low, self.high)
        return np.asarray((_logged(inside, self.logged) - self.mean) / divisor)


@dataclass(frozen=True)
class Linear:
    """`start + coefficients · standardised features`; a log-odds if `logistic`."""

    scaling: Scaling
    coefficients: Floats
    """Per standard deviation, `(n_features,)`."""
    start: float
    logistic: bool

    def predict(self, values: Floats) -> Floats:
        """Probability, or amount, `(n,)`."""
        score = self.start + self.scaling.apply(values) @ self.coefficients
        return np.asarray(expit(score) if self.logistic else score)

    def contributions(self, values: Floats) -> Floats:
        """What each feature adds, against the mean customer, `(n, n_features)`."""
        return np.asarray(self.scaling.apply(values) * self.coefficients)

    def table(self, names: tuple[str, ...], units: tuple[str, ...]) -> list[dict[str, Any]]:
        """The coefficients for people, the strongest first; features that count for nothing are left out."""
        rows = []
        for place in np.argsort(-np.abs(self.coefficients), kind="stable").tolist():
            if self.scaling.deviation[place] == 0 or self.coefficients[place] == 0:
                continue
            row = {
                "feature": names[place],
                "unit": units[place],
                "coefficient": float(self.coefficients[place]),
                "per": "standard deviation of the logarithm"
                if self.scaling.logged[place]
                else "standard deviation",
                "deviation": float(self.scaling.deviation[place]),
            }
            if self.logistic:
                row["odds_ratio"] = float(np.exp(self.coefficients[place]))
            rows.append(row)
        return rows

    def arrays(self) -> dict[str, NDArray[Any]]:
        scaling = self.scaling
        return {
            "logged": scaling.logged,
            "low": scaling.low,
            "high": scaling.high,
            "mean": scaling.mean,
            "deviation": scaling.deviation,
            "coefficients": self.coefficients,
            "start": np.array([self.start]),
            "logistic": np.array([self.logistic]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        names = ("logged", "low", "high", "mean", "deviation")
        return cls(
            Scaling(*(arrays[name] for name in names)),
            arrays["coefficients"],
            float(arrays["start"][0]),
            bool(arrays["logistic"][0]),
        )


def fit_scaling(values: Floats, log_skewed: bool = True) -> Scaling:
    """From training rows, `(n, n_features)`."""
    low, high = values.min(axis=0), values.max(axis=0)
    flat = low == high
    deviation = np.where(flat, 0.0, values.std(axis=0))
    divisor = np.where(deviation > 0, deviation, np.inf)
    skew = (((values - values.mean(axis=0)) / divisor) ** 3).mean(axis=0)
    # Shares and what is yes or no stay as they are: their logarithm would say nothing more.
    logged = np.asarray((skew > _SKEWED) & ((high > 1) | (low < -1)) & log_skewed)
    scaled = _logged(values, logged)
    return Scaling(logged, low, high, scaled.mean(axis=0), np.where(flat, 0.0, scaled.std(axis=0)))


def constant(n_features: int, value: float) -> Linear:
    """A model that says the same amount, or probability, of everybody."""
    zeros = np.zeros(n_features)
    scaling = Scaling(np.zeros(n_features, dtype=np.bool_), zeros, zeros, zeros, zeros)
    return Linear(scaling, zeros, value, logistic=False)


def proportional(values: Floats, place: int, factor: float) -> Linear:
    """A model whose amount is one feature times a factor; contributions count from its mean."""
    n_features = values.shape[1]
    everything = np.full(n_features, np.finfo(np.float64).max)
    chosen = np.arange(n_features) == place
    mean = np.where(chosen, values.mean(axis=0), 0.0)
    unlogged = np.zeros(n_features, dtype=np.bool_)
    scaling = Scaling(unlogged, -everything, everything, mean, chosen.astype(np.float64))
    return Linear(scaling, np.where(chosen, factor, 0.0), float(factor * mean[place]), logistic=False)


def _logged(values: Floats, logged: NDArray[np.bool_]) -> Floats:
    """Logarithm of the skewed features, odd, because refunds can make a sum negative."""
    return np.where(logged, np.sign(values) * np.log1p(np.abs(values)), values)
