"""What a measurement may be told."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    rounds: int
    seeds: list[int]
    batches: list[int]
    """Interactions of one call, for ingest."""
    sizes: list[int]
    """Interactions of a whole shop, for training."""
    movielens: Path | None
    online_retail: Path | None
    database: str | None
