"""A difference between a segment and all others as a sentence."""

from typing import Final

_RATIOS: Final = {
    "interactions": "interacts {} as much as others",
    "active_days": "comes on {} as many days as others",
    "distinct_items": "sees {} as many different items as others",
    "frequency": "buys {} as often as others",
    "monetary": "spends {} as much as others",
    "purchase_value": "spends {} as much on a day of purchase as others",
    "views_per_purchase": "views {} as many items for each one bought as others",
}
"""What is told as a multiple."""
_VALUES: Final = {
    "recency_days": "last seen {} ago, others {}",
    "purchase_recency_days": "last bought {} ago, others {}",
    "tenure_days": "first seen {} ago, others {}",
    "median_gap_days": "comes every {}, others every {}",
    "refund_share": "returns {} of what was bought, others {}",
    "recent_share": "{} of what it did was within the last 30 days, of others {}",
}
"""What is told as two values."""


def sentence(feature: str, unit: str, mean: float, others: float) -> str:
    """Means of the members and of all others, as a multiple where that says something, else both."""
    ratio = multiple(unit, mean, others)
    plain = feature.replace("_", " ")
    if ratio is not None and feature not in _VALUES:
        return _RATIOS.get(feature, plain + ": {} that of others").format(_times(ratio))
    pattern = _VALUES.get(feature, plain + ": {}, others {}")
    return pattern.format(quantity(mean, unit), quantity(others, unit))


def multiple(unit: str, mean: float, others: float) -> float | None:
    """How many times the others' mean; None where that says nothing: for shares, and beside nothing."""
    return mean / others if unit != "share" and mean > 0 and others > 0 else None


def quantity(value: float, unit: str) -> str:
    """A value with its unit: 12 days, 3 %, 0.4 items."""
    if unit == "share":
        return f"{_round(100 * value)} %"
    return f"{_round(value)} {unit}".rstrip()


def _times(ratio: float) -> str:
    return f"{_round(ratio)} x"


def _round(value: float) -> str:
    size = abs(value)
    if size >= 10 or size == 0:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 1 else f"{value:.2g}" if size >= 0.001 else "0"
