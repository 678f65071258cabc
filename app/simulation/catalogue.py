"""The products of the simulated shop: tastes, categories, prices, popularity, releases, companions."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.simulation.chance import Floats, Ints, bell, integers
from app.simulation.config import DAY_MS, ShopConfig
from app.simulation.words import (
    BENEFITS,
    BRAND_ENDS,
    BRAND_STARTS,
    CHINESE_BENEFITS,
    CHINESE_COLOURS,
    CHINESE_STYLES,
    COLOURS,
    EDIBLE_BENEFITS,
    LEAVES,
    STYLES,
)

_BRANDS: Final = tuple(start + end for end in BRAND_ENDS for start in BRAND_STARTS)
_FAVOURITES = 4
"""Styles and brands that each taste favours."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All items, one array entry each; shapes are (items,) unless said otherwise."""

    currency: str
    niches: int
    """Niches per taste. A niche is a small group of items within a taste, mostly of one leaf category."""
    niche_leaf: Ints
    """Main leaf category of each niche; that of taste t and niche j is at t * `niches` + j."""
    taste: Ints
    niche: Ints
    """Niche within the taste, 0 to `niches` - 1."""
    leaf: Ints
    style: Ints
    material: Ints
    noun: Ints
    colour: Ints
    brand: Ints
    benefit: Ints
    chinese: NDArray[np.bool_]
    price: Ints
    """Price in hundredths of the currency."""
    cost: Ints
    """Cost in hundredths of the currency."""
    released: Ints
    """When it came or comes on sale, ms since the epoch."""
    availability: NDArray[np.str_]
    popularity: Ints
    """Zipf weight, at least 1."""
    quality: Floats
    """How much better than the mean its ratings are, in points."""
    refill: Ints
    """Days until a customer needs it again; 0: durable."""
    partner: Ints
    """The item it is bought together with, or -1."""

    def __len__(self) -> int:
        return len(self.taste)

    def wire(self) -> Iterator[dict[str, Any]]:
        """The items as the HTTP contract takes them, in order of their index."""
        for index in range(len(self)):
            yield self._item(index)

    def _item(self, i: int) -> dict[str, Any]:
        leaf = LEAVES[self.leaf[i]]
        noun, material = leaf.nouns[self.noun[i]], leaf.materials[self.material[i]]
        style, colour, brand = STYLES[self.style[i]], COLOURS[self.colour[i]], _BRANDS[self.brand[i]]
        department, category = leaf.path.split(" > ")
        if self.chinese[i]:
            tone = CHINESE_STYLES[self.style[i] % len(CHINESE_STYLES)]
            title = f"{tone}{leaf.chinese}" + ("" if leaf.refill else f" {CHINESE_COLOURS[self.colour[i]]}")
            benefit = CHINESE_BENEFITS[self.benefit[i]]
            description = f"{brand}出品的{tone}{leaf.chinese}，{benefit}。"
        else:
            benefits = EDIBLE_BENEFITS if leaf.refill else BENEFITS
            # Coffee comes in no colour.
            title = f"{style} {material} {noun}" + ("" if leaf.refill else f", {colour}")
            description = (
                f"A {style.lower()} {noun.lower()} by {brand} for your {category.lower()} collection. "
                f"{benefits[self.benefit[i]]}."
            )
        return {
            "item_id": item_id(i),
            "title": title,
            "description": description,
            "categories": [leaf.path],
            "brand": brand,
            "price": int(self.price[i]) / 100,
            "cost": int(self.cost[i]) / 100,
            "currency": self.currency,
            "tags": [style.lower(), department.lower(), *(["refill"] if leaf.refill else [])],
            "url": f"https://shop.example/products/{item_id(i)}",
            "availability": str(self.availability[i]),
            "available_from": rfc3339(self.released[i : i + 1])[0],
            "attributes": {"material": material.lower()}
            | ({} if leaf.refill else {"colour": colour.lower()}),
        }


def item_id(index: int) -> str:
    """The external id of an item."""
    return f"i{index:06d}"


def rfc3339(at_ms: Ints) -> list[str]:
    """Moments in RFC 3339, UTC, with milliseconds."""
    return [f"{text}Z" for text in np.datetime_as_string(at_ms.astype("datetime64[ms]"))]


def stock(config: ShopConfig, rng: np.random.Generator) -> Catalogue:
    """The catalogue of a shop."""
    n, tastes = config.items, config.tastes
    # Niches grow with the root of the catalogue: a big shop has both more of them and larger ones.
    niches = max(1, isqrt(n // tastes) // 2)
    taste, niche = rng.permutation(n) % tastes, integers(rng, niches, n)
    # Each taste owns some leaves, its niches share these, and one item in eight lies elsewhere: the category
    # hints at the taste without giving it away.
    dealt, owned = rng.permutation(len(LEAVES)), max(1, len(LEAVES) // tastes)
    group = np.arange(tastes * niches)
    niche_leaf = dealt[(group // niches + tastes * (group % niches % owned)) % len(LEAVES)]
    elsewhere = rng.random(n) < 0.125
    leaf = np.where(elsewhere, integers(rng, len(LEAVES), n), niche_leaf[taste * niches + niche])

    refill = np.array([entry.refill for entry in LEAVES])[leaf]
    typical = np.array([entry.price for entry in LEAVES])[leaf]
    price = np.rint(typical * np.exp(0.4 * bell(rng, n))).astype(np.int64).clip(2) * 100 - 1
    popularity = np.rint(1e6 / (rng.permutation(n) + 4.0) ** 0.8).astype(np.int64).clip(1)
    chinese = _some(rng, config.chinese_share, n)

    released = _releases(config, rng, popularity)
    availability = np.where(_some(rng, config.out_of_stock_share, n), "out_of_stock", "in_stock")
    availability = np.where(released >= config.end_ms, "preorder", availability)
    return Catalogue(
        currency=config.currency,
        niches=niches,
        niche_leaf=niche_leaf,
        taste=taste,
        niche=niche,
        leaf=leaf,
        style=_favoured(rng, taste, len(STYLES)),
        material=integers(rng, np.array([len(entry.materials) for entry in LEAVES])[leaf], n),
        noun=integers(rng, np.array([len(entry.nouns) for entry in LEAVES])[leaf], n),
        colour=integers(rng, len(COLOURS), n),
        brand=_favoured(rng, taste, len(_BRANDS)),
        benefit=integers(rng, len(BENEFITS), n),
        chinese=chinese,
        price=price,
        cost=(price * (40 + integers(rng, 30, n)) // 100).clip(1),
        released=released,
        availability=availability,
        popularity=popularity,
        quality=0.65 * bell(rng, n),
        refill=refill,
        partner=_partners(rng, config.complement_share, taste, popularity, released < config.start_ms),
    )


def _some(rng: np.random.Generator, share: float, n: int) -> NDArray[np.bool_]:
    """Flags for that share of n places, rounded: a few are a few in a small shop too."""
    return rng.permutation(n) < round(share * n)


def _favoured(rng: np.random.Generator, taste: Ints, choices: int) -> Ints:
    """Mostly one of the few choices its taste favours, else any."""
    own = (taste * _FAVOURITES + integers(rng, _FAVOURITES, len(taste))) % choices
    return np.where(rng.random(len(taste)) < 0.65, own, integers(rng, choices, len(taste)))


def _releases(config: ShopConfig, rng: np.random.Generator, popularity: Ints) -> Ints:
    """Most items are older than the history; some come during it; one in a hundred is announced for later."""
    n = config.items
    before = config.start_ms - DAY_MS * (1 + integers(rng, 730, n))
    during = config.start_ms + DAY_MS * integers(rng, config.days, n)
    later = config.end_ms + DAY_MS * (1 + integers(rng, 30, n))
    place = rng.permutation(n)
    late = round(0.01 * n)
    released = np.where(place < late, later, before)
    released = np.where((place >= late) & (place < late + round(config.release_share * n)), during, released)
    # Whatever is drawn, there is something to buy on the first day.
    best = int(np.argmax(popularity))
    released[best] = before[best]
    return released + 9 * 3_600_000


def _partners(
    rng: np.random.Generator, share: float, taste: Ints, popularity: Ints, old: NDArray[np.bool_]
) -> Ints:
    """Disjoint pairs of companions, both of one taste, best-sellers first, on sale before the history."""
    partner = np.full(len(taste), -1, dtype=np.int64)
    shuffled = rng.permutation(len(taste))
    shuffled = shuffled[old[shuffled]]
    best = shuffled[np.argsort(-popularity[shuffled], kind="stable")][: round(share * len(taste))]
    # The most popular items would be companions of each other: shuffled again within the chosen ones.
    chosen = best[rng.permutation(len(best))]
    for cluster in range(int(taste.max()) + 1):
        members = chosen[taste[chosen] == cluster]
        half = len(members) // 2
        partner[members[:half]] = members[half : 2 * half]
        partner[members[half : 2 * half]] = members[:half]
    return partner
