"""Saved filters: kept, checked and tried out."""

from typing import Any, Final

from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.errors import Conflict, InputError, InvalidInput, ModelNotReady, NotFound
from app.db.queries import segment_rules
from app.db.queries.users import external_ids
from app.db.rows import AnyRow
from app.learning.customers.features import FEATURES
from app.learning.customers.segments.rule_fields import FIGURES, LEARNED, check_names
from app.learning.filtering.tree import FilterError, fields
from app.schemas.segment_rules import SegmentRuleFields
from app.services.customers import analytics_of
from app.services.live import Live
from app.services.rule_matches import Matched, attribute_kinds, match_filters, parsed, why_missing
from app.services.segments import rule_id

MOST_RULES: Final = 200
_SHOWN: Final = 10
"""Users that a preview names."""
_RESERVED: Final = frozenset({"fields", "preview"})
"""Other calls have these paths."""


def check_filter(connection: Connection, live: Live, text: str) -> None:
    """Raises InvalidInput that names `/filter` and says in which column it cannot be understood.

    Names are compared with the features, predicted figures and users' attributes. Before the first training
    any name may be an attribute: a shop may write its filters first.
    """
    try:
        rule = parsed(text)
    except FilterError as error:
        raise _refused("filter_syntax", error) from None
    kinds = None
    if live.current is not None:
        kinds = attribute_kinds(connection, live) if fields(rule) - LEARNED else {}
    try:
        check_names(rule, kinds)
    except FilterError as error:
        raise _refused("filter_field", error) from None


def put_rule(connection: Connection, segment: str, wanted: SegmentRuleFields) -> tuple[dict[str, Any], bool]:
    """Save a filter that was checked; answer it, and whether it is new. Raises Conflict above 200."""
    if segment in _RESERVED:
        said = f"'{segment}' names another call; choose another name"
        raise InvalidInput(f"{said}.", [InputError("/path/segment", "reserved", said)])
    now = now_ms()
    values = {"name": wanted.name, "filter": wanted.filter, "updated_at": now}
    created = not segment_rules.update_rule(connection, segment, values)
    if created:
        if segment_rules.count_rules(connection) >= MOST_RULES:
            raise Conflict(f"There are {MOST_RULES} filters already; delete one first.")
        segment_rules.insert_rule(connection, values | {"segment": segment, "created_at": now})
    return get_rule(connection, segment), created


def list_rules(connection: Connection) -> dict[str, Any]:
    """All saved filters."""
    return {"segment_rules": [_answer(row) for row in segment_rules.list_rules(connection)]}


def get_rule(connection: Connection, segment: str) -> dict[str, Any]:
    """One saved filter; raises NotFound."""
    row = segment_rules.find_rule(connection, segment)
    if row is None:
        raise _unknown(segment)
    return _answer(row)


def delete_rule(connection: Connection, segment: str) -> None:
    """Remove a filter and with it the segment; raises NotFound."""
    if not segment_rules.delete_rule(connection, segment):
        raise _unknown(segment)


def preview(connection: Connection, live: Live, text: str) -> dict[str, Any]:
    """Whom a filter matches, without saving it; raises InvalidInput, ModelNotReady."""
    model, analytics = analytics_of(live)
    check_filter(connection, live, text)
    found = match_filters(connection, live, model, [text])[text]
    if not isinstance(found, Matched):
        raise ModelNotReady(f"The filter cannot be applied now: {found}.")
    keys = analytics.customers.user_keys[found.rows[: 10 * _SHOWN]].tolist()
    names = external_ids(connection, keys)
    said = {name: found.said[name] for name in ("size", "share", "distinguishing", "sets_apart")}
    return {
        "model_version": model.name,
        "as_of": rfc3339(model.version.as_of),
        **said,
        "user_ids": [names[key] for key in keys if key in names][:_SHOWN],
    }


def list_fields(connection: Connection, live: Live) -> dict[str, Any]:
    """What filters may name: features, predicted figures and the attributes of the users."""
    model = live.current
    analytics = None if model is None else model.version.analytics
    found: list[dict[str, Any]] = []
    for feature in (*FEATURES, *FIGURES):
        figure = feature in FIGURES
        needs = None
        if figure:
            needs = "a training" if analytics is None else why_missing(analytics, feature.name)
        meaning = feature.meaning
        if figure and analytics is not None and analytics.customers.predictions is not None:
            fitted = analytics.customers.predictions.predictions.get(feature.name)
            meaning = meaning if fitted is None else fitted.definition
        said = {"name": feature.name, "source": "prediction" if figure else "feature", "type": "number"}
        found.append({**said, "unit": feature.unit, "meaning": meaning, "needs": needs, "users": None})
    for name, kinds in sorted(attribute_kinds(connection, live).items()):
        if name in LEARNED:
            continue
        said = {"name": name, "source": "attribute", "type": max(kinds, key=lambda kind: kinds[kind])}
        users = sum(kinds.values())
        found.append({**said, "unit": None, "meaning": "The shop's own", "needs": None, "users": users})
    return {"fields": found}


def _refused(code: str, error: FilterError) -> InvalidInput:
    return InvalidInput(
        f"The filter cannot be understood: {error}.", [InputError("/filter", code, str(error))]
    )


def _unknown(segment: str) -> NotFound:
    return NotFound(f"There is no saved filter '{segment}'.")


def _answer(row: AnyRow) -> dict[str, Any]:
    return {
        "segment": row.segment,
        "segment_id": rule_id(row.segment),
        "name": row.name,
        "filter": row.filter,
        "created_at": rfc3339(row.created_at),
        "updated_at": rfc3339(row.updated_at),
    }
