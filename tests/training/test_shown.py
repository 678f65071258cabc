"""Records of what was shown go when they are old, a bounded step at a time."""

from pathlib import Path

from sqlalchemy import select

from app.core.clock import now_ms
from app.db.queries.identities import session_keys
from app.db.queries.shown import ShownList, insert_shown
from app.db.session import Database
from app.db.tables import sessions, shown_recommendations
from app.training.shown import DAY_MS, remove_shown
from tests.training.shops import trainer


def show(database: Database, *days_ago: float) -> None:
    with database.write() as connection:
        insert_shown(
            connection,
            [
                ShownList(f"{ago}", None, None, None, None, None, now_ms() - int(ago * DAY_MS), (), ())
                for ago in days_ago
            ],
        )


def left(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(select(shown_recommendations.c.recommendation_id)).scalars())


def test_what_is_old_goes_in_bounded_steps(database: Database) -> None:
    show(database, *(10 + number for number in range(7)), 6.9, 0)
    assert remove_shown(database, 7, step=2, steps=2)
    assert left(database) == {"10", "11", "12", "6.9", "0"}  # the oldest first
    assert not remove_shown(database, 7, step=2, steps=2)
    assert left(database) == {"6.9", "0"}
    assert not remove_shown(database, 7, step=2, steps=2)


def test_sessions_of_which_nothing_is_left_go_too(database: Database) -> None:
    with database.write() as connection:
        session_keys(connection, ["old", "new"])
        shown = [("old", 9), ("new", 9), ("new", 1)]
        at = [now_ms() - days * DAY_MS for _, days in shown]
        lists = [
            ShownList(f"{n}", None, None, name, None, None, at[n], (), ())
            for n, (name, _) in enumerate(shown)
        ]
        assert insert_shown(connection, lists) == 3
    remove_shown(database, 7)
    with database.read() as connection:
        assert list(connection.execute(select(sessions.c.external_id)).scalars()) == ["new"]


def test_trainers_remove_it_between_runs(database: Database, tmp_path: Path) -> None:
    show(database, 91, 89)
    trainer(database, tmp_path / "artifacts").keep_house()
    assert left(database) == {"89"}
    trainer(database, tmp_path / "artifacts", shown_days=0).keep_house()
    assert left(database) == set()
