"""Percentiles of what items are worth, beside counting them, and how far they move scores."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.learning.ranking.worth import moves, percentiles

_values = st.lists(
    st.tuples(st.sampled_from([np.nan, -2.0, 0.0, 0.5, 3.0, 1e300]), st.booleans()), min_size=1, max_size=12
)


@given(pairs=_values, weight=st.floats(0, 1))
def test_percentiles_and_moves(pairs: list[tuple[float, bool]], weight: float) -> None:
    values, among = np.array([value for value, _ in pairs]), np.array([inside for _, inside in pairs])
    found = percentiles(values, among)
    known = [value for value, inside in pairs if inside and not np.isnan(value)]
    for (value, inside), share in zip(pairs, found.tolist(), strict=True):
        less, same = sum(one < value for one in known), sum(one == value for one in known)
        counted = (less + same / 2) / len(known) if inside and not np.isnan(value) else 0.5
        assert share == counted or abs(share - counted) < 1e-12
    by = moves(found, weight)
    assert (by > 0).all()
    assert (np.abs(by - 1) <= weight + 1e-12).all()
    assert (by[found == 0.5] == 1).all()
    assert weight > 0 or (by == 1).all()
