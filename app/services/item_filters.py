"""A request's filters over items: understood once for each text, with an error where one is wrong."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

from app.core.errors import InputError, InvalidInput
from app.learning.filtering.checking import check
from app.learning.filtering.conditions import Condition, condition_of
from app.learning.filtering.grammar import parse
from app.learning.filtering.item_fields import ITEMS
from app.learning.filtering.parameters import filled, parameters_of, unused
from app.learning.filtering.plain import tree_of
from app.learning.filtering.tree import Filter, FilterError, Place

_KEPT: Final = 256


class Filters:
    """All filters of one request, with the parameters that they share."""

    def __init__(self, parameters: Mapping[str, Any], at: str) -> None:
        self._parameters = parameters
        self._at = at
        self._used: set[str] = set()

    def understand(self, written: str | dict[str, Any], pointer: str) -> Condition:
        """A filter, as a text or a tree, made ready; raises InvalidInput that names the place."""
        pointer = self._at + pointer
        key = written if isinstance(written, str) else _bytes(written)
        try:
            _, named = _tree(key)
        except FilterError as error:
            raise _refused("filter_syntax", pointer, error) from None
        self._used.update(named)
        for name, place in named.items():
            if name not in self._parameters:
                missing = FilterError(place, f"the parameter '{name}' is not given")
                raise _refused("filter_parameter", pointer, missing)
        try:
            return _condition(key, _bytes({name: self._parameters[name] for name in named}))
        except FilterError as error:
            raise _refused("filter_field", pointer, error) from None

    def check(self, written: str | dict[str, Any], pointer: str) -> None:
        """The same before all parameters are given: raises InvalidInput for what no values could mend."""
        pointer = self._at + pointer
        try:
            tree, named = _tree(written if isinstance(written, str) else _bytes(written))
        except FilterError as error:
            raise _refused("filter_syntax", pointer, error) from None
        self._used.update(named)
        try:
            check(tree, self._parameters)
        except FilterError as error:
            raise _refused("filter_field", pointer, error) from None

    def end(self) -> None:
        """Raises InvalidInput for parameters that no filter used: one of them may be misspelt."""
        errors = [
            InputError(f"{self._at}/parameters/{name}", "filter_parameter", said)
            for name, said in unused(self._parameters, self._used).items()
        ]
        if errors:
            raise InvalidInput(f"Not all parameters are used: {errors[0].detail}.", errors)


def parameters_in(written: str | dict[str, Any]) -> set[str]:
    """Names of the parameters of a filter; none of one that cannot be understood."""
    try:
        return set(_tree(written if isinstance(written, str) else _bytes(written))[1])
    except FilterError:
        return set()


@lru_cache(maxsize=_KEPT)
def _tree(written: str | bytes) -> tuple[Filter, dict[str, Place]]:
    """The tree of a filter and its parameters; raises FilterError."""
    tree = parse(written, ITEMS) if isinstance(written, str) else tree_of(orjson.loads(written), ITEMS)
    return tree, parameters_of(tree)


@lru_cache(maxsize=_KEPT)
def _condition(written: str | bytes, parameters: bytes) -> Condition:
    return condition_of(filled(_tree(written)[0], orjson.loads(parameters)))


def _bytes(plain: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(plain)
    except TypeError:  # integers of more than 64 bits, or half of a character
        return json.dumps(plain).encode()


def _refused(code: str, pointer: str, error: FilterError) -> InvalidInput:
    return InvalidInput(
        f"The filter cannot be understood: {error}.", [InputError(pointer + error.pointer, code, str(error))]
    )
