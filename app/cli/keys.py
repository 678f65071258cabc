"""`vitrine keys`"""

from typing import Annotated

import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.table import Column, Table

from app.cli.console import fail, open_database, out
from app.core.errors import NotFound
from app.core.settings import Settings
from app.schemas.keys import KeyRequest
from app.services import keys

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)


@app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="For people: where the key is used")],
    scope: Annotated[list[str], typer.Option(help="track, ingest, query or admin; may be repeated")] = [  # noqa: B006
        "admin"
    ],
) -> None:
    """Make a key and show its secret, this once."""
    try:
        request = KeyRequest.model_validate({"name": name, "scopes": scope})
    except ValidationError as error:
        fail(f"{error.errors()[0]['loc'][0]}: {error.errors()[0]['msg']}", 2)
    database = open_database(Settings())
    with database.write() as connection:
        created = keys.create_key(connection, request)
    out.print(f"Key {created['key_id']} ({', '.join(created['scopes'])}). Its secret is shown this once:")
    out.print(created["key"], soft_wrap=True, highlight=False)


@app.command("list")
def list_keys() -> None:
    """Show all keys, without their secrets."""
    database = open_database(Settings())
    with database.read() as connection:
        found = keys.list_keys(connection)["keys"]
    table = Table(Column("key", no_wrap=True), "name", "scopes", "created", "expires", "revoked")
    for key in found:
        dates = (key["created_at"], key["expires_at"] or "", key["revoked_at"] or "")
        table.add_row(key["key_id"], escape(key["name"]), ", ".join(key["scopes"]), *dates)
    out.print(table if found else "There are no keys.")


@app.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="As 'vitrine keys list' shows it")]) -> None:
    """Make a key worthless at once."""
    database = open_database(Settings())
    try:
        with database.write() as connection:
            keys.revoke_key(connection, key_id)
    except NotFound as error:
        fail(error.detail)
    out.print(f"Key {key_id} is revoked.")
