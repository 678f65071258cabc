"""The tables: integer keys inside, the shop's own ids in `external_id`; times in ms since the epoch."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Key = BigInteger().with_variant(Integer, "sqlite")
_Json = JSON().with_variant(JSONB, "postgresql")

users = Table(
    "users",
    metadata,
    Column("id", _Key, primary_key=True),
    Column("external_id", Text, nullable=False, unique=True),
    Column("attributes", _Json, nullable=False, server_default=text("'{}'")),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,  # the key of an erased row is never given again
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", _Key, primary_key=True),
    Column("external_id", Text, nullable=False, unique=True),
    sqlite_autoincrement=True,  # the key of an erased row is never given again
)
items = Table(
    "items",
    metadata,
    Column("id", _Key, primary_key=True),
    Column("external_id", Text, nullable=False, unique=True),
    Column("title", Text),
    Column("description", Text),
    Column("categories", _Json, nullable=False, server_default=text("'[]'")),
    Column("brand", Text),
    Column("price", Double),
    Column("cost", Double),
    Column("currency", Text),
    Column("tags", _Json, nullable=False, server_default=text("'[]'")),
    Column("image_url", Text),
    Column("url", Text),
    Column("availability", Text, nullable=False, server_default="in_stock"),
    Column("available_from", BigInteger),
    Column("expires_at", BigInteger),
    Column("group_id", Text),
    Column("attributes", _Json, nullable=False, server_default=text("'{}'")),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    # A deleted item keeps its row: interactions with it remain evidence, and figures of past sales right.
    Column("deleted_at", BigInteger),
    # Value of the counter "items" at the last change: a reader that has seen revision r asks for those above.
    Column("revision", BigInteger, nullable=False, index=True),
)

revisions = Table(
    "revisions",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

event_names = Table(
    "event_names",
    metadata,
    Column("id", SmallInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
)

interactions = Table(
    "interactions",
    metadata,
    Column("id", _Key, primary_key=True),
    # 16-byte digest of what identifies the event: its event_id, or the facts of it.
    Column("event_key", LargeBinary(16), nullable=False, unique=True),
    Column("event_id", Text),
    Column("user_id", _Key, ForeignKey("users.id", ondelete="CASCADE")),
    Column("session_id", _Key, ForeignKey("sessions.id", ondelete="CASCADE")),
    Column("item_id", _Key, ForeignKey("items.id")),
    Column("event", SmallInteger, ForeignKey("event_names.id"), nullable=False),
    Column("value", Double),
    Column("quantity", Double),
    Column("price", Double),
    Column("currency", Text),
    Column("order_id", Text),
    Column("recommendation_id", Text),
    Column("context", _Json),
    Column("occurred_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    CheckConstraint("user_id IS NOT NULL OR session_id IS NOT NULL", name="somebody"),
    sqlite_autoincrement=True,  # the key of an erased row is never given again
)
Index("ix_interactions_user_latest", interactions.c.user_id, interactions.c.occurred_at, interactions.c.id)
Index(
    "ix_interactions_session_latest",
    interactions.c.session_id,
    interactions.c.occurred_at,
    interactions.c.id,
    sqlite_where=interactions.c.session_id.is_not(None),
    postgresql_where=interactions.c.session_id.is_not(None),
)
Index("ix_interactions_occurred_at", interactions.c.occurred_at)
Index(
    "ix_interactions_recommendation_id",
    interactions.c.recommendation_id,
    sqlite_where=interactions.c.recommendation_id.is_not(None),
    postgresql_where=interactions.c.recommendation_id.is_not(None),
)

# Sessions that turned out to be a user's: what comes of them without a user is this user's.
session_owners = Table(
    "session_owners",
    metadata,
    Column("session_id", _Key, ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", _Key, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
)

corrections = Table(
    "corrections",
    metadata,
    Column("id", _Key, primary_key=True),
    Column("user_id", _Key, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("item_id", _Key, ForeignKey("items.id"), nullable=False),
    # Which of the events with the item it takes out of taste; null: whichever.
    Column("event", SmallInteger, ForeignKey("event_names.id")),
    Column("event_id", Text),
    Column("note", Text),
    Column("created_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,  # the key of an erased row is never given again
)
Index("ix_corrections_user_id", corrections.c.user_id, corrections.c.id)

corrected_interactions = Table(
    "corrected_interactions",
    metadata,
    # The interaction first: each request asks of each event whether any correction has it.
    Column("interaction_id", _Key, ForeignKey("interactions.id", ondelete="CASCADE"), primary_key=True),
    Column(
        "correction_id", _Key, ForeignKey("corrections.id", ondelete="CASCADE"), primary_key=True, index=True
    ),
)

# One row for each answered list, packed: `db/queries/shown.py` reads and writes it.
shown_recommendations = Table(
    "shown_recommendations",
    metadata,
    Column("id", _Key, primary_key=True),
    Column("recommendation_id", Text, nullable=False, unique=True),
    # The list that it went on from.
    Column("after", Text),
    # Whose it was; the session only where no user was named, and both null for whoever was not known.
    Column("user_id", _Key, ForeignKey("users.id", ondelete="CASCADE")),
    Column("session_id", _Key, ForeignKey("sessions.id", ondelete="CASCADE")),
    Column("scenario", Text),
    Column("model_version", Text),
    Column("shown_at", BigInteger, nullable=False, index=True),
    Column("n", Integer, nullable=False),
    # How many items of each source, in order of their names: "collaborative 8,popular 2".
    Column("sources", Text, nullable=False),
    # Keys of the items by rank, and for each a byte: its source's place in `sources`.
    Column("item_keys", LargeBinary, nullable=False),
    Column("item_sources", LargeBinary, nullable=False),
)
Index(
    "ix_shown_recommendations_user_id",
    shown_recommendations.c.user_id,
    sqlite_where=shown_recommendations.c.user_id.is_not(None),
    postgresql_where=shown_recommendations.c.user_id.is_not(None),
)
Index(
    "ix_shown_recommendations_session_id",
    shown_recommendations.c.session_id,
    sqlite_where=shown_recommendations.c.session_id.is_not(None),
    postgresql_where=shown_recommendations.c.session_id.is_not(None),
)

relations = Table(
    "relations",
    metadata,
    Column("user_id", _Key, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("other_id", _Key, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("kind", Text, nullable=False),
    Column("weight", Double, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

segment_rules = Table(
    "segment_rules",
    metadata,
    Column("segment", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("filter", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

# All versions of each scenario; the newest is in force.
scenarios = Table(
    "scenarios",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("settings", _Json, nullable=False),
    # A deletion is a version too, without settings.
    Column("deleted", Boolean, nullable=False),
    Column("note", Text),
    Column("created_at", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_hash", LargeBinary(32), nullable=False, unique=True),
    Column("scopes", _Json, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    # A revoked key keeps its row: the service never falls back to the open state of its first minutes.
    Column("revoked_at", BigInteger),
    # The key that takes its place, once it was rotated.
    Column("successor", Text),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", _Key, primary_key=True),
    Column("at", BigInteger, nullable=False, index=True),
    # A key's id, or `settings`, `local`, `cli`.
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("request_id", Text),
    sqlite_autoincrement=True,
)

training_runs = Table(
    "training_runs",
    metadata,
    Column("id", _Key, primary_key=True),
    Column("state", Text, nullable=False, index=True),
    Column("trigger", Text, nullable=False),
    Column("stage", Text),
    Column("progress", Double, nullable=False, server_default=text("0")),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    Column("queued_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    # Highest interaction key when the run was taken up.
    Column("trained_to", BigInteger),
    Column("model_version", Text),
    Column("metrics", _Json),
    Column("error", Text),
)
# One run waits and one works at a time, over any number of API processes and trainers.
Index(
    "uq_training_runs_open",
    training_runs.c.state,
    unique=True,
    sqlite_where=text("state IN ('queued', 'running')"),
    postgresql_where=text("state IN ('queued', 'running')"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    # Grows with every change of hands: work done under an older fence is refused at publish.
    Column("fence", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("version", Text, primary_key=True),
    Column("run_id", _Key, ForeignKey("training_runs.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("evaluation", _Json, nullable=False),
    Column("content", _Json, nullable=False),
    # Highest interaction key that the version learned from.
    Column("trained_to", BigInteger, nullable=False),
    # Highest user key that it knows; null: of an earlier release, it may know anybody.
    Column("users_to", BigInteger),
    Column("activated_at", BigInteger),
    Column("active", Boolean, nullable=False, server_default=text("false")),
    # When the artifacts were pruned; the row, with its evaluation, stays.
    Column("pruned_at", BigInteger),
)
Index(
    "uq_models_active",
    models.c.active,
    unique=True,
    sqlite_where=text("active"),
    postgresql_where=text("active"),
)

# What was erased, without saying whose it was.
receipts = Table(
    "receipts",
    metadata,
    Column("receipt_id", Text, primary_key=True),
    # Value of the counter "erasures": a training that has seen revision r read without all up to it.
    Column("revision", BigInteger, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    # Of the erased id, with a key that the caller alone has.
    Column("fingerprint", Text, nullable=False),
    Column("requested_at", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("removed", _Json, nullable=False),
)

# Model versions that learned from the erased, and when their artifacts were gone.
receipt_versions = Table(
    "receipt_versions",
    metadata,
    Column("receipt_id", Text, ForeignKey("receipts.receipt_id", ondelete="CASCADE"), primary_key=True),
    Column("version", Text, ForeignKey("models.version"), primary_key=True, index=True),
    Column("deadline", BigInteger, nullable=False),
    Column("released_at", BigInteger),
)

# What a database was begun with and cannot change later.
database_marks = Table(
    "database_marks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
