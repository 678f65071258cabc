"""`vitrine import`"""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import typer
from rich.table import Table

from app.cli.console import fail, open_database, out, progress_bar
from app.core.settings import Settings
from app.db.session import Database
from app.readers.base import Reader, ReaderError, Record, Rejected
from app.readers.csv_mapping import CsvMapping, CsvReader
from app.readers.movielens import MovieLensReader
from app.readers.ndjson import NdjsonReader
from app.readers.online_retail import OnlineRetailReader
from app.schemas.parsing import LineParser
from app.services.batches import INTERACTIONS, ITEMS, USERS, Kind, Tally, store_checked

app = typer.Typer(help="Import data from files into the database.", no_args_is_help=True)

MAX_SHOWN = 20
_KINDS: dict[str, Kind[Any]] = {"user": USERS, "item": ITEMS, "interaction": INTERACTIONS}
_FileArgument = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]
_KindArgument = Annotated[
    Literal["users", "items", "interactions"], typer.Option("--kind", help="What the rows are")
]


@app.command("movielens")
def import_movielens(
    directory: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="An unpacked MovieLens set")
    ],
) -> None:
    """Ratings, films and users of a MovieLens data set (100K, 1M, or the CSV sets)."""
    _import(lambda: MovieLensReader(directory))


@app.command("online-retail")
def import_online_retail(file: _FileArgument) -> None:
    """Invoices of the UCI Online Retail file, plain or gzipped, as orders, refunds and sessions."""
    _import(lambda: OnlineRetailReader(file))


@app.command("ndjson")
def import_ndjson(
    file: _FileArgument,
    kind: Annotated[
        Literal["users", "items", "interactions"] | None,
        typer.Option(help='What the lines are; left out, each line says it as "kind"'),
    ] = None,
) -> None:
    """One JSON object a line, plain or gzipped, with the fields of the HTTP API."""
    _import(lambda: NdjsonReader(file, kind))


@app.command("csv")
def import_csv(
    file: _FileArgument,
    kind: _KindArgument,
    column: Annotated[
        list[str], typer.Option("--map", help="FIELD=COLUMN, e.g. user_id=CustomerID; may be repeated")
    ],
    constant: Annotated[
        list[str], typer.Option("--set", help="FIELD=VALUE for all rows, e.g. event=purchase")
    ] = [],  # noqa: B006
    delimiter: Annotated[str | None, typer.Option(help="Default: found out")] = None,
    encoding: Annotated[str, typer.Option()] = "utf-8-sig",
    separator: Annotated[str, typer.Option(help="Between the values of a list such as tags")] = "|",
    time_format: Annotated[str, typer.Option(help="iso, unix, unix_ms, or a strptime format")] = "iso",
    decimal: Annotated[str, typer.Option(help="The decimal mark of numbers: . or ,")] = ".",
    keep_rest: Annotated[bool, typer.Option(help="Keep the other columns as attributes")] = False,
) -> None:
    """A CSV or TSV file, plain or gzipped, by a mapping of its columns."""
    columns, constants = _pairs("--map", column), _pairs("--set", constant)

    def make() -> CsvReader:
        mapping = CsvMapping(
            kind=kind,
            columns=columns,
            constants=constants,
            separator=separator,
            time_format=time_format,
            decimal=decimal,
            keep_rest=keep_rest,
        )
        return CsvReader(file, mapping, delimiter=delimiter, encoding=encoding)

    _import(make)


def _pairs(option: str, given: list[str]) -> dict[str, str]:
    pairs = dict(entry.partition("=")[::2] for entry in given)
    for name, value in pairs.items():
        if not name or not value:
            fail(f"{option} takes FIELD=VALUE, not '{name}'", 2)
    return pairs


class Importing:
    """Stores what a reader yields and keeps account of it."""

    def __init__(self, database: Database) -> None:
        self.tallies = {name: Tally() for name in _KINDS}
        self.reasons: Counter[str] = Counter()
        self.examples: list[tuple[int, str]] = []
        self._database = database
        self._parsers = {name: LineParser(kind.entry) for name, kind in _KINDS.items()}

    def store(self, chunk: list[Record | Rejected]) -> None:
        """Store one chunk, each kind in a transaction of its own, as a service that is running does.

        In one transaction they would lock things in another order than that, and wait for each other.
        """
        for rejected in (row for row in chunk if isinstance(row, Rejected)):
            self._reject(rejected.line, rejected.code, rejected.detail)
        for name in _KINDS:
            run = [row for row in chunk if isinstance(row, Record) and row.kind == name]
            if not run:
                continue
            checked = self._parsers[name].parse([_line(record.fields) for record in run])
            for error in checked.errors:
                where = f"{error['pointer']}: " if error["pointer"] else ""
                self._reject(run[error["index"]].line, error["code"], where + error["detail"])
            with self._database.write() as connection:
                store_checked(connection, _KINDS[name], checked, self.tallies[name])

    def _reject(self, line: int, code: str, detail: str) -> None:
        self.reasons[code] += 1
        if len(self.examples) < MAX_SHOWN:
            self.examples.append((line, detail))

    def show(self, facts: dict[str, int | float]) -> None:
        """The summary."""
        for name, value in facts.items():
            number = f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"
            out.print(f"{name.replace('_', ' '):<32} {number}", highlight=False)
        table = Table("stored as", "accepted", "duplicate", "rejected")
        for name, tally in self.tallies.items():
            if tally.accepted or tally.duplicate or tally.rejected:
                counts = (tally.accepted, tally.duplicate, tally.rejected)
                table.add_row(_KINDS[name].name, *(f"{count:,}" for count in counts))
        out.print(table)
        for warning in {text for tally in self.tallies.values() for text in tally.warnings}:
            out.print(warning, style="yellow", markup=False)
        if self.reasons:
            out.print("Rejected: " + ", ".join(f"{code} {n:,}" for code, n in self.reasons.most_common()))
            for line, detail in self.examples:
                out.print(f"  line {line}: {detail}", highlight=False, markup=False)
            hidden = sum(self.reasons.values()) - len(self.examples)
            if hidden:
                out.print(f"  … and {hidden:,} more")


def _line(fields: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(fields)
    except TypeError:  # an integer of more than 64 bits: let the checks name it
        return json.dumps(fields, allow_nan=True, default=str).encode()


def _import(make: Any) -> None:
    database = open_database(Settings())
    importing = Importing(database)
    try:
        reader: Reader = make()
        with progress_bar() as bar:
            task = bar.add_task("import", total=max(1, reader.total_bytes))
            for chunk in reader.read():
                importing.store(chunk)
                bar.update(task, completed=reader.position())
            bar.update(task, completed=max(1, reader.total_bytes))
    except ReaderError as error:
        importing.show({})
        fail(str(error))
    importing.show(reader.summary())
    if not any(tally.accepted or tally.duplicate for tally in importing.tallies.values()):
        fail("nothing was imported")
