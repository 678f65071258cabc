"""Field types that the wire's models share."""

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetPydanticSchema,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError, core_schema

from app.core.clock import to_ms
from app.core.pseudonyms import as_stored

MAX_OBJECT_BYTES = 65_536
MAX_BATCH = 10_000

_RFC3339 = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

_EARLIEST = to_ms(datetime(1900, 1, 1, tzinfo=UTC))
_LATEST = to_ms(datetime(9999, 12, 30, tzinfo=UTC))

Id = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$", strict=True),
]
"""The shop's own id: UTF-8 text of 1–256 characters without control characters."""


UserRef = Annotated[Id, AfterValidator(as_stored)]
"""Id of a user; here its pseudonym, where a key for these is set."""


def bounded(max_length: int) -> StringConstraints:
    """Text of bounded length without NUL (which no SQL database stores)."""
    return StringConstraints(max_length=max_length, pattern=r"^[^\x00]*$", strict=True)


Name = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00]+$", strict=True)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$", strict=True)]
Money = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False, strict=True)]
Quantity = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False, strict=True)]
Number = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False, strict=True)]


def _milliseconds(moment: datetime) -> int:
    milliseconds = to_ms(moment)
    if not _EARLIEST <= milliseconds <= _LATEST:
        raise PydanticCustomError("date_out_of_range", "The date must lie between 1900 and 9999")
    return milliseconds


Instant = Annotated[
    int,
    GetPydanticSchema(
        lambda _source, _handler: core_schema.no_info_after_validator_function(
            _milliseconds,
            core_schema.chain_schema(
                [
                    core_schema.str_schema(strict=True),
                    core_schema.custom_error_schema(
                        core_schema.str_schema(pattern=_RFC3339),
                        custom_error_type="rfc3339_time",
                        custom_error_message="Give a time with its offset from UTC, as 2026-11-21T09:30:00Z",
                    ),
                    core_schema.datetime_schema(strict=False, tz_constraint="aware"),
                ]
            ),
        )
    ),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-21T09:30:00Z"]}),
]
"""On the wire an RFC 3339 time with its offset from UTC, here milliseconds since the Unix epoch."""


def storable(value: dict[str, Any]) -> dict[str, Any]:
    if not value:
        return value
    try:
        as_text = json.dumps(value, allow_nan=False)
        size = len(orjson.dumps(value))
    except RecursionError:
        raise PydanticCustomError("too_deep", "The object is nested too deeply") from None
    except (ValueError, TypeError) as error:
        raise PydanticCustomError(
            "not_storable", "The object holds what cannot be stored: {why}", {"why": str(error)}
        ) from None
    if size > MAX_OBJECT_BYTES:
        raise PydanticCustomError(
            "too_large", "The object takes more than {limit} bytes", {"limit": MAX_OBJECT_BYTES}
        )
    if _NUL.search(as_text):
        raise PydanticCustomError("nul_character", "Text must not hold the NUL character")
    return value


Attributes = Annotated[dict[str, Any], AfterValidator(storable)]
"""A JSON object of the shop's own, up to 64 KiB."""


class Wire(BaseModel):
    """Base of what is received: unknown fields are refused, so that a misspelt one is not lost silently."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """Base of what is answered."""


class FieldProblem(Answer):
    pointer: str = Field(description="JSON pointer into the body, or /query/NAME or /path/NAME")
    code: str
    detail: str


class Problem(Answer):
    """RFC 9457 `application/problem+json`."""

    type: str = "about:blank"
    title: str
    status: int
    code: str = Field(description="Stable, for programs")
    detail: str = Field(description="For people")
    errors: list[FieldProblem] = []


class RejectedEntry(Answer):
    index: int = Field(description="Place in the batch, or line of the stream, counted from 0")
    code: str
    detail: str
    pointer: str = Field(description="JSON pointer into the entry that was rejected")


class BatchResult(Answer):
    accepted: int
    duplicate: int = Field(description="Events that were stored before under the same identity")
    rejected: int
    errors: list[RejectedEntry] = Field(description="What was rejected and why; the first 1,000")
    warnings: list[str] = []
