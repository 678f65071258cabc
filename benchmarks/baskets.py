"""Frequent itemsets: side by side with mlxtend and efficient-apriori, and on a million baskets."""

import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from statistics import median
from typing import Any

import numpy as np

from app.learning.baskets.baskets import Baskets
from app.learning.baskets.itemsets import Itemsets
from app.learning.baskets.mining import MINERS, Algorithm, frequent_itemsets
from app.learning.baskets.model import RulesConfig, fit_baskets
from app.learning.baskets.rules import mine_rules
from benchmarks.machine import goal, mebibytes, say, show, spread
from benchmarks.options import Options

SUPPORT = 0.001
RATIO = 10
BASKETS = 1_000_000
ITEMS = 10_000
MEMORY_MIB = 4096
SECONDS = 120

_Miner = Callable[[], int]
"""Mines, and says how many itemsets there are."""


def run(options: Options) -> None:
    """Itemsets of the Groceries baskets by all that is installed, then those of the simulated shop."""
    if options.groceries is None:
        say("Groceries skipped: give --groceries FILE.")
    else:
        _side_by_side(options.groceries, options.rounds)
    # In a process of its own: the peak memory is of nothing else.
    subprocess.run([sys.executable, "-m", "benchmarks.baskets"], check=True)


def _side_by_side(file: Path, rounds: int) -> None:
    names, baskets = _load(file)
    say(f"{len(baskets):,} baskets, {len(baskets.indices):,} entries, {baskets.n_items} items.")
    itemsets = frequent_itemsets(baskets, SUPPORT)
    half, most = (len(mine_rules(itemsets, confidence)) for confidence in (0.5, 0.8))
    say(f"Support {SUPPORT}: {len(itemsets):,} itemsets, {half:,} rules at confidence .5, {most:,} at .8.")
    miners = _ours(baskets) | _mlxtend(names, baskets) | _efficient_apriori(names, baskets)
    seconds: dict[str, list[float]] = {name: [] for name in miners}
    counts: dict[str, int] = {}
    # All of them in every round, so that what else the machine does meets all.
    for _ in range(rounds):
        for name, mine in miners.items():
            started = time.perf_counter()
            counts[name] = mine()
            seconds[name].append(time.perf_counter() - started)
    ours = median(seconds["ours, fp_growth"])
    show(
        f"All itemsets at support {SUPPORT}, {rounds} rounds: median (range)",
        ("miner", "ms", "itemsets", "times ours"),
        [
            (
                name,
                spread([1000 * value for value in values], 1),
                f"{counts[name]:,}",
                f"{median(values) / ours:.1f}",
            )
            for name, values in seconds.items()
        ],
    )
    if "mlxtend fpgrowth" in seconds:
        ratio = median(seconds["mlxtend fpgrowth"]) / ours
        goal(f"{RATIO} times as fast as mlxtend's fpgrowth: {ratio:.1f}", ratio >= RATIO)


def _ours(baskets: Baskets) -> dict[str, _Miner]:
    def miner(algorithm: Algorithm) -> _Miner:
        return lambda: len(frequent_itemsets(baskets, SUPPORT, algorithm=algorithm))

    algorithms: tuple[Algorithm, ...] = ("fp_growth", "eclat", "apriori")
    assert set(algorithms) == set(MINERS)
    return {f"ours, {algorithm}": miner(algorithm) for algorithm in algorithms}


def _mlxtend(names: list[str], baskets: Baskets) -> dict[str, _Miner]:
    patterns, pandas = _module("mlxtend.frequent_patterns"), _module("pandas")
    if patterns is None or pandas is None:
        return {}
    held = np.zeros((len(baskets), baskets.n_items), dtype=np.bool_)
    held[baskets.rows, baskets.indices] = True
    frame = pandas.DataFrame(held, columns=names)
    return {"mlxtend fpgrowth": lambda: len(patterns.fpgrowth(frame, SUPPORT))}


def _efficient_apriori(names: list[str], baskets: Baskets) -> dict[str, _Miner]:
    module = _module("efficient_apriori")
    if module is None:
        return {}
    sets = [tuple(names[item] for item in items) for items in np.split(baskets.indices, baskets.indptr[1:-1])]
    return {
        "efficient-apriori": lambda: sum(
            map(len, module.itemsets_from_transactions(sets, min_support=SUPPORT)[0].values())
        )
    }


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        say(f"{name.partition('.')[0]} is not installed, so it is left out.")
        return None


def _load(file: Path) -> tuple[list[str], Baskets]:
    """Lines of names with commas between them; some names have blanks at their end."""
    lines = [{name.strip() for name in line.split(",")} for line in file.read_text().splitlines()]
    names = sorted(set().union(*lines))
    place = {name: number for number, name in enumerate(names)}
    return names, Baskets.of([[place[name] for name in line] for line in lines], len(names))


def simulated_baskets(rng: np.random.Generator) -> Baskets:
    """A million baskets of 1 to 40 of 10,000 items (Zipf), a third with part of a planted set."""
    sizes = np.minimum(rng.geometric(1 / 7, BASKETS), 40)
    share = 1 / np.arange(10, ITEMS + 10) ** 0.9
    bounds = np.cumsum(share / share.sum())
    bought = np.minimum(np.searchsorted(bounds, rng.random(int(sizes.sum()))), ITEMS - 1)
    sets = rng.integers(0, ITEMS, (2000, 4))
    fans = rng.choice(BASKETS, BASKETS // 3, replace=False)
    taken = rng.random((len(fans), 4)) < 0.7
    planted = sets[rng.integers(0, len(sets), len(fans))][taken]
    rows = np.concatenate([np.repeat(np.arange(BASKETS), sizes), np.repeat(fans, taken.sum(axis=1))])
    return Baskets.from_pairs(rows, np.concatenate([bought, planted]), BASKETS, ITEMS)


def _simulated() -> None:
    baskets = simulated_baskets(np.random.default_rng(1))
    say(f"Simulated: {len(baskets):,} baskets, {len(baskets.indices):,} entries, {ITEMS:,} items.")
    lines = []

    def note(what: str, itemsets: int, started: float) -> float:
        seconds = time.perf_counter() - started
        peak = mebibytes(getrusage(RUSAGE_SELF).ru_maxrss)
        lines.append((what, f"{itemsets:,}", f"{seconds:.1f}", f"{peak:,.0f}"))
        return seconds

    slowest = 0.0
    for count in (1000, 100, 30):
        started = time.perf_counter()
        itemsets: Itemsets = frequent_itemsets(baskets, count / BASKETS)
        slowest = max(slowest, note(f"itemsets in {count:,} baskets", len(itemsets), started))
    started = time.perf_counter()
    model = fit_baskets(RulesConfig(), baskets)
    what = f"rules, support found: {model.thresholds.min_count} baskets, {len(model.rules):,} rules"
    slowest = max(slowest, note(what, model.thresholds.n_itemsets, started))
    show("The simulated shop", ("what", "itemsets", "seconds", "peak MiB so far"), lines)
    goal(f"each within {SECONDS} s", slowest <= SECONDS)
    peak = mebibytes(getrusage(RUSAGE_SELF).ru_maxrss)
    goal(f"within {MEMORY_MIB:,} MiB: {peak:,.0f}", peak <= MEMORY_MIB)


if __name__ == "__main__":
    _simulated()
