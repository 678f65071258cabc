"""Runs of characters within words."""

import numpy as np
import pytest

from app.learning.recommenders import characters
from app.learning.recommenders.characters import CharacterGrams

WORDS = ["laufschuh", "laufschuhe", "wanderschuh", "teekanne"]


def learned(words: list[str] = WORDS) -> CharacterGrams:
    return CharacterGrams.learn(words, np.ones(len(words), dtype=np.int64), len(words))


def alike(one: str, other: str) -> float:
    left, right = learned().of_words([one, other]).toarray()
    return float(left @ right)


def test_a_known_word_has_length_one_and_an_unknown_one_what_is_known_of_it() -> None:
    norms = np.linalg.norm(learned().of_words(["laufschuh", "xyz", "laufschuhx"]).toarray(), axis=1)
    assert norms[0] == pytest.approx(1.0)
    assert norms[1] == 0.0
    assert 0.5 < norms[2] < 1.0


def test_inflections_compounds_and_misspellings_meet() -> None:
    assert alike("laufschuh", "laufschuhe") > 0.7
    assert alike("laufschuh", "wanderschuh") > 0.2
    assert alike("laufschuh", "laufshuh") > 0.3
    assert alike("laufschuh", "teekanne") == 0.0


def test_the_end_of_a_word_is_no_start() -> None:
    # "ab" within "cab" and before "abc" share letters, but no run with the space beside them.
    grams = learned(["cab", "abc"]).of_words(["cab", "abc"]).toarray()
    assert grams[0] @ grams[1] == 0.0


def test_grams_do_not_cross_words() -> None:
    assert len(learned(["ab", "cd"])) == len(learned(["ab"])) + len(learned(["cd"])) == 6


def test_a_run_twice_in_a_word_counts_once_as_frequency(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(characters, "MOST_GRAMS", 1)
    # "ana" is in one word, twice; "ora" is in two.
    (gram,) = learned(["banana", "flora", "aurora"]).of_words(["zora"]).toarray().nonzero()[1]
    assert gram == 0


def test_the_vocabulary_is_bounded_and_keeps_what_words_share(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = learned()
    monkeypatch.setattr(characters, "MOST_GRAMS", 12)
    few = learned()
    assert len(few) == 12 < len(whole)
    left, right = few.of_words(["laufschuh", "laufschuhe"]).toarray()
    assert left @ right > 0
    assert not few.of_words(["teekanne"]).toarray().any()


def test_in_parts_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, rows = learned(), learned().of_words(WORDS).toarray()
    monkeypatch.setattr(characters, "_WORDS_AT_ONCE", 1)
    np.testing.assert_array_equal(learned().grams, whole.grams)
    np.testing.assert_array_equal(learned().of_words(WORDS).toarray(), rows)


def test_more_letters_than_fit_leave_the_rarest_out() -> None:
    rare = [chr(0x10000 + n) * 3 for n in range(5_000)]
    found = learned([*["abc"] * 4, *rare])
    assert len(found.letters) == 4095
    assert np.linalg.norm(found.of_words(["abc"]).toarray()) == pytest.approx(1.0)


@pytest.mark.parametrize("words", [[], ["a"], [""]])
def test_few_or_short_words_are_harmless(words: list[str]) -> None:
    found = learned(words)
    assert found.of_words(["laufschuh", ""]).shape == (2, len(found))
    assert found.of_words([]).shape == (0, len(found))


def test_long_words_are_cut() -> None:
    assert learned(["a" * 10_000]).of_words(["a" * 20_000]).nnz <= 9
