"""Rules and forecasts, with the columns that HTTP gives them."""

from typing import Final

from sqlalchemy import Connection

from app.learning.forecasting.series import Measure, Step
from app.services import forecasts, rules
from app.services.exports.table import Table
from app.services.live import Live

_ALL: Final = rules.RuleQuery(None, "any", 0, 0, 0, "strength")


def rules_table(connection: Connection, live: Live) -> Table:
    """All rules, the strongest first; raises ModelNotReady."""
    told = rules.list_rules(connection, live, _ALL, None, 1)
    columns, rows = rules.rule_table(connection, live, _ALL, None, None)
    return Table(columns, rows, told["n_matching"], notes=_notes("Rules", told["missing"]))


def sales_table(live: Live, measure: Measure, by: Step) -> Table:
    """The shop's sales as they were, then as they are expected; raises ModelNotReady."""
    told = forecasts.forecast_sales(live, measure, by, None)
    rows = forecasts.series_rows(told)
    return Table(forecasts.SERIES_COLUMNS, rows, len(rows), notes=_notes("The forecast", told["missing"]))


def demand_table(connection: Connection, live: Live, by: Step) -> Table:
    """Items by the units that are expected of them, the most first; raises ModelNotReady."""
    told = forecasts.list_demand(connection, live, by, None, 1)
    rows = forecasts.demand_rows(connection, live, by, None, None)
    return Table(forecasts.DEMAND_COLUMNS, rows, None, notes=_notes("The forecast", told["missing"]))


def _notes(what: str, missing: str | None) -> list[str]:
    return [] if missing is None else [f"{what} cannot be told: {missing}."]
