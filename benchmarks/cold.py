"""Newcomers: people of whom one, two or three items are known, and items that nobody has chosen yet."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import CountVectorizer

from app.learning.dataset import DAY_MS, Dataset, Histories, InteractionLog, ItemTable
from app.learning.evaluation.metrics import bootstrap_interval, paired_interval
from app.learning.evaluation.splits import time_split
from app.learning.preferences import dataset_histories
from app.learning.recommenders.base import Scores
from app.learning.recommenders.content import Content
from app.learning.recommenders.text import words
from app.learning.version import ModelVersion
from benchmarks import datasets
from benchmarks.machine import say, show
from benchmarks.options import Options
from benchmarks.peers import popularity
from benchmarks.tasks import (
    LIST_LENGTH,
    SEED,
    PerUser,
    Score,
    Task,
    choose,
    describe,
    judge,
    liked,
    pairs,
    question,
    serve,
    served,
)

_KNOWN = (1, 2, 3)
_USERS = 1_000
_LEAST_ITEMS = 5
"""Of a user to be asked: three known ones, and two to be found."""
_BASELINE = "popularity of genre or words"
_SHARE = 0.1
"""Of the items that are held out wholly."""


def run(options: Options) -> None:
    """Newcomers among the users of each set, and among the items of each set that says what they are."""
    if not any((options.movielens, options.lastfm, options.online_retail)):
        say("Skipped: give --movielens DIR, --lastfm DIR or --online-retail FILE.")
    for name, dataset in datasets.given(options):
        _users(name, dataset, options.search_seconds)
        # The name of an artist says nothing of the music.
        if dataset.event_names[0] != "view_item":
            _items(name, dataset, options.search_seconds)


@dataclass(frozen=True)
class _Newcomers:
    """Users who are asked, and their first items."""

    users: NDArray[np.int64]
    first: InteractionLog
    """The first liking of each of their first items, by user and then by place."""
    place: NDArray[np.int64]
    """0 for the user's first item, for each row of `first`."""
    wanted: csr_array
    """Their later items, `(n_users, n_items)`."""


def _newcomers(dataset: Dataset, eligible: NDArray[np.bool_]) -> _Newcomers:
    """At most a thousand of the eligible users; the same later items are wanted however many are known."""
    log = dataset.log.where(liked(dataset.log))
    pair = log.subject.astype(np.int64) * dataset.n_items + log.item
    first = np.sort(np.unique(pair, return_index=True)[1])
    log = log.where(first[np.argsort(log.subject[first], kind="stable")].astype(np.int64))
    counts = np.bincount(log.subject, minlength=dataset.n_users)
    place = np.arange(len(log)) - (np.cumsum(counts) - counts)[log.subject]
    users = np.flatnonzero(eligible & (counts >= _LEAST_ITEMS))
    users = np.random.default_rng(SEED).permutation(users)[:_USERS]
    asked = np.isin(log.subject, users)
    early = asked & (place < max(_KNOWN))
    later = pairs(dataset, log.where(asked & ~early))
    return _Newcomers(users.astype(np.int64), log.where(early), place[early], later)


def _situations(dataset: Dataset) -> Iterator[tuple[str, Dataset, _Newcomers]]:
    """Who is asked, and the data to learn from: without them, with their first items, before they came."""
    log = dataset.log
    fifth = np.random.default_rng(SEED).permutation(dataset.n_users) % 5 == 0
    found = _newcomers(dataset, fifth)
    others = log.where(~np.isin(log.subject, found.users))
    yield "any users, left out", dataset.with_log(others, dataset.as_of), found
    yield "any users, known items in", dataset.with_log(_joined(others, found.first), dataset.as_of), found
    if log.occurred_at[0] < log.occurred_at[-1]:
        before = time_split(dataset).train
        new = np.bincount(before.log.subject, minlength=dataset.n_users) == 0
        yield "users of the last fifth", before, _newcomers(dataset, new)


def _users(name: str, dataset: Dataset, search_seconds: float) -> None:
    lines, notes = [], []
    for title, train, found in _situations(dataset):
        version = choose(train, search_seconds).model
        lines += [_line(title, known, train, version, found) for known in _KNOWN]
        notes.append(f"{title}: {describe(version.blends.cold)}")
    show(
        f"\n{name}: users by how many of their first items are known, asked for all after the third; "
        f"nDCG@{LIST_LENGTH}",
        ("", "known", "users", "Vitrine", "interval", "popularity", "difference", "ratio"),
        lines,
    )
    for note in notes:
        say(note)


def _joined(one: InteractionLog, other: InteractionLog) -> InteractionLog:
    both = one.joined(other)
    return both.where(np.argsort(both.occurred_at, kind="stable").astype(np.int64))


def _line(
    title: str, known: int, train: Dataset, version: ModelVersion, found: _Newcomers
) -> tuple[str, ...]:
    log = found.first.where(found.place < known)
    seen = pairs(train, log)
    candidates = np.bincount(train.log.item, minlength=train.n_items) > 0
    wanted = csr_array(found.wanted.multiply(candidates.astype(np.float32)[None, :]))
    asked = question("", wanted, seen, exclude_seen=True)
    task = Task(train, (asked,), seen, candidates)
    histories = _at_the_last(version, train, log)
    rng = np.random.default_rng(SEED)
    popular = popularity(train)
    ours = judge(lambda rows: serve(version, histories.take(rows), exclude_seen=True), task, asked)["ndcg"]
    theirs = judge(lambda rows: np.tile(popular, (len(rows), 1)), task, asked)["ndcg"]
    return (title, str(known), f"{len(asked.users):,}", *_beside(ours, theirs, rng))


def _at_the_last(version: ModelVersion, train: Dataset, log: InteractionLog) -> Histories:
    """Histories of all users as they are at the moment of each one's last known event."""
    last = np.zeros(train.n_users, dtype=np.int64)
    np.maximum.at(last, log.subject, log.occurred_at)
    return version.histories_of(
        log.subject,
        log.item,
        [train.event_names[code] for code in log.event],
        log.value,
        log.quantity,
        ((last[log.subject] - log.occurred_at) / DAY_MS).astype(np.float32),
        train.n_users,
    )


def _beside(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], rng: np.random.Generator
) -> tuple[str, ...]:
    low, high = bootstrap_interval(ours, rng)
    worst, best = paired_interval(ours, theirs, rng)
    return (
        f"{ours.mean():.4f}",
        f"{low:.4f}–{high:.4f}",
        f"{theirs.mean():.4f}",
        f"{worst:+.4f} to {best:+.4f}",
        f"{ours.mean() / theirs.mean():.2f}",
    )


def _items(name: str, dataset: Dataset, search_seconds: float) -> None:
    rng = np.random.default_rng(SEED)
    cold = np.zeros(dataset.n_items, dtype=np.bool_)
    cold[rng.permutation(dataset.n_items)[: round(_SHARE * dataset.n_items)]] = True
    log = dataset.log
    train = dataset.with_log(log.where(~cold[log.item]), dataset.as_of)
    seen = pairs(train, train.log.where(liked(train.log)))
    wanted = pairs(train, log.where(cold[log.item] & liked(log)))
    asked = question("", wanted, seen, exclude_seen=True)
    task = Task(train, (asked,), seen, cold)
    version = choose(train, search_seconds).model
    by_category = _by_category(train, ~cold)
    rivals: dict[str, Score] = {
        "Vitrine, as served": served(version, train, exclude_seen=True),
        **_by_content(version, train, cold),
        _BASELINE: lambda rows: np.tile(by_category, (len(rows), 1)),
        "random": lambda rows: rng.random((len(rows), train.n_items), dtype=np.float32),
    }
    results = {rival: judge(score, task, asked) for rival, score in rivals.items()}
    show(
        f"\n{name}: {int(cold.sum()):,} items without any interaction, recommended among themselves to the "
        f"{len(asked.users):,} users who chose one",
        ("", f"nDCG@{LIST_LENGTH}", "interval", f"recall@{LIST_LENGTH}", "over popularity"),
        [_item_line(rival, results, rng) for rival in results],
    )


def _item_line(rival: str, results: dict[str, PerUser], rng: np.random.Generator) -> tuple[str, ...]:
    values = results[rival]["ndcg"]
    low, high = bootstrap_interval(values, rng)
    worst, best = paired_interval(values, results[_BASELINE]["ndcg"], rng)
    return (
        rival,
        f"{values.mean():.4f}",
        f"{low:.4f}–{high:.4f}",
        f"{results[rival]['recall'].mean():.4f}",
        f"{worst:+.4f} to {best:+.4f}",
    )


def _by_content(version: ModelVersion, train: Dataset, cold: NDArray[np.bool_]) -> dict[str, Score]:
    """The content family alone: by the neighbours that it keeps, and by its vectors as for unknown items."""
    content = version.recommenders.get("content")
    if not isinstance(content, Content):
        return {}
    histories = dataset_histories(train)
    columns = np.flatnonzero(cold)
    similar = content.similar(content.vectorise(_some(train.items, columns))).T

    def by_vectors(rows: NDArray[np.int64]) -> Scores:
        scores = np.zeros((len(rows), train.n_items), dtype=np.float32)
        scores[:, columns] = csr_array(histories.matrix[rows]) @ similar
        return scores

    return {
        "content, kept neighbours": lambda rows: content.score(histories.take(rows)),
        "content, all by their words": by_vectors,
    }


def _some(items: ItemTable, chosen: NDArray[np.int64]) -> ItemTable:
    return ItemTable(
        title=[items.title[at] for at in chosen],
        description=[items.description[at] for at in chosen],
        categories=[items.categories[at] for at in chosen],
        brand=[items.brand[at] for at in chosen],
        tags=[items.tags[at] for at in chosen],
        price=items.price[chosen],
    )


def _by_category(train: Dataset, known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Mean popularity of the known items under each category, averaged over those of an item, `(n_items,)`.

    Without categories the words of the title take their place.
    """
    items = train.items
    terms = items.categories if any(items.categories) else [list(words(title)) for title in items.title]
    matrix = csr_array(CountVectorizer(analyzer=list, binary=True).fit_transform(terms), dtype=np.float32)
    members = csr_array(matrix[np.flatnonzero(known)])
    mean = (members.T @ popularity(train)[known]) / np.maximum(members.sum(axis=0), 1)
    return np.asarray((matrix @ mean) / np.maximum(matrix.sum(axis=1), 1), dtype=np.float32)
