"""All that a training learns of customers, baskets and sales: time and peak memory by number of customers."""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import orjson

from app.learning.analytics import AnalyticsConfig, fit_analytics
from benchmarks import processes
from benchmarks.machine import mebibytes, show
from benchmarks.options import Options
from benchmarks.simulated import simulate

CUSTOMERS = (100_000, 1_000_000)
_EVENTS_EACH = 10
_ITEMS = 20_000
_SEED = 1


def run(options: Options) -> None:
    """Each size in a process of its own, so that peaks are its own."""
    lines = []
    for customers in CUSTOMERS:
        n = max(1000, int(customers * options.scale))
        with tempfile.TemporaryDirectory() as folder:
            processes.run(Path(folder), "sqlite://", "-m", "benchmarks.analytics", str(n))
            made = orjson.loads((Path(folder) / "made.json").read_bytes())
        stages = ", ".join(f"{seconds:.0f}" for seconds in made["stages"])
        peak = f"{mebibytes(made['peak']):,.0f} ({mebibytes(made['before']):,.0f})"
        lines.append((f"{n:,}", f"{made['seconds']:.0f}", stages, peak, f"{made['stored'] / 2**20:,.0f}"))
    names = ("customers", "s", "by stage", "peak MiB (data alone)", "stored MiB")
    show(f"Analytics of a simulated shop, {_EVENTS_EACH} events a customer, {_ITEMS:,} items", names, lines)


def main() -> None:
    n = int(sys.argv[1])
    shop = simulate(n, _ITEMS, n * _EVENTS_EACH, np.random.default_rng(_SEED))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    stages = [started]
    found = fit_analytics(
        AnalyticsConfig(),
        shop,
        np.random.default_rng(_SEED),
        None,
        lambda _done: stages.append(time.perf_counter()),
    )
    seconds = time.perf_counter() - started
    made = {
        "seconds": seconds,
        "stages": np.diff(stages).tolist(),
        "before": before,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "stored": sum(array.nbytes for array in found.arrays().values()),
        "missing": dict(found.missing),
    }
    Path("made.json").write_bytes(orjson.dumps(made))


if __name__ == "__main__":
    main()
