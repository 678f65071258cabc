"""Buy-again: what is due, by the item's rhythm and the person's own."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from app.learning.dataset import Histories
from app.learning.evaluation.metrics import ranking_metrics
from app.learning.preferences import dataset_histories
from app.learning.ranking.top_k import top_k
from app.learning.recommenders import repeat
from app.learning.recommenders.base import NotEnoughData
from app.learning.recommenders.repeat import Repeat, RepeatConfig
from app.learning.recommenders.rhythm import COUNTS, EDGES, Hazards, Waits, expected_gaps, typical_gaps
from app.learning.recommenders.sparse import most_recent_histories
from tests.worlds import Text, World, world

Bought = list[tuple[object, ...]]


def fitted(made: World, **config: float) -> Repeat:
    return repeat.fit(RepeatConfig(**config), made.dataset, np.random.default_rng(0))


def every(days: float, subject: str, item: str, last: float, times: int) -> Bought:
    """Purchases at equal gaps, the latest `last` days ago."""
    return [(subject, item, "purchase", last + days * number) for number in range(times)]


def score(model: Repeat, made: World, subject: str) -> dict[str, float]:
    found = model.score(dataset_histories(made.dataset).take(np.array([made.row(subject)])))[0]
    return dict(zip(made.items, found.tolist(), strict=True))


def regulars(gap: float, item: str, users: int = 40) -> Bought:
    """Customers of an item who come about every `gap` days for most of a year, at days of their own."""
    rng = np.random.default_rng(int(gap))
    events: Bought = []
    for user in range(users):
        days = rng.uniform(0, gap)
        while days < 300:
            events.append((f"{item}{user:02}", item, "purchase", float(days)))
            days += gap * rng.lognormal(0.0, 0.15)
    return events


def test_a_score_rises_until_the_item_is_due_and_falls_long_after() -> None:
    waits = [1, 10, 25, 30, 60, 120, 240]
    asked: Bought = []
    for days in waits:
        asked += every(30, f"after{days:03}", "coffee", days, 3)
    lapsed = [event for user in range(40) for event in every(30, f"gone{user:02}", "coffee", 250, 3)]
    made = world(regulars(30.0, "coffee") + asked + lapsed)
    model = fitted(made, horizon=7)
    found = [score(model, made, f"after{days:03}")["coffee"] for days in waits]
    assert max(found[:2]) < found[2] / 3
    assert max(found) in found[2:4]
    assert max(found[4:]) < found[3] / 10
    assert min(found) > 0


def test_of_two_items_the_one_that_is_due_comes_first() -> None:
    both = every(14, "asked", "milk", 13, 4) + every(90, "asked", "filter", 13, 4)
    made = world(regulars(14.0, "milk") + regulars(90.0, "filter") + both)
    model = fitted(made, horizon=7)
    found = score(model, made, "asked")
    assert found["milk"] > 3 * found["filter"] > 0
    gaps = np.exp(model.typical)
    assert gaps[made.column("milk")] == pytest.approx(14, rel=0.1)
    assert gaps[made.column("filter")] == pytest.approx(90, rel=0.1)


def test_a_persons_own_rhythm_counts_where_people_differ() -> None:
    events: Bought = []
    for user in range(60):
        gap = (7, 60)[user % 2]
        events += every(gap, f"u{user:02}", "food", user % gap, 300 // gap)
    events += every(7, "quick", "food", 8, 5) + every(60, "slow", "food", 8, 5)
    made = world(events)
    model = fitted(made, horizon=7)
    assert model.own_prior < 0.1
    assert score(model, made, "quick")["food"] > 5 * score(model, made, "slow")["food"]


def test_where_gaps_are_chance_a_persons_own_tell_little() -> None:
    rng = np.random.default_rng(4)
    events: Bought = []
    for user in range(150):
        days = 0.0
        for gap in rng.lognormal(3.0, 0.8, 6):
            days += float(gap) + 1
            events.append((f"u{user:03}", "food", "purchase", days))
    assert fitted(world(events)).own_prior > 5


def test_what_people_come_back_to_beats_what_they_buy_once() -> None:
    events = regulars(30.0, "coffee")
    for user in range(40):
        events += [
            (f"coffee{user:02}", "kettle", "purchase", 30.0),
            (f"x{user:02}", "kettle", "purchase", 50.0),
        ]
    events += [("asked", "coffee", "purchase", 28.0), ("asked", "kettle", "purchase", 28.0)]
    made = world(events)
    found = score(fitted(made), made, "asked")
    assert found["coffee"] > 5 * found["kettle"] > 0


def test_what_was_only_looked_at_is_not_bought_again() -> None:
    events = [*regulars(30.0, "coffee"), ("asked", "coffee", "view", 3.0), ("asked", "tea", "view", 3.0)]
    events += [("asked", "coffee", "purchase", 28.0)]
    made = world(events)
    model = fitted(made)
    found = score(model, made, "asked")
    assert found["tea"] == 0 < found["coffee"]
    # A look does not put off what is due.
    without = world([event for event in events if event[2] == "purchase"])
    assert found["coffee"] == pytest.approx(score(model, without, "asked")["coffee"], rel=1e-4)


def test_a_thin_item_takes_the_gap_of_its_category() -> None:
    texts = {
        "milk": Text(categories=("Dairy",)),
        "cream": Text(categories=("Dairy",)),
        "filter": Text(categories=("Parts",)),
        "bulb": Text(categories=("Parts",)),
    }
    events = regulars(7.0, "milk") + regulars(90.0, "filter")
    events += [("u", "cream", "purchase", 3.0), ("u", "bulb", "purchase", 3.0)]
    made = world(events, texts)
    gaps = dict(zip(made.items, np.exp(fitted(made).typical), strict=True))
    assert gaps["cream"] < 10
    assert 50 < gaps["bulb"] < 95


def test_without_occasions_the_last_interaction_counts_as_the_only_one() -> None:
    made = world([*regulars(30.0, "coffee"), ("once", "coffee", "purchase", 28.0)])
    model = fitted(made)
    asked = dataset_histories(made.dataset).take(np.array([made.row("once")]))
    bare = Histories(asked.matrix, asked.ages)
    np.testing.assert_allclose(model.score(bare), model.score(asked), rtol=1e-6)


def test_only_items_of_the_history_are_scored_where_it_was_cut() -> None:
    events = regulars(30.0, "coffee") + regulars(14.0, "milk")
    made = world([*events, ("asked", "coffee", "purchase", 28.0), ("asked", "milk", "purchase", 12.0)])
    asked = dataset_histories(made.dataset).take(np.array([made.row("asked")]))
    model = fitted(made)
    cut = most_recent_histories(asked, 1)
    assert model.score(cut)[0, made.column("coffee")] == 0
    assert model.score(cut)[0, made.column("milk")] == model.score(asked)[0, made.column("milk")] > 0


def test_each_item_carries_its_own_score() -> None:
    made = world(regulars(30.0, "coffee") + regulars(14.0, "milk") + every(9, "coffee00", "milk", 3, 2))
    model = fitted(made)
    asked = dataset_histories(made.dataset).take(np.array([made.row("coffee00")]))
    items = np.array([made.column("milk"), made.column("coffee")], dtype=np.int32)
    parts = model.contributions(asked, items)
    assert parts.shape == (2, 2)
    np.testing.assert_array_equal(parts.sum(axis=1), model.score(asked)[0, items])
    assert np.count_nonzero(parts) == 2


@pytest.mark.parametrize("days", [0.0, 0.4, 5_000.0])
def test_ages_at_the_edges_give_finite_scores(days: float) -> None:
    made = world([*regulars(30.0, "coffee"), ("asked", "coffee", "purchase", 1.0)])
    asked = dataset_histories(made.dataset).take(np.array([made.row("asked")]))
    ages = np.full_like(asked.ages, days)
    assert asked.occasions is not None
    told = replace(asked, ages=ages, occasions=replace(asked.occasions, first=ages, last=ages))
    found = fitted(made).score(told)[0, made.column("coffee")]
    assert 0 < found < 1


def test_nobody_who_came_back_is_too_little() -> None:
    events = [("u", "a", "purchase", 3.0), ("v", "a", "purchase", 3.2), ("u", "b", "purchase", 1.0)]
    with pytest.raises(NotEnoughData, match="came back to an item on another day"):
        fitted(world(events))
    # Purchases of one day are one occasion, and views are none where there are purchases.
    events += [("u", "a", "purchase", 3.1), ("u", "a", "view", 1.0)]
    with pytest.raises(NotEnoughData, match="came back to an item on another day"):
        fitted(world(events))


def test_a_shop_without_purchases_counts_every_positive_event() -> None:
    events = [(user, song, "view", day, *rest) for user, song, _, day, *rest in regulars(7.0, "song")]
    made = world([*events, ("asked", "song", "view", 7.0)])
    assert score(fitted(made), made, "asked")["song"] > 0


def test_waits_against_the_plain_definition() -> None:
    made = world([*every(10, "u", "a", 4, 3), ("u", "b", "purchase", 2.0), ("v", "a", "purchase", 4.5)])
    waits = Waits.of(made.dataset)
    rows = zip(
        waits.item.tolist(),
        waits.count.tolist(),
        waits.own_gap.tolist(),
        waits.days.tolist(),
        waits.ended.tolist(),
        strict=True,
    )
    assert list(rows) == [
        (0, 1, 0.0, 10.0, True),
        (0, 2, 10.0, 10.0, True),
        (0, 3, 10.0, 4.0, False),
        (1, 1, 0.0, 2.0, False),
        (0, 1, 0.0, 4.0, False),
    ]
    typical, own_prior = typical_gaps(waits, np.zeros(2, dtype=np.int64), 5.0)
    np.testing.assert_allclose(np.exp(typical), 10.0)
    assert own_prior > 100, "one pair tells nothing of how people differ"


def test_expected_gaps_lie_between_the_own_and_the_typical_one() -> None:
    typical = np.log(np.full(4, 30.0))
    found = expected_gaps(np.array([1.0, 2, 5, 1000]), np.full(4, 10.0), typical, 2.0)
    assert found[0] == pytest.approx(30)
    assert found[0] > found[1] > found[2] > found[3] > 10
    assert expected_gaps(np.array([1.0, 2.0]), np.full(2, 10.0), typical[:2], 0.0) == pytest.approx([30, 10])


def test_hazards_find_a_constant_rate() -> None:
    rng = np.random.default_rng(2)
    waited = rng.exponential(1 / 0.7, 60_000)
    ended = waited < 3.0
    count = rng.integers(1, 20, len(waited))
    hazards = Hazards.of(count, np.minimum(waited, 3.0), ended, np.ones(len(waited)))
    inside = EDGES < 2.5
    np.testing.assert_allclose(hazards.rates[:, inside], 0.7, rtol=0.35)
    kind = np.arange(len(COUNTS))
    np.testing.assert_allclose(hazards.until(kind, np.full(len(COUNTS), 2.0)), 1.4, rtol=0.1)


@pytest.mark.parametrize("seed", [1, 2])
def test_lists_hit_what_is_bought_next_where_there_is_rhythm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    events: Bought = []
    wanted = np.zeros((60, 30), dtype=np.float32)
    for user in range(60):
        for item in rng.choice(30, 8, replace=False):
            gap = (14.0, 30.0, 90.0)[item % 3]
            days = 300 - rng.uniform(0, gap)
            while days > -7:
                if days < 0:
                    wanted[user, item] = 1
                else:
                    events.append((f"u{user:02}", f"i{item:02}", "purchase", float(days)))
                days -= gap * rng.lognormal(0.0, 0.15)
    made = world(events)
    assert len(made.items) == 30
    scores = fitted(made, horizon=7).score(dataset_histories(made.dataset))
    due = ranking_metrics(top_k(scores, 5)[0], csr_array(wanted))["ndcg"].mean()
    counts = dataset_histories(made.dataset).matrix.toarray()
    by_count = ranking_metrics(top_k(counts, 5)[0], csr_array(wanted))["ndcg"].mean()
    assert due > 0.8
    assert due > by_count + 0.1
