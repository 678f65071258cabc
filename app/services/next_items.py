"""The next items after a list: what that list showed, and those before it, do not come again."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection

from app.core.errors import InputError, InvalidInput
from app.db.queries import shown as queries
from app.schemas.recommendations import RecommendationRequest
from app.services.shown import FLUSH_SECONDS, Shown

MAX_LISTS: Final = 200
"""Lists of one chain that are left out."""
MAX_ITEMS: Final = 10_000
"""Items of one chain that are left out, those of the latest lists first."""
LOOKS: Final = 5
"""At the database for a list that another process may just be writing; four pauses lie between."""
_AT_ONCE: Final = 20
"""Chains that are read in one statement, of two hundred lists each."""
UNKNOWN: Final = "The list '{}' is not known, or no longer: what it showed may come again."
TOO_LONG: Final = "Only the latest {} items of the lists before are left out."

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Read = Callable[..., Awaitable[Any]]
"""Runs a function that takes a connection first."""


@dataclass
class _Chain:
    """What a chain of lists showed, the latest first, and whose its latest list is."""

    user_id: str | None
    session_id: str | None
    item_ids: list[str] = field(default_factory=list)
    begins: bool = False
    """Whether it is known back to its first list."""
    is_cut: bool = False

    def add(self, item_ids: Sequence[str]) -> None:
        """Take in what the list before showed, as far as there is room."""
        room = MAX_ITEMS - len(self.item_ids)
        self.item_ids += item_ids[:room]
        self.is_cut = self.is_cut or len(item_ids) > room


@dataclass(frozen=True)
class Continued:
    """A request without what was shown before."""

    request: RecommendationRequest
    after: str | None
    """The list that it goes on from; None if it is a first one, or that list is not known."""
    warnings: tuple[str, ...] = ()


async def continued(
    read: Read, shown: Shown, requests: Sequence[RecommendationRequest], at: Sequence[str]
) -> list[Continued]:
    """The requests, each without what was shown in the lists that it goes on from.

    A list that nobody knows is waited for as long as another process may take to write it. Raises
    InvalidInput, with pointers that begin with `at`, where a list was another person's.
    """
    wanted = {request.after for request in requests if request.after is not None}
    if not wanted:
        return [Continued(request, None) for request in requests]
    found = await _chains(read, shown, wanted)
    await _refuse_others(read, requests, at, found)
    return [_without(request, found) for request in requests]


async def _chains(read: Read, shown: Shown, wanted: set[str]) -> dict[str, _Chain]:
    found: dict[str, _Chain] = {}
    rests: dict[str, str] = {}
    """Of each chain that memory does not hold to its end: where the database has to go on."""
    for start in wanted:
        chain, rest = _in_memory(shown, start)
        if chain is not None:
            found[start] = chain
        if rest is not None:
            rests[start] = rest
    for look in range(LOOKS if shown.records else 1):
        if look:
            await asyncio.sleep(FLUSH_SECONDS / 2)
        if rests:
            stored = await read(_stored, sorted(set(rests.values())))
            for start, rest in list(rests.items()):
                if rest in stored:
                    _append(found, start, stored[rest])
                    del rests[start]
        if not any(start not in found and _may_be_ours(start) for start in rests):
            break
    return found


def _may_be_ours(recommendation_id: str) -> bool:
    """Whether it is of the form of the ids that answers have: others are not worth waiting for."""
    return _ID.fullmatch(recommendation_id) is not None


def _in_memory(shown: Shown, start: str) -> tuple[_Chain | None, str | None]:
    """What this process remembers of a chain, and the id of the first list that it does not."""
    chain: _Chain | None = None
    at: str | None = start
    for _ in range(MAX_LISTS):
        entry = None if at is None else shown.find(at)
        if entry is None:
            break
        if chain is None:
            chain = _Chain(entry.user_id, entry.session_id)
        chain.add(entry.item_ids)
        at = entry.after
        chain.begins = at is None
    return chain, at


def _stored(connection: Connection, starts: list[str]) -> dict[str, _Chain]:
    found: dict[str, _Chain] = {}
    for first in range(0, len(starts), _AT_ONCE):
        links = queries.chains(connection, starts[first : first + _AT_ONCE], MAX_LISTS)
        names = queries.item_ids(connection, sorted({key for link in links for key in link.item_keys}))
        for link in links:  # the latest list of each chain first
            chain = found.setdefault(link.start, _Chain(link.user_id, link.session_id))
            chain.add([names[key] for key in link.item_keys])
            chain.begins = link.after is None
    return found


def _append(found: dict[str, _Chain], start: str, rest: _Chain) -> None:
    """The lists before those that were remembered; the same rest may belong to several chains."""
    chain = found.setdefault(start, _Chain(rest.user_id, rest.session_id))
    chain.add(rest.item_ids)
    chain.begins, chain.is_cut = rest.begins, chain.is_cut or rest.is_cut


async def _refuse_others(
    read: Read, requests: Sequence[RecommendationRequest], at: Sequence[str], found: dict[str, _Chain]
) -> None:
    """Raise InvalidInput where a list was shown to another user or session.

    Whoever has logged in since goes on as the user to whom the session belongs now.
    """
    doubtful: list[tuple[RecommendationRequest, str, str | None]] = []
    for request, place in zip(requests, at, strict=True):
        chain = found.get(request.after or "")
        if chain is None:
            continue
        if chain.user_id is not None:
            if chain.user_id != request.user_id:
                doubtful.append((request, place, None))
        elif chain.session_id is not None:
            session = request.session.session_id if request.session is not None else None
            if chain.session_id != session:
                doubtful.append((request, place, chain.session_id))
    if not doubtful:
        return
    sessions = sorted({session for _, _, session in doubtful if session is not None})
    owners: dict[str, str] = await read(queries.owners_by_session, sessions) if sessions else {}
    wrong = [
        InputError(f"{place}/after", "of_another_person", "The list was shown to another user or session")
        for request, place, session in doubtful
        if session is None or request.user_id is None or owners.get(session) != request.user_id
    ]
    if wrong:
        raise InvalidInput("A list can be continued for the person alone to whom it was shown.", wrong)


def _without(request: RecommendationRequest, found: dict[str, _Chain]) -> Continued:
    if request.after is None:
        return Continued(request, None)
    chain = found.get(request.after)
    if chain is None:
        return Continued(request, None, (UNKNOWN.format(request.after),))
    left_out = set(chain.item_ids)
    changes: dict[str, Any] = {"exclude": [*request.exclude, *sorted(left_out - set(request.exclude))]}
    pins = [pin for pin in request.pins if pin.item_id not in left_out]
    if len(pins) < len(request.pins):  # had their place in a list before
        changes["pins"] = pins
    is_whole = chain.begins and not chain.is_cut
    return Continued(
        request.model_copy(update=changes),
        request.after,
        () if is_whole else (TOO_LONG.format(len(left_out)),),
    )
