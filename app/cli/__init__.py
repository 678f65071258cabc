"""The `vitrine` command.

What a command needs is imported when it is asked for: `vitrine serve` stays in memory above its workers, and
has no use for what trains a model.
"""

import os
import sys
from importlib import import_module
from typing import Any, Final

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError
from sqlalchemy.exc import DBAPIError
from typer.core import TyperGroup

from app.cli.console import fail, first_line
from app.core.errors import AppError

COMMANDS: Final = {
    "serve": ("app.cli.serve", "serve"),
    "trainer": ("app.cli.trainer", "trainer"),
    "migrate": ("app.cli.migrate", "migrate"),
    "backup": ("app.cli.backup", "backup"),
    "import": ("app.cli.imports", "app"),
    "export": ("app.cli.export.commands", "app"),
    "train": ("app.cli.train", "train"),
    "evaluate": ("app.cli.evaluate", "evaluate_command"),
    "demo": ("app.cli.demo.command", "demo"),
    "keys": ("app.cli.keys", "app"),
    "pseudonym": ("app.cli.pseudonym", "pseudonym"),
}
"""Module and name of each command, a function or a group of further ones, in the order of `--help`."""


class _Commands(TyperGroup):
    """Commands that are imported one by one."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        found = getattr(import_module(module), name)
        if isinstance(found, typer.Typer):
            made: Any = typer.main.get_group(found)
        else:
            alone = typer.Typer(add_completion=False)
            alone.command()(found)
            made = typer.main.get_command(alone)
        made.name = cmd_name
        return made


app = typer.Typer(
    name="vitrine",
    cls=_Commands,
    help="Self-hosted personalisation for storefronts. Settings come from VITRINE_* variables and .env.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _vitrine() -> None:
    """Makes this a group, though none of its commands is named here."""


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
