"""Large shops made at once as arrays: customers with tastes, and popularity that falls with the rank."""

import numpy as np
from numpy.typing import NDArray

from app.core.events import DEFAULT_WEIGHTS
from app.learning.dataset import DAY_MS, Dataset, InteractionLog, ItemTable
from app.simulation.log import EVENTS
from app.simulation.shop import Shop

_EVENTS = ("view_item", "add_to_cart", "purchase")
_SHARES = (0.85, 0.95)
"""Cumulated shares of the first two events."""
_ITEMS_OF_A_TASTE = 100
_TASTES = 3
"""Of a customer, the first the strongest."""
_FAITH = (0.5, 0.7, 0.8)
"""Cumulated shares of interactions with items of these tastes; the rest goes anywhere."""
_SKEW = 0.8
"""Exponent by which the popularity of items falls with their rank."""
_DAYS = 365
_END = 1_767_225_600_000
_CHUNK = 1_000_000


def simulate(users: int, items: int, interactions: int, rng: np.random.Generator) -> Dataset:
    """A shop over a year, in bounded memory beside the result."""
    # Items lie by taste here, so that a taste is an interval of the cumulated popularity.
    tastes = max(2, items // _ITEMS_OF_A_TASTE)
    edges = np.linspace(0, items, tastes + 1).astype(np.int64)
    popular = (1.0 + rng.permutation(items)) ** -_SKEW
    mass = np.concatenate([[0.0], np.cumsum(popular / popular.sum())])
    tastes_of = rng.integers(tastes, size=(users, _TASTES))
    activity = np.cumsum(rng.lognormal(0.0, 1.0, users))
    activity /= activity[-1]
    name = rng.permutation(items).astype(np.int32)
    subject = np.empty(interactions, dtype=np.int32)
    item = np.empty(interactions, dtype=np.int32)
    event = np.empty(interactions, dtype=np.int16)
    for first in range(0, interactions, _CHUNK):
        part = slice(first, min(first + _CHUNK, interactions))
        n = part.stop - first
        user = np.minimum(np.searchsorted(activity, rng.random(n)), users - 1)
        which = np.searchsorted(_FAITH, rng.random(n), side="right")
        taste = tastes_of[user, np.minimum(which, _TASTES - 1)]
        anywhere = which == _TASTES
        low = np.where(anywhere, 0.0, mass[edges[taste]])
        high = np.where(anywhere, mass[-1], mass[edges[taste + 1]])
        place = np.searchsorted(mass, low + rng.random(n) * (high - low), side="right") - 1
        subject[part] = user
        item[part] = name[np.minimum(place, items - 1)]
        event[part] = np.searchsorted(_SHARES, rng.random(n), side="right")
    start = _END - _DAYS * DAY_MS
    # Equal steps: times come in order without sorting millions of them.
    times = start + np.arange(interactions, dtype=np.int64) * (_DAYS * DAY_MS) // interactions
    return Dataset(
        user_keys=np.arange(1, users + 1, dtype=np.int64),
        n_subjects=users,
        item_keys=np.arange(1, items + 1, dtype=np.int64),
        items=_catalogue(name, edges),
        event_names=_EVENTS,
        log=InteractionLog(
            subject=subject,
            item=item,
            event=event,
            value=np.full(interactions, np.nan, dtype=np.float32),
            quantity=np.ones(interactions, dtype=np.float32),
            price=np.full(interactions, np.nan, dtype=np.float32),
            occurred_at=times,
        ),
        as_of=int(times[-1]),
        event_weights=DEFAULT_WEIGHTS,
    )


def _catalogue(name: NDArray[np.int32], edges: NDArray[np.int64]) -> ItemTable:
    """Titles and categories that tell an item's taste."""
    taste = np.empty(len(name), dtype=np.int64)
    taste[name] = np.searchsorted(edges, np.arange(len(name)), side="right") - 1
    empty = [""] * len(name)
    return ItemTable(
        title=[f"kind{number} thing{place}" for place, number in enumerate(taste.tolist())],
        description=empty,
        categories=[[f"Room {number % 20} > Kind {number}"] for number in taste.tolist()],
        brand=empty,
        tags=[[] for _ in empty],
        price=np.full(len(name), np.nan, dtype=np.float32),
    )


def dataset_of(shop: Shop) -> Dataset:
    """The simulated shop's registered customers as training sees them."""
    table, items = shop.columns, list(shop.items())
    rows = np.flatnonzero(table.user >= 0)
    return Dataset(
        user_keys=np.arange(1, shop.config.users + 1),
        n_subjects=shop.config.users,
        item_keys=np.arange(1, len(items) + 1),
        items=ItemTable(
            title=[item["title"] for item in items],
            description=[item["description"] for item in items],
            categories=[item["categories"] for item in items],
            brand=[item["brand"] for item in items],
            tags=[item["tags"] for item in items],
            price=np.array([item["price"] for item in items], dtype=np.float32),
        ),
        event_names=EVENTS,
        log=InteractionLog(
            subject=table.user[rows],
            item=table.item[rows],
            event=table.event[rows].astype(np.int16),
            value=table.value[rows],
            quantity=np.maximum(table.quantity[rows], 1).astype(np.float32),
            price=table.price[rows].astype(np.float32),
            occurred_at=table.occurred_at[rows],
        ),
        as_of=int(table.occurred_at[-1]),
        event_weights=DEFAULT_WEIGHTS,
    )
