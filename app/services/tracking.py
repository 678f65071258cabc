"""Events of public keys: whoever looks at the shop's page can send them."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection

from app.core.errors import InputError, InvalidInput
from app.db.bulk import keys_by_external_id
from app.db.queries.identities import known_events
from app.db.tables import items
from app.schemas.interactions import Interaction
from app.schemas.parsing import Checked
from app.services.batches import Tally
from app.services.interactions import Recorded, record


def track(connection: Connection, entry: Interaction, events: Collection[str]) -> Recorded:
    """Store one event; raises InvalidInput for an item or a name of events that the shop does not have.

    `events` are the names that have a weight.
    """
    for error in _refused(connection, [entry], events).values():
        raise InvalidInput(f"{error.detail}.", [error])
    return record(connection, [entry], public=True)


def track_all(connection: Connection, checked: Checked[Interaction], events: Collection[str]) -> Tally:
    """Store the good ones of a batch; each bad one is named."""
    tally = Tally()
    tally.reject(checked.errors)
    refused = _refused(connection, checked.entries, events)
    tally.reject(
        [
            {"index": checked.indexes[place], "code": e.code, "detail": e.detail, "pointer": e.pointer}
            for place, e in refused.items()
        ]
    )
    good = [entry for place, entry in enumerate(checked.entries) if place not in refused]
    recorded = record(connection, good, public=True)
    tally.accepted = sum(recorded.accepted)
    tally.duplicate = len(good) - tally.accepted
    tally.warnings += recorded.warnings
    return tally


def _refused(
    connection: Connection, entries: Sequence[Interaction], events: Collection[str]
) -> dict[int, InputError]:
    """What would put something new before all customers, by place: an item, or a name of events."""
    named = {entry.item_id for entry in entries if entry.item_id is not None}
    there = keys_by_external_id(connection, items, sorted(named))
    names = {entry.event for entry in entries}.difference(events)
    unknown = names.difference(known_events(connection, names))
    found: dict[int, InputError] = {}
    for place, entry in enumerate(entries):
        if entry.item_id is not None and entry.item_id not in there:
            found[place] = InputError("/item_id", "unknown_item", "A key for browsers names no new items")
        elif entry.event in unknown:
            found[place] = InputError("/event", "unknown_event", "A key for browsers names no new events")
    return found
