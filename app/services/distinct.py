"""Several lists of one page without repeats."""

from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection

from app.db.bulk import keys_by_external_id
from app.db.tables import items
from app.learning.filtering.columns import Mask
from app.schemas.recommendations import RecommendationRequest
from app.services.live import Live


class Distinct:
    """Which items of the catalogue the lists of a page have so far, and which lists have pinned theirs.

    An item belongs to the list that pins it (the first, if several do), else to the first list that takes it.
    """

    def __init__(self, connection: Connection, live: Live, requests: Sequence[RecommendationRequest]) -> None:
        live.catalogue.refresh(connection)
        owners: dict[str, int] = {}
        for place, request in enumerate(requests):
            for pin in request.pins:
                owners.setdefault(pin.item_id, place)
        keys = keys_by_external_id(connection, items, sorted(owners))
        positions = live.catalogue.positions_of(np.array(list(keys.values()), dtype=np.int64)).tolist()
        self._pinned: list[list[int]] = [[] for _ in requests]
        for item_id, position in zip(keys, positions, strict=True):
            if position >= 0:
                self._pinned[owners[item_id]].append(position)
        self._taken = np.zeros(len(live.catalogue), dtype=np.bool_)
        self._taken[[position for positions in self._pinned for position in positions]] = True
        self._list = 0

    def leave_out(self, allowed: Mask) -> None:
        """Allow the next list no item of the others."""
        n = min(len(allowed), len(self._taken))
        own = [position for position in self._pinned[self._list] if position < n]
        allowed_own = allowed[own]
        allowed[:n] &= ~self._taken[:n]
        allowed[own] = allowed_own

    def add(self, positions: Sequence[int]) -> None:
        """The list is made: these items are in it."""
        if positions and max(positions) >= len(self._taken):
            # The catalogue has grown in between.
            grown = np.zeros(2 * (max(positions) + 1), dtype=np.bool_)
            grown[: len(self._taken)] = self._taken
            self._taken = grown
        self._taken[list(positions)] = True
        self._list += 1
