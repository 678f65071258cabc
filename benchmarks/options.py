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
    lastfm: Path | None
    groceries: Path | None
    cdnow: Path | None
    telco: Path | None
    database: str | None
    trials: int
    """Hyperparameters that each peer tries."""
    search_seconds: float
    """Time that Vitrine's own choice may take."""
    threads: int
    """Of both sides, where single algorithms race."""
    scale: float
    """Of the sizes for `large`, to try it out."""
    family: str | None
    """A family that `large` fits alone, instead of the automatic choice."""
    configs: list[str]
    """Its recipes, as JSON; each is fitted."""
    items: int
    """Of the catalogue that `serving` fills."""
    keep: Path | None = None
    """Where `serving` leaves its shops."""
