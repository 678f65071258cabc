"""Items as weighted counts of all that a catalogue says of them."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array, hstack

from app.learning.dataset import ItemTable
from app.learning.matrices import reweighted
from app.learning.recommenders import chinese
from app.learning.recommenders.attributes import (
    attribute_numbers,
    attribute_terms,
    attribute_values,
    numeric_attributes,
)
from app.learning.recommenders.base import Arrays, Config
from app.learning.recommenders.characters import CharacterGrams
from app.learning.recommenders.price_levels import PriceLevels
from app.learning.recommenders.shared_terms import Documents, SharedTerms
from app.learning.recommenders.soft_bins import SoftBins
from app.learning.recommenders.sparse import empty, entry_rows, narrow
from app.learning.recommenders.text import (
    N_FEATURES,
    category_terms,
    fold,
    hashed_counts,
    is_chinese,
    plain,
    spaced_words,
    words,
)

LEAST_SHARE = 0.05
"""Share of the items from which on prices are compared."""
CUT_CHARACTERS = 2_500_000
"""Chinese characters that jieba cuts in one catalogue, about: four seconds."""
_LEAST_CUT, _MOST_CUT = 20, 1_000
_TITLE_WORDS = 30
"""Words of a title whose characters are looked at."""
_NOTHING: dict[str, float] = {}  # one for all: most items have no numbers

_log = logging.getLogger(__name__)


class FieldWeights(Config):
    title_weight: float = Field(default=3.0, ge=0.0)
    """Weight of the words of the title."""
    character_weight: float = Field(default=1.5, ge=0.0)
    """Weight of the characters of each word of the title: all runs of three to five of them together."""
    description_weight: float = Field(default=1.0, ge=0.0)
    """Weight of the words of the description."""
    category_weight: float = Field(default=2.0, ge=0.0)
    """Weight of each category path and of its prefixes."""
    brand_weight: float = Field(default=1.5, ge=0.0)
    """Weight of the brand, as one term."""
    tag_weight: float = Field(default=2.0, ge=0.0)
    """Weight of the words of the tags."""
    attribute_weight: float = Field(default=1.0, ge=0.0)
    """Weight of each attribute that is true, false, a short text or a list of those."""
    number_weight: float = Field(default=1.0, ge=0.0)
    """Weight of the price and of each numeric attribute."""


@dataclass(frozen=True)
class Reading:
    """What is taken from the fields of items before anything is weighed."""

    items: ItemTable
    title_words: list[str]
    """Distinct words of the titles, in order of their appearance."""
    has_word: csr_array
    """Ones where a title has a word, `(n, n_title_words)`."""
    categories: csr_array
    """Hashed categories, `(n, N_FEATURES)`."""
    numbers: list[dict[str, float]]
    """The numeric attributes of each item."""
    attribute_terms: Documents

    @classmethod
    def of(cls, items: ItemTable) -> Self:
        n = len(items.title)
        places: dict[str, int] = {}
        found: list[int] = []
        indptr = [0]
        for title in items.title:
            of_title = dict.fromkeys(spaced_words(title))
            found += sorted(places.setdefault(word, len(places)) for word in list(of_title)[:_TITLE_WORDS])
            indptr.append(len(found))
        ones = np.ones(len(found), dtype=np.float32)
        parts = (ones, np.array(found, dtype=np.int32), np.array(indptr, dtype=np.int32))
        attributes = items.attributes or [{}] * n
        return cls(
            items,
            list(places),
            csr_array(parts, shape=(n, len(places))),
            hashed_counts(map(category_terms, items.categories), n),
            [attribute_numbers(each) if each else _NOTHING for each in attributes],
            Documents.of(map(attribute_terms, attributes)),
        )

    def __len__(self) -> int:
        return len(self.items.title)


@dataclass(frozen=True)
class Describer:
    """The columns that the items of a catalogue are described by.

    First the hashed words, categories, brands and tags, `N_FEATURES`; then the characters of titles; then
    the attributes; last the bins of the price and of the numbers.
    """

    characters: CharacterGrams
    shared: SharedTerms
    numbers: tuple[str, ...]
    """Names of the numeric attributes."""
    prices: PriceLevels
    bins: SoftBins
    """Of the price, then of `numbers`."""
    cut_characters: int
    """Chinese characters of each text that are cut into words by jieba; 0: the training had no jieba."""

    @property
    def characters_from(self) -> int:
        return N_FEATURES

    @property
    def attributes_from(self) -> int:
        return self.characters_from + len(self.characters)

    @property
    def bins_from(self) -> int:
        return self.attributes_from + len(self.shared)

    @property
    def width(self) -> int:
        return self.bins_from + len(self.bins)

    @classmethod
    def learn(cls, weights: FieldWeights, reading: Reading) -> Self:
        """The columns for a catalogue; none for fields without weight."""
        n = len(reading)
        characters = CharacterGrams.none()
        if weights.character_weight > 0 and weights.title_weight > 0:
            items_with = np.bincount(reading.has_word.indices, minlength=len(reading.title_words))
            characters = CharacterGrams.learn(reading.title_words, items_with, n)
        documents = reading.attribute_terms if weights.attribute_weight > 0 else Documents.of([[]] * n)
        numbers: tuple[str, ...] = ()
        prices = PriceLevels.learn(reading.items.price, reading.categories)
        values = np.full((n, 1), np.nan)
        if weights.number_weight > 0:
            numbers = numeric_attributes(reading.numbers, n)
            values = _numbers(reading, prices, numbers)
        known = np.isfinite(values[:, 0])
        if known.sum() < max(2, LEAST_SHARE * n) or np.ptp(values[known, 0]) < 1e-9:
            values[:, 0] = np.nan
        return cls(
            characters,
            SharedTerms.learn(documents),
            numbers,
            prices,
            SoftBins.learn(values),
            _cut(reading.items),
        )

    def describe(self, weights: FieldWeights, reading: Reading) -> csr_array:
        """Weighted counts, `(n, self.width)` float32; the row of an item that nothing is said of is empty."""
        terms = csr_array(
            hstack(
                [
                    self._hashed(weights, reading),
                    self._characters(weights, reading),
                    np.float32(weights.attribute_weight) * self.shared.of(reading.attribute_terms),
                ],
                format="csr",
            )
        )
        bins = self.bins.of(_numbers(reading, self.prices, self.numbers))
        # A number alone does not say what an item is.
        said = np.diff(terms.indptr) > 0
        bins.data *= np.float32(weights.number_weight) * said[entry_rows(bins)]
        bins.eliminate_zeros()
        return narrow(csr_array(hstack([terms, bins], format="csr")))

    def _hashed(self, weights: FieldWeights, reading: Reading) -> csr_array:
        n, items, cut = len(reading), reading.items, self.cut_characters
        fields: list[tuple[float, Iterable[Iterable[str]]]] = [
            (weights.title_weight, (words(title, cut) for title in items.title)),
            (weights.description_weight, (words(plain(text), cut) for text in items.description)),
            (weights.brand_weight, ([f"brand:{fold(b.strip())}"] if b.strip() else [] for b in items.brand)),
            (weights.tag_weight, (words(" ".join(tags), cut) for tags in items.tags)),
        ]
        total = np.float32(weights.category_weight) * _damped(reading.categories)
        for weight, documents in fields:
            if weight > 0:
                total = total + np.float32(weight) * _damped(hashed_counts(documents, n))
        total.eliminate_zeros()
        return narrow(total)

    def _characters(self, weights: FieldWeights, reading: Reading) -> csr_array:
        if not len(self.characters):
            return empty(len(reading), 0)
        grams = np.float32(weights.character_weight) * self.characters.of_words(reading.title_words)
        found = csr_array(reading.has_word @ grams)
        found.sort_indices()
        return narrow(found)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            **self.characters.arrays(),
            **self.shared.arrays(),
            **self.prices.arrays(),
            **self.bins.arrays(),
            "numbers": np.array(self.numbers, dtype=np.str_),
            "cut_characters": np.array(self.cut_characters, dtype=np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The same columns; warns where they were learned with jieba and it is not installed here."""
        cut = int(arrays["cut_characters"])
        if cut and not chinese.available():
            _log.warning(
                "The content model was trained with jieba, which is not installed here (vitrine[chinese]): "
                "Chinese texts of items that it does not know are compared by pairs of characters alone."
            )
        return cls(
            CharacterGrams.from_arrays(arrays),
            SharedTerms(arrays["attributes"]),
            tuple(str(name) for name in arrays["numbers"]),
            PriceLevels.from_arrays(arrays),
            SoftBins.from_arrays(arrays),
            cut,
        )


def _numbers(reading: Reading, prices: PriceLevels, names: Sequence[str]) -> NDArray[np.float64]:
    """The price beside its level and the named numbers, `(n, 1 + len(names))`."""
    price = prices.relative(reading.items.price, reading.categories)
    return np.column_stack([price, attribute_values(reading.numbers, names, len(reading))])


def _damped(counts: csr_array) -> csr_array:
    data = (1.0 + np.log(counts.data)).astype(np.float32)
    return reweighted(counts, data)


def _cut(items: ItemTable) -> int:
    """How many Chinese characters of each text are cut into words: fewer where there are many texts."""
    texts = sum(is_chinese(text) for field in (items.title, items.description) for text in field)
    if not texts or not chinese.available():
        return 0
    return int(np.clip(CUT_CHARACTERS // texts, _LEAST_CUT, _MOST_CUT))
