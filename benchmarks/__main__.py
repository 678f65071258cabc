"""`python -m benchmarks [name …]`: run the named measurements, or all whose data is given."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    accuracy,
    algebra,
    analytics,
    baskets,
    cold,
    customers,
    families,
    imports,
    ingest,
    large,
    lifetime,
    ratings,
    segments,
    serving,
    topn,
    training,
)
from benchmarks.machine import say, show_machine
from benchmarks.options import Options

MEASUREMENTS: dict[str, Callable[[Options], None]] = {
    "ingest": ingest.run,
    "imports": imports.run,
    "training": training.run,
    "ratings": ratings.run,
    "topn": topn.run,
    "accuracy": accuracy.run,
    "cold": cold.run,
    "algebra": algebra.run,
    "large": large.run,
    "baskets": baskets.run,
    "lifetime": lifetime.run,
    "customers": customers.run,
    "segments": segments.run,
    "analytics": analytics.run,
    "families": families.run,
    "serving": serving.run,
}
ONLY_BY_NAME = {"large", "serving"}
"""What takes so long that it has to be asked for."""


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    # Not `choices`: argparse would refuse the empty default of `*` with them.
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(MEASUREMENTS))
    parser.add_argument("--rounds", type=int, default=5, help="Rounds whose median counts (default: 5)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="Of folds and halves")
    parser.add_argument("--batches", type=int, nargs="+", default=[5_000, 10_000], help="Sizes for ingest")
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=[100_000, 1_000_000, 5_000_000],
        help="Interactions for training",
    )
    parser.add_argument(
        "--movielens", type=Path, default=_path("MOVIELENS"), help="An unpacked MovieLens set"
    )
    parser.add_argument("--online-retail", type=Path, default=_path("ONLINE_RETAIL"), help="The UCI file")
    parser.add_argument("--lastfm", type=Path, default=_path("LASTFM"), help="An unpacked hetrec-lastfm")
    parser.add_argument("--groceries", type=Path, default=_path("GROCERIES"), help="groceries.csv of arules")
    parser.add_argument(
        "--cdnow", type=Path, default=_path("CDNOW"), help="cdnowElog.csv, the sample of CDNOW"
    )
    parser.add_argument("--telco", type=Path, default=_path("TELCO"), help="The Telco churn table")
    parser.add_argument("--trials", type=int, default=20, help="Of each peer in accuracy (default: 20)")
    parser.add_argument(
        "--search-seconds", type=float, default=25.0, help="Of Vitrine's search (default: 25)"
    )
    parser.add_argument("--threads", type=int, default=1, help="For algebra (default: 1)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="Of the sizes for large and serving (default: 1)"
    )
    parser.add_argument("--family", help="For large: fit this family instead of the automatic choice")
    parser.add_argument(
        "--configs", nargs="+", default=["{}"], metavar="JSON", help="For large: recipes of the family"
    )
    parser.add_argument(
        "--database",
        default=os.environ.get("VITRINE_BENCH_DATABASE"),
        help="For topn, and serving (PostgreSQL)",
    )
    parser.add_argument("--items", type=int, default=100_000, help="For serving: size of the catalogue")
    parser.add_argument(
        "--keep", type=Path, help="For serving: a folder in which the shops stay for the next run"
    )
    parser.epilog = "Paths also from VITRINE_BENCH_ and the option's name: VITRINE_BENCH_ONLINE_RETAIL …"
    given = vars(parser.parse_args())
    names = given.pop("names") or [name for name in MEASUREMENTS if name not in ONLY_BY_NAME]
    if unknown := [name for name in names if name not in MEASUREMENTS]:
        parser.error(f"no such measurement: {', '.join(unknown)} (there are {', '.join(MEASUREMENTS)})")
    if len(names) > 1:
        # Each in a process of its own: the peak memory of a child counts from the size of its parent.
        rest = [argument for argument in sys.argv[1:] if argument not in names]
        status = [
            subprocess.run([sys.executable, "-m", "benchmarks", name, *rest]).returncode for name in names
        ]
        sys.exit(max(status))
    say(f"\n[bold]{names[0]}[/bold]")
    show_machine()
    MEASUREMENTS[names[0]](Options(**given))


def _path(name: str) -> Path | None:
    value = os.environ.get(f"VITRINE_BENCH_{name}")
    return Path(value) if value else None


if __name__ == "__main__":
    main()
