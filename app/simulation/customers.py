"""The customers of the simulated shop: tastes, arrival, life cycle, habits, friends."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from app.simulation.catalogue import rfc3339
from app.simulation.chance import Floats, Ints, bell, integers
from app.simulation.config import DAY_MS, HOUR_MS, ShopConfig
from app.simulation.words import AGE_GROUPS, CHANNELS, COUNTRIES

LIFE_CYCLES: Final = ("new", "regular", "loyal", "lapsed")
"""Names of the life-cycle groups, in the order of their codes. The lapsed are those who churned."""
NEW, REGULAR, LOYAL, LAPSED = range(4)

_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Customers:
    """All registered customers, one array entry each; shapes are (users,) unless said otherwise."""

    taste: Ints
    second_taste: Ints
    niche: Ints
    """Favourite niche within the taste."""
    life_cycle: Ints
    """Index into LIFE_CYCLES."""
    created: Ints
    """When the account was made, ms since the epoch."""
    arrival: Ints
    """Start of the customer's activity within the history, ms since the epoch."""
    stop: Ints
    """After this moment (ms since the epoch) the customer buys nothing any more: churn, or the shop's end."""
    churn_day: Ints
    """Day of the history (0 is the first) from whose start on nothing is bought; -1 for who stays."""
    rate: Ints
    """Visits per time, relative, at least 1."""
    appetite: Floats
    """Chance to put an item of the own taste that is looked at into the cart."""
    mood: Floats
    """How much kinder than the mean the customer rates, in points."""
    country: Ints
    age_group: Ints
    channel: Ints
    newsletter: Ints

    def __len__(self) -> int:
        return len(self.taste)

    def wire(self) -> Iterator[dict[str, Any]]:
        """The users as the HTTP contract takes them, in order of their index."""
        for first in range(0, len(self), _PAGE):
            created = rfc3339(self.created[first : first + _PAGE])
            for index, created_at in enumerate(created, start=first):
                yield {
                    "user_id": user_id(index),
                    "attributes": {
                        "country": COUNTRIES[self.country[index]],
                        "age_group": AGE_GROUPS[self.age_group[index]],
                        "channel": CHANNELS[self.channel[index]],
                        "newsletter": bool(self.newsletter[index]),
                    },
                    "created_at": created_at,
                }


def user_id(index: int) -> str:
    """The external id of a user."""
    return f"u{index:06d}"


def attract(config: ShopConfig, niches: int, rng: np.random.Generator) -> Customers:
    """The customers of a shop whose tastes have that many niches each."""
    n, days = config.users, config.days
    taste = _tastes(rng, config.tastes, n)
    draw = rng.random(n)
    others = 1 - config.churn_share
    life_cycle = np.select(
        [draw < config.churn_share, draw < config.churn_share + 0.18 * others, draw < 1 - 0.22 * others],
        [LAPSED, NEW, REGULAR],
        LOYAL,
    ).astype(np.int64)
    # Who leaves does so early enough that the silence after it can be told from a pause.
    churn_day = ((0.3 + 0.5 * rng.random(n)) * days).astype(np.int64)
    # A history too short for a pause has no churn: its customers are regular ones.
    life_cycle = np.where((life_cycle == LAPSED) & (churn_day < 2), REGULAR, life_cycle)
    lapsed = life_cycle == LAPSED
    churn_day = np.where(lapsed, churn_day, -1)
    stop = np.where(lapsed, config.start_ms + churn_day * DAY_MS, config.end_ms)

    into = rng.random(n)
    arrived_ms = (
        days
        * DAY_MS
        * np.select(
            [life_cycle == NEW, lapsed], [0.84 + 0.14 * into, 0.7 * into * churn_day / days], 0.8 * into
        )
    )
    old = (rng.random(n) < 0.5) & (life_cycle != NEW)
    arrival = config.start_ms + np.where(old, 0, arrived_ms).astype(np.int64)
    # A minute earlier than any visit: whole milliseconds are rounded down.
    created = np.where(old, arrival - integers(rng, 730 * DAY_MS, n), arrival) - 60_000

    u = rng.random(n)
    pace = np.array([9, 8, 14, 9])[life_cycle]
    return Customers(
        taste=taste,
        second_taste=(taste + 1 + integers(rng, max(1, config.tastes - 1), n)) % config.tastes,
        niche=integers(rng, niches, n),
        life_cycle=life_cycle,
        created=created,
        arrival=arrival,
        stop=stop,
        churn_day=churn_day,
        # Squared: a few customers come far more often than the median one.
        rate=(pace * (4 + 40 * u * u)).astype(np.int64),
        appetite=np.array([0.25, 0.3, 0.42, 0.3])[life_cycle] * (0.6 + 0.8 * rng.random(n)),
        mood=0.6 * bell(rng, n),
        country=integers(rng, len(COUNTRIES), n),
        age_group=(taste + integers(rng, 3, n)) % len(AGE_GROUPS),
        channel=integers(rng, len(CHANNELS), n),
        newsletter=(rng.random(n) < np.where(life_cycle == LOYAL, 0.7, 0.35)).astype(np.int64),
    )


def _tastes(rng: np.random.Generator, tastes: int, n: int) -> Ints:
    """A taste for each of n people; the first tastes are up to twice as common as the last."""
    shares = 2 * tastes - np.arange(tastes)
    return np.searchsorted(np.cumsum(shares), integers(rng, int(shares.sum()), n), side="right")


def befriend(config: ShopConfig, customers: Customers, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Friend ties: pairs of user indices, the smaller first, each once, and weights in percent.

    Most ties are among people of one taste, most of those within one niche. Shapes (ties, 2) and (ties,).
    """
    n = len(customers)
    tries = round(n * config.friends / 2) if n > 1 else 0
    order = np.lexsort((rng.permutation(n), customers.niche, customers.taste))
    place = integers(rng, n, tries)
    # Neighbours in this order share taste and niche: circles of friends, as in life.
    other = (
        np.where(rng.random(tries) < 0.85, place + 1 + integers(rng, 8, tries), integers(rng, n, tries)) % n
    )
    pairs = np.sort(np.stack([order[place], order[other]], axis=1), axis=1)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    pairs = np.unique(pairs, axis=0) if len(pairs) else pairs
    return pairs, 20 + integers(rng, 81, len(pairs))


def windows(customers: Customers) -> tuple[Ints, Ints]:
    """Start and end (ms since the epoch) of each customer's buying time.

    It ends an hour before `stop`, so that a visit begun in it is over by then.
    """
    return customers.arrival, np.maximum(customers.stop - HOUR_MS, customers.arrival + 1)
