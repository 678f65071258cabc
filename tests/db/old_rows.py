"""Rows of every revision of the schema, as the release that made it wrote them.

They are written out, not made with the code: today's code writes today's columns.
"""

import hashlib
from struct import pack
from typing import Any, Final

Rows = dict[str, list[dict[str, Any]]]

DAY: Final = 86_400_000
BEGAN: Final = 1_790_000_000_000  # September 2026
SECRET: Final = "vt_a-key-that-an-earlier-release-made"
"""Of the key `key_shop`, which has all scopes."""

_USERS = [(1, "ana", {"city": "Graz", "plan": {"tier": 2}}), (2, "björn 🚲", {}), (3, "ma/ría", {"age": 41})]
_ITEMS = [(1, "mug", 9.5), (2, "tea", 4.25), (3, "pot", 24.0), (4, "gone", 1.0)]
_EVENTS = [(1, "view_item"), (2, "purchase"), (3, "watched_trailer")]
_SEEN = [(1, None, 1, 1), (1, None, 2, 2), (2, 1, 3, 1), (None, 1, 1, 3), (None, 2, 4, 1), (3, None, None, 1)]

_FIRST: Final[Rows] = {
    "api_keys": [
        {
            "key_id": "key_shop",
            "name": "shop backend",
            "secret_hash": hashlib.sha256(SECRET.encode()).digest(),
            "scopes": ["admin", "ingest", "query"],
            "created_at": BEGAN,
            "expires_at": BEGAN + 3650 * DAY,
            "revoked_at": None,
        },
        {
            "key_id": "key_lost",
            "name": "lost",
            "secret_hash": hashlib.sha256(b"lost").digest(),
            "scopes": ["track"],
            "created_at": BEGAN,
            "expires_at": None,
            "revoked_at": BEGAN + DAY,
        },
    ],
    "event_names": [{"id": key, "name": name} for key, name in _EVENTS],
    "items": [
        {
            "id": key,
            "external_id": name,
            "title": f"{name.title()} №{key}",
            "description": "Stoneware, glazed",
            "categories": ["Kitchen > Mugs", "Gifts"],
            "brand": "Hafner",
            "price": price,
            "cost": price / 2,
            "currency": "EUR",
            "tags": ["blue"],
            "image_url": f"https://shop.example/{name}.jpg",
            "url": f"https://shop.example/{name}",
            "availability": "in_stock",
            "available_from": BEGAN,
            "expires_at": BEGAN + 3650 * DAY,
            "group_id": f"g-{name}",
            "attributes": {"weight": 0.3, "glaze": "matt"},
            "created_at": BEGAN,
            "updated_at": BEGAN + key,
            "deleted_at": BEGAN + DAY if name == "gone" else None,
            "revision": key,
        }
        for key, name, price in _ITEMS
    ],
    "leases": [{"name": "training", "holder": "shop-1:17", "fence": 4, "until": BEGAN + DAY}],
    "sessions": [{"id": 1, "external_id": "s-1"}, {"id": 2, "external_id": "s-2"}],
    "training_runs": [
        {
            "id": key,
            "state": state,
            "trigger": "schedule",
            "stage": "publish",
            "progress": 1.0,
            "attempt": 1,
            "cancel_requested": False,
            "queued_at": BEGAN,
            "started_at": BEGAN + 1,
            "finished_at": BEGAN + 2,
            "trained_to": 3,
            "model_version": version,
            "metrics": {"top_n": {"new": {"ndcg": 0.25}}} if version else None,
            "error": error,
        }
        for key, state, version, error in (
            (1, "succeeded", "20260921T100000Z-1-1", None),
            (2, "failed", None, "training needs at least 10 interactions with items, there are 6"),
        )
    ],
    "users": [
        {
            "id": key,
            "external_id": name,
            "attributes": attributes,
            "created_at": BEGAN,
            "updated_at": BEGAN + key,
        }
        for key, name, attributes in _USERS
    ],
    "interactions": [
        {
            "id": key,
            "event_key": hashlib.md5(str(key).encode(), usedforsecurity=False).digest(),
            "event_id": f"e{key}" if key % 2 else None,
            "user_id": user,
            "session_id": session,
            "item_id": item,
            "event": event,
            "value": 4.5,
            "quantity": 2.0,
            "price": 9.5,
            "currency": "EUR",
            "order_id": "o-1" if event == 2 else None,
            "recommendation_id": "r-1",
            "context": {"page": "home"} if key % 2 else None,
            "occurred_at": BEGAN + key * 1000,
            "received_at": BEGAN + key * 1000 + 5,
        }
        for key, (user, session, item, event) in enumerate(_SEEN, 1)
    ],
    "models": [
        {
            "version": "20260921T100000Z-1-1",
            "run_id": 1,
            "created_at": BEGAN + 2,
            "evaluation": {"top_n": {"new": {"ndcg": 0.25}}},
            "content": {"format": 1, "families": {"popularity": {}}, "blends": {}},
            "trained_to": 3,
            "activated_at": BEGAN + 2,
            "active": True,
            "pruned_at": None,
        },
        {
            "version": "20260920T100000Z-1-1",
            "run_id": 1,
            "created_at": BEGAN,
            "evaluation": {},
            "content": {"format": 1},
            "trained_to": 1,
            "activated_at": BEGAN,
            "active": False,
            "pruned_at": BEGAN + 2,
        },
    ],
    "relations": [{"user_id": 1, "other_id": 2, "kind": "friend", "weight": 0.5, "updated_at": BEGAN}],
}

_ADDED: Final[dict[str, Rows]] = {
    "0002": {
        "segment_rules": [
            {
                "segment": "big-spenders",
                "name": "Big spenders",
                "filter": "monetary > 100",
                "created_at": BEGAN,
                "updated_at": BEGAN + 1,
            }
        ]
    },
    "0003": {
        "session_owners": [{"session_id": 1, "user_id": 2}],
        "corrections": [
            {
                "id": 1,
                "user_id": 1,
                "kind": "gift",
                "item_id": 2,
                "event": 2,
                "event_id": "e2",
                "note": "for my aunt",
                "created_at": BEGAN + DAY,
            }
        ],
        "corrected_interactions": [{"interaction_id": 2, "correction_id": 1}],
    },
    "0004": {
        "shown_recommendations": [
            {
                "id": 1,
                "recommendation_id": "r-1",
                "after": "r-0",
                "user_id": 1,
                "session_id": 2,
                "scenario": "landing",
                "model_version": "20260921T100000Z-1-1",
                "shown_at": BEGAN + DAY,
                "n": 2,
                "sources": "collaborative 1,popular 1",
                "item_keys": pack("<B2I", 4, 1, 3),
                "item_sources": bytes([0, 1]),
            }
        ]
    },
    "0005": {
        "scenarios": [
            {
                "name": "landing",
                "version": version,
                "settings": {"diversity": 0.3} if version == 1 else {"diversity": 0.4},
                "deleted": False,
                "note": "less of the same",
                "created_at": BEGAN + version,
            }
            for version in (1, 2)
        ]
    },
    "0006": {
        "audit_log": [
            {
                "id": 1,
                "at": BEGAN,
                "actor": "cli",
                "action": "key.created",
                "target": "key_shop",
                "outcome": "done",
                "request_id": "5f0e8a1c2b7d4e93",
            }
        ]
    },
    "0007": {
        "receipts": [
            {
                "receipt_id": "rcp_1",
                "revision": 1,
                "kind": "user",
                "fingerprint": "ab" * 32,
                "requested_at": BEGAN + DAY,
                "deadline": BEGAN + 8 * DAY,
                "removed": {"interactions": 3},
            }
        ],
        "receipt_versions": [
            {
                "receipt_id": "rcp_1",
                "version": "20260921T100000Z-1-1",
                "deadline": BEGAN + 8 * DAY,
                "released_at": BEGAN + 2 * DAY,
            }
        ],
        "database_marks": [{"name": "begun_by", "value": "0.1.0"}],
    },
}
"""Tables that a revision brought."""

_COLUMNS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "0006": {"api_keys": {"successor": "key_next"}},
    "0007": {"models": {"users_to": 3}},
}
"""Columns that a revision brought to tables that were there, with a value."""

COUNTERS: Final = {"0001": {"items": 4}, "0005": {"scenarios": 2}, "0007": {"erasures": 1}}
"""Rows of `revisions` that a migration makes with 0, and what they have become."""


def rows_at(revision: str) -> Rows:
    """Rows of all tables of a revision but `revisions`, in an order in which they can be inserted."""
    rows = {table: [dict(row) for row in some] for table, some in _FIRST.items()}
    for _, added in sorted(_ADDED.items()):
        rows |= {table: some for table, some in added.items() if _ <= revision}
    for since, tables in _COLUMNS.items():
        for table, values in tables.items():
            if since <= revision:
                rows[table] = [row | values for row in rows[table]]
    return rows


def counters_at(revision: str) -> dict[str, int]:
    """Counters of a revision."""
    return {
        name: value for since, some in COUNTERS.items() if since <= revision for name, value in some.items()
    }
