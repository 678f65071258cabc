"""What the contestants are asked: part of a data set to learn from, and lists to be judged on the rest."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from app.learning.dataset import DAY_MS, Dataset, Histories, InteractionLog
from app.learning.evaluation.harness import batches
from app.learning.evaluation.metrics import ranking_metrics
from app.learning.evaluation.splits import random_split, time_split
from app.learning.preferences import dataset_histories
from app.learning.ranking.blend import Blend
from app.learning.ranking.top_k import top_k
from app.learning.recommenders.base import Scores
from app.learning.version import ModelVersion
from app.training.pipeline import Learned, Recipe, learn
from app.training.progress import Progress

LIST_LENGTH = 10
LIKED = 4.0
"""Rating from which an item is relevant; without ratings every item is."""
SEED = 1
_DAYS = 30

Score = Callable[[NDArray[np.int64]], Scores]
"""From rows of the training data to dense scores `(n_rows, n_items)`."""
PerUser = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Question:
    """Users who went on, and what they went on to choose."""

    name: str
    users: NDArray[np.int64]
    """Rows of the training data, ascending."""
    wanted: csr_array
    """`(len(users), n_items)`, an entry for each item."""
    exclude_seen: bool


@dataclass(frozen=True)
class Task:
    """Data to learn from and the questions that follow."""

    train: Dataset
    questions: tuple[Question, ...]
    seen: csr_array
    """All interactions to learn from, liked or not, `(n_users, n_items)`."""
    candidates: NDArray[np.bool_]
    """Items that may be in a list, `(n_items,)`."""


Protocol = Callable[[Dataset], Task]


def random_fifth(dataset: Dataset) -> Task:
    """Hold out a random fifth of each user's items."""
    split = random_split(dataset, 0.2, np.random.default_rng(SEED))
    return _task(split.train, split.held_out, {"": True})


def last_fifth(dataset: Dataset) -> Task:
    """Hold out all that was done in the last fifth of the interactions."""
    split = time_split(dataset)
    return _task(split.train, split.held_out, {"": True})


def next_days(dataset: Dataset) -> Task:
    """Hold out the last 30 days: once with items that the customer had before, once without."""
    cut = (dataset.as_of // DAY_MS - _DAYS) * DAY_MS
    before = dataset.log.occurred_at < cut
    train = dataset.with_log(dataset.log.where(before), cut)
    return _task(train, dataset.log.where(~before), {"all items": False, "items new to the customer": True})


def _task(train: Dataset, held_out: InteractionLog, questions: dict[str, bool]) -> Task:
    """Questions by name, with whether seen items are left out; only known users and items are asked for."""
    seen = pairs(train, train.log)
    known = np.bincount(train.log.item, minlength=train.n_items) > 0
    wanted = pairs(train, held_out.where(liked(held_out) & known[held_out.item]))
    asked = tuple(
        question(name, wanted - wanted.multiply(seen) if exclude else wanted, seen, exclude)
        for name, exclude in questions.items()
    )
    return Task(train, asked, seen, known)


def question(name: str, wanted: csr_array, seen: csr_array, exclude_seen: bool) -> Question:
    """Ask those with a history for what they want, both `(n_users, n_items)`."""
    wanted = csr_array(wanted)
    wanted.eliminate_zeros()
    wanted.sort_indices()
    users = np.flatnonzero((np.diff(seen.indptr) > 0) & (np.diff(wanted.indptr) > 0)).astype(np.int64)
    return Question(name, users, csr_array(wanted[users]), exclude_seen)


def liked(log: InteractionLog) -> NDArray[np.bool_]:
    """Rows that say a user wants the item."""
    return np.isnan(log.value) | (log.value >= LIKED)


def pairs(dataset: Dataset, log: InteractionLog) -> csr_array:
    """Ones where a user has a row with an item, `(n_users, n_items)` float32."""
    shape = (dataset.n_users, dataset.n_items)
    ones = np.ones(len(log), dtype=np.float32)
    matrix = csr_array(coo_array((ones, (log.subject, log.item)), shape=shape).tocsr())
    matrix.data[:] = 1.0
    return matrix


def judge(score: Score, task: Task, asked: Question) -> PerUser:
    """Measures of each user's list of ten by name, `(n_users,)` each."""
    ranked = np.empty((len(asked.users), LIST_LENGTH), dtype=np.int32)
    for part in batches(len(asked.users), task.train.n_items, 256):
        rows = asked.users[part]
        allowed = np.tile(task.candidates, (len(rows), 1))
        if asked.exclude_seen:
            allowed[csr_array(task.seen[rows]).nonzero()] = False
        ranked[part] = top_k(score(rows), LIST_LENGTH, allowed)[0]
    return ranking_metrics(ranked, asked.wanted)


def choose(dataset: Dataset, search_seconds: float) -> Learned:
    """Vitrine's automatic choice: what a training makes of this data, with its defaults."""
    recipe = Recipe(dataset.event_weights, SEED, search_seconds, analytics=None)
    return learn(dataset, recipe, None, Progress(lambda _stage, _fraction: None))


def served(version: ModelVersion, train: Dataset, exclude_seen: bool) -> Score:
    """The scores by which the service ranks for the users of the training data."""
    histories = dataset_histories(train)
    return lambda rows: serve(version, histories.take(rows), exclude_seen)


def serve(version: ModelVersion, histories: Histories, exclude_seen: bool) -> Scores:
    """Scores of a batch; where customers do not come back to items, what they had never is in a list."""
    never_again = not version.blends.may_repeat
    scores = version.score(histories, exclude_seen or never_again)
    if never_again:
        scores[histories.matrix.nonzero()] = -np.inf
    return scores


def describe(blend: Blend) -> str:
    """Families and weights in words, the heaviest first."""
    weights = sorted(blend.weights.items(), key=lambda entry: -entry[1])
    return ", ".join(f"{family} {weight:.2f}" for family, weight in weights)
