"""What goes with a cart: what the rules say of it as a set, then what is like it, then what is popular."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.errors import NotFound
from app.core.telemetry import RECOMMENDED
from app.db.bulk import keys_by_external_id
from app.db.queries.items import find_item, items_by_key
from app.db.queries.persons import Person, person_of
from app.db.tables import items
from app.learning.baskets.baskets import Baskets
from app.learning.dataset import DAY_MS, Histories
from app.learning.ranking.blend import Blend, normalise
from app.learning.ranking.top_k import top_k
from app.learning.recommenders.base import Scores
from app.learning.recommenders.content import Content
from app.schemas.rules import BoughtTogetherRequest
from app.services.arrivals import item_table
from app.services.histories import MAX_EVENTS
from app.services.live import Live
from app.services.live_model import LiveModel
from app.services.popular import popular_scores

NO_MODEL: Final = "{}: this is what is popular."
FEWER: Final = "Rules name fewer items than were asked for: the others are alike or popular, see `source`."
UNKNOWN_USER: Final = "The user is unknown: nothing is left out for it."
_NEW_AT_ONCE: Final = 20
"""Items that came after the training and are compared at once: each takes a score for every item."""


@dataclass
class _Picked:
    """The answer's items so far, and which items of the catalogue may still come into it."""

    allowed: NDArray[np.bool_]
    positions: list[int] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)

    def add(self, position: int, score: float, source: str, told: dict[str, Any] | None = None) -> None:
        rule = told or {"because": [], "support": None, "confidence": None, "lift": None}
        self.positions.append(position)
        self.entries.append({"score": score, "source": source, **rule})
        self.allowed[position] = False


def goes_with_item(connection: Connection, live: Live, item_id: str, n: int) -> dict[str, Any]:
    """What goes with one item; raises NotFound."""
    if find_item(connection, item_id) is None:
        raise NotFound(f"There is no item '{item_id}'.")
    return goes_with_cart(
        connection, live, BoughtTogetherRequest.model_construct(item_ids=[item_id], n=n, user_id=None)
    )


def goes_with_cart(connection: Connection, live: Live, request: BoughtTogetherRequest) -> dict[str, Any]:
    """The `n` best items to go with a cart that can be bought now, fewer only where there are no more."""
    now = now_ms()
    model = live.current
    person = None if request.user_id is None else person_of(connection, request.user_id, MAX_EVENTS)
    live.catalogue.refresh(connection, None if person is None else person.items_revision)
    wanted = sorted(set(request.item_ids))
    keys = keys_by_external_id(connection, items, wanted)
    warnings = []
    if len(keys) < len(wanted):
        unknown = [item_id for item_id in wanted if item_id not in keys]
        warnings.append(f"Unknown items are passed over: {len(unknown)}, the first is '{unknown[0]}'.")
    left_out = list(keys.values())
    if person is not None:
        repeats = model is not None and model.version.blends.may_repeat
        if person.key is None:
            warnings.append(UNKNOWN_USER)
        left_out += _bought(person, repeats, now)
        left_out += person.left_out(exclude_seen=True)
    picked = _Picked(_without(live, left_out, now))
    cart = sorted(keys.values())
    if model is None:
        warnings.append(NO_MODEL.format(live.lack))
    elif cart:
        columns = model.indexes_of(np.array(cart, dtype=np.int64))
        _pick_by_rules(picked, live, model, columns[columns >= 0], request.n)
        if len(picked.positions) < request.n:
            warnings.append(_why_fewer(model))
            _pick_alike(connection, picked, live, model, cart, columns, request.n)
    if len(picked.positions) < request.n:
        scores = popular_scores(connection, live)
        free = picked.allowed[: len(scores)]
        for position, score in live.catalogue.best(scores, free, request.n - len(picked.positions)):
            picked.add(position, score, "popular")
    for entry in picked.entries:
        RECOMMENDED.labels(entry["source"]).inc()
    return {
        "model_version": model.name if model else None,
        "as_of": rfc3339(now),
        "items": [
            {"item_id": live.catalogue.external_ids[position], "rank": rank, **entry}
            for rank, (position, entry) in enumerate(
                zip(picked.positions, picked.entries, strict=True), start=1
            )
        ],
        "warnings": warnings,
    }


def _bought(person: Person, repeats: bool, now: int) -> list[int]:
    """Keys of what a user bought and is not to be offered."""
    since = now - DAY_MS if repeats else 0
    return [
        item_key
        for item_key, name, _, _, occurred_at in person.events
        if name == "purchase" and occurred_at >= since
    ]


def _without(live: Live, keys: list[int], now: int) -> NDArray[np.bool_]:
    """Which items of the catalogue can be bought now, but for some, `(len(catalogue),)`."""
    allowed = live.catalogue.available(now)
    positions = live.catalogue.positions_of(np.array(keys, dtype=np.int64))
    # Another request may have taken in further items since.
    allowed[positions[(positions >= 0) & (positions < len(allowed))]] = False
    return allowed


def _why_fewer(model: LiveModel) -> str:
    missing = model.version.analytics.missing.get("rules")
    return FEWER if missing is None else f"There are no rules, so these are alike or popular: {missing}."


def _pick_by_rules(picked: _Picked, live: Live, model: LiveModel, columns: NDArray[np.int64], n: int) -> None:
    """The strongest consequents of the cart as a set."""
    rules = model.version.analytics.rules
    if rules is None or not len(columns):
        return
    free = picked.allowed[model.positions(live.catalogue)]
    # As many more as are not to be had: whichever these are, `n` are left if the rules have them.
    most = min(n + int((~free).sum()), model.version.n_items)
    best = rules.best(Baskets.of([columns.tolist()], model.version.n_items), most)
    found = best.items[0]
    chosen = np.flatnonzero((found >= 0) & free[found])[:n]
    ids = live.catalogue.external_ids
    positions = model.positions(live.catalogue)
    for rule, column, score in zip(
        rules.describe(best.rules[0, chosen]), found[chosen], best.scores[0, chosen], strict=True
    ):
        because = [ids[positions[item]] for item in rule["antecedent"]]
        told = {name: rule[name] for name in ("support", "confidence", "lift")}
        picked.add(int(positions[column]), float(score), "bought_together", {"because": because, **told})


def _pick_alike(
    connection: Connection,
    picked: _Picked,
    live: Live,
    model: LiveModel,
    cart: list[int],
    columns: NDArray[np.int64],
    n: int,
) -> None:
    """The items most like the cart: by who chose them, then by what they are described like."""
    recommenders, n_items = model.version.recommenders, model.version.n_items
    known = columns[columns >= 0]
    ones = np.ones(len(known), dtype=np.float32)
    row = csr_array((ones, np.sort(known).astype(np.int32), [0, len(known)]), shape=(1, n_items))
    history = Histories(row, np.zeros(len(known), dtype=np.float32))
    parts: list[tuple[str, Scores]] = []
    weights = {name: w for name, w in model.version.blends.similar.weights.items() if name != "content"}
    if weights and len(known):
        parts.append(("similar", Blend(weights).score(recommenders, history)))
    content = recommenders.get("content")
    if isinstance(content, Content):
        scores = content.score(history)
        new = [key for key, column in zip(cart, columns.tolist(), strict=True) if column < 0]
        for first in range(0, len(new), _NEW_AT_ONCE):
            rows = items_by_key(connection, new[first : first + _NEW_AT_ONCE])
            vectors = content.vectorise(item_table([rows[key] for key in sorted(rows)]))
            scores = scores + content.similar(vectors).sum(axis=0, keepdims=True)
        parts.append(("content", scores))
    positions = model.positions(live.catalogue)
    for source, scores in parts:
        scores = normalise(scores)
        free = picked.allowed[positions] & (scores[0] > 0)
        chosen, best = top_k(scores, n - len(picked.positions), free)
        for column, score in zip(chosen[0].tolist(), best[0].tolist(), strict=True):
            if column >= 0:
                picked.add(int(positions[column]), score, source)
