"""A filter whose parameters come later, judged now as far as it can be: names, comparisons, given values."""

from collections.abc import Mapping
from typing import Any, Final

from app.learning.filtering.conditions import condition_of
from app.learning.filtering.parameters import filled, parameters_of
from app.learning.filtering.tree import Comparison, Filter, FilterError, Values, comparisons

_SAMPLES: Final[tuple[Any, ...]] = (1, "a", "2026-01-01", True)
"""A value of each kind that a parameter may turn out to have."""


def check(tree: Filter, given: Mapping[str, Any]) -> None:
    """Raises `FilterError` for a comparison that no values of the parameters still to come could mend."""
    for comparison in comparisons(tree):
        errors = _errors(comparison, given)
        if errors:
            # Rather what is written is wrong than the value that was tried in a parameter's place.
            waiting = {place for name, place in parameters_of(comparison).items() if name not in given}
            written = [error for error in errors if (error.pointer or error.column) not in waiting]
            raise (written or errors)[0]


def _errors(comparison: Comparison, given: Mapping[str, Any]) -> list[FilterError]:
    """What is wrong with each of the samples; nothing if one of them fits."""
    waiting = [name for name in parameters_of(comparison) if name not in given]
    listed = any(isinstance(side, Values) for side in (comparison.left, comparison.right))
    errors = []
    for sample in _SAMPLES:
        value = [sample] if comparison.operator == "in" and not listed else sample
        try:
            condition_of(filled(comparison, {**given, **dict.fromkeys(waiting, value)}))
        except FilterError as error:
            errors.append(error)
        else:
            return []
    return errors
