"""Bodies over the limit are refused, whole or in chunks; a stream has none."""

from pathlib import Path

from tests.api.serving import assert_problem, serving
from tests.api.test_bad_input import CALLS


def test_bodies_over_the_limit(database_url: str, tmp_path: Path) -> None:
    entry = b'{"user_id": "u"},' * 70_000
    with serving(database_url, tmp_path, max_body_mb=1) as client:
        for method, path in CALLS:
            for body in (entry, iter([entry[:1_000_000], entry[1_000_000:]])):
                assert_problem(client.request(method, path, content=body), 413, "body_too_large")
        lying = client.post("/v1/orders", content=b"{}", headers={"Content-Length": "9" * 30})
        assert_problem(lying, 413, "body_too_large")
        assert client.get("/v1/users").json()["users"] == []
        lines = b'{"user_id": "u"}\n' * 70_000
        assert client.post("/v1/import/users", content=lines).json()["accepted"] == 70_000
