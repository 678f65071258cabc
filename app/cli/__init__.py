"""The `vitrine` command."""

import os
import sys

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError
from sqlalchemy.exc import DBAPIError

from app.cli import evaluate, imports, keys, migrate, pseudonym, serve, train
from app.cli.console import fail, first_line
from app.cli.demo.command import demo
from app.cli.export import commands as export
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
app.add_typer(export.app, name="export")
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate_command)
app.command("demo")(demo)
app.add_typer(keys.app, name="keys")
app.command("pseudonym")(pseudonym.pseudonym)


def main() -> None:
    """Run the command; what a user can mend is one line, not a traceback."""
    try:
        app()
    except AppError as error:
        fail(error.detail)
    except ValidationError as error:
        for detail in error.errors():
            setting, *inside = (str(part) for part in detail["loc"])
            where = "".join(f"[{part}]" for part in inside)
            typer.echo(f"Setting VITRINE_{setting.upper()}{where}: {detail['msg']}", err=True)
        sys.exit(2)
    except SettingsError as error:
        fail(f"A VITRINE_* variable is not the JSON that it must be: {error}", 2)
    except DBAPIError as error:
        fail(f"The database refused or cannot be reached: {first_line(error)}")
    except BrokenPipeError:
        os._exit(0)
