"""`vitrine keys`"""

from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.table import Column, Table

from app.cli.console import fail, open_database, out
from app.core.errors import Conflict, NotFound
from app.core.settings import Settings
from app.schemas.keys import KeyRequest, RotationRequest
from app.services import keys
from app.services.audit import CLI, Deed, do_recorded

app = typer.Typer(help="Make, list, rotate and revoke API keys.", no_args_is_help=True)


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
        deed = Deed(CLI, "key.created", lambda made: str(made["key_id"]))
        created = do_recorded(connection, deed, keys.create_key, request)
    _show(created)


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
            do_recorded(connection, Deed(CLI, "key.revoked", key_id), keys.revoke_key, key_id)
    except NotFound as error:
        fail(error.detail)
    out.print(f"Key {key_id} is revoked.")


@app.command("rotate")
def rotate_key(
    key_id: Annotated[str, typer.Argument(help="As 'vitrine keys list' shows it")],
    overlap_seconds: Annotated[
        int, typer.Option(min=0, max=90 * 86_400, help="How long the key itself stays valid")
    ] = 86_400,
) -> None:
    """Make a key's successor and show its secret, this once; both are valid for a while."""
    database = open_database(Settings())
    request = RotationRequest(overlap_seconds=overlap_seconds)
    try:
        with database.write() as connection:
            deed = Deed(CLI, "key.rotated", key_id)
            made = do_recorded(connection, deed, keys.rotate_key, key_id, request)
    except (NotFound, Conflict) as error:
        fail(error.detail)
    out.print(f"Key {key_id} is valid until {made['replaces']['expires_at']}. Its successor:")
    _show(made)


def _show(made: dict[str, Any]) -> None:
    out.print(f"Key {made['key_id']} ({', '.join(made['scopes'])}). Its secret is shown this once:")
    out.print(made["key"], soft_wrap=True, highlight=False)
