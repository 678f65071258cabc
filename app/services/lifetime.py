"""Lifetime value of one customer, from what was bought until now, beside how well the model foretold it."""

import math
from collections.abc import Mapping
from typing import Any, Final

from app.core.clock import rfc3339
from app.learning.customers.lifetime.lifetime import Lifetime
from app.services.customers import Customer
from app.services.finite import all_finite, finite

MODEL: Final = "BG/NBD"
VALUE_MODEL: Final = "BG/NBD and Gamma-Gamma"
BASELINE: Final = "own_rate"
BASELINE_MEANING: Final = "Each customer goes on buying, and spending, at the rate so far."
_INPUTS: Final = ("frequency", "purchase_recency_days", "purchase_tenure_days", "purchase_value")
_NO_VALUE: Final = "The shop's data do not tell what repeat purchases are worth."
_ONE_DAY: Final = "With a single day of purchase the model takes a customer to be alive still."
_NOBODY_LEAVES: Final = "The shop's data do not tell apart who stays and who leaves: all count as alive."


def describe_lifetime(customer: Customer, why_not: str) -> dict[str, Any] | None:
    """The customer's lifetime figures, None where no model could be fitted; `why_not` for who has none."""
    models = customer.model.version.analytics.customers
    if models.lifetime is None:
        return None
    told = {name: float(customer.judged.figures[name][0]) for name in ("alive", "expected_purchases")}
    applies = all(map(math.isfinite, told.values()))
    worth = finite(customer.judged.figures["lifetime_value"][0])
    return {
        **(told if applies else dict.fromkeys(told)),
        "lifetime_value": worth,
        "why": why_not if not applies else (_NO_VALUE if worth is None else None),
        "as_of": rfc3339(customer.as_of),
        **lifetime_terms(models.lifetime),
        **compared(models.lifetime_fit),
        "inputs": _inputs(customer) if applies else [],
        "because": _because(customer, worth) if applies else None,
        "notes": _notes(models.lifetime, customer) if applies else [],
        "quality": described_fit(models.lifetime_fit),
    }


def lifetime_terms(model: Lifetime) -> dict[str, Any]:
    """What is foretold, how far ahead, and by which model."""
    days, rate = model.config.horizon_days, model.config.discount_rate
    return {
        "definition": (
            f"Money that a customer is expected to spend within {days} days from now, later money counting "
            f"{rate:.0%} a year less: expected days with a purchase (BG/NBD) times the expected value of one "
            "(Gamma-Gamma). Refunds are subtracted from the purchase they belong to."
        ),
        "horizon_days": days,
        "discount_rate": rate,
        "model": MODEL if model.spending is None else VALUE_MODEL,
    }


def compared(fit: Mapping[str, Any]) -> dict[str, Any]:
    """The model beside the naive prediction, by what came in the part of the history that was held back."""
    judged = [fit[name] for name in ("purchases", "money") if fit.get(name)]
    answer = {"baseline": BASELINE, "baseline_meaning": BASELINE_MEANING}
    if not judged:
        note = "The history is too short to hold a part of it back: the model was not judged."
        return answer | {"better_than_baseline": None, "note": note}
    better = all(each["mean_absolute_error"] < each["naive_mean_absolute_error"] for each in judged)
    note = (
        "Its mean absolute error was below that of the naive prediction"
        if better
        else "Its mean absolute error was not below that of the naive prediction: take the figures as an"
        " order of customers rather than as amounts"
    )
    return answer | {"better_than_baseline": better, "note": f"{note}."}


def described_fit(fit: Mapping[str, Any]) -> dict[str, Any] | None:
    """How well the model foretold what was held back; None where nothing was."""
    if not fit:
        return None
    said: dict[str, Any] = all_finite({name: value for name, value in fit.items() if name != "cut"})
    return {"cut": rfc3339(fit["cut"]), **said}


def _inputs(customer: Customer) -> list[dict[str, Any]]:
    table = customer.judged.features
    return [
        {
            "feature": name,
            "value": finite(table.column(name)[0]),
            "unit": table.units[table.names.index(name)],
            "meaning": table.labels[table.names.index(name)],
        }
        for name in _INPUTS
    ]


def _because(customer: Customer, worth: float | None) -> str:
    days, recency, tenure, spent = (float(customer.judged.features.column(name)[0]) for name in _INPUTS)
    if days == 1:
        bought, each = f"Bought on one day, {recency:.0f} days ago", ""
    else:
        bought = f"Bought on {days:.0f} days, the first {tenure:.0f} and the last {recency:.0f} days ago"
        each = " a day on average"
    return f"{bought}." if worth is None else f"{bought}, for {spent:,.2f}{each}."


def _notes(model: Lifetime, customer: Customer) -> list[str]:
    if {"a", "b"} & set(model.buying.at_bound):
        return [_NOBODY_LEAVES]
    return [_ONE_DAY] if customer.judged.features.column("frequency")[0] < 2 else []
