"""Training time and peak memory of `vitrine train` on simulated shops of several sizes."""

import tempfile
from itertools import pairwise
from math import log
from pathlib import Path
from statistics import median

from benchmarks import processes
from benchmarks.machine import goal, mebibytes, show, spread
from benchmarks.options import Options

LINEAR = 1.15
"""Growth exponent up to which the time counts as near-linear."""
MEMORY_MIB = 4096
LARGEST = 5_000_000


def run(options: Options) -> None:
    """Fill a database for each size, then train on each in every round."""
    seconds: dict[int, list[float]] = {size: [] for size in options.sizes}
    peaks: dict[int, list[float]] = {size: [] for size in options.sizes}
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as place:
        for size in options.sizes:
            folder = Path(place) / str(size)
            folder.mkdir()
            processes.run(folder, _database(folder), "-m", "benchmarks.filling", str(size))
        for _ in range(options.rounds):
            for size in options.sizes:
                folder = Path(place) / str(size)
                finished = processes.run(folder, _database(folder), "-m", "app.cli", "train")
                seconds[size].append(finished.seconds)
                peaks[size].append(mebibytes(finished.max_rss))
    show(
        f"`vitrine train`, start to end, {options.rounds} rounds over all sizes: median (range)",
        ("interactions", "seconds", "s per 100,000", "peak MiB"),
        [
            (
                f"{size:,}",
                spread(seconds[size], 1),
                f"{median(seconds[size]) / size * 100_000:.2f}",
                spread(peaks[size], 0),
            )
            for size in options.sizes
        ],
    )
    for small, large in pairwise(sorted(options.sizes)):
        growth = log(median(seconds[large]) / median(seconds[small])) / log(large / small)
        goal(f"time grows as n^{LINEAR} at most, {small:,} to {large:,}: n^{growth:.2f}", growth <= LINEAR)
    if LARGEST in peaks:
        goal(f"{LARGEST:,} within {MEMORY_MIB:,} MiB", max(peaks[LARGEST]) <= MEMORY_MIB)


def _database(folder: Path) -> str:
    return f"sqlite:///{folder / 'shop.db'}"
