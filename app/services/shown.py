"""What was shown to whom: noted in memory when an answer goes out, written in batches beside the answers.

An answer never waits for it. What does not fit into the queue, or cannot be written after some attempts, is
lost and counted. All state is touched by the event loop alone; only the writing runs in a thread.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import structlog

from app.core.clock import now_ms
from app.core.errors import Unavailable
from app.core.telemetry import SHOWN
from app.db.queries.shown import ShownList, insert_shown
from app.schemas.recommendations import RecommendationRequest

log = structlog.get_logger(__name__)

FLUSH_SECONDS: Final = 0.5
"""How long a list waits at most, while the database takes it."""
BATCH: Final = 500
"""Lists in one transaction; so many that wait are written at once."""
CAPACITY: Final = 200_000
"""Bound of what waits to be written, in items."""
RECENT: Final = 50_000
"""Bound of the latest lists, in items: several times what is answered until it is written."""
LIST_COST: Final = 10
"""What a list weighs besides its items."""
ATTEMPTS: Final = 6
"""To write a batch while the database cannot be reached, with pauses that double: half a minute in all."""

Write = Callable[..., Coroutine[Any, Any, int]]
"""Runs a function that takes a connection first, in a thread and a transaction of its own."""


class Shown:
    """The lists that this process answered: those that wait to be written, and the latest ones."""

    def __init__(self, write: Write, records: bool) -> None:
        self.records = records
        """Whether lists are written; if not, only the latest are known, in memory."""
        self._write = write
        self._waiting: deque[ShownList] = deque()
        self._waiting_cost = 0
        self._recent: OrderedDict[str, ShownList] = OrderedDict()
        self._recent_cost = 0
        self._ended = False
        self._wake = asyncio.Event()

    def note(self, request: RecommendationRequest, answer: dict[str, Any], after: str | None) -> None:
        """Remember an answer that goes out; `after` is the list that it goes on from, if that is known."""
        items = answer["items"]
        shown = ShownList(
            answer["recommendation_id"],
            after,
            request.user_id,
            request.session.session_id if request.session is not None and request.user_id is None else None,
            answer.get("scenario"),
            answer["model_version"],
            now_ms(),
            tuple([item["item_id"] for item in items]),
            tuple([item["source"] for item in items]),
        )
        cost = _cost(shown)
        self._recent[shown.recommendation_id] = shown
        self._recent_cost += cost
        while self._recent_cost > RECENT:
            _, oldest = self._recent.popitem(last=False)
            self._recent_cost -= _cost(oldest)
        if not self.records:
            return
        if self._waiting_cost + cost > CAPACITY:
            SHOWN.labels("dropped").inc()
            return
        self._waiting.append(shown)
        self._waiting_cost += cost
        if len(self._waiting) >= BATCH:
            self._wake.set()

    def find(self, recommendation_id: str) -> ShownList | None:
        """One of the latest lists of this process."""
        return self._recent.get(recommendation_id)

    @asynccontextmanager
    async def recording(self) -> AsyncIterator[None]:
        """Write what is noted until the block ends, and then what still waits."""
        self._wake = asyncio.Event()  # of this event loop
        self._ended = False
        task = asyncio.create_task(self._record())
        try:
            yield
        finally:
            # Not cancelled: what waits is still written.
            self._ended = True
            self._wake.set()
            await task

    async def _record(self) -> None:
        while not self._ended or self._waiting:
            if not self._ended:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), FLUSH_SECONDS)
                self._wake.clear()
            while self._waiting:
                await self._store(self._next_batch())

    def _next_batch(self) -> list[ShownList]:
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        self._waiting_cost -= sum(map(_cost, batch))
        return batch

    async def _store(self, batch: Sequence[ShownList]) -> None:
        """Write a batch; at the end of the process there is one attempt alone, for all that waits."""
        for attempt in range(ATTEMPTS):
            try:
                await self._write(insert_shown, batch)
            except Unavailable as error:
                log.warning("shown_not_stored", lists=len(batch), error=error.detail)
                if self._ended:
                    self._drop_all()
                if self._ended or attempt == ATTEMPTS - 1:
                    break
                await self._pause(FLUSH_SECONDS * 2**attempt)
            except Exception:
                log.exception("shown_not_stored", lists=len(batch))
                break
            else:
                SHOWN.labels("recorded").inc(len(batch))
                return
        SHOWN.labels("dropped").inc(len(batch))

    def _drop_all(self) -> None:
        SHOWN.labels("dropped").inc(len(self._waiting))
        self._waiting.clear()
        self._waiting_cost = 0

    async def _pause(self, seconds: float) -> None:
        """Wait, but not beyond the end of the process: `_wake` may also be set because many lists wait."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not self._ended and (left := until - loop.time()) > 0:
            await asyncio.sleep(min(left, FLUSH_SECONDS))


def _cost(shown: ShownList) -> int:
    return LIST_COST + len(shown.item_ids)
