"""Receipts of erasure, what a database was begun with.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    # Null: of a version that an earlier release trained; it may know anybody.
    op.add_column("models", sa.Column("users_to", sa.BigInteger(), nullable=True))
    op.create_table(
        "receipts",
        sa.Column("receipt_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("removed", JSON, nullable=False),
        sa.PrimaryKeyConstraint("receipt_id", name=op.f("pk_receipts")),
        sa.UniqueConstraint("revision", name=op.f("uq_receipts_revision")),
    )
    op.create_table(
        "receipt_versions",
        sa.Column("receipt_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["receipt_id"],
            ["receipts.receipt_id"],
            name=op.f("fk_receipt_versions_receipt_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["version"], ["models.version"], name=op.f("fk_receipt_versions_version")),
        sa.PrimaryKeyConstraint("receipt_id", "version", name=op.f("pk_receipt_versions")),
    )
    op.create_index(op.f("ix_receipt_versions_version"), "receipt_versions", ["version"], unique=False)
    op.create_table(
        "database_marks",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_database_marks")),
    )
    op.execute("INSERT INTO revisions (name, value) VALUES ('erasures', 0)")


def downgrade() -> None:
    op.execute("DELETE FROM revisions WHERE name = 'erasures'")
    op.drop_table("database_marks")
    op.drop_index(op.f("ix_receipt_versions_version"), table_name="receipt_versions")
    op.drop_table("receipt_versions")
    op.drop_table("receipts")
    op.drop_column("models", "users_to")
