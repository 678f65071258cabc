"""Tables that fit a terminal of 80 columns and make use of a wider one."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from app.cli.console import out

_WIDEST = 118


def listed(entries: Sequence[tuple[str, str | None]], numbered: bool = True) -> list[RenderableType]:
    """Titles, cut where the column ends, each with a note under it."""
    shown: list[RenderableType] = []
    for number, (title, note) in enumerate(entries, 1):
        line = Text(f"{number} {title}" if numbered else title, no_wrap=True, overflow="ellipsis")
        if note is None:
            shown.append(line)
        else:
            shown.append(Group(line, Padding(Text(note, style="dim"), (0, 0, 0, 2))))
    return shown


def beside(
    title: str, columns: Mapping[str, Sequence[RenderableType]], ratios: Sequence[int], caption: str = ""
) -> None:
    """Print lists side by side under one title."""
    table = _table(title, caption, full=True)
    for name, ratio in zip(columns, ratios, strict=True):
        table.add_column(name, ratio=ratio)
    for row in zip_longest(*columns.values(), fillvalue=""):
        table.add_row(*row)
    _print(table)


def rows(
    title: str,
    names: Sequence[str],
    lines: Sequence[Sequence[str]],
    numbers: Sequence[int],
    caption: str = "",
) -> None:
    """Print rows of text; the columns of `numbers` are numbers, to be read right-aligned."""
    table = _table(title, caption, full=False)
    for place, name in enumerate(names):
        table.add_column(name, justify="right" if place in numbers else "left", no_wrap=place in numbers)
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))
    _print(table)


def _table(title: str, caption: str, full: bool) -> Table:
    return Table(
        title=Text(title, style="bold"),
        title_justify="left",
        caption=Text(caption, style="dim") if caption else None,
        caption_justify="left",
        width=min(out.width, _WIDEST) if full else None,
    )


def _print(table: Table) -> None:
    out.print()
    out.print(table)
