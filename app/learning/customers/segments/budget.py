"""How many customers an algorithm may look at, known from its memory bound before it starts."""

from dataclasses import dataclass

MEBIBYTE = 2**20

_ROWS_MOST = 30_000
"""More rows than that move centres less than the choice of features does."""
_PAIRS_MOST = 6_000
"""Linkage over more takes minutes and gives the same tree of large groups."""
_ROW_BYTES = 8 * 6
"""Of a feature of a sampled customer: values, logarithms, points and the library's copies."""
_PAIR_BYTES = 16
"""Of a pair: its distance, the linkage's working copy of it, or a neighbour's index and distance."""


@dataclass(frozen=True)
class Budget:
    """What fits into the memory bound, beside the table of features and a few numbers for each customer."""

    rows: int
    """Customers in the sample from which segments are learned."""
    silhouette_mb: int
    """Working memory of the silhouette, which goes through its pairs in blocks."""
    chunk: int
    """Customers labelled at once."""


def budget(memory_mb: int, n_customers: int, n_features: int, most_segments: int, pairs: bool) -> Budget:
    """Half of the memory is for what is learned from, a quarter for the silhouette, a quarter for labelling.

    `pairs`: whether the algorithm may hold every pair of the sample at once (linkage, DBSCAN).
    """
    half = memory_mb * MEBIBYTE // 2
    rows = min(_ROWS_MOST, half // (_ROW_BYTES * n_features + 8 * most_segments))
    if pairs:
        rows = min(rows, _PAIRS_MOST, int((half / _PAIR_BYTES) ** 0.5))
    chunk = half // 2 // (_ROW_BYTES * n_features + 16 * most_segments)
    return Budget(min(rows, n_customers), max(1, memory_mb // 4), max(1, min(chunk, 50_000)))
