"""Wire types of what a shop asks of a list: filters, boosts, pins, caps."""

import math
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.schemas.fields import Id, Wire

MOST_PARAMETERS: Final = 100
MOST_VALUES: Final = 1_000
LONGEST_TEXT: Final = 4_000


def _text_or_tree(value: Any) -> Any:
    if not isinstance(value, str | dict):
        raise PydanticCustomError("filter_type", "A filter is a text or an object")
    return value


def _values(given: dict[str, Any]) -> dict[str, Any]:
    for name, value in given.items():
        many = value if isinstance(value, list) else [value]
        if len(many) > MOST_VALUES or not all(_single(one) for one in many):
            said = "The parameter '{name}' is no text, number, true or false, and no list of up to 1,000 such"
            raise PydanticCustomError("parameter_type", said, {"name": name, "field": name})
    return given


def _single(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT
    return isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value))


_PLAIN: Final = {"type": ["string", "number", "boolean"], "maxLength": LONGEST_TEXT}
ItemFilter = Annotated[
    Any,
    AfterValidator(_text_or_tree),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "maxLength": LONGEST_TEXT}, {"type": "object"}],
            "examples": ['price <= 50 and category under "Shoes"'],
        }
    ),
]
"""A filter over items; what it says is checked where it is understood."""
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]
Parameters = Annotated[
    dict[_Name, Any],
    Field(max_length=MOST_PARAMETERS),
    AfterValidator(_values),
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "maxLength": 100},
            "maxProperties": MOST_PARAMETERS,
            "additionalProperties": {
                "anyOf": [_PLAIN, {"type": "array", "maxItems": MOST_VALUES, "items": _PLAIN}]
            },
        }
    ),
]


class Boost(Wire):
    filter: ItemFilter
    weight: Annotated[float, Field(gt=0, le=100, strict=True)] = Field(
        description="By which the score is multiplied: above 1 boosts, below 1 buries"
    )


class Value(Wire):
    """By what the items are worth to the shop, and how much that counts."""

    field: Annotated[str, StringConstraints(pattern=r"^(margin|price|attributes\..+)$", max_length=500)] = (
        Field(description="margin (price less cost), price, or attributes.NAME where it is a number")
    )
    weight: Annotated[float, Field(ge=0, le=1, strict=True)] = Field(
        description="The score is multiplied by 1 + weight x (2 x percentile - 1), with the percentile of "
        "the field among the items that can be bought; what lacks it is not moved"
    )


class Pin(Wire):
    position: Annotated[int, Field(ge=1, le=500, strict=True)] = Field(description="Rank, from 1")
    item_id: Id


class Cap(Wire):
    field: Annotated[
        str, StringConstraints(pattern=r"^(brand|category|group_id|attributes\..+)$", max_length=500)
    ] = Field(description="brand, category, group_id or attributes.NAME")
    at_most: Annotated[int, Field(ge=1, le=500, strict=True)]
