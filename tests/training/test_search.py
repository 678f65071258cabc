"""The search for hyperparameters, with families whose quality is known beforehand."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from app.learning.dataset import Dataset, Histories
from app.learning.recommenders.base import Arrays, Config, Family, NotEnoughData, Recommender, Scores
from app.training.progress import Progress
from app.training.search import SearchResult, search, suited
from tests.worlds import checkerboard


class _Recipe(Config):
    days: int = 30


@dataclass(frozen=True)
class _Model:
    days: int

    def score(self, histories: Histories) -> Scores:
        return np.zeros(histories.matrix.shape, dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    @classmethod
    def from_arrays(cls, config: _Recipe, arrays: Arrays) -> Self:
        return cls(config.days)


def _fit(config: _Recipe, dataset: Dataset, rng: np.random.Generator) -> _Model:
    if config.days == 13 or not len(dataset.log):
        raise NotEnoughData("needs luck")
    return _Model(config.days)


FAMILIES = {"a": Family("a", "collaborative", _Recipe, _fit, _Model, {"days": (10, 13, 60, 365)})}


def _quality(model: Recommender) -> tuple[NDArray[np.float64], ...]:
    """The first audience likes few days best, the second many."""
    assert isinstance(model, _Model)
    return np.full(9, 1.0 / model.days), np.full(4, model.days / 365)


def _search(
    audiences: int, seconds: float = 60.0, dataset: Dataset | None = None, **warm: dict[str, Any]
) -> SearchResult:
    return search(
        FAMILIES,
        dataset or checkerboard().dataset,
        lambda model: _quality(model)[:audiences],
        ("everybody", "idle")[:audiences],
        seed=1,
        budget_seconds=seconds,
        warm={name.replace("_at_", "@"): config for name, config in warm.items()},
        required=("a",),
        progress=Progress(lambda _stage, _done: None),
    )


def test_each_audience_gets_its_own_recipe() -> None:
    found = _search(2)
    assert {name: entry.config.model_dump() for name, entry in found.found.items()} == {
        "a": {"days": 10},
        "a@idle": {"days": 365},
    }
    assert (found.trials, found.complete) == (5, True), "what was tried for one counts for the other"


def test_one_audience_is_one_model() -> None:
    assert list(_search(1).found) == ["a"]


def test_no_time_keeps_what_won_before() -> None:
    found = _search(2, 0.0, a={"days": 7}, a_at_idle={"days": 99})
    assert [entry.config.model_dump() for entry in found.found.values()] == [{"days": 7}]
    assert not found.complete
    again = _search(2, 60.0, a={"days": 7}, a_at_idle={"days": 999})
    assert {name: entry.config.model_dump()["days"] for name, entry in again.found.items()} == {
        "a": 7,
        "a@idle": 999,
    }


def _days_chosen(each: dict[int, NDArray[np.float64]]) -> int:
    """What one audience takes, given the quality for each of its users by days."""
    found = search(
        FAMILIES,
        checkerboard().dataset,
        lambda model: (each[model.days],),  # type: ignore[attr-defined]
        ("everybody",),
        seed=1,
        budget_seconds=60,
        warm={},
        required=("a",),
        progress=Progress(lambda _stage, _done: None),
    )
    return int(found.found["a"].config.model_dump()["days"])


def test_luck_is_no_gain() -> None:
    """Better for some users, worse for others, a little better in the mean."""
    each = {30: np.array([0.4, 0.4, 0.4, 0.4]), 10: np.array([0.9, 0.0, 0.8, 0.0])}
    each |= {60: np.array([0.41, 0.41, 0.42, 0.41]), 365: np.zeros(4)}
    assert _days_chosen(each) == 60


def test_next_to_nothing_is_no_gain_however_sure() -> None:
    each = {30: np.full(400, 0.4), 10: np.full(400, 0.407), 60: np.zeros(400), 365: np.zeros(400)}
    assert _days_chosen(each) == 30
    assert _days_chosen(each | {10: np.full(400, 0.409)}) == 10


def test_what_suits_an_audience_is_its_own_where_it_has_some() -> None:
    model = _Model(1)
    names = suited({"a": model, "b": model, "a@idle": model, "b@other": model}, "idle")
    assert names == {"a": "a@idle", "b": "b"}


def test_what_cannot_be_fitted_says_why() -> None:
    dataset = checkerboard().dataset
    found = _search(1, dataset=dataset.with_log(dataset.log.where(slice(0, 0)), dataset.as_of))
    assert found.found == {}
    assert found.left_out == {"a": "needs luck"}


def test_what_won_before_may_ask_for_more_than_there_is() -> None:
    found = _search(1, 0.0, a={"days": 13})
    assert found.found["a"].config.model_dump() == {"days": 30}
    assert found.left_out == {}
