"""The simulated shop: what it says about itself shows in its data, and can be learnt from it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from app.simulation.config import DAY_MS, ShopConfig
from app.simulation.log import EVENTS, PURCHASE, RATE, VIEW
from app.simulation.shop import Shop, simulate


@pytest.fixture(scope="module", params=[7, 11])
def shop(request: pytest.FixtureRequest) -> Shop:
    return simulate(ShopConfig(seed=request.param, users=1_500, items=400, interactions=75_000))


def counts(shop: Shop, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Chosen events by user and item. Shape (users, items)."""
    table, shape = shop.columns, (shop.config.users, shop.config.items)
    flat = np.bincount(
        table.user[chosen].astype(np.int64) * shape[1] + table.item[chosen], minlength=shape[0] * shape[1]
    )
    return flat.reshape(shape).astype(np.float64)


def test_companions_are_bought_together_far_more_than_by_chance(shop: Shop) -> None:
    table, pairs = shop.columns, shop.truth.complements
    bought = table.event == PURCHASE
    baskets = np.zeros((int(table.order.max()) + 1, shop.config.items), dtype=np.float32)
    baskets[table.order[bought], table.item[bought]] = 1
    together, sold = baskets.T @ baskets, baskets.sum(axis=0)
    lift = together * len(baskets) / np.maximum(np.outer(sold, sold), 1)
    assert len(pairs) >= 35
    assert len(np.unique(pairs)) == pairs.size
    assert lift[pairs[:, 0], pairs[:, 1]].min() > 5
    others = np.ones_like(lift, dtype=np.bool_)
    others[pairs[:, 0], pairs[:, 1]] = others[pairs[:, 1], pairs[:, 0]] = False
    np.fill_diagonal(others, val=False)
    assert np.median(lift[pairs[:, 0], pairs[:, 1]]) > 10 * lift[others].mean()


def test_the_churned_buy_nothing_after_their_day_and_the_others_do(shop: Shop) -> None:
    table, truth = shop.columns, shop.truth
    own = (table.event == PURCHASE) & (table.user >= 0)
    last = np.zeros(shop.config.users, dtype=np.int64)
    np.maximum.at(last, table.user[own], table.occurred_at[own])
    buyers = last > 0
    day_began = shop.config.start_ms + truth.churn_day * DAY_MS
    assert 0.2 < truth.churned.mean() < 0.3
    assert np.all(last[truth.churned] < day_began[truth.churned])
    silence = shop.config.end_ms - last
    assert np.median(silence[buyers & truth.churned]) > 3 * np.median(silence[buyers & ~truth.churned])
    # Some look around after that day: churn is about buying.
    views = (table.event == VIEW) & (table.user >= 0)
    late = table.occurred_at[views] >= day_began[table.user[views]]
    assert np.any(late & truth.churned[table.user[views]])


def test_life_cycles_differ(shop: Shop) -> None:
    table, truth = shop.columns, shop.truth
    own = (table.event == PURCHASE) & (table.user >= 0)
    bought = np.bincount(table.user[own], minlength=shop.config.users)
    named = np.array([truth.life_cycle_of(user) for user in range(shop.config.users)])
    assert set(named) == {"new", "regular", "loyal", "lapsed"}
    assert np.array_equal(named == "lapsed", truth.churned)
    assert bought[named == "loyal"].mean() > 2 * bought[named == "regular"].mean()
    created = np.array([user["created_at"] for user in shop.users()])
    assert min(created[named == "new"]) > "2026-09"


def test_users_mostly_stay_within_their_taste(shop: Shop) -> None:
    table, truth = shop.columns, shop.truth
    known = table.user >= 0
    own = truth.user_taste[table.user] == truth.item_taste[table.item]
    assert 0.65 < own[known & (table.event == VIEW)].mean() < 0.9
    assert 0.8 < own[known & (table.event == PURCHASE)].mean() < 0.97
    one, other = shop.ties.T
    assert (truth.user_taste[one] == truth.user_taste[other]).mean() > 0.7


def test_consumables_are_bought_again_and_durables_hardly(shop: Shop) -> None:
    refill = np.array(["refill" in item["tags"] for item in shop.items()])
    own = counts(shop, (shop.columns.event == PURCHASE) & (shop.columns.user >= 0))
    again = (own > 1).sum(axis=0) / np.maximum((own > 0).sum(axis=0), 1)
    assert again[refill].mean() > 0.3
    assert again[~refill].mean() < 0.05


def test_collaborative_filtering_beats_popularity_on_a_time_split(shop: Shop) -> None:
    table, config = shop.columns, shop.config
    known, split = table.user >= 0, config.start_ms + config.days * DAY_MS * 8 // 10
    before = known & (table.occurred_at < split)
    seen = np.log1p(counts(shop, before))
    owned = counts(shop, before & (table.event == PURCHASE)) > 0
    wanted = counts(shop, known & (table.occurred_at >= split) & (table.event == PURCHASE)) > 0
    wanted &= ~owned
    # EASE (Steck 2019), in three lines.
    inverse = np.linalg.inv(seen.T @ seen + 50 * np.eye(config.items))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    popular = np.broadcast_to(seen.sum(axis=0), seen.shape)

    def recall(scores: NDArray[np.float64]) -> float:
        best = np.argsort(-np.where(owned, -np.inf, scores), axis=1)[:, :10]
        users = np.flatnonzero(wanted.any(axis=1))
        hits = np.take_along_axis(wanted, best, axis=1).sum(axis=1)
        return float((hits[users] / np.minimum(wanted[users].sum(axis=1), 10)).mean())

    assert recall(seen @ weights) > 1.6 * recall(popular)


def test_ratings_can_be_predicted_better_than_by_their_mean(shop: Shop) -> None:
    table, config = shop.columns, shop.config
    rated = np.flatnonzero(table.event == RATE)
    old, new = np.split(rated, [len(rated) * 8 // 10])
    mean = float(table.value[old].mean())
    user, item = np.zeros(config.users), np.zeros(config.items)
    for _ in range(10):
        rest = table.value[old] - mean - user[table.user[old]]
        item = np.bincount(table.item[old], rest, config.items) / (
            np.bincount(table.item[old], minlength=config.items) + 2
        )
        rest = table.value[old] - mean - item[table.item[old]]
        user = np.bincount(table.user[old], rest, config.users) / (
            np.bincount(table.user[old], minlength=config.users) + 3
        )
    guess = mean + user[table.user[new]] + item[table.item[new]]
    error = np.sqrt(((table.value[new] - guess) ** 2).mean())
    assert error < 0.92 * np.sqrt(((table.value[new] - mean) ** 2).mean())
    assert set(np.unique(table.value[rated]).tolist()) == {1, 2, 3, 4, 5}


def test_tastes_can_be_recovered(shop: Shop) -> None:
    seen = np.minimum(counts(shop, shop.columns.user >= 0), 3)
    active = seen.sum(axis=1) >= 10
    scaled = seen[active] / np.sqrt(seen[active].sum(axis=1) + 1)[:, None] / np.sqrt(seen.sum(axis=0) + 1)
    left, strength, _ = np.linalg.svd(scaled, full_matrices=False)
    place = left[:, :6] * strength[:6]
    place /= np.linalg.norm(place, axis=1, keepdims=True)
    near = place @ place.T
    np.fill_diagonal(near, -1)
    taste = shop.truth.user_taste[active]
    neighbours = taste[np.argsort(-near, axis=1)[:, :5]]
    assert (neighbours == taste[:, None]).mean() > 0.85


def test_seasonal_categories_sell_in_their_season() -> None:
    made = simulate(ShopConfig(days=365, users=2_000, interactions=100_000))
    table = made.columns
    month = table.occurred_at.astype("datetime64[ms]").astype("datetime64[M]").astype(int) % 12 + 1
    department = np.array([item["categories"][0].split(" > ")[0] for item in made.items()])[table.item]
    views = table.event == EVENTS.index("view_item")
    summer, winter = np.isin(month, (5, 6, 7)), np.isin(month, (12, 1, 2))
    garden = department == "Garden"
    share = [(garden & views & part).sum() / (views & part).sum() for part in (summer, winter)]
    assert share[0] > 1.5 * share[1]
