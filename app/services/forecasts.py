"""Forecasts of the shop's sales and of its items' demand, as the active model version has them."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from app.core.clock import rfc3339
from app.core.errors import Conflict, InputError, InvalidInput, ModelNotReady, NotFound
from app.db.queries.items import find_item, items_by_key
from app.db.rows import AnyRow
from app.learning.dataset import DAY_MS
from app.learning.forecasting.forecasts import ForecastConfig, Forecasts, fit_forecasts
from app.learning.forecasting.sales import DEMAND, SalesConfig, series_name
from app.learning.forecasting.series import STEP_DAYS, Measure, SeriesTable, Step
from app.learning.recommenders.base import NotEnoughData
from app.services.live import Live
from app.services.live_model import LiveModel
from app.services.paging import decode_cursor, encode_cursor

PAST: Final[dict[Step, int]] = {"day": 56, "week": 26}
"""Periods of the past in an answer, unless it is said how many."""
PAGE: Final = 50
_AT_ONCE: Final = 500
SERIES_COLUMNS: Final = ("start", "value", "mean", "lower", "upper")
DEMAND_COLUMNS: Final = (
    *("item_id", "title", "expected_units", "units_before"),
    *("method", "season", "error", "error_value", "naive_error"),
)
_WHOLE_SHOP: Final = -1
"""Key of a series that is of no single item."""
_NOTHING: Final[dict[str, Any]] = {"method": None, "season": None, "error": None}


def forecast_sales(live: Live, measure: Measure, by: Step, past: int | None) -> dict[str, Any]:
    """The whole shop's series and forecast; raises ModelNotReady before the first training."""
    model = _trained(live)
    name = series_name(measure, by)
    answer = _series(model, name, by, past, _WHOLE_SHOP)
    missing = None if answer["forecast"] else model.version.analytics.missing[f"forecasts.{name}"]
    return {"measure": measure, **answer, "missing": missing}


def forecast_item(
    connection: Connection, live: Live, item_id: str, by: Step, past: int | None
) -> dict[str, Any]:
    """One item's series and forecast, or why there is none; raises NotFound, ModelNotReady."""
    row = find_item(connection, item_id)
    if row is None:
        raise NotFound(f"There is no item '{item_id}'.")
    model = _trained(live)
    column = int(model.indexes_of(np.array([row.id]))[0])
    name = series_name(DEMAND, by)
    answer = _series(model, name, by, past, column)
    told = model.version.analytics.sales.forecasts.get(name)
    place = None if told is None else _row(told, column)
    return {
        "item_id": item_id,
        "title": row.title,
        **answer,
        "expected_units": None if told is None or place is None else float(_expected(told)[place]),
        "missing": _missing(model, by, column) if place is None else None,
    }


def list_demand(
    connection: Connection, live: Live, by: Step, cursor: str | None, n: int | None
) -> dict[str, Any]:
    """A page of items by the units that are expected of them, the most first; raises ModelNotReady."""
    model = _trained(live)
    name = series_name(DEMAND, by)
    sales = model.version.analytics.sales
    told = sales.forecasts.get(name)
    most = PAGE if n is None else n
    entries: list[dict[str, Any]] = []
    following = None
    for place, entry in _demand(connection, model, by, _start(model, cursor)):
        if len(entries) == most:
            following = encode_cursor([model.name, place])
            break
        entries.append(entry)
    return {
        "model_version": model.name,
        "as_of": rfc3339(model.version.as_of),
        "by": by,
        "periods": None if told is None else told.mean.shape[1],
        "coverage": None if told is None else _recipe(model, by).coverage,
        "missing": model.version.analytics.missing.get(f"forecasts.{name}"),
        "items": entries,
        "next_cursor": following,
    }


def demand_rows(
    connection: Connection, live: Live, by: Step, cursor: str | None, n: int | None
) -> Iterator[dict[str, Any]]:
    """Rows of a table of the items' demand, all of them unless `n` says how many."""
    model = _trained(live)
    for number, (_, entry) in enumerate(_demand(connection, model, by, _start(model, cursor))):
        if number == n:
            return
        error = entry["error"]
        yield entry | {
            "error": error["name"],
            "error_value": error["value"],
            "naive_error": error["naive"],
        }


def series_rows(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of a table of a series: what was, then what is expected."""
    return [*answer["past"], *answer["forecast"]]


def _trained(live: Live) -> LiveModel:
    if live.current is None:
        raise ModelNotReady("No model is trained yet: forecasts need a training run.")
    return live.current


def _sales_config(model: LiveModel) -> SalesConfig:
    return model.version.analytics_config.sales


def _recipe(model: LiveModel, by: Step) -> ForecastConfig:
    config = _sales_config(model)
    return config.day if by == "day" else config.week


def _series(model: LiveModel, name: str, by: Step, past: int | None, key: int) -> dict[str, Any]:
    """One series of a table and its forecast; either may not be there."""
    sales = model.version.analytics.sales
    before: list[dict[str, Any]] = []
    ahead: dict[str, Any] = {"forecast": [], "coverage": None, **_NOTHING}
    series, told = sales.series.get(name), sales.forecasts.get(name)
    if series is not None and (row := _row(series, key)) is not None:
        n_periods = series.values.shape[1]
        first = max(0, n_periods - (PAST[by] if past is None else past))
        starts = _dates(series.start, by, first, n_periods)
        values = series.values[row, first:].tolist()
        before = [{"start": at, "value": value} for at, value in zip(starts, values, strict=True)]
    if told is not None and (row := _row(told, key)) is not None:
        coverage = _recipe(model, by).coverage
        ahead = {"forecast": _periods(told, row), "coverage": coverage, **_method(told, row)}
    return {
        "model_version": model.name,
        "as_of": rfc3339(model.version.as_of),
        "by": by,
        "past": before,
        **ahead,
    }


def _row(table: SeriesTable | Forecasts, key: int) -> int | None:
    found = np.flatnonzero(table.keys == key)
    return int(found[0]) if len(found) else None


def _dates(start: int, by: Step, first: int, end: int) -> list[str]:
    """First days of the periods `first … end - 1` of a series that begins at `start` (ms)."""
    days = start // DAY_MS + np.arange(first, end) * STEP_DAYS[by]
    return [str(day) for day in days.astype("datetime64[D]")]


def _periods(told: Forecasts, row: int) -> list[dict[str, Any]]:
    columns = (column[row].tolist() for column in (told.mean, told.lower, told.upper))
    return [
        {"start": at, "mean": mean, "lower": lower, "upper": upper}
        for at, mean, lower, upper in zip(
            _dates(told.start, told.step, 0, told.mean.shape[1]), *columns, strict=True
        )
    ]


def _method(told: Forecasts, row: int) -> dict[str, Any]:
    error, naive = float(told.error[row]), float(told.naive_error[row])
    return {
        "method": told.methods()[row],
        "season": int(told.season[row]),
        "error": {
            "name": "RMSSE" if told.intermittent[row] else "MASE",
            "value": error,
            "naive": naive,
            "better_than_naive": error < naive,
        },
    }


def _missing(model: LiveModel, by: Step, column: int) -> str:
    """Why an item has no forecast."""
    analytics = model.version.analytics
    name = series_name(DEMAND, by)
    series = analytics.sales.series.get(name)
    if series is None:
        return analytics.missing[f"forecasts.{name}"]
    if column < 0:
        return "the item came after the training; the next one counts it"
    row = _row(series, column)
    if row is None:
        most = _sales_config(model).items
        if len(series) < most:
            return f"none of the item was sold in a complete {by}"
        return f"only the {most} items that sold most are forecast, and this is none of them"
    alone = SeriesTable(
        series.keys[row : row + 1], series.values[row : row + 1], series.start, series.step, series.counts
    )
    try:
        # Of a series that is too short it says what is needed, before anything is fitted.
        fit_forecasts(_recipe(model, by), alone)
    except NotEnoughData as reason:
        return str(reason)
    return "the training made no forecast of the item"


def _demand(
    connection: Connection, model: LiveModel, by: Step, start: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Items from a place of the order on, each with its place; those that were deleted are passed over."""
    name = series_name(DEMAND, by)
    sales = model.version.analytics.sales
    if name not in sales.forecasts:
        return
    told, series = sales.forecasts[name], sales.series[name]
    expected = _expected(told)
    # The model's items are in order of their ids, and so are those of which as much is expected.
    order = np.lexsort((told.keys, -expected))
    sold = dict(zip(series.keys.tolist(), _sold(series, told.mean.shape[1]).tolist(), strict=True))
    for first in range(start, len(order), _AT_ONCE):
        places = order[first : first + _AT_ONCE]
        keys = model.version.item_keys[told.keys[places]].tolist()
        rows = items_by_key(connection, keys)
        for place, (row, key) in enumerate(zip(places.tolist(), keys, strict=True), start=first):
            item: AnyRow = rows[key]
            if item.deleted_at is None:
                yield (
                    place,
                    {
                        "item_id": item.external_id,
                        "title": item.title,
                        "expected_units": float(expected[row]),
                        "units_before": sold[int(told.keys[row])],
                        "forecast": _periods(told, row),
                        **_method(told, row),
                    },
                )


def _expected(told: Forecasts) -> NDArray[np.float64]:
    """Units of each series over all periods ahead, `(n,)`: means add up, whatever depends on what."""
    return np.asarray(told.mean.sum(axis=1))


def _sold(series: SeriesTable, periods: int) -> NDArray[np.float64]:
    """Units of each series in the last periods, `(n_series,)`."""
    return np.asarray(series.values[:, -periods:].sum(axis=1))


def _start(model: LiveModel, cursor: str | None) -> int:
    """The place at which a page begins."""
    name, start = decode_cursor(cursor, str, int) or (model.name, 0)
    if start < 0:
        raise InvalidInput(
            "The cursor is not one that this list gave.",
            [InputError("/query/cursor", "bad_cursor", "Give next_cursor of the page before")],
        )
    if name != model.name:
        raise Conflict("The forecasts are of another training than the page before: begin with the first.")
    return int(start)
