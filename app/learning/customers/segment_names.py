"""What sets a segment apart, in numbers and in words."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MARKS: Final = 3
_NOTABLE: Final = 0.25
"""Standard deviations from the mean below which a feature gives no name."""
_WORDS: Final = {
    "recency_days": ("lapsed", "recently active"),
    "tenure_days": ("long-standing", "new"),
    "interactions": ("highly engaged", "little engaged"),
    "active_days": ("regular visitors", "rare visitors"),
    "median_gap_days": ("long gaps between visits", "frequent visitors"),
    "distinct_items": ("broad interests", "narrow interests"),
    "frequency": ("frequent buyers", "rare buyers"),
    "monetary": ("high value", "low value"),
    "purchase_value": ("large purchases", "small purchases"),
    "views_per_purchase": ("browsers", "decisive"),
    "refund_share": ("many returns", "few returns"),
    "recent_share": ("active this month", "quiet this month"),
}
"""How a high and a low value of a feature are called."""


@dataclass(frozen=True)
class Distinction:
    """A feature in which a segment differs from all users."""

    feature: str
    unit: str
    direction: Literal["high", "low"]
    difference: float
    """Standard deviations from the mean of all users."""
    centre: float
    """Median of the segment, in the feature's unit."""

    def describe(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @property
    def words(self) -> str:
        """The difference in a word or two."""
        if self.feature == "frequency" and self.direction == "low":
            if self.centre <= 0:
                return "not yet buyers"
            if self.centre <= 1:
                return "one-time buyers"
        high, low = _WORDS.get(
            self.feature, (f"high {self.feature}".replace("_", " "), f"low {self.feature}".replace("_", " "))
        )
        return high if self.direction == "high" else low


def distinctions(
    names: Sequence[str], units: Sequence[str], standardised: Floats, centres: Floats
) -> list[list[Distinction]]:
    """For each segment the features that differ most, the greatest difference first.

    `standardised` and `centres` are `(n_segments, n_features)`.
    """
    found = []
    for differences, centre in zip(standardised, centres, strict=True):
        order = np.argsort(-np.abs(np.round(differences, 9)), kind="stable")[:_MARKS]
        found.append(
            [
                Distinction(
                    names[place],
                    units[place],
                    "high" if differences[place] > 0 else "low",
                    float(differences[place]),
                    float(centre[place]),
                )
                for place in order.tolist()
            ]
        )
    return found


def segment_names(marks: Sequence[Sequence[Distinction]]) -> list[str]:
    """A name from the two most notable differences of each; a third, then a number, tells equals apart."""
    names: list[str] = []
    for segment in marks:
        words = [mark.words for mark in segment if abs(mark.difference) >= _NOTABLE]
        name = ", ".join(words[:2]) or "average customers"
        if name in names and len(words) > 2:
            name = ", ".join(words)
        number = 2
        unnumbered = name
        while name in names:
            name = f"{unnumbered} ({number})"
            number += 1
        names.append(name)
    return names
