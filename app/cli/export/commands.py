"""The commands of `vitrine export`."""

from typing import Annotated, Any, Literal

import typer
from threadpoolctl import threadpool_limits
from typer.core import TyperGroup

from app.cli.console import err, fail, open_database, progress_bar
from app.cli.console import out as console
from app.cli.export.lines import lines_of
from app.cli.export.target import Target
from app.core.pseudonyms import as_stored
from app.core.settings import Settings
from app.core.telemetry import set_up_logs
from app.db.session import Database
from app.schemas.recommendations import MAX_N
from app.services.exports.analytics import demand_table, rules_table, sales_table
from app.services.exports.customers import customers_table
from app.services.exports.ingested import interactions_table, items_table, users_table
from app.services.exports.lists import lists_table
from app.services.exports.segments import segments_table
from app.services.exports.table import Table
from app.services.live import Live


class _Things(TyperGroup):
    """Names what can be exported where somebody asks for something else."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            fail(f"'{args[0]}' cannot be exported: give one of {', '.join(self.commands)}", 2)
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=_Things, help="Write data and figures to files.", no_args_is_help=True)

_Out = Annotated[
    str, typer.Option("--out", help="The file; one that ends in .gz is packed; - is standard output")
]
_Table = Annotated[
    str | None, typer.Option("--format", help="csv or ndjson; default: as the file ends, else csv")
]
_Wire = Annotated[
    str | None, typer.Option("--format", help="ndjson or csv; default: as the file ends, else ndjson")
]
_Force = Annotated[bool, typer.Option("--force", help="Replace the file if there is one")]
_SayKind = Annotated[
    bool,
    typer.Option("--kind/--no-kind", help="NDJSON: each line says what it is, as 'vitrine import' reads it"),
]


@app.command("customers")
def export_customers(out: _Out, form: _Table = None, force: _Force = False) -> None:
    """Customers with segments, predicted figures, features and attributes, as of the last training."""
    target = Target.of(out, form, force, "csv")
    database, live = _served()
    with database.snapshot() as connection:
        _write(target, "customers", customers_table(connection, live, target.form == "csv"))


@app.command("segments")
def export_segments(out: _Out, form: _Table = None, force: _Force = False) -> None:
    """Segments with their size, what sets them apart, and their centre."""
    target = Target.of(out, form, force, "csv")
    database, live = _served()
    with database.snapshot() as connection:
        _write(target, "segments", segments_table(connection, live))


@app.command("rules")
def export_rules(out: _Out, form: _Table = None, force: _Force = False) -> None:
    """What is bought together, the strongest rules first."""
    target = Target.of(out, form, force, "csv")
    database, live = _served()
    with database.snapshot() as connection:
        _write(target, "rules", rules_table(connection, live))


@app.command("forecasts")
def export_forecasts(
    out: _Out,
    of: Annotated[
        Literal["revenue", "orders", "units", "demand"],
        typer.Option("--of", help="Sales of the shop by a measure, or the items' demand"),
    ] = "revenue",
    by: Annotated[Literal["day", "week"], typer.Option("--by", help="Periods")] = "day",
    form: _Table = None,
    force: _Force = False,
) -> None:
    """Sales of the shop, past and expected, or the units that are expected of each item."""
    target = Target.of(out, form, force, "csv")
    database, live = _served()
    with database.snapshot() as connection:
        table = demand_table(connection, live, by) if of == "demand" else sales_table(live, of, by)
        _write(target, "items" if of == "demand" else "periods", table)


@app.command("recommendations")
def export_recommendations(
    out: _Out,
    n: Annotated[int, typer.Option("--n", min=1, max=MAX_N, help="Items for each user")] = 10,
    user: Annotated[list[str], typer.Option("--user", help="Only for this user; may be repeated")] = [],  # noqa: B006
    form: _Table = None,
    force: _Force = False,
) -> None:
    """The best items for each user as of now, one line for each item."""
    target = Target.of(out, form, force, "csv")
    database, live = _served()
    with threadpool_limits(1):  # as the service does: several threads would add up in another order
        wanted = [as_stored(user_id) for user_id in user]
        _write(target, "recommendations", lists_table(database, live, n, wanted))


@app.command("users")
def export_users(out: _Out, form: _Wire = None, force: _Force = False, kind: _SayKind = True) -> None:
    """Users as they were ingested."""
    target = Target.of(out, form, force, "ndjson")
    with open_database(Settings()).snapshot() as connection:
        table = users_table(connection, target.form == "csv")
        _write(target, "users", table, "user" if kind else None)


@app.command("items")
def export_items(out: _Out, form: _Wire = None, force: _Force = False, kind: _SayKind = True) -> None:
    """Items as they were ingested."""
    target = Target.of(out, form, force, "ndjson")
    with open_database(Settings()).snapshot() as connection:
        table = items_table(connection, target.form == "csv")
        _write(target, "items", table, "item" if kind else None)


@app.command("interactions")
def export_interactions(out: _Out, form: _Wire = None, force: _Force = False, kind: _SayKind = True) -> None:
    """Interactions as they were ingested, in the order in which they came."""
    target = Target.of(out, form, force, "ndjson")
    with open_database(Settings()).snapshot() as connection:
        _write(target, "interactions", interactions_table(connection), "interaction" if kind else None)


def _served() -> tuple[Database, Live]:
    """The database and what the service would answer from; ends the command where that cannot be opened."""
    settings = Settings()
    database = open_database(settings)
    set_up_logs("critical", "console")  # what cannot be opened is said below, in one line
    live = Live(database, settings.artifacts, settings.weights)
    live.start()
    if live.failing is not None:
        fail(live.failing)
    return database, live


def _write(target: Target, what: str, table: Table, kind: str | None = None) -> None:
    """Write the table and say how many rows it had; messages never go where the rows do."""
    written = 0
    try:
        bar = progress_bar()
        bar.disable = not err.is_terminal
        with bar, target.opened() as stream:
            task = bar.add_task(what, total=table.total)
            for rows, content in lines_of(table, target.form, kind):
                stream.write(content)
                written += rows
                bar.update(task, completed=written)
            bar.update(task, total=written, completed=written)
    except KeyboardInterrupt:
        fail("interrupted", 130)
    for note in table.notes:
        err.print(note, style="yellow", highlight=False, markup=False, soft_wrap=True)
    said = err if target.path is None else console
    place = "" if target.path is None else f" in {target.shown}"
    said.print(f"{written:,} {what}{place}.", highlight=False, markup=False, soft_wrap=True)
