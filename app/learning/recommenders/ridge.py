"""Regressions of each item on the others, in closed form: all at once, or in blocks of related items."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.sparse import coo_array, csc_array, csr_array

from app.learning.recommenders.base import NotEnoughData
from app.learning.recommenders.sparse import narrow

Floats = NDArray[np.float32]

BYTES_PER_ENTRY = 10
"""Peak memory for each entry of a Gram matrix: itself and its weights in float32, and room for copies."""
BYTES_PER_WEIGHT = 32
"""Peak memory for each weight that is kept of blocks, while they are put together."""
_STRIP = 512
"""Rows of a symmetric matrix that are completed at once."""
_FACTORS = 32
_LEAST_KEPT = 10
_SAMPLE = 5
"""Blocks from which the threshold is read."""


def gram_matrix(matrix: csr_array) -> Floats:
    """`matrix.T @ matrix`, `(n_columns, n_columns)` in Fortran order."""
    from sklearn.utils.sparsefuncs import sparse_matmul_to_dense

    matrix = csr_array(matrix.astype(np.float32, copy=False))
    dense: Floats = sparse_matmul_to_dense(csr_array(matrix.T), matrix)
    return dense.T


def ridge_weights(gram: Floats, ridge: Floats) -> Floats:
    """`B = I - P / diag(P)` with `P = (gram + diag(ridge))^-1`, zero diagonal; `gram` is overwritten.

    Row: the item that is known, column: the item predicted. `gram` is `(n, n)` in Fortran order, `ridge`
    `(n,)`. Raises `NotEnoughData` where the matrix cannot be factored.
    """
    diagonal = np.diag_indices_from(gram)
    gram[diagonal] += ridge
    factor, failed = lapack.spotrf(gram, lower=1, overwrite_a=1, clean=0)
    if failed:
        raise NotEnoughData("needs histories that differ: their Gram matrix cannot be factored")
    inverse, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    scale = -1.0 / np.diag(inverse)
    # The lower triangle in Fortran order is the upper one of the transposed view, in C order.
    weights = inverse.T
    for start in range(0, len(weights), _STRIP):
        rows = slice(start, start + _STRIP)
        weights[rows, : start + _STRIP] = _mirrored(weights, rows)
    weights *= scale[None, :]
    weights[diagonal] = 0.0
    return np.asarray(weights)


def _mirrored(upper: Floats, rows: slice) -> Floats:
    """Some rows, to the end of their diagonal block, of the symmetric matrix with this upper triangle."""
    stop = min(rows.stop, len(upper))
    left = upper[:stop, rows].T.copy()
    inside = upper[rows, rows.start : stop]
    left[:, rows.start : stop] = np.triu(inside) + np.triu(inside, 1).T
    return left


def block_weights(
    matrix: csr_array,
    regularization: float,
    noise: float,
    block: int,
    keep: int,
    rng: np.random.Generator,
) -> csr_array:
    """The same weights, each item regressed on the items most related to it only, `(n_items, n_items)`.

    Items are parted into groups of half a `block` that the same people choose; each group is solved with as
    many other items that co-occur most with it. The inverse of a sparse matrix decays away from its
    pattern (Demko, Moss & Smith 1984), which SANSA (Spišák et al. 2023) builds on too. Of each item
    predicted about `keep` weights stay, the largest of all. Memory is that of one block and of these.
    """
    columns = csc_array(matrix)
    n_items = int(matrix.shape[1])
    squares = np.bincount(matrix.indices, weights=matrix.data.astype(np.float64) ** 2, minlength=n_items)
    squares = squares.astype(np.float64)
    mean = squares[squares > 0].mean()
    ridge = (regularization * mean + noise * squares).astype(np.float32)
    groups = list(_groups(matrix, max(1, block // 2), rng))
    solved: dict[int, tuple[NDArray[np.int64], Floats]] = {}

    def solve(number: int) -> tuple[NDArray[np.int64], Floats]:
        core = groups[number]
        members = np.concatenate([core, _related(columns, squares, core, block - len(core))])
        gram = gram_matrix(csr_array(columns[:, members]))
        return members, ridge_weights(gram, ridge[members])[:, : len(core)]

    # One threshold for all, read off some groups: frequent items need many weights, rare ones few.
    for number in np.unique(np.linspace(0, len(groups) - 1, _SAMPLE).astype(np.int64)).tolist():
        solved[number] = solve(number)
    least = _threshold([weights for _, weights in solved.values()], keep)
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64], Floats]] = []
    for number, core in enumerate(groups):
        members, weights = solved.pop(number) if number in solved else solve(number)
        row, column = np.nonzero(np.abs(weights) >= least)
        parts.append((members[row].astype(np.int32), core[column].astype(np.int32), weights[row, column]))
    rows, targets, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    del parts
    return narrow(csr_array(coo_array((values, (rows, targets)), shape=(n_items, n_items))))


def _threshold(samples: list[Floats], keep: int) -> float:
    """The magnitude from which weights are kept, so that there are `keep` for each item predicted."""
    sizes = np.concatenate([np.abs(weights).ravel() for weights in samples])
    wanted = min(len(sizes), keep * sum(weights.shape[1] for weights in samples))
    least = float(np.partition(sizes, len(sizes) - wanted)[len(sizes) - wanted])
    return max(least, float(np.finfo(np.float32).tiny))


def _groups(matrix: csr_array, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Groups of at most `size` items that the same people choose: split in halves by the main direction."""
    from sklearn.utils.extmath import randomized_svd

    frequency = np.bincount(matrix.indices, minlength=matrix.shape[1])
    known = np.flatnonzero(frequency)
    factors = max(1, min(_FACTORS, matrix.shape[0] - 1, len(known) - 1))
    scaled = csr_array(matrix, copy=True)
    scaled.data = scaled.data / np.sqrt(frequency[scaled.indices]).astype(np.float32)
    _, _, directions = randomized_svd(
        scaled, n_components=factors, random_state=int(rng.integers(2**31)), flip_sign=False
    )
    places = directions.T[known]
    places /= np.maximum(np.linalg.norm(places, axis=1, keepdims=True), 1e-9)
    waiting = [np.arange(len(known))]
    while waiting:
        group = waiting.pop()
        if len(group) <= size:
            yield known[group]
            continue
        centred = places[group] - places[group].mean(axis=0)
        _, vectors = np.linalg.eigh(centred.T @ centred)
        order = np.argsort(centred @ vectors[:, -1], kind="stable")
        waiting += [group[order[: len(group) // 2]], group[order[len(group) // 2 :]]]


def _related(
    columns: csc_array, squares: NDArray[np.number], core: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """The `count` other items that co-occur most with a group, for how frequent they are."""
    interest = np.asarray(columns[:, core].sum(axis=1)).ravel()
    together = np.asarray(columns.T @ interest).ravel() / np.sqrt(np.maximum(squares, 1e-9))
    together[core] = 0.0
    count = min(count, int((together > 0).sum()))
    return np.sort(np.argpartition(-together, count - 1)[:count]) if count else core[:0]


def kept_weights(n_items: int, memory_bytes: int, most: int) -> int:
    """How many weights of each item fit into the memory, at most `most`."""
    return max(_LEAST_KEPT, min(most, memory_bytes // (BYTES_PER_WEIGHT * max(1, n_items))))
