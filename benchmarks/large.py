"""Large simulated shops: time and peak memory of the automatic choice, or of one family by its recipes."""

import json
import tempfile
from pathlib import Path

import orjson

from benchmarks import processes
from benchmarks.machine import mebibytes, show
from benchmarks.options import Options

_SHOPS = {
    "20 million interactions": (400_000, 30_000, 20_000_000),
    "100,000 items": (200_000, 100_000, 5_000_000),
}
"""Users, items and interactions."""


def run(options: Options) -> None:
    """Each shop and recipe in a process of its own."""
    lines = []
    for name, (users, items, interactions) in _SHOPS.items():
        sizes = [max(200, round(size * options.scale)) for size in (users, items, interactions)]
        recipes = options.configs if options.family else [""]
        for recipe in recipes:
            lines.append((name, *_train(sizes, options, recipe)))
    show(
        f"{options.family or 'Automatic choice'}; nDCG@10 of users that were left out, seen items excluded",
        (
            "shop (recipe)",
            *("users", "items", "seconds", "peak MiB", "MiB before", "nDCG@10", "popularity", "what"),
        ),
        lines,
    )


def _train(sizes: list[int], options: Options, recipe: str) -> tuple[str, ...]:
    order = {
        "sizes": sizes,
        "family": options.family,
        "recipe": json.loads(recipe or "{}"),
        "search_seconds": options.search_seconds,
    }
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as place:
        folder = Path(place)
        command = ("-m", "benchmarks.one_training", orjson.dumps(order).decode())
        processes.run(folder, "sqlite://", *command)
        made = orjson.loads((folder / "made.json").read_bytes())
    return (
        f"{sizes[0]:,}",
        f"{sizes[1]:,}",
        f"{made['seconds']:,.1f}",
        f"{mebibytes(made['peak']):,.0f}",
        f"{mebibytes(made['before']):,.0f}",
        f"{made['ndcg']:.4f}",
        f"{made['popularity']:.4f}",
        made["what"] or recipe,
    )
