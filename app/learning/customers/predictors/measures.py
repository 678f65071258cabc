"""How good predictions were, with intervals by a bootstrap over customers."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_BINS: Final = 10
_TOP: Final = 0.1
INTERVAL: Final = (2.5, 97.5)
"""Percentiles of the bootstrap that an interval reaches from and to."""


@dataclass(frozen=True)
class Figure:
    """A measure with its interval of 95 %."""

    value: float
    low: float
    high: float

    def describe(self) -> dict[str, float]:
        """Plain values for JSON."""
        return asdict(self)


def resamples(n: int, rounds: int, rng: np.random.Generator) -> Floats:
    """How often each row counts in each round, `(1 + rounds, n)`; first each once (Poisson bootstrap)."""
    return np.vstack([np.ones((1, n)), rng.poisson(1.0, (rounds, n))]).astype(np.float32)


def probability_figures(probability: Floats, y: Flags, weights: Floats) -> dict[str, Floats]:
    """AUC, log loss, Brier, calibration error and lift of the top tenth in each round, `(1 + rounds,)`."""
    # Equal probabilities are one group: within it nothing is known of the order.
    value, group = np.unique(-probability, return_inverse=True)
    value = -value
    found: dict[str, list[float]] = {
        name: [] for name in ("auc", "log_loss", "brier", "calibration_error", "lift_at_10_percent")
    }
    bins = np.minimum((value * _BINS).astype(np.int64), _BINS - 1)
    for weight in weights.astype(np.float64):
        every = np.bincount(group, weight, len(value))
        positive = np.bincount(group, weight * y, len(value))
        negative = every - positive
        n, hits = every.sum(), positive.sum()
        if not 0 < hits < n:
            continue
        below = negative.sum() - np.cumsum(negative)
        found["auc"].append(float((positive * (below + negative / 2)).sum() / (hits * (n - hits))))
        loss = -(positive * np.log(value) + negative * np.log(1 - value)).sum() / n
        found["log_loss"].append(float(loss))
        found["brier"].append(float((positive * (1 - value) ** 2 + negative * value**2).sum() / n))
        gap = np.abs(np.bincount(bins, positive - every * value, _BINS))
        found["calibration_error"].append(float(gap.sum() / n))
        best = np.interp(_TOP * n, np.append(0, np.cumsum(every)), np.append(0, np.cumsum(positive)))
        found["lift_at_10_percent"].append(float(best / (_TOP * n) / (hits / n)))
    return {name: np.array(values) for name, values in found.items()}


def amount_figures(amount: Floats, y: Floats, weights: Floats, cap: float) -> dict[str, Floats]:
    """RMSE, the same of amounts limited to `±cap`, and MAE in each round, `(1 + rounds,)`."""
    error = amount - y
    capped = np.clip(amount, -cap, cap) - np.clip(y, -cap, cap)
    n = np.maximum(weights.sum(axis=1), 1)
    return {
        "rmse": np.sqrt(weights @ error**2 / n),
        "capped_rmse": np.sqrt(weights @ capped**2 / n),
        "mae": np.asarray(weights @ np.abs(error) / n),
    }


def summary(rounds: dict[str, Floats]) -> dict[str, Figure]:
    """The first round's value and the interval of the others."""
    return {
        name: Figure(float(values[0]), *(float(edge) for edge in np.percentile(values[1:], INTERVAL)))
        for name, values in rounds.items()
    }


def reliability(probability: Floats, y: Flags) -> list[dict[str, Any]]:
    """By tenths of the rows in order of their probability: what was told, what came, of how many."""
    order = np.argsort(probability, kind="stable")
    return [
        {
            "predicted": float(probability[rows].mean()),
            "observed": float(y[rows].mean()),
            "rows": len(rows),
        }
        for rows in np.array_split(order, _BINS)
        if len(rows)
    ]
