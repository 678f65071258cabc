"""Why an item was recommended: which of the person's own items carried its score."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack
from sqlalchemy import Connection

from app.db.queries.items import items_by_key
from app.db.rows import AnyRow
from app.learning.dataset import Histories
from app.learning.ranking.blend import Blend
from app.learning.ranking.cold_items import parents
from app.learning.ranking.contributions import served
from app.learning.recommenders.content import Content
from app.learning.recommenders.likeness import terms_in_common
from app.learning.recommenders.social import Social
from app.learning.recommenders.sparse import empty
from app.services.arrivals import item_table
from app.services.histories import Events, own_keys
from app.services.live import Live
from app.services.live_model import LiveModel
from app.services.reasons import (
    category_text,
    impersonal_text,
    is_personal,
    likeness_text,
    own_text,
    told_events,
)

MAX_ITEMS = 100
"""Latest items of the history that are named; all of it counts."""
MAX_EVIDENCE = 3
MAX_SHARED = 3
LEAST_SHARE = 0.01
"""Share of what speaks for an item from which an item of the person's own is named."""
LEAST_OF_FIRST = 0.2
"""The same, of the share of the most telling one: what hardly counts beside it would mislead."""


@dataclass(frozen=True)
class _Grounds:
    """What a reason is made of; items by their key, with their shares, the most telling first."""

    item: int
    source: str
    own: list[tuple[int, float]]
    alike: list[tuple[int, float]]
    by_category: bool
    """Whether what is popular in the person's categories carried it most."""
    related_users: int


def explain(
    connection: Connection,
    live: Live,
    model: LiveModel,
    blend: Blend,
    events: Events,
    history: Histories,
    positions: list[int],
    sources: list[str],
) -> list[dict[str, Any]]:
    """A reason for each recommended position.

    The evidence is what each item of the history adds to the score as it was served, over all families of
    the blend. Items that nobody has chosen stand with those that they are described like, and have their
    evidence from them.
    """
    keys = live.catalogue.keys[positions]
    grounds = _grounds(connection, model, blend, history, own_keys(events, model), keys, sources)
    named = {ground.item for ground in grounds}
    named.update(key for ground in grounds for key, _ in [*ground.own, *ground.alike])
    rows = items_by_key(connection, sorted(named))
    grounds = [_without_deleted(ground, rows) for ground in grounds]
    told = told_events(events, model.version.event_weights)
    shared = _shared(model, grounds, rows)
    return [_reason(ground, rows, told, terms) for ground, terms in zip(grounds, shared, strict=True)]


def impersonal(source: str) -> dict[str, Any]:
    """The reason where none of the person's own items carried the score."""
    return {"text": impersonal_text(source), "source": source, "because": []}


def _grounds(
    connection: Connection,
    model: LiveModel,
    blend: Blend,
    history: Histories,
    own: Mapping[int, int],
    keys: NDArray[np.int64],
    sources: list[str],
) -> list[_Grounds]:
    """What carried each of the items; `own` is the person's own item behind each of the history."""
    version = model.version
    indexes = model.indexes_of(keys)
    known, came = np.flatnonzero(indexes >= 0), np.flatnonzero(indexes < 0)
    wanted = indexes[known].astype(np.int32)
    arrivals = _parents(connection, model, keys[came])
    carried, lent = served(version.recommenders, blend, version.cold, history, wanted, arrivals)
    latest = np.argsort(history.ages, kind="stable")[:MAX_ITEMS]
    # What an item newer than the model is like may have been compared anew since: it stands for itself then.
    keys_of_known = [
        own.get(index, int(version.item_keys[index])) for index in history.matrix.indices[latest].tolist()
    ]
    named = np.array(keys_of_known, dtype=np.int64)
    named, behind = np.unique(named, return_inverse=True)
    shares = carried.shares[:, latest] @ np.equal.outer(behind, np.arange(len(named))).astype(np.float32)
    supporters = np.zeros(len(keys), dtype=np.int64)
    social = version.recommenders.get("social")
    if isinstance(social, Social) and "social" in blend.weights:
        supporters[: len(wanted)] = social.supporters(history, wanted)
    families = list(blend.weights)
    parts = np.stack([carried.families[name] for name in families])
    found: list[_Grounds | None] = [None] * len(keys)
    for row, place in enumerate(np.concatenate([known, came]).tolist()):
        lenders = slice(lent.indptr[row], lent.indptr[row + 1])
        alike = lent.data[lenders]
        found[place] = _Grounds(
            int(keys[place]),
            "content" if len(alike) else sources[place],
            _best(named, shares[row], LEAST_SHARE),
            _best(version.item_keys[lent.indices[lenders]], alike / max(alike.sum(), 1e-30), 0.0),
            families[int(parts[:, row].argmax())] == "category_popularity",
            int(supporters[row]),
        )
    return [ground for ground in found if ground is not None]


def _best(keys: NDArray[np.int64], shares: NDArray[np.float32], least: float) -> list[tuple[int, float]]:
    """The items with the largest shares, and these."""
    best = np.argsort(-shares, kind="stable")[:MAX_EVIDENCE]
    least = max(least, LEAST_OF_FIRST * float(shares[best[0]])) if len(best) else least
    return [(int(keys[at]), float(shares[at])) for at in best if shares[at] > least]


def _without_deleted(ground: _Grounds, rows: Mapping[int, AnyRow]) -> _Grounds:
    """The same without likeness to items that the shop has no more; the person's own stay its own."""
    return replace(ground, alike=[(key, share) for key, share in ground.alike if not rows[key].deleted_at])


def _parents(connection: Connection, model: LiveModel, keys: NDArray[np.int64]) -> csr_array:
    """What items that came after the training are described like, `(len(keys), n_items)`; see `Arrivals`."""
    version = model.version
    content = version.recommenders.get("content")
    if not len(keys) or not isinstance(content, Content):
        return empty(len(keys), version.n_items)
    rows = items_by_key(connection, keys.tolist())
    warm = version.cold.warm(version.n_items)
    vectors = content.vectorise(item_table([rows[key] for key in keys.tolist()]))
    # One by one: the similarities of many at once, to all items, would take memory without a bound.
    return csr_array(
        vstack([parents(csr_array(content.similar(vectors[[row]])), warm) for row in range(len(keys))])
    )


def _shared(model: LiveModel, grounds: list[_Grounds], rows: Mapping[int, AnyRow]) -> list[list[str]]:
    """What each item that content carried has in common with what it was compared with."""
    found: list[list[str]] = [[] for _ in grounds]
    content = model.version.recommenders.get("content")
    pairs = {
        place: (ground.item, (ground.alike or ground.own)[0][0])
        for place, ground in enumerate(grounds)
        if ground.source == "content" and (ground.alike or ground.own)
    }
    if not pairs or not isinstance(content, Content):
        return found
    compared = sorted({key for pair in pairs.values() for key in pair})
    places = {key: place for place, key in enumerate(compared)}
    table = item_table([rows[key] for key in compared])
    of_rows = [(places[item], places[other]) for item, other in pairs.values()]
    for place, terms in zip(pairs, terms_in_common(content, table, of_rows, MAX_SHARED), strict=True):
        found[place] = terms
    return found


def _reason(
    ground: _Grounds, rows: Mapping[int, AnyRow], told: Mapping[int, str], shared: list[str]
) -> dict[str, Any]:
    """The reason as it is answered."""
    because = [_item(rows[key], share) | {"event": told[key]} for key, share in ground.own]
    answer: dict[str, Any] = {"text": _text(ground, rows, told), "source": ground.source, "because": because}
    if shared:
        answer["shared"] = shared
    if ground.alike:
        answer["similar_to"] = [_item(rows[key], share) for key, share in ground.alike]
    if ground.related_users:
        answer["related_users"] = ground.related_users
    return answer


def _text(ground: _Grounds, rows: Mapping[int, AnyRow], told: Mapping[int, str]) -> str:
    own = [key for key, _ in ground.own]
    if ground.alike and ground.alike[0][0] not in own:
        return likeness_text(rows[ground.alike[0][0]])
    if ground.by_category and own and not ground.alike:
        text = category_text(rows[ground.item], rows[own[0]], told[own[0]])
        if text is not None:
            return text
    if not own or not is_personal(ground.source):
        return impersonal_text(ground.source)
    first = ground.alike[0][0] if ground.alike else own[0]
    if ground.source in ("buy_again", "recent") and ground.item in own:
        first = ground.item
    return own_text(ground.source, told[first], rows[first], first == ground.item)


def _item(row: AnyRow, share: float) -> dict[str, Any]:
    return {"item_id": row.external_id, "title": row.title, "weight": round(share, 4)}
