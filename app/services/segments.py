"""Segments of customers: those that the live model version has, and the saved filters."""

from typing import Any, Final

from sqlalchemy import Connection

from app.core.clock import rfc3339
from app.core.errors import Conflict, NotFound
from app.db.queries.segment_rules import find_rule, list_rules
from app.db.rows import AnyRow
from app.learning.analytics import Analytics
from app.learning.customers.segmentation import OUTLIER, Segmentation
from app.learning.customers.segments.rfm import Rfm
from app.learning.customers.segments.rfm_groups import GROUPS
from app.learning.customers.tastes import Tastes
from app.services.customers import Customer, analytics_of, judge_customer
from app.services.live import Live
from app.services.rule_matches import Matched, match_filters, matches_one

RULE: Final = "rule"
RFM: Final = "rfm"
TASTE: Final = "taste"
KINDS: Final = ("kmeans", "agglomerative", "dbscan", TASTE, RFM, RULE)
NO_RULES: Final = "no filter is saved; PUT /v1/segment-rules/{segment} saves one"
_FACTS: Final = ("quality", "chosen_by", "eps", "boundaries", "outliers", "sampled", "units", "n_users")
_OF_A_SEGMENT: Final = ("name", "meaning", "size", "share", "centre", "distinguishing", "sets_apart")


def list_segments(connection: Connection, live: Live, kind: str | None) -> dict[str, Any]:
    """All segments (of one kind), and which kinds there cannot be; raises ModelNotReady."""
    model, analytics = analytics_of(live)
    wanted = KINDS if kind is None else (kind,)
    segments: list[dict[str, Any]] = []
    facts: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for name in wanted:
        if name == RULE:
            continue
        made = model_of(analytics, name)
        if made is None:
            missing[name] = analytics.missing.get(f"segments.{name}", "this version was trained without it")
            continue
        said = made.describe()
        segments += [_segment(name, entry) for entry in said["segments"]]
        facts[name] = _facts(said)
    if RULE in wanted:
        rules = list_rules(connection)
        matched = match_filters(connection, live, model, [rule.filter for rule in rules])
        for rule in rules:
            found = matched[rule.filter]
            if isinstance(found, Matched):
                segments.append(_rule_segment(rule, found))
            else:
                missing[rule_id(rule.segment)] = found
        facts |= {RULE: _rule_facts(analytics)} if rules else {}
        missing |= {} if rules else {RULE: NO_RULES}
    return {
        "model_version": model.name,
        "as_of": rfc3339(model.version.as_of),
        "segments": segments,
        "segmentations": facts,
        "missing": missing,
    }


def get_segment(connection: Connection, live: Live, segment_id: str) -> dict[str, Any]:
    """One segment; raises NotFound, ModelNotReady, Conflict for a filter that cannot be applied now."""
    model, analytics = analytics_of(live)
    kind = segment_id.partition("-")[0]
    if kind == RULE:
        rule, found = matched_rule(connection, live, segment_id)
        segment, facts = _rule_segment(rule, found), _rule_facts(analytics)
    else:
        made = model_of(analytics, kind)
        said: dict[str, Any] = {"segments": []} if made is None else made.describe()
        entry = next((entry for entry in said["segments"] if entry["id"] == segment_id), None)
        if entry is None:
            raise unknown(segment_id)
        segment, facts = _segment(kind, entry), _facts(said)
    return {
        "model_version": model.name,
        "as_of": rfc3339(model.version.as_of),
        "segment": segment,
        "segmentation": facts,
    }


def segments_of_user(connection: Connection, live: Live, user_id: str) -> dict[str, Any]:
    """The segments that a user is in by all events until now; raises NotFound, ModelNotReady."""
    customer = judge_customer(connection, live, user_id)
    segments, unlike = memberships(connection, customer)
    return {
        "user_id": user_id,
        "model_version": customer.model.name,
        "as_of": rfc3339(customer.as_of),
        "segments": segments,
        "unlike_others": unlike,
        "warnings": customer.warnings,
    }


def memberships(connection: Connection, customer: Customer) -> tuple[list[dict[str, Any]], list[str]]:
    """The segments that a customer who was judged is in now, and the kinds of which no segment is like it."""
    analytics = customer.model.version.analytics
    segments: list[dict[str, Any]] = []
    unlike: list[str] = []
    for kind in KINDS[:-1]:
        made, labels = model_of(analytics, kind), customer.judged.segments.get(kind)
        if made is None or labels is None:
            continue
        place = int(labels[0])
        if place == OUTLIER:
            unlike.append(kind)
        if place < 0:
            continue
        named = made.segmentation if isinstance(made, Tastes) else made
        entry = _membership(named.segment_ids[place], kind, named.segment_names[place])
        if kind == RFM:
            entry |= {
                "meaning": GROUPS[place][1],
                "scores": scores_of(customer.judged.rfm_scores[0].tolist()),
            }
        segments.append(entry)
    for rule in list_rules(connection):
        if matches_one(analytics, customer.judged, customer.attributes, rule.filter):
            segments.append(_membership(rule_id(rule.segment), RULE, rule.name) | {"filter": rule.filter})
    return segments, unlike


def model_of(analytics: Analytics, kind: str) -> Segmentation | Tastes | Rfm | None:
    """The model that makes a kind of segments."""
    customers = analytics.customers
    if kind == TASTE:
        return customers.tastes
    return customers.rfm if kind == RFM else customers.segmentations.get(kind)


def matched_rule(connection: Connection, live: Live, segment_id: str) -> tuple[AnyRow, Matched]:
    """A saved filter and whom it matches; raises NotFound, ModelNotReady, Conflict."""
    model, _ = analytics_of(live)
    rule = find_rule(connection, segment_id.partition("-")[2])
    if rule is None:
        raise unknown(segment_id)
    found = match_filters(connection, live, model, [rule.filter])[rule.filter]
    if not isinstance(found, Matched):
        raise Conflict(f"The filter cannot be applied now: {found}.")
    return rule, found


def rule_id(segment: str) -> str:
    """A saved filter's id among the segments."""
    return f"{RULE}-{segment}"


def unknown(segment_id: str) -> NotFound:
    return NotFound(f"There is no segment '{segment_id}', or nobody is in it.")


def scores_of(scores: list[int]) -> dict[str, int]:
    """The three scores of RFM by name."""
    return dict(zip(("recency", "frequency", "monetary"), scores, strict=True))


def _segment(kind: str, entry: dict[str, Any]) -> dict[str, Any]:
    said = {name: entry.get(name) for name in _OF_A_SEGMENT}
    return {"segment_id": entry["id"], "kind": kind, **said, "filter": None}


def _rule_segment(rule: AnyRow, found: Matched) -> dict[str, Any]:
    return _segment(RULE, {"id": rule_id(rule.segment), "name": rule.name, **found.said}) | {
        "filter": rule.filter
    }


def _facts(said: dict[str, Any]) -> dict[str, Any]:
    return {name: said.get(name) for name in _FACTS}


def _rule_facts(analytics: Analytics) -> dict[str, Any]:
    features = analytics.judged.features
    units = dict(zip(features.names, features.units, strict=True))
    return _facts({"quality": [], "units": units, "n_users": len(features)})


def _membership(segment_id: str, kind: str, name: str) -> dict[str, Any]:
    said = {"segment_id": segment_id, "kind": kind, "name": name}
    return {**said, "meaning": None, "filter": None, "scores": None}
