"""What each field of the catalogue adds to content."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.learning.dataset import ItemTable
from app.learning.recommenders import content, describing
from app.learning.recommenders.base import NotEnoughData
from app.learning.recommenders.content import Content, ContentConfig, fit
from tests.worlds import Text, World, item_table, world

ONLY = {
    name: 0.0
    for name in ContentConfig.model_fields
    if name.endswith("_weight") and name not in ("category_weight",)
}
"""No field but the categories."""


def shop(texts: dict[str, Text], attributes: dict[str, dict[str, Any]] | None = None) -> World:
    made = world([], texts)
    given = [(attributes or {}).get(item, {}) for item in made.items]
    items = replace(made.dataset.items, attributes=given if any(given) else [])
    return World(replace(made.dataset, items=items), made.subjects, made.items)


def fitted(made: World, **config: float) -> Content:
    return fit(ContentConfig.model_validate(config), made.dataset, np.random.default_rng(0))


def similarity(model: Content, made: World, one: str, other: str) -> float:
    return float(model.score(made.history(one))[0, made.column(other)])


def mapped(model: Content, folder: Path) -> Content:
    """The model as it is served: from files."""
    arrays: dict[str, NDArray[Any]] = {}
    for key, array in model.arrays().items():
        np.save(folder / f"{key}.npy", array, allow_pickle=False)
        arrays[key] = np.load(folder / f"{key}.npy", allow_pickle=False)
    return Content.from_arrays(model.config, arrays)


FILLERS = {f"z{n}": Text(title) for n, title in enumerate(("Teekanne", "Lampe", "Kissen", "Becher", "Regal"))}


def test_inflected_and_misspelt_titles_meet_by_their_characters() -> None:
    made = shop({"a": Text("Laufschuh"), "b": Text("Laufschuhe"), "c": Text("Laufshuh"), **FILLERS})
    with pytest.raises(NotEnoughData, match="share"):
        fitted(made, character_weight=0.0)
    model = fitted(made)
    assert similarity(model, made, "a", "b") > similarity(model, made, "a", "c") > 0.02
    assert similarity(model, made, "a", "z0") == 0.0
    heavier = fitted(made, character_weight=4.0)
    assert similarity(heavier, made, "a", "b") > 2 * similarity(model, made, "a", "b")


def test_a_misspelt_arrival_is_placed_beside_what_it_means(tmp_path: Path) -> None:
    made = shop({"a": Text("Laufschuh rot"), "b": Text("Teekanne rot"), **FILLERS})
    model = mapped(fitted(made), tmp_path)
    scores = model.similar(model.vectorise(item_table([Text("Laufscuh")])))[0]
    assert made.items[int(scores.argmax())] == "a"
    assert scores[made.column("b")] == 0.0


def test_near_prices_are_more_alike_than_far_ones() -> None:
    prices = dict(zip("abcdefghij", (10, 11, 20, 30, 40, 50, 60, 70, 80, 90), strict=True))
    made = shop({item: Text("cup", price=float(price)) for item, price in prices.items()})
    model = fitted(made, number_weight=3.0)
    assert similarity(model, made, "a", "b") > similarity(model, made, "a", "c") + 0.05
    assert similarity(model, made, "a", "c") >= similarity(model, made, "a", "j")
    alike = fitted(made, number_weight=0.0)
    assert similarity(alike, made, "a", "b") == pytest.approx(similarity(alike, made, "a", "j"))


def test_a_price_is_seen_beside_its_category_and_relates_nothing_by_itself() -> None:
    texts = {f"pen{n}": Text("pen x", categories=("Pens",), price=1.0 + n) for n in range(6)}
    texts |= {f"sofa{n}": Text("sofa x", categories=("Sofas",), price=1000.0 * (1 + n)) for n in range(6)}
    made = shop({**texts, "bare": Text(price=3.0), "odd": Text("widget", price=3.0)})
    model = fitted(made, number_weight=3.0)
    # The dearest pen and the dearest sofa, though nobody's prices are further apart.
    assert similarity(model, made, "pen5", "sofa5") > similarity(model, made, "pen5", "sofa0")
    for item in ("bare", "odd"):
        assert not model.score(made.history(item)).any()
    similar = model.similar(model.vectorise(made.dataset.items))
    np.testing.assert_allclose(
        model.similarities.toarray(), np.where(np.eye(len(made.items), dtype=bool), 0, similar), atol=1e-6
    )
    assert not similar[made.column("bare")].any()


@pytest.mark.parametrize(
    ("alike", "different"),
    [
        ({"waterproof": True}, {"waterproof": False}),
        ({"material": "Wool"}, {"material": "steel"}),
        ({"material": "Wool"}, {"origin": "wool"}),
        ({"fits": ["trail", "road"]}, {"fits": ["office"]}),
        ({"size": 38}, {"size": 46}),
    ],
)
def test_each_kind_of_attribute_relates(alike: dict[str, Any], different: dict[str, Any]) -> None:
    texts = {item: Text("thing") for item in "abcd"}
    made = shop(texts, {"a": alike, "b": alike, "c": different, "d": different})
    model = fitted(made)
    assert similarity(model, made, "a", "b") > similarity(model, made, "a", "c") + 0.05
    none = fitted(made, attribute_weight=0.0, number_weight=0.0)
    assert similarity(none, made, "a", "b") == pytest.approx(similarity(none, made, "a", "c"))


def test_a_value_of_one_item_alone_changes_nothing() -> None:
    texts = {item: Text("red lamp") for item in "abc"}
    plain, own = shop(texts), shop(texts, {"a": {"ean": "4006381333931"}, "b": {"ean": "9"}})
    np.testing.assert_array_equal(fitted(plain).similarities.toarray(), fitted(own).similarities.toarray())


def test_markup_and_accents_do_not_keep_descriptions_apart() -> None:
    made = shop(
        {
            "a": Text(description="<div class='lead'>Café&nbsp;crème 🙂</div>"),
            "b": Text(description="CAFE CREME"),
            "c": Text(description="<div class='lead'>Teak</div>"),
        }
    )
    model = fitted(made)
    assert similarity(model, made, "a", "b") == pytest.approx(1.0)
    assert similarity(model, made, "a", "c") == 0.0


RICH = shop(
    {
        f"i{n:02}": Text(
            f"{('Laufschuh', 'Laufschuhe', '龙井绿茶', 'รองเท้า')[n % 4]} {n % 3}",
            "für <b>den</b> Berg",
            (("Shoes > Running", "食品 > 茶")[n % 2],),
            ("Hermès", "")[n % 2],
            ("sport",),
            (9.5, -1.0, 0.0, None, 20.0 + n)[n % 5],
        )
        for n in range(40)
    },
    {f"i{n:02}": {"size": (n, "L", None, [1, "x"], True)[n % 5], "größe": n / 7} for n in range(0, 40, 2)},
)


def test_files_give_identical_scores_and_vectors(tmp_path: Path) -> None:
    model = fitted(RICH)
    again = mapped(model, tmp_path)
    histories = RICH.histories([RICH.items[:3], RICH.items[5:9]])
    np.testing.assert_array_equal(again.score(histories), model.score(histories))
    new = replace(RICH.dataset.items, title=["Laufscuh 龙井"] * 40)
    left, right = model.vectorise(new), again.vectorise(new)
    np.testing.assert_array_equal(left.toarray(), right.toarray())
    np.testing.assert_array_equal(model.similar(left), again.similar(right))
    assert again.describer.numbers == ("grosse", "size")


def test_the_same_catalogue_gives_the_same_model() -> None:
    left, right = fitted(RICH).arrays(), fitted(RICH).arrays()
    assert all(np.array_equal(left[key], right[key]) for key in left)


def test_one_item_is_described_as_it_is_among_others() -> None:
    model = fitted(RICH)
    items = RICH.dataset.items
    together = model.vectorise(items).toarray()
    for n in (0, 3, 4):
        alone = ItemTable(
            title=items.title[n : n + 1],
            description=items.description[n : n + 1],
            categories=items.categories[n : n + 1],
            brand=items.brand[n : n + 1],
            tags=items.tags[n : n + 1],
            price=items.price[n : n + 1],
            attributes=items.attributes[n : n + 1],
        )
        np.testing.assert_allclose(model.vectorise(alone).toarray()[0], together[n], atol=1e-6)


def test_an_item_table_without_attributes_is_read() -> None:
    model = fitted(RICH)
    bare = replace(RICH.dataset.items, attributes=[], price=np.full(40, np.nan, dtype=np.float32))
    assert np.isfinite(model.vectorise(bare).toarray()).all()


def test_odd_prices_are_no_prices() -> None:
    made = shop({item: Text("cup", price=price) for item, price in zip("abcd", (1, 2, 4, 8), strict=True)})
    model = fitted(made)
    odd = [Text("cup", price=price) for price in (None, 0.0, -5.0, float("inf"))]
    vectors = model.vectorise(item_table(odd)).toarray()
    assert np.isfinite(vectors).all()
    assert (vectors == vectors[0]).all()
    assert not (model.vectorise(item_table([Text("cup", price=3.0)])).toarray() == vectors[0]).all()


def test_without_any_field_it_says_what_it_needs() -> None:
    with pytest.raises(NotEnoughData, match="title, description"):
        fitted(shop({"a": Text(price=3.0), "b": Text(price=4.0), "c": Text("🙂")}))
    with pytest.raises(NotEnoughData, match="needs"):
        fitted(shop({"a": Text("red lamp")}), **ONLY)


def test_in_a_large_catalogue_numbers_choose_among_what_terms_have_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(content, "SMALL_CATALOGUE", 5)
    monkeypatch.setattr(content, "_ROWS_AT_ONCE", 3)
    texts = {f"i{n:02}": Text(f"kind{n % 6}", price=10.0 * (1 + n)) for n in range(36)}
    made = shop(texts)
    model = fitted(made, neighbours=4, number_weight=3.0)
    rows = model.similarities.toarray()
    kinds = np.arange(36) % 6
    assert (kinds[rows.nonzero()[0]] == kinds[rows.nonzero()[1]]).all()
    assert (np.count_nonzero(rows, axis=1) == 4).all()
    assert set(rows[0].nonzero()[0]) == {6, 12, 18, 24}


def test_pairs_to_be_sorted_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "SMALL_CATALOGUE", 5)
    made = shop({f"i{n:02}": Text(f"kind{n // 6} pair{n // 2}") for n in range(36)})
    whole = fitted(made)
    assert np.count_nonzero(whole.score(made.history("i00"))) == 5
    # Each item with itself and its pair are 72.
    monkeypatch.setattr(content, "_MOST_PAIRS", 72)
    assert np.flatnonzero(fitted(made).score(made.history("i00"))[0]).tolist() == [1]


def test_few_texts_are_cut_further_than_many(monkeypatch: pytest.MonkeyPatch) -> None:
    made = shop({"a": Text("绿茶"), "b": Text("红茶"), "c": Text("新しい茶")})
    assert fitted(made).describer.cut_characters == 1_000
    monkeypatch.setattr(describing, "CUT_CHARACTERS", 100)
    assert fitted(made).describer.cut_characters == 50
