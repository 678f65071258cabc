"""The event log of the simulated shop: gathered in blocks, then one table in time order."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.core.events import DEFAULT_WEIGHTS
from app.simulation.catalogue import Catalogue
from app.simulation.chance import Ints

EVENTS: Final = tuple(DEFAULT_WEIGHTS)
"""Names of the events, in the order of their codes."""
VIEW: Final = EVENTS.index("view_item")
SELECT: Final = EVENTS.index("select_item")
WISH: Final = EVENTS.index("add_to_wishlist")
CART: Final = EVENTS.index("add_to_cart")
UNCART: Final = EVENTS.index("remove_from_cart")
CHECKOUT: Final = EVENTS.index("begin_checkout")
PURCHASE: Final = EVENTS.index("purchase")
REFUND: Final = EVENTS.index("refund")
RATE: Final = EVENTS.index("rate")


@dataclass(frozen=True, slots=True)
class Columns:
    """All interactions in time order, one array entry each. Shapes (interactions,)."""

    user: NDArray[np.int32]
    """User index, or -1 for nobody known."""
    session: NDArray[np.int32]
    """Session index, numbered by first appearance, or -1 where no session is sent along."""
    item: NDArray[np.int32]
    """Item index."""
    event: NDArray[np.int8]
    """Index into EVENTS."""
    value: NDArray[np.float32]
    """The rating, 1 to 5; NaN for other events."""
    quantity: NDArray[np.int16]
    """Pieces put into the cart, bought or returned; 0 for other events."""
    price: NDArray[np.float64]
    """Price of a piece, where there is a quantity; NaN for other events."""
    order: NDArray[np.int32]
    """Order index, numbered by first appearance, of purchases and refunds; -1 for other events."""
    occurred_at: NDArray[np.int64]
    """ms since the epoch."""

    def __len__(self) -> int:
        return len(self.user)


class EventLog:
    """Gathers blocks of events of one kind each."""

    def __init__(self) -> None:
        self._blocks: list[tuple[NDArray[np.generic], ...]] = []

    def add(
        self,
        event: int,
        user: Ints,
        session: Ints,
        item: Ints,
        at: Ints,
        *,
        quantity: Ints | None = None,
        order: Ints | None = None,
        value: Ints | None = None,
    ) -> None:
        """Adds one event per entry; all arrays of one length, -1 where there is no user, session or order."""
        n = len(item)
        self._blocks.append(
            (
                user.astype(np.int32),
                session.astype(np.int32),
                item.astype(np.int32),
                np.full(n, event, dtype=np.int8),
                np.full(n, np.nan, dtype=np.float32) if value is None else value.astype(np.float32),
                np.zeros(n, dtype=np.int16) if quantity is None else quantity.astype(np.int16),
                np.full(n, -1, dtype=np.int32) if order is None else order.astype(np.int32),
                at.astype(np.int64),
            )
        )

    def columns(self, catalogue: Catalogue, end_ms: int) -> Columns:
        """What happened before `end_ms`, in time order (ties: as added). Empties the log."""
        # Column by column, so that never more than one of them is held twice.
        blocks, self._blocks = self._blocks, []
        at = np.concatenate([block[7] for block in blocks])
        by_time = np.argsort(at, kind="stable")
        by_time = by_time[at[by_time] < end_ms]
        user, session, item, event, value, quantity, order = (
            np.concatenate([block[column] for block in blocks])[by_time] for column in range(7)
        )
        price = np.where(quantity > 0, catalogue.price[item] / 100, np.nan)
        return Columns(
            user, _renumbered(session), item, event, value, quantity, price, _renumbered(order), at[by_time]
        )


def _renumbered(codes: NDArray[np.int32]) -> NDArray[np.int32]:
    """The same codes, numbered 0, 1, … by first appearance; -1 stays."""
    renumbered = np.full(len(codes), -1, dtype=np.int32)
    present = np.flatnonzero(codes >= 0)
    if len(present):
        known = codes[present]
        first = np.full(int(known.max()) + 1, len(codes), dtype=np.int64)
        # Written backwards, the first appearance is the one that stays.
        first[known[::-1]] = present[::-1]
        rank = np.empty(len(first), dtype=np.int32)
        rank[np.argsort(first, kind="stable")] = np.arange(len(first), dtype=np.int32)
        renumbered[present] = rank[known]
    return renumbered
