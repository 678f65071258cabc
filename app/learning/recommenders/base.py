"""The protocols of a recommender family.

A family is a frozen config (the recipe), a `fit` and a model type. Only `fit` and `from_arrays` make a
model, so no untrained one can exist. Models score histories, never user ids: a user unknown at training
time, an anonymous session and a click of a second ago are one case. Models neither filter nor sort.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from app.learning.dataset import Dataset, Histories

Arrays = Mapping[str, NDArray[Any]]
Scores = NDArray[np.float32]


class Config(BaseModel):
    """Base of all recipes: frozen, and nothing that it does not know is accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Recommender(Protocol):
    """A trained model of one family."""

    def score(self, histories: Histories) -> Scores:
        """Scores of all items, `(n_batch, n_items)` float32, finite; higher is better, 0: no evidence."""
        ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that the model is, as plain arrays (no objects), to be stored and mapped back."""
        ...

    @classmethod
    def from_arrays(cls, config: Any, arrays: Arrays) -> Self:
        """The same model from its arrays (which may be read-only maps of files)."""
        ...


@runtime_checkable
class Explainable(Protocol):
    """A model that can say which entries of a history carried a score."""

    def contributions(self, histories: Histories, items: NDArray[np.int32]) -> Scores:
        """What each entry of a history adds to the score of each wanted item, `(n_wanted, n_known)` float32.

        `histories` is a batch of one; columns are in the order of `histories.matrix.indices`, rows in that
        of `items`. Rows sum to what `score` gives the items.
        """
        ...


@dataclass(frozen=True)
class Family:
    """One line of the registry."""

    name: str
    source: str
    """What the API calls the origin of its candidates: collaborative, content, trending, popular …"""
    config: type[Config]
    fit: Callable[[Any, Dataset, np.random.Generator], Recommender]
    """`fit(config, dataset, rng)`; raises `NotEnoughData` where there is nothing to learn from."""
    model: type[Recommender]
    space: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Values that a search tries, by hyperparameter, the most telling first."""


class NotEnoughData(ValueError):
    """The data set holds too little for this family; the message says what it needs."""
