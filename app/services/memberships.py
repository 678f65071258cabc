"""The segments of a customer who was judged already: learned ones and saved filters."""

from typing import Any

from sqlalchemy import Connection

from app.db.queries.segment_rules import list_rules
from app.learning.customers.tastes import Tastes
from app.services.customers import Customer
from app.services.rule_matches import matches_one
from app.services.segments import KINDS, RULE, model_of, rule_id


def segments_of(connection: Connection, customer: Customer) -> list[dict[str, Any]]:
    """Kind, id and name of each segment that the customer is in now."""
    analytics = customer.model.version.analytics
    found = []
    for kind in KINDS:
        made, labels = model_of(analytics, kind), customer.judged.segments.get(kind)
        if made is None or labels is None or labels[0] < 0:
            continue
        named, place = (made.segmentation if isinstance(made, Tastes) else made), int(labels[0])
        found.append(_entry(kind, named.segment_ids[place], named.segment_names[place]))
    for rule in list_rules(connection):
        if matches_one(analytics, customer.judged, customer.attributes, rule.filter):
            found.append(_entry(RULE, rule_id(rule.segment), rule.name))
    return found


def _entry(kind: str, segment_id: str, name: str) -> dict[str, Any]:
    return {"kind": kind, "segment_id": segment_id, "name": name}
