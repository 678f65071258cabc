"""What sets a segment apart, in numbers and in words, and the name that follows from it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from app.learning.customers.segments.contrast import Contrast
from app.learning.customers.segments.phrases import multiple, sentence

_MARKS: Final = 3
_NOTABLE: Final = 0.25
"""Standard deviations between a segment and the others below which a feature gives no name."""
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
    """A feature in which a segment differs from the other customers."""

    feature: str
    unit: str
    direction: Literal["high", "low"]
    difference: float
    """Between the means of the segment and of the others, in standard deviations of all."""
    centre: float
    """Median of the segment, in the feature's unit."""
    mean: float
    others: float
    """Mean of the others."""

    def describe(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"ratio": self.ratio, "says": self.says}

    @property
    def ratio(self) -> float | None:
        """Mean of the segment as a multiple of the others' mean, where that says something."""
        return multiple(self.unit, self.mean, self.others)

    @property
    def says(self) -> str:
        """The difference as a sentence: "buys 3.1 x as often as others"."""
        return sentence(self.feature, self.unit, self.mean, self.others)

    @property
    def words(self) -> str:
        """The difference in a word or two."""
        if self.feature == "frequency" and self.direction == "low":
            if self.centre <= 0:
                return "not yet buyers"
            if self.centre <= 1:
                return "at most one purchase"
        plain = self.feature.replace("_", " ")
        high, low = _WORDS.get(self.feature, (f"high {plain}", f"low {plain}"))
        return high if self.direction == "high" else low


def distinctions(
    names: Sequence[str], units: Sequence[str], found: Contrast, counts: NDArray[np.bool_]
) -> list[list[Distinction]]:
    """For each segment the features that differ most, the greatest difference first.

    `counts`, `(n_features,)`: features that may be named; the others repeat one of these.
    """
    marks = []
    for segment, effects in enumerate(found.effects):
        order = np.argsort(-np.abs(np.round(np.where(counts, effects, 0.0), 9)), kind="stable")[:_MARKS]
        marks.append(
            [
                Distinction(
                    names[place],
                    units[place],
                    "high" if effects[place] > 0 else "low",
                    float(effects[place]),
                    float(found.centres[segment, place]),
                    float(found.means[segment, place]),
                    float(found.others[segment, place]),
                )
                for place in order.tolist()
                if counts[place]
            ]
        )
    return marks


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


def taste_names(names: Sequence[str], found: Contrast) -> list[str]:
    """A name from what a segment prefers most: the two columns that stand out above the others."""
    called: list[str] = []
    for effects in found.effects:
        order = np.argsort(-effects, kind="stable")[:2]
        name = ", ".join(names[place] for place in order.tolist() if effects[place] >= _NOTABLE)
        name = unnumbered = name or "mixed tastes"
        number = 2
        while name in called:
            name = f"{unnumbered} ({number})"
            number += 1
        called.append(name)
    return called
