"""The mean of a line and of trees: each is right where the other is not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from app.learning.customers.predictors.linear import Linear
from app.learning.customers.predictors.trees import Trees

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Mean:
    """Half of each; of probabilities, in log-odds."""

    linear: Linear
    trees: Trees
    """Logistic if and only if `linear` is."""

    def predict(self, values: Floats) -> Floats:
        """Probability, or amount, `(n,)`."""
        one, other = self.linear.predict(values), self.trees.predict(values)
        if self.linear.logistic:
            return np.asarray(expit((logit(one) + logit(other)) / 2))
        return (one + other) / 2

    def contributions(self, values: Floats) -> Floats:
        """What each feature adds, against the average customer, `(n, n_features)`."""
        return (self.linear.contributions(values) + self.trees.contributions(values)) / 2

    def arrays(self) -> dict[str, NDArray[Any]]:
        parts = {"linear": self.linear.arrays(), "trees": self.trees.arrays()}
        return {f"{part}.{name}": array for part, of in parts.items() for name, array in of.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        linear, trees = (
            {name.removeprefix(part): array for name, array in arrays.items() if name.startswith(part)}
            for part in ("linear.", "trees.")
        )
        return cls(Linear.from_arrays(linear), Trees.from_arrays(trees))
