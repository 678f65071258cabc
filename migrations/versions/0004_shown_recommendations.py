"""What was recommended.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "shown_recommendations",
        sa.Column("id", KEY, nullable=False),
        sa.Column("recommendation_id", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("user_id", KEY, nullable=True),
        sa.Column("session_id", KEY, nullable=True),
        sa.Column("scenario", sa.Text(), nullable=True),
        sa.Column("model_version", sa.Text(), nullable=True),
        sa.Column("shown_at", sa.BigInteger(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("sources", sa.Text(), nullable=False),
        sa.Column("item_keys", sa.LargeBinary(), nullable=False),
        sa.Column("item_sources", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
            name=op.f("fk_shown_recommendations_session_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_shown_recommendations_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shown_recommendations")),
        sa.UniqueConstraint("recommendation_id", name=op.f("uq_shown_recommendations_recommendation_id")),
    )
    op.create_index(
        op.f("ix_shown_recommendations_shown_at"), "shown_recommendations", ["shown_at"], unique=False
    )
    for column in ("user_id", "session_id"):
        op.create_index(
            f"ix_shown_recommendations_{column}",
            "shown_recommendations",
            [column],
            unique=False,
            sqlite_where=sa.text(f"{column} IS NOT NULL"),
            postgresql_where=sa.text(f"{column} IS NOT NULL"),
        )
    op.create_index(
        "ix_interactions_recommendation_id",
        "interactions",
        ["recommendation_id"],
        unique=False,
        sqlite_where=sa.text("recommendation_id IS NOT NULL"),
        postgresql_where=sa.text("recommendation_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_interactions_recommendation_id", table_name="interactions")
    op.drop_table("shown_recommendations")
