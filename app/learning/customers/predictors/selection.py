"""The choice among candidates and baselines: fitted on earlier rows, chosen and judged on later ones.

With later rows given, half of their customers choose and calibrate, the other half judges. Without, all rows
do both, each told by models that were fitted without it (cross-validation).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from app.learning.customers.features.table import FeatureTable
from app.learning.customers.predictors.calibration import (
    NO_CALIBRATION,
    Calibration,
    cross_calibrated,
    fit_calibration,
    folds,
    log_loss,
)
from app.learning.customers.predictors.candidates import CLASSIFIERS, REGRESSORS, Fit, Model, fit_all
from app.learning.customers.predictors.linear import Linear, constant
from app.learning.customers.predictors.measures import (
    amount_figures,
    probability_figures,
    reliability,
    resamples,
    summary,
)
from app.learning.customers.predictors.predictor import Predictor, told
from app.learning.customers.predictors.trees import Trees
from app.learning.recommenders.base import Config, NotEnoughData

Floats = NDArray[np.float64]
Outcomes = NDArray[Any]
Kind = Literal["probability", "amount"]

LEAST_ROWS: Final = 40
LEAST_OF_EACH: Final = 10
"""Rows of each outcome, before the cut and after it."""
_FOLDS: Final = 5
_CAP_PERCENTILE: Final = 99
_SURE: Final = 0.9
"""Share of the bootstrap rounds in which a model must beat the baseline to be served."""


class PredictorConfig(Config):
    """Recipe of one prediction."""

    bootstrap_rounds: int = Field(default=200, ge=20, le=2000)
    """Rounds behind each interval."""
    max_rows: int = Field(default=200_000, ge=1000, le=5_000_000)
    """Rows to learn from at most, and half as many to judge by; drawn at random where there are more."""


@dataclass(frozen=True)
class Sample:
    """Rows with what came of them."""

    features: FeatureTable
    y: Outcomes
    """Whether it came, or how much, `(n,)`."""

    def __len__(self) -> int:
        return len(self.y)

    def rows(self, chosen: NDArray[np.int64]) -> "Sample":
        return Sample(self.features.rows(chosen), self.y[chosen])

    def at_most(self, n: int, rng: np.random.Generator) -> "Sample":
        """All, or as many drawn at random, in the same order."""
        return self if len(self) <= n else self.rows(np.sort(rng.choice(len(self), n, replace=False)))


@dataclass(frozen=True)
class _Contender:
    """A candidate or baseline on its way."""

    name: str
    model: Model
    calibration: Calibration
    baseline: bool
    chosen_by: float
    """Log loss or capped RMSE on the rows that choose."""
    judged: Floats
    """What it tells of the rows that judge."""


def fit_classifier(
    config: PredictorConfig,
    sample: Sample,
    rng: np.random.Generator,
    *,
    target: str,
    later: Sample | None = None,
    baselines: Mapping[str, Fit] | None = None,
) -> Predictor:
    """A calibrated probability of `y`. Raises `NotEnoughData` for too few rows of either outcome."""
    for which, rows in (("to learn from", sample), ("to judge by", later)):
        if rows is None:
            continue
        hits = int(np.count_nonzero(rows.y))
        if min(hits, len(rows) - hits) < LEAST_OF_EACH or len(rows) < LEAST_ROWS:
            raise NotEnoughData(
                f"{target} needs at least {LEAST_ROWS} customers {which}, {LEAST_OF_EACH} with and"
                f" {LEAST_OF_EACH} without it; there are {hits} with and {len(rows) - hits} without"
            )
    naive = {"base_rate": _rate, **(baselines or {})}
    return _select(config, "probability", sample, rng, target, later, CLASSIFIERS, naive)


def fit_amount(
    config: PredictorConfig,
    sample: Sample,
    rng: np.random.Generator,
    *,
    target: str,
    later: Sample | None = None,
    baselines: Mapping[str, Fit] | None = None,
) -> Predictor:
    """An expected amount of `y`. Raises `NotEnoughData` for too few rows or outcomes that are all alike."""
    for which, rows in (("to learn from", sample), ("to judge by", later)):
        if rows is not None and (len(rows) < LEAST_ROWS or np.ptp(rows.y) == 0):
            raise NotEnoughData(
                f"{target} needs at least {LEAST_ROWS} customers {which} whose outcomes differ;"
                f" there are {len(rows)}"
            )
    naive = {"mean": _rate, **(baselines or {})}
    return _select(config, "amount", sample, rng, target, later, REGRESSORS, naive)


def only(fit: Fit, place: int) -> Fit:
    """The same kind of model from one feature alone."""

    def fit_one(values: Floats, y: Any, rng: np.random.Generator) -> Model:
        return fit(np.where(np.arange(values.shape[1]) == place, values, 0.0), y, rng)

    return fit_one


def _rate(values: Floats, y: Outcomes, rng: np.random.Generator) -> Model:
    return constant(values.shape[1], float(y.mean()))


def _select(
    config: PredictorConfig,
    kind: Kind,
    sample: Sample,
    rng: np.random.Generator,
    target: str,
    later: Sample | None,
    candidates: Mapping[str, Fit],
    naive: Mapping[str, Fit],
) -> Predictor:
    sample = sample.at_most(config.max_rows, rng)
    later = None if later is None else later.at_most(config.max_rows // 2, rng)
    judges = np.arange(len(sample)) if later is None else _half(kind, later.y, rng)
    y = sample.y if later is None else later.y[judges]
    models, told_raw, outcome = _fitted({**candidates, **naive}, sample, later, kind, rng)
    contenders = [
        _contend(kind, name, model, name in naive, sample.y, told_raw[name], outcome, later, judges, rng)
        for name, model in models.items()
    ]
    weights = resamples(len(y), config.bootstrap_rounds, rng)
    cap = _cap(sample.y)
    rounds = {
        rival.name: probability_figures(rival.judged, y, weights)
        if kind == "probability"
        else amount_figures(rival.judged, y, weights, cap)
        for rival in contenders
    }
    measure = "log_loss" if kind == "probability" else "capped_rmse"
    best = min((rival for rival in contenders if not rival.baseline), key=lambda rival: rival.chosen_by)
    baseline = min((rival for rival in contenders if rival.baseline), key=lambda rival: rival.chosen_by)
    gain = rounds[baseline.name][measure] - rounds[best.name][measure]
    better = bool(gain[0] > 0 and (gain[1:] > 0).mean() >= _SURE)
    served = best if better else baseline
    report = {
        "chosen": best.name,
        "served": served.name,
        "baseline": baseline.name,
        "better_than_baseline": better,
        "reason": (
            f"{best.name} beats the best naive prediction ({baseline.name}) on customers that it had not seen"
            if better
            else f"no model surely beats the naive prediction ({baseline.name}), which is served instead"
        ),
        "chosen_by": measure,
        "capped_at": cap if kind == "amount" else None,
        "validation": "later customers" if later is not None else f"{_FOLDS}-fold cross-validation",
        "rows": {"learned": len(sample), "judged": len(y)},
        "outcome": {"learned": float(sample.y.mean()), "judged": float(y.mean())},
        "models": [
            {
                "name": rival.name,
                "baseline": rival.baseline,
                "figures": {name: figure.describe() for name, figure in summary(rounds[rival.name]).items()},
            }
            for rival in contenders
        ],
        "reliability": reliability(served.judged, y) if kind == "probability" else None,
    }
    by_name = {rival.name: rival for rival in contenders}
    linear, trees = _readable(by_name, sample)
    low, high = (0.0, 1.0) if kind == "probability" else (float(sample.y.min()), float(sample.y.max()))
    table = sample.features
    return Predictor(
        kind,
        target,
        table.names,
        table.units,
        table.labels,
        served.model,
        served.calibration,
        low,
        high,
        float(sample.y.mean()),
        linear,
        trees,
        report,
    )


def _fitted(
    fits: Mapping[str, Fit], sample: Sample, later: Sample | None, kind: Kind, rng: np.random.Generator
) -> tuple[dict[str, Model], dict[str, Floats], Outcomes]:
    """The models, what each tells of rows that it has not seen, and what came of these."""
    values, y = sample.features.values, sample.y
    models = fit_all(fits, values, y, rng)
    if later is not None:
        return models, {name: model.predict(later.features.values) for name, model in models.items()}, later.y
    raw = {name: np.empty(len(y)) for name in models}
    fold = folds(y if kind == "probability" else y > np.median(y), _FOLDS, rng)
    for number in range(_FOLDS):
        inside = fold == number
        for name, model in fit_all(fits, values[~inside], y[~inside], rng).items():
            raw[name][inside] = model.predict(values[inside])
    return models, raw, y


def _contend(
    kind: Kind,
    name: str,
    model: Model,
    baseline: bool,
    y: Outcomes,
    raw: Floats,
    outcome: Outcomes,
    later: Sample | None,
    judges: NDArray[np.int64],
    rng: np.random.Generator,
) -> _Contender:
    low, high = (0.0, 1.0) if kind == "probability" else (float(y.min()), float(y.max()))
    choosing = judges if later is None else np.setdiff1d(np.arange(len(later)), judges)
    if kind == "amount":
        raw = np.clip(raw, low, high)
        cap = _cap(y)
        error = np.clip(raw[choosing], -cap, cap) - np.clip(outcome[choosing], -cap, cap)
        return _Contender(
            name, model, NO_CALIBRATION, baseline, float(np.sqrt((error**2).mean())), raw[judges]
        )
    calibration = fit_calibration(raw[choosing], outcome[choosing], rng)
    fold = folds(outcome[choosing], _FOLDS, rng)
    crossed = cross_calibrated(calibration.kind, raw[choosing], outcome[choosing], fold)
    if later is None:
        judged = crossed
    else:
        judged = told(model, calibration, later.features.values[judges], kind, low, high)
    return _Contender(name, model, calibration, baseline, log_loss(crossed, outcome[choosing]), judged)


def _cap(y: Outcomes) -> float:
    """Amounts above are equally large when models are compared, or a handful of customers would decide it."""
    some = np.abs(y[y != 0].astype(np.float64))
    return float(np.percentile(some, _CAP_PERCENTILE)) if len(some) else 1.0


def _half(kind: Kind, y: Outcomes, rng: np.random.Generator) -> NDArray[np.int64]:
    """Half of the rows, outcomes spread evenly."""
    return np.flatnonzero(folds(y if kind == "probability" else y > np.median(y), 2, rng) == 0)


def _readable(by_name: Mapping[str, _Contender], sample: Sample) -> tuple[Linear, Trees]:
    """The linear model and the better one of the small trees."""
    linear = next(by_name[name].model for name in ("logistic", "ridge_plain") if name in by_name)
    trees = [by_name[name] for name in ("tree_gini", "tree_entropy", "tree") if name in by_name]
    tree = min(trees, key=lambda rival: rival.chosen_by).model
    assert isinstance(linear, Linear)  # noqa: S101
    assert isinstance(tree, Trees)  # noqa: S101
    return linear, tree
