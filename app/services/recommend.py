"""Recommendations and rankings for a person, from what is known at this moment."""

from collections import Counter
from typing import Any
from uuid import uuid4

import numpy as np
from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.telemetry import RECOMMENDED
from app.db.bulk import keys_by_external_id
from app.db.queries.interactions import items_of_user
from app.db.queries.items import items_by_key
from app.db.tables import items
from app.learning.dataset import DAY_MS
from app.learning.filtering.columns import Mask
from app.schemas.recommendations import RankingRequest, RecommendationRequest
from app.services.distinct import Distinct
from app.services.explain import explain, impersonal
from app.services.histories import Events, history_of, read_events
from app.services.items import answer as item_answer
from app.services.live import Live
from app.services.picking import Pick, Picking
from app.services.scored import Scored
from app.services.shop_rules import AppliedRules, ShopRules, has_rules, pinned
from app.services.together import Asked
from app.services.topic import NO_ITEMS, Topic, about_items, about_person, excludes_seen, names_items
from app.services.value_effects import effects_of

NO_MODEL = "{}: this is what is popular and new."
UNKNOWN_USER = "The user is unknown: this is not personal."
UNKNOWN_SESSION = "Nothing is known of this session: this is not personal."
SHORTER = "The list is shorter than n: no further item fulfils what the request asks for."
RELAXED = "The filter lets {} items through: the others, at the end, pass category and availability alone."
NOT_COMPARED = "diversity has no effect: no model compares items by what they are described like."


def recommend(
    connection: Connection,
    live: Live,
    request: RecommendationRequest,
    at: str = "",
    page: Distinct | None = None,
    asked: Asked | None = None,
) -> dict[str, Any]:
    """The best items for a person now, fewer than `n` only where no more may be shown.

    On a `page` no item that its other lists have. `asked` is what the list is made of, if that was asked
    together with that of others. Raises InvalidInput for filters that cannot be
    understood, with pointers that begin with `at`.
    """
    wanted = ShopRules.of(request, at)
    now = now_ms()
    model = live.current if asked is None else asked.model
    with_ties = model is not None and model.uses_ties
    events = (
        read_events(connection, request.user_id, request.session, request.item_ids, now, with_ties)
        if asked is None
        else asked.events
    )
    # Lists that were asked together were read a while ago.
    seen = live.catalogue.refresh(connection, events.items_revision if asked is None else None)
    exclude_seen = excludes_seen(model, request)
    left_out = [] if request.exclude_seen is False else _left_out(connection, events, exclude_seen, now)
    if request.exclude_bought_days:
        left_out += _bought_since(events, now - request.exclude_bought_days * DAY_MS)
    may_come, warnings = _allowed(connection, live, request, now)
    if page is not None:
        page.leave_out(may_come)
    rules = AppliedRules(connection, live.catalogue, wanted, seen, now)
    warnings += rules.warnings
    if events.person is not None:
        _leave_out(live, may_come, events.person.left_out(exclude_seen))
    may_be_pinned = rules.only_passing(may_come)
    _leave_out(live, may_come, left_out)
    if events.is_unknown_user and not events.item_keys:
        warnings.append(UNKNOWN_USER)
    if request.user_id is None and request.session is not None and not events.item_keys:
        warnings.append(UNKNOWN_SESSION)
    named = names_items(connection, request, now)
    if named is None and request.about != "person":
        warnings.append(NO_ITEMS)
    topic = scored = None
    if model is not None:
        model.take_in(connection, live.catalogue)
        if asked is not None:
            topic = asked.topic
        elif named is None:
            topic = about_person(live, model, request, events, exclude_seen)
        else:
            topic = about_items(connection, live, model, request, named)
        if topic.scores:
            scored = Scored(live, model, topic.blend, topic.scores, rules, len(may_come))
        if request.diversity and scored is not None and scored.similarities is None:
            warnings.append(NOT_COMPARED)
    else:
        warnings.append(NO_MODEL.format(live.lack))
    pins, unfit = _pins(connection, live, request, may_be_pinned, scored)
    warnings += unfit
    without: list[Pick] = []
    if request.value is not None:
        unmoved = rules.without_value()
        plain = None if scored is None else scored.by(unmoved)
        picking = Picking(live, unmoved, pins, request.n)
        _pick_all(connection, picking, request, topic, plain, unmoved, may_come.copy())
        without = picking.picks
    picking = Picking(live, rules, pins, request.n)
    short = _pick_all(connection, picking, request, topic, scored, rules, may_come)
    if picking.missing < short:
        warnings.append(RELAXED.format(request.n - short))
    if picking.missing > 0 and has_rules(request):
        warnings.append(SHORTER)
    picks = picking.picks
    if page is not None:
        page.add([pick.position for pick in picks])
    reasons: dict[int, dict[str, Any]] = {}
    told = [pick for pick in picks if pick.by_models]
    if request.explain and model is not None and topic is not None and told:
        positions, sources = [pick.position for pick in told], [pick.source for pick in told]
        found = explain(
            connection, live, model, topic.blend, topic.events, topic.history(), positions, sources
        )
        reasons = dict(zip(positions, found, strict=True))
    answer: dict[str, Any] = {
        "recommendation_id": str(uuid4()),
        "model_version": model.name if model else None,
        "as_of": rfc3339(now),
        "scenario": request.scenario,
        "items": _answers(connection, live, picks, request, reasons),
        "warnings": warnings,
    }
    if request.value is not None:
        answer["effects"] = effects_of(rules, request.value.field, picks, without)
    return answer


def rank(connection: Connection, live: Live, request: RankingRequest) -> dict[str, Any]:
    """The given items, the best for a person first; equal ones in order of their ids."""
    now = now_ms()
    model = live.current
    warnings = [] if model else [f"{live.lack}: all scores are 0."]
    scores = dict.fromkeys(request.item_ids, 0.0)
    if model is not None:
        events = read_events(connection, request.user_id, request.session, [], now, model.uses_ties)
        keys = keys_by_external_id(connection, items, sorted(scores))
        of_model = model.indexes_of(np.array(list(keys.values()), dtype=np.int64))
        live.catalogue.refresh(connection)
        model.take_in(connection, live.catalogue)
        history = history_of(events, model)
        blends = model.version.blends
        blend = model.version.blend_for(history, not blends.may_repeat, request.user_id is None)
        combined = model.combined(blend, model.family_scores(history, blend))
        came, lent = model.arrivals.lend(combined.at)
        inherited = dict(zip(came.tolist(), lent.tolist(), strict=True))
        places = live.catalogue.positions_of(np.array(list(keys.values()), dtype=np.int64))
        found = combined.at(np.maximum(of_model, 0)).tolist()
        for item_id, index, place, score in zip(keys, of_model, places.tolist(), found, strict=True):
            scores[item_id] = score if index >= 0 else inherited.get(place, 0.0)
    ranked = sorted(scores, key=lambda item_id: (-scores[item_id], item_id))
    return {
        "model_version": model.name if model else None,
        "as_of": rfc3339(now),
        "items": [
            {"item_id": item_id, "rank": place, "score": scores[item_id]}
            for place, item_id in enumerate(ranked, 1)
        ],
        "warnings": warnings,
    }


def _allowed(
    connection: Connection, live: Live, request: RecommendationRequest, now: int
) -> tuple[Mask, list[str]]:
    """Which items of the catalogue the request allows, `(len(catalogue),)`, and what to say about it."""
    catalogue = live.catalogue
    warnings = catalogue.missing_category(request.category)
    allowed = catalogue.available(now, request.category)
    named = sorted({*request.exclude, *request.item_ids})
    _leave_out(live, allowed, list(keys_by_external_id(connection, items, named).values()))
    return allowed, warnings


def _leave_out(live: Live, allowed: Mask, keys: list[int]) -> None:
    """Allow some items no more."""
    if not keys:
        return
    positions = live.catalogue.positions_of(np.array(keys, dtype=np.int64))
    # Another request may have taken in further items since.
    allowed[positions[(positions >= 0) & (positions < len(allowed))]] = False


def _pins(
    connection: Connection,
    live: Live,
    request: RecommendationRequest,
    allowed: Mask,
    scored: Scored | None,
) -> tuple[dict[int, Pick], list[str]]:
    """Pinned items by rank, and what to say of those that may not be shown."""
    found, warnings = {}, []
    wanted = pinned(request)
    keys = keys_by_external_id(connection, items, sorted(wanted.values()))
    for rank, item_id in wanted.items():
        position = int(live.catalogue.positions_of(np.array([keys.get(item_id, -1)], dtype=np.int64))[0])
        if 0 <= position < len(allowed) and allowed[position]:
            score = 0.0 if scored is None else scored.score_of(position)
            found[rank] = Pick(position, score, "pinned")
        else:
            warnings.append(f"The pinned item '{item_id}' may not be shown now.")
    return found, warnings


def _pick_all(
    connection: Connection,
    picking: Picking,
    request: RecommendationRequest,
    topic: Topic | None,
    scored: Scored | None,
    rules: AppliedRules,
    may_come: Mask,
) -> int:
    """The whole list; how many places what passes the filter left open, before others filled them."""
    _pick(connection, picking, request, topic, scored, rules.only_passing(may_come))
    short = picking.missing
    if short > 0 and rules.passing is not None and request.fallback == "relax":
        _pick(connection, picking, request, topic, scored, may_come)
    return short


def _pick(
    connection: Connection,
    picking: Picking,
    request: RecommendationRequest,
    topic: Topic | None,
    scored: Scored | None,
    allowed: Mask,
) -> None:
    """What rules and models score, then what is popular and new, unless the request asks for a score."""
    least = request.minimum_score or 0.0
    if topic is not None and topic.together is not None:
        picking.from_baskets(topic.positions, topic.together, allowed, least)
    if scored is not None:
        picking.from_models(scored, allowed, least, request.diversity, request.sources)
    if request.minimum_score is None:
        picking.fill(connection, allowed, request.sources)


def _left_out(connection: Connection, events: Events, exclude_seen: bool, now: int) -> list[int]:
    """Keys of the items of the person's own history that are not to be recommended.

    Where customers buy again, what the person bought on an earlier day may return; what was only looked at,
    or is of this visit, may not.
    """
    if exclude_seen:
        older = [] if events.older_of is None else items_of_user(connection, events.older_of)
        return events.item_keys + older
    rows = list(zip(events.item_keys, events.names, events.occurred_at, strict=True))
    bought = {key for key, name, _ in rows if name == "purchase"}
    today = {key for key, _, occurred_at in rows if now - occurred_at < DAY_MS}
    return [key for key in events.item_keys if key not in bought or key in today]


def _bought_since(events: Events, since: int) -> list[int]:
    """Keys of the items that the person bought after a moment."""
    rows = zip(events.item_keys, events.names, events.occurred_at, strict=True)
    return [key for key, name, occurred_at in rows if name == "purchase" and occurred_at > since]


def _answers(
    connection: Connection,
    live: Live,
    picks: list[Pick],
    request: RecommendationRequest,
    reasons: dict[int, dict[str, Any]],
) -> list[dict[str, Any]]:
    keys = [int(live.catalogue.keys[pick.position]) for pick in picks]
    rows = items_by_key(connection, keys) if request.fields else {}
    answers = []
    for rank, (pick, key) in enumerate(zip(picks, keys, strict=True), 1):
        entry: dict[str, Any] = {
            "item_id": live.catalogue.external_ids[pick.position],
            "rank": rank,
            "score": pick.score,
            "source": pick.source,
        }
        if request.explain:
            entry["reason"] = reasons.get(pick.position) or impersonal(pick.source)
        if request.fields:
            whole = item_answer(rows[key])
            entry["item"] = {name: whole[name] for name in request.fields}
        answers.append(entry)
    for source, count in Counter(pick.source for pick in picks).items():
        RECOMMENDED.labels(source).inc(count)
    return answers
