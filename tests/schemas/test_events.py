"""Event names: every accepted spelling leads to the name that is stored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.core.events import ALIASES, DEFAULT_WEIGHTS, ITEMLESS, canonical
from app.schemas.interactions import Interaction


def interaction(event: str) -> Interaction:
    return Interaction.model_validate({"user_id": "u", "item_id": "i", "event": event, "value": 1.0})


@pytest.mark.parametrize("name", DEFAULT_WEIGHTS)
def test_standard_names_are_their_own(name: str) -> None:
    assert canonical(name) == name
    assert interaction(name).event == name


@pytest.mark.parametrize(("spelling", "name"), ALIASES.items())
def test_accepted_spellings(spelling: str, name: str) -> None:
    assert name in DEFAULT_WEIGHTS
    assert canonical(spelling) == name
    assert interaction(spelling).event == name
    assert spelling not in DEFAULT_WEIGHTS


def test_what_comes_without_an_item_is_standard() -> None:
    assert not ITEMLESS - DEFAULT_WEIGHTS.keys()


@given(st.from_regex(r"[a-z0-9_]{1,64}", fullmatch=True))
def test_names_of_the_shops_own(name: str) -> None:
    assert canonical(name) == ALIASES.get(name, name)
    assert interaction(name).event == canonical(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "View",
        "view item",
        "view-item",
        "product viewed",
        "view_item\n",
        " view",
        "a" * 65,
        "é",
        "v\x00",
        "٣",
    ],
)
def test_other_spellings_are_refused(name: str) -> None:
    assert canonical(name) is None
    with pytest.raises(ValidationError):
        interaction(name)


def test_an_own_event_needs_no_item_and_a_standard_one_does() -> None:
    assert Interaction.model_validate({"user_id": "u", "event": "newsletter"}).item_id is None
    for name in DEFAULT_WEIGHTS:
        given_without = {"user_id": "u", "event": name, "value": 1.0}
        if name in ITEMLESS:
            Interaction.model_validate(given_without)
        else:
            with pytest.raises(ValidationError, match="needs item_id"):
                Interaction.model_validate(given_without)


def test_the_refusal_names_what_is_known() -> None:
    with pytest.raises(ValidationError) as refused:
        interaction("Wish")
    (problem,) = refused.value.errors()
    assert (problem["type"], problem["loc"]) == ("unknown_event", ("event",))
    assert all(name in problem["msg"] for name in DEFAULT_WEIGHTS)
