"""Shops with too little to foretell by: every answer says what is missing, none fails."""

from pathlib import Path

import pytest

from app.schemas.predictions import PredictionModels
from tests.api.conftest import ENGINES, new_database
from tests.api.own_shops import THIN, serving_own
from tests.api.serving import assert_problem
from tests.api.test_predictions import NAMES, asked, foretold

NEEDS = {
    "only_views": {
        "next_purchase": "needs purchases of customers, there are none",
        "value": "needs purchases of customers, there are none",
        "lifetime": "needs several customers, there are 0",
    },
    "one_customer": {
        "churn": "there are 0 with and 3 without",
        "value": "there are 1",
        "lifetime": "needs several customers, there are 1",
    },
    "identical_customers": {
        "churn": "there are 0 with",
        "next_purchase": "there are 50 with and 0 without",
        "lifetime": "all have the same purchase history",
    },
    "a_single_day": {
        "churn": "a history of at least 21 days, there are 1",
        "expected_days": "a history of at least 21 days, there are 1",
        "lifetime": "no customer bought on two days",
    },
    "without_prices": {
        "value": "needs purchases with a price, there are none",
        "lifetime_value": "repeat purchases with a price",
    },
    "free_of_charge": {
        "value": "needs purchases with a price, there are none",
        "lifetime_value": "repeat purchases with a price",
    },
}
"""By thin shop what is missing, and words of what it says."""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("made", THIN)
def test_thin_data_say_what_they_lack(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str, made: str
) -> None:
    with (
        new_database(request, engine, tmp_path, None) as url,
        serving_own(url, tmp_path, interactions=THIN[made]()) as client,
    ):
        assert client.put("/v1/users/silent", json={}).status_code == 200
        for user_id in ("u0", "silent"):
            body = foretold(client, user_id)
            told, missing = body["predictions"], body["missing"]
            for name, words in NEEDS[made].items():
                assert words in missing[name], missing
                assert missing[name].count(" needs ") <= 1, "its own reason, not those of all"
            for name, said in told.items():
                assert (said is None) is (name in missing)
                if said is None:
                    continue
                shown = ("probability", "value", "alive", "expected_purchases", "lifetime_value")
                assert (said["why"] is None) is all(said[key] is not None for key in shown if key in said)
                if name == "next_purchase":
                    assert (said["expected_days"] is None) is (said["expected_why"] is not None)
            assert client.get(f"/v1/users/{user_id}/profile").status_code == 200
        for name in NAMES:
            answer = client.get("/v1/predictions", params={"name": name})
            lacking = (
                missing.get("lifetime") if name in ("alive", "expected_purchases") else missing.get(name)
            )
            if lacking is None:
                assert answer.status_code == 200, answer.text
                assert answer.json()["customers"] > 0
            else:
                assert lacking in assert_problem(answer, 409, "model_not_ready")["detail"]
        models = asked(client, "/v1/predictions/models")
        PredictionModels.model_validate(models, strict=True)
        assert models["missing"] == missing
