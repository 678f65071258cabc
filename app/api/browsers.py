"""What a public key, which anybody can read in a page, may ask and be told about people."""

from typing import Any, Final

from fastapi import Request

from app.api.auth import access_of, speaks_for
from app.core.errors import Forbidden, UserTokenNeeded
from app.schemas.recommendations import RecommendationRequest
from app.services.explain import impersonal
from app.services.recommend import UNKNOWN_SESSION, UNKNOWN_USER
from app.services.shop_rules import ShopRules

_OF_COST: Final = frozenset({"cost", "margin"})
_OF_HISTORY: Final = frozenset({"buy_again", "recent"})
"""Sources whose items are the person's own history."""


def may_be_told(request: Request, wanted: RecommendationRequest, at: str) -> bool:
    """Whether the answer may tell what it knows of the person.

    A public key is told only of what it sends itself, or of the user whose token it has. Raises Forbidden for
    what is not for the public, UserTokenNeeded for lists that would be somebody's history.
    """
    if not access_of(request).public:
        return True
    if "cost" in wanted.fields or not _OF_COST.isdisjoint(ShopRules.of(wanted, at).fields):
        raise Forbidden("A key for browsers may not read or filter by 'cost', nor by the margin.")
    named = [wanted.user_id] if wanted.user_id is not None else []
    told = speaks_for(request, named) if named else True
    told = told and (wanted.session is None or wanted.session.session_id is None)
    if not told and (
        wanted.exclude_seen is False
        or wanted.exclude_bought_days
        or not _OF_HISTORY.isdisjoint(wanted.sources or ())
    ):
        raise UserTokenNeeded(
            "Without the user's token this key may not ask for what the person saw or bought: leave out "
            "exclude_seen=false, exclude_bought_days, and the sources buy_again and recent."
        )
    return told


def as_told(request: Request, found: dict[str, Any], told: bool) -> dict[str, Any]:
    """Recommendations as the caller gets them: without what the person's history says of them unless `told`.

    A scenario may ask for more than the caller could.
    """
    if not access_of(request).public:
        return found
    items, warnings = [_without_cost(item) for item in found["items"]], found["warnings"]
    if not told:
        items = [_untold(item) for item in items]
        warnings = [warning for warning in warnings if warning not in (UNKNOWN_USER, UNKNOWN_SESSION)]
    shown = {name: value for name, value in found.items() if name != "effects"}
    return shown | {"items": items, "warnings": warnings}


def _without_cost(item: dict[str, Any]) -> dict[str, Any]:
    if "cost" not in item.get("item", ()):
        return item
    return item | {"item": {name: value for name, value in item["item"].items() if name != "cost"}}


def _untold(item: dict[str, Any]) -> dict[str, Any]:
    source = "collaborative" if item["source"] in _OF_HISTORY else item["source"]
    reason = {"reason": impersonal(source)} if "reason" in item else {}
    return item | {"source": source} | reason
