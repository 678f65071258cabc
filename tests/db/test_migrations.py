"""The schema, from zero and back, on both engines."""

from sqlalchemy import inspect

from app.db import migrate
from app.db.session import Database


def test_from_zero_to_head_and_back(database: Database) -> None:
    migrate.downgrade(database, "base")
    assert inspect(database.engine).get_table_names() == ["alembic_version"]
    migrate.upgrade(database)
    assert migrate.current_revision(database) == migrate.head_revision()
    assert "interactions" in inspect(database.engine).get_table_names()


def test_migrations_make_the_tables_of_the_code(database: Database) -> None:
    migrate.check(database)
