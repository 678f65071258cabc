"""From events to preference, against the plain definition."""

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.learning.dataset import Histories
from app.learning.preferences import (
    DISLIKED,
    RatingScale,
    dataset_histories,
    event_strengths,
    histories,
    rating_scale,
)
from tests.worlds import world

WEIGHTS = {"view": 1.0, "back": -2.0, "rate": 4.0}
NAMES = ("view", "back", "rate", "nothing")
events = st.lists(
    st.tuples(
        st.integers(0, 3),  # row
        st.integers(0, 4),  # item
        st.sampled_from(NAMES),
        st.one_of(st.none(), st.sampled_from([1.0, 2.0, 3.0, 4.5, 5.0])),
        st.sampled_from([0.0, 0.5, 1.0, 2.0, 10.0]),  # quantity
        st.floats(0, 400, width=32),  # age in days
    ),
    max_size=40,
)
Row = tuple[int, int, str, float | None, float, float]


def strength_of(name: str, value: float | None, quantity: float, scale: RatingScale | None) -> float:
    """One event, by the definition."""
    weight = WEIGHTS.get(name, 0.0)
    if name == "rate" and value is not None and scale is not None:
        if scale.high == scale.low:
            return weight
        return weight * (value - scale.low) / (scale.high - scale.low)
    return weight * (1 + math.log(max(quantity, 1.0)))


def strengths(rows: list[Row], scale: RatingScale | None) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return event_strengths(
        np.array([NAMES.index(row[2]) for row in rows], dtype=np.int16),
        np.array([math.nan if row[3] is None else row[3] for row in rows], dtype=np.float32),
        np.array([row[4] for row in rows], dtype=np.float32),
        NAMES,
        WEIGHTS,
        scale,
    )


def entries(found: Histories) -> dict[tuple[int, int], tuple[float, float]]:
    """Preference and age by row and item."""
    matrix = found.matrix
    assert matrix.has_sorted_indices
    assert len(found.ages) == matrix.nnz
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    numbers = zip(matrix.data.tolist(), found.ages.tolist(), strict=True)
    return dict(zip(zip(rows.tolist(), matrix.indices.tolist(), strict=True), numbers, strict=True))


scales = st.sampled_from([None, RatingScale(1, 5), RatingScale(0, 10), RatingScale(3, 3)])


@given(events, scales)
def test_strengths_are_as_defined(rows: list[Row], scale: RatingScale | None) -> None:
    expected = [strength_of(name, value, quantity, scale) for _, _, name, value, quantity, _ in rows]
    np.testing.assert_allclose(strengths(rows, scale), np.array(expected, np.float32), rtol=1e-5, atol=1e-6)


@given(events, st.one_of(st.none(), st.sampled_from([7.0, 60.0])))
def test_histories_are_as_defined(rows: list[Row], half_life: float | None) -> None:
    scale = RatingScale(1, 5)
    found = histories(
        np.array([row[0] for row in rows], dtype=np.int32),
        np.array([row[1] for row in rows], dtype=np.int32),
        strengths(rows, scale),
        np.array([row[5] for row in rows], dtype=np.float32),
        (4, 5),
        half_life,
    )
    total: dict[tuple[int, int], float] = defaultdict(float)
    size: dict[tuple[int, int], float] = defaultdict(float)
    age: dict[tuple[int, int], float] = defaultdict(lambda: math.inf)
    for row, item, name, value, quantity, days in rows:
        decay = 1.0 if half_life is None else 2 ** (-days / half_life)
        part = strength_of(name, value, quantity, scale) * decay
        total[row, item] += part
        size[row, item] += abs(part)
        age[row, item] = min(age[row, item], days)
    actual = entries(found)
    assert found.matrix.shape == (4, 5)
    for place in total:
        # Sums that cancel out are of rounding's sign: whether they count is not defined.
        if abs(total[place]) <= 1e-5 * size[place] or 0 < total[place] < 1e-30:
            actual.pop(place, None)
        elif total[place] > 0:
            preference, days = actual.pop(place)
            assert preference == pytest.approx(math.log1p(total[place]), rel=1e-3)
            assert days == np.float32(age[place])
    assert actual == {}


def test_no_events_are_no_history() -> None:
    none = np.empty(0, dtype=np.int32)
    nothing = np.empty(0, dtype=np.float32)
    found = histories(none, none, nothing, nothing, (2, 3))
    assert found.matrix.shape == (2, 3)
    assert found.matrix.nnz == len(found.ages) == 0


@pytest.mark.parametrize(("rating", "expected"), [(1.0, 0.0), (3.0, 1.5), (5.0, 3.0), (4.0, 2.25)])
def test_a_rating_weighs_by_its_place_on_the_scale(rating: float, expected: float) -> None:
    made = world(
        [("u", "a", "rate", 0.0, 1.0), ("u", "b", "rate", 0.0, 5.0), ("u", "c", "rate", 0.0, rating)]
    )
    log = made.dataset.log
    scale = rating_scale(log)
    found = event_strengths(
        log.event, log.value, log.quantity, made.dataset.event_names, made.dataset.event_weights, scale
    )
    place = list(log.item).index(made.column("c"))
    assert found[place] == expected
    names, weights = made.dataset.event_names, made.dataset.event_weights
    liked = event_strengths(log.event, log.value, log.quantity, names, weights, scale, DISLIKED)
    assert liked[place] == 2 * expected - 3.0  # the middle of the scale is neither liked nor disliked


def test_where_only_one_rating_is_given_it_means_liking() -> None:
    made = world([("u", "a", "rate", 0.0, 1.0), ("v", "a", "rate", 0.0, 1.0)])
    assert rating_scale(made.dataset.log) == RatingScale(1.0, 1.0)
    assert dataset_histories(made.dataset).matrix.toarray().tolist() == [[np.float32(np.log(4))]] * 2


def test_without_ratings_there_is_no_scale() -> None:
    assert rating_scale(world([("u", "a")]).dataset.log) is None


def test_ages_count_from_the_data_sets_moment() -> None:
    made = world([("u", "a", "view", 8.0), ("u", "a", "view", 3.0), ("v", "b", "view", 1.5)])
    found = dataset_histories(made.dataset)
    assert {place: age for place, (_, age) in entries(found).items()} == {(0, 0): 3.0, (1, 1): 1.5}


def test_what_was_liked_and_then_returned_is_no_preference() -> None:
    weights = {"purchase": 5.0, "refund": -5.0}
    made = world([("u", "a", "purchase", 2.0), ("u", "a", "refund", 1.0)], weights=weights)
    assert dataset_histories(made.dataset).matrix.nnz == 0


def days_of(found: Histories) -> dict[tuple[int, int], tuple[float, float, float, bool | None]]:
    """Number of days, age of the first and the last, and whether bought, by row and item."""
    occasions = found.occasions
    assert occasions is not None
    days = occasions.days
    rows = np.repeat(np.arange(days.shape[0]), np.diff(days.indptr)).tolist()
    bought = [None] * days.nnz if occasions.bought is None else occasions.bought.tolist()
    told = zip(days.data.tolist(), occasions.first.tolist(), occasions.last.tolist(), bought, strict=True)
    return dict(zip(zip(rows, days.indices.tolist(), strict=True), told, strict=True))


def found_of(rows: list[Row], half_life: float | None, with_purchases: bool) -> Histories:
    """Histories of the events, with `rate` for the purchase."""
    return histories(
        np.array([row[0] for row in rows], dtype=np.int32),
        np.array([row[1] for row in rows], dtype=np.int32),
        strengths(rows, None),
        np.array([row[5] for row in rows], dtype=np.float32),
        (4, 5),
        half_life,
        np.array([row[2] == "rate" for row in rows], dtype=np.bool_) if with_purchases else None,
    )


@given(events, st.one_of(st.none(), st.sampled_from([30.0, 60.0])), st.booleans())
def test_occasions_are_as_defined(rows: list[Row], half_life: float | None, with_purchases: bool) -> None:
    found = found_of(rows, half_life, with_purchases)
    chosen: dict[tuple[int, int], list[tuple[str, float]]] = defaultdict(list)
    for row, item, name, _, _, days in rows:
        if WEIGHTS.get(name, 0.0) > 0:
            chosen[row, item].append((name, float(np.float32(days))))
    expected = {}
    for place in entries(found):
        bought = [age for name, age in chosen[place] if name == "rate"] if with_purchases else []
        ages = bought or [age for _, age in chosen[place]]
        told = bool(bought) if with_purchases else None
        expected[place] = (float(len({math.floor(age) for age in ages})), max(ages), min(ages), told)
    assert days_of(found) == expected


@given(events, st.lists(st.integers(0, 3), max_size=6), st.booleans())
def test_rows_are_taken_with_their_occasions(rows: list[Row], taken: list[int], with_purchases: bool) -> None:
    found = found_of(rows, None, with_purchases)
    whole, part = days_of(found), days_of(found.take(np.array(taken, dtype=np.int64)))
    assert part == {
        (place, item): told
        for place, row in enumerate(taken)
        for (of, item), told in whole.items()
        if of == row
    }


def test_the_training_tells_what_was_bought() -> None:
    made = world(
        [
            ("u", "a", "view", 9.0),
            ("u", "a", "purchase", 7.5),
            ("u", "a", "purchase", 7.2),
            ("u", "a", "purchase", 2.5),
            ("u", "a", "view", 1.0),
            ("u", "b", "view", 4.0),
            ("u", "b", "cart", 3.0),
        ]
    )
    assert days_of(dataset_histories(made.dataset)) == {
        (0, 0): (2.0, 7.5, 2.5, True),
        (0, 1): (2.0, 4.0, 3.0, False),
    }
