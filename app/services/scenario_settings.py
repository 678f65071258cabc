"""Settings of scenarios as requests find them: built in, or stored and read when they have changed.

Every change of a scenario raises the counter `scenarios`. A request that names one reads the counter, and
the scenario if the counter has moved, so that a change counts in the next answer of every process.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import structlog
from pydantic import ValidationError
from sqlalchemy import Connection

from app.db.queries.revisions import current_revision
from app.db.queries.scenarios import newest
from app.schemas.recommendations import RecommendationRequest
from app.schemas.scenarios import ScenarioSettings
from app.services.item_filters import parameters_in

log = structlog.get_logger(__name__)

COUNTER: Final = "scenarios"
BUILT_IN: Final[Mapping[str, ScenarioSettings]] = MappingProxyType(
    {
        "home": ScenarioSettings(diversity=0.2),
        "product": ScenarioSettings(about="item", exclude_seen=False),
        "cart": ScenarioSettings(about="cart", exclude_seen=False, exclude_bought_days=1),
        "email": ScenarioSettings(
            diversity=0.2,
            exclude_bought_days=30,
            sources=["collaborative", "content", "social", "buy_again", "recent", "popular"],
        ),
    }
)
"""What a scenario of this name is while the shop has stored none."""
UNKNOWN: Final = "There is no scenario '{}'; these are the defaults."
NO_PLACE: Final = "Pins beyond n have no place: {}."
NOT_USED: Final = "The scenario has no filter with the parameter '{}'."


class ScenariosInForce:
    """The scenarios that this process was asked for, as they are now."""

    def __init__(self) -> None:
        # One reference: readers see names of one revision.
        self._known: tuple[int, dict[str, ScenarioSettings]] = (-1, {})

    def find(self, connection: Connection, name: str) -> ScenarioSettings | None:
        """The settings of a scenario, None where there is none."""
        revision = current_revision(connection, COUNTER)
        seen, known = self._known
        if revision != seen:
            known = {}
            self._known = (revision, known)
        if name not in known:
            row = newest(connection, name)
            found = BUILT_IN.get(name)
            if row is not None and not row.deleted:
                found = _read(name, row.settings)
            if found is None:  # not kept: there is no end to the names that there are not
                return None
            known[name] = found
        return known[name]

    def last_seen(self, name: str) -> ScenarioSettings | None:
        """The settings as this process read them last, without asking the database."""
        return self._known[1].get(name)


def merged(
    request: RecommendationRequest, settings: ScenarioSettings
) -> tuple[RecommendationRequest, list[str]]:
    """The request with a scenario's settings wherever it says nothing, and what to say about it.

    Parameters are merged by name. What does not fit together is left out rather than refused: a change of
    the scenario must not empty a page of the storefront.
    """
    set_here = {name: getattr(settings, name) for name in settings.model_fields_set}
    given = {name: getattr(request, name) for name in request.model_fields_set}
    wanted: dict[str, Any] = set_here | given
    warnings = []
    known = {**set_here.get("parameters", {}), **given.get("parameters", {})}
    if known:
        filters = [boost.filter for boost in wanted.get("boost", [])]
        filters += [wanted["filter"]] if wanted.get("filter") is not None else []
        used = set().union(*(parameters_in(written) for written in filters))
        wanted["parameters"] = {name: value for name, value in known.items() if name in used}
        idle = sorted(given.get("parameters", {}).keys() - used)
        warnings += [NOT_USED.format(name) for name in idle]
    n = wanted.get("n", 10)
    beyond = [pin for pin in wanted.get("pins", []) if pin.position > n]
    if beyond:
        wanted["pins"] = [pin for pin in wanted["pins"] if pin.position <= n]
        warnings.append(NO_PLACE.format(", ".join(f"'{pin.item_id}'" for pin in beyond)))
    return RecommendationRequest.model_construct(**wanted), warnings


def _read(name: str, stored: dict[str, Any]) -> ScenarioSettings:
    try:
        return ScenarioSettings.model_validate(stored)
    except ValidationError as error:  # written by another release: a page is better without than none
        log.error("scenario_not_understood", scenario=name, error=str(error))
        return BUILT_IN.get(name) or ScenarioSettings()
