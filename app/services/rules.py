"""Association rules, as the active model version has them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from app.core.clock import rfc3339
from app.core.errors import Conflict, InputError, InvalidInput, ModelNotReady, NotFound
from app.db.queries.items import deleted_keys, find_item, items_by_key
from app.learning.baskets.itemsets import least_count
from app.learning.baskets.model import RuleModel
from app.learning.baskets.rules import Rules
from app.schemas.rules import RuleOrder, Side
from app.services.live import Live
from app.services.live_model import LiveModel
from app.services.paging import decode_cursor, encode_cursor

PAGE: Final = 100
_AT_ONCE: Final = 1_000
"""Rules whose items are looked up with one query."""
_FIGURES: Final = ("count", "support", "confidence", "lift", "leverage", "conviction")


@dataclass(frozen=True)
class RuleQuery:
    """Which rules, and in which order; equal ones stay in the order of their strength."""

    item_id: str | None
    side: Side
    """On which the item has to be."""
    min_support: float
    min_confidence: float
    min_lift: float
    order: RuleOrder


def list_rules(
    connection: Connection, live: Live, query: RuleQuery, cursor: str | None, limit: int | None
) -> dict[str, Any]:
    """A page of rules; raises ModelNotReady, NotFound for an unknown item, Conflict for an older cursor."""
    model = _trained(live)
    rules = model.version.analytics.rules
    chosen = _chosen(connection, model, query)
    start, end = _bounds(model, cursor, PAGE if limit is None else limit)
    return {
        "model_version": model.name,
        "as_of": rfc3339(model.version.as_of),
        "thresholds": None if rules is None else _thresholds(model, rules),
        "n_rules": 0 if rules is None else len(rules.rules),
        "n_matching": len(chosen),
        "missing": model.version.analytics.missing.get("rules"),
        "rules": list(_described(connection, model, chosen[start:end])),
        "next_cursor": encode_cursor([model.name, end]) if end < len(chosen) else None,
    }


def rule_table(
    connection: Connection, live: Live, query: RuleQuery, cursor: str | None, limit: int | None
) -> tuple[list[str], Iterator[dict[str, Any]]]:
    """Columns and rows of a table of rules, all of them without a limit; raises as `list_rules`."""
    model = _trained(live)
    rules = model.version.analytics.rules
    wide = 1 if rules is None else rules.rules.antecedents.shape[1]
    sides = [*(f"antecedent_{number}" for number in range(1, wide + 1)), "consequent"]
    chosen = _chosen(connection, model, query)
    start, end = _bounds(model, cursor, len(chosen) if limit is None else limit)

    def rows() -> Iterator[dict[str, Any]]:
        for rule in _described(connection, model, chosen[start:end]):
            row = {name: rule[name] for name in _FIGURES}
            named = [*zip(sides, rule["antecedent"], strict=False), ("consequent", rule["consequent"])]
            for side, item in named:
                row |= {side: item["item_id"], f"{side}_title": item["title"]}
            yield row

    return [*sides, *(f"{side}_title" for side in sides), *_FIGURES], rows()


def _trained(live: Live) -> LiveModel:
    if live.current is None:
        raise ModelNotReady("No model is trained yet: rules need a training run.")
    return live.current


def _chosen(connection: Connection, model: LiveModel, query: RuleQuery) -> NDArray[np.int64]:
    """Numbers of the rules that were asked for, in order."""
    column = None
    if query.item_id is not None:
        row = find_item(connection, query.item_id)
        if row is None:
            raise NotFound(f"There is no item '{query.item_id}'.")
        column = int(model.indexes_of(np.array([row.id]))[0])
    found = model.version.analytics.rules
    # What the training did not know is in no rule.
    if found is None or column == -1:
        return np.empty(0, dtype=np.int64)
    rules = found.rules
    mask = (
        (rules.support >= query.min_support)
        & (rules.confidence >= query.min_confidence)
        & (rules.lift >= query.min_lift)
    )
    if column is not None:
        mask &= _holds(rules, column, query.side)
    for gone in model.indexes_of(np.array(deleted_keys(connection), dtype=np.int64)).tolist():
        if gone >= 0:
            mask &= ~_holds(rules, gone, "any")
    numbers = np.flatnonzero(mask)
    if query.order == "strength":
        return numbers
    return numbers[np.argsort(-getattr(rules, query.order)[numbers], kind="stable")]


def _holds(rules: Rules, column: int, side: Side) -> NDArray[np.bool_]:
    """Which rules have an item on a side."""
    held = np.zeros(len(rules), dtype=np.bool_)
    if side != "antecedent":
        held |= rules.consequents[:, 0] == column
    if side != "consequent":
        for place in range(rules.antecedents.shape[1]):
            held |= rules.antecedents[:, place] == column
    return held


def _bounds(model: LiveModel, cursor: str | None, limit: int) -> tuple[int, int]:
    """Where a page begins and ends."""
    name, start = decode_cursor(cursor, str, int) or (model.name, 0)
    if start < 0:
        raise InvalidInput(
            "The cursor is not one that this list gave.",
            [InputError("/query/cursor", "bad_cursor", "Give next_cursor of the page before")],
        )
    if name != model.name:
        raise Conflict("The rules are of another training than the page before: begin with the first page.")
    return start, start + limit


def _described(
    connection: Connection, model: LiveModel, numbers: NDArray[np.int64]
) -> Iterator[dict[str, Any]]:
    rules = model.version.analytics.rules
    known: dict[int, dict[str, Any]] = {}
    for first in range(0, len(numbers), _AT_ONCE):
        assert rules is not None  # noqa: S101 (there are numbers only of rules)
        some = rules.describe(numbers[first : first + _AT_ONCE])
        columns = {item for rule in some for item in (*rule["antecedent"], rule["consequent"])}
        new = np.array(sorted(columns - known.keys()), dtype=np.int64)
        keys = model.version.item_keys[new].tolist()
        rows = items_by_key(connection, keys)
        for column, key in zip(new.tolist(), keys, strict=True):
            known[column] = {"item_id": rows[key].external_id, "title": rows[key].title}
        for rule in some:
            yield rule | {
                "antecedent": [known[item] for item in rule["antecedent"]],
                "consequent": known[rule["consequent"]],
            }


def _thresholds(model: LiveModel, rules: RuleModel) -> dict[str, Any]:
    given = model.version.analytics_config.rules.min_support
    told = rules.summary()
    as_given = given is not None and least_count(given, told["n_baskets"]) == told["min_count"]
    names = (
        *("min_support", "min_count", "min_confidence", "min_lift", "max_length"),
        *("false_discoveries", "n_baskets", "n_itemsets", "n_tested"),
    )
    return {name: told[name] for name in names} | {"min_support_from": "given" if as_given else "found"}
