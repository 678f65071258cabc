"""How reasons are worded."""

from types import SimpleNamespace
from typing import Any, get_args

import pytest

from app.schemas.recommendations import Allowed
from app.services.histories import Events
from app.services.reasons import category_text, impersonal_text, likeness_text, own_text, told_events


def row(title: str | None = "Mug", *categories: str) -> Any:
    return SimpleNamespace(external_id="mug-1", title=title, categories=list(categories))


def events(*done: tuple[int, str]) -> Events:
    made = Events()
    for key, name in done:
        made.add(key, name, 0)
    return made


def test_the_most_telling_event_of_each_item_is_told() -> None:
    done = events((1, "view_item"), (1, "purchase"), (1, "rate"), (2, "listen"), (2, "search"), (3, "listen"))
    done.add(3, "view_item", 0)
    assert told_events(done, {"listen": 2.0, "search": 0.0}) == {1: "purchase", 2: "listen", 3: "view_item"}
    assert told_events(events(), {}) == {}


@pytest.mark.parametrize(
    ("source", "event", "itself", "text"),
    [
        ("collaborative", "purchase", False, "Because you bought: Mug"),
        ("session", "view_item", False, "Because you looked at: Mug"),
        ("content", "rate", False, "Similar to what you rated: Mug"),
        ("collaborative", "listen", False, "Because you took an interest in: Mug"),
        ("buy_again", "purchase", True, "You bought this before"),
    ],
)
def test_texts(source: str, event: str, itself: bool, text: str) -> None:
    assert own_text(source, event, row(), itself) == text


def test_items_without_a_title_are_named_by_their_id() -> None:
    assert own_text("collaborative", "purchase", row(None), False) == "Because you bought: mug-1"
    assert likeness_text(row("")) == "Similar to: mug-1"


@pytest.mark.parametrize(
    ("item", "own", "text"),
    [
        (("Shoes > Running",), ("Shoes>Running > Trail", "Gifts"), "Popular in Running"),
        (("Shoes > Running",), ("Shoes > Boots",), "Popular in Shoes"),
        (("Shoes > Running", "Gifts"), ("Gifts",), "Popular in Gifts"),
        (("Home > Running",), ("Shoes > Running",), None),
        ((), ("Shoes",), None),
        ((" > ",), (" > ",), None),
    ],
)
def test_the_narrowest_category_in_common_is_named(
    item: tuple[str, ...], own: tuple[str, ...], text: str | None
) -> None:
    told = None if text is None else f"{text}, from which you bought: Pot"
    assert category_text(row("Mug", *item), row("Pot", *own), "purchase") == told


def test_every_source_has_an_impersonal_text() -> None:
    for source in get_args(Allowed):
        assert impersonal_text(source)
    texts = {impersonal_text(source) for source in ("popular", "collaborative", "content", "bought_together")}
    assert len(texts) == 4
