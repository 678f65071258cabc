"""The simulated shop: users, items and interactions in the wire format and as arrays, and the truth."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.simulation.aftermath import rate, refill, refund
from app.simulation.behaviour import shop as go_shopping
from app.simulation.catalogue import Catalogue, item_id, rfc3339, stock
from app.simulation.chance import Ints, stream
from app.simulation.config import ShopConfig
from app.simulation.customers import LIFE_CYCLES, Customers, attract, befriend, user_id
from app.simulation.log import EVENTS, Columns, EventLog
from app.simulation.seasons import calendar
from app.simulation.visits import looks, visits

_EVENTS_PER_VISIT: Final = 7.0
"""A first guess, which a pilot corrects."""
_PILOT: Final = 20_000
"""Interactions of the pilot."""
_PAGE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Truth:
    """What the simulation knows and a model has to find out. Users and items by index."""

    user_taste: Ints
    """Taste cluster of each user. Shape (users,)."""
    user_niche: Ints
    """Favourite niche of each user within the taste. Shape (users,)."""
    item_taste: Ints
    """Taste cluster of each item. Shape (items,)."""
    item_niche: Ints
    """Niche of each item within its taste. Shape (items,)."""
    complements: Ints
    """Items bought together far more than by chance, the smaller index first. Shape (pairs, 2)."""
    churn_day: Ints
    """Day of the history from whose start on a user buys nothing; -1 for who stays. Shape (users,)."""
    life_cycle: Ints
    """Life-cycle group of each user, an index into LIFE_CYCLES. Shape (users,)."""

    @property
    def churned(self) -> NDArray[np.bool_]:
        """Who stopped buying for good before the end. Shape (users,)."""
        churned: NDArray[np.bool_] = self.churn_day >= 0
        return churned

    def life_cycle_of(self, user: int) -> str:
        """Name of the life-cycle group of a user: new, regular, loyal or lapsed."""
        return LIFE_CYCLES[self.life_cycle[user]]


@dataclass(frozen=True)
class Shop:
    """A simulated shop. Ids: `user_id(index)`, `item_id(index)`."""

    config: ShopConfig
    columns: Columns
    """All interactions in time order, as arrays."""
    ties: Ints
    """Friends, as pairs of user indices, the smaller first. Shape (ties, 2)."""
    tie_weights: Ints
    """Strength of each tie in percent. Shape (ties,)."""
    _catalogue: Catalogue
    _customers: Customers

    def items(self) -> Iterator[dict[str, Any]]:
        """The items in the wire format, in order of their index."""
        return self._catalogue.wire()

    def users(self) -> Iterator[dict[str, Any]]:
        """The users in the wire format, in order of their index."""
        return self._customers.wire()

    def relations(self) -> Iterator[dict[str, Any]]:
        """Friend ties: user_id, other_id, kind and weight (0 to 1)."""
        for (one, other), weight in zip(self.ties.tolist(), self.tie_weights.tolist(), strict=True):
            yield {
                "user_id": user_id(one),
                "other_id": user_id(other),
                "kind": "friend",
                "weight": weight / 100,
            }

    def interactions(self) -> Iterator[dict[str, Any]]:
        """The interactions in the wire format, in time order; absent fields are left out."""
        for first in range(0, len(self.columns), _PAGE):
            yield from self._page(first)

    def _page(self, first: int) -> Iterator[dict[str, Any]]:
        table, part = self.columns, slice(first, first + _PAGE)
        seed, currency = self.config.seed, self.config.currency
        rows = zip(
            table.user[part].tolist(),
            table.session[part].tolist(),
            table.item[part].tolist(),
            table.event[part].tolist(),
            table.value[part].tolist(),
            table.quantity[part].tolist(),
            table.price[part].tolist(),
            table.order[part].tolist(),
            rfc3339(table.occurred_at[part]),
            strict=True,
        )
        for number, (user, session, item, event, value, quantity, price, order, at) in enumerate(rows, first):
            row: dict[str, Any] = {
                "event_id": f"e{seed}-{number}",
                "item_id": item_id(item),
                "event": EVENTS[event],
                "occurred_at": at,
            }
            if user >= 0:
                row["user_id"] = user_id(user)
            if session >= 0:
                row["session_id"] = f"s{seed}-{session}"
            if quantity > 0:
                row.update(quantity=quantity, price=price, currency=currency)
            if order >= 0:
                row["order_id"] = f"o{seed}-{order}"
            if value == value:  # not NaN
                row["value"] = value
            yield row

    @cached_property
    def truth(self) -> Truth:
        """The ground truth."""
        partner = self._catalogue.partner
        first = np.flatnonzero(partner > np.arange(len(partner)))
        return Truth(
            user_taste=self._customers.taste,
            user_niche=self._customers.niche,
            item_taste=self._catalogue.taste,
            item_niche=self._catalogue.niche,
            complements=np.stack([first, partner[first]], axis=1),
            churn_day=self._customers.churn_day,
            life_cycle=self._customers.life_cycle,
        )


def simulate(config: ShopConfig) -> Shop:
    """The shop of this configuration: the same one on every call and machine."""
    count = config.interactions / _EVENTS_PER_VISIT
    # How much a visit leaves behind depends on all settings; a small shop of the same density tells.
    share = min(1.0, _PILOT / max(config.interactions, 1))
    small = replace(config, users=max(1, round(config.users * share)))
    pilot = len(_open(small, round(count * share)).columns)
    return _open(config, round(count * count * share * _EVENTS_PER_VISIT / max(pilot, 1)))


def _open(config: ShopConfig, count: int) -> Shop:
    """The shop of this configuration with that many visits."""
    seed = config.seed
    days = calendar(config)
    catalogue = stock(config, stream(seed, 0))
    customers = attract(config, catalogue.niches, stream(seed, 1))
    ties, weights = befriend(config, customers, stream(seed, 2))

    made = visits(config, customers, days, catalogue.niches, count, stream(seed, 3))
    seen = looks(config, catalogue, days, made, stream(seed, 4))
    log = EventLog()
    bought = go_shopping(log, catalogue, made, seen, stream(seed, 5))
    refill(log, catalogue, customers, bought, len(made.user), stream(seed, 6))
    returned = refund(log, catalogue, made.taste[bought.visit], bought, stream(seed, 7))
    rate(log, catalogue, customers, bought, returned, stream(seed, 8))
    return Shop(config, log.columns(catalogue, config.end_ms), ties, weights, catalogue, customers)
