"""The demo's own folder: emptied at the start, locked while the demo runs."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path("var/demo")
_LOCK = "demo.lock"
"""Also the mark by which a later demo knows the folder as one of its own."""


class DemoError(Exception):
    """The demo cannot go on; the message is one clear line."""


@contextmanager
def fresh_folder() -> Iterator[Path]:
    """An empty folder, but for its lock; raises DemoError if it is in use or not an earlier demo's."""
    folder = FOLDER.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = folder / _LOCK
        if not lock.exists() and any(folder.iterdir()):
            raise DemoError(f"{FOLDER} holds files that are not an earlier demo's; move it away")
        with lock.open("a") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DemoError(f"another demo is running in {FOLDER}; end it first") from None
            for entry in folder.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                elif entry.name != _LOCK:
                    entry.unlink()
            yield folder
    except OSError as error:
        raise DemoError(f"{FOLDER} cannot be used: {error}") from error
