"""What only trainings use stays out of the processes that answer: loading it takes a second and 50 MiB."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.conftest import TrainedShop, new_database

ROOT = Path(__file__).parents[2]
ASKED = """
import sys
from starlette.testclient import TestClient
from app.core.settings import Settings
from app.main import create_app

settings = Settings(database_url=sys.argv[1], artifacts=sys.argv[2], access_log=False, log_level="error")
here = {"base_url": "http://127.0.0.1", "client": ("127.0.0.1", 1)}
with TestClient(create_app(settings), **here) as client:
    users = sys.argv[3].split(",")
    items = [item["item_id"] for item in client.get("/v1/items?limit=5").json()["items"]]
    answers = [
        client.put("/v1/items/new", json={"title": "new words", "categories": ["new"], "price": 3}),
        client.post("/v1/interactions", json={"user_id": users[0], "item_id": "new", "event": "view_item"}),
        client.get(f"/v1/users/{users[0]}/recommendations"),
        client.get("/v1/users/somebody/recommendations"),
        client.post(
            "/v1/recommendations",
            json={"user_id": users[1], "filter": "not tags has 'none'", "explain": True, "diversity": 0.5},
        ),
        client.post("/v1/recommendations", json={"item_ids": ["new"], "explain": True}),
        client.post("/v1/recommendations/batch", json={"requests": [{"user_id": user} for user in users]}),
        *[
            client.get(path)
            for path in (
                "/v1/items/new/similar",
                f"/v1/items/{items[0]}/similar",
                "/v1/popular",
                "/v1/trending",
                "/v1/segments",
                f"/v1/users/{users[0]}/profile",
                f"/v1/users/{users[0]}/predictions",
                "/v1/latest",
                "/v1/segment-rules",
                "/v1/reports/sales",
                "/v1/reports/cohorts",
                "/v1/forecasts/sales",
                "/v1/forecasts/demand",
                "/v1/rules",
            )
        ],
    ]
for answer in answers:
    if answer.status_code >= 400:
        print(answer.status_code, answer.url, answer.text)
print([name for name in ("sklearn", "joblib", "scipy.stats", "scipy.optimize") if name in sys.modules])
"""


def test_answers_of_every_kind_load_nothing_that_only_trainings_use(
    trained_on_sqlite: TrainedShop, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    shop = trained_on_sqlite
    users = sorted({entry["user_id"] for entry in shop.shop.interactions() if entry.get("user_id")})[:5]
    with new_database(request, shop.engine, tmp_path, shop.source) as url:
        command = [sys.executable, "-c", ASKED, url, str(shop.artifacts), ",".join(users)]
        found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert found.stdout.strip() == "[]", found.stderr[-2_000:]
