"""Candidates as arrays, calibration, figures and the choice among them."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.metrics import brier_score_loss, log_loss, mean_absolute_error, roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from app.learning.customers.features import FeatureTable
from app.learning.customers.predictors.calibration import fit_calibration
from app.learning.customers.predictors.candidates import (
    CLASSIFIERS,
    REGRESSORS,
    fit_all,
    from_boosting,
    from_forest,
    from_tree,
)
from app.learning.customers.predictors.measures import (
    amount_figures,
    probability_figures,
    reliability,
    resamples,
    summary,
)
from app.learning.customers.predictors.predictor import Predictor
from app.learning.customers.predictors.selection import (
    PredictorConfig,
    Sample,
    fit_amount,
    fit_classifier,
)
from app.learning.recommenders.base import NotEnoughData

Floats = NDArray[np.float64]
NAMES = ("days", "orders", "noise")
CONFIG = PredictorConfig(bootstrap_rounds=50)


def _table(values: Floats) -> FeatureTable:
    known = np.ones(len(values), dtype=np.bool_)
    return FeatureTable(NAMES, ("days", "orders", ""), values, known)


def _rows(n: int, seed: int, effect: float = 1.5) -> tuple[Floats, NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    values = np.column_stack([rng.exponential(30, n), rng.poisson(4, n), rng.normal(size=n)])
    odds = effect * (np.log1p(values[:, 0]) - 3 - 0.5 * (values[:, 1] - 4))
    return values, rng.random(n) < 1 / (1 + np.exp(-odds))


@pytest.fixture(scope="module")
def churn() -> Predictor:
    values, y = _rows(900, 0)
    return fit_classifier(CONFIG, Sample(_table(values), y), np.random.default_rng(0), target="churn")


def test_arrays_score_as_the_library_does() -> None:
    values, y = _rows(600, 1)
    amount = values[:, 0] * values[:, 1]
    new = _rows(300, 2)[0]
    tree = DecisionTreeClassifier(max_leaf_nodes=9, criterion="entropy", random_state=0).fit(values, y)
    forest = RandomForestClassifier(n_estimators=7, max_depth=6, random_state=0).fit(values, y)
    boosting = HistGradientBoostingClassifier(max_iter=25, max_leaf_nodes=9).fit(values, y)
    for mine, theirs in (
        (from_tree(tree), tree),
        (from_forest(forest), forest),
        (from_boosting(boosting, logistic=True), boosting),
    ):
        np.testing.assert_allclose(mine.predict(new), theirs.predict_proba(new)[:, 1], atol=1e-12)
    trees = RandomForestRegressor(n_estimators=7, max_depth=6, random_state=0).fit(values, amount)
    steps = HistGradientBoostingRegressor(max_iter=25).fit(values, amount)
    np.testing.assert_allclose(from_forest(trees).predict(new), trees.predict(new))
    np.testing.assert_allclose(from_boosting(steps, logistic=False).predict(new), steps.predict(new))


@pytest.mark.parametrize(
    "name",
    [*CLASSIFIERS, "logistic_boosting"] + [f"{name} of an amount" for name in (*REGRESSORS, "ridge_forest")],
)
def test_contributions_add_up_and_arrays_round_trip(name: str) -> None:
    values, y = _rows(300, 3)
    rng = np.random.default_rng(0)
    kind = name.removesuffix(" of an amount")
    fits, outcome = (CLASSIFIERS, y) if kind == name else (REGRESSORS, values[:, 0])
    model = fit_all(fits, values, outcome, rng)[kind]
    new = _rows(40, 4)[0]
    told = model.predict(new)
    if name in ("logistic", "boosting", "logistic_boosting"):
        told = np.log(told / (1 - told))
    rest = told - model.contributions(new).sum(axis=1)
    np.testing.assert_allclose(rest, rest[0], atol=1e-6 * np.abs(told).max())
    arrays = model.arrays()
    assert all(array.dtype != object for array in arrays.values())
    np.testing.assert_array_equal(type(model).from_arrays(arrays).predict(new), model.predict(new))


def test_figures_equal_the_librarys() -> None:
    rng = np.random.default_rng(0)
    probability = np.round(rng.uniform(0.05, 0.95, 400), 2)
    y = rng.random(400) < probability
    found = {
        name: values[0]
        for name, values in probability_figures(probability, y, resamples(400, 20, rng)).items()
    }
    assert found["auc"] == pytest.approx(roc_auc_score(y, probability))
    assert found["log_loss"] == pytest.approx(log_loss(y, probability))
    assert found["brier"] == pytest.approx(brier_score_loss(y, probability))
    assert found["lift_at_10_percent"] > 1.4
    assert found["calibration_error"] < 0.1
    amount = rng.normal(size=400)
    rounds = amount_figures(amount, y.astype(np.float64), resamples(400, 20, rng), 10.0)
    assert rounds["mae"][0] == pytest.approx(mean_absolute_error(y, amount), rel=1e-5)
    assert rounds["rmse"][0] == pytest.approx(rounds["capped_rmse"][0])
    figure = summary(rounds)["rmse"]
    assert figure.low < figure.value < figure.high
    assert sum(line["rows"] for line in reliability(probability, y)) == 400


@pytest.mark.parametrize("n", [300, 4000])
def test_calibration_mends_what_is_too_sure(n: int) -> None:
    rng = np.random.default_rng(5)
    odds = rng.normal(-1, 1, n)
    y = rng.random(n) < 1 / (1 + np.exp(-odds))
    too_sure = 1 / (1 + np.exp(-3 * odds))
    calibration = fit_calibration(too_sure, y, rng)
    assert calibration.kind != "none"
    mended = calibration.apply(too_sure)
    assert log_loss(y, mended) < log_loss(y, too_sure) - 0.05
    assert (np.diff(calibration.apply(np.linspace(0, 1, 200))) >= 0).all()
    assert mended.min() > 0
    assert mended.max() < 1


def test_beats_the_base_rate_and_is_calibrated(churn: Predictor) -> None:
    assert churn.report["better_than_baseline"]
    assert churn.served == churn.report["chosen"]
    values, y = _rows(4000, 6)
    told = churn.predict(_table(values))
    found = probability_figures(told, y, np.ones((1, len(y)), dtype=np.float64))
    assert found["auc"][0] > 0.85
    assert found["calibration_error"][0] < 0.06
    names = [model["name"] for model in churn.report["models"]]
    assert names == [*CLASSIFIERS, "base_rate", "logistic_boosting"]
    for model in churn.report["models"]:
        assert all(of["low"] <= of["high"] for of in model["figures"].values())


def test_serves_the_baseline_where_nothing_is_to_be_learned() -> None:
    values, _ = _rows(400, 7)
    y = np.random.default_rng(1).random(400) < 0.3
    sample = Sample(_table(values), y)
    predictor = fit_classifier(CONFIG, sample, np.random.default_rng(0), target="churn")
    assert predictor.served == predictor.report["baseline"] == "base_rate"
    assert "instead" in predictor.report["reason"]
    told = predictor.predict(_table(values))
    assert np.ptp(told) == 0
    assert told[0] == pytest.approx(y.mean(), abs=0.01)
    assert predictor.sentences(_table(values[:1]))[0].endswith("nothing sets this one apart.")


def test_says_why(churn: Predictor) -> None:
    table = _table(np.array([[300.0, 0.0, 0.0], [1.0, 9.0, 0.0]]))
    gone, here = churn.drivers(table)
    assert {(driver.feature, driver.direction) for driver in gone} >= {
        ("days", "raises"),
        ("orders", "raises"),
    }
    assert {(driver.feature, driver.direction) for driver in here} >= {
        ("days", "lowers"),
        ("orders", "lowers"),
    }
    assert gone[0].value in (300.0, 0.0)
    assert gone[0].describe()["unit"] in ("days", "orders")
    assert "days (300 days)" in churn.sentences(table)[0]


def test_reads_as_rules_and_coefficients(churn: Predictor) -> None:
    rules = churn.rules()
    assert sum(rule["rows"] for rule in rules) == 900
    assert all(rule["words"].startswith("If ") and 0 <= rule["value"] <= 1 for rule in rules)
    first = next(line for line in churn.coefficients() if line["feature"] == "days")
    assert first["odds_ratio"] == pytest.approx(np.exp(first["coefficient"]))
    assert first["odds_ratio"] > 1
    assert first["unit"] == "days"


def test_round_trip(churn: Predictor) -> None:
    again = Predictor.from_arrays(churn.arrays())
    table = _table(_rows(50, 8)[0])
    np.testing.assert_array_equal(again.predict(table), churn.predict(table))
    assert json.dumps(again.describe()) == json.dumps(churn.describe())
    assert all(array.dtype != object for array in churn.arrays().values())


def test_unknown_customers_and_other_features(churn: Predictor) -> None:
    values = np.zeros((1, 3))
    nobody = FeatureTable(NAMES, ("days", "orders", ""), values, np.zeros(1, dtype=np.bool_))
    assert churn.predict(nobody).tolist() == [churn.average]
    assert churn.drivers(nobody) == [[]]
    extreme = _table(np.array([[1e300, 1e9, -1e300], [0.0, -1e300, 0.0]]))
    assert np.isfinite(churn.predict(extreme)).all()
    with pytest.raises(ValueError, match="not the features"):
        churn.predict(FeatureTable(("a",), ("",), values[:, :1], np.ones(1, dtype=np.bool_)))


def test_same_seed_same_predictor() -> None:
    values, y = _rows(200, 9)
    fits = [
        fit_classifier(CONFIG, Sample(_table(values), y), np.random.default_rng(3), target="churn")
        for _ in range(2)
    ]
    assert fits[0].describe() == fits[1].describe()


def test_amounts() -> None:
    values, _ = _rows(500, 10)
    y = 3 * values[:, 1] + np.random.default_rng(0).normal(size=500)
    predictor = fit_amount(CONFIG, Sample(_table(values), y), np.random.default_rng(0), target="value")
    assert predictor.report["better_than_baseline"]
    told = predictor.predict(_table(values))
    assert np.corrcoef(told, y)[0, 1] > 0.95
    assert told.min() >= y.min()
    assert predictor.describe()["reliability"] is None


@pytest.mark.parametrize("hits", [0, 5, 400])
def test_one_outcome_only_is_not_enough(hits: int) -> None:
    values, _ = _rows(400, 11)
    y = np.arange(400) < hits
    with pytest.raises(NotEnoughData, match="churn needs at least 40 customers"):
        fit_classifier(CONFIG, Sample(_table(values), y), np.random.default_rng(0), target="churn")
    with pytest.raises(NotEnoughData, match="outcomes differ"):
        fit_amount(CONFIG, Sample(_table(values), y * 0.0), np.random.default_rng(0), target="value")
