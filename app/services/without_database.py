"""Recommendations while the database is away: from the model in memory and what the request itself says.

What the shop has ruled is never passed over: a scenario or a filter that this process has not read yet cannot
be applied, and such a request is Unavailable.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, cast
from uuid import uuid4

import numpy as np
from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.errors import Unavailable
from app.core.telemetry import RECOMMENDED, WITHOUT_DATABASE
from app.learning.filtering.columns import Mask
from app.schemas.recommendations import RecommendationRequest
from app.services.explain import impersonal
from app.services.histories import Events, told_now
from app.services.live import Live
from app.services.live_model import LiveModel
from app.services.picking import Pick, Picking
from app.services.recommend import NO_MODEL, SHORTER
from app.services.scenario_settings import merged
from app.services.scored import Scored
from app.services.shop_rules import AppliedRules, ShopRules, has_rules, pinned, reads_much
from app.services.topic import about_items, about_person

AWAY: Final = (
    "The database does not answer in time: this list counts nothing newer than {}, and of the person only "
    "what the request itself says."
)
NO_FIELDS: Final = "The database does not answer in time: the fields of the items are left out."
_NOT_READ: Final = (
    "The database does not answer in time, and what the list needs of it was not read before; try again."
)
_FAMILIES: Final = {"popular": "popularity", "trending": "trending"}
"""Whose scores fill a list."""


class _Nowhere:
    """In the place of a connection: whatever needs one is Unavailable."""

    def __getattr__(self, name: str) -> Any:
        raise Unavailable(_NOT_READ)


_NOWHERE: Final = cast(Connection, _Nowhere())


def list_without_database(live: Live, request: RecommendationRequest, at: str) -> dict[str, Any]:
    """The answer to a request; raises Unavailable where it needs what this process has not read yet."""
    wanted, said = _in_scenario(live, request)
    away = _Away(live)
    return away.answer(wanted, said, at, away.nothing())


def lists_without_database(
    live: Live, requests: Sequence[RecommendationRequest], distinct: bool
) -> dict[str, Any]:
    """The answers to several requests in their order; `distinct`: no item in two of them."""
    away = _Away(live)
    in_scenarios = [_in_scenario(live, request) for request in requests]
    owners: dict[int, int] = {}
    for place, (wanted, _) in enumerate(in_scenarios if distinct else []):
        for position in away.places(pinned(wanted).values()).values():
            owners.setdefault(position, place)
    taken = away.nothing()
    results = []
    for place, (wanted, said) in enumerate(in_scenarios):
        left_out = taken.copy()
        left_out[[position for position, owner in owners.items() if owner != place]] = True
        results.append(away.answer(wanted, said, f"/requests/{place}", left_out))
        if distinct:
            items = [item["item_id"] for item in results[-1]["items"]]
            taken[list(away.places(items).values())] = True
    return {"results": results}


def _in_scenario(live: Live, request: RecommendationRequest) -> tuple[RecommendationRequest, list[str]]:
    if request.scenario is None:
        return request, []
    settings = live.scenarios.last_seen(request.scenario)
    if settings is None:
        raise Unavailable(_NOT_READ)
    return merged(request, settings)


class _Away:
    """Lists from one state of the model and of the catalogue."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._model = live.current
        self._ids = live.catalogue.external_ids[: len(live.catalogue)]

    def nothing(self) -> Mask:
        """None of the items, `(len(catalogue),)`."""
        return np.zeros(len(self._ids), dtype=np.bool_)

    def places(self, item_ids: Iterable[str]) -> dict[str, int]:
        """Position in the catalogue of each item that is known."""
        wanted = set(item_ids)
        return {name: at for at, name in enumerate(self._ids) if name in wanted} if wanted else {}

    def answer(
        self, request: RecommendationRequest, said: list[str], at: str, left_out: Mask
    ) -> dict[str, Any]:
        """As `recommend` answers, without the items at the positions `left_out`."""
        live, model, now = self._live, self._model, now_ms()
        if reads_much(live, request, at):
            raise Unavailable(_NOT_READ)
        # Of revision -1 nothing is newer: what was read before counts as it is.
        rules = AppliedRules(_NOWHERE, live.catalogue, ShopRules.of(request, at), -1, now)
        warnings = [
            AWAY.format(rfc3339(now if model is None else model.version.as_of)),
            *said,
            *rules.warnings,
        ]
        given = self.places(_named(request))
        events, cart = self._events(request, given, now), self._cart(request, given, now)
        allowed = live.catalogue.available(now, request.category)[: len(left_out)] & ~left_out
        allowed[[given[name] for name in {*request.exclude, *request.item_ids} if name in given]] = False
        may_be_pinned = rules.only_passing(allowed)
        if request.exclude_seen is not False:
            allowed[live.catalogue.positions_of(np.array(events.item_keys, dtype=np.int64))] = False
        topic = scored = None
        if model is None:
            warnings.append(NO_MODEL.format(live.lack))
        else:
            about = request.about != "person" and bool(cart.item_keys)
            topic = (
                about_items(_NOWHERE, live, model, request, cart)
                if about and (model.indexes_of(np.array(cart.item_keys, dtype=np.int64)) >= 0).any()
                else about_person(live, model, request, events, request.exclude_seen is not False)
            )
            if topic.scores:
                scored = Scored(live, model, topic.blend, topic.scores, rules, len(allowed))
        pins = {
            rank: Pick(given[item_id], 0.0, "pinned")
            for rank, item_id in pinned(request).items()
            if item_id in given and may_be_pinned[given[item_id]]
        }
        warnings += [
            f"The pinned item '{item_id}' may not be shown now."
            for rank, item_id in pinned(request).items()
            if rank not in pins
        ]
        picking = Picking(live, rules, pins, request.n)
        passing = rules.only_passing(allowed)
        for mask in (passing, allowed) if request.fallback == "relax" else (passing,):
            least = request.minimum_score or 0.0
            if topic is not None and topic.together is not None:
                picking.from_baskets(topic.positions, topic.together, mask, least)
            if scored is not None:
                picking.from_models(scored, mask, least, request.diversity, request.sources)
            if request.minimum_score is None:
                picking.fill(_NOWHERE, mask, _sources(model, request))
        if picking.missing > 0 and has_rules(request):
            warnings.append(SHORTER)
        if request.fields:
            warnings.append(NO_FIELDS)
        WITHOUT_DATABASE.inc()
        return {
            "recommendation_id": str(uuid4()),
            "model_version": None if model is None else model.name,
            "as_of": rfc3339(now if model is None else model.version.as_of),
            "scenario": request.scenario,
            "items": [self._item(request, rank, pick) for rank, pick in enumerate(picking.picks, 1)],
            "warnings": warnings,
        }

    def _events(self, request: RecommendationRequest, given: dict[str, int], now: int) -> Events:
        """What the request says of the person."""
        events = self._cart(request, given, now)
        for event, at in told_now(request.session, now):
            if event.item_id in given:
                events.add(int(self._live.catalogue.keys[given[event.item_id]]), event.event, at)
        return events

    def _cart(self, request: RecommendationRequest, given: dict[str, int], now: int) -> Events:
        events = Events()
        for item_id in request.item_ids:
            if item_id in given:
                events.add(int(self._live.catalogue.keys[given[item_id]]), "add_to_cart", now)
        return events

    def _item(self, request: RecommendationRequest, rank: int, pick: Pick) -> dict[str, Any]:
        RECOMMENDED.labels(pick.source).inc()
        item = {
            "item_id": self._ids[pick.position],
            "rank": rank,
            "score": pick.score,
            "source": pick.source,
        }
        return item | ({"reason": impersonal(pick.source)} if request.explain else {})


def _named(request: RecommendationRequest) -> set[str]:
    """Items that a request names."""
    session = [event.item_id for event in request.session.events] if request.session is not None else []
    return {*request.item_ids, *request.exclude, *session, *pinned(request).values()}


def _sources(model: LiveModel | None, request: RecommendationRequest) -> list[str]:
    """Of the sources that fill a list, those that need no database."""
    learned = {} if model is None else model.version.recommenders
    wanted = ("popular", "latest") if request.sources is None else request.sources
    return [name for name in wanted if name == "latest" or _FAMILIES.get(name) in learned]
