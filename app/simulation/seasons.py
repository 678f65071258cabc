"""The rhythm of time: when the shop is busy, and when a product sells."""

from dataclasses import dataclass

import numpy as np

from app.simulation.chance import Floats, Ints
from app.simulation.config import DAY_MS, HOUR_MS, ShopConfig
from app.simulation.words import LEAVES

_HOURS = np.array(
    [3, 2, 1, 1, 1, 2, 5, 9, 12, 14, 15, 16, 18, 16, 14, 14, 15, 17, 21, 25, 27, 24, 16, 8], dtype=np.int64
)
_WEEKDAYS = np.array([95, 90, 92, 97, 104, 122, 130], dtype=np.int64)
_FRESH_DAYS = 40


@dataclass(frozen=True, slots=True)
class Calendar:
    """How busy the shop is, hour by hour, and how well each category sells, day by day."""

    start_ms: int
    busy: Ints
    """Relative traffic of each hour of the history. Shape (hours,)."""
    elapsed: Ints
    """Traffic before each hour, and the total at the end. Shape (hours + 1,)."""
    season: Ints
    """Appeal of each leaf category on each day, in thousandths. Shape (leaves, days)."""
    fresh: Ints
    """Appeal of an item by its age in days, in thousandths; the last entry holds ever after. Shape (365,)."""

    def traffic(self, at_ms: Ints) -> Ints:
        """Traffic from the start to each moment."""
        since = at_ms - self.start_ms
        hour = np.clip(since // HOUR_MS, 0, len(self.busy) - 1)
        passed: Ints = self.elapsed[hour] + self.busy[hour] * (since - hour * HOUR_MS) // HOUR_MS
        return passed

    def moment(self, traffic: Ints) -> Ints:
        """The moment (ms since the epoch) at which that much traffic has passed: busy hours get more."""
        hour = np.clip(np.searchsorted(self.elapsed, traffic, side="right") - 1, 0, len(self.busy) - 1)
        return self.start_ms + hour * HOUR_MS + (traffic - self.elapsed[hour]) * HOUR_MS // self.busy[hour]

    def in_season(self, leaf: Ints, at_ms: Ints) -> Ints:
        """Appeal of these leaves at these moments, in thousandths."""
        day = np.clip((at_ms - self.start_ms) // DAY_MS, 0, self.season.shape[1] - 1)
        appeal: Ints = self.season[leaf, day]
        return appeal

    def appeal(self, leaf: Ints, released_ms: Ints, at_ms: Ints) -> Ints:
        """Appeal of items of these leaves and release times at these moments, in millionths."""
        age = np.clip((at_ms - released_ms) // DAY_MS, 0, len(self.fresh) - 1)
        appeal: Ints = self.in_season(leaf, at_ms) * self.fresh[age]
        return appeal


def calendar(config: ShopConfig) -> Calendar:
    """The calendar of a shop's history: daily, weekly and yearly swing."""
    hours = config.start_ms // HOUR_MS + np.arange(config.days * 24, dtype=np.int64)
    days = config.start_ms // DAY_MS + np.arange(config.days, dtype=np.int64)
    # 1970-01-01 was a Thursday.
    weekday = (hours // 24 + 3) % 7
    swing = np.rint(100 + 22 * np.cos(2 * np.pi * (_day_of_year(hours // 24) - 340) / 365)).astype(np.int64)
    # Scaled up so that a short history still has many distinct moments between two counts of traffic.
    busy = _HOURS[hours % 24] * _WEEKDAYS[weekday] * swing * 100
    peaks = np.array([[leaf.peak] for leaf in LEAVES])
    wave = (1 + np.cos(2 * np.pi * (_day_of_year(days)[None, :] - peaks) / 365)) / 2
    season = np.rint(np.where(peaks > 0, 250 + 750 * wave, 650)).astype(np.int64)
    fresh = np.rint(550 + 450 * np.exp(-np.arange(365) / _FRESH_DAYS)).astype(np.int64)
    elapsed = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(busy)])
    return Calendar(config.start_ms, busy, elapsed, season, fresh)


def _day_of_year(days: Ints) -> Floats:
    dates = days.astype("datetime64[D]")
    days_in: Floats = (dates - dates.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.float64)
    return days_in
