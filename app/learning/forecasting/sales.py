"""Forecasts of the shop's sales and of its items' demand, by day and by week, beside what was."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from app.learning.dataset import Dataset
from app.learning.forecasting.forecasts import ForecastConfig, Forecasts, fit_forecasts
from app.learning.forecasting.series import (
    STEP_DAYS,
    Measure,
    SeriesTable,
    Step,
    demand_series,
    sales_series,
)
from app.learning.recommenders.base import Config, NotEnoughData

MEASURES: Final[tuple[Measure, ...]] = ("revenue", "orders", "units")
STEPS: Final[tuple[Step, ...]] = ("day", "week")
DEMAND: Final = "demand"


class SalesConfig(Config):
    """Recipe of all forecasts."""

    day: ForecastConfig = ForecastConfig(horizon=28)
    week: ForecastConfig = ForecastConfig(horizon=12)
    items: int = Field(default=1000, ge=0, le=100_000)
    """Items, those that sold most, whose demand is forecast."""


@dataclass(frozen=True)
class Sales:
    """Series and forecasts by name: "revenue.day", "units.week", "demand.day"; see `series_name`."""

    series: Mapping[str, SeriesTable]
    forecasts: Mapping[str, Forecasts]
    """Of those series that are long enough."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any]] = {}
        for name, table in self.series.items():
            axis = np.array([table.start, STEP_DAYS[table.step], table.counts], dtype=np.int64)
            arrays |= {
                f"{name}/past/keys": table.keys,
                f"{name}/past/values": table.values,
                f"{name}/past/axis": axis,
            }
        for name, told in self.forecasts.items():
            arrays |= {f"{name}/ahead/{key}": array for key, array in told.arrays().items()}
        return arrays

    @classmethod
    def from_arrays(cls, config: SalesConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        parts: dict[str, dict[str, NDArray[Any]]] = {}
        for path, array in arrays.items():
            whole, _, key = path.rpartition("/")
            parts.setdefault(whole, {})[key] = array
        steps = {days: step for step, days in STEP_DAYS.items()}
        series, forecasts = {}, {}
        for whole, part in parts.items():
            name, _, which = whole.rpartition("/")
            if which == "ahead":
                forecasts[name] = Forecasts.from_arrays(_recipe(config, name), part)
                continue
            start, days, counts = part["axis"].tolist()
            series[name] = SeriesTable(part["keys"], part["values"], start, steps[days], bool(counts))
        return cls(series, forecasts)


def series_name(measure: str, step: Step) -> str:
    """Under which a series is kept; measures are those of `MEASURES`, and `DEMAND`."""
    return f"{measure}.{step}"


def fit_sales(config: SalesConfig, dataset: Dataset, missing: dict[str, str]) -> Sales:
    """Forecast what the history allows; what it does not goes into `missing`, with what it needs."""
    wanted: dict[str, Callable[[], SeriesTable]] = {}
    for step in STEPS:
        for measure in MEASURES:
            wanted[series_name(measure, step)] = partial(sales_series, dataset, measure, step)
        wanted[series_name(DEMAND, step)] = partial(demand_series, dataset, step, config.items)
    series, forecasts = {}, {}
    for name, make in wanted.items():
        try:
            series[name] = make()
            forecasts[name] = fit_forecasts(_recipe(config, name), series[name])
        except NotEnoughData as reason:
            missing[f"forecasts.{name}"] = str(reason)
    return Sales(series, forecasts)


def _recipe(config: SalesConfig, name: str) -> ForecastConfig:
    return config.day if name.endswith(".day") else config.week
