"""Why a customer's prediction is what it is: what moved it most, in numbers and in a sentence."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DRIVERS: Final = 3
_COUNTED: Final = (
    ("frequency", "no purchase so far", ("purchase_", "basket_")),
    ("service_contacts", "no contact with the service", ("service_",)),
)
"""A count, what to say where it is 0, and beginnings of the features that then have no value of their own."""


@dataclass(frozen=True)
class Driver:
    """A feature that moved a prediction away from that of the average customer."""

    feature: str
    label: str
    unit: str
    value: float
    """The customer's own, in the unit."""
    direction: Literal["raises", "lowers"]
    contribution: float
    """On the model's own scale: log-odds, probability or amount, before calibration."""
    never: str = ""
    """What to say instead of a value where nothing has happened that it could be of."""

    def describe(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {name: value for name, value in asdict(self).items() if name != "never"}

    @property
    def words(self) -> str:
        """The feature and the customer's value of it."""
        if self.never:
            return self.never
        label = short(self.label)
        if self.unit == "yes or no":
            return f"{label} ({'yes' if self.value > 0 else 'no'})"
        if " " in self.label:  # a meaning, not the shop's own name of an attribute
            label = label[:1].lower() + label[1:]
        if self.unit == "share":
            return f"{label} ({self.value:.0%})"
        number = f"{self.value:,.1f}".removesuffix(".0")
        # The money's name is the shop's; what calls it "currency" says nothing.
        return f"{label} ({number})" if self.unit in ("", "currency") else f"{label} ({number} {self.unit})"


def _never(names: Sequence[str], values: Floats) -> dict[str, str]:
    """By feature what to say where nothing has happened that it could be of."""
    said: dict[str, str] = {}
    for count, words, starts in _COUNTED:
        if count in names and values[names.index(count)] == 0:
            said |= {name: words for name in names if name.startswith(starts) and name != count}
    return said


def short(label: str) -> str:
    """A meaning without its small print."""
    return re.split(r"[;,] | \(", label)[0]


def strongest(
    names: Sequence[str], labels: Sequence[str], units: Sequence[str], values: Floats, contributions: Floats
) -> list[list[Driver]]:
    """Of each row the features that contribute most, the strongest first; none that contribute nothing."""
    order = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :DRIVERS]
    found = []
    for row, places in enumerate(order.tolist()):
        never = _never(names, values[row])
        found.append(
            [
                Driver(
                    names[place],
                    labels[place],
                    units[place],
                    float(values[row, place]),
                    "raises" if contributions[row, place] > 0 else "lowers",
                    float(contributions[row, place]),
                    never.get(names[place], ""),
                )
                for place in places
                if contributions[row, place] != 0
            ]
        )
    return found


def sentence(target: str, drivers: Sequence[Driver]) -> str:
    """The drivers as people would say it."""
    raised, lowered = (
        # Features with the same words (money spent, in all and per purchase) are said once.
        list(dict.fromkeys(driver.words for driver in drivers if driver.direction == direction))
        for direction in ("raises", "lowers")
    )
    target = target[:1].upper() + target[1:]
    if raised and lowered:
        return f"{target} is raised by {_listed(raised)} and lowered by {_listed(lowered)}."
    if raised or lowered:
        return f"{target} is {'raised' if raised else 'lowered'} by {_listed(raised or lowered)}."
    return f"{target} is that of the average customer: nothing sets this one apart."


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
