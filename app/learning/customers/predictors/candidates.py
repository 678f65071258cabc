"""The kinds of models that compete for a prediction, fitted by scikit-learn, kept as plain arrays."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from app.learning.customers.predictors.linear import Linear, fit_scaling
from app.learning.customers.predictors.mean import Mean
from app.learning.customers.predictors.trees import Nodes, Trees, plant

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Model = Linear | Trees | Mean
Fit = Callable[[Floats, Any, np.random.Generator], Model]

_TREE: Final = {"max_leaf_nodes": 12, "max_depth": 5}
_FOREST: Final = {"n_estimators": 60, "max_leaf_nodes": 96, "max_features": 0.33}
_ROWS_OF_A_TREE: Final = 5_000
_BOOSTING: Final = {
    "max_iter": 100,
    "learning_rate": 0.05,
    "max_leaf_nodes": 12,
    "l2_regularization": 5.0,
    "early_stopping": False,
}


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _leaf(n: int, least: int = 5) -> int:
    """Rows in a leaf: one percent for what people read and trust, but never very few."""
    return max(least, n // 400)


def _grown(n: int) -> dict[str, Any]:
    """Of many rows each tree of a forest sees some: it is their number that makes it good."""
    seen = min(n, _ROWS_OF_A_TREE)
    return {**_FOREST, "min_samples_leaf": _leaf(seen), "max_samples": seen}


def logistic(values: Floats, y: Flags, rng: np.random.Generator) -> Linear:
    """Logistic regression with a ridge penalty."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    scaling = fit_scaling(values)
    model = LogisticRegression(C=0.1, max_iter=1000)
    with warnings.catch_warnings():
        # Of features that say the same the penalty picks slowly; any of these solutions scores alike.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaling.apply(values), y)
    return Linear(scaling, np.asarray(model.coef_[0]), float(model.intercept_[0]), logistic=True)


def tree_gini(values: Floats, y: Flags, rng: np.random.Generator) -> Trees:
    """A small decision tree, split by the Gini impurity as CART does."""
    return from_tree(_tree(values, y, rng, "gini"))


def tree_entropy(values: Floats, y: Flags, rng: np.random.Generator) -> Trees:
    """A small decision tree, split by the gain of information, the ground of C4.5."""
    return from_tree(_tree(values, y, rng, "entropy"))


def _tree(values: Floats, y: Flags, rng: np.random.Generator, criterion: str) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    least = _leaf(len(y), 20) if len(y) >= 200 else 5
    model = DecisionTreeClassifier(
        criterion=criterion, min_samples_leaf=least, random_state=_seed(rng), **_TREE
    )
    return model.fit(_single(values), y)


def forest(values: Floats, y: Flags, rng: np.random.Generator) -> Trees:
    """A random forest."""
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(random_state=_seed(rng), **_grown(len(y)))
    return from_forest(model.fit(_single(values), y))


def boosting(values: Floats, y: Flags, rng: np.random.Generator) -> Trees:
    """Gradient boosting over histograms."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        min_samples_leaf=_leaf(len(y), 20), random_state=_seed(rng), **_BOOSTING
    )
    return from_boosting(model.fit(values, y), logistic=True)


def ridge(values: Floats, y: Floats, rng: np.random.Generator) -> Linear:
    """Linear regression with a ridge penalty, skewed features by their logarithm."""
    return _ridge(values, y, log_skewed=True)


def ridge_plain(values: Floats, y: Floats, rng: np.random.Generator) -> Linear:
    """Linear regression with a ridge penalty, features as they are: money from money."""
    return _ridge(values, y, log_skewed=False)


def _ridge(values: Floats, y: Floats, log_skewed: bool) -> Linear:
    from sklearn.linear_model import Ridge

    scaling = fit_scaling(values, log_skewed)
    model = Ridge(alpha=0.05 * len(y))
    model.fit(scaling.apply(values), y)
    return Linear(scaling, np.asarray(model.coef_), float(model.intercept_), logistic=False)


def tree_variance(values: Floats, y: Floats, rng: np.random.Generator) -> Trees:
    """A small regression tree."""
    from sklearn.tree import DecisionTreeRegressor

    least = _leaf(len(y), 20) if len(y) >= 200 else 5
    model = DecisionTreeRegressor(min_samples_leaf=least, random_state=_seed(rng), **_TREE)
    return from_tree(model.fit(_single(values), y))


def forest_amount(values: Floats, y: Floats, rng: np.random.Generator) -> Trees:
    """A random forest of regression trees."""
    from sklearn.ensemble import RandomForestRegressor

    model = RandomForestRegressor(random_state=_seed(rng), **_grown(len(y)))
    return from_forest(model.fit(_single(values), y))


def boosting_amount(values: Floats, y: Floats, rng: np.random.Generator) -> Trees:
    """Gradient boosting of regression trees over histograms."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(
        min_samples_leaf=_leaf(len(y), 20), random_state=_seed(rng), **_BOOSTING
    )
    return from_boosting(model.fit(values, y), logistic=False)


CLASSIFIERS: Final[dict[str, Fit]] = {
    "logistic": logistic,
    "tree_gini": tree_gini,
    "tree_entropy": tree_entropy,
    "forest": forest,
    "boosting": boosting,
}
REGRESSORS: Final[dict[str, Fit]] = {
    "ridge": ridge,
    "ridge_plain": ridge_plain,
    "tree": tree_variance,
    "forest": forest_amount,
    "boosting": boosting_amount,
}
MEANS: Final = {"logistic_boosting": ("logistic", "boosting"), "ridge_forest": ("ridge_plain", "forest")}
"""Of a line and trees, of probabilities in log-odds: trees cannot look beyond who spends most."""


def fit_all(
    fits: Mapping[str, Fit], values: Floats, y: NDArray[Any], rng: np.random.Generator
) -> dict[str, Model]:
    """Each kind fitted to the same rows, and the means of two of them."""
    models = {name: fit(values, y, rng) for name, fit in fits.items()}
    for name, (line, trees) in MEANS.items():
        if line in models and trees in models:
            models[name] = Mean(cast(Linear, models[line]), cast(Trees, models[trees]))
    return models


def from_tree(model: Any) -> Trees:
    """A fitted `DecisionTreeClassifier` of two classes or `DecisionTreeRegressor`."""
    return plant([_nodes(model.tree_)], 0.0, single=True, logistic=False)


def from_forest(model: Any) -> Trees:
    """A fitted random forest: the mean of its trees."""
    trees = [_nodes(member.tree_, 1 / len(model.estimators_)) for member in model.estimators_]
    return plant(trees, 0.0, single=True, logistic=False)


def from_boosting(model: Any, *, logistic: bool) -> Trees:
    """A fitted histogram boosting: the library keeps its trees as one array of nodes each."""
    trees = []
    for (predictor,) in model._predictors:
        nodes = predictor.nodes
        leaf = nodes["is_leaf"].astype(np.bool_)
        trees.append(
            Nodes(
                np.where(leaf, -1, nodes["feature_idx"]).astype(np.int32),
                nodes["num_threshold"].astype(np.float64),
                nodes["left"].astype(np.int32),
                nodes["right"].astype(np.int32),
                nodes["value"].astype(np.float64),
                nodes["count"].astype(np.float64),
            )
        )
    start = float(np.asarray(model._baseline_prediction).ravel()[0])
    return plant(trees, start, single=False, logistic=logistic)


def _nodes(tree: Any, weight: float = 1.0) -> Nodes:
    # Of a classifier the last value is the share of the positive class, of a regressor the only one.
    return Nodes(
        np.where(tree.children_left < 0, -1, tree.feature).astype(np.int32),
        tree.threshold.astype(np.float64),
        tree.children_left.astype(np.int32),
        tree.children_right.astype(np.int32),
        tree.value[:, 0, -1].astype(np.float64) * weight,
        tree.weighted_n_node_samples.astype(np.float64),
    )


def _single(values: Floats) -> Floats:
    """Within single precision, which these trees work in."""
    most = float(np.finfo(np.float32).max)
    return np.clip(values, -most, most)
