"""Batches and streams of entries: the good ones are stored, each bad one is named."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from app.schemas.fields import Wire
from app.schemas.interactions import Interaction
from app.schemas.items import ItemEntry
from app.schemas.parsing import MAX_LISTED_ERRORS, Checked
from app.schemas.users import UserEntry
from app.services.interactions import record
from app.services.items import put_items
from app.services.users import put_users

Entry = TypeVar("Entry", bound=Wire)


@dataclass
class Tally:
    """What became of the entries so far."""

    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def reject(self, errors: Sequence[dict[str, Any]]) -> None:
        """Count rejected entries and keep the first of their errors."""
        self.rejected += len(errors)
        self.errors.extend(errors[: max(0, MAX_LISTED_ERRORS - len(self.errors))])

    def add(self, other: "Tally") -> None:
        """Count what became of further entries."""
        self.accepted += other.accepted
        self.duplicate += other.duplicate
        self.rejected += other.rejected
        self.errors.extend(other.errors[: max(0, MAX_LISTED_ERRORS - len(self.errors))])
        self.warnings.extend(other.warnings)

    def answer(self) -> dict[str, Any]:
        """As the API answers it."""
        return {
            "accepted": self.accepted,
            "duplicate": self.duplicate,
            "rejected": self.rejected,
            "errors": sorted(self.errors, key=lambda error: error["index"]),
            "warnings": self.warnings,
        }


@dataclass(frozen=True)
class Kind(Generic[Entry]):
    """One of the three ingested things."""

    name: str
    entry: type[Entry]
    store: Callable[[Connection, list[Entry], Tally], None]


def store_checked(connection: Connection, kind: Kind[Entry], checked: Checked[Entry], tally: Tally) -> None:
    """Store the valid entries of a batch in the current transaction and count all of them."""
    tally.reject(checked.errors)
    if checked.entries:
        kind.store(connection, checked.entries, tally)


def _store_users(connection: Connection, entries: list[UserEntry], tally: Tally) -> None:
    put_users(connection, entries)
    tally.accepted += len(entries)


def _store_items(connection: Connection, entries: list[ItemEntry], tally: Tally) -> None:
    put_items(connection, entries)
    tally.accepted += len(entries)


def _store_interactions(connection: Connection, entries: list[Interaction], tally: Tally) -> None:
    recorded = record(connection, entries)
    stored = sum(recorded.accepted)
    tally.accepted += stored
    tally.duplicate += len(entries) - stored
    tally.warnings += recorded.warnings


USERS = Kind("users", UserEntry, _store_users)
ITEMS = Kind("items", ItemEntry, _store_items)
INTERACTIONS = Kind("interactions", Interaction, _store_interactions)
