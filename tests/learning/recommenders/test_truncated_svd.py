"""PureSVD."""

import numpy as np

from app.learning.preferences import dataset_histories
from app.learning.recommenders.truncated_svd import TruncatedSVDConfig, fit
from tests.worlds import checkerboard, world


def test_plain_pure_svd_is_the_best_low_rank_projection() -> None:
    rng = np.random.default_rng(2)
    same_taste = np.arange(40)[:, None] % 3 == np.arange(24) % 3
    chosen = rng.random((40, 24)) < np.where(same_taste, 0.9, 0.05)
    made = world([(f"u{u:02}", f"i{i:02}") for u, i in np.argwhere(chosen)])
    model = fit(TruncatedSVDConfig(factors=3, normalisation=1.0), made.dataset, np.random.default_rng(0))
    histories = dataset_histories(made.dataset)
    left, singular, right = np.linalg.svd(histories.matrix.toarray(), full_matrices=False)
    expected = (left[:, :3] * singular[:3]) @ right[:3]
    np.testing.assert_allclose(model.score(histories), expected, atol=1e-4)


def test_factors_are_cut_to_the_data() -> None:
    made = checkerboard(n_subjects=24, n_items=16)
    model = fit(TruncatedSVDConfig(factors=64), made.dataset, np.random.default_rng(0))
    assert model.directions.vectors.shape == (16, 4)


def test_normalisation_damps_the_popular() -> None:
    events = [(f"u{n:02}", "hit") for n in range(40)] + [(f"u{n:02}", f"i{n % 8}") for n in range(40)]
    made = world(events)

    def advantage(normalisation: float) -> float:
        config = TruncatedSVDConfig(factors=1, normalisation=normalisation)
        scores = fit(config, made.dataset, np.random.default_rng(0)).score(made.history("i0"))[0]
        return float(scores[made.column("hit")] / scores[made.column("i1")])

    assert advantage(0.2) < advantage(0.6) < advantage(1.0)
