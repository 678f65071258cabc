"""What the demo knows of the simulated shop and the service has to find out."""

from collections import Counter
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.simulation.catalogue import item_id
from app.simulation.customers import LIFE_CYCLES, user_id
from app.simulation.log import EVENTS, PURCHASE
from app.simulation.shop import Shop

_WORDS = 3
_POSITIVE = np.array([EVENTS.index(name) for name in ("view_item", "select_item", "add_to_cart", "purchase")])


class Knowledge:
    """The catalogue, the ground truth, and who is worth a look. Users and items by index."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.truth = shop.truth
        self.items: list[dict[str, Any]] = list(shop.items())
        self.index = {item["item_id"]: number for number, item in enumerate(self.items)}

    def title(self, external_id: str) -> str:
        """The title of an item by its id."""
        number = self.index.get(external_id)
        return external_id if number is None else str(self.items[number]["title"])

    def suits(self, user: int, external_id: str) -> bool:
        """Whether an item is of the user's taste."""
        return bool(self.truth.item_taste[self.index[external_id]] == self.truth.user_taste[user])

    def taste_words(self, taste: int) -> str:
        """The categories in which most items of a taste lie."""
        leaves = Counter(
            self.items[number]["categories"][0].split(" > ")[-1]
            for number in np.flatnonzero(self.truth.item_taste == taste)
        )
        return ", ".join(name for name, _ in leaves.most_common(_WORDS))

    @cached_property
    def active(self) -> NDArray[np.int64]:
        """Interactions of each user. Shape (users,)."""
        user = self.shop.columns.user
        return np.bincount(user[user >= 0], minlength=self.shop.config.users)

    @cached_property
    def bought(self) -> NDArray[np.int64]:
        """Purchases of each user. Shape (users,)."""
        columns = self.shop.columns
        rows = (columns.user >= 0) & (columns.event == PURCHASE)
        return np.bincount(columns.user[rows], minlength=self.shop.config.users)

    def seen(self, user: int) -> set[str]:
        """Ids of the items that a user interacted with."""
        columns = self.shop.columns
        return {item_id(number) for number in np.unique(columns.item[columns.user == user]).tolist()}

    def customers(self) -> list[int]:
        """A customer of each of three kinds, of different tastes where possible, typical of their kind."""
        chosen: list[int] = []
        for kind in ("loyal", "new", "lapsed"):
            group = (self.truth.life_cycle == LIFE_CYCLES.index(kind)) & (self.bought >= 2)
            fresh = group & ~np.isin(self.truth.user_taste, self.truth.user_taste[chosen])
            members = np.flatnonzero(fresh if fresh.any() else group)
            if len(members):
                distance = np.abs(self.bought[members] - np.median(self.bought[members]))
                chosen.append(int(members[np.argmin(distance)]))
        return chosen or [int(np.argmax(self.active))]

    def sample(self, count: int) -> list[int]:
        """Customers with a history of three interactions or more, evenly over the whole list."""
        some = np.flatnonzero(self.active >= 3)
        places = np.linspace(0, len(some) - 1, min(count, len(some))).astype(np.int64)
        return [int(user) for user in some[np.unique(places)]]

    def offered(self, taste: int, count: int) -> list[str]:
        """The most looked-at items of a taste that can be bought now, of one niche first."""
        looks = np.bincount(
            self.shop.columns.item[np.isin(self.shop.columns.event, _POSITIVE)], minlength=len(self.items)
        )
        niches = np.where(self.truth.item_taste == taste, self.truth.item_niche, -1)
        niche = np.bincount(niches[niches >= 0], weights=looks[niches >= 0]).argmax()
        order = np.lexsort((-looks, niches != niche, niches < 0))
        found = [self.items[number] for number in order if self.items[number]["availability"] == "in_stock"]
        return [str(item["item_id"]) for item in found[:count]]

    def pairs(self) -> list[tuple[str, str]]:
        """Items that are bought together, both to be had, the best known first."""
        looks = np.bincount(self.shop.columns.item, minlength=len(self.items))
        pairs = sorted(self.truth.complements.tolist(), key=lambda pair: -int(looks[pair].min()))
        return [
            (item_id(one), item_id(other))
            for one, other in pairs
            if all(self.items[number]["availability"] == "in_stock" for number in (one, other))
        ]

    def category(self, external_id: str) -> str:
        """The category of an item by its id."""
        return str(self.items[self.index[external_id]]["categories"][0])

    def name(self, user: int) -> str:
        """A user in words: id, kind, taste."""
        taste = self.taste_words(int(self.truth.user_taste[user]))
        return f"{user_id(user)}, a {self.truth.life_cycle_of(user)} customer (true taste: {taste})"
