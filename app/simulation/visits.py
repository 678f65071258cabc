"""Who visits the shop when, and what they look at."""

from dataclasses import dataclass

import numpy as np

from app.simulation.catalogue import Catalogue
from app.simulation.chance import Flags, Floats, Ints, first_of_each, integers, running
from app.simulation.config import ShopConfig
from app.simulation.customers import Customers, windows
from app.simulation.seasons import Calendar

_LENGTHS = np.array([26, 44, 58, 69, 78, 85, 90, 94, 97, 99, 100])
"""Percent of the visits with at most 1, 2, 3, … items looked at."""
_TRIES = 8
_THOUGHTS = 3
STEP_MS = 75_000
"""Time from one look to the next."""


@dataclass(frozen=True, slots=True)
class Visits:
    """All visits (sessions), one array entry each. Shapes (visits,)."""

    user: Ints
    """User index, or -1 for who never logs in."""
    taste: Ints
    second_taste: Ints
    niche: Ints
    start: Ints
    """ms since the epoch."""
    appetite: Floats


@dataclass(frozen=True, slots=True)
class Looks:
    """All items looked at in visits, in order. Shapes (looks,)."""

    visit: Ints
    item: Ints
    place: Ints
    """0 for the first look of a visit, 1 for the second, …"""
    at: Ints
    """ms since the epoch."""


class Shelves:
    """Draws items by popularity from a niche, a taste or the whole shop: each is a stretch of one order."""

    def __init__(self, catalogue: Catalogue, tastes: int) -> None:
        self._niches = catalogue.niches
        group = catalogue.taste * self._niches + catalogue.niche
        self._order = np.argsort(group, kind="stable")
        weights = catalogue.popularity[self._order]
        self._below = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(weights)])
        self._edges = np.searchsorted(group[self._order], np.arange(tastes * self._niches + 1))

    def stretch(self, first: Ints, groups: int) -> tuple[Ints, Ints]:
        """From and to (exclusive) of the stretches of `groups` niches from niche `first` on."""
        low, high = self._edges[first], self._edges[first + groups]
        empty = low == high
        return np.where(empty, 0, low), np.where(empty, len(self._order), high)

    def draw(self, rng: np.random.Generator, low: Ints, high: Ints) -> Ints:
        """One item from each stretch."""
        below = self._below[low]
        target = below + integers(rng, self._below[high] - below, len(low))
        drawn: Ints = self._order[np.searchsorted(self._below, target, side="right") - 1]
        return drawn


def visits(
    config: ShopConfig,
    customers: Customers,
    calendar: Calendar,
    niches: int,
    count: int,
    rng: np.random.Generator,
) -> Visits:
    """About `count` visits: those of customers, in order of user and time, then the anonymous ones."""
    unknown = round(count * config.anonymous_share)
    known = count - unknown
    begin, end = (calendar.traffic(edge) for edge in windows(customers))
    # Scaled down: the sum over all customers has to fit 64 bits.
    weight = customers.rate * ((end - begin) // 100_000 + 1)
    # Evenly spaced lots over all weights give each customer a fair number of visits, exactly `known` in all.
    upto = np.cumsum(weight)
    lots = (np.arange(known) + rng.random(known)) / max(known, 1) * int(upto[-1])
    counts = np.bincount(
        np.searchsorted(upto[:-1], lots.astype(np.int64), side="right"), minlength=len(customers)
    )
    user = np.repeat(np.arange(len(customers)), counts)
    # One visit in each of as many equal parts of the time: everyone has a rhythm of their own.
    passed = (running(counts) + rng.random(known)) / counts[user]
    # Who is about to leave comes less and less.
    fading = customers.churn_day[user] >= 0
    passed = np.where(fading, passed * (0.6 + 0.4 * passed), passed)
    start = calendar.moment(begin[user] + (passed * (end - begin)[user]).astype(np.int64))
    appetite = customers.appetite[user]
    # Some still look around after they bought for the last time, which makes churn harder to see.
    strays = np.flatnonzero(fading & (rng.random(known) < 0.12))
    left = calendar.traffic(customers.stop)[user[strays]]
    start[strays] = calendar.moment(left + integers(rng, int(calendar.elapsed[-1]) - left, len(strays)))
    appetite[strays] = 0.0

    taste = integers(rng, config.tastes, unknown)
    return Visits(
        user=np.concatenate([user, np.full(unknown, -1)]),
        taste=np.concatenate([customers.taste[user], taste]),
        second_taste=np.concatenate(
            [customers.second_taste[user], (taste + integers(rng, config.tastes, unknown)) % config.tastes]
        ),
        niche=np.concatenate([customers.niche[user], integers(rng, niches, unknown)]),
        start=np.concatenate([start, calendar.moment(integers(rng, int(calendar.elapsed[-1]), unknown))]),
        appetite=np.concatenate([appetite, np.full(unknown, 0.1)]),
    )


def looks(
    config: ShopConfig, catalogue: Catalogue, calendar: Calendar, made: Visits, rng: np.random.Generator
) -> Looks:
    """What is looked at: most of it from the one niche that a visit is about, mostly the visitor's own."""
    n, niches, tastes = len(made.user), catalogue.niches, config.tastes
    focus = _focus(rng, catalogue, calendar, tastes, made)
    lengths = 1 + np.searchsorted(_LENGTHS, integers(rng, 100, n), side="right")
    visit = np.repeat(np.arange(n), lengths)
    place = running(lengths)
    at = made.start[visit] + place * STEP_MS + integers(rng, 30_000, len(visit))

    shelves = Shelves(catalogue, tastes)
    stretches = (
        shelves.stretch(focus, 1),
        shelves.stretch(made.taste * niches, niches),
        shelves.stretch(np.zeros(n, dtype=np.int64), tastes * niches),
    )
    kind = np.searchsorted([0.7, 0.88], rng.random(len(visit)), side="right")
    low = np.select([kind == 0, kind == 1], [stretches[0][0][visit], stretches[1][0][visit]], 0)
    high = np.select([kind == 0, kind == 1], [stretches[0][1][visit], stretches[1][1][visit]], len(catalogue))
    item = _found(rng, shelves, catalogue, calendar, low, high, at)
    # A visit looks at an item once, and not at what it did not find.
    kept = (item >= 0) & first_of_each(visit * len(catalogue) + item)
    return Looks(visit[kept], item[kept], place[kept], at[kept])


def _focus(
    rng: np.random.Generator, catalogue: Catalogue, calendar: Calendar, tastes: int, made: Visits
) -> Ints:
    """The niche that each visit is about: who thinks of one out of season mostly thinks again."""
    niches = catalogue.niches
    focus = np.zeros(len(made.user), dtype=np.int64)
    open_ = np.arange(len(focus))
    for _ in range(_THOUGHTS):
        n = len(open_)
        u, any_niche = rng.random(n), integers(rng, niches, n)
        taste, second = made.taste[open_] * niches, made.second_taste[open_] * niches
        focus[open_] = np.select(
            [u < 0.5, u < 0.8, u < 0.93],
            [taste + made.niche[open_], taste + any_niche, second + any_niche],
            integers(rng, tastes * niches, n),
        )
        appeal = calendar.in_season(catalogue.niche_leaf[focus[open_]], made.start[open_])
        open_ = open_[integers(rng, 1_000, n) >= appeal]
    return focus


def _found(
    rng: np.random.Generator,
    shelves: Shelves,
    catalogue: Catalogue,
    calendar: Calendar,
    low: Ints,
    high: Ints,
    at: Ints,
) -> Ints:
    """An item from each stretch, on sale at that moment, by popularity and season; -1 where none is found."""
    item = np.full(len(at), -1, dtype=np.int64)
    open_ = np.arange(len(at))
    for attempt in range(2 * _TRIES):
        # At first the season has a say, then anything on sale will do, and at last anything in the shop.
        wide = attempt >= _TRIES + _TRIES // 2
        drawn = shelves.draw(
            rng,
            np.zeros_like(open_) if wide else low[open_],
            np.full_like(open_, len(catalogue)) if wide else high[open_],
        )
        released = catalogue.released[drawn]
        taken: Flags = released <= at[open_]
        if attempt < _TRIES:
            appeal = calendar.appeal(catalogue.leaf[drawn], released, at[open_])
            taken &= integers(rng, 1_000_000, len(open_)) < appeal
        item[open_[taken]] = drawn[taken]
        open_ = open_[~taken]
        if not len(open_):
            break
    return item
