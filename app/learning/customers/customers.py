"""Everything that is learned of customers, and what it says of some of them: all at a training, one at a
request. The same code judges both, so a customer's figures do not depend on who asks when."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from app.learning.customers.features import (
    AttributeTable,
    FeatureTable,
    ItemFacts,
    attribute_table,
    customer_features,
    item_facts,
)
from app.learning.customers.lifetime.lifetime import Lifetime, LifetimeConfig, fit_lifetime
from app.learning.customers.lifetime.purchases import PurchaseHistories, purchase_histories
from app.learning.customers.lifetime.quality import lifetime_quality
from app.learning.customers.predictors.predictions import (
    CustomerPredictions,
    PredictionsConfig,
    fit_predictions,
)
from app.learning.customers.segmentation import Former, Segmentation, SegmentationConfig, fit_segmentation
from app.learning.customers.segments.rfm import Rfm, RfmConfig, fit_rfm
from app.learning.customers.tastes import Tastes, fit_tastes
from app.learning.dataset import DAY_MS, Dataset, Histories
from app.learning.parts import joined, part_of
from app.learning.preferences import dataset_histories
from app.learning.recommenders.base import Config, NotEnoughData

Fitted = TypeVar("Fitted")
Floats = NDArray[np.float64]
Labels = NDArray[np.int32]

TASTE: Final = "taste"
RFM: Final = "rfm"
LIFETIME_FIGURES: Final = ("alive", "expected_purchases", "lifetime_value")
_ROWS_AT_ONCE: Final = 100_000
_QUALITY_SHARE: Final = 4
"""The last part of the history that is held back to judge lifetime values by: a quarter."""


class CustomersConfig(Config):
    """Recipe of all that is learned of customers."""

    segmentations: tuple[SegmentationConfig, ...] = (
        SegmentationConfig(kind="kmeans"),
        SegmentationConfig(kind="agglomerative"),
        SegmentationConfig(kind="dbscan"),
    )
    taste: SegmentationConfig = SegmentationConfig(kind=TASTE)
    rfm: RfmConfig = Field(default_factory=RfmConfig)
    predictions: PredictionsConfig = Field(default_factory=PredictionsConfig)
    lifetime: LifetimeConfig = Field(default_factory=LifetimeConfig)


@dataclass(frozen=True)
class Judged:
    """What the models say of `n` customers."""

    features: FeatureTable
    segments: Mapping[str, Labels]
    """By kind the place of the segment in its model, `(n,)`; -1: nothing is known, -2: like nobody else."""
    rfm_scores: NDArray[np.int8]
    """Recency, frequency, money, `(n, 3)`, 1 to 5; 0 without a purchase (or without RFM)."""
    figures: Mapping[str, Floats]
    """Predictions by name, `(n,)`; NaN where one does not apply to a customer."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        table = self.features
        said = {"names": table.names, "units": table.units, "meanings": table.meanings}
        return {
            "table": np.array([json.dumps(said)], dtype=np.str_),
            # A feature's values lie together, so that a filter reads only its own.
            "features": np.ascontiguousarray(table.values.T),
            "known": table.known,
            "rfm_scores": self.rfm_scores,
            **joined({"segments": self.segments, "figures": self.figures}),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        said = json.loads(str(arrays["table"][0]))
        table = FeatureTable(
            tuple(said["names"]),
            tuple(said["units"]),
            arrays["features"].T,
            arrays["known"],
            tuple(said["meanings"]),
        )
        return cls(table, part_of(arrays, "segments"), arrays["rfm_scores"], part_of(arrays, "figures"))


@dataclass(frozen=True)
class CustomerModels:
    """The models of one training; None where the data did not suffice."""

    user_keys: NDArray[np.int64]
    """Database key of each customer that was learned from, ascending, `(n_users,)`."""
    facts: ItemFacts
    segmentations: Mapping[str, Segmentation]
    """By kind."""
    tastes: Tastes | None
    rfm: Rfm | None
    predictions: CustomerPredictions | None
    lifetime: Lifetime | None
    lifetime_fit: Mapping[str, Any]
    """How well the lifetime model foretold the last quarter of the history; empty without one."""

    def judge(self, dataset: Dataset, of: Histories, attributes: list[dict[str, Any]]) -> Judged:
        """Figures of the data set's users, `n`, from all their events (an item may be -1, or not be known).

        `of`: their preferences, `(n or more, n_items)`; `attributes`: the shop's own, of each, or none.
        """
        unknown = max(0, dataset.n_items - len(self.facts.category))
        features = customer_features(dataset, facts=self.facts.with_unknown(unknown))
        lasting = purchase_histories(dataset) if self.lifetime is not None else None
        return self._judged(features, of, attributes, lasting)

    def _judged(
        self,
        features: FeatureTable,
        of: Histories,
        attributes: list[dict[str, Any]],
        lasting: PurchaseHistories | None,
    ) -> Judged:
        segments = {kind: model.assign(features) for kind, model in self.segmentations.items()}
        n = len(features)
        if self.tastes is not None:
            segments[TASTE] = self.tastes.assign(of)[:n]
        scores = np.zeros((n, 3), dtype=np.int8)
        if self.rfm is not None:
            segments[RFM], scores = self.rfm.assign(features), self.rfm.score(features)
        figures: dict[str, Floats] = {}
        if self.predictions is not None:
            figures |= self._predicted(self.predictions, features, attributes)
        if self.lifetime is not None and lasting is not None:
            figures |= _lasting(self.lifetime, lasting, n)
        return Judged(features, segments, scores, figures)

    def _predicted(
        self, model: CustomerPredictions, features: FeatureTable, attributes: list[dict[str, Any]]
    ) -> dict[str, Floats]:
        parts = []
        for start in range(0, max(len(features), 1), _ROWS_AT_ONCE):
            chosen = slice(start, start + _ROWS_AT_ONCE)
            rows = with_attributes(model, features.rows(chosen), attributes[chosen])
            told = model.predict(rows)
            for name in model.predictions:
                told[name] = np.where(model.applies(name, rows), told[name], np.nan)
            if "expected_days" in told:
                told["expected_days"] = np.where(rows.known, told["expected_days"], np.nan)
            parts.append(told)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def arrays(self) -> dict[str, NDArray[Any]]:
        parts: dict[str, Mapping[str, NDArray[Any]]] = {
            f"segments.{kind}": model.arrays() for kind, model in self.segmentations.items()
        }
        for name in ("tastes", "rfm", "predictions", "lifetime"):
            model = getattr(self, name)
            parts[name] = {} if model is None else model.arrays()
        parts["facts"] = {field.name: getattr(self.facts, field.name) for field in fields(ItemFacts)}
        fit = np.array([json.dumps(dict(self.lifetime_fit))], dtype=np.str_)
        return joined(parts) | {"user_keys": self.user_keys, "lifetime_fit": fit}

    @classmethod
    def from_arrays(cls, config: CustomersConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        segmentations: dict[str, Segmentation] = {}
        for recipe in config.segmentations:
            if stored := part_of(arrays, f"segments.{recipe.kind}"):
                segmentations[recipe.kind] = Segmentation.from_arrays(recipe, stored)
        tastes, rfm, predictions, lifetime = (
            part_of(arrays, name) for name in ("tastes", "rfm", "predictions", "lifetime")
        )
        return cls(
            arrays["user_keys"],
            ItemFacts(**part_of(arrays, "facts")),
            segmentations,
            Tastes.from_arrays(config.taste, tastes) if tastes else None,
            Rfm.from_arrays(config.rfm, rfm) if rfm else None,
            CustomerPredictions.from_arrays(config.predictions, predictions) if predictions else None,
            Lifetime.from_arrays(config.lifetime, lifetime) if lifetime else None,
            json.loads(str(arrays["lifetime_fit"][0])),
        )


def with_attributes(
    model: CustomerPredictions, features: FeatureTable, attributes: list[dict[str, Any]]
) -> FeatureTable:
    """The features with the columns of attributes that the predictions were learned from, if any."""
    if not model.attributes:
        return features
    rows = attributes or [{}] * len(features)
    own = attribute_table(rows, model.attributes)
    return FeatureTable(
        features.names + own.names,
        features.units + own.units,
        np.hstack([features.values, own.values]),
        features.known,
        features.labels + own.names,
    )


def fit_customers(
    config: CustomersConfig,
    dataset: Dataset,
    rng: np.random.Generator,
    former: CustomerModels | None,
    missing: dict[str, str],
    told: Callable[[float], None],
) -> tuple[CustomerModels, Judged]:
    """Fit what the data allow; what cannot be goes into `missing`, with what it needs.

    Segments that `former`, of the run before, had already keep their ids and names. `told` hears how much is
    done, 0 to 1.
    """
    everything = dataset.with_all_events()
    liking = dataset.of_taste()
    facts = item_facts(everything)
    features = customer_features(everything, facts=facts)

    def tried(name: str, fit: Callable[[], Fitted]) -> Fitted | None:
        try:
            return fit()
        except NotEnoughData as reason:
            missing[name] = str(reason)
            return None

    segmentations: dict[str, Segmentation] = {}
    for recipe in config.segmentations:
        before = _former(former, None if former is None else former.segmentations.get(recipe.kind))
        made = tried(
            f"segments.{recipe.kind}",
            lambda: fit_segmentation(recipe, features, rng, dataset.user_keys, before),  # noqa: B023
        )
        if made is not None:
            segmentations[recipe.kind] = made
    told(0.2)
    liked = None if former is None or former.tastes is None else former.tastes.segmentation
    tastes = tried(f"segments.{TASTE}", lambda: fit_tastes(config.taste, liking, rng, _former(former, liked)))
    rfm = tried("segments.rfm", lambda: fit_rfm(config.rfm, features, former.rfm if former else None))
    told(0.3)
    rows = dataset.user_attributes
    attributes = attribute_table(rows) if rows else None
    predictions = tried("predictions", lambda: _predictions(config, everything, rng, attributes))
    if predictions is not None:
        missing |= {f"predictions.{name}": reason for name, reason in predictions.missing.items()}
    told(0.8)
    lasting = purchase_histories(everything)
    lifetime = tried("lifetime", lambda: fit_lifetime(config.lifetime, lasting))
    if lifetime is not None and lifetime.spending is None:
        missing["lifetime.value"] = "lifetime value needs repeat purchases with a price; there are too few"
    quality = {} if lifetime is None else _foretold(config.lifetime, everything)
    models = CustomerModels(
        dataset.user_keys, facts, segmentations, tastes, rfm, predictions, lifetime, quality
    )
    judged = models._judged(features, dataset_histories(liking), rows, lasting)
    told(1.0)
    return models, judged


def _predictions(
    config: CustomersConfig, dataset: Dataset, rng: np.random.Generator, attributes: AttributeTable | None
) -> CustomerPredictions:
    return fit_predictions(config.predictions, dataset, rng, attributes)


def _former(models: CustomerModels | None, segmentation: Segmentation | None) -> Former | None:
    return None if models is None or segmentation is None else Former(segmentation, models.user_keys)


def _lasting(model: Lifetime, histories: PurchaseHistories, n: int) -> dict[str, Floats]:
    """Lifetime figures of all customers, `(n,)`; NaN for who has bought nothing."""
    told = model.predict(histories)
    figures = {}
    for name, values in zip(LIFETIME_FIGURES, (told.alive, told.purchases, told.value), strict=True):
        figures[name] = np.full(n, np.nan)
        figures[name][histories.user] = values
    return figures


def _foretold(config: LifetimeConfig, dataset: Dataset) -> dict[str, Any]:
    """A model of the first three quarters of the history beside what came in the last one."""
    start = int(dataset.log.occurred_at[0])
    cut = dataset.as_of - (dataset.as_of - start) // _QUALITY_SHARE
    if cut // DAY_MS <= start // DAY_MS or cut // DAY_MS >= dataset.as_of // DAY_MS:
        return {}
    held = purchase_histories(dataset, cut=cut)
    try:
        return {"cut": cut, **lifetime_quality(fit_lifetime(config, held), held).describe()}
    except NotEnoughData:
        return {}
