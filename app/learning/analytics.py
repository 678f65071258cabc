"""What a training knows of customers, baskets and sales: fitted together, stored together.

Each part is fitted if the data allow it; what is missing says what it needs.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from app.learning.baskets.model import RuleModel, RulesConfig
from app.learning.baskets.model import fit as fit_rules
from app.learning.customers.customers import CustomerModels, CustomersConfig, Judged, fit_customers
from app.learning.customers.features import FeatureTable, ItemFacts
from app.learning.dataset import Dataset
from app.learning.forecasting.sales import Sales, SalesConfig, fit_sales
from app.learning.parts import joined, part_of
from app.learning.recommenders.base import Config, NotEnoughData

Told = Callable[[float], None]


class AnalyticsConfig(Config):
    """Recipe of all of it."""

    customers: CustomersConfig = Field(default_factory=CustomersConfig)
    rules: RulesConfig = Field(default_factory=RulesConfig)
    sales: SalesConfig = Field(default_factory=SalesConfig)


@dataclass(frozen=True)
class Analytics:
    """The figures of one model version."""

    customers: CustomerModels
    judged: Judged
    """What the models say of every customer, as of the version's moment."""
    rules: RuleModel | None
    sales: Sales
    missing: Mapping[str, str]
    """What could not be fitted, and what it needs."""

    @classmethod
    def none(cls, dataset: Dataset) -> Self:
        """No figures, where only lists are wanted."""
        n = dataset.n_users
        facts = ItemFacts(np.empty(0, dtype=np.int32), np.empty(0), np.array([dataset.as_of]))
        features = FeatureTable((), (), np.zeros((n, 0)), np.zeros(n, dtype=np.bool_))
        return cls(
            CustomerModels(dataset.user_keys, facts, {}, None, None, None, None, {}),
            Judged(features, {}, np.zeros((n, 3), dtype=np.int8), {}),
            None,
            Sales({}, {}),
            {},
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        parts = {
            "customers": self.customers.arrays(),
            "judged": self.judged.arrays(),
            "sales": self.sales.arrays(),
            "rules": {} if self.rules is None else self.rules.arrays(),
        }
        return joined(parts) | {"missing": np.array([json.dumps(dict(self.missing))], dtype=np.str_)}

    @classmethod
    def from_arrays(cls, config: AnalyticsConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        rules = part_of(arrays, "rules")
        return cls(
            CustomerModels.from_arrays(config.customers, part_of(arrays, "customers")),
            Judged.from_arrays(part_of(arrays, "judged")),
            RuleModel.from_arrays(config.rules, rules) if rules else None,
            Sales.from_arrays(config.sales, part_of(arrays, "sales")),
            json.loads(str(arrays["missing"][0])),
        )


_SHARE_OF_CUSTOMERS: Final = 0.8
"""Of the time of it all, for progress."""


def fit_analytics(
    config: AnalyticsConfig, dataset: Dataset, rng: np.random.Generator, former: Analytics | None, told: Told
) -> Analytics:
    """Fit what the data allow; `told` hears how much is done, 0 to 1, between the parts.

    `former` is of the run before: segments that are found again keep their ids.
    """
    missing: dict[str, str] = {}
    before = None if former is None else former.customers
    customers, judged = fit_customers(
        config.customers, dataset, rng, before, missing, lambda done: told(done * _SHARE_OF_CUSTOMERS)
    )
    rules = None
    try:
        rules = fit_rules(config.rules, dataset, rng)
    except NotEnoughData as reason:
        missing["rules"] = str(reason)
    told((1 + _SHARE_OF_CUSTOMERS) / 2)
    sales = fit_sales(config.sales, dataset, missing)
    told(1.0)
    return Analytics(customers, judged, rules, sales, missing)
