"""nDCG and recall of the lists against popularity, by the trial that every training runs."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from app.core.events import DEFAULT_WEIGHTS
from app.db.session import Database
from app.learning.ratings.biased_factorization import BiasedFactorizationConfig
from app.training.progress import Progress
from app.training.snapshot import load_snapshot
from app.training.trial import run_trial
from benchmarks import processes
from benchmarks.machine import say, show
from benchmarks.options import Options

SEARCH_SECONDS = 30.0
"""As the service searches by default."""


def run(options: Options) -> None:
    """Try each source that is given: a database, MovieLens, Online Retail."""
    sources = list(_sources(options))
    if not sources:
        say("Skipped: give --database URL, --movielens DIR or --online-retail FILE.")
    for name, command in sources:
        with _database(options, command) as url:
            _judge(name, url, options.seeds)


def _sources(options: Options) -> Iterator[tuple[str, list[str]]]:
    """Names and the arguments of `vitrine import`; none for a database that is there."""
    if options.database is not None:
        yield "the database", []
    if options.movielens is not None:
        yield "MovieLens", ["movielens", str(options.movielens.resolve())]
    if options.online_retail is not None:
        yield "Online Retail", ["online-retail", str(options.online_retail.resolve())]


@contextmanager
def _database(options: Options, command: list[str]) -> Iterator[str]:
    """The address of the given database, or of a new one with the imported data."""
    if not command:
        yield options.database or ""
        return
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as folder:
        url = f"sqlite:///{folder}/import.db"
        processes.run(Path(folder), url, "-m", "app.cli", "import", *command)
        yield url


def _judge(name: str, url: str, seeds: list[int]) -> None:
    progress = Progress(lambda _stage, _fraction: None)
    database = Database(url)
    dataset = load_snapshot(database, DEFAULT_WEIGHTS, progress).dataset
    database.close()
    lines: list[tuple[str, ...]] = []
    gains: list[float] = []
    protocol: dict[str, Any] = {}
    for seed in seeds:
        trial = run_trial(
            dataset, BiasedFactorizationConfig(), None, SEARCH_SECONDS, np.random.default_rng(seed), progress
        )
        protocol = trial.evaluation["protocol"]
        if "top_n" not in trial.evaluation:
            say(f"{name}: too few users went on after the split to judge the lists.")
            return
        figures = trial.evaluation["top_n"]
        new, popular = figures["new"], figures["popularity"]
        low, high = figures["gain_over_popularity"]["ndcg"]
        gains.append(new["ndcg"] / popular["ndcg"])
        lines += [
            (f"seed {seed}", *_figures(new), f"{low:+.4f} to {high:+.4f}"),
            ("  popularity", *_figures(popular), ""),
        ]
    n = protocol["list_length"]
    say(
        f"{name}: {protocol['split']} split ({protocol['reason']}); "
        f"{protocol['train_interactions']:,} interactions to learn from, "
        f"{protocol['held_out_interactions']:,} held out; weights of the blend chosen on "
        f"{protocol['validation_users']:,} users, judged on {protocol['test_users']:,} others; "
        f"seen items {protocol['seen_items']}."
    )
    show(
        "95 % intervals by resampling users; the gain is paired",
        ("", f"nDCG@{n}", "interval", f"recall@{n}", "gain in nDCG"),
        lines,
    )
    say(f"nDCG@{n} / popularity's: {median(gains):.2f} (median over the seeds)")


def _figures(figures: dict[str, Any]) -> tuple[str, str, str]:
    low, high = figures["ndcg_interval"]
    return f"{figures['ndcg']:.4f}", f"{low:.4f}–{high:.4f}", f"{figures['recall']:.4f}"
