"""Numbers for JSON, which has neither NaN nor infinity."""

import math
from typing import Any


def finite(value: float) -> float | None:
    """The number, None where it is not one."""
    return float(value) if math.isfinite(value) else None


def all_finite(value: Any) -> Any:
    """Plain values with None for every number that is not finite."""
    if isinstance(value, dict):
        return {name: all_finite(of) for name, of in value.items()}
    if isinstance(value, list | tuple):
        return [all_finite(each) for each in value]
    return finite(value) if isinstance(value, float) else value
