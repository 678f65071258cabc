"""Lists of ten beside the best libraries: nDCG, recall and MAP on public data sets."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from app.learning.dataset import Dataset
from app.learning.evaluation.metrics import bootstrap_interval, paired_interval
from benchmarks import datasets
from benchmarks.machine import say, show
from benchmarks.options import Options
from benchmarks.peers import IMPLICIT, Peer, Settings, simple, tuned
from benchmarks.tasks import (
    LIST_LENGTH,
    SEED,
    PerUser,
    Protocol,
    Question,
    Score,
    Task,
    choose,
    describe,
    judge,
    last_fifth,
    next_days,
    random_fifth,
    served,
)

_PROTOCOLS: dict[str, dict[str, Protocol]] = {
    "MovieLens": {"a random fifth of each user's": random_fifth, "the last fifth of all": last_fifth},
    "Last.fm": {"a random fifth of each user's": random_fifth},
    "Online Retail": {"the next 30 days": next_days},
}
_OURS = "Vitrine"

Answers = dict[str, tuple[str, Score]]
"""By question: how it is answered, in words, and the scores."""


@dataclass(frozen=True)
class _Result:
    name: str
    how: str
    per_user: PerUser
    seconds: float
    """Tuning and fitting, for all questions of the task together."""

    @property
    def ndcg(self) -> float:
        return float(self.per_user["ndcg"].mean())


def run(options: Options) -> None:
    """Each data set that is given, by each of its protocols."""
    if not any((options.movielens, options.lastfm, options.online_retail)):
        say("Skipped: give --movielens DIR, --lastfm DIR or --online-retail FILE.")
    for name, dataset in datasets.given(options):
        for title, protocol in _PROTOCOLS[name].items():
            _compare(f"{name}, {title}", dataset, protocol, options)


def _compare(name: str, dataset: Dataset, protocol: Protocol, options: Options) -> None:
    task = protocol(dataset)
    results: dict[str, list[_Result]] = {asked.name: [] for asked in task.questions}
    for rival, compete in _rivals(task, protocol, options):
        started = time.perf_counter()
        answers = compete()
        seconds = time.perf_counter() - started
        for asked in task.questions:
            how, score = answers[asked.name]
            results[asked.name].append(_Result(rival, how, judge(score, task, asked), seconds))
    for asked in task.questions:
        title = f"{name}: {asked.name}" if asked.name else name
        _report(title, task, asked, results[asked.name])


def _rivals(task: Task, protocol: Protocol, options: Options) -> Iterator[tuple[str, Callable[[], Answers]]]:
    yield _OURS, partial(_ours, task, options.search_seconds)
    for peer in IMPLICIT:
        yield peer.name, partial(_theirs, peer, task, protocol, options.trials)
    for name, make in simple(task).items():
        yield name, partial(_simple, make, task)


def _ours(task: Task, search_seconds: float) -> Answers:
    version = choose(task.train, search_seconds).model
    answers = {}
    for asked in task.questions:
        blend = version.blends.new if asked.exclude_seen else version.blends.usual
        answers[asked.name] = (describe(blend), served(version, task.train, asked.exclude_seen))
    return answers


def _theirs(peer: Peer, task: Task, protocol: Protocol, trials: int) -> Answers:
    found = tuned(peer, task, protocol, trials)
    return {name: (_words(settings), score) for name, (settings, score) in found.items()}


def _simple(make: Callable[[], Score], task: Task) -> Answers:
    score = make()
    return {asked.name: ("", score) for asked in task.questions}


def _words(settings: Settings) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _report(title: str, task: Task, asked: Question, results: list[_Result]) -> None:
    rng = np.random.default_rng(SEED)
    lines = []
    for result in sorted(results, key=lambda result: -result.ndcg):
        low, high = bootstrap_interval(result.per_user["ndcg"], rng)
        lines.append(
            (
                result.name,
                f"{result.ndcg:.4f}",
                f"{low:.4f}–{high:.4f}",
                f"{result.per_user['recall'].mean():.4f}",
                f"{result.per_user['map'].mean():.4f}",
                f"{result.seconds:.1f}",
            )
        )
    say(
        f"\n{title}: {len(task.train.log):,} interactions of {int((np.diff(task.seen.indptr) > 0).sum()):,} "
        f"users with {int(task.candidates.sum()):,} items to learn from; {len(asked.users):,} users asked, "
        f"seen items {'excluded' if asked.exclude_seen else 'may return'}."
    )
    n = LIST_LENGTH
    names = ("", f"nDCG@{n}", "interval", f"recall@{n}", f"MAP@{n}", "s")
    show("95 % intervals by resampling users; seconds to choose, tune and fit", names, lines)
    for result in results:
        if result.how:
            say(f"{result.name}: {result.how}")
    ours = next(result for result in results if result.name == _OURS)
    best = max((result for result in results if result.name != _OURS), key=lambda result: result.ndcg)
    low, high = paired_interval(ours.per_user["ndcg"], best.per_user["ndcg"], rng)
    say(
        f"{_OURS} / {best.name} (the best of the others in this test): {ours.ndcg / best.ndcg:.3f}; "
        f"difference {ours.ndcg - best.ndcg:+.4f}, paired interval {low:+.4f} to {high:+.4f}"
    )
