"""Statements on the way of every answer: compiled once for each engine, then text for the driver."""

from typing import Any

from sqlalchemy import Connection, Executable
from sqlalchemy.exc import DBAPIError


class Prepared:
    """A query with named parameters. Its rows come as the driver makes them: not for JSON columns."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, list[str] | None, dict[str, Any]]] = {}

    def rows(self, connection: Connection, **parameters: Any) -> list[tuple[Any, ...]]:
        """All rows, from the driver itself: SQLAlchemy's own way to it takes longer than SQLite's answer.

        Raises DBAPIError as SQLAlchemy does. On SQLite it begins no transaction.
        """
        dialect = connection.dialect
        known = self._compiled.get(dialect.name)
        if known is None:
            compiled: Any = self._statement.compile(dialect=dialect)  # type: ignore[attr-defined]
            order = list(compiled.positiontup) if compiled.positional else None
            known = self._compiled[dialect.name] = (str(compiled), order, dict(compiled.params))
        text, order, defaults = known
        values = defaults | parameters
        given: Any = values if order is None else tuple(values[name] for name in order)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(text, given)
            return cursor.fetchall()  # type: ignore[return-value]
        except dialect.loaded_dbapi.Error as error:
            raise _as_told(connection, cursor, text, error) from error
        finally:
            cursor.close()

    def value(self, connection: Connection, **parameters: Any) -> Any:
        """The first column of the first row; None without rows."""
        found = self.rows(connection, **parameters)
        return found[0][0] if found else None


def _as_told(connection: Connection, cursor: Any, text: str, error: Any) -> BaseException:
    """A driver's error as SQLAlchemy tells it, and the connection given up if it is lost."""
    dialect = connection.dialect
    lost = dialect.is_disconnect(error, connection.connection.dbapi_connection, cursor)
    if lost:
        connection.invalidate(error)
    told: BaseException = DBAPIError.instance(
        text,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=lost,
        dialect=dialect,
    )
    return told
