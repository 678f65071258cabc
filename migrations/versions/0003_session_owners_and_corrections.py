"""Whose sessions are, and corrections of taste.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "session_owners",
        sa.Column("session_id", KEY, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_session_owners_session_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_session_owners_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_session_owners")),
    )
    op.create_index(op.f("ix_session_owners_user_id"), "session_owners", ["user_id"], unique=False)
    op.create_table(
        "corrections",
        sa.Column("id", KEY, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("item_id", KEY, nullable=False),
        sa.Column("event", sa.SmallInteger(), nullable=True),
        sa.Column("event_id", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["event"], ["event_names.id"], name=op.f("fk_corrections_event")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_corrections_item_id")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_corrections_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_corrections_user_id", "corrections", ["user_id", "id"], unique=False)
    op.create_table(
        "corrected_interactions",
        sa.Column("interaction_id", KEY, nullable=False),
        sa.Column("correction_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["correction_id"],
            ["corrections.id"],
            name=op.f("fk_corrected_interactions_correction_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["interaction_id"],
            ["interactions.id"],
            name=op.f("fk_corrected_interactions_interaction_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("interaction_id", "correction_id", name=op.f("pk_corrected_interactions")),
    )
    op.create_index(
        op.f("ix_corrected_interactions_correction_id"),
        "corrected_interactions",
        ["correction_id"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_corrected_interactions_correction_id"), table_name="corrected_interactions")
    op.drop_table("corrected_interactions")
    op.drop_index("ix_corrections_user_id", table_name="corrections")
    op.drop_table("corrections")
    op.drop_index(op.f("ix_session_owners_user_id"), table_name="session_owners")
    op.drop_table("session_owners")
