"""What follows a purchase: buying again, returning, rating."""

import numpy as np

from app.simulation.behaviour import Lines, fit, pieces
from app.simulation.catalogue import Catalogue
from app.simulation.chance import Flags, Ints, bell, first_of_each, integers
from app.simulation.config import DAY_MS, HOUR_MS
from app.simulation.customers import Customers
from app.simulation.log import CART, PURCHASE, RATE, REFUND, VIEW, EventLog

_NO_SESSION = -1


def refill(
    log: EventLog,
    catalogue: Catalogue,
    customers: Customers,
    bought: Lines,
    visits: int,
    rng: np.random.Generator,
) -> None:
    """Logs repeat purchases of what is used up: each a visit and order of its own, numbered from `visits`."""
    open_ = (catalogue.refill[bought.item] > 0) & (bought.user >= 0)
    user, item, at = bought.user[open_], bought.item[open_], bought.at[open_]
    # Whoever bought it twice anyway keeps only one such habit.
    once = first_of_each(user * len(catalogue) + item)
    user, item, at = user[once], item[once], at[once]
    while len(user):
        # Whole days keep the hour of the day, at which this customer is awake.
        wait = catalogue.refill[item] * (75 + integers(rng, 60, len(user))) // 100
        at = at + wait * DAY_MS + integers(rng, HOUR_MS, len(user))
        going = (rng.random(len(user)) < 0.6) & (at < customers.stop[user])
        user, item, at = user[going], item[going], at[going]
        visit = visits + np.arange(len(user))
        visits += len(user)
        quantity = pieces(catalogue, item, rng)
        log.add(VIEW, user, visit, item, at - 90_000)
        log.add(CART, user, visit, item, at - 60_000, quantity=quantity)
        log.add(PURCHASE, user, visit, item, at, quantity=quantity, order=visit)


def refund(
    log: EventLog, catalogue: Catalogue, taste: Ints, bought: Lines, rng: np.random.Generator
) -> Flags:
    """Logs the returns and says which lines they are. `taste` is the buyer's, by line."""
    suits = catalogue.taste[bought.item] == taste
    returned: Flags = rng.random(len(bought.item)) < np.where(suits, 0.03, 0.08)
    log.add(
        REFUND,
        bought.user[returned],
        # Who is not known by name is known by the visit.
        np.where(bought.user < 0, bought.visit, _NO_SESSION)[returned],
        bought.item[returned],
        bought.at[returned] + DAY_MS + integers(rng, 13 * DAY_MS, int(returned.sum())),
        quantity=bought.quantity[returned],
        order=bought.visit[returned],
    )
    return returned


def rate(
    log: EventLog,
    catalogue: Catalogue,
    customers: Customers,
    bought: Lines,
    returned: Flags,
    rng: np.random.Generator,
) -> None:
    """Logs ratings, 1 to 5, one per customer and item: taste, item's quality, customer's mood, and noise."""
    rated = (bought.user >= 0) & (rng.random(len(bought.item)) < 0.7)
    places = np.flatnonzero(rated)
    places = places[first_of_each(bought.user[places] * len(catalogue) + bought.item[places])]
    user, item = bought.user[places], bought.item[places]
    suits = fit(catalogue, customers.taste[user], customers.second_taste[user], customers.niche[user], item)
    points = (
        np.array([1.8, 2.7, 3.4, 4.1])[suits]
        + catalogue.quality[item]
        + customers.mood[user]
        - 1.5 * returned[places]
        + 0.4 * bell(rng, len(item))
    )
    at = bought.at[places] + 2 * DAY_MS + integers(rng, 18 * DAY_MS, len(item))
    value = np.rint(points).clip(1, 5).astype(np.int64)
    log.add(RATE, user, np.full(len(item), _NO_SESSION), item, at, value=value)
