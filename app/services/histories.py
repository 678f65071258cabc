"""Whose taste is asked about: the events of a user, a session, a cart, read when the request comes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sqlalchemy import Connection

from app.db.bulk import keys_by_external_id
from app.db.queries import interactions
from app.db.queries.persons import Person, person_of
from app.db.queries.relations import ties_of
from app.db.tables import items
from app.learning.dataset import DAY_MS, Histories
from app.schemas.recommendations import SessionContext, SessionEvent
from app.services.live_model import LiveModel

MAX_TIES = 200
"""Strongest ties of a user that count."""
MAX_EVENTS = 500
"""Latest events of a user or session that count."""

_NOT_BOUGHT = {"purchase": "add_to_cart"}
"""What an event on an item says of those that it is taken for: they were not bought."""


@dataclass
class Events:
    """Events of one person on items, latest first for stored ones."""

    item_keys: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)
    quantities: list[float | None] = field(default_factory=list)
    occurred_at: list[int] = field(default_factory=list)
    older_of: int | None = None
    """Key of the user, if there may be older events than these."""
    person: Person | None = None
    """The user as stored; None where the request names none."""
    ties: list[tuple[int, float]] = field(default_factory=list)
    """Key and weight of the users with whom the person is connected."""

    @property
    def items_revision(self) -> int | None:
        """The counter `items` when these were read; None: it was not."""
        return None if self.person is None else self.person.items_revision

    @property
    def is_unknown_user(self) -> bool:
        """Whether the user id is one that nobody has sent before."""
        return self.person is not None and self.person.key is None

    def add(self, item_key: int, name: str, occurred_at: int) -> None:
        """One event without value or quantity."""
        self.item_keys.append(item_key)
        self.names.append(name)
        self.values.append(None)
        self.quantities.append(None)
        self.occurred_at.append(occurred_at)


def read_events(
    connection: Connection,
    user_id: str | None,
    session: SessionContext | None,
    cart: Sequence[str],
    now: int,
    with_ties: bool = False,
) -> Events:
    """All that the request and the database say of the person. Unknown items are passed over."""
    events = Events()
    key = None
    if user_id is not None:
        events.person = person_of(connection, user_id, MAX_EVENTS)
        key = events.person.key
        _take(events, events.person.events)
        if key is not None:
            events.older_of = key if len(events.person.events) == MAX_EVENTS else None
            if with_ties:
                events.ties = ties_of(connection, key, MAX_TIES)
    if session is not None and session.session_id is not None:
        # What the user did in this session is there already.
        _take(events, interactions.recent_of_session(connection, session.session_id, MAX_EVENTS, key))
    given = [(event.item_id, event.event, at) for event, at in told_now(session, now)]
    given += [(item_id, "add_to_cart", now) for item_id in cart]
    if given:
        keys = keys_by_external_id(connection, items, sorted({item_id for item_id, _, _ in given}))
        for item_id, name, at in given:
            if item_id in keys:
                events.add(keys[item_id], name, at)
    return events


def told_now(session: SessionContext | None, now: int) -> list[tuple[SessionEvent, int]]:
    """The events that a request tells of its visit, oldest first, each with a moment of its own.

    They come without times, and models weigh by time: the last is of now, each before it a millisecond older.
    """
    told = session.events if session is not None else []
    return list(zip(told, range(now - len(told) + 1, now + 1), strict=True))


def history_of(events: Events, model: LiveModel, with_newer: bool = True) -> Histories:
    """The events as the model takes them: a batch of one.

    An item that came after the training is taken for those most like it; without any, or `with_newer` being
    False, it is left out. Ages count from the latest event that the model or the person has, as in training.
    """
    is_known = bool(events.item_keys)
    found = histories_of([events], model, with_newer) if is_known else model.nothing_known
    return replace(found, ties=_ties(events, model)) if events.ties else found


def histories_of(people: Sequence[Events], model: LiveModel, with_newer: bool = True) -> Histories:
    """The events of several people as the model takes them, without their ties."""
    keys = [key for events in people for key in events.item_keys]
    names = [name for events in people for name in events.names]
    row = np.repeat(np.arange(len(people), dtype=np.int32), [len(events.item_keys) for events in people])
    indexes = model.indexes_of(np.array(keys, dtype=np.int64))
    place = np.flatnonzero(indexes >= 0)
    taken = indexes[place]
    if len(place) < len(indexes):
        names_of_known = [names[at] for at in place.tolist()]
        alike = _taken_for(keys, indexes, model) if with_newer else []
        names = names_of_known + [_NOT_BOUGHT.get(names[at], names[at]) for at, _ in alike]
        place = np.concatenate([place, np.array([at for at, _ in alike], dtype=np.int64)])
        taken = np.concatenate([taken, np.array([index for _, index in alike], dtype=np.int64)])
    occurred_at = np.array([at for events in people for at in events.occurred_at], dtype=np.int64)[place]
    values = np.array([value for events in people for value in events.values], dtype=np.float32)
    quantities = np.array([number for events in people for number in events.quantities], dtype=np.float32)
    row, quantities = row[place], quantities[place]
    present = np.full(len(people), model.version.as_of, dtype=np.int64)
    np.maximum.at(present, row, occurred_at)
    return model.version.histories_of(
        row,
        taken.astype(np.int32),
        names,
        values[place],
        np.where(np.isnan(quantities), np.float32(1), quantities),
        ((present[row] - occurred_at) / DAY_MS).astype(np.float32),
        len(people),
    )


def own_keys(events: Events, model: LiveModel) -> dict[int, int]:
    """By index of a model's item in the history, the key of the person's own item that stands behind it."""
    indexes = model.indexes_of(np.array(events.item_keys, dtype=np.int64))
    own = {index: events.item_keys[at] for at, index in _taken_for(events.item_keys, indexes, model)}
    return own | dict(zip(indexes.tolist(), events.item_keys, strict=True))


def _taken_for(keys: list[int], indexes: NDArray[np.int64], model: LiveModel) -> list[tuple[int, int]]:
    """Places of the events on items newer than the model, and indexes of the items that they stand for."""
    newer = np.flatnonzero(indexes < 0).tolist()
    alike = model.arrivals.stand_ins([keys[at] for at in newer]) if newer else {}
    return [(at, index) for at in newer for index in alike.get(keys[at], [])]


def _ties(events: Events, model: LiveModel) -> csr_array:
    """Weights of the ties to the users that the model knows, `(1, n_users)`."""
    users = model.version.user_keys
    weights: dict[int, float] = {}
    for key, weight in events.ties:
        place = int(np.searchsorted(users, key))
        if place < len(users) and users[place] == key and weight > 0:
            weights[place] = max(weight, weights.get(place, 0.0))
    places = sorted(weights)
    data = np.array([weights[place] for place in places], dtype=np.float32)
    return csr_array((data, np.array(places, dtype=np.int32), [0, len(places)]), shape=(1, len(users)))


def single_item_histories(items: NDArray[np.int32], n_items: int) -> Histories:
    """One row for each item, as if it were all that somebody had ever taken an interest in, just now."""
    ones = np.ones(len(items), dtype=np.float32)
    matrix = csr_array((ones, items, np.arange(len(items) + 1)), shape=(len(items), n_items))
    return Histories(matrix, np.zeros(len(items), dtype=np.float32))


def _take(events: Events, rows: Sequence[tuple[Any, ...]]) -> None:
    for item_key, name, value, quantity, occurred_at in rows:
        events.item_keys.append(item_key)
        events.names.append(name)
        events.values.append(value)
        events.quantities.append(quantity)
        events.occurred_at.append(occurred_at)
