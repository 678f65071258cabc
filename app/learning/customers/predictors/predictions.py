"""Churn, next purchase and value of every customer: features before a cut, outcomes after it.

What is learned from ends before the later cut begins, at which it is chosen and judged.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from app.learning.customers.features.attributes import AttributeColumn, AttributeTable
from app.learning.customers.features.behaviour import customer_features
from app.learning.customers.features.table import FeatureTable
from app.learning.customers.predictors.horizon import (
    churn_horizon,
    history_days,
    longest_horizon,
    purchases,
)
from app.learning.customers.predictors.outcomes import outcomes
from app.learning.customers.predictors.predictor import Predictor
from app.learning.customers.predictors.selection import PredictorConfig, Sample, fit_amount, fit_classifier
from app.learning.customers.predictors.targets import (
    CHURN,
    INACTIVITY,
    NEXT_PURCHASE,
    NEXT_PURCHASE_DAYS,
    VALUE,
    Target,
)
from app.learning.dataset import DAY_MS, Dataset
from app.learning.recommenders.base import NotEnoughData

Floats = NDArray[np.float64]

_TARGETS: Final = {"purchase": CHURN, "activity": INACTIVITY}
_LONGEST_WAIT: Final = 3650.0


class PredictionsConfig(PredictorConfig):
    """Recipe of all predictions."""

    churn_horizon_days: int | None = Field(default=None, ge=7, le=365)
    """Days of silence that count as churn; none: by the shop's own rhythm."""
    horizon_days: int = Field(default=30, ge=7, le=365)
    """How far ahead purchases and value are told."""
    cuts: int = Field(default=3, ge=1, le=12)
    """Moments at which is learned what came next, as far as the history reaches back."""


@dataclass(frozen=True)
class Prediction:
    """One prediction, fitted."""

    predictor: Predictor
    target: Target
    horizon_days: int
    definition: str
    """What is predicted, of whom, in words."""
    cut: int
    """When the customers were judged, ms; they were judged by what came within the horizon."""
    learned_at: tuple[int, ...]
    """The earlier moments that were learned from, ms, the latest first."""

    def describe(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "horizon_days": self.horizon_days,
            "definition": self.definition,
            "judged_at": self.cut,
            "learned_at": list(self.learned_at),
            **self.predictor.describe(),
        }


@dataclass(frozen=True)
class CustomerPredictions:
    """All that could be fitted."""

    as_of: int
    """The moment of the data, ms."""
    predictions: Mapping[str, Prediction]
    """By name: churn, next_purchase, next_purchase_days, value."""
    missing: Mapping[str, str]
    """What could not be fitted, and what it needs."""
    attributes: tuple[AttributeColumn, ...] = ()
    """The shop's own columns; a table for new customers is made with them."""

    def predict(self, features: FeatureTable) -> dict[str, Floats]:
        """Of each row, `(n,)`, finite, by name; and `expected_days`, from both predictions of purchases.

        Whom a prediction does not apply to (`applies`) gets the average.
        """
        told = {}
        for name, prediction in self.predictions.items():
            values = prediction.predictor.predict(features)
            told[name] = np.where(self.applies(name, features), values, prediction.predictor.average)
        if "next_purchase" in told and "next_purchase_days" in told:
            days = self.predictions["next_purchase"].horizon_days
            told["expected_days"] = expected_days(told["next_purchase"], told["next_purchase_days"], days)
        return told

    def applies(self, name: str, features: FeatureTable) -> NDArray[np.bool_]:
        """Which customers a prediction is told of, `(n,)`: only who has bought can stop buying."""
        return self.predictions[name].target.applies(features)

    def describe(self) -> dict[str, Any]:
        """All but the numbers of the models, as plain values for JSON."""
        return {
            "as_of": self.as_of,
            "predictions": {name: prediction.describe() for name, prediction in self.predictions.items()},
            "missing": dict(self.missing),
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        said = {
            "as_of": self.as_of,
            "missing": dict(self.missing),
            "attributes": AttributeTable(self.attributes, np.zeros((0, len(self.attributes)))).describe(),
            "predictions": {
                name: {
                    "inactivity": prediction.target is INACTIVITY,
                    "horizon_days": prediction.horizon_days,
                    "definition": prediction.definition,
                    "cut": prediction.cut,
                    "learned_at": list(prediction.learned_at),
                }
                for name, prediction in self.predictions.items()
            },
        }
        arrays: dict[str, NDArray[Any]] = {"predictions": np.array([json.dumps(said)], dtype=np.str_)}
        for name, prediction in self.predictions.items():
            arrays |= {f"{name}.{key}": array for key, array in prediction.predictor.arrays().items()}
        return arrays

    @classmethod
    def from_arrays(cls, config: PredictionsConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        said = json.loads(str(arrays["predictions"][0]))
        targets = {each.name: each for each in (CHURN, NEXT_PURCHASE, NEXT_PURCHASE_DAYS, VALUE)}
        predictions = {}
        for name, one in said["predictions"].items():
            own = {
                key.removeprefix(f"{name}."): array
                for key, array in arrays.items()
                if key.startswith(f"{name}.")
            }
            target = INACTIVITY if one.pop("inactivity") else targets[name]
            one["learned_at"] = tuple(one["learned_at"])
            predictions[name] = Prediction(Predictor.from_arrays(own), target, **one)
        columns = tuple(AttributeColumn(**each) for each in said["attributes"])
        return cls(said["as_of"], predictions, said["missing"], columns)


@dataclass(frozen=True)
class _Plan:
    """A prediction before it is fitted."""

    target: Target
    days: int
    definition: str
    judge: int
    learn: tuple[int, ...]


def fit_predictions(
    config: PredictionsConfig,
    dataset: Dataset,
    rng: np.random.Generator,
    attributes: AttributeTable | None = None,
) -> CustomerPredictions:
    """All predictions that the data allow. Raises `NotEnoughData` if there are none.

    Attributes are those of now: one that changes with the outcome itself must not be among them.
    """
    plans, missing = _plans(config, dataset)
    samples = _samples(config, dataset, attributes, plans, rng)
    fitted = {}
    for plan in plans:
        target = plan.target
        fit = fit_classifier if target.kind == "probability" else fit_amount
        learned, judged = samples[target.name]
        baselines = target.baselines(learned.features.names, plan.days)
        try:
            predictor = fit(config, learned, rng, target=target.words, later=judged, baselines=baselines)
        except NotEnoughData as error:
            missing[target.name] = str(error)
            continue
        fitted[target.name] = Prediction(
            predictor, target, plan.days, plan.definition, plan.judge, plan.learn
        )
    if not fitted:
        raise NotEnoughData("; ".join(dict.fromkeys(missing.values())))
    columns = () if attributes is None else attributes.columns
    return CustomerPredictions(dataset.as_of, fitted, missing, columns)


def expected_days(probability: Floats, days_if: Floats, horizon: int) -> Floats:
    """Expected days until the next purchase, at most ten years, `(n,)`.

    Within the horizon as predicted; beyond it at the constant rate that the probability within it implies.
    """
    wait = horizon / np.maximum(-np.log1p(-np.minimum(probability, 1 - 1e-9)), 1e-9)
    inside = np.clip(days_if, 0.0, horizon)
    return np.minimum(probability * inside + (1 - probability) * (horizon + wait), _LONGEST_WAIT)


def _plans(config: PredictionsConfig, dataset: Dataset) -> tuple[list[_Plan], dict[str, str]]:
    plans: list[_Plan] = []
    missing: dict[str, str] = {}
    churn = churn_horizon(dataset, config.churn_horizon_days)
    plans.append(_plan(config, dataset, _TARGETS[churn.basis], churn.days, churn.definition))
    days = min(config.horizon_days, longest_horizon(dataset))
    bought = purchases(dataset)
    if not bought.any():
        for target in (NEXT_PURCHASE, NEXT_PURCHASE_DAYS, VALUE):
            missing[target.name] = f"{target.words} needs purchases of customers, there are none"
        return plans, missing
    shortened = "" if days == config.horizon_days else ", a third of the history,"
    until = f"within {days} days{shortened} from the data's moment on"
    plans.append(
        _plan(config, dataset, NEXT_PURCHASE, days, f"The probability that a customer buys {until}.")
    )
    plans.append(
        _plan(
            config,
            dataset,
            NEXT_PURCHASE_DAYS,
            days,
            f"Days until a customer's next purchase, if it comes {until}.",
        )
    )
    price = dataset.log.price[bought]
    if not (np.isfinite(price) & (price > 0)).any():
        missing[VALUE.name] = f"{VALUE.words} needs purchases with a price, there are none"
    else:
        words = (
            f"Money that a customer spends {until}, less refunds of it; purchases without a price count 0."
        )
        plans.append(_plan(config, dataset, VALUE, days, words))
    return plans, missing


def _plan(config: PredictionsConfig, dataset: Dataset, target: Target, days: int, definition: str) -> _Plan:
    """The last cut whose outcomes are known judges; those learned from end before, half a horizon apart."""
    end = dataset.as_of + 1
    judge = end - days * DAY_MS
    step = max(1, days // 2)
    start = end - history_days(dataset) * DAY_MS
    cuts = [judge - (days + place * step) * DAY_MS for place in range(config.cuts)]
    # The first one always has something before it; others need a horizon to look back on.
    learn = tuple(cut for place, cut in enumerate(cuts) if place == 0 or cut - start >= days * DAY_MS)
    at = datetime.fromtimestamp(judge / 1000, UTC).date().isoformat()
    return _Plan(target, days, f"{definition} Judged as of {at}.", judge, learn)


def _samples(
    config: PredictionsConfig,
    dataset: Dataset,
    attributes: AttributeTable | None,
    plans: list[_Plan],
    rng: np.random.Generator,
) -> dict[str, tuple[Sample, Sample]]:
    """Rows to learn from and to judge by, by target. Each cut's features of all customers are made once."""
    wanted = defaultdict(list)
    for plan in plans:
        for cut in (plan.judge, *plan.learn):
            wanted[cut].append(plan)
    parts: dict[tuple[str, int], Sample] = {}
    for cut, of in wanted.items():
        features = customer_features(dataset, cut, attributes)
        for plan in of:
            came = outcomes(dataset, cut, plan.days)
            rows = np.flatnonzero(plan.target.applies(features) & plan.target.learns(features, came))
            most = config.max_rows // (2 if cut == plan.judge else len(plan.learn))
            if len(rows) > most:
                rows = np.sort(rng.choice(rows, most, replace=False))
            parts[plan.target.name, cut] = Sample(features.rows(rows), plan.target.outcome(came)[rows])
    return {
        plan.target.name: (
            _stacked([parts[plan.target.name, cut] for cut in plan.learn]),
            parts[plan.target.name, plan.judge],
        )
        for plan in plans
    }


def _stacked(samples: list[Sample]) -> Sample:
    first = samples[0].features
    values = np.concatenate([sample.features.values for sample in samples])
    known = np.concatenate([sample.features.known for sample in samples])
    table = FeatureTable(first.names, first.units, values, known, first.meanings)
    return Sample(table, np.concatenate([sample.y for sample in samples]))
