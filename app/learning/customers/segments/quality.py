"""How good a clustering is: three indices over a range of numbers of segments, and the vote among them.

Silhouette: Rousseeuw (1987). Calinski and Harabasz (1974). Davies and Bouldin (1979).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int32]

COLUMNS = ("segments", "silhouette", "calinski_harabasz", "davies_bouldin", "smallest_share", "votes")
"""Of the table of quality. Votes: the sum of the ranks in the three indices, 3 is best of all in each."""
LOYALTY = 2.0
"""Ranks by which another number of segments must be better before the former number is given up."""
FLAT = 0.02
"""Silhouette by which another number must be better besides: indices that hardly differ say little."""
VOTE = (
    "Each number of segments is ranked by each of the three indices; the least sum of ranks wins, ties go to "
    "the higher silhouette. Numbers that leave a segment below the least share do not stand, unless all do. "
    f"The former number of segments stays unless another is better by more than {LOYALTY:g} ranks and by "
    f"more than {FLAT:g} in the silhouette."
)


def indices(points: Floats, labels: Labels, sample: NDArray[np.int64], working_mb: int) -> tuple[float, ...]:
    """Number of segments, silhouette (on the sample's rows), the other two indices, smallest share."""
    import sklearn
    from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

    sizes = np.bincount(labels)
    sizes = sizes[sizes > 0]
    k, smallest = len(sizes), float(sizes.min() / len(labels))
    silhouette, within = -1.0, len(np.unique(labels[sample]))
    if 2 <= within < len(sample):
        with sklearn.config_context(working_memory=working_mb):
            silhouette = float(silhouette_score(points[sample], labels[sample]))
    if not 2 <= k < len(points):
        return (float(k), silhouette, 0.0, np.inf, smallest)
    harabasz = float(calinski_harabasz_score(points, labels))
    return (float(k), silhouette, harabasz, float(davies_bouldin_score(points, labels)), smallest)


def vote(table: Floats, least_share: float, former: int | None) -> tuple[int, Floats]:
    """The row that wins, and the table with a last column of votes (`VOTE` says how).

    `table` is `(n, 5)`, a row of `indices` for each number of segments tried.
    """
    from scipy.stats import rankdata

    stands = table[:, 4] >= least_share
    if not stands.any():
        stands[:] = True
    votes = np.full(len(table), np.inf)
    good = table[stands][:, 1:4] * [1, 1, -1]
    votes[stands] = rankdata(-good, method="min", axis=0).sum(axis=1)
    best = int(np.lexsort((-table[:, 1], votes))[0])
    flat = stands & (table[:, 1] >= table[best, 1] - FLAT)
    kept = np.flatnonzero((table[:, 0] == (former or 0)) & ((votes <= votes[best] + LOYALTY) | flat))
    return (int(kept[0]) if len(kept) else best), np.column_stack([table, votes])


def described(table: Floats) -> list[dict[str, Any]]:
    """Rows of the table as plain values for JSON; votes are None where a number did not stand."""
    return [_row(row) for row in table.tolist()]


def _row(row: Sequence[float]) -> dict[str, Any]:
    values: dict[str, Any] = dict(zip(COLUMNS, row, strict=True))
    values["segments"] = int(values["segments"])
    values["votes"] = int(values["votes"]) if np.isfinite(values["votes"]) else None
    return values
