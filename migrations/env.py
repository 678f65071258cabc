"""Alembic's entry: runs the migrations on a given connection, or on the database of the settings."""

from alembic import context
from sqlalchemy import Connection

from app.core.settings import Settings
from app.db.session import Database
from app.db.tables import metadata


def run(connection: Connection) -> None:
    """Migrate over one connection, in one transaction."""
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    database = Database(Settings().database_url)
    with database.write() as own:
        run(own)
    database.close()
