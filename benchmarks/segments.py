"""Segments: time and peak memory on a million customers, tastes, Online Retail's three indices."""

import resource
import time

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from app.core.events import DEFAULT_WEIGHTS
from app.learning.customers.features import FEATURES, FeatureTable, customer_features
from app.learning.customers.segmentation import Segmentation, SegmentationConfig, fit_segmentation
from app.learning.customers.segments.rfm import RfmConfig, fit_rfm
from app.learning.customers.segments.taste import category_shares, taste_table
from app.learning.dataset import Dataset
from app.learning.preferences import dataset_histories
from app.learning.recommenders.truncated_svd import TruncatedSVDConfig
from app.learning.recommenders.truncated_svd import fit as fit_svd
from app.simulation.config import ShopConfig
from app.simulation.log import EVENTS
from app.simulation.shop import simulate
from benchmarks.datasets import online_retail
from benchmarks.machine import goal, mebibytes, say, show
from benchmarks.options import Options
from benchmarks.simulated import dataset_of

CUSTOMERS = 1_000_000
_USUAL = 12
"""Features by which the large shop is segmented."""
_RECIPES = tuple(
    SegmentationConfig(kind=kind, linkage=linkage)
    for kind, linkage in (
        *(("kmeans", "ward"), ("agglomerative", "ward"), ("agglomerative", "average")),
        *(("agglomerative", "complete"), ("dbscan", "ward")),
    )
)


def run(options: Options) -> None:
    """The large shop first: peak memory only ever grows."""
    seed = options.seeds[0]
    _large(max(1000, int(CUSTOMERS * options.scale)), seed)
    _tastes(seed)
    if options.online_retail is not None:
        _retail(online_retail(options.online_retail), seed)


def _large(n: int, seed: int) -> None:
    table, truth = _generated(n, np.random.default_rng(seed))
    lines = []
    for config in _RECIPES:
        before, started = _peak(), time.perf_counter()
        model = fit_segmentation(config, table, np.random.default_rng(seed))
        seconds, peak = time.perf_counter() - started, _peak()
        inside = model.labels >= 0
        likeness = adjusted_rand_score(truth[inside], model.labels[inside])
        lines.append(
            (
                _name(config),
                f"{model.sampled:,}",
                f"{len(model.ids)}",
                f"{1 - inside.mean():.1%}",
                f"{likeness:.3f}",
                f"{seconds:.1f}",
                f"{peak:,.0f} ({before:,.0f})",
            )
        )
    started = time.perf_counter()
    fit_rfm(RfmConfig(), table)
    lines.append(("RFM", f"{n:,}", "11", "", "", f"{time.perf_counter() - started:.1f}", f"{_peak():,.0f}"))
    names = ("", "sampled", "segments", "outliers", "Rand index", "s", "peak MiB (before)")
    show(f"{n:,} generated customers of 5 kinds, {_USUAL} features", names, lines)
    goal("k-means in a minute", float(lines[0][5]) < 60)


def _generated(n: int, rng: np.random.Generator) -> tuple[FeatureTable, NDArray[np.int64]]:
    """Five kinds of customers, lognormal around their middles, and which kind each is of."""
    names = tuple(feature.name for feature in FEATURES[:_USUAL])
    middles = rng.normal(0, 1.2, (5, _USUAL))
    truth = rng.integers(5, size=n)
    values = np.empty((n, _USUAL))
    for place, feature in enumerate(FEATURES[:_USUAL]):
        drawn = middles[truth, place] + rng.normal(0, 0.5, n)
        values[:, place] = 1 / (1 + np.exp(-drawn)) if feature.unit == "share" else 20 * np.exp(drawn)
    units = tuple(feature.unit for feature in FEATURES[:_USUAL])
    return FeatureTable(names, units, values, np.ones(n, dtype=np.bool_)), truth


def _tastes(seed: int) -> None:
    shop = simulate(ShopConfig(seed=seed, users=2000, items=600, interactions=120_000))
    dataset, taste = dataset_of(shop), shop.truth.user_taste
    weights = np.maximum([DEFAULT_WEIGHTS[name] for name in EVENTS], 0)
    svd = fit_svd(TruncatedSVDConfig(factors=16), dataset, np.random.default_rng(seed))
    vectors = svd.project(dataset_histories(dataset).matrix).astype(np.float64)
    tables = {
        "features of behaviour": customer_features(dataset),
        "category shares": category_shares(dataset, weights),
        "departments": category_shares(dataset, weights, level=1),
        "16 factors of SVD": taste_table(
            vectors[: dataset.n_users], [f"factor {n + 1}" for n in range(vectors.shape[1])]
        ),
    }
    lines = []
    for name, table in tables.items():
        kind = "kmeans" if name.startswith("features") else "taste"
        for most in (12, 20):
            config = SegmentationConfig(kind=kind, max_segments=most)
            model = fit_segmentation(config, table, np.random.default_rng(seed))
            likeness = adjusted_rand_score(taste[table.known], model.labels[table.known])
            lines.append((name, f"2–{most}", f"{len(model.ids)}", f"{likeness:.3f}"))
    show("Six tastes of 2,000 simulated customers", ("from", "k tried", "chosen", "Rand index"), lines)


def _retail(dataset: Dataset, seed: int) -> None:
    table = customer_features(dataset)
    for config in _RECIPES:
        started = time.perf_counter()
        model = fit_segmentation(config, table, np.random.default_rng(seed))
        seconds = time.perf_counter() - started
        title = f"Online Retail, {_name(config)}: {seconds:.1f} s, {len(model.ids)} segments"
        lines = [[_cell(value) for value in row] for row in model.clusters.quality.tolist()]
        names = ("k", "silhouette", "Calinski-Harabasz", "Davies-Bouldin", "smallest", "votes")
        show(title, names, lines)
        _segments(model)
    for segment in fit_rfm(RfmConfig(), table).describe()["segments"]:
        say(f"  {segment['name']}: {segment['size']:,}; {'; '.join(segment['sets_apart'])}")


def _segments(model: Segmentation) -> None:
    for segment in model.describe()["segments"]:
        say(f"  {segment['id']} {segment['name']}: {segment['size']:,}; {'; '.join(segment['sets_apart'])}")


def _cell(value: float) -> str:
    return f"{value:,.0f}" if value == int(min(value, 1e9)) or value > 100 else f"{value:.3f}"


def _name(config: SegmentationConfig) -> str:
    return f"{config.kind}, {config.linkage}" if config.kind == "agglomerative" else config.kind


def _peak() -> float:
    return mebibytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
