"""HTTP of scenarios: the settings of each placement on the storefront."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from app.api.audit import write_recorded
from app.api.auth import scope
from app.api.edge import EdgeDep, answer, body_of, read_body
from app.api.problems import problems
from app.schemas.parsing import parse_body
from app.schemas.scenarios import (
    Scenario,
    ScenarioFields,
    ScenarioList,
    ScenarioVersionNumber,
    ScenarioVersions,
)
from app.services import scenarios

router = APIRouter(prefix="/v1/scenarios", tags=["Ask"])
writes = [Depends(scope("admin"))]
reads = [Depends(scope("query"))]
ScenarioName = Annotated[
    str,
    Path(
        description="The name that requests give as `scenario`",
        pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$",
        examples=["home"],
    ),
]
_EXAMPLE: dict[str, Any] = {
    "settings": {
        "n": 12,
        "filter": "price <= $most and not tags has 'clearance'",
        "parameters": {"most": 100},
        "caps": [{"field": "brand", "at_most": 3}],
        "diversity": 0.3,
    },
    "note": "At most three of a brand",
}


@router.get("", response_model=ScenarioList, responses=problems(), dependencies=reads)
async def list_scenarios(edge: EdgeDep) -> Response:
    """All scenarios in force by name, stored ones and built-in ones (version 0)."""
    return answer(await edge.read(scenarios.list_scenarios))


@router.get("/{name}", response_model=Scenario, responses=problems(404), dependencies=reads)
async def get_scenario(name: ScenarioName, edge: EdgeDep) -> Response:
    """One scenario as it is in force."""
    return answer(await edge.read(scenarios.get_scenario, name))


@router.put(
    "/{name}",
    response_model=Scenario,
    responses={
        **problems(400, 409, 413),
        201: {"description": "Stored where none of this name was", "model": Scenario},
    },
    dependencies=writes,
    openapi_extra=body_of(ScenarioFields, _EXAMPLE),
)
async def put_scenario(name: ScenarioName, request: Request) -> Response:
    """Save a scenario whole, as a new version: it counts in the next answer of every worker.

    A filter that cannot be understood is refused now; parameters may wait for the requests, or have a value
    here for those that give none. Settings that are in force already make no new version.
    """
    wanted = parse_body(ScenarioFields, await read_body(request))
    saved, created = await write_recorded(
        request, "scenario.saved", name, scenarios.put_scenario, name, wanted
    )
    return answer(saved, status=201 if created else 200)


@router.delete("/{name}", status_code=204, responses=problems(404), dependencies=writes)
async def delete_scenario(name: ScenarioName, request: Request) -> Response:
    """Take a stored scenario out of force; a built-in one is its default again. Its versions are kept."""
    await write_recorded(request, "scenario.deleted", name, scenarios.delete_scenario, name)
    return Response(status_code=204)


@router.get("/{name}/versions", response_model=ScenarioVersions, responses=problems(404), dependencies=reads)
async def list_scenario_versions(name: ScenarioName, edge: EdgeDep) -> Response:
    """The newest 100 versions of a scenario, also of one that was deleted."""
    return answer(await edge.read(scenarios.list_versions, name))


@router.post(
    "/{name}/restore",
    response_model=Scenario,
    responses=problems(400, 404, 409, 413),
    dependencies=writes,
    openapi_extra=body_of(ScenarioVersionNumber, {"version": 1}),
)
async def restore_scenario(name: ScenarioName, request: Request) -> Response:
    """Put the settings of an earlier version in force again, as a new version."""
    wanted = parse_body(ScenarioVersionNumber, await read_body(request))
    return answer(
        await write_recorded(
            request, "scenario.restored", name, scenarios.restore_version, name, wanted.version
        )
    )
