"""Text to hashed term counts, without a vocabulary: any language, any new word, nothing to store."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

import numpy as np
from scipy.sparse import csr_array
from sklearn.feature_extraction import FeatureHasher

from app.learning.recommenders.sparse import empty

N_FEATURES = 2**18

# Scripts that put no spaces between words, or whose words vary too much to match whole:
# Thai to Burmese, kana, Han, Hangul, Khmer.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
_UNSPACED += "\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
# Indian vowel signs are marks, not letters, to `\w`; they are part of the word all the same.
_RUNS = re.compile(f"([{_UNSPACED}]+)|(?:[^\\W_{_UNSPACED}]|[\u0900-\u0963\u0966-\u0dff])+")
_ACCENTS = re.compile("[\u0300-\u036f]")


def fold(text: str) -> str:
    """Lower case without accents, compatibility forms unified; other marks (kana voicing …) stay."""
    if text.isascii():
        return text.lower()
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return unicodedata.normalize("NFKC", bare)


def words(text: str) -> Iterator[str]:
    """The terms of a text: words, or single characters and pairs where words are not set apart."""
    for run in _RUNS.finditer(fold(text)):
        found = run.group()
        if run.group(1) is None:
            yield found
        else:
            yield from found
            yield from (found[i : i + 2] for i in range(len(found) - 1))


def category_terms(paths: Iterable[str]) -> Iterator[str]:
    """Each category path and each of its prefixes, as whole terms."""
    seen: set[str] = set()
    for path in paths:
        steps = [step for part in fold(path).split(">") if (step := " ".join(part.split()))]
        for depth in range(1, len(steps) + 1):
            term = "category:" + ">".join(steps[:depth])
            if term not in seen:
                seen.add(term)
                yield term


def hashed_counts(documents: Iterable[Iterable[str]], n_documents: int) -> csr_array:
    """Counts of hashed terms, `(n_documents, N_FEATURES)` float32."""
    if n_documents == 0:
        return empty(0, N_FEATURES)
    hasher = FeatureHasher(N_FEATURES, input_type="string", dtype=np.float32, alternate_sign=False)
    counts: csr_array = csr_array(hasher.transform(documents))
    counts.sum_duplicates()
    return counts
