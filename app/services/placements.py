"""Lists for the placements of a storefront: one with the settings of its scenario, or a page of them."""

from typing import Any

from sqlalchemy import Connection

from app.core.errors import InvalidInput
from app.schemas.recommendations import RecommendationRequest
from app.services.distinct import Distinct
from app.services.live import Live
from app.services.recommend import recommend
from app.services.scenario_settings import UNKNOWN, merged
from app.services.shop_rules import reads_much
from app.services.together import asked_together, at_once


def list_for(
    connection: Connection, live: Live, request: RecommendationRequest, at: str, told: bool = True
) -> dict[str, Any]:
    """The answer to a request; what it does not say, its scenario says. Raises as `recommend` does.

    Unless the caller may be `told` of the person, no scenario makes the list say what was seen or bought.
    """
    wanted, said = _in_scenario(connection, live, request)
    if not told:
        seen = None if wanted.exclude_seen is False else wanted.exclude_seen
        wanted = wanted.model_copy(update={"exclude_bought_days": 0, "exclude_seen": seen})
    return _with_warnings(recommend(connection, live, wanted, at), said)


def lists_for(
    connection: Connection, live: Live, requests: list[RecommendationRequest], distinct: bool
) -> dict[str, Any]:
    """The answers to several requests in their order; `distinct`: no item in two of them."""
    in_scenarios = [_in_scenario(connection, live, request) for request in requests]
    page = Distinct(connection, live, [wanted for wanted, _ in in_scenarios]) if distinct else None
    results = []
    size = at_once(live)
    for first in range(0, len(in_scenarios), size):
        some = in_scenarios[first : first + size]
        asked = asked_together(connection, live, [wanted for wanted, _ in some])
        for place, (wanted, said) in enumerate(some):
            at = f"/requests/{first + place}"
            found = recommend(connection, live, wanted, at, page, asked[place])
            results.append(_with_warnings(found, said))
    return {"results": results}


def may_read_much(live: Live, request: RecommendationRequest, at: str) -> bool:
    """Whether an answer may take long, as far as this process knows without asking the database.

    Raises InvalidInput for a request without scenario; what one with a scenario lacks is not known yet.
    """
    if request.scenario is None:
        return reads_much(live, request, at)
    settings = live.scenarios.last_seen(request.scenario)
    try:
        return settings is None or reads_much(live, merged(request, settings)[0], at)
    except InvalidInput:
        return True


def _in_scenario(
    connection: Connection, live: Live, request: RecommendationRequest
) -> tuple[RecommendationRequest, list[str]]:
    """The request with what its scenario says, and warnings."""
    if request.scenario is None:
        return request, []
    settings = live.scenarios.find(connection, request.scenario)
    if settings is None:
        said = UNKNOWN.format(request.scenario)
        return request.model_copy(update={"scenario": None}), [said]
    return merged(request, settings)


def _with_warnings(answer: dict[str, Any], said: list[str]) -> dict[str, Any]:
    return {**answer, "warnings": [*said, *answer["warnings"]]} if said else answer
