"""95 % intervals of figures whose observations come in clusters: the items of one list, say."""

from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

from scipy.special import stdtrit

_UPPER: Final = 0.975
_DIGITS: Final = 6


@dataclass
class Clustered:
    """Sums over clusters, of `units` each, some of which are `hits`."""

    clusters: int = 0
    units: int = 0
    unit_squares: int = 0
    hits: int = 0
    hit_squares: int = 0
    products: int = 0
    """Units times hits."""

    def add_clusters(self, units: int, number: int) -> None:
        """Count clusters of a size; their hits are told by `add_hits`."""
        self.clusters += number
        self.units += units * number
        self.unit_squares += units * units * number

    def add_hits(self, units: int, hits: int) -> None:
        """Tell the hits of one cluster."""
        self.hits += hits
        self.hit_squares += hits * hits
        self.products += units * hits

    def rate(self) -> dict[str, Any]:
        """Hits by units with a Wilson interval of as many units as the clusters are worth.

        What hits in one cluster have in common widens it (Kish's design effect, of the ratio's linearised
        variance between clusters, never below 1), and so do few clusters (Student's t). No limits with less
        than two clusters.
        """
        if not self.units:
            return {"value": None, "low": None, "high": None}
        share = min(1.0, self.hits / self.units)  # hits may be read a moment later than units
        value = round(share, _DIGITS)
        if self.clusters < 2:
            return {"value": value, "low": None, "high": None}
        effect = 1.0
        if 0 < share < 1:
            spread = self.hit_squares - 2 * share * self.products + share**2 * self.unit_squares
            variance = spread * self.clusters / (self.clusters - 1) / self.units**2
            effect = max(1.0, variance / (share * (1 - share) / self.units))
        worth = self.units / effect
        t = float(stdtrit(self.clusters - 1, _UPPER))
        centre = (share + t * t / (2 * worth)) / (1 + t * t / worth)
        half = t * sqrt(share * (1 - share) / worth + (t / (2 * worth)) ** 2) / (1 + t * t / worth)
        return {
            "value": value,
            "low": round(max(0.0, centre - half), _DIGITS),
            "high": round(min(1.0, centre + half), _DIGITS),
        }


def mean(count: int, total: float, squares: float, scale: float, digits: int) -> dict[str, Any]:
    """`scale` times the mean of `count` values, with an interval by Student's t.

    No limits for less than two values, or where all are the same: those say nothing of what else may come.
    """
    if not count:
        return {"value": None, "low": None, "high": None}
    middle = total / count
    value = round(scale * middle, digits)
    spread = squares - total * middle
    if count < 2 or spread <= 1e-9 * squares:
        return {"value": value, "low": None, "high": None}
    half = float(stdtrit(count - 1, _UPPER)) * sqrt(spread / (count - 1) / count)
    return {
        "value": value,
        "low": round(scale * (middle - half), digits),
        "high": round(scale * (middle + half), digits),
    }
