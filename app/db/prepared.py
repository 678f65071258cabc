"""Statements on the way of every answer: compiled once for each engine, then text for the driver."""

from typing import Any

from sqlalchemy import Connection, CursorResult, Executable


class Prepared:
    """A statement with named parameters. Its rows come as the driver makes them: not for JSON columns."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, list[str] | None, dict[str, Any]]] = {}

    def run(self, connection: Connection, **parameters: Any) -> CursorResult[Any]:
        """Execute it; building and compiling it each time takes longer than SQLite takes to answer."""
        dialect = connection.dialect
        known = self._compiled.get(dialect.name)
        if known is None:
            compiled: Any = self._statement.compile(dialect=dialect)  # type: ignore[attr-defined]
            order = list(compiled.positiontup) if compiled.positional else None
            known = self._compiled[dialect.name] = (str(compiled), order, dict(compiled.params))
        text, order, defaults = known
        values = defaults | parameters
        given: Any = values if order is None else tuple(values[name] for name in order)
        return connection.exec_driver_sql(text, given)
