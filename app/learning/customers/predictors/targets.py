"""What is predicted: of whom, what counts, and what a naive prediction would be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from app.learning.customers.features.table import FeatureTable
from app.learning.customers.predictors.candidates import Fit, Model, logistic, ridge
from app.learning.customers.predictors.linear import proportional
from app.learning.customers.predictors.outcomes import Outcomes
from app.learning.customers.predictors.selection import only

Flags = NDArray[np.bool_]

_WINDOWS: Final = (7, 30, 90)
"""Windows for which the features tell the money spent."""


@dataclass(frozen=True)
class Target:
    """One prediction."""

    name: str
    kind: Literal["probability", "amount"]
    words: str
    """As it begins a sentence."""
    applies: Callable[[FeatureTable], Flags]
    """Of which customers it is told, as of the moment of their features."""
    learns: Callable[[FeatureTable, Outcomes], Flags]
    """From which of them it is learned."""
    outcome: Callable[[Outcomes], NDArray[Any]]
    baselines: Callable[[tuple[str, ...], int], Mapping[str, Fit]]
    """By name, given the features' names and the horizon."""


def _known(features: FeatureTable) -> Flags:
    return features.known


def _buyers(features: FeatureTable) -> Flags:
    return np.asarray(features.known & (features.column("frequency") > 0))


def _all(features: FeatureTable, came: Outcomes) -> Flags:
    return np.ones(len(features), dtype=np.bool_)


def _recency(feature: str) -> Callable[[tuple[str, ...], int], Mapping[str, Fit]]:
    def baselines(names: tuple[str, ...], days: int) -> Mapping[str, Fit]:
        return {"recency": only(logistic, names.index(feature))}

    return baselines


def _rhythm(names: tuple[str, ...], days: int) -> Mapping[str, Fit]:
    return {
        "own_rhythm": only(ridge, names.index("purchase_gap_days")),
        "recency": only(ridge, names.index("purchase_recency_days")),
    }


def _last_period(names: tuple[str, ...], days: int) -> Mapping[str, Fit]:
    window = min(_WINDOWS, key=lambda length: abs(length - days))
    place = names.index(f"spend_{window}d")

    def fit(values: NDArray[np.float64], y: Any, rng: np.random.Generator) -> Model:
        return proportional(values, place, days / window)

    return {"last_period": fit}


CHURN: Final = Target(
    "churn",
    "probability",
    "the probability of churn",
    _buyers,
    _all,
    lambda came: ~came.bought,
    _recency("purchase_recency_days"),
)
INACTIVITY: Final = Target(
    "churn",
    "probability",
    "the probability of churn",
    _known,
    _all,
    lambda came: ~came.active,
    _recency("recency_days"),
)
NEXT_PURCHASE: Final = Target(
    "next_purchase",
    "probability",
    "the probability of a purchase",
    _known,
    _all,
    lambda came: came.bought,
    _recency("purchase_recency_days"),
)
NEXT_PURCHASE_DAYS: Final = Target(
    "next_purchase_days",
    "amount",
    "the time until the next purchase",
    _known,
    lambda features, came: came.bought,
    lambda came: came.days_until,
    _rhythm,
)
VALUE: Final = Target(
    "value", "amount", "the value to come", _known, _all, lambda came: came.value, _last_period
)
