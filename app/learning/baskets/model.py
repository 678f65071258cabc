"""The rules of a shop: fitted to its baskets, kept as plain arrays, looked up by cart."""

from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass, fields
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from app.learning.baskets.baskets import Baskets, baskets_of
from app.learning.baskets.itemsets import Ints, Items, least_count
from app.learning.baskets.mining import HANDFUL, bounded_itemsets
from app.learning.baskets.rules import Rules, mine_rules
from app.learning.baskets.significance import chance_of, discoveries
from app.learning.dataset import Dataset, Histories
from app.learning.recommenders.base import Arrays, Config, NotEnoughData, Scores

CANDIDATES_AT_ONCE: Final = 1_000_000
"""Pairs of a cart and a rule that are compared at once, besides those of a single cart."""


class RulesConfig(Config):
    """Recipe of a shop's rules."""

    pause_minutes: float = Field(default=30.0, ge=0.0)
    """Purchases of one customer that are no further apart are one basket."""
    min_support: float | None = Field(default=None, gt=0.0, le=1.0)
    """Least share of baskets with all items of a rule; None: a handful of baskets."""
    min_confidence: float = Field(default=0.1, ge=0.0, le=1.0)
    """Least share of the baskets with the antecedent that hold the consequent."""
    min_lift: float = Field(default=1.0, ge=0.0)
    """Least lift; whatever it is, rules that may be chance are left out."""
    max_length: int = Field(default=4, ge=2, le=10)
    """Most items of a rule."""
    max_itemsets: int = Field(default=200_000, ge=100, le=10_000_000)
    """Most itemsets; where there are more, the support is raised until there are not."""
    max_rules: int = Field(default=100_000, ge=1, le=10_000_000)
    """Most rules; the best are kept."""
    false_discoveries: float = Field(default=0.05, gt=0.0, lt=1.0)
    """Share of the rules that may be chance."""


@dataclass(frozen=True)
class Thresholds:
    """What was used, whether it was given or found."""

    n_baskets: int
    n_items: int
    min_count: int
    """Least number of baskets with all items of a rule."""
    max_length: int
    min_confidence: float
    min_lift: float
    false_discoveries: float
    n_itemsets: int
    n_tested: int
    """Rules that were tested for chance."""

    @property
    def min_support(self) -> float:
        return self.min_count / self.n_baskets


@dataclass(frozen=True)
class Carts:
    """The best consequents for a batch of carts, and the rules that say so."""

    items: Items
    """`(n_batch, n)`, the best first; -1 where there are no more."""
    scores: Scores
    """Confidence times lift of the rule; 0 where there are no more."""
    rules: Ints
    """Place of the rule; -1 where there are no more."""


@dataclass(frozen=True)
class RuleModel:
    """Rules with one item as the consequent, the strongest first.

    Strength is confidence times lift; among equals the lower consequent comes first, then the shorter and
    lower antecedent.
    """

    rules: Rules
    thresholds: Thresholds

    @cached_property
    def strength(self) -> Scores:
        """Confidence times lift, `(n_rules,)`."""
        return np.asarray(self.rules.confidence * self.rules.lift, dtype=np.float32)

    def holding(self, item: int) -> Ints:
        """Rules with the item on either side, the strongest first."""
        held = self.rules.consequents[:, 0] == item
        for column in self.rules.antecedents.T:
            held |= column == item
        return np.flatnonzero(held)

    def best(self, carts: Baskets, n: int) -> Carts:
        """The `n` strongest consequents that are not in each cart, each with its strongest rule."""
        items = np.full((len(carts), n), -1, dtype=np.int32)
        scores = np.zeros((len(carts), n), dtype=np.float32)
        rules = np.full((len(carts), n), -1, dtype=np.int64)
        for row, rule in self._strongest(carts):
            place = np.arange(len(row)) - np.searchsorted(row, row)
            row, rule, place = row[place < n], rule[place < n], place[place < n]
            items[row, place] = self.rules.consequents[rule, 0]
            scores[row, place] = self.strength[rule]
            rules[row, place] = rule
        return Carts(items, scores, rules)

    def score(self, histories: Histories) -> Scores:
        """Strength of the strongest rule for each item, `(n_batch, n_items)`; 0 without one.

        Items of the history score 0: they are in the cart.
        """
        matrix = histories.matrix.tocoo()
        carts = Baskets.from_pairs(
            matrix.row[matrix.data > 0], matrix.col[matrix.data > 0], len(histories), self.thresholds.n_items
        )
        scores = np.zeros(matrix.shape, dtype=np.float32)
        for row, rule in self._strongest(carts):
            scores[row, self.rules.consequents[rule, 0]] = self.strength[rule]
        return scores

    def arrays(self) -> dict[str, NDArray[Any]]:
        columns = {column.name: getattr(self.rules, column.name) for column in fields(Rules)}
        return columns | {"thresholds": np.array(astuple(self.thresholds), dtype=np.float64)}

    @classmethod
    def from_arrays(cls, config: RulesConfig, arrays: Arrays) -> Self:
        rules = Rules(**{column.name: arrays[column.name] for column in fields(Rules)})
        values = zip(fields(Thresholds), arrays["thresholds"].tolist(), strict=True)
        # Counts are exact as floats.
        given = {field.name: int(value) if field.type is int else value for field, value in values}
        return cls(rules, Thresholds(**given))

    def describe(self, rules: Ints) -> list[dict[str, Any]]:
        """The rules as plain values for JSON; a conviction that is infinite is null."""
        chosen = self.rules.where(rules)
        numbers = ("count", "support", "confidence", "lift", "leverage", "conviction")
        columns = [getattr(chosen, name).tolist() for name in numbers]
        return [
            {"antecedent": [item for item in antecedent if item >= 0], "consequent": consequent}
            | {name: value if value != np.inf else None for name, value in zip(numbers, values, strict=True)}
            for antecedent, (consequent,), *values in zip(
                chosen.antecedents.tolist(), chosen.consequents.tolist(), *columns, strict=True
            )
        ]

    def summary(self) -> dict[str, Any]:
        """Thresholds and number of rules, as plain values for JSON."""
        support = {"min_support": self.thresholds.min_support}
        return asdict(self.thresholds) | support | {"n_rules": len(self.rules)}

    @cached_property
    def _keyed(self) -> tuple[Ints, Ints]:
        """Rules by the item of the antecedent that the fewest rules have: where each item's begin, and all.

        A rule is looked at only for carts that hold this item.
        """
        antecedents, n_items = self.rules.antecedents, self.thresholds.n_items
        # The place after the last is that of the padding, which no rule is to be found by.
        common = np.bincount(antecedents[antecedents >= 0], minlength=n_items + 1)
        common[-1] = len(antecedents) + 1
        rarest = common[antecedents].argmin(axis=1)
        key = antecedents[np.arange(len(antecedents)), rarest]
        begins = np.concatenate([[0], np.cumsum(np.bincount(key, minlength=n_items))])
        return begins, np.argsort(key, kind="stable")

    def _strongest(self, carts: Baskets) -> Iterator[tuple[Ints, Ints]]:
        """Carts and rules: for each cart and consequent that is not in it the first rule.

        A part of the carts at a time, so that memory is bounded; in order of carts, then rules.
        """
        begins, _ = self._keyed
        sizes = begins[carts.indices + 1] - begins[carts.indices]
        before = np.concatenate([[0], np.cumsum(sizes)])[carts.indptr]
        cuts = np.flatnonzero(np.diff(before[:-1] // CANDIDATES_AT_ONCE)) + 1
        bounds = [0, *cuts.tolist(), len(carts)]
        for first, end in pairwise(bounds):
            indptr = carts.indptr[first : end + 1]
            part = Baskets(indptr - indptr[0], carts.indices[indptr[0] : indptr[-1]], carts.n_items)
            row, rule = self._strongest_of(part)
            yield row + first, rule

    def _strongest_of(self, carts: Baskets) -> tuple[Ints, Ints]:
        begins, keyed = self._keyed
        sizes = begins[carts.indices + 1] - begins[carts.indices]
        ends = np.cumsum(sizes)
        row = np.repeat(carts.rows, sizes)
        place = np.arange(len(row)) + np.repeat(begins[carts.indices] - ends + sizes, sizes)
        rule = keyed[place]
        held = carts.rows * self.thresholds.n_items + carts.indices
        for column in self.rules.antecedents.T:
            item = column[rule]
            matched = (item < 0) | self._among(held, row, item)
            row, rule = row[matched], rule[matched]
        fresh = ~self._among(held, row, self.rules.consequents[rule, 0])
        row, rule = row[fresh], rule[fresh]
        order = np.lexsort((rule, row))
        row, rule = row[order], rule[order]
        consequent = row * self.thresholds.n_items + self.rules.consequents[rule, 0]
        first = np.sort(np.unique(consequent, return_index=True)[1])
        return row[first], rule[first]

    def _among(self, held: Ints, row: Ints, item: Items) -> NDArray[np.bool_]:
        """Whether each cart holds the item; `held` are the ascending names of what they hold."""
        wanted = row * self.thresholds.n_items + item
        found = np.minimum(np.searchsorted(held, wanted), len(held) - 1)
        return np.asarray(held[found] == wanted)


def fit(config: RulesConfig, dataset: Dataset, rng: np.random.Generator) -> RuleModel:
    """The rules of a shop's purchases; see `fit_baskets`."""
    return fit_baskets(config, baskets_of(dataset, config.pause_minutes))


def fit_baskets(config: RulesConfig, baskets: Baskets) -> RuleModel:
    """Rules that are no chance, as strong as the recipe wants them; there may be none.

    Each rule of the itemsets is tested against independence (Fisher's exact test), and of those that pass
    `false_discoveries` are expected to be chance (Benjamini & Hochberg 1995). Only then do the thresholds of
    confidence and lift come, so that they do not choose what is tested. Raises `NotEnoughData` where fewer
    than five baskets hold two items.
    """
    several = int((np.diff(baskets.indptr) > 1).sum())
    if several < HANDFUL:
        raise NotEnoughData(f"rules need {HANDFUL} baskets of at least two items, there are {several}")
    start = HANDFUL if config.min_support is None else least_count(config.min_support, len(baskets))
    itemsets, max_length = bounded_itemsets(baskets, config.max_itemsets, config.max_length, start)
    rules = mine_rules(itemsets)
    chances = chance_of(rules.count, rules.antecedent_count, rules.consequent_count, len(baskets))
    chosen = discoveries(chances, config.false_discoveries)
    chosen &= (rules.confidence >= config.min_confidence) & (rules.lift >= config.min_lift)
    thresholds = Thresholds(
        n_baskets=len(baskets),
        n_items=baskets.n_items,
        min_count=itemsets.min_count,
        max_length=max_length,
        min_confidence=config.min_confidence,
        min_lift=config.min_lift,
        false_discoveries=config.false_discoveries,
        n_itemsets=len(itemsets),
        n_tested=len(rules),
    )
    return RuleModel(_strongest_first(rules.where(chosen), config.max_rules), thresholds)


def _strongest_first(rules: Rules, most: int) -> Rules:
    strength = rules.confidence * rules.lift
    lengths = (rules.antecedents >= 0).sum(axis=1)
    ties = (*rules.antecedents.T[::-1], lengths, rules.consequents[:, 0])
    return rules.where(np.lexsort((*ties, -strength))[:most])
