"""Recommendations and rankings for a person, from what is known at this moment."""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.telemetry import RECOMMENDED
from app.db.bulk import keys_by_external_id
from app.db.queries.interactions import items_of_user
from app.db.queries.items import items_by_key
from app.db.tables import items
from app.learning.dataset import DAY_MS
from app.learning.ranking.blend import Blend
from app.learning.ranking.top_k import top_k
from app.learning.recommenders.base import Scores
from app.learning.recommenders.registry import family_of
from app.schemas.recommendations import RankingRequest, RecommendationRequest
from app.services.explain import explain, impersonal
from app.services.histories import Events, history_of, read_events
from app.services.items import answer as item_answer
from app.services.live import Live, LiveModel
from app.services.popular import popular_scores

IMPERSONAL = frozenset({"popular", "trending", "latest"})
LEAST_PERSONAL = 1 / 3
"""Share of a score from which what is personal in it is named as its source."""
NO_MODEL = "No model is trained yet: this is what is popular and new."
UNKNOWN_USER = "The user is unknown: this is not personal."


@dataclass
class _Picked:
    """What goes into the answer, by position in the catalogue."""

    positions: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)

    def add(self, position: int, score: float, source: str) -> None:
        self.positions.append(position)
        self.scores.append(score)
        self.sources.append(source)


def recommend(connection: Connection, live: Live, request: RecommendationRequest) -> dict[str, Any]:
    """The best items for a person now, fewer than `n` only where the catalogue has no more."""
    now = now_ms()
    live.catalogue.refresh(connection)
    model = live.current
    events = read_events(
        connection, request.user_id, request.session, request.item_ids, now, _uses_ties(model)
    )
    may_repeat = model is not None and model.version.blends.may_repeat
    exclude_seen = not may_repeat if request.exclude_seen is None else request.exclude_seen
    left_out = [] if request.exclude_seen is False else _left_out(connection, events, exclude_seen, now)
    allowed, warnings = _allowed(connection, live, request, left_out, now)
    if request.user_id is not None and not events.known and not events.item_keys:
        warnings.append(UNKNOWN_USER)
    picked = _Picked()
    reasons: list[dict[str, Any]] = []
    if model is not None:
        history = history_of(events, model)
        blend = model.version.blend_for(history, exclude_seen)
        model.take_in(connection, live.catalogue)
        _pick_scored(
            picked, live, model, blend, model.version.family_scores(history, blend), allowed, request.n
        )
        if request.explain:
            reasons = explain(
                connection, live, model, blend, events, history, picked.positions, picked.sources
            )
    else:
        warnings.append(NO_MODEL)
    _fill(connection, picked, live, allowed, request.n)
    reasons += [impersonal(source) for source in picked.sources[len(reasons) :]]
    return {
        "recommendation_id": str(uuid4()),
        "model_version": model.name if model else None,
        "as_of": rfc3339(now),
        "items": _answers(connection, live, picked, request, reasons),
        "warnings": warnings,
    }


def rank(connection: Connection, live: Live, request: RankingRequest) -> dict[str, Any]:
    """The given items, the best for a person first; equal ones in order of their ids."""
    now = now_ms()
    model = live.current
    warnings = [] if model else ["No model is trained yet: all scores are 0."]
    scores = dict.fromkeys(request.item_ids, 0.0)
    if model is not None:
        events = read_events(connection, request.user_id, request.session, [], now, _uses_ties(model))
        keys = keys_by_external_id(connection, items, sorted(scores))
        of_model = model.indexes_of(np.array(list(keys.values()), dtype=np.int64))
        history = history_of(events, model)
        blends = model.version.blends
        blend = model.version.blend_for(history, exclude_seen=not blends.may_repeat)
        combined = model.version.cold.lend(blend.combine(model.version.family_scores(history, blend)))
        for item_id, index in zip(keys, of_model, strict=True):
            if index >= 0:
                scores[item_id] = float(combined[0, index])
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


def _uses_ties(model: LiveModel | None) -> bool:
    return model is not None and "social" in model.version.blends.families


def _allowed(
    connection: Connection,
    live: Live,
    request: RecommendationRequest,
    left_out: list[int],
    now: int,
) -> tuple[NDArray[np.bool_], list[str]]:
    """Which items of the catalogue may be recommended, `(len(catalogue),)`, and what to say about it."""
    catalogue = live.catalogue
    warnings = []
    if request.category is not None and not catalogue.has_category(request.category):
        warnings.append(f"No item lies under the category '{request.category}'.")
    allowed = catalogue.available(now, request.category)
    named = sorted({*request.exclude, *request.item_ids})
    left_out = left_out + list(keys_by_external_id(connection, items, named).values())
    if left_out:
        positions = catalogue.positions_of(np.array(left_out, dtype=np.int64))
        # Another request may have taken in further items since.
        allowed[positions[(positions >= 0) & (positions < len(allowed))]] = False
    return allowed, warnings


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


def _pick_scored(
    picked: _Picked,
    live: Live,
    model: LiveModel,
    blend: Blend,
    scores: dict[str, Scores],
    allowed: NDArray[np.bool_],
    n: int,
) -> None:
    """The best items for which any model has evidence."""
    combined = model.version.cold.lend(blend.combine(scores))
    came, lent = model.arrivals.lend(combined)
    # Another request may have taken in further items since.
    came, lent = came[came < len(allowed)], lent[:, came < len(allowed)]
    positions = np.concatenate([model.positions(live.catalogue), came])
    combined = np.hstack([combined, lent])
    mask = allowed[positions] & (combined[0] > 0)
    chosen, best = top_k(combined, n, mask)
    shares: dict[str, NDArray[np.float32]] = {}
    for name, weight in blend.weights.items():
        source = family_of(name).source
        shares[source] = shares.get(source, np.float32(0)) + np.float32(weight) * scores[name][0]
    for index, score in zip(chosen[0], best[0], strict=True):
        if index < 0:
            break
        own = {name: share[index] for name, share in shares.items() if index < len(share)}
        picked.add(int(positions[index]), float(score), _source(own))


def _source(shares: dict[str, np.float32]) -> str:
    """What carried an item, by source: the most personal one, unless nearly all says nothing of the person.

    Nothing at all carried what inherits its place from items that are described like it.
    """
    carried = {name: float(share) for name, share in shares.items() if share > 0}
    if not carried:
        return "content"
    personal = {name: share for name, share in carried.items() if name not in IMPERSONAL}
    if sum(personal.values()) >= LEAST_PERSONAL * sum(carried.values()):
        carried = personal
    return max(carried, key=lambda name: (carried[name], name))


def _fill(connection: Connection, picked: _Picked, live: Live, allowed: NDArray[np.bool_], n: int) -> None:
    """What is popular, then what is new, where the models had too little to say."""
    allowed[picked.positions] = False
    if len(picked.positions) < n:
        scores = popular_scores(connection, live)
        missing = n - len(picked.positions)
        for position, score in live.catalogue.best(scores, allowed[: len(scores)], missing):
            picked.add(position, score, "popular")
            allowed[position] = False
    if len(picked.positions) < n:
        for position in live.catalogue.newest(allowed, n - len(picked.positions)):
            picked.add(position, 0.0, "latest")


def _answers(
    connection: Connection,
    live: Live,
    picked: _Picked,
    request: RecommendationRequest,
    reasons: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    rows = {}
    if request.fields:
        rows = items_by_key(connection, [int(live.catalogue.keys[at]) for at in picked.positions])
    answers = []
    for place, (at, score, source) in enumerate(
        zip(picked.positions, picked.scores, picked.sources, strict=True)
    ):
        entry: dict[str, Any] = {
            "item_id": live.catalogue.external_ids[at],
            "rank": place + 1,
            "score": score,
            "source": source,
        }
        if request.explain:
            entry["reason"] = reasons[place]
        if request.fields:
            whole = item_answer(rows[int(live.catalogue.keys[at])])
            entry["item"] = {name: whole[name] for name in request.fields}
        answers.append(entry)
        RECOMMENDED.labels(source).inc()
    return answers
