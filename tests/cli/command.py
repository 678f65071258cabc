"""The `vitrine` command, as a process of its own.

The processes are forked from one that has imported the command already: importing the libraries takes
seconds, and there are many commands to try.
"""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.cli import COMMANDS

_START = multiprocessing.get_context("forkserver")
_START.set_forkserver_preload([module for module, _ in COMMANDS.values()])


@dataclass(frozen=True)
class Ended:
    """What a command left."""

    status: int | None
    out: str
    err: str

    @property
    def error_lines(self) -> list[str]:
        return self.err.splitlines()


class Command:
    """A command that runs."""

    def __init__(self, folder: Path, arguments: tuple[str, ...], settings: Mapping[str, str]) -> None:
        self._output = Path(tempfile.mkdtemp(dir=folder, prefix="output-"))
        self._process = _START.Process(target=_run, args=(folder, self._output, arguments, dict(settings)))
        self._process.start()

    def ended(self) -> Ended:
        """Wait for the end."""
        self._process.join(120)
        status = self._process.exitcode
        self._process.kill()
        self._process.join(10)
        self._process.close()
        return Ended(status, (self._output / "out").read_text(), (self._output / "err").read_text())


def start(folder: Path, *arguments: str, **settings: str) -> Command:
    """Start a command with the given settings and no others."""
    return Command(folder, arguments, settings)


def vitrine(folder: Path, *arguments: str, **settings: str) -> Ended:
    """Run a command to its end."""
    return start(folder, *arguments, **settings).ended()


def _run(folder: Path, output: Path, arguments: tuple[str, ...], settings: dict[str, str]) -> None:
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(output / name, os.O_WRONLY | os.O_CREAT), number)
    for name in [name for name in os.environ if name.startswith("VITRINE_")]:
        del os.environ[name]
    os.environ["VITRINE_SEARCH_SECONDS"] = "0"
    os.environ.update({f"VITRINE_{name}": value for name, value in settings.items()})
    os.chdir(folder)
    sys.argv = ["vitrine", *arguments]
    from app.cli import main

    main()
