"""What filters over items may name, and of which kind it is."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final, Literal

from app.learning.filtering.columns import Column, ListColumn, NumberColumn, TextColumn
from app.learning.filtering.grammar import Dialect
from app.learning.filtering.tree import Field, FilterError

Kind = Literal["text", "number", "date", "list", "paths", "any"]

ITEMS: Final = Dialect("a field", words=True, most_comparisons=200)
ATTRIBUTES: Final = "attributes."
KINDS: Final[Mapping[str, Kind]] = {
    "item_id": "text",
    "title": "text",
    "brand": "text",
    "currency": "text",
    "availability": "text",
    "group_id": "text",
    "price": "number",
    "cost": "number",
    "margin": "number",
    "available_from": "date",
    "expires_at": "date",
    "created_at": "date",
    "updated_at": "date",
    "categories": "paths",
    "tags": "list",
}
_ALSO: Final = {"category": "categories"}


def field_named(field: Field) -> str:
    """The field's own name; raises `FilterError` with what may be meant."""
    name = _ALSO.get(field.name, field.name)
    if name in KINDS or (name.startswith(ATTRIBUTES) and len(name) > len(ATTRIBUTES)):
        return name
    known = [*KINDS, *_ALSO, "attributes.NAME"]
    near = get_close_matches(name, [*KINDS, *_ALSO, "attributes"], n=3, cutoff=0.6)
    near = ["attributes.NAME" if one == "attributes" else one for one in near]
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(sorted(known))}"
    raise FilterError(field.place, f"there is no field '{name[:200]}'; {hint}")


def kind_of(name: str) -> Kind:
    """The kind of a field by its own name."""
    return KINDS.get(name, "any")


def column_for(name: str) -> Column:
    """An empty column for a field."""
    kind = kind_of(name)
    if kind in ("number", "date"):
        return NumberColumn()
    return TextColumn() if kind == "text" else ListColumn()


def margin_of(price: float | None, cost: float | None) -> float | None:
    """What a sale of the item brings above its cost, to the millionth; None where either is unknown."""
    return None if price is None or cost is None else round(price - cost, 6)


def attribute_of(attributes: Mapping[str, Any], name: str) -> Any:
    """The value of an attribute: under its whole name, or in an object one level below."""
    if name in attributes:
        return attributes[name]
    outer, _, inner = name.partition(".")
    nested = attributes.get(outer)
    return nested.get(inner) if inner and isinstance(nested, dict) else None


def attribute_names(attributes: Mapping[str, Any]) -> list[str]:
    """All names under which something of an item can be found."""
    nested = [
        f"{name}.{inner}" for name, value in attributes.items() if isinstance(value, dict) for inner in value
    ]
    return [*attributes, *nested]
