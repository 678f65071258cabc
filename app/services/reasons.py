"""How reasons are worded."""

from collections.abc import Mapping

from app.db.rows import AnyRow
from app.services.histories import Events

_VERBS = {
    "purchase": "you bought",
    "rate": "you rated",
    "add_to_cart": "you put into the cart",
    "add_to_wishlist": "you wished for",
    "view_item": "you looked at",
    "select_item": "you looked at",
}
"""By event, the most telling first."""
_IMPERSONAL = {
    "popular": "Popular with other customers",
    "trending": "Trending now",
    "latest": "New in the shop",
    "pinned": "Chosen by the shop",
    "social": "Liked by people you know",
    "bought_together": "Often bought together",
}
_OTHERS = "Liked by similar customers"
_ALIKE = "Described alike"


def told_events(events: Events, weights: Mapping[str, float]) -> dict[int, str]:
    """What the person did with each item, at the most, by its key; `weights` as the model has them."""
    telling = list(_VERBS)
    ranked: dict[int, tuple[int, float, str]] = {}
    for key, name in zip(events.item_keys, events.names, strict=True):
        place = telling.index(name) if name in _VERBS else len(telling)
        rank = (place, -weights.get(name, 0.0), name)
        ranked[key] = min(rank, ranked.get(key, rank))
    return {key: name for key, (_, _, name) in ranked.items()}


def impersonal_text(source: str) -> str:
    """Where none of the person's own items carried the score."""
    return _IMPERSONAL.get(source, _ALIKE if source == "content" else _OTHERS)


def is_personal(source: str) -> bool:
    """Whether what comes from this source is told by the person's own items."""
    return source not in _IMPERSONAL


def own_text(source: str, event: str, row: AnyRow, itself: bool) -> str:
    """Where an item of the person's own, `row`, carried the score: of another item, or `itself`."""
    verb = _VERBS.get(event, "you took an interest in")
    if itself:
        return f"{verb[0].upper()}{verb[1:]} this before"
    opening = "Similar to what" if source == "content" else "Because"
    return f"{opening} {verb}: {name_of(row)}"


def likeness_text(row: AnyRow) -> str:
    """Where an item stands with another, which is not the person's own, that is described like it."""
    return f"Similar to: {name_of(row)}"


def category_text(item: AnyRow, own: AnyRow, event: str) -> str | None:
    """Where an item is popular in a category from which the person has one; None where they share none."""
    shared = _steps(item) & _steps(own)
    if not shared:
        return None
    verb = _VERBS.get(event, "you took an interest in")
    return f"Popular in {max(sorted(shared), key=len)[-1]}, from which {verb}: {name_of(own)}"


def name_of(row: AnyRow) -> str:
    """What a customer knows an item by."""
    return str(row.title or row.external_id)


def _steps(item: AnyRow) -> set[tuple[str, ...]]:
    """The category paths of an item and their prefixes, each as its steps."""
    paths = [tuple(" ".join(step.split()) for step in path.split(">")) for path in item.categories]
    return {path[:depth] for path in paths for depth in range(1, len(path) + 1) if all(path[:depth])}
