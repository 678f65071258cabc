"""`vitrine pseudonym`"""

from typing import Annotated

import typer

from app.cli.console import fail, out
from app.core.pseudonyms import pseudonym_of
from app.core.settings import Settings


def pseudonym(user_id: Annotated[str, typer.Argument(help="The shop's id of a user")]) -> None:
    """Show under which pseudonym a user is stored."""
    key = Settings().pseudonyms_by
    if key is None:
        fail("VITRINE_PSEUDONYM_KEY is not set: users are stored under their own ids.")
    out.print(pseudonym_of(key, user_id), highlight=False, soft_wrap=True)
