"""What a customer's events add up to, and the contacts with the service."""

from collections import Counter
from typing import Any, Final

from sqlalchemy import Connection

from app.core.clock import rfc3339
from app.core.events import CONTACT_TYPES
from app.db.queries import customer_totals
from app.services.customers import MAX_EVENTS

FAVOURITES: Final = 5
_OTHER: Final = "other"


def total_up(connection: Connection, user_key: int) -> tuple[dict[str, Any], list[str]]:
    """`totals` and `service` of a user, and what to say about them."""
    events = customer_totals.latest_of_user(user_key, MAX_EVENTS)
    activity = customer_totals.activity(connection, events)
    warnings = []
    if activity.events == MAX_EVENTS:
        warnings.append(f"Only the latest {MAX_EVENTS:,} interactions of the user count.")
    totals = {
        "interactions": activity.events,
        "orders": activity.orders,
        "purchases": activity.purchases,
        "refunds": activity.refunds,
        "money": [
            {
                "currency": row.currency,
                "spent": float(row.spent),
                "refunded": float(row.refunded),
                "without_price": row.without_price,
            }
            for row in customer_totals.money_by_currency(connection, events)
        ],
        "first_seen": None if activity.first is None else rfc3339(activity.first),
        "last_seen": None if activity.last is None else rfc3339(activity.last),
        "favourite_categories": _favourites(customer_totals.items_turned_to(connection, events)),
    }
    return {"totals": totals, "service": _contacts(connection, events)}, warnings


def _favourites(rows: Any) -> list[dict[str, Any]]:
    """Categories by purchases, or by all events of who has bought nothing; each path of an item counts."""
    bought = any(row.purchases for row in rows)
    counts: Counter[str] = Counter()
    for row in rows:
        for path in dict.fromkeys(row.categories):
            counts[path] += row.purchases if bought else row.events
    whole = sum(row.purchases if bought else row.events for row in rows)
    best = sorted(((count, path) for path, count in counts.items() if count), key=lambda of: (-of[0], of[1]))
    return [
        {"category": path, "by": "purchases" if bought else "interactions", "count": n, "share": n / whole}
        for n, path in best[:FAVOURITES]
    ]


def _contacts(connection: Connection, events: Any) -> dict[str, Any]:
    by_type = dict.fromkeys((*CONTACT_TYPES, _OTHER), 0)
    latest = None
    for row in customer_totals.contacts_by_type(connection, events):
        by_type[row.type if row.type in CONTACT_TYPES else _OTHER] += row.contacts
        latest = max(row.latest, latest or row.latest)
    return {
        "contacts": sum(by_type.values()),
        "latest": None if latest is None else rfc3339(latest),
        "by_type": by_type,
    }
