"""Chinese with and without jieba."""

import logging
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from app.learning.recommenders import chinese
from app.learning.recommenders.content import Content, ContentConfig, fit
from app.learning.recommenders.text import words
from tests.worlds import Text, item_table, world

SHOP = world(
    [],
    {
        "bridge": Text("南京市长江大桥模型"),
        "mayor": Text("市长传记"),
        "river": Text("长江游船票"),
        "phone": Text("华为手机壳"),
        "case": Text("苹果手机壳"),
    },
)


@pytest.fixture
def without_jieba(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "jieba", None)
    chinese._tokenizer.cache_clear()
    yield
    chinese._tokenizer.cache_clear()


def fitted() -> Content:
    return fit(ContentConfig(), SHOP.dataset, np.random.default_rng(0))


def best_of_new(model: Content, title: str) -> str:
    scores = model.similar(model.vectorise(item_table([Text(title)])))[0]
    return SHOP.items[int(scores.argmax())]


@pytest.mark.usefixtures("without_jieba")
def test_pairs_alone_relate_chinese_titles() -> None:
    model = fitted()
    assert model.describer.cut_characters == 0
    assert best_of_new(model, "小米手机壳") in ("phone", "case")
    assert list(words("绿茶", 100)) == ["绿", "茶", "绿茶"]


@pytest.mark.usefixtures("without_jieba")
def test_a_model_trained_with_jieba_serves_without_it_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    arrays = {**fitted().arrays(), "cut_characters": np.array(1_000)}
    with caplog.at_level(logging.WARNING):
        model = Content.from_arrays(ContentConfig(), arrays)
    assert "jieba, which is not installed" in caplog.text
    assert best_of_new(model, "小米手机壳") in ("phone", "case")


def test_with_jieba_words_count_more_than_pairs_across_words(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    chinese._tokenizer.cache_clear()
    with caplog.at_level(logging.DEBUG):
        found = list(words("南京市长江大桥", 100))
    # "Mayor" lies across the city and the river.
    assert found.count("长江") == 2
    assert found.count("市长") == 1
    assert {"大桥", "长江大桥"} <= set(found)
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
    model = fitted()
    assert model.describer.cut_characters > 0
    scores = model.score(SHOP.history("bridge"))[0]
    assert scores[SHOP.column("river")] > scores[SHOP.column("mayor")]


def test_only_so_many_characters_and_only_chinese_are_cut() -> None:
    assert list(words("南京市长江大桥", 3)).count("长江") == 1
    assert list(words("手机壳 手机", 3)).count("手机") == 3
    assert list(words("東京の手机", 100)).count("手机") == 1


def test_a_model_trained_without_jieba_does_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "jieba", None)
        chinese._tokenizer.cache_clear()
        model = fitted()
        expected = model.vectorise(SHOP.dataset.items).toarray()
    chinese._tokenizer.cache_clear()
    np.testing.assert_array_equal(model.vectorise(SHOP.dataset.items).toarray(), expected)


def test_a_model_trained_with_jieba_keeps_its_scores_without_it() -> None:
    chinese._tokenizer.cache_clear()
    model = fitted()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "jieba", None)
        chinese._tokenizer.cache_clear()
        served = Content.from_arrays(ContentConfig(), model.arrays())
        history = SHOP.history("phone")
        np.testing.assert_array_equal(served.score(history), model.score(history))
        similar = served.similar(served.vectorise(SHOP.dataset.items))
        assert (similar.argmax(axis=1) == np.arange(len(SHOP.items))).all()
    chinese._tokenizer.cache_clear()
