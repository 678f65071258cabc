"""One model version: everything that a training made, and how it is stored and scored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from app.learning.analytics import Analytics, AnalyticsConfig
from app.learning.dataset import Histories
from app.learning.parts import joined, part_of
from app.learning.preferences import RatingScale, event_strengths, histories
from app.learning.ranking.blend import Blend, Blends, known_and_idle
from app.learning.ranking.cold_items import ColdItems
from app.learning.ratings.base import RatingModel
from app.learning.ratings.biased_factorization import BiasedFactorization, BiasedFactorizationConfig
from app.learning.recommenders.base import Recommender, Scores
from app.learning.recommenders.registry import family_of

FORMAT = 4
"""Of the content that is written beside the arrays; raised when an older release could not read it."""


@dataclass(frozen=True)
class ModelVersion:
    """What is trained together, served together and rolled back together."""

    user_keys: NDArray[np.int64]
    """Database keys of the users, ascending, `(n_users,)`; rows of the analytics."""
    item_keys: NDArray[np.int64]
    """Database keys of the items in order of their external ids, `(n_items,)`."""
    recommenders: dict[str, Recommender]
    configs: dict[str, dict[str, Any]]
    """The recipe of each recommender, by family."""
    blends: Blends
    cold: ColdItems
    rating_model: RatingModel | None
    rating_config: BiasedFactorizationConfig
    analytics: Analytics
    analytics_config: AnalyticsConfig
    scale: RatingScale | None
    event_weights: dict[str, float]
    as_of: int
    """Milliseconds since the Unix epoch: the moment of the data that the version learned from."""

    @property
    def n_items(self) -> int:
        return len(self.item_keys)

    def histories_of(
        self,
        row: NDArray[np.int32],
        item: NDArray[np.int32],
        names: list[str],
        values: NDArray[np.float32],
        quantities: NDArray[np.float32],
        age_days: NDArray[np.float32],
        n_rows: int,
    ) -> Histories:
        """Histories of a batch from its events: one entry of each sequence an event; `item` is an index."""
        event_names = tuple(dict.fromkeys(names))
        places = {name: place for place, name in enumerate(event_names)}
        event = np.array([places[name] for name in names], dtype=np.int16)
        strength = event_strengths(event, values, quantities, event_names, self.event_weights, self.scale)
        bought = np.array([name == "purchase" for name in names], dtype=np.bool_)
        return histories(row, item, strength, age_days, (n_rows, self.n_items), bought=bought)

    def blend_for(self, history: Histories, exclude_seen: bool, anonymous: bool = False) -> Blend:
        """The blend for a batch of one."""
        known, idle = known_and_idle(history)
        tied = history.ties is not None and history.ties.nnz > 0
        return self.blends.of(int(known[0]), float(idle[0]), exclude_seen, tied, anonymous)

    def score(self, of: Histories, exclude_seen: bool, anonymous: bool = False) -> Scores:
        """Scores of all items as they are served, `(n_batch, n_items)`."""
        return self.cold.lend(self.blends.score(self.recommenders, of, exclude_seen, anonymous))

    def to_store(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The version as content (JSON) and arrays."""
        arrays: dict[str, NDArray[Any]] = {"user_keys": self.user_keys, "item_keys": self.item_keys}
        for family, model in self.recommenders.items():
            arrays |= joined({f"recommenders/{family}": model.arrays()})
        arrays |= joined({"cold": self.cold.arrays()})
        if self.rating_model is not None:
            arrays |= joined({"ratings": self.rating_model.arrays()})
        arrays |= joined({"analytics": self.analytics.arrays()})
        content = {
            "format": FORMAT,
            "as_of": self.as_of,
            "families": self.configs,
            **self.blends.content,
            "ratings": {
                "fitted": self.rating_model is not None,
                "config": self.rating_config.model_dump(mode="json"),
            },
            "analytics": {
                "missing": dict(self.analytics.missing),
                "config": self.analytics_config.model_dump(mode="json"),
            },
            "scale": [self.scale.low, self.scale.high] if self.scale is not None else None,
            "event_weights": self.event_weights,
        }
        return content, arrays

    @classmethod
    def from_store(cls, content: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The version from its content and arrays (which may be read-only maps of files).

        Raises KeyError, ValueError or TypeError for what another release wrote and this one cannot read.
        """
        if content["format"] > FORMAT:
            raise ValueError(f"its content has format {content['format']}, this release reads up to {FORMAT}")
        recommenders: dict[str, Recommender] = {}
        for name, config in content["families"].items():
            family = family_of(name)
            recommenders[name] = family.model.from_arrays(
                family.config.model_validate(config), part_of(arrays, f"recommenders/{name}")
            )
        rating_config = BiasedFactorizationConfig.model_validate(content["ratings"]["config"])
        rating_model = None
        if content["ratings"]["fitted"]:
            rating_model = BiasedFactorization.from_arrays(rating_config, part_of(arrays, "ratings"))
        analytics_config = AnalyticsConfig.model_validate(content["analytics"]["config"])
        return cls(
            user_keys=arrays["user_keys"],
            item_keys=arrays["item_keys"],
            recommenders=recommenders,
            configs=dict(content["families"]),
            blends=Blends.from_content(content),
            cold=ColdItems.from_arrays(part_of(arrays, "cold")),
            rating_model=rating_model,
            rating_config=rating_config,
            analytics=Analytics.from_arrays(analytics_config, part_of(arrays, "analytics")),
            analytics_config=analytics_config,
            scale=RatingScale(*content["scale"]) if content["scale"] is not None else None,
            event_weights=dict(content["event_weights"]),
            as_of=content["as_of"],
        )
