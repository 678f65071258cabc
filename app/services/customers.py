"""What the models say of one customer now, from all of that customer's events at this moment."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection

from app.core.clock import now_ms
from app.core.errors import ModelNotReady, NotFound
from app.core.events import CONTACT, CONTACT_TYPES
from app.db.queries.interactions import history_of_user
from app.db.queries.users import find_user, user_key
from app.learning.analytics import Analytics
from app.learning.customers.customers import Judged
from app.learning.dataset import DAY_MS, Dataset, InteractionLog, ItemTable
from app.services.live import Live
from app.services.live_model import LiveModel

MAX_EVENTS = 20_000
"""Latest events of a customer that count."""
NO_EVENTS = "Nothing is known of the user yet: there are no interactions."


@dataclass(frozen=True)
class Customer:
    """One customer as of now."""

    model: LiveModel
    judged: Judged
    """A batch of one."""
    as_of: int
    """Milliseconds since the epoch: of the latest data, the model's or the customer's own."""
    attributes: dict[str, Any]

    @property
    def known(self) -> bool:
        """Whether there is any interaction."""
        return bool(self.judged.features.known[0])

    @property
    def warnings(self) -> list[str]:
        return [] if self.known else [NO_EVENTS]


def analytics_of(live: Live) -> tuple[LiveModel, Analytics]:
    """The live model and its analytics; raises ModelNotReady before the first training."""
    model = live.current
    if model is None:
        raise ModelNotReady("No model is trained yet: these figures need a training run.")
    return model, model.version.analytics


def judge_customer(connection: Connection, live: Live, user_id: str) -> Customer:
    """Raises NotFound for an unknown user, ModelNotReady before the first training.

    As everywhere, the present is that of the data: a history that was imported is not years old.
    """
    model, analytics = analytics_of(live)
    key = user_key(connection, user_id)
    if key is None:
        raise NotFound(f"There is no user '{user_id}'.")
    row = find_user(connection, user_id)
    attributes: dict[str, Any] = row.attributes if row is not None else {}
    events = history_of_user(connection, key, MAX_EVENTS)
    version = model.version
    events = [event for event in events if event.occurred_at <= now_ms()]
    as_of = max([version.as_of, *(event.occurred_at for event in events[-1:])])
    keys = np.array([-1 if event.item_id is None else event.item_id for event in events], dtype=np.int64)
    places = np.where(keys < 0, -1, model.indexes_of(keys))
    # Items that the model does not know come after those it knows.
    new = (places < 0) & (keys >= 0)
    unknown, number = np.unique(keys[new], return_inverse=True)
    places[new] = version.n_items + number
    named = [_name(event.name, event.contact_type) for event in events]
    names = tuple(dict.fromkeys(named))
    orders = {event.order_id: number for number, event in enumerate(events) if event.order_id is not None}
    n = len(events)
    log = InteractionLog(
        subject=np.zeros(n, dtype=np.int32),
        item=places.astype(np.int32),
        event=np.array([names.index(name) for name in named], dtype=np.int16),
        value=np.array([event.value for event in events], dtype=np.float32),
        quantity=np.array([1 if e.quantity is None else e.quantity for e in events], dtype=np.float32),
        price=np.array([event.price for event in events], dtype=np.float64),
        occurred_at=np.array([event.occurred_at for event in events], dtype=np.int64),
        order=np.array([orders.get(event.order_id, -1) for event in events], dtype=np.int32),
    )
    nothing = ItemTable([], [], [], [], [], np.empty(0, dtype=np.float32))
    dataset = Dataset(
        user_keys=np.array([key]),
        n_subjects=1,
        item_keys=np.concatenate([np.asarray(version.item_keys), unknown]),
        items=nothing,
        event_names=names,
        log=log,
        as_of=as_of,
        event_weights=version.event_weights,
    )
    of_taste = np.array([not event.excluded for event in events], dtype=np.bool_)
    known = np.flatnonzero((places >= 0) & (places < version.n_items) & of_taste)
    history = version.histories_of(
        np.zeros(len(known), dtype=np.int32),
        places[known].astype(np.int32),
        [named[place] for place in known],
        log.value[known],
        log.quantity[known],
        ((as_of - log.occurred_at[known]) / DAY_MS).astype(np.float32),
        1,
    )
    return Customer(model, analytics.customers.judge(dataset, history, [attributes]), as_of, attributes)


def _name(event: str, contact_type: str | None) -> str:
    """As training has it: what a contact was about is part of the event's name."""
    return f"{event}:{contact_type}" if event == CONTACT and contact_type in CONTACT_TYPES else event
