"""A fitted prediction: the model that is served, how it was chosen and what it is made of."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from app.learning.customers.features.table import FeatureTable
from app.learning.customers.predictors.calibration import Calibration
from app.learning.customers.predictors.drivers import Driver, sentence, short, strongest
from app.learning.customers.predictors.linear import Linear
from app.learning.customers.predictors.mean import Mean
from app.learning.customers.predictors.trees import Trees

Floats = NDArray[np.float64]

_MODELS: Final[dict[str, type[Linear] | type[Trees] | type[Mean]]] = {
    "Linear": Linear,
    "Trees": Trees,
    "Mean": Mean,
}


@dataclass(frozen=True)
class Predictor:
    """Scores any rows with the features that it was fitted on."""

    kind: Literal["probability", "amount"]
    target: str
    """What is predicted, in words: churn, value …"""
    names: tuple[str, ...]
    units: tuple[str, ...]
    labels: tuple[str, ...]
    model: Linear | Trees | Mean
    """What is served: the chosen model or a baseline."""
    calibration: Calibration
    low: float
    """Range of what can be told; of amounts, what the training saw."""
    high: float
    average: float
    """What is told of whom nothing is known: the mean of the training outcomes."""
    linear: Linear
    """The linear candidate, for people to read, served or not."""
    tree: Trees
    """The decision tree among the candidates, likewise."""
    report: Mapping[str, Any]
    """How it was chosen, as plain values for JSON."""

    @property
    def served(self) -> str:
        """Name of what is served: a model or a baseline."""
        return str(self.report["served"])

    def predict(self, features: FeatureTable) -> Floats:
        """Calibrated probability or amount, `(n,)`, finite; of unknown customers the average.

        Raises `ValueError` for other features.
        """
        values = self._values(features)
        told = np.full(len(values), self.average)
        told[features.known] = self.score(values[features.known])
        return told

    def score(self, values: Floats) -> Floats:
        """The same from bare rows, `(n, n_features)`, all of them known."""
        return told(self.model, self.calibration, values, self.kind, self.low, self.high)

    def drivers(self, features: FeatureTable) -> list[list[Driver]]:
        """What moved each row's prediction most; nothing for unknown customers."""
        values = self._values(features)
        contributions = self.model.contributions(values) * features.known[:, None]
        return strongest(self.names, self.labels, self.units, values, contributions)

    def sentences(self, features: FeatureTable) -> list[str]:
        """The drivers of each row as a sentence."""
        return [sentence(self.target, drivers) for drivers in self.drivers(features)]

    def rules(self) -> list[dict[str, Any]]:
        """The decision tree as rules: conditions, the value where all hold, and training rows there."""
        rules = self.tree.rules([short(label) for label in self.labels], self.units)
        for rule in rules:
            value = f"{rule['value']:.0%}" if self.kind == "probability" else f"{rule['value']:,.1f}"
            conditions = " and ".join(rule["if"]) or "all are alike"
            rule["words"] = f"If {conditions}, then {self.target} is {value} ({rule['rows']} customers)"
        return rules

    def coefficients(self) -> list[dict[str, Any]]:
        """The linear model as a table."""
        return self.linear.table(self.names, self.units)

    def describe(self) -> dict[str, Any]:
        """All but the numbers of the models, as plain values for JSON."""
        return {
            "kind": self.kind,
            "target": self.target,
            "average": self.average,
            "calibrated_by": self.calibration.kind,
            **self.report,
            "rules": self.rules(),
            "coefficients": self.coefficients(),
        }

    def _values(self, features: FeatureTable) -> Floats:
        if features.names != self.names:
            raise ValueError("these are not the features that the prediction was made from")
        return features.values

    def arrays(self) -> dict[str, NDArray[Any]]:
        said = {
            "kind": self.kind,
            "target": self.target,
            "low": self.low,
            "high": self.high,
            "average": self.average,
            "model": type(self.model).__name__,
            "report": dict(self.report),
        }
        words = {
            "said": np.array([json.dumps(said)], dtype=np.str_),
            "names": np.array(self.names, dtype=np.str_),
            "units": np.array(self.units, dtype=np.str_),
            "labels": np.array(self.labels, dtype=np.str_),
        }
        parts = {
            "model": self.model,
            "linear": self.linear,
            "tree": self.tree,
            "calibration": self.calibration,
        }
        return words | {
            f"{part}.{name}": array for part, of in parts.items() for name, array in of.arrays().items()
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        def part(prefix: str) -> dict[str, NDArray[Any]]:
            start = f"{prefix}."
            return {
                name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)
            }

        said = json.loads(str(arrays["said"][0]))
        return cls(
            said["kind"],
            said["target"],
            tuple(arrays["names"].tolist()),
            tuple(arrays["units"].tolist()),
            tuple(arrays["labels"].tolist()),
            model=_MODELS[said["model"]].from_arrays(part("model")),
            calibration=Calibration.from_arrays(part("calibration")),
            low=said["low"],
            high=said["high"],
            average=said["average"],
            linear=Linear.from_arrays(part("linear")),
            tree=Trees.from_arrays(part("tree")),
            report=said["report"],
        )


def told(
    model: Linear | Trees | Mean, calibration: Calibration, values: Floats, kind: str, low: float, high: float
) -> Floats:
    """What a model says of rows, calibrated if it is a probability and within the range."""
    raw = model.predict(values)
    return np.clip(calibration.apply(raw) if kind == "probability" else raw, low, high)
