"""What shop to simulate."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class ShopConfig:
    """A simulated shop: its seed, sizes and shares. Raises ValueError on what no shop can have."""

    seed: int = 7
    """Same seed and settings, same shop."""
    users: int = 400
    """Registered customers."""
    items: int = 300
    """Products in the catalogue."""
    days: int = 180
    """Length of the history."""
    end: datetime = datetime(2026, 11, 1, tzinfo=UTC)
    """End of the history (exclusive), with a time zone. A fixed default: a simulation reads no clock."""
    interactions: int = 20_000
    """Interactions to aim at; the shop has about that many."""
    tastes: int = 6
    """Taste clusters."""
    currency: str = "EUR"
    """Currency of all prices."""
    anonymous_share: float = 0.15
    """Share of the sessions that never log in."""
    churn_share: float = 0.25
    """Share of the customers that stop buying for good before the end."""
    complement_share: float = 0.2
    """Share of the items that belong to a pair bought together."""
    chinese_share: float = 0.03
    """Share of the items with a Chinese title and description."""
    out_of_stock_share: float = 0.04
    """Share of the items that are out of stock at the end."""
    release_share: float = 0.3
    """Share of the items that are released during the history."""
    friends: float = 4.0
    """Mean number of friends of a customer."""

    def __post_init__(self) -> None:
        for name in ("users", "items", "days", "tastes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in ("seed", "interactions", "friends"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        for name in (
            *("anonymous_share", "churn_share", "complement_share"),
            *("chinese_share", "out_of_stock_share", "release_share"),
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1")
        if self.end.tzinfo is None:
            raise ValueError("end needs a time zone")

    @property
    def end_ms(self) -> int:
        """End of the history (exclusive), ms since the epoch."""
        return int(self.end.timestamp()) * 1000

    @property
    def start_ms(self) -> int:
        """Start of the history, ms since the epoch."""
        return self.end_ms - self.days * DAY_MS
