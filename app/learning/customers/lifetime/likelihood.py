"""Maximum likelihood over positive parameters, from several starting points."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from app.learning.recommenders.base import NotEnoughData

Floats = NDArray[np.float64]

_ITERATIONS = 500
_FLAT = 1e-4
"""Gradient of the mean log-likelihood below which a point is a maximum for every purpose."""


def maximise(
    objective: Callable[[Floats], tuple[float, Floats]],
    starts: Sequence[Floats],
    bounds: Floats,
    subject: str,
) -> tuple[Floats, NDArray[np.bool_]]:
    """The best maximum within `bounds` `(k, 2)`, `(k,)`, and which parameters are at a bound, `(k,)`.

    `objective` gives value and gradient. Raises `NotEnoughData`, naming `subject`, if no start converges.
    """
    from scipy.optimize import minimize

    def negative(point: Floats) -> tuple[float, Floats]:
        value, gradient = objective(point)
        return -value, -gradient

    best: tuple[float, Floats] | None = None
    for start in starts:
        found = minimize(
            negative,
            np.clip(start, bounds[:, 0], bounds[:, 1]),
            jac=True,
            method="L-BFGS-B",
            bounds=list(map(tuple, bounds)),
            options={"maxiter": _ITERATIONS, "ftol": 1e-15, "gtol": 1e-8, "maxcor": 20},
        )
        point, value = np.asarray(found.x, dtype=np.float64), float(found.fun)
        if not np.isfinite(value) or not np.isfinite(point).all():
            continue
        # At a bound the gradient may point outwards; a step along it, clipped, says how flat it is within.
        step = np.clip(point - np.asarray(found.jac), bounds[:, 0], bounds[:, 1]) - point
        if np.abs(step).max() < _FLAT and (best is None or value < best[0]):
            best = value, point
    if best is None:
        raise NotEnoughData(f"the model of {subject} found no maximum: these customers do not determine it")
    point = best[1]
    near = np.minimum(point - bounds[:, 0], bounds[:, 1] - point) < 1e-6
    return point, np.asarray(near)
