"""Wire types of the shop's figures."""

import re
from typing import Annotated, Any

from pydantic import Field, PlainValidator, TypeAdapter, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.schemas.fields import Answer, Instant

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
_MOMENT = rf"^{_DATE}({_TIME})?$"
_INSTANT: TypeAdapter[int] = TypeAdapter(Instant)


def _moment(text: Any) -> int:
    if not isinstance(text, str) or re.fullmatch(_MOMENT, text) is None:
        raise PydanticCustomError(
            "string_pattern_mismatch",
            "Give a date such as 2026-11-21, or a time such as 2026-11-21T09:30:00Z (a + as %2B)",
        )
    try:
        return _INSTANT.validate_python(f"{text}T00:00:00Z" if len(text) == 10 else text)
    except ValidationError as error:
        raise PydanticCustomError(
            "date_out_of_range", "There is no such time: {why}", {"why": error.errors()[0]["msg"]}
        ) from None


Moment = Annotated[
    int,
    PlainValidator(_moment),
    WithJsonSchema({"type": "string", "pattern": _MOMENT, "examples": ["2026-11-01"]}),
]
"""On the wire a date (its first moment, UTC) or an RFC 3339 time, here milliseconds since the Unix epoch."""


class Figure(Answer):
    """A figure beside that of the window of equal length before."""

    value: float | None
    before: float | None
    change: float | None = Field(description="Relative to `before`; null where that is 0 or not known")


class Spanned(Answer):
    from_: str = Field(alias="from", description="Inclusive")
    to: str = Field(description="Exclusive")


class Report(Spanned):
    as_of: str = Field(description="The latest event that is known")
    warnings: list[str] = Field(description="What was left out, and what there is too little data for")


class SalesTotals(Answer):
    gross: Figure = Field(description="Price times quantity of the purchases")
    refunds: Figure = Field(description="The same of the refunds")
    revenue: Figure = Field(description="Gross less refunds; may be below 0")
    orders: Figure = Field(description="Distinct orders; without order_id, one for each person and UTC day")
    units: Figure = Field(description="Sum of the quantities of purchases")
    customers: Figure = Field(description="Distinct users who purchased")
    new_customers: Figure = Field(description="Those whose first purchase ever it was")
    repeat_rate: Figure = Field(description="Share of customers with a purchase on an earlier day, 0–1")
    average_order_value: Figure = Field(description="Gross by orders that have a price")
    items_per_order: Figure = Field(description="Units by orders")
    visitors: Figure = Field(description="Distinct users, or sessions without a user, with any event")
    conversion: Figure = Field(description="Share of visitors who purchased, 0–1")


class SalesPeriod(Spanned):
    gross: float
    refunds: float
    revenue: float
    orders: int
    units: float
    customers: int
    new_customers: int
    repeat_rate: float | None
    average_order_value: float | None
    items_per_order: float | None
    visitors: int
    conversion: float | None


class SalesReport(Report):
    by: str
    category: str | None
    currency: str | None = Field(description="Of all amounts; null where no purchase says one")
    totals: SalesTotals
    series: list[SalesPeriod] = Field(description="All periods of the window, also those without sales")


class Retention(Spanned):
    period: int = Field(description="Periods after the first purchase")
    customers: int = Field(description="Of the cohort, those who purchased in this period")
    share: float | None = Field(description="Of the cohort, 0–1")


class Cohort(Spanned):
    size: int = Field(description="Users whose first purchase ever lies in this period")
    retention: list[Retention]


class CohortReport(Report):
    by: str
    cohorts: list[Cohort] = Field(description="Oldest first")


class ProductFigures(Answer):
    units: Figure
    gross: Figure
    refunds: Figure
    revenue: Figure
    orders: Figure
    buyers: Figure = Field(description="Distinct users, or sessions without a user")


class SoldItem(ProductFigures):
    rank: int
    item_id: str
    title: str | None
    growth: float | None = Field(
        description="Orders above what was expected of the window before, in standard deviations"
    )


class Movers(Answer):
    up: list[SoldItem]
    down: list[SoldItem]


class ItemReport(Report):
    order: str
    currency: str | None
    items: list[SoldItem]
    movers: Movers = Field(description="Items that rose and that fell most, compared with the whole shop")


class CategorySales(ProductFigures):
    category: str | None = Field(description="First part of the path; null: items without a category")


class CategoryReport(Report):
    currency: str | None
    categories: list[CategorySales] = Field(description="An item in several categories counts in each")


class Interval(Answer):
    """A figure with the limits of its 95 % interval; null where there is too little data."""

    value: float | None
    low: float | None
    high: float | None


class ListFigures(Answer):
    lists: int = Field(description="Lists shown; by source: those with an item from it")
    shown: int = Field(description="Items shown, counted in each list")
    clicks: int = Field(description="Items of lists to which somebody turned, once for each list")
    ctr: Interval = Field(description="Clicks by items shown, 0–1")
    conversions: int = Field(description="Items of lists that were bought, once for each list")
    conversion_rate: Interval = Field(description="Conversions by items shown, 0–1")
    gross: float = Field(description="Price times quantity of the purchases")
    refunds: float = Field(description="The same of the refunds")
    revenue: float = Field(description="Gross less refunds")
    revenue_per_1000_lists: Interval


class ListGroup(ListFigures):
    """Only what `by` asks for is there, of the first four."""

    scenario: str | None = Field(default=None, description="null: the defaults")
    source: str | None = Field(default=None, description="Of the item")
    model_version: str | None = Field(default=None, description="null: before the first training")
    day: str | None = Field(default=None, description="Of the answer, UTC")


class Uncounted(Answer):
    unknown_list: int = Field(description="Events of the window whose list is not recorded")
    not_in_list: int = Field(description="Events whose list did not show their item")


class RecommendationReport(Report):
    by: list[str]
    currency: str | None = Field(description="Of all amounts; null where no purchase says one")
    totals: ListFigures
    groups: list[ListGroup] = Field(description="Those of which something was shown")
    uncounted: Uncounted
