"""Arrays of several models in one mapping: each under its part's name and a slash."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


def joined(parts: Mapping[str, Arrays]) -> dict[str, NDArray[Any]]:
    """All arrays, by part and name."""
    return {f"{part}/{name}": array for part, arrays in parts.items() for name, array in arrays.items()}


def part_of(arrays: Arrays, part: str) -> dict[str, NDArray[Any]]:
    """The arrays of one part under their own names; empty if there is none."""
    start = f"{part}/"
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
