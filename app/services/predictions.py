"""What is foretold of one customer now, why, and how far such figures have proved right."""

import math
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection

from app.core.clock import rfc3339
from app.learning.analytics import Analytics
from app.learning.customers.customers import with_attributes
from app.learning.customers.features import FeatureTable
from app.learning.customers.predictors.drivers import Driver
from app.learning.customers.predictors.mean import Mean
from app.learning.customers.predictors.predictions import Prediction
from app.learning.customers.predictors.predictor import Predictor
from app.learning.customers.predictors.targets import (
    CHURN,
    NEXT_PURCHASE,
    NEXT_PURCHASE_DAYS,
    VALUE,
    Target,
)
from app.learning.dataset import DAY_MS
from app.services.customers import NO_EVENTS, Customer, judge_customer
from app.services.finite import finite
from app.services.lifetime import describe_lifetime
from app.services.live import Live

_TARGETS: Final = (CHURN, NEXT_PURCHASE, NEXT_PURCHASE_DAYS, VALUE)
NAMES: Final = ("churn", "next_purchase", "value")
NOT_BOUGHT: Final = "The customer has not bought yet."
_ONLY_BUYERS: Final = f"{NOT_BOUGHT} Only who has bought can stop buying."
_NO_DIFFERENCE: Final = "It is what the shop's customers do on average: no model surely tells them apart."


def predict_customer(connection: Connection, live: Live, user_id: str) -> dict[str, Any]:
    """All predictions of a customer; raises NotFound, ModelNotReady."""
    customer = judge_customer(connection, live, user_id)
    return {
        "user_id": user_id,
        "model_version": customer.model.name,
        "as_of": rfc3339(customer.as_of),
        "predictions": foretell(customer),
        "missing": missing_figures(customer.model.version.analytics),
        "warnings": customer.warnings,
    }


def foretell(customer: Customer) -> dict[str, dict[str, Any] | None]:
    """By name: churn, next_purchase, value, lifetime; None for what could not be fitted."""
    models = customer.model.version.analytics.customers
    found: dict[str, dict[str, Any] | None] = dict.fromkeys(NAMES)
    if models.predictions is not None:
        rows = with_attributes(models.predictions, customer.judged.features, [customer.attributes])
        for name in NAMES:
            if name in models.predictions.predictions:
                found[name] = _described(models.predictions.predictions[name], name, rows, customer)
        if found["next_purchase"] is not None:
            timing = models.predictions.predictions.get("next_purchase_days")
            found["next_purchase"] |= _timed(timing, customer)
    found["lifetime"] = describe_lifetime(customer, NOT_BOUGHT if customer.known else NO_EVENTS)
    return found


def missing_figures(analytics: Analytics) -> dict[str, str]:
    """By the name of a figure why the training could not fit it, and what it needs."""
    told = analytics.missing
    timing = _missing(told, NEXT_PURCHASE) or _missing(told, NEXT_PURCHASE_DAYS)
    sources = {
        "churn": _missing(told, CHURN),
        "next_purchase": _missing(told, NEXT_PURCHASE),
        "expected_days": timing,
        "value": _missing(told, VALUE),
        "lifetime": told.get("lifetime"),
        "lifetime_value": told.get("lifetime", told.get("lifetime.value")),
    }
    return {name: reason for name, reason in sources.items() if reason is not None}


def _missing(told: Mapping[str, str], target: Target) -> str | None:
    """Why a prediction is not there: where there is none at all, its own part of all the reasons."""
    of_all = told.get("predictions")
    if of_all is None:
        return told.get(f"predictions.{target.name}")
    starts = sorted(of_all.find(each.words) for each in _TARGETS)
    begin = of_all.find(target.words)
    if begin < 0:
        return of_all
    end = next((start for start in starts if start > begin), None)
    return of_all[begin:end].removesuffix("; ")


def served_figures(report: Mapping[str, Any], name: str) -> dict[str, Any]:
    """How good a model or baseline of a prediction's report was, each measure with its interval."""
    figures: dict[str, Any] = next(each["figures"] for each in report["models"] if each["name"] == name)
    return figures


def _described(prediction: Prediction, name: str, rows: FeatureTable, customer: Customer) -> dict[str, Any]:
    predictor, report = prediction.predictor, prediction.predictor.report
    told = float(customer.judged.figures[name][0])
    applies = math.isfinite(told)
    drivers = predictor.drivers(rows)[0] if applies else []
    return {
        "probability" if predictor.kind == "probability" else "value": told if applies else None,
        "why": None if applies else _why(prediction, customer),
        "average": finite(predictor.average),
        "definition": prediction.definition,
        "horizon_days": prediction.horizon_days,
        "as_of": rfc3339(customer.as_of),
        **_chosen(predictor),
        "drivers": [_driver(driver, _scale(predictor)) for driver in drivers],
        "because": _because(predictor, rows, drivers) if applies else None,
        "quality": {
            "judged_at": rfc3339(prediction.cut),
            "customers": report["rows"]["judged"],
            "validation": report["validation"],
            "figures": served_figures(report, predictor.served),
            "baseline_figures": served_figures(report, report["baseline"]),
        },
    }


def _timed(timing: Prediction | None, customer: Customer) -> dict[str, Any]:
    """When the next purchase is expected, and by which model."""
    if timing is None:
        reason = missing_figures(customer.model.version.analytics).get("expected_days")
        return {"expected_days": None, "expected_date": None, "expected_why": reason, "timing": None}
    days = float(customer.judged.figures["expected_days"][0])
    told = math.isfinite(days)
    return {
        "expected_days": days if told else None,
        "expected_date": rfc3339(customer.as_of + round(days * DAY_MS)) if told else None,
        "expected_why": None if told else NO_EVENTS,
        "timing": {
            "definition": timing.definition,
            **_chosen(timing.predictor),
            "figures": served_figures(timing.predictor.report, timing.predictor.served),
        },
    }


def _chosen(predictor: Predictor) -> dict[str, Any]:
    report = predictor.report
    return {
        "model": predictor.served,
        "baseline": report["baseline"],
        "better_than_baseline": report["better_than_baseline"],
        "note": report["reason"],
    }


def _driver(driver: Driver, scale: str) -> dict[str, Any]:
    return {
        "feature": driver.feature,
        "value": finite(driver.value),
        "unit": driver.unit,
        "meaning": driver.label,
        "direction": driver.direction,
        "effect": finite(driver.contribution),
        "effect_scale": scale,
        "words": driver.words,
    }


def _scale(predictor: Predictor) -> str:
    """What the contributions of the drivers add up on."""
    model = predictor.model.linear if isinstance(predictor.model, Mean) else predictor.model
    return "log-odds" if model.logistic else predictor.kind


def _because(predictor: Predictor, rows: FeatureTable, drivers: list[Driver]) -> str:
    if not drivers and not predictor.report["better_than_baseline"]:
        return _NO_DIFFERENCE
    return predictor.sentences(rows)[0]


def _why(prediction: Prediction, customer: Customer) -> str:
    return _ONLY_BUYERS if prediction.target is CHURN and customer.known else NO_EVENTS
