"""Lifetime value on CDNOW and on a large generated shop; forecasts of Online Retail against the naive one."""

import csv
import time
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.learning.customers.lifetime.lifetime import Lifetime, LifetimeConfig, fit_lifetime
from app.learning.customers.lifetime.purchases import PurchaseHistories, purchase_histories
from app.learning.customers.lifetime.quality import lifetime_quality
from app.learning.dataset import Dataset
from app.learning.forecasting.forecasts import ForecastConfig, fit_forecasts
from app.learning.forecasting.series import SeriesTable, demand_series, sales_series
from benchmarks.datasets import build, online_retail
from benchmarks.machine import goal, say, show
from benchmarks.options import Options

Floats = NDArray[np.float64]

CUSTOMERS = 1_000_000
HOLDOUT_CORRELATION = 0.62
PUBLISHED_LIKELIHOOD = -9582.4256


def run(options: Options) -> None:
    """CDNOW's sample is a CSV with masterid, date, sales."""
    if options.cdnow is not None:
        _cdnow(options.cdnow)
    _large(options.seeds[0])
    if options.online_retail is not None:
        _forecasts(online_retail(options.online_retail))


def _cdnow(path: Path) -> None:
    with path.open() as file:
        rows = list(csv.DictReader(file))
    dataset = build(
        "purchase",
        users=[row["masterid"] for row in rows],
        items=["order"] * len(rows),
        times=np.array([date.fromisoformat(row["date"]).isoformat() for row in rows], dtype="datetime64[ms]"),
        titles={"order": "order"},
        prices=[float(row["sales"]) for row in rows],
    )
    histories = purchase_histories(dataset, _ms("1998-06-30"), _ms("1997-09-30"))
    started = time.perf_counter()
    model = fit_lifetime(LifetimeConfig(), histories)
    seconds = time.perf_counter() - started
    quality = lifetime_quality(model, histories)
    _parameters("CDNOW, weeks 1-39", model, seconds)
    lines = [
        (
            name,
            f"{told.predicted:,.0f}",
            f"{told.actual:,.0f}",
            f"{told.correlation:.3f}",
            f"{told.naive_correlation:.3f}",
            f"{told.mean_absolute_error:.3f}",
            f"{told.naive_mean_absolute_error:.3f}",
        )
        for name, told in (("purchases", quality.purchases), ("money", quality.money))
        if told is not None
    ]
    show("Weeks 40-78", ("", "predicted", "actual", "corr.", "naive", "MAE", "naive"), lines)
    assert quality.purchases is not None
    goal(
        f"log-likelihood ≥ {PUBLISHED_LIKELIHOOD} - .01", quality.log_likelihood > PUBLISHED_LIKELIHOOD - 0.01
    )
    goal(f"holdout correlation ≥ {HOLDOUT_CORRELATION}", quality.purchases.correlation >= HOLDOUT_CORRELATION)
    goal("fitted in 1 s", seconds < 1)


def _large(seed: int) -> None:
    histories = _generated(CUSTOMERS, np.random.default_rng(seed))
    started = time.perf_counter()
    model = fit_lifetime(LifetimeConfig(), histories)
    fitted = time.perf_counter()
    model.predict(histories)
    seconds = fitted - started
    _parameters(f"{CUSTOMERS:,} generated customers (true: .6, 8.57, .9, 3 and 5, 4, 30)", model, seconds)
    say(f"value of all over a year: {time.perf_counter() - fitted:.1f} s")
    goal("fitted in a minute", seconds < 60)


def _generated(n: int, rng: np.random.Generator) -> PurchaseHistories:
    """Two years of customers who buy, spend and leave as the models say, on whole days."""
    age = rng.integers(1, 730, n).astype(np.float64)
    rate, leave = rng.gamma(0.6, 1 / 60, n), rng.beta(0.9, 3, n)
    frequency, recency, now = np.zeros(n), np.zeros(n), np.zeros(n)
    alive = np.ones(n, dtype=np.bool_)
    while alive.any():
        now += np.ceil(rng.exponential(1 / np.maximum(rate, 1e-9)))
        alive &= now <= age
        frequency[alive] += 1
        recency[alive] = now[alive]
        alive &= rng.random(n) >= leave
    count = np.maximum(frequency, 1)
    value = rng.gamma(5 * count, 1 / (rng.gamma(4, 1 / 30, n) * count)) * (frequency > 0)
    user, none = np.arange(n, dtype=np.int32), np.zeros(n)
    return PurchaseHistories(user, frequency, recency, age, frequency, value, none, none, 0, 0)


def _parameters(title: str, model: Lifetime, seconds: float) -> None:
    buying, spending = model.buying, model.spending
    said = [f"{value:.4f}" for value in (buying.r, buying.alpha, buying.a, buying.b)]
    lines = [("buying (r, alpha, a, b)", ", ".join(said), f"{buying.log_likelihood:,.4f}")]
    if spending is not None:
        said = [f"{value:.3f}" for value in (spending.p, spending.q, spending.scale)]
        lines.append(("spending (p, q, v)", ", ".join(said), f"{spending.log_likelihood:,.4f}"))
    show(f"{title}: {seconds:.2f} s", ("model", "parameters", "log-likelihood"), lines)


def _forecasts(dataset: Dataset) -> None:
    """Each series is cut at several origins; what came after them was seen by nothing."""
    tables = [
        (f"{measure} by day", sales_series(dataset, measure, "day"), 14, 10)
        for measure in ("revenue", "orders", "units")
    ]
    tables.append(("1,000 items by week", demand_series(dataset, "week", 1000), 4, 4))
    tables.append(("200 items by day", demand_series(dataset, "day", 200), 14, 4))
    lines = [(name, *_judged(table, horizon, origins)) for name, table, horizon, origins in tables]
    show(
        "Against the seasonal naive forecast, on what came",
        ("series", "forecast", "not naive", "better MAE", "better RMSE", "MAE ratio", "held by 80 %", "s"),
        lines,
    )


def _judged(table: SeriesTable, horizon: int, origins: int) -> tuple[str, ...]:
    config = ForecastConfig(horizon=horizon)
    served, better, closer, held = [], [], [], []
    error = naive_error = seconds = 0.0
    for origin in range(origins):
        n = table.values.shape[1] - horizon * (origin + 1)
        past = SeriesTable(table.keys, table.values[:, :n], table.start, table.step, table.counts)
        started = time.perf_counter()
        made = fit_forecasts(config, past)
        seconds += time.perf_counter() - started
        values = table.values[np.isin(table.keys, made.keys)]
        actual = values[:, n : n + horizon]
        season = made.season[:, None].astype(np.int64)
        naive = np.take_along_axis(values, n - season + np.arange(horizon) % season, axis=1)
        mine, its = actual - made.mean, actual - naive
        served.append(made.method > 0)
        better.append(np.abs(mine).sum(axis=1) < np.abs(its).sum(axis=1))
        closer.append((mine**2).sum(axis=1) < (its**2).sum(axis=1))
        held.append((made.lower <= actual).mean(axis=1) - (actual > made.upper).mean(axis=1))
        error, naive_error = error + float(np.abs(mine).sum()), naive_error + float(np.abs(its).sum())
    shares = [float(np.concatenate(column).mean()) for column in (served, better, closer)]
    return (
        f"{sum(map(len, served)):,}",
        *(f"{share:.0%}" for share in shares),
        f"{error / naive_error:.3f}",
        f"{float(np.concatenate(held).mean()):.0%}",
        f"{seconds / origins:.2f}",
    )


def _ms(day: str) -> int:
    return int(np.datetime64(day, "ms").astype(int))
