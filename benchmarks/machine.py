"""The machine's facts, and how results are printed."""

import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

_console = Console()


def say(text: str) -> None:
    """Print a line."""
    _console.print(text, highlight=False)


def show_machine() -> None:
    """Print what the figures depend on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    say(
        f"{_processor()}, {cores} cores{load}; {platform.system()} {platform.release()}; "
        f"Python {platform.python_version()}"
    )


def show(title: str, names: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Print a table whose first column is text and whose others are numbers."""
    say(title)
    table = Table()
    for place, name in enumerate(names):
        table.add_column(name, justify="right" if place else "left")
    for line in lines:
        table.add_row(*line)
    _console.print(table)


def spread(values: Sequence[float], digits: int) -> str:
    """Median and range."""
    low, high = min(values), max(values)
    return f"{median(values):,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"


def goal(text: str, met: bool) -> None:
    """Print whether a goal is met."""
    say(f"goal {text}: {'[green]met[/green]' if met else '[red]missed[/red]'}")


def mebibytes(max_rss: int) -> float:
    """`ru_maxrss` in MiB: it counts KiB on Linux, bytes on macOS."""
    return max_rss / (2**20 if sys.platform == "darwin" else 2**10)


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
