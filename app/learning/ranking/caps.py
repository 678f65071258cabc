"""At most so many of a kind in one list."""

from collections import Counter
from collections.abc import Sequence


class Caps:
    """Counts what a list has of each group; an item may be in any number of groups of each cap."""

    def __init__(self, at_most: Sequence[int]) -> None:
        self._at_most = at_most
        self._counts: list[Counter[int]] = [Counter() for _ in at_most]

    @property
    def any(self) -> bool:
        """Whether there is a cap at all."""
        return bool(self._at_most)

    def have_room(self, groups: Sequence[Sequence[int]]) -> bool:
        """Whether an item, given by its groups for each cap, still fits."""
        return all(
            counts[group] < most
            for counts, most, of_cap in zip(self._counts, self._at_most, groups, strict=True)
            for group in of_cap
        )

    def count(self, groups: Sequence[Sequence[int]]) -> None:
        """Take note of an item that is in the list."""
        for counts, of_cap in zip(self._counts, groups, strict=True):
            counts.update(of_cap)
