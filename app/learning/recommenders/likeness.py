"""What two items have in common, in words: the terms by which the content model finds them alike."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from app.learning.dataset import ItemTable
from app.learning.recommenders.content import Content
from app.learning.recommenders.text import category_terms, fold, hashed_counts, words

_WORD = re.compile(r"\w+")
_TELLING = float(1 + np.log(1.5))
"""Inverse document frequency from which a term tells something: about a third of the items lack it."""


def terms_in_common(
    content: Content, items: ItemTable, pairs: Sequence[tuple[int, int]], most: int
) -> list[list[str]]:
    """For each pair of rows of `items` the terms that both have, at most `most`, as the first spells them.

    Categories, brand, tags and words of the title, in order of what they add to the cosine of the two.
    """
    vectors = content.vectorise(items)
    terms = [dict(_spelt_terms(items, row)) for row in range(len(items.title))]
    every = list({term: None for of_item in terms for term in of_item})
    columns = dict(zip(every, hashed_counts([[term] for term in every], len(every)).indices, strict=True))
    found: list[list[str]] = []
    for left, right in pairs:
        common = [term for term in terms[left] if term in terms[right]]
        places = np.array([columns[term] for term in common], dtype=np.int64)
        both = vectors[[left]].multiply(vectors[[right]]).toarray()[0, places]
        weights = np.where(content.idf[places] > _TELLING, both, 0)
        shown: dict[str, str] = {}
        for place in np.argsort(-weights, kind="stable"):
            spelt = terms[left][common[place]]
            if weights[place] > 0 and len(spelt) > 1:
                shown.setdefault(fold(spelt), spelt)
        found.append(list(shown.values())[:most])
    return found


def _spelt_terms(items: ItemTable, row: int) -> Iterator[tuple[str, str]]:
    """Terms of an item, with how the shop spells them."""
    text = " ".join([items.title[row], *items.tags[row]])
    spelt = {fold(word): word for word in _WORD.findall(text)}
    for term in words(text):
        yield term, spelt.get(term, term)
    parts = [part for path in items.categories[row] for part in path.split(">")]
    steps = {" ".join(fold(part).split()): " ".join(part.split()) for part in parts}
    for term in category_terms(items.categories[row]):
        last = term.removeprefix("category:").rpartition(">")[2]
        yield term, steps.get(last, last)
    brand = items.brand[row].strip()
    if brand:
        yield f"brand:{fold(brand)}", brand
