"""Calls that follow one another over the whole OpenAPI document, made up by Schemathesis along its links.

What breaks a promise is noted and the calls go on: the database is kept between the scenarios, so that a
failing one cannot be played again as Hypothesis would.
"""

import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.errors import Flaky
from schemathesis.core.failures import FailureGroup
from schemathesis.python.asgi import shutdown_lifespans
from schemathesis.specs.openapi.stateful import OpenAPIStateMachine

from app.core.settings import Settings
from app.db import migrate
from app.db.session import Database
from app.main import create_app
from app.schemas.interactions import Interaction
from app.schemas.items import ItemEntry
from app.schemas.users import UserEntry
from app.services import interactions, items, training_runs, users
from app.simulation.config import ShopConfig
from app.simulation.shop import simulate
from app.trainer import options_of
from app.training.worker import Trainer
from tests import postgresql
from tests.api.contract import DOCUMENT, KEY, excluded_checks

ENGINES = ("sqlite", "postgresql")


@dataclass
class Found:
    """What the calls of one engine came upon."""

    failures: dict[str, str] = field(default_factory=dict)
    """By call and kind, the first one of each."""
    calls: Counter[str] = field(default_factory=Counter)
    """By operation and status."""

    def note(self, case: schemathesis.Case[Any], error: BaseException) -> None:
        for one in error.exceptions if isinstance(error, FailureGroup) else [error]:
            where = f"{case.operation.label}: {type(one).__name__}"
            self.failures.setdefault(where, f"{one}\n{getattr(one, 'message', '')}\n{case.as_curl_command()}")

    def lines(self) -> list[str]:
        statuses = Counter(name.rpartition(" ")[2] for name in self.calls.elements())
        reached = {name.rpartition(" ")[0] for name in self.calls if name.rpartition(" ")[2].startswith("2")}
        told = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
        return [
            f"   {self.calls.total()} calls ({told}); {len(reached)} operations answered with success",
            *(f"   FAILED {where}\n{said}" for where, said in self.failures.items()),
        ]


def machine_of(app: FastAPI, found: Found) -> type[Any]:
    """Scenarios of calls to an application; what fails is noted."""
    made: Any = schemathesis.openapi.from_dict(DOCUMENT).as_state_machine()
    base: type[OpenAPIStateMachine] = made

    class Calls(base):  # type: ignore[valid-type, misc]
        def get_call_kwargs(self, case: schemathesis.Case[Any]) -> dict[str, Any]:
            return {"app": app, "headers": {"X-API-Key": KEY}}

        def validate_response(
            self, response: schemathesis.Response, case: schemathesis.Case[Any], *_: Any, **kwargs: Any
        ) -> None:
            found.calls[f"{case.operation.label} {response.status_code}"] += 1
            try:
                case.validate_response(
                    response,
                    excluded_checks=excluded_checks(case, response),
                    recorder=self.recorder,
                    transport_kwargs=kwargs,
                )
            except (FailureGroup, AssertionError) as error:
                found.note(case, error)

    return Calls


def play(machine: type[Any], number: int, scenarios: int, steps: int) -> None:
    """Some scenarios; the same for the same number, as far as the service answers the same."""
    chosen = settings(
        max_examples=scenarios,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    try:
        seed(number)(machine).run(settings=chosen)
    except Flaky:
        return  # the database has gone on, so that another choice of calls was open than before


@contextmanager
def application(url: str, folder: Path) -> Iterator[FastAPI]:
    """The application on a database, as the calls are sent to it."""
    chosen = Settings(
        database_url=url,
        artifacts=folder / "artifacts",
        admin_key=KEY,
        access_log=False,
        log_level="error",
        wrong_key_limit=None,
    )
    yield create_app(chosen)
    shutdown_lifespans()


def fill(url: str, folder: Path, shop: ShopConfig, *, trained: bool) -> None:
    """A simulated shop into a migrated database, learned from if wanted."""
    simulated = simulate(shop)
    database = Database(url)
    with database.write() as connection:
        users.put_users(connection, [UserEntry.model_validate_json(json.dumps(u)) for u in simulated.users()])
        items.put_items(connection, [ItemEntry.model_validate_json(json.dumps(i)) for i in simulated.items()])
        entries = [Interaction.model_validate_json(json.dumps(e)) for e in simulated.interactions()]
        interactions.record(connection, entries)
        if trained:
            training_runs.queue_run(connection, "api")
    if trained:
        Trainer(database, options_of(Settings(database_url=url, artifacts=folder / "artifacts"))).work_once()
    database.close()


def explore(seconds: float, first: int | None) -> bool:
    """Play scenarios on both engines in turn, on a shop that has learned; whether nothing failed."""
    good = True
    for engine in ENGINES:
        with (
            tempfile.TemporaryDirectory(prefix="vitrine-stateful-") as place,
            _database(engine, place) as url,
        ):
            if url is None:
                print("== stateful on postgresql: NO SERVER", flush=True)
                return False
            folder = Path(place)
            fill(url, folder, ShopConfig(users=80, items=70, interactions=4_000, days=90), trained=True)
            found = Found()
            number = time.time_ns() % 1_000_000 if first is None else first
            until = time.monotonic() + seconds / len(ENGINES)
            print(f"== stateful on {engine}, from --seed {number}", flush=True)
            with application(url, folder) as app:
                machine = machine_of(app, found)
                while time.monotonic() < until:
                    play(machine, number, 10, 15)
                    number += 1
            print("\n".join(found.lines()), flush=True)
            good = good and not found.failures
    return good


@contextmanager
def _database(engine: str, folder: str) -> Iterator[str | None]:
    """A migrated database of its own; None where there is no server."""
    if engine == "sqlite":
        url = f"sqlite:///{folder}/vitrine.db"
        _migrate(url)
        yield url
        return
    with postgresql.server() as address:
        if address is None:
            yield None
            return
        with postgresql.new_database(address, f"vitrine_{uuid4().hex[:12]}") as url:
            _migrate(url)
            yield url


def _migrate(url: str) -> None:
    database = Database(url)
    migrate.upgrade(database)
    database.close()
