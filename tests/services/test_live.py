"""The model that is served, swapped while requests run."""

import threading
from pathlib import Path

import numpy as np
import pytest

from app.core.events import DEFAULT_WEIGHTS
from app.db.queries import models
from app.db.session import Database
from app.learning.artifacts import list_versions
from app.learning.dataset import Histories
from app.learning.ranking.blend import Blend, normalised
from app.learning.recommenders.base import Recommender, Scores
from app.learning.recommenders.evidence import Evidence
from app.learning.recommenders.sparse import empty_history
from app.schemas.recommendations import RecommendationRequest
from app.services import live_model as live_module
from app.services.histories import single_item_histories
from app.services.live import ADVICE, Live
from app.services.models import activate_model
from app.services.recommend import recommend
from tests.training.shops import ingest, queue, trainer, views


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@pytest.fixture
def live(database: Database, artifacts: Path) -> Live:
    made = Live(database, artifacts, DEFAULT_WEIGHTS)
    made.start()
    return made


def train(database: Database, artifacts: Path, keep_versions: int = 5) -> str:
    """Train, and answer the version."""
    queue(database)
    trainer(database, artifacts, keep_versions=keep_versions).work_once()
    with database.read() as connection:
        version = models.active_version(connection)
    assert version is not None
    return version


def activate(database: Database, artifacts: Path, version: str) -> None:
    with database.write() as connection:
        activate_model(connection, artifacts, version)


def served(live: Live) -> str | None:
    return live.current.name if live.current else None


def damage(artifacts: Path, version: str) -> None:
    file = next((artifacts / version).glob("*item_keys.npy"))
    body = bytearray(file.read_bytes())
    body[-1] ^= 1
    file.write_bytes(bytes(body))


def test_scores_for_nobody_are_kept_and_asked_for_once(
    database: Database, artifacts: Path, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(database, interactions=views(30, 8))
    train(database, artifacts)
    live.follow_once()
    model = live.current
    assert model is not None
    asked: list[str] = []
    names = {id(one): name for name, one in model.version.recommenders.items()}
    real = normalised

    def counted(one: Recommender, of: Histories) -> Scores | Evidence:
        asked.append(names[id(one)])
        return real(one, of)

    monkeypatch.setattr(live_module, "normalised", counted)
    nobody, blend = empty_history(model.version.n_items), model.version.blends.cold
    first = blend.combine(model.family_scores(nobody, blend))
    with database.read() as connection:
        recommend(connection, live, RecommendationRequest(n=3, diversity=0.5))
    some = Blend(dict.fromkeys(list(blend.weights)[:1], 1.0))
    assert set(model.family_scores(nobody, some)) == set(some.weights)
    np.testing.assert_array_equal(blend.combine(model.family_scores(nobody, blend)), first)
    assert len(asked) == len(set(asked)), "each family once, whatever the blends"
    known = single_item_histories(np.array([1], dtype=np.int32), model.version.n_items)
    model.family_scores(known, some)
    model.family_scores(known, some)
    assert asked[-2:] == list(some.weights) * 2, "what is known of somebody is asked anew"


def test_before_the_first_training_there_is_none(live: Live) -> None:
    assert (live.current, live.failing) == (None, None)


def test_it_follows_what_is_active(database: Database, artifacts: Path, live: Live) -> None:
    ingest(database, interactions=views(12, 8))
    first = train(database, artifacts)
    assert served(live) is None
    live.follow_once()
    assert served(live) == first
    second = train(database, artifacts)
    live.follow_once()
    assert served(live) == second
    activate(database, artifacts, first)
    live.follow_once()
    assert served(live) == first
    opened = live.current
    live.follow_once()
    assert live.current is opened  # nothing is opened again without need


def test_items_that_came_since_are_in_their_places(database: Database, artifacts: Path, live: Live) -> None:
    # A worker that has answered nothing since the items came: its catalogue is that of its start.
    ingest(database, interactions=views(12, 8))
    train(database, artifacts)
    live.follow_once()
    assert live.current is not None
    assert (live.current.positions(live.catalogue) >= 0).all()
    assert len(live.catalogue) == 8


def test_indexes_of_known_and_unknown_items(database: Database, artifacts: Path, live: Live) -> None:
    ingest(database, interactions=views(12, 8))
    train(database, artifacts)
    live.follow_once()
    assert live.current is not None
    keys = np.asarray(live.current.version.item_keys)
    assert live.current.indexes_of(keys).tolist() == list(range(8))
    assert live.current.indexes_of(np.array([10_000, keys[3], -1])).tolist() == [-1, 3, -1]
    assert live.current.indexes_of(np.empty(0, dtype=np.int64)).tolist() == []


def test_a_damaged_version_is_not_served(database: Database, artifacts: Path, live: Live) -> None:
    ingest(database, interactions=views(12, 8))
    first = train(database, artifacts)
    live.follow_once()
    second = train(database, artifacts)
    damage(artifacts, second)
    for _ in range(2):
        live.follow_once()
        assert served(live) == first
        assert live.failing is not None
        assert second in live.failing
        assert "checksum" in live.failing
    activate(database, artifacts, first)
    live.follow_once()
    assert served(live) == first
    assert not live.failing


def test_a_start_with_a_damaged_version_serves_without_one(
    database: Database, artifacts: Path, live: Live
) -> None:
    ingest(database, interactions=views(12, 8))
    damage(artifacts, train(database, artifacts))
    live.start()
    assert served(live) is None
    assert live.failing is not None
    third = train(database, artifacts)
    live.follow_once()
    assert served(live) == third
    assert not live.failing


def test_a_version_without_files_is_not_served(database: Database, artifacts: Path, live: Live) -> None:
    ingest(database, interactions=views(12, 8))
    version = train(database, artifacts)
    (artifacts / version).rename(artifacts / "elsewhere")
    live.follow_once()
    assert served(live) is None
    assert live.failing == (
        f"The active version {version} cannot be served: there is no version {version}. {ADVICE}"
    )
    (artifacts / "elsewhere").rename(artifacts / version)
    live.follow_once()
    assert served(live) == version
    assert not live.failing


def test_a_pruned_version_serves_on_until_it_is_replaced(
    database: Database, artifacts: Path, live: Live
) -> None:
    ingest(database, interactions=views(12, 8))
    first = train(database, artifacts)
    live.follow_once()
    train(database, artifacts, keep_versions=1)
    assert first not in list_versions(artifacts)
    with database.read() as connection:
        answer = recommend(connection, live, RecommendationRequest(user_id="u01", n=2, exclude_seen=False))
    assert answer["model_version"] == first
    assert len(answer["items"]) == 2


def test_a_swap_disturbs_no_request(database: Database, artifacts: Path, live: Live) -> None:
    ingest(database, interactions=views(12, 8))
    versions = [train(database, artifacts), train(database, artifacts)]
    live.follow_once()
    ended = threading.Event()
    seen: set[str | None] = set()
    errors: list[BaseException] = []

    def ask() -> None:
        request = RecommendationRequest(user_id="u03", n=3, exclude_seen=False)
        while not ended.is_set():
            try:
                with database.read() as connection:
                    answer = recommend(connection, live, request)
                seen.add(answer["model_version"])
                assert len(answer["items"]) == 3
            except BaseException as error:  # a thread must not die in silence
                errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for swap in range(10):
        activate(database, artifacts, versions[swap % 2])
        live.follow_once()
        assert served(live) == versions[swap % 2]
    ended.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert seen == set(versions)
