"""The protocols of a recommender family.

A family is a frozen config (the recipe), a `fit` and a model type. Only `fit` and `from_arrays` make a
model, so no untrained one can exist. Models score histories, never user ids: a user unknown at training
time, an anonymous session and a click of a second ago are one case. Models neither filter nor sort.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

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
