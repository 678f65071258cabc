"""Items by their text."""

import numpy as np
import pytest

from app.learning.recommenders import content
from app.learning.recommenders.content import Content, ContentConfig, fit
from app.learning.recommenders.text import category_terms, fold, words
from tests.worlds import Text, World, item_table, world

SHOP = world(
    [],
    {
        "green": Text("西湖龙井绿茶", "春天的新茶", ("食品 > 茶",)),
        "black": Text("正山小种红茶", "", ("食品 > 茶",)),
        "phone": Text("华为手机壳", "", ("数码 > 配件",)),
        "runner": Text("Laufschuh Größe 42", "für die Straße", ("Shoes > Running",), "Hermès", ("sport",)),
        "hiker": Text("Wanderschuh", "für den Berg", ("Shoes > Hiking",), "HERMES"),
        "blank": Text(),
    },
)


def fitted(made: World = SHOP, **config: float) -> Content:
    return fit(ContentConfig.model_validate(config), made.dataset, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Crème BRÛLÉE", ["creme", "brulee"]),
        ("绿茶", ["绿", "茶", "绿茶"]),
        ("iPhone手机壳 12", ["iphone", "手", "机", "壳", "手机", "机壳", "12"]),
        ("が", ["が"]),
        ("ＡＢＣ", ["abc"]),
        ("हिन्दी।", ["हिन्दी"]),
        ("𠮷野", ["𠮷", "野", "𠮷野"]),
        ("Straße_x", ["strasse", "x"]),
        (" – ", []),
    ],
)
def test_terms_of_a_text(text: str, terms: list[str]) -> None:
    assert list(words(text)) == terms


def test_ascii_is_folded_like_the_rest() -> None:
    assert fold("ABC é") == "abc e"
    assert fold("ABC") == "abc"


def test_a_category_counts_with_its_prefixes_once() -> None:
    paths = ["Shoes >  Trail  Running", "shoes > Hiking", "> "]
    assert list(category_terms(paths)) == [
        "category:shoes",
        "category:shoes>trail running",
        "category:shoes>hiking",
    ]


def test_chinese_titles_are_compared() -> None:
    scores = fitted().score(SHOP.history("green"))[0]
    assert SHOP.items[int(scores.argmax())] == "black"
    assert scores[SHOP.column("phone")] == 0


def test_brand_matches_whatever_its_accents() -> None:
    model = fitted(title_weight=0, description_weight=0, category_weight=0, tag_weight=0)
    scores = model.score(SHOP.history("runner"))[0]
    assert scores[SHOP.column("hiker")] == pytest.approx(1.0)
    assert np.count_nonzero(scores) == 1


def test_a_title_weighs_more_than_a_description() -> None:
    made = world([], {"a": Text("red lamp"), "b": Text("lamp", "chair"), "c": Text("chair", "lamp")})
    scores = fitted(made).score(made.history("a"))[0]
    assert scores[made.column("b")] > scores[made.column("c")] > 0


def test_a_rare_word_tells_more_than_a_frequent_one() -> None:
    rest = {f"r{n}": Text(f"sale thing{n}") for n in range(20)}
    made = world([], {"a": Text("sale sextant"), "b": Text("sale boots"), "c": Text("sextant boots"), **rest})
    scores = fitted(made).score(made.history("a"))[0]
    assert scores[made.column("c")] > 1.5 * scores[made.column("b")] > 0


def test_a_new_item_is_compared_with_the_catalogue() -> None:
    model = fitted()
    vectors = model.vectorise(item_table([Text("乌龙茶", "", ("食品 > 茶",)), Text()]))
    similar = model.similar(vectors)
    assert similar.shape == (2, 6)
    assert similar.dtype == np.float32
    best = np.argsort(-similar[0])[:2]
    assert {SHOP.items[item] for item in best} == {"green", "black"}
    assert not similar[1].any()


def test_a_known_item_is_most_similar_to_itself() -> None:
    model = fitted()
    similar = model.similar(model.vectorise(SHOP.dataset.items))
    described = np.array([item != "blank" for item in SHOP.items])
    np.testing.assert_allclose(np.diag(similar), described.astype(np.float32), rtol=1e-6)
    np.testing.assert_allclose(
        model.similarities.toarray(), np.where(np.eye(6, dtype=bool), 0, similar), atol=1e-6
    )
    assert model.vectorise(item_table([])).shape[0] == 0


def test_in_a_large_catalogue_frequent_terms_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "SMALL_CATALOGUE", 5)
    texts = {f"i{n:02}": Text(f"sale pair{n // 2} third{n // 3}") for n in range(18)}
    made = world([], texts)

    def neighbours(**config: float) -> set[str]:
        scores = fitted(made, **config).score(made.history("i00"))[0]
        return {made.items[item] for item in np.flatnonzero(scores)}

    assert len(neighbours(max_share=1.0)) == 17
    assert neighbours() == {"i01", "i02"}
    # 9 terms of 2 items cost 36, 6 terms of 3 items 54 more.
    assert neighbours(max_products=40.0) == {"i01"}
