"""Text to terms: any language, any new word; terms are hashed to counts without a vocabulary."""

import html
import re
import unicodedata
from array import array
from collections.abc import Iterable, Iterator

import mmh3
import numpy as np
from scipy.sparse import csr_array

from app.learning.recommenders import chinese
from app.learning.recommenders.sparse import empty

N_FEATURES = 2**18

_HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA = "\u3040-\u30ff\u31f0-\u31ff"
# Scripts that put no spaces between words, or whose words vary too much to match whole:
# Thai to Burmese, kana, Han, Hangul, Khmer.
_UNSPACED = f"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\uac00-\ud7af{_KANA}{_HAN}"
# Indian vowel signs are marks, not letters, to `\w`; they are part of the word all the same.
_RUNS = re.compile(f"([{_UNSPACED}]+)|(?:[^\\W_{_UNSPACED}]|[\u0900-\u0963\u0966-\u0dff])+")
_HAN_RUNS = re.compile(f"[{_HAN}]+")
_KANA_SIGN = re.compile(f"[{_KANA}]")
# Latin, Greek and Cyrillic accents, Hebrew points, Arabic vowel signs and the stretching dash.
_ACCENTS = re.compile("[\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u0640\u064b-\u065f\u0670]")
# Possessive, so that what is no tag is not tried again from each of its letters.
_TAG = re.compile(r"<(?:!--|(/?)([a-zA-Z][a-zA-Z0-9]*+)[^<>]*+>|![^<>]*+>)")
_SILENT = frozenset({"script", "style", "template"})


def fold(text: str) -> str:
    """Lower case without accents, compatibility forms unified; other marks (kana voicing …) stay."""
    if text.isascii():
        return text.lower()
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold()))
    return unicodedata.normalize("NFKC", bare)


def plain(text: str) -> str:
    """The text of HTML, without tags, comments, scripts and styles; other text as it is, in linear time."""
    if "<" not in text:
        return html.unescape(text) if "&" in text else text
    parts: list[str] = []
    place = 0
    silent = ""
    last_end = text.rfind("-->")
    while (tag := _TAG.search(text, place)) is not None:
        if not silent:
            parts.append(text[place : tag.start()])
        place = tag.end()
        if tag.group() == "<!--":
            # A comment without an end is no comment: what follows would be lost.
            if place <= last_end:
                place = text.find("-->", place) + 3
            continue
        name = (tag.group(2) or "").lower()
        if silent:
            silent = "" if tag.group(1) and name == silent else silent
        elif name in _SILENT and not tag.group(1):
            silent = name
    if not silent:
        parts.append(text[place:])
    return html.unescape(" ".join(parts))


def words(text: str, cut: int = 0) -> Iterator[str]:
    """The terms of a text: words, or pairs of characters where words are not set apart.

    Han characters count alone too. Of the Chinese ones the first `cut` are moreover cut into words by the
    dictionary of `chinese`, so that pairs which are words weigh more than pairs across two words.
    """
    folded = fold(text)
    for run in _RUNS.finditer(folded):
        found = run.group()
        if run.group(1) is None or len(found) == 1:
            yield found
        else:
            yield from (sign for sign in found if _HAN_RUNS.match(sign))
            yield from (found[i : i + 2] for i in range(len(found) - 1))
    # Japanese is written in Han characters too, but its kana give it away.
    if cut > 0 and not folded.isascii() and not _KANA_SIGN.search(folded):
        for run in _HAN_RUNS.finditer(folded):
            if cut <= 0:
                return
            yield from chinese.cut(run.group()[:cut])
            cut -= len(run.group())


def spaced_words(text: str) -> Iterator[str]:
    """The words of a text that are set apart by spaces; numbers are none."""
    for run in _RUNS.finditer(fold(text)):
        if run.group(1) is None and not run.group().isdigit():
            yield run.group()


def is_chinese(text: str) -> bool:
    """Whether the text has Han characters and no kana."""
    return not text.isascii() and bool(_HAN_RUNS.search(text)) and not _KANA_SIGN.search(text)


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
    """Counts of hashed terms, `(n_documents, N_FEATURES)` float32.

    By MurmurHash3 of 32 bits, as in scikit-learn's `FeatureHasher`, whose first use takes a second to import.
    """
    if n_documents == 0:
        return empty(0, N_FEATURES)
    codes, ends = array("i"), [0]
    for document in documents:
        codes.extend(map(mmh3.hash, document))
        ends.append(len(codes))
    columns = np.abs(np.frombuffer(codes, np.int32).astype(np.int64)) % N_FEATURES
    found = (np.ones(len(codes), np.float32), columns, np.array(ends))
    counts = csr_array(found, shape=(n_documents, N_FEATURES))
    counts.sum_duplicates()
    return csr_array(
        (counts.data, counts.indices.astype(np.int32), counts.indptr.astype(np.int32)), counts.shape
    )
