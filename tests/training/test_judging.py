"""The gate: what is compared, what is kept, what is rejected, and why."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.learning.dataset import Histories, ItemTable
from app.learning.evaluation.background import Background, background
from app.learning.ranking.blend import Blend, Blends
from app.learning.recommenders.base import Recommender, Scores
from app.training.judging import Audience, Verdict, judge
from app.training.progress import Progress

N_USERS, N_ITEMS = 60, 40


@dataclass(frozen=True)
class _Fixed:
    """The same scores for everybody, plus a taste read off the first item of the history."""

    items: NDArray[np.float32]
    taste: float = 0.0

    def score(self, histories: Histories) -> Scores:
        scores = np.tile(self.items, (len(histories), 1))
        first = histories.matrix.indices[histories.matrix.indptr[:-1]]
        likes = (np.arange(N_ITEMS)[None, :] % 2 == first[:, None] % 2).astype(np.float32)
        return np.asarray(scores + np.float32(self.taste) * likes, dtype=np.float32)

    arrays = from_arrays = None


def _models() -> dict[str, Recommender]:
    order = np.linspace(1, 0.1, N_ITEMS, dtype=np.float32)
    fixed = {
        "popularity": _Fixed(order),
        "taste": _Fixed(order, taste=2.0),
        # Items that nobody asks about.
        "worst": _Fixed(np.where(np.arange(N_ITEMS) < 20, 0, 1).astype(np.float32)),
    }
    return dict(fixed)  # type: ignore[arg-type]


def _audience() -> Audience:
    """Users know one to sixty items of their taste and go on to popular ones of it."""
    known = np.zeros((N_USERS, N_ITEMS), dtype=np.float32)
    wanted = np.zeros((N_USERS, N_ITEMS), dtype=np.float32)
    rng = np.random.default_rng(0)
    for user in range(N_USERS):
        own = 20 + user % 2 + 2 * np.arange(10)
        known[user, own[: 1 + user % 10]] = 1
        wanted[user, user % 2 + 2 * rng.permutation(10)[:4]] = 1
    matrix = csr_array(known)
    return Audience(Histories(matrix, np.ones(matrix.nnz, dtype=np.float32)), csr_array(wanted))


def _judge(
    blends: Blends, served: Blends | Blend | None = None, of_items: Background | None = None
) -> Verdict:
    told: list[float] = []
    verdict = judge(
        _models(),
        _audience(),
        blends,
        served,
        np.random.default_rng(0),
        Progress(lambda _stage, fraction: told.append(fraction)),
        of_items,
    )
    assert told[-1] == 1
    return verdict


POPULAR, TASTE, WORST = (Blend({name: 1.0}) for name in ("popularity", "taste", "worst"))


def test_what_is_better_passes() -> None:
    verdict = _judge(Blends.single(TASTE), POPULAR)
    assert verdict.rejected is None
    assert verdict.blends == Blends.single(TASTE)
    figures = verdict.figures
    assert figures["new"]["ndcg"] > 1.3 * figures["popularity"]["ndcg"]
    assert figures["gain_over_popularity"]["ndcg"][0] > 0
    assert not figures["gain_over_active"]["adopted"]
    low, high = figures["new"]["ndcg_interval"]
    assert low < figures["new"]["ndcg"] < high
    assert "novelty" not in figures["new"]


def test_what_is_worse_than_popularity_is_rejected_and_says_so() -> None:
    verdict = _judge(Blends.single(WORST))
    assert verdict.rejected is not None
    assert verdict.rejected.startswith("worse than popularity: nDCG@10 0.0000 against 0.")
    assert "95 % interval of the difference -0." in verdict.rejected
    assert "active" not in verdict.figures


def test_as_good_as_popularity_is_enough() -> None:
    assert _judge(Blends.single(POPULAR)).rejected is None


@pytest.mark.parametrize("may_repeat", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_what_is_served_is_kept_where_it_is_better(may_repeat: bool, whole: bool) -> None:
    served = Blends.single(TASTE, may_repeat)
    verdict = _judge(Blends.single(WORST, may_repeat), served if whole else TASTE)
    assert verdict.rejected is None
    assert verdict.figures["gain_over_active"]["adopted"]
    # What was compared is what will be served: also where lists leave out what is known.
    assert verdict.blends.of(5, 0.0, exclude_seen=not may_repeat) == TASTE
    assert verdict.blends.of(1, 0.0, exclude_seen=not may_repeat) == (TASTE if whole else WORST)
    assert verdict.figures["new"]["ndcg"] == verdict.figures["active"]["ndcg"]


def test_families_that_are_gone_are_not_compared() -> None:
    assert "active" not in _judge(Blends.single(TASTE), Blend({"gone": 1.0})).figures
    verdict = _judge(Blends.single(WORST), Blend({"gone": 0.5, "taste": 0.5}))
    assert verdict.blends.usual == TASTE


def test_everybody_is_judged_by_the_blend_that_they_get() -> None:
    blends = replace(Blends.single(TASTE), cold=WORST)
    groups = _judge(blends).figures["groups"]
    assert groups["new"]["users"] == 12
    assert groups["new"]["ndcg"] == 0
    assert groups["medium"]["ndcg"] > groups["medium"]["popularity_ndcg"] > 0


def test_groups_stand_beside_popularity_and_what_is_served() -> None:
    groups = _judge(Blends.single(TASTE), Blends.single(POPULAR)).figures["groups"]
    assert {name: group["users"] for name, group in groups.items()} == {"new": 12, "light": 18, "medium": 30}
    for group in groups.values():
        for prefix in ("", "active_", "popularity_"):
            low, high = group[f"{prefix}ndcg_interval"]
            assert low <= group[f"{prefix}ndcg"] <= high
        assert group["active_ndcg"] == group["popularity_ndcg"] < group["ndcg"]


def test_measures_beside_accuracy_for_all_that_is_compared() -> None:
    empty = [""] * N_ITEMS
    items = ItemTable(
        empty,
        empty,
        [["odd" if item % 2 else "even"] for item in range(N_ITEMS)],
        empty,
        [[] for _ in empty],
        np.zeros(N_ITEMS, dtype=np.float32),
    )
    of_items = background(_audience().histories, items, {}, np.random.default_rng(0))
    figures = _judge(Blends.single(TASTE), Blends.single(POPULAR), of_items).figures
    assert figures["diversity_from"] == "co-occurrence"
    # Lists of the user's taste hold one category, as the histories do; popular lists hold both.
    assert figures["new"]["calibration"] == pytest.approx(0, abs=1e-9)
    assert figures["popularity"]["calibration"] == pytest.approx(np.log(1 / 0.505), abs=1e-6)
    assert figures["active"] == {**figures["popularity"], "ndcg_interval": figures["active"]["ndcg_interval"]}
    assert figures["new"]["gini"] < figures["popularity"]["gini"]
    assert figures["new"]["popularity_lift"] == -1  # nobody knows what goes well
    assert figures["new"]["diversity"] is None  # so that nothing is known of its likeness either
    plain = _judge(Blends.single(TASTE), POPULAR).figures["new"]["ndcg"]
    assert figures["new"]["ndcg"] == plain
