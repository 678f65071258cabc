"""What holds for any filter, written as a text or given as a tree; anything else is an error."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from app.learning.customers.segments.rule_fields import check_names
from app.learning.customers.segments.rule_language import CUSTOMERS
from app.learning.filtering.checking import check
from app.learning.filtering.conditions import condition_of
from app.learning.filtering.grammar import Dialect, parse
from app.learning.filtering.item_fields import ITEMS, column_for
from app.learning.filtering.parameters import filled, parameters_of
from app.learning.filtering.plain import tree_of
from app.learning.filtering.tree import LONGEST, Filter, FilterError
from app.learning.filtering.writing import plain_of, text_of

DIALECTS = (ITEMS, CUSTOMERS)
_DEPTH_OF_LISTS = "nested more than"


def check_text(text: str, given: Mapping[str, Any]) -> None:
    """A text is a filter that can be written again, or is refused at a place in it."""
    for dialect in DIALECTS:
        try:
            tree = parse(text, dialect)
        except FilterError as error:
            _is_at_a_column(error, text)
            continue
        _is_stable(tree, dialect)
        _answers(tree, given, text, dialect)


def check_tree(plain: Any, given: Mapping[str, Any]) -> None:
    """A tree of JSON is a filter that can be written again, or is refused with a pointer to a part of it."""
    for dialect in DIALECTS:
        try:
            tree = tree_of(plain, dialect)
        except FilterError as error:
            _is_at_a_part(error, plain)
            continue
        if dialect is not ITEMS:
            continue
        assert tree_of(json.loads(json.dumps(plain_of(tree))), dialect) == tree
        _is_stable(tree, dialect)
        _answers(tree, given, plain, dialect)


def _is_stable(tree: Filter, dialect: Dialect) -> None:
    """The tree of its text is the tree, and so is, where it is not too deep for JSON, that of its JSON."""
    text = text_of(tree)
    if len(text) <= LONGEST:
        again = parse(text, dialect)
        assert again == tree, text
        assert text_of(again) == text
    try:
        plain = json.loads(json.dumps(plain_of(tree)))
        read = tree_of(plain, dialect)
    except FilterError as error:
        # Lists of parts count as levels in a tree, brackets in a text.
        if _DEPTH_OF_LISTS not in str(error):
            raise
    else:
        assert plain_of(read) == plain


def _answers(tree: Filter, given: Mapping[str, Any], written: Any, dialect: Dialect) -> None:
    """Made ready, the filter answers for a shop without items; or it is refused at a place in it."""
    if dialect is CUSTOMERS:
        with suppress(FilterError):
            check_names(tree, None)
        return
    try:
        check(tree, given)
    except FilterError as error:
        _is_somewhere(error, written)
    names = parameters_of(tree)
    values = {**dict.fromkeys(names, 1), **given}
    try:
        condition = condition_of(filled(tree, values))
    except FilterError as error:
        _is_somewhere(error, written)
        return
    assert len(condition.mask({name: column_for(name) for name in condition.fields})) == 0


def _is_somewhere(error: FilterError, written: Any) -> None:
    if isinstance(written, str):
        _is_at_a_column(error, written)
    else:
        _is_at_a_part(error, written)


def _is_at_a_column(error: FilterError, text: str) -> None:
    assert 1 <= error.column <= min(len(text), LONGEST) + 1, error
    assert error.pointer == ""
    assert str(error).startswith(f"column {error.column}: ")


def _is_at_a_part(error: FilterError, plain: Any) -> None:
    """The pointer names a part that is there, or the name that is missing from the last one."""
    assert error.column == 0
    assert str(error)
    part = plain
    for step in error.pointer.split("/")[1:]:
        assert isinstance(part, dict | list), error.pointer
        if isinstance(part, list):
            part = part[int(step)]
            continue
        name = step.replace("~1", "/").replace("~0", "~")
        near = [found for key, found in part.items() if key[:100] == name]
        part = near[0] if near else None
