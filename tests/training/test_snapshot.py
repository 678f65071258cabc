"""The data set is what was ingested, as of one moment."""

from datetime import datetime
from typing import Any

import numpy as np

from app.core.clock import to_ms
from app.core.events import DEFAULT_WEIGHTS
from app.db.queries import interactions as interaction_queries
from app.db.queries import snapshot as streams
from app.db.queries.relations import upsert_relation
from app.db.session import Database
from app.learning.dataset import Dataset
from app.services.items import delete_item
from app.services.privacy import erase_user
from app.simulation.config import ShopConfig
from app.simulation.log import EVENTS
from app.simulation.shop import simulate
from app.training.progress import Progress
from app.training.snapshot import Snapshot, load_snapshot
from tests.training.shops import ingest, ingest_shop, views

AT = "2026-10-0{}T12:00:00Z"


def quiet() -> Progress:
    return Progress(lambda _stage, _fraction: None)


def snapshot(database: Database) -> Snapshot:
    return load_snapshot(database, DEFAULT_WEIGHTS, quiet())


def external_ids(database: Database, table: str) -> dict[int, str]:
    with database.read() as connection:
        rows = connection.exec_driver_sql(f"SELECT id, external_id FROM {table}")
        return {row.id: row.external_id for row in rows}


def event(day: int, item: str | None, name: str = "view_item", **rest: Any) -> dict[str, Any]:
    given = {"event": name, "occurred_at": AT.format(day), **rest}
    return given if item is None else given | {"item_id": item}


def column(dataset: Dataset, database: Database, item: str) -> int:
    names = external_ids(database, "items")
    return [names[key] for key in dataset.item_keys.tolist()].index(item)


def test_nothing_is_a_data_set_too(database: Database) -> None:
    found = snapshot(database)
    assert (found.dataset.n_subjects, found.dataset.n_items, len(found.dataset.log)) == (0, 0, 0)
    assert found.trained_to == 0
    assert found.dataset.items.price.shape == (0,)


def test_a_simulated_shop_is_there_whole(database: Database) -> None:
    shop = simulate(ShopConfig(users=60, items=40, interactions=2_000, days=60))
    ingest_shop(database, shop)
    dataset = snapshot(database).dataset
    log, made = dataset.log, shop.columns
    users, items = external_ids(database, "users"), external_ids(database, "items")
    wire = list(shop.interactions())
    assert len(log) == len(wire)
    assert sorted(users[key] for key in dataset.user_keys.tolist()) == sorted(
        user["user_id"] for user in shop.users()
    )
    item_ids = [items[key] for key in dataset.item_keys.tolist()]
    assert item_ids == sorted(item["item_id"] for item in shop.items())
    titles = {item["item_id"]: (item["title"], item["brand"], item["price"]) for item in shop.items()}
    for place, name in enumerate(item_ids):
        title, brand, price = titles[name]
        assert dataset.items.title[place] == title
        assert dataset.items.brand[place] == brand
        assert dataset.items.price[place] == np.float32(price)
    np.testing.assert_array_equal(log.occurred_at, made.occurred_at)
    assert [item_ids[at] for at in log.item] == [row["item_id"] for row in wire]
    assert [dataset.event_names[at] for at in log.event] == [EVENTS[at] for at in made.event]
    np.testing.assert_array_equal(log.value, made.value.astype(np.float32))
    np.testing.assert_array_equal(log.quantity, np.where(made.quantity > 0, made.quantity, 1))
    np.testing.assert_allclose(log.price, made.price, rtol=1e-12)
    anonymous = np.array(["user_id" not in row for row in wire])
    np.testing.assert_array_equal(log.subject >= dataset.n_users, anonymous)
    named = [users[key] for key in dataset.user_keys[log.subject[~anonymous]].tolist()]
    assert named == [row["user_id"] for row in wire if "user_id" in row]
    # Rows of sessions: the same row for the same session, another one for another.
    pairs = {
        (row["session_id"], int(subject))
        for row, subject in zip(wire, log.subject, strict=True)
        if "user_id" not in row
    }
    assert len(pairs) == len({name for name, _ in pairs}) == dataset.n_subjects - dataset.n_users


def test_order_is_of_time_and_then_of_arrival(database: Database) -> None:
    ingest(database, interactions=[event(3, "c", user_id="u"), event(1, "z", user_id="u")])
    ingest(database, interactions=[event(3, "a", user_id="u"), event(2, "b", session_id="s")])
    dataset = snapshot(database).dataset
    names = external_ids(database, "items")
    assert [names[dataset.item_keys[at]] for at in dataset.log.item] == ["z", "b", "c", "a"]
    assert [names[key] for key in dataset.item_keys.tolist()] == ["a", "b", "c", "z"]


def test_sessions_are_subjects_after_the_users(database: Database) -> None:
    rows = [
        event(1, "a", session_id="s1"),
        event(2, "a", session_id="s2"),
        event(3, "b", session_id="s1"),
        event(4, "b", user_id="u", session_id="s1"),
    ]
    ingest(database, users=[{"user_id": "idle"}], interactions=rows)
    dataset = snapshot(database).dataset
    assert (dataset.n_users, dataset.n_subjects) == (2, 4)
    subject = dataset.log.subject.tolist()
    assert subject[0] == subject[2] != subject[1]
    assert min(subject[:3]) >= 2
    assert external_ids(database, "users")[int(dataset.user_keys[subject[3]])] == "u"


def test_what_was_not_given_is_nan_or_one(database: Database) -> None:
    rows = [
        event(1, "a", user_id="u"),
        event(2, "a", "rate", user_id="u", value=0),
        event(3, "a", "purchase", user_id="u", quantity=3, price=9.5, currency="EUR"),
    ]
    ingest(database, items=[{"item_id": "b"}], interactions=rows)
    dataset = snapshot(database).dataset
    log = dataset.log
    np.testing.assert_array_equal(log.value, np.array([np.nan, 0, np.nan], np.float32))
    np.testing.assert_array_equal(log.quantity, np.array([1, 1, 3], np.float32))
    np.testing.assert_array_equal(log.price, np.array([np.nan, np.nan, 9.5], np.float32))
    assert dataset.items.title == ["", ""]
    assert dataset.items.categories == dataset.items.tags == [[], []]
    assert np.isnan(dataset.items.price).all()


def test_lists_of_items_come_as_lists(database: Database) -> None:
    item = {"item_id": "a", "categories": ["食品 > 茶", "B"], "tags": ["x", "é"], "description": "d"}
    ingest(database, items=[item])
    found = snapshot(database).dataset.items
    assert found.categories == [["食品 > 茶", "B"]]
    assert found.tags == [["x", "é"]]
    assert found.description == ["d"]


def test_events_without_an_item_are_left_out(database: Database) -> None:
    ingest(database, interactions=[event(1, None, "search", user_id="u"), event(2, "a", user_id="u")])
    ingest(database, interactions=[event(3, None, "search", user_id="v")])
    found = snapshot(database)
    assert len(found.dataset.log) == 1
    assert found.dataset.n_users == 2


def test_a_deleted_item_stays_evidence_and_a_deleted_user_does_not(database: Database) -> None:
    ingest(database, interactions=[event(1, "a", user_id="u"), event(2, "b", user_id="v")])
    with database.write() as connection:
        delete_item(connection, "a")
        erase_user(connection, "v", 7)
    dataset = snapshot(database).dataset
    assert dataset.n_items == 2
    assert dataset.n_users == 1
    assert dataset.log.item.tolist() == [column(dataset, database, "a")]


def test_as_of_is_the_last_event_and_the_end_is_the_highest_key(database: Database) -> None:
    ingest(database, interactions=[event(9, "a", user_id="u"), event(1, "b", user_id="u")])
    found = snapshot(database)
    assert found.dataset.as_of == to_ms(datetime.fromisoformat(AT.format(9)))
    with database.read() as connection:
        assert found.trained_to == interaction_queries.highest_key(connection)


def test_what_others_write_meanwhile_is_not_seen(database: Database) -> None:
    ingest(database, interactions=views(10, 5))

    def write(_stage: str, _fraction: float) -> None:
        ingest(database, interactions=[event(9, "new", user_id=f"new{_fraction}", event_id=f"{_fraction}")])

    found = load_snapshot(database, DEFAULT_WEIGHTS, Progress(write))
    assert len(found.dataset.log) == 60
    assert (found.dataset.n_users, found.dataset.n_items) == (10, 5)
    assert snapshot(database).dataset.n_users == 11


def test_all_statements_of_a_snapshot_see_one_moment(database: Database) -> None:
    ingest(database, interactions=views(4, 3))
    with database.snapshot() as connection:
        assert streams.table_sizes(connection)["users"] == 4
        ingest(database, interactions=[event(9, "new", user_id="new")])
        assert sum(map(len, streams.stream_users(connection, 2))) == 4
        assert sum(map(len, streams.stream_items(connection, 2))) == 3
        assert sum(map(len, streams.stream_interactions(connection, 5))) == 24


def test_ties_hold_for_both_and_attributes_and_orders_are_there(database: Database) -> None:
    ingest(
        database,
        users=[{"user_id": "a", "attributes": {"city": "Bonn"}}, {"user_id": "b"}, {"user_id": "c"}],
        items=[{"item_id": "x", "attributes": {"size": 42}}, {"item_id": "y"}],
        interactions=[
            event(1, "x", "purchase", user_id="a", order_id="o1"),
            event(1, "y", "purchase", user_id="a", order_id="o1"),
            event(2, "y", "purchase", user_id="b", order_id="o2"),
            event(3, "y", user_id="c"),
            event(3, "y", session_id="s"),
        ],
    )
    assert snapshot(database).dataset.ties is None
    with database.write() as connection:
        keys = {
            row.external_id: row.id for row in connection.exec_driver_sql("SELECT id, external_id FROM users")
        }
        upsert_relation(connection, keys["b"], keys["a"], "friend", 2.0, 0)
    dataset = snapshot(database).dataset
    assert dataset.ties is not None
    assert dataset.ties.toarray().tolist() == [[0, 2, 0], [2, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert dataset.user_attributes == [{"city": "Bonn"}, {}, {}]
    assert dataset.items.attributes == [{"size": 42}, {}]
    assert dataset.log.order is not None
    orders = dataset.log.order.tolist()
    assert orders[0] == orders[1] >= 0
    assert orders[2] not in (orders[0], -1)
    assert orders[3:] == [-1, -1]


def test_events_without_an_item_are_kept_apart_and_told_by_what_they_were_about(database: Database) -> None:
    rows = [
        event(1, "tea", "purchase", user_id="ann"),
        event(2, None, "search", user_id="ann"),
        event(3, None, "service_contact", user_id="ann", context={"type": "complaint"}),
        event(4, "tea", "service_contact", user_id="bob", context={"type": "return", "note": "broken"}),
        event(5, None, "service_contact", user_id="bob", context={"type": "something else"}),
        event(6, None, "service_contact", user_id="bob"),
        event(7, None, "search", session_id="visit"),
    ]
    ingest(database, interactions=rows)
    found = snapshot(database).dataset
    names = [found.event_names[code] for code in found.log.event]
    assert names == ["purchase", "service_contact:return"]
    assert found.itemless is not None
    assert [found.event_names[code] for code in found.itemless.event] == [
        *("search", "service_contact:complaint", "service_contact", "service_contact")
    ], "of users alone"
    everything = found.with_all_events().log
    assert everything.item.tolist() == [0, -1, -1, 0, -1, -1]
    assert (np.diff(everything.occurred_at) > 0).all()
    assert found.as_of == everything.occurred_at[-1]
