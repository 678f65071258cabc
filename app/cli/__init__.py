"""The `vitrine` command."""

import os
import sys

import typer
from pydantic import ValidationError

from app.cli import imports, keys, migrate, serve, train
from app.cli.console import fail
from app.core.errors import AppError

app = typer.Typer(
    name="vitrine",
    help="Self-hosted personalisation for storefronts. Settings come from VITRINE_* variables and .env.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.serve)
app.command("trainer")(serve.trainer)
app.command("migrate")(migrate.migrate)
app.add_typer(imports.app, name="import")
app.command("train")(train.train)
app.add_typer(keys.app, name="keys")


def main() -> None:
    """Run the command; what a user can mend is one line, not a traceback."""
    try:
        app()
    except AppError as error:
        fail(error.detail)
    except ValidationError as error:
        for detail in error.errors():
            where = "_".join(str(part) for part in detail["loc"]).upper()
            typer.echo(f"Setting VITRINE_{where}: {detail['msg']}", err=True)
        sys.exit(2)
    except BrokenPipeError:
        os._exit(0)
