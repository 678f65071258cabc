"""Scenarios: kept in versions, checked, restored."""

from typing import Any, Final

import orjson
from pydantic import ValidationError
from sqlalchemy import Connection

from app.core.clock import now_ms, rfc3339
from app.core.errors import Conflict, NotFound
from app.db.queries import scenarios
from app.db.queries.revisions import hold_revision, next_revision
from app.db.rows import AnyRow
from app.schemas.scenarios import ScenarioFields, ScenarioSettings
from app.services.item_filters import Filters
from app.services.scenario_settings import BUILT_IN, COUNTER

MOST_SCENARIOS: Final = 200
MOST_VERSIONS: Final = 100
"""Versions of a scenario that are kept, the newest."""
MOST_DELETED: Final = 200
"""Deleted scenarios whose versions are kept, the last deleted."""


def list_scenarios(connection: Connection) -> dict[str, Any]:
    """All scenarios in force, stored and built in, by name."""
    stored = {row.name: row for row in scenarios.list_newest(connection) if not row.deleted}
    names = sorted({*stored, *BUILT_IN})
    return {"scenarios": [_answer(name, stored.get(name)) for name in names]}


def get_scenario(connection: Connection, name: str) -> dict[str, Any]:
    """One scenario in force; raises NotFound."""
    row = scenarios.newest(connection, name)
    row = None if row is None or row.deleted else row
    if row is None and name not in BUILT_IN:
        raise _unknown(name)
    return _answer(name, row)


def put_scenario(connection: Connection, name: str, wanted: ScenarioFields) -> tuple[dict[str, Any], bool]:
    """Save a scenario as a new version; answer it, and whether there was none stored before.

    Settings that are in force already make no new version. Raises InvalidInput for filters that cannot be
    understood, Conflict for a version that is not the newest any more and above 200 scenarios.
    """
    _check_filters(wanted.settings)
    settings = wanted.settings.model_dump(mode="json", exclude_unset=True)
    last = _last_held(connection, name)
    newest = 0 if last is None or last.deleted else last.version
    if wanted.version is not None and wanted.version != newest:
        raise Conflict(
            f"The newest version of '{name}' is {newest}, not {wanted.version}: it was changed since."
        )
    _keep(connection, name, last, settings, wanted.note)
    return get_scenario(connection, name), not newest


def delete_scenario(connection: Connection, name: str) -> None:
    """Take a stored scenario out of force; its versions are kept. Raises NotFound."""
    last = _last_held(connection, name)
    if last is None or last.deleted:
        raise _unknown(name) if name not in BUILT_IN else NotFound(f"'{name}' is built in: none is stored.")
    _write(connection, name, last.version + 1, {}, None, deleted=True)
    gone = [row for row in scenarios.list_newest(connection) if row.deleted]
    gone.sort(key=lambda row: (row.created_at, row.name))
    for row in gone[: max(0, len(gone) - MOST_DELETED)]:
        scenarios.forget_versions(connection, row.name, row.version)


def list_versions(connection: Connection, name: str) -> dict[str, Any]:
    """The versions of a scenario that are kept, also of a deleted one; raises NotFound."""
    rows = scenarios.list_versions(connection, name)
    if not rows and name not in BUILT_IN:
        raise _unknown(name)
    versions = [
        {
            "version": row.version,
            "settings": row.settings,
            "deleted": row.deleted,
            "note": row.note,
            "created_at": rfc3339(row.created_at),
        }
        for row in rows
    ]
    return {"name": name, "versions": versions}


def restore_version(connection: Connection, name: str, version: int) -> dict[str, Any]:
    """Put the settings of an earlier version in force, as a new version; raises NotFound, Conflict."""
    last = _last_held(connection, name)
    row = scenarios.find_version(connection, name, version)
    if row is None or row.deleted:
        raise NotFound(f"There is no version {version} of the scenario '{name}' to restore.")
    try:
        ScenarioSettings.model_validate(row.settings)
    except ValidationError:
        raise Conflict(f"Version {version} of '{name}' has settings that this release lacks.") from None
    _keep(connection, name, last, row.settings, f"Version {version} again")
    return get_scenario(connection, name)


def _check_filters(settings: ScenarioSettings) -> None:
    """Raises InvalidInput that names the filter, or a parameter that none of them has."""
    filters = Filters(settings.parameters, "/settings")
    if settings.filter is not None:
        filters.check(settings.filter, "/filter")
    for place, boost in enumerate(settings.boost):
        filters.check(boost.filter, f"/boost/{place}/filter")
    filters.end()


def _last_held(connection: Connection, name: str) -> AnyRow | None:
    """The newest version, which nobody else can replace until the transaction ends."""
    hold_revision(connection, COUNTER)
    return scenarios.newest(connection, name)


def _keep(
    connection: Connection, name: str, last: AnyRow | None, settings: dict[str, Any], note: str | None
) -> None:
    """Save settings as the next version, unless they are in force already."""
    if last is not None and not last.deleted:
        if _same(last.settings, settings):
            return
    elif sum(not row.deleted for row in scenarios.list_newest(connection)) >= MOST_SCENARIOS:
        raise Conflict(f"There are {MOST_SCENARIOS} scenarios already; delete one first.")
    version = 1 if last is None else last.version + 1
    _write(connection, name, version, settings, note, deleted=False)


def _write(
    connection: Connection,
    name: str,
    version: int,
    settings: dict[str, Any],
    note: str | None,
    *,
    deleted: bool,
) -> None:
    next_revision(connection, COUNTER)
    row = {"name": name, "version": version, "settings": settings, "deleted": deleted, "note": note}
    scenarios.insert_version(connection, row | {"created_at": now_ms()})
    scenarios.forget_versions(connection, name, version - MOST_VERSIONS)


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether settings are the same to the type: 1 is not true."""
    return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)


def _unknown(name: str) -> NotFound:
    return NotFound(f"There is no scenario '{name}'.")


def _answer(name: str, row: AnyRow | None) -> dict[str, Any]:
    built_in = BUILT_IN.get(name)
    answer: dict[str, Any] = {"name": name, "built_in": built_in is not None}
    if row is None:
        settings = {} if built_in is None else built_in.model_dump(mode="json", exclude_unset=True)
        return answer | {"version": 0, "settings": settings, "note": None, "updated_at": None}
    said = {"version": row.version, "settings": row.settings, "note": row.note}
    return answer | said | {"updated_at": rfc3339(row.created_at)}
