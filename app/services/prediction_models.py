"""How the predictions of the active version were learned, chosen and judged; and what they are made from."""

from typing import Any

from app.core.clock import rfc3339
from app.learning.customers.features import FEATURES
from app.learning.customers.lifetime.lifetime import Lifetime
from app.learning.customers.predictors.predictions import Prediction
from app.services.customers import analytics_of
from app.services.finite import all_finite
from app.services.lifetime import compared, described_fit, lifetime_terms
from app.services.live import Live
from app.services.predictions import missing_figures


def describe_models(live: Live) -> dict[str, Any]:
    """All models of predictions; raises ModelNotReady."""
    model, analytics = analytics_of(live)
    customers = analytics.customers
    fitted = customers.predictions.predictions if customers.predictions is not None else {}
    fit = customers.lifetime_fit
    return {
        "model_version": model.name,
        "as_of": rfc3339(model.version.as_of),
        "predictions": {name: _described(prediction) for name, prediction in fitted.items()},
        "lifetime": None if customers.lifetime is None else _lifetime(customers.lifetime, fit),
        "missing": missing_figures(analytics),
    }


def describe_features(live: Live) -> dict[str, Any]:
    """The features, and, once a model is trained, the columns of the shop's own attributes."""
    model = live.current
    predictions = None if model is None else model.version.analytics.customers.predictions
    return {
        "features": [
            {"name": feature.name, "unit": feature.unit, "meaning": feature.meaning} for feature in FEATURES
        ],
        "attributes": [
            {"name": column.name, "attribute": column.attribute, "kind": column.kind}
            for column in (predictions.attributes if predictions is not None else ())
        ],
    }


def _described(prediction: Prediction) -> dict[str, Any]:
    said: dict[str, Any] = all_finite(prediction.describe())
    times = {
        "judged_at": rfc3339(prediction.cut),
        "learned_at": [rfc3339(moment) for moment in prediction.learned_at],
    }
    rules = [rule["words"] for rule in said["rules"]]
    return said | times | {"rules": rules}


def _lifetime(model: Lifetime, fit: Any) -> dict[str, Any]:
    return {
        **lifetime_terms(model),
        **compared(fit),
        **all_finite(model.describe()),
        "fit": described_fit(fit),
    }
