"""The customer at a glance, from all that is known at this moment."""

from typing import Any, Final

from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.errors import ModelNotReady, NotFound
from app.db.queries import users
from app.learning.customers.customers import RFM
from app.learning.customers.segments.rfm_groups import GROUPS
from app.schemas.recommendations import RecommendationRequest
from app.services import interactions
from app.services.customers import Customer, judge_customer
from app.services.finite import finite
from app.services.live import Live
from app.services.predictions import NOT_BOUGHT, foretell, missing_figures
from app.services.recommend import recommend
from app.services.segments import memberships
from app.services.totals import total_up

INTERACTIONS: Final = 20
RECOMMENDATIONS: Final = 10
NO_FIGURES: Final = "No model is trained yet: segments, predictions and features need a training run."
_SHORT: Final = (
    *("probability", "value", "expected_days", "expected_date"),
    *("alive", "expected_purchases", "lifetime_value"),
    *("why", "because", "horizon_days", "model", "better_than_baseline"),
)
"""What of each prediction is told at a glance."""


def get_profile(connection: Connection, live: Live, user_id: str) -> dict[str, Any]:
    """All about one customer; raises NotFound. Before the first training it says what is known without."""
    row = users.find_user(connection, user_id)
    if row is None:
        raise NotFound(f"There is no user '{user_id}'.")
    warnings: list[str] = []
    try:
        customer = judge_customer(connection, live, user_id)
        warnings += customer.warnings
    except ModelNotReady:
        customer = None
        warnings.append(NO_FIGURES)
    known, also = total_up(connection, row.id)
    request = RecommendationRequest.model_construct(
        user_id=user_id, n=RECOMMENDATIONS, fields=["title", "price"], explain=True
    )
    recommended = recommend(connection, live, request)
    return {
        "user_id": user_id,
        "attributes": row.attributes,
        "created_at": rfc3339(row.created_at),
        "model_version": None if customer is None else customer.model.name,
        "as_of": rfc3339(now_ms() if customer is None else customer.as_of),
        **known,
        **(_nothing() if customer is None else _learned(connection, customer)),
        "interactions": interactions.list_of_user(connection, user_id, None, INTERACTIONS)["interactions"],
        "recommendations": recommended["items"],
        "recommendation_id": recommended["recommendation_id"],
        "warnings": [*dict.fromkeys(warnings + also + recommended["warnings"])],
    }


def _nothing() -> dict[str, Any]:
    return {"rfm": None, "segments": [], "predictions": {}, "features": {}, "missing": {}}


def _learned(connection: Connection, customer: Customer) -> dict[str, Any]:
    analytics = customer.model.version.analytics
    table = customer.judged.features
    values = table.values[0].tolist()
    told = foretell(customer)
    missing = {
        name: reason
        for name, reason in analytics.missing.items()
        if name == RFM or name.startswith("segments.")
    }
    return {
        "rfm": _rfm(customer),
        "segments": memberships(connection, customer)[0],
        "predictions": {
            name: {field: said[field] for field in _SHORT if field in said}
            for name, said in told.items()
            if said is not None
        },
        "features": {
            name: {"value": finite(value), "unit": unit}
            for name, value, unit in zip(table.names, values, table.units, strict=True)
        },
        "missing": missing | missing_figures(analytics),
    }


def _rfm(customer: Customer) -> dict[str, Any] | None:
    """Scores and group; None where the shop has no RFM."""
    if customer.model.version.analytics.customers.rfm is None:
        return None
    recency, frequency, money = customer.judged.rfm_scores[0].tolist()
    place = int(customer.judged.segments[RFM][0])
    if place < 0:
        empty = dict.fromkeys(("recency", "frequency", "monetary", "group", "meaning"))
        return {**empty, "why": NOT_BOUGHT}
    group, meaning = GROUPS[place]
    return {
        "recency": recency,
        "frequency": frequency,
        "monetary": money,
        "group": group,
        "meaning": meaning,
        "why": None,
    }
