"""Features of a large generated shop; churn by cross-validation; purchases and value of a real shop."""

import csv
import time
from pathlib import Path

import numpy as np

from app.learning.customers.features import FeatureTable, attribute_table, customer_features
from app.learning.customers.predictors.calibration import folds
from app.learning.customers.predictors.measures import probability_figures
from app.learning.customers.predictors.predictions import PredictionsConfig, fit_predictions
from app.learning.customers.predictors.selection import PredictorConfig, Sample, fit_classifier
from benchmarks.datasets import online_retail
from benchmarks.machine import goal, say, show
from benchmarks.options import Options
from benchmarks.simulated import simulate

CUSTOMERS, ITEMS, EVENTS = 1_000_000, 100_000, 10_000_000
HORIZON_DAYS = 91
"""Online Retail ends on 2011-12-09: what is judged are the three months from 2011-09-09 on."""


def run(options: Options) -> None:
    """Features of many customers, and predictions on the data sets that are given."""
    _features(options.scale, options.seeds[0])
    if options.telco is not None:
        _telco(options.telco, options.seeds[0])
    if options.online_retail is not None:
        _shop(options.online_retail, options.seeds[0])


def _features(scale: float, seed: int) -> None:
    sizes = [round(size * scale) for size in (CUSTOMERS, ITEMS, EVENTS)]
    shop = simulate(sizes[0], sizes[1], sizes[2], np.random.default_rng(seed))
    started = time.perf_counter()
    table = customer_features(shop)
    seconds = time.perf_counter() - started
    say(f"{table.values.shape[1]} features of {sizes[0]:,} customers, {sizes[2]:,} events: {seconds:.1f} s")
    goal("in two minutes", seconds < 120)


def _telco(path: Path, seed: int) -> None:
    with path.open() as file:
        rows: list[dict[str, object]] = list(csv.DictReader(file))
    y = np.array([row["Churn"] == "Yes" for row in rows])
    numbers = ("SeniorCitizen", "tenure", "MonthlyCharges", "TotalCharges")
    own = []
    for row in rows:
        one = {name: value for name, value in row.items() if name not in ("Churn", "customerID", *numbers)}
        own.append(one | {name: float(str(row[name])) for name in numbers if str(row[name]).strip()})
    attributes = attribute_table(own)
    table = FeatureTable(
        attributes.names, attributes.units, attributes.values, np.ones(len(y), dtype=np.bool_)
    )
    rng = np.random.default_rng(seed)
    fold, told, lines, areas = folds(y, 5, rng), np.empty(len(y)), [], []
    started = time.perf_counter()
    for number in range(5):
        learned, judged = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        fitted = fit_classifier(
            PredictorConfig(), Sample(table.rows(learned), y[learned]), rng, target="churn"
        )
        told[judged] = fitted.predict(table.rows(judged))
        figures = probability_figures(told[judged], y[judged], np.ones((1, len(judged))))
        areas.append(float(figures["auc"][0]))
        lines.append((f"fold {number + 1}", fitted.served, f"{areas[-1]:.4f}"))
    figures = probability_figures(told, y, np.ones((1, len(y))))
    error = float(figures["calibration_error"][0])
    lines.append(("mean", "", f"{np.mean(areas):.4f}"))
    show(f"Telco churn: {time.perf_counter() - started:.0f} s", ("", "served", "AUC"), lines)
    say(f"all folds together: AUC {figures['auc'][0]:.4f}, calibration error {error:.4f}")
    goal("AUC ≥ .84", float(np.mean(areas)) >= 0.84)
    goal("calibration error ≤ .02", error <= 0.02)


def _shop(path: Path, seed: int) -> None:
    config = PredictionsConfig(horizon_days=HORIZON_DAYS, churn_horizon_days=HORIZON_DAYS)
    shop = online_retail(path)
    started = time.perf_counter()
    fitted = fit_predictions(config, shop, np.random.default_rng(seed))
    say(f"all predictions of Online Retail: {time.perf_counter() - started:.0f} s")
    for name, prediction in fitted.predictions.items():
        report = prediction.predictor.report
        wanted = (
            ("auc", "log_loss", "brier", "lift_at_10_percent")
            if prediction.predictor.kind == "probability"
            else ("rmse", "capped_rmse", "mae")
        )
        lines = [
            (
                model["name"] + (" (naive)" if model["baseline"] else ""),
                *(
                    f"{figure['value']:,.3f} [{figure['low']:,.3f}, {figure['high']:,.3f}]"
                    for figure in (model["figures"][measure] for measure in wanted)
                ),
            )
            for model in report["models"]
        ]
        show(f"{name}: served is {report['served']}", ("", *wanted), lines)
