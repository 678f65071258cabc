"""One customer's figures, computed at a request, are those of the training."""

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.core.errors import ModelNotReady, NotFound
from app.services.customers import analytics_of, judge_customer
from app.services.live import Live


def _live(client: TestClient) -> Live:
    live: Live = client.app.state.live  # type: ignore[attr-defined]
    return live


def test_a_request_judges_as_the_training_did(open_shop: TestClient) -> None:
    live = _live(open_shop)
    _, analytics = analytics_of(live)
    rows = np.flatnonzero(analytics.judged.features.known)
    assert len(rows) > 50
    database = open_shop.app.state.edge.database  # type: ignore[attr-defined]
    with database.read() as connection:
        for row in rows[:40].tolist():
            user_id = _external(open_shop, connection, int(analytics.customers.user_keys[row]))
            one = judge_customer(connection, live, user_id).judged
            whole = analytics.judged
            assert one.features.values[0] == pytest.approx(whole.features.values[row], abs=1e-6)
            assert {kind: labels[0] for kind, labels in one.segments.items()} == {
                kind: labels[row] for kind, labels in whole.segments.items()
            }
            assert one.rfm_scores[0].tolist() == whole.rfm_scores[row].tolist()
            assert one.figures.keys() == whole.figures.keys()
            for name, values in one.figures.items():
                assert values[0] == pytest.approx(whole.figures[name][row], rel=1e-5, nan_ok=True), name


def test_an_event_counts_at_the_next_request(shop: TestClient) -> None:
    live = _live(shop)
    database = shop.app.state.edge.database  # type: ignore[attr-defined]
    event = {"user_id": "newcomer", "event": "service_contact", "context": {"type": "complaint"}}
    assert shop.post("/v1/interactions", json=event).status_code == 201
    bought = {
        "user_id": "newcomer",
        "item_id": "brand-new",
        "event": "purchase",
        "price": 12.5,
        "quantity": 2,
    }
    assert shop.post("/v1/interactions", json=bought).status_code == 201
    with database.read() as connection:
        found = judge_customer(connection, live, "newcomer")
    assert found.known
    assert not found.warnings
    told = {name: found.judged.features.column(name)[0] for name in ("complaints", "frequency", "monetary")}
    assert told == {"complaints": 1, "frequency": 1, "monetary": 25}
    assert all(labels[0] != -1 for kind, labels in found.judged.segments.items() if kind != "taste")


def test_nobody_is_judged_who_is_unknown(client: TestClient, open_shop: TestClient) -> None:
    with client.app.state.edge.database.read() as connection, pytest.raises(ModelNotReady):  # type: ignore[attr-defined]
        judge_customer(connection, _live(client), "ana")
    with open_shop.app.state.edge.database.read() as connection, pytest.raises(NotFound):  # type: ignore[attr-defined]
        judge_customer(connection, _live(open_shop), "ana")


def _external(client: TestClient, connection: object, key: int) -> str:
    from app.db.queries.users import external_ids

    return external_ids(connection, [key])[key]  # type: ignore[arg-type]
