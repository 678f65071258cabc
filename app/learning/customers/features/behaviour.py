"""The features of every customer from the log, as of a moment, in blocks of customers."""

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from app.learning.customers.features.attributes import AttributeTable
from app.learning.customers.features.definitions import (
    FEATURES,
    PAUSE_MINUTES,
    TREND_DAYS,
    USUAL_PRICE_SHARE,
    WINDOWS,
)
from app.learning.customers.features.grouping import changes, count, gaps, ratio, total
from app.learning.customers.features.table import FeatureTable
from app.learning.dataset import DAY_MS, Dataset, InteractionLog

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_USERS_AT_ONCE: Final = 100_000
_RECENT_DAYS: Final = 30
_FIRST_MONDAY: Final = 4
"""1970-01-01 was a Thursday; counted in days, Mondays are 4, 11, 18, …"""
_DAYPARTS: Final = ("night_share", "morning_share", "afternoon_share", "evening_share")


@dataclass(frozen=True)
class ItemFacts:
    """What the features of customers need to know of the items."""

    category: NDArray[np.int32]
    """Of each item, `(n_items,)`; -1: none."""
    usual_price: Floats
    """Median price of each item, `(n_items,)`; NaN where none is known."""
    begins: Ints
    """Moment of the shop's first event, ms, `(1,)`: what never happened lies at least so far back."""

    def with_unknown(self, n: int) -> Self:
        """With `n` more items at the end, of which nothing is known."""
        return replace(
            self,
            category=np.append(self.category, np.full(n, -1, dtype=np.int32)),
            usual_price=np.append(self.usual_price, np.full(n, np.nan)),
        )


@dataclass(frozen=True)
class _Shop:
    """What the features of all customers refer to."""

    as_of: int
    event_names: tuple[str, ...]
    items: ItemFacts

    @property
    def never(self) -> float:
        """Days since the shop's first event, for what never happened."""
        return max(0.0, (self.as_of - int(self.items.begins[0])) / DAY_MS)


def item_facts(dataset: Dataset, as_of: int | None = None) -> ItemFacts:
    """Facts of the items from the log before `as_of` (ms; None: all of it)."""
    log = dataset.log.where(_until(dataset, as_of))
    bought = log.where(_happened(dataset.event_names, log, "purchase"))
    end = dataset.as_of if as_of is None else as_of
    begins = np.array([log.occurred_at[0] if len(log) else end], dtype=np.int64)
    return ItemFacts(_categories(dataset.items.categories), _usual_prices(bought, dataset.n_items), begins)


def customer_features(
    dataset: Dataset,
    as_of: int | None = None,
    attributes: AttributeTable | None = None,
    facts: ItemFacts | None = None,
) -> FeatureTable:
    """Behaviour of every user from the log before `as_of` (ms; None: all of it, as of the data set's moment).

    Sessions are left out; an event's item may be -1, for none. Attributes, if given, are further columns,
    one row per user. Raises `ValueError` where they are not. `facts` of the items are those of the log,
    unless others are given (for a few customers, say, those of the whole shop).
    """
    n_users = dataset.n_users
    log = dataset.log.where(_until(dataset, as_of))
    if attributes is not None and len(attributes.values) != n_users:
        raise ValueError(f"attributes of {len(attributes.values)} users were given, there are {n_users}")
    shop = _Shop(
        dataset.as_of if as_of is None else as_of,
        dataset.event_names,
        item_facts(dataset, as_of) if facts is None else facts,
    )
    # In order of user, each user's events in order of time.
    order = np.argsort(log.subject, kind="stable")
    edges = np.append(np.arange(0, n_users, _USERS_AT_ONCE), n_users)
    rows = np.searchsorted(log.subject, edges, sorter=order)
    own = 0 if attributes is None else len(attributes.columns)
    # Columns lie together: each is written, and read, at a stroke.
    values = np.zeros((n_users, len(FEATURES) + own), order="F")
    for block, first in enumerate(edges[:-1].tolist()):
        part = slice(first, int(edges[block + 1]))
        columns = _columns(log.where(order[rows[block] : rows[block + 1]]), first, part.stop - first, shop)
        for place, feature in enumerate(FEATURES):
            values[part, place] = columns[feature.name]
    names = tuple(feature.name for feature in FEATURES)
    units = tuple(feature.unit for feature in FEATURES)
    meanings = tuple(feature.meaning for feature in FEATURES)
    known = values[:, names.index("interactions")] > 0
    if attributes is not None:
        values[:, len(FEATURES) :] = attributes.values
        names, units, meanings = (
            names + attributes.names,
            units + attributes.units,
            meanings + attributes.names,
        )
    return FeatureTable(names, units, values, known, meanings)


def _columns(log: InteractionLog, first: int, n: int, shop: _Shop) -> dict[str, Floats]:
    """All features of the users `first … first + n - 1`, whose events are `log`, by user and time."""
    user = log.subject.astype(np.int64) - first
    age = np.maximum((shop.as_of - log.occurred_at) / DAY_MS, 0.0)
    day = log.occurred_at // DAY_MS
    interactions = count(user, n)
    known = interactions > 0
    newest = np.cumsum(interactions.astype(np.int64)) - 1
    oldest = newest + 1 - interactions.astype(np.int64)
    recency, tenure = np.zeros(n), np.zeros(n)
    recency[known], tenure[known] = age[newest[known]], age[oldest[known]]
    new_day = changes(user, day)
    active_days = count(user[new_day], n)
    item = log.item.astype(np.int64)
    by_item = np.lexsort((item, user))
    distinct = changes(user[by_item], item[by_item]) & (item[by_item] >= 0)
    in_window = {days: age < days for days in WINDOWS}
    service = _contacts(shop.event_names, log)
    complaint = _happened(shop.event_names, log, "service_contact:complaint")
    hour = (log.occurred_at % DAY_MS) // (DAY_MS // 24)
    recent, before = age < TREND_DAYS, (age >= TREND_DAYS) & (age < 2 * TREND_DAYS)
    columns = {
        "recency_days": recency,
        "tenure_days": tenure,
        "interactions": interactions,
        "active_days": active_days,
        # A gap that has not ended: at least as long as the time since.
        "median_gap_days": np.where(active_days >= 2, gaps(user[new_day], day[new_day], n)[0], recency),
        "distinct_items": count(user[by_item][distinct], n),
        "recent_share": ratio(count(user[age <= _RECENT_DAYS], n), interactions),
        "weekend_share": ratio(count(user[(day - _FIRST_MONDAY) % 7 >= 5], n), interactions),
        **{
            name: ratio(count(user[hour // 6 == part], n), interactions)
            for part, name in enumerate(_DAYPARTS)
        },
        **{f"interactions_{days}d": count(user[inside], n) for days, inside in in_window.items()},
        "interactions_trend": _trend(count(user[recent], n), count(user[before], n)),
        "service_contacts": count(user[service], n),
        "complaints": count(user[complaint], n),
        "service_recency_days": np.where(
            count(user[service], n) > 0,
            _newest(user[service], age[service], n),
            np.where(known, shop.never, 0),
        ),
        **_visits(log, user, shop, n),
    }
    return columns | _buying(log, user, age, columns, shop)


def _buying(
    log: InteractionLog, user: Ints, age: Floats, columns: dict[str, Floats], shop: _Shop
) -> dict[str, Floats]:
    """What was bought, when and for how much."""
    n = len(columns["tenure_days"])
    purchase = _happened(shop.event_names, log, "purchase")
    refund = _happened(shop.event_names, log, "refund")
    viewed = _happened(shop.event_names, log, "view_item", "select_item")
    amount = log.price.astype(np.float64) * log.quantity
    amount = np.where(np.isfinite(amount), amount, 0.0)
    signed = np.where(purchase, amount, 0.0) - np.where(refund, amount, 0.0)
    # To a millionth of the currency: what sums of floats leave over is on no price tag.
    monetary = np.round(total(user, signed, n), 6)
    refunds, views = count(user[refund], n), count(user[viewed], n)
    log, user, age, amount = log.where(purchase), user[purchase], age[purchase], amount[purchase]
    day = log.occurred_at // DAY_MS
    units = np.maximum(np.where(np.isfinite(log.quantity), log.quantity, 0.0), 0.0).astype(np.float64)
    price = log.price.astype(np.float64)
    lines = count(user, n)
    new_day = changes(user, day)
    day_user, frequency = user[new_day], count(user[new_day], n)
    median, spread = gaps(day_user, day[new_day], n)
    never = np.where(columns["interactions"] > 0, shop.never, 0.0)
    recency = np.where(frequency > 0, _newest(user, age, n), never)
    gap = np.where(frequency >= 2, median, recency)
    # The newest purchase of a day decides whether the day is in a window; a day's rows are in order of time.
    last_of_day = np.append(new_day[1:], True) if len(user) else new_day
    priced = np.isfinite(price) & np.isfinite(shop.items.usual_price[log.item])
    cheap = priced & (price < USUAL_PRICE_SHARE * np.where(priced, shop.items.usual_price[log.item], 0.0))
    spent = np.maximum(amount, 0.0)
    recent, before = age < TREND_DAYS, (age >= TREND_DAYS) & (age < 2 * TREND_DAYS)
    return {
        "frequency": frequency,
        "monetary": monetary,
        "purchase_value": monetary / np.maximum(frequency, 1),
        "views_per_purchase": views / np.maximum(lines, 1),
        "refund_share": np.where(lines > 0, np.minimum(refunds / np.maximum(lines, 1), 1), 0),
        "purchase_recency_days": recency,
        "purchase_tenure_days": _oldest(user, age, n),
        "purchase_gap_days": gap,
        "purchase_gap_spread_days": spread,
        "purchase_overdue": np.where(gap > 0, recency / np.where(gap > 0, gap, 1.0), 0.0),
        "basket_lines": lines / np.maximum(frequency, 1),
        "basket_units": total(user, units, n) / np.maximum(frequency, 1),
        "discount_share": ratio(total(user[cheap], units[cheap], n), total(user[priced], units[priced], n)),
        **_categories_bought(user, shop.items.category[log.item].astype(np.int64), spent, n),
        **{f"frequency_{days}d": count(user[last_of_day & (age < days)], n) for days in WINDOWS},
        **{f"spend_{days}d": total(user[age < days], spent[age < days], n) for days in WINDOWS},
        "spend_trend": _trend(total(user[recent], spent[recent], n), total(user[before], spent[before], n)),
    }


def _visits(log: InteractionLog, user: Ints, shop: _Shop, n: int) -> dict[str, Floats]:
    """What the shop itself does, refunds and contacts with its service, is no visit."""
    visiting = ~(_happened(shop.event_names, log, "refund") | _contacts(shop.event_names, log))
    user, at = user[visiting], log.occurred_at[visiting]
    new = changes(user)
    new[1:] |= np.diff(at) > PAUSE_MINUTES * 60_000
    visit = np.cumsum(new) - 1
    buying = count(visit[_happened(shop.event_names, log, "purchase")[visiting]], int(new.sum())) > 0
    visits = count(user[new], n)
    return {"visits": visits, "visits_without_purchase": ratio(visits - count(user[new][buying], n), visits)}


def _categories_bought(user: Ints, category: Ints, spent: Floats, n: int) -> dict[str, Floats]:
    some = (category >= 0) & (spent > 0)
    user, category, spent = user[some], category[some], spent[some]
    order = np.lexsort((category, user))
    user, category, spent = user[order], category[order], spent[order]
    new = changes(user, category)
    money = total(np.cumsum(new) - 1, spent, int(new.sum()))
    owner = user[new]
    whole = total(owner, money, n)
    share = money / whole[owner]
    largest = np.zeros(n)
    np.maximum.at(largest, owner, share)
    entropy = total(owner, -share * np.log(np.maximum(share, 1e-300)), n)
    return {
        "top_category_share": largest,
        "category_diversity": np.where(whole > 0, np.exp(entropy), 0.0),
    }


def _trend(recent: Floats, before: Floats) -> Floats:
    return ratio(recent - before, recent + before)


def _newest(user: Ints, age: Floats, n: int) -> Floats:
    """Age of each user's last row; 0 without any. Rows are by user and time."""
    newest = np.zeros(n)
    newest[user] = age  # what is written last stays
    return newest


def _oldest(user: Ints, age: Floats, n: int) -> Floats:
    return _newest(user[::-1], age[::-1], n)


def _until(dataset: Dataset, as_of: int | None) -> slice:
    """Rows of the log before a moment."""
    at = dataset.log.occurred_at
    return slice(0, len(at) if as_of is None else int(np.searchsorted(at, as_of, side="left")))


def _happened(names: tuple[str, ...], log: InteractionLog, *wanted: str) -> NDArray[np.bool_]:
    return np.isin(log.event, [place for place, name in enumerate(names) if name in wanted])


def _contacts(names: tuple[str, ...], log: InteractionLog) -> NDArray[np.bool_]:
    """Contacts with the service, whatever they were about."""
    return _happened(names, log, *(name for name in names if name.split(":")[0] == "service_contact"))


def _categories(paths: list[list[str]]) -> NDArray[np.int32]:
    """Number of the top level of each item's first category; -1 without one."""
    numbers: dict[str, int] = {"": -1}
    tops = [of_item[0].split(">")[0].strip() if of_item else "" for of_item in paths]
    return np.array([numbers.setdefault(top, len(numbers) - 1) for top in tops], dtype=np.int32)


def _usual_prices(purchases: InteractionLog, n_items: int) -> Floats:
    """Median price at which each item was bought, `(n_items,)`; NaN where no positive one is known."""
    known = np.isfinite(purchases.price) & (purchases.price > 0)
    item, price = purchases.item[known], purchases.price[known].astype(np.float64)
    order = np.lexsort((price, item))
    price = price[order]
    lines = np.bincount(item, minlength=n_items)
    start = np.cumsum(lines) - lines
    some = lines > 0
    median = np.full(n_items, np.nan)
    low, high = start[some] + (lines[some] - 1) // 2, start[some] + lines[some] // 2
    median[some] = (price[low] + price[high]) / 2
    return median
