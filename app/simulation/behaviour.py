"""What visitors do with what they look at: click, wish, put into the cart, take out, check out, buy."""

from dataclasses import dataclass

import numpy as np

from app.simulation.catalogue import Catalogue
from app.simulation.chance import Flags, Ints, first_of_each, integers
from app.simulation.log import CART, CHECKOUT, PURCHASE, SELECT, UNCART, VIEW, WISH, EventLog
from app.simulation.visits import Looks, Visits

_COMPANION = 0.6
"""Chance that the companion of an item goes into the same cart."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of carts or orders, one array entry each. Shapes (lines,)."""

    visit: Ints
    user: Ints
    item: Ints
    quantity: Ints
    at: Ints
    """When the line was put into the cart, or bought: ms since the epoch."""


def fit(catalogue: Catalogue, taste: Ints, second_taste: Ints, niche: Ints, item: Ints) -> Ints:
    """How well items suit these tastes: 3 own niche, 2 own taste, 1 second taste, 0 none of them."""
    theirs = catalogue.taste[item]
    suits: Ints = np.select(
        [(theirs == taste) & (catalogue.niche[item] == niche), theirs == taste, theirs == second_taste],
        [3, 2, 1],
        0,
    ).astype(np.int64)
    return suits


def shop(log: EventLog, catalogue: Catalogue, made: Visits, seen: Looks, rng: np.random.Generator) -> Lines:
    """Logs all events of the visits and returns the lines that were bought."""
    n_visits, n = len(made.user), len(seen.visit)
    # A quarter of the customers' visits comes from a client that sends no session id.
    session = np.arange(n_visits)
    session[(made.user >= 0) & (rng.random(n_visits) < 0.25)] = -1
    # Others log in only after the first look, which then is known by its session alone.
    late = (session >= 0) & (rng.random(n_visits) < 0.1)
    user = np.where(late[seen.visit] & (seen.place == 0), -1, made.user[seen.visit])

    def log_looks(event: int, flags: Flags, after_ms: int, pieces_each: int = 0) -> None:
        at = seen.at[flags] + after_ms
        quantity = np.full(len(at), pieces_each)
        log.add(event, user[flags], session[seen.visit[flags]], seen.item[flags], at, quantity=quantity)

    suits = fit(
        catalogue,
        made.taste[seen.visit],
        made.second_taste[seen.visit],
        made.niche[seen.visit],
        seen.item,
    )
    log_looks(SELECT, rng.random(n) < 0.25, 0)
    log_looks(VIEW, np.ones(n, dtype=np.bool_), 2_000)
    log_looks(WISH, rng.random(n) < np.array([0.01, 0.02, 0.05, 0.08])[suits], 12_000)

    wanted = rng.random(n) < made.appetite[seen.visit] * np.array([0.25, 0.5, 1.0, 1.3])[suits]
    regretted = wanted & (rng.random(n) < 0.12)
    buys = rng.random(n_visits) < 0.72
    cart, added = _cart(catalogue, made, seen, wanted & ~regretted, buys, rng)

    log_looks(CART, regretted, 20_000, 1)
    log_looks(UNCART, regretted, 45_000, 1)
    log.add(VIEW, cart.user[added], session[cart.visit[added]], cart.item[added], cart.at[added] - 8_000)
    log.add(CART, cart.user, session[cart.visit], cart.item, cart.at, quantity=cart.quantity)

    # The till comes after the last look.
    last = np.zeros(n_visits, dtype=np.int64)
    np.maximum.at(last, cart.visit, cart.at)
    till = last + 60_000 + integers(rng, 60_000, n_visits)
    bought = buys[cart.visit]
    tries = bought | (rng.random(n_visits) < 0.45)[cart.visit]
    log.add(
        CHECKOUT,
        cart.user[tries],
        session[cart.visit[tries]],
        cart.item[tries],
        till[cart.visit[tries]],
        quantity=cart.quantity[tries],
    )
    lines = Lines(
        cart.visit[bought],
        cart.user[bought],
        cart.item[bought],
        cart.quantity[bought],
        till[cart.visit[bought]] + 45_000,
    )
    log.add(
        PURCHASE,
        lines.user,
        session[lines.visit],
        lines.item,
        lines.at,
        quantity=lines.quantity,
        order=lines.visit,
    )
    return lines


def _cart(
    catalogue: Catalogue, made: Visits, seen: Looks, wanted: Flags, buys: Flags, rng: np.random.Generator
) -> tuple[Lines, Flags]:
    """Lines that stay in the carts, by time, and which of them are companions added to another line."""
    visit, item, at = seen.visit[wanted], seen.item[wanted], seen.at[wanted] + 20_000
    partner = catalogue.partner[item]
    joins = (partner >= 0) & (rng.random(len(item)) < _COMPANION)
    joins &= catalogue.released[partner] <= at
    visit = np.concatenate([visit, visit[joins]])
    item = np.concatenate([item, partner[joins]])
    at = np.concatenate([at, at[joins] + 30_000])
    added = np.arange(len(item)) >= len(partner)

    by_time = np.argsort(at, kind="stable")
    visit, item, at, added = visit[by_time], item[by_time], at[by_time], added[by_time]
    user = made.user[visit]
    kept = first_of_each(visit * len(catalogue) + item)
    # Nobody needs a second tent: what lasts is bought once, but for a few gifts.
    lasting = (user >= 0) & buys[visit] & (catalogue.refill[item] == 0) & (rng.random(len(item)) < 0.95)
    again = np.flatnonzero(lasting & kept)
    kept[again] = first_of_each(user[again] * len(catalogue) + item[again])
    quantity = pieces(catalogue, item, rng)
    lines = Lines(visit[kept], user[kept], item[kept], quantity[kept], at[kept])
    return lines, added[kept]


def pieces(catalogue: Catalogue, item: Ints, rng: np.random.Generator) -> Ints:
    """How many pieces of each item go into a cart: one, seldom two, and up to four of what is used up."""
    many = rng.random(len(item)) < np.where(catalogue.refill[item] > 0, 0.5, 0.08)
    extra = np.where(catalogue.refill[item] > 0, 3, 1)
    return 1 + np.where(many, 1 + integers(rng, extra, len(item)), 0)
