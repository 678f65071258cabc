"""Wire types of predictions of customers."""

from typing import Any, Literal

from pydantic import Field

from app.schemas.fields import Answer


class Interval(Answer):
    value: float | None
    low: float | None = Field(description="95 % interval, by a bootstrap over customers")
    high: float | None


class Driver(Answer):
    """A feature that moved the figure away from that of the average customer."""

    feature: str = Field(examples=["purchase_recency_days"])
    value: float | None = Field(description="The customer's own, in the unit")
    unit: str
    meaning: str
    direction: Literal["raises", "lowers"]
    effect: float | None = Field(description="By how much, on `effect_scale`, before calibration")
    effect_scale: Literal["log-odds", "probability", "amount"]
    words: str = Field(examples=["time since the last purchase (41 days)"])


class Input(Answer):
    feature: str
    value: float | None
    unit: str
    meaning: str


class Quality(Answer):
    judged_at: str = Field(description="The moment as of which customers were judged by what came after")
    customers: int = Field(description="How many it was judged on")
    validation: str
    figures: dict[str, Interval] = Field(
        description="Of the served model: auc, log_loss, brier, calibration_error and lift_at_10_percent, or "
        "rmse, capped_rmse and mae"
    )
    baseline_figures: dict[str, Interval] = Field(
        description="Of the naive prediction, on the same customers"
    )


class Served(Answer):
    """Which model is served."""

    model: str = Field(description="What is served: a learner, or the baseline", examples=["forest"])
    baseline: str = Field(description="The best naive prediction", examples=["recency"])
    better_than_baseline: bool | None = Field(description="false: the baseline itself is served")
    note: str


class CustomerPrediction(Served):
    why: str | None = Field(description="Why the figure is null for this customer")
    average: float | None = Field(description="The mean of the customers that were learned from")
    definition: str = Field(
        description="What is foretold, of whom, in words",
        examples=["A customer has churned who makes no purchase for 80 days. Judged as of 2026-08-12."],
    )
    horizon_days: int
    as_of: str
    drivers: list[Driver] = Field(description="The three strongest, the strongest first")
    because: str | None = Field(
        description="The drivers as a sentence",
        examples=["The probability of churn is raised by time since the last purchase (95.5 days)."],
    )
    quality: Quality


class ChurnPrediction(CustomerPrediction):
    probability: float | None = Field(description="null for who has not bought yet", examples=[0.38])


class Timing(Served):
    definition: str
    figures: dict[str, Interval]


class NextPurchasePrediction(CustomerPrediction):
    probability: float | None = Field(description="Of a purchase within `horizon_days`")
    expected_days: float | None = Field(description="Until the next purchase; at most ten years")
    expected_date: str | None = Field(description="`as_of` and `expected_days`")
    expected_why: str | None = Field(description="Why `expected_days` is null")
    timing: Timing | None = Field(description="How the days within the horizon are foretold")


class ValuePrediction(CustomerPrediction):
    value: float | None = Field(description="Money within `horizon_days`, in the shop's currency")


class Foretold(Answer):
    predicted: float | None = Field(description="Sum over customers")
    actual: float | None
    correlation: float | None
    naive_correlation: float | None
    mean_absolute_error: float | None
    naive_mean_absolute_error: float | None


class LifetimeFit(Answer):
    cut: str = Field(description="What came after it was held back")
    later_days: int
    log_likelihood: float | None
    n_customers: int
    n_repeat: int
    without_value: int = Field(description="Who came back without a known positive value")
    expected_counts: list[float | None] = Field(
        description="Customers expected to have made 0, 1 … 6, at least 7 repeat purchases by the cut"
    )
    actual_counts: list[float | None]
    purchases: Foretold | None = Field(description="Days with a purchase after the cut")
    money: Foretold | None = Field(description="Money spent after the cut, less refunds of it")


class LifetimeTerms(Served):
    definition: str
    horizon_days: int
    discount_rate: float = Field(description="Of a year")
    baseline_meaning: str


class LifetimePrediction(LifetimeTerms):
    alive: float | None = Field(description="Probability that the customer still is one", examples=[0.91])
    expected_purchases: float | None = Field(
        description="Days with a purchase within `horizon_days`", examples=[4.2]
    )
    lifetime_value: float | None = Field(
        description="Money within `horizon_days`, discounted", examples=[330.7]
    )
    why: str | None = Field(description="Why figures are null")
    as_of: str
    inputs: list[Input] = Field(description="What the model is told of the customer")
    because: str | None
    notes: list[str]
    quality: LifetimeFit | None


class PredictionSet(Answer):
    churn: ChurnPrediction | None
    next_purchase: NextPurchasePrediction | None
    value: ValuePrediction | None
    lifetime: LifetimePrediction | None


class UserPredictions(Answer):
    user_id: str
    model_version: str
    as_of: str = Field(description="The moment of the latest data: the version's or the customer's own")
    predictions: PredictionSet = Field(description="null for what could not be fitted; see `missing`")
    missing: dict[str, str] = Field(
        description="What the training could not fit, and what it needs",
        examples=[{"value": "the value to come needs purchases with a price, there are none"}],
    )
    warnings: list[str] = []


class CustomerFigure(Answer):
    user_id: str = Field(examples=["ana"])
    value: float = Field(examples=[0.88])


class PredictionPage(Answer):
    name: str = Field(examples=["churn"])
    unit: str = Field(examples=["probability"])
    model_version: str
    as_of: str
    customers: int = Field(description="How many match, on all pages")
    sum: float | None = Field(
        description="Of the figure over all of them; of probabilities: how many to expect"
    )
    predictions: list[CustomerFigure]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null: the end")


class TriedModel(Answer):
    name: str
    baseline: bool
    figures: dict[str, Interval]


class ReliabilityRow(Answer):
    predicted: float | None = Field(description="Mean probability that was told")
    observed: float | None = Field(description="Share of whom it came true")
    rows: int


class PredictionModel(Answer):
    kind: Literal["probability", "amount"]
    target: str
    definition: str
    horizon_days: int
    judged_at: str
    learned_at: list[str] = Field(description="Earlier moments that were learned from, the latest first")
    average: float | None
    calibrated_by: str
    chosen: str = Field(description="The best learner")
    served: str = Field(description="The learner, or the baseline that it could not surely beat")
    baseline: str
    better_than_baseline: bool
    reason: str
    chosen_by: str
    capped_at: float | None = Field(description="Amounts beyond count as this in capped_rmse")
    validation: str
    rows: dict[str, int]
    outcome: dict[str, float | None] = Field(description="Mean of what came, as learned and as judged")
    models: list[TriedModel]
    reliability: list[ReliabilityRow] | None = Field(description="By tenths; null for amounts")
    rules: list[str] = Field(
        description="The best small decision tree in words, served or not",
        examples=[["If Visits at most 3.5 visits, then the probability of churn is 76% (42 customers)"]],
    )
    coefficients: list[dict[str, Any]] = Field(description="The linear model, served or not, strongest first")


class LifetimeModel(LifetimeTerms):
    unit_days: float = Field(description="The unit of time of the parameters")
    buying: dict[str, Any] = Field(description="Parameters of the BG/NBD")
    spending: dict[str, Any] | None = Field(description="Parameters of the Gamma-Gamma")
    fit: LifetimeFit | None


class PredictionModels(Answer):
    model_version: str
    as_of: str
    predictions: dict[str, PredictionModel] = Field(
        description="churn, next_purchase, next_purchase_days (if it comes within the horizon), value"
    )
    lifetime: LifetimeModel | None
    missing: dict[str, str]


class FeatureDefinition(Answer):
    name: str
    unit: str
    meaning: str


class AttributeDefinition(Answer):
    name: str = Field(examples=["country = PT"])
    attribute: str
    kind: Literal["number", "category", "missing"]


class Features(Answer):
    features: list[FeatureDefinition]
    attributes: list[AttributeDefinition] = Field(
        description="Columns of the shop's own attributes that the active version's predictions use"
    )
