"""From bytes to checked models, with an error for each thing that is wrong and where it is."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json

from app.core.errors import InputError, InvalidInput, MalformedJson, pointed

Entry = TypeVar("Entry", bound=BaseModel)
Body = TypeVar("Body", bound=BaseModel)

MAX_LISTED_ERRORS = 1_000

_TWO_OBJECTS = re.compile(rb"\}[ \t\r]*,[ \t\r]*\{")
"""What a line needs to hold more than one entry (or a list of objects inside of one)."""


@dataclass
class Checked(Generic[Entry]):
    """Entries of a batch that are valid, with their places, and what was wrong with the others."""

    entries: list[Entry] = field(default_factory=list)
    indexes: list[int] | range = field(default_factory=list)
    """Place of each entry in the batch."""
    errors: list[dict[str, Any]] = field(default_factory=list)
    """One for each rejected entry: index, code, detail, pointer."""


def parse_body(model: type[Body], body: bytes) -> Body:
    """The whole body as one model; raises MalformedJson or InvalidInput."""
    if not body.strip():
        raise MalformedJson("The body is empty; send JSON.")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _refusal(error) from None


def parse_batch(model: type[BaseModel], entry: type[Entry], name: str, body: bytes) -> Checked[Entry]:
    """A body `{name: [entries]}` whose entries are judged one by one.

    Raises MalformedJson or InvalidInput if the body as a whole is not such an object.
    """
    if not body.strip():
        raise MalformedJson("The body is empty; send JSON.")
    try:
        entries: list[Entry] = getattr(model.model_validate_json(body), name)
        return Checked(entries, range(len(entries)))
    except ValidationError as error:
        # Errors inside an entry have a path such as ("users", 3, "user_id"); all others refuse the batch.
        if any(len(detail["loc"]) < 2 or detail["loc"][0] != name for detail in _details(error)):
            raise _refusal(error) from None
    return parse_entries(entry, from_json(body)[name])


def parse_entries(entry: type[Entry], values: Sequence[Any]) -> Checked[Entry]:
    """Values that were parsed already, judged one by one."""
    checked: Checked[Entry] = Checked()
    indexes: list[int] = []
    for index, value in enumerate(values):
        try:
            checked.entries.append(entry.model_validate_json(json.dumps(value)))
            indexes.append(index)
        except ValidationError as error:
            checked.errors.append(_verdict(index, error))
    checked.indexes = indexes
    return checked


class LineParser(Generic[Entry]):
    """Lines of NDJSON, judged one by one; many valid lines cost little more than one array."""

    def __init__(self, entry: type[Entry]) -> None:
        self._entry = entry
        self._list: TypeAdapter[list[Entry]] = TypeAdapter(list[entry])  # type: ignore[valid-type]

    def parse(self, lines: Sequence[bytes], places: Sequence[int] | None = None) -> Checked[Entry]:
        """Check lines (none of them blank); `places` are theirs in the stream, from 0 if not given."""
        places = range(len(lines)) if places is None else places
        try:
            # A line break between entries keeps a string from running over the end of its line. As many
            # entries as lines are one in each, unless one line has two and another ends amid its entry.
            joined = b",\n".join(lines)
            entries = self._list.validate_json(b"[" + joined + b"]")
            if len(entries) == len(lines) and _TWO_OBJECTS.search(joined) is None:
                return Checked(entries, list(places))
        except ValidationError:
            pass
        checked: Checked[Entry] = Checked()
        indexes: list[int] = []
        for index, line in zip(places, lines, strict=True):
            try:
                checked.entries.append(self._entry.model_validate_json(line))
                indexes.append(index)
            except ValidationError as error:
                checked.errors.append(_verdict(index, error))
        checked.indexes = indexes
        return checked


def input_errors(details: Sequence[ErrorDetails], prefix: str = "") -> list[InputError]:
    """Pydantic's errors as pointers, codes and sentences."""
    found = []
    for detail in details[:MAX_LISTED_ERRORS]:
        path = [pointed(str(part)) for part in detail["loc"]]
        named = detail.get("ctx", {}).get("field")
        if named:
            path.append(str(named))
        found.append(InputError(prefix + "".join(f"/{part}" for part in path), detail["type"], detail["msg"]))
    return found


def _verdict(index: int, error: ValidationError) -> dict[str, Any]:
    problem = input_errors(_details(error)[:1])[0]
    return {"index": index, "code": problem.code, "detail": problem.detail, "pointer": problem.pointer}


def _details(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_input=False)


def _refusal(error: ValidationError) -> InvalidInput | MalformedJson:
    details = _details(error)
    if details[0]["type"] == "json_invalid":
        return MalformedJson(f"The body is not valid JSON: {details[0]['ctx']['error']}.")
    problems = input_errors(details)
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return InvalidInput(f"{first.detail} at {first.pointer or 'the top'}{more}.", problems)
