"""Text as terms: folding, markup, scripts without spaces."""

import time

import numpy as np
import pytest
from sklearn.feature_extraction import FeatureHasher

from app.learning.recommenders.text import (
    N_FEATURES,
    fold,
    hashed_counts,
    is_chinese,
    plain,
    spaced_words,
    words,
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ﬁlter", "FILTER"),
        ("Ｋｇ ㎏", "kg kg"),
        ("™", "tm"),
        ("Ångström", "angstrom"),
        ("İstanbul", "istanbul"),
        ("ЁЛКА", "елка"),
        ("Άλφα", "αλφα"),
        ("مُحَمَّد", "محمد"),
        ("שָׁלוֹם", "שלום"),
        ("ﾊﾟﾝ", "パン"),
    ],
)
def test_spellings_of_one_word_fold_alike(one: str, other: str) -> None:
    assert fold(one) == fold(other)
    assert fold(fold(one)) == fold(one)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>Soft <b>wool</b></p>", "soft wool"),
        ("Tea<br/>pot", "tea pot"),
        ("caf&eacute; &amp; tea", "cafe tea"),
        ("<style>p {color: red}</style>red<script>var x = '<b>';</script> lamp", "red lamp"),
        ("one <!-- <b>two</b> --> three", "one three"),
        ("one <!-- two", "one two"),
        ("<a href=\"x.html\" title='y'>link</a>", "link"),
        ("<!DOCTYPE html><H1>Big</H1>", "big"),
        ("5 < 6 and 7 > 3", "5 6 and 7 3"),
        ("<b", "b"),
        ("&#128512; &lt;p&gt;", "p"),
        ("", ""),
    ],
)
def test_descriptions_lose_their_markup(markup: str, text: str) -> None:
    assert list(words(plain(markup))) == text.split()


@pytest.mark.parametrize("piece", ["<a", "a", "<!--", "<!-- -->", "<script>"])
def test_hostile_markup_is_read_in_linear_time(piece: str) -> None:
    started = time.process_time()
    plain("<" + piece * (500_000 // len(piece)))
    # A second on a slow machine; were it quadratic, minutes.
    assert time.process_time() - started < 20


@pytest.mark.parametrize("text", ["", " ", "🙂🎉", "👨‍👩‍👧", "🇩🇪", "\u200b", "\ufeff", "\ud800", "—!?"])
def test_texts_without_words_have_no_terms(text: str) -> None:
    assert list(words(text)) == []
    assert list(spaced_words(text)) == []


def test_scripts_without_spaces_are_read_in_pairs() -> None:
    assert list(words("รองเท้า")) == ["รอ", "อง", "งเ", "เท", "ท้", "้า"]
    assert list(words("東京タワー")) == ["東", "京", "東京", "京タ", "タワ", "ワー"]
    assert list(words("カ")) == ["カ"]


def test_numbers_and_unspaced_scripts_have_no_spaced_words() -> None:
    assert list(spaced_words("Laufschuh 42 绿茶 xs42")) == ["laufschuh", "xs42"]


def test_kana_tell_japanese_from_chinese() -> None:
    assert is_chinese("新茶 tea")
    assert not is_chinese("新しい茶")
    assert not is_chinese("tea")
    assert not is_chinese("ชา")


def test_terms_have_the_codes_that_earlier_versions_gave_them() -> None:
    documents = [["word", "other", "word"], [], ["Wörter", "語", "🛒", ""], [str(n) for n in range(3_000)]]
    found = hashed_counts(documents, len(documents))
    hasher = FeatureHasher(N_FEATURES, input_type="string", dtype=np.float32, alternate_sign=False)
    assert (found.toarray() == hasher.transform(documents).toarray()).all()
    assert found.dtype == np.float32
    assert found.has_sorted_indices
