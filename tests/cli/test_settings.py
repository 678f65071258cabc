"""What a user can mend is one line that names it, never a traceback."""

from pathlib import Path

import pytest

from app.db.migrate import head_revision
from tests import postgresql
from tests.cli.command import start, vitrine

UNREACHABLE = "postgresql://nobody@127.0.0.1:1/none"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"PORT": "99999"}, "VITRINE_PORT"),
        ({"LOG_LEVEL": "loud"}, "VITRINE_LOG_LEVEL"),
        ({"EVENT_WEIGHTS": "{not json"}, "event_weights"),
        ({"EVENT_WEIGHTS": '{"Not An Event": 1}'}, "VITRINE_EVENT_WEIGHTS"),
        ({"EVENT_WEIGHTS": '{"purchase": "much"}'}, "VITRINE_EVENT_WEIGHTS"),
    ],
)
def test_a_bad_setting_is_named(tmp_path: Path, settings: dict[str, str], named: str) -> None:
    found = vitrine(tmp_path, "keys", "list", **settings)
    assert found.status == 2
    assert len(found.error_lines) == 1
    assert named in found.err


def test_each_command_says_that_the_database_is_not_there(tmp_path: Path) -> None:
    commands = (["migrate"], ["trainer"], ["train"], ["keys", "list"], ["serve", "--port", "0"])
    processes = [start(tmp_path, *command, DATABASE_URL=UNREACHABLE) for command in commands]
    for command, process in zip(commands, processes, strict=True):
        found = process.ended()
        assert found.status == 1, command
        assert found.err.startswith("vitrine: The database cannot be reached: "), command
        assert len(found.error_lines) == 1, command


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://shop@host/shop", "mysql is not supported: give a sqlite:/// or postgresql:// address"),
        ("where-it-is", "Could not parse"),
        ("sqlite://", "in-memory"),
        ("sqlite:////proc/none/vitrine.db", "No such file or directory"),
    ],
)
def test_an_address_that_cannot_be_used_is_named(tmp_path: Path, url: str, said: str) -> None:
    processes = [start(tmp_path, *command, DATABASE_URL=url) for command in (["migrate"], ["trainer"])]
    for process in processes:
        found = process.ended()
        assert found.status == 1
        assert len(found.error_lines) == 1
        assert found.err.startswith("vitrine: VITRINE_DATABASE_URL: ")
        assert said in found.err


def test_a_server_must_be_migrated_first(postgresql_server: str, tmp_path: Path) -> None:
    with postgresql.new_database(postgresql_server, f"vitrine_{tmp_path.name}_cli".lower()) as url:
        processes = [start(tmp_path, command, DATABASE_URL=url) for command in ("train", "serve", "trainer")]
        for process in processes:
            found = process.ended()
            assert found.status == 1
            assert found.error_lines == [
                f"vitrine: The database's schema is at nothing, this release needs {head_revision()}: "
                "run 'vitrine migrate' first."
            ]
