"""Wire types of sales and demand forecasts."""

from typing import Literal

from pydantic import Field

from app.schemas.fields import Answer

_MISSING = "What a forecast would need, where there is none"


class PastPeriod(Answer):
    start: str = Field(description="Its first day, UTC", examples=["2026-11-20"])
    value: float = Field(description="0: nothing was sold")


class ForecastPeriod(Answer):
    start: str = Field(description="Its first day, UTC", examples=["2026-11-21"])
    mean: float
    lower: float = Field(description="Lower end of the interval for this period")
    upper: float


class ForecastError(Answer):
    name: Literal["MASE", "RMSSE"] = Field(
        description="Scaled error on the series' own recent past: absolute, or squared where demand is rare; "
        "1: as large as that of repeating the last season, one step ahead"
    )
    value: float
    naive: float = Field(description="That of repeating the last season, as far ahead as this forecast")
    better_than_naive: bool = Field(
        description="If not, the forecast repeats the last season, or the last period without one"
    )


class Method(Answer):
    method: str | None = Field(description="That did best on the series' own recent past")
    season: int | None = Field(description="Length of the season in periods; 1: too little history for one")
    error: ForecastError | None


class SeriesForecast(Method):
    model_version: str
    as_of: str = Field(
        description="The moment of the data. Forecasts begin here, also when the training was days ago"
    )
    by: Literal["day", "week"]
    past: list[PastPeriod] = Field(description="Complete periods, oldest first")
    forecast: list[ForecastPeriod]
    coverage: float | None = Field(
        description="Share of the actual values that the interval of a period is to hold"
    )
    missing: str | None = Field(description=_MISSING)


class SalesForecast(SeriesForecast):
    measure: Literal["revenue", "orders", "units"]


class ItemForecast(SeriesForecast):
    item_id: str
    title: str | None
    expected_units: float | None = Field(description="Over all periods ahead: the sum of the means")


class ItemDemand(Method):
    item_id: str
    title: str | None
    expected_units: float = Field(
        description="Over all periods ahead: the sum of the means. Intervals are of single periods: "
        "they do not add up"
    )
    units_before: float = Field(description="Sold in as many periods before, or in those there are")
    forecast: list[ForecastPeriod]


class DemandList(Answer):
    model_version: str
    as_of: str = Field(description="The moment of the data, from which forecasts begin")
    by: Literal["day", "week"]
    periods: int | None = Field(description="How many are ahead")
    coverage: float | None = Field(
        description="Share of the actual values that the interval of a period is to hold"
    )
    missing: str | None = Field(description=_MISSING)
    items: list[ItemDemand]
    next_cursor: str | None
