"""Wire types of the customer at a glance."""

from typing import Any, Literal

from pydantic import Field

from app.schemas.fields import Answer
from app.schemas.interactions import StoredInteraction
from app.schemas.recommendations import Recommendation
from app.schemas.segments import Membership


class RfmScores(Answer):
    recency: int | None = Field(description="1 (long ago) to 5 (lately); null for who has not bought")
    frequency: int | None = Field(description="1 to 5")
    monetary: int | None = Field(description="1 to 5; the frequency's where the shop sends no prices")
    group: str | None = Field(examples=["champions"])
    meaning: str | None = Field(examples=["bought lately, often and for much"])
    why: str | None = Field(description="Why there are none")


class Glance(Answer):
    """A prediction in short; `GET /v1/users/{user_id}/predictions` has all of it."""

    probability: float | None = Field(None, description="Of churn and next_purchase")
    value: float | None = Field(None, description="Of value: money within the horizon")
    expected_days: float | None = Field(None, description="Of next_purchase")
    expected_date: str | None = None
    alive: float | None = Field(None, description="Of lifetime")
    expected_purchases: float | None = Field(None, description="Of lifetime")
    lifetime_value: float | None = Field(None, description="Of lifetime")
    why: str | None = Field(description="Why the figure is null")
    because: str | None = Field(description="What drove it, in a sentence")
    horizon_days: int
    model: str
    better_than_baseline: bool | None


class FeatureValue(Answer):
    value: float | None
    unit: str


class CurrencyTotals(Answer):
    currency: str | None = Field(description="null: the shop did not say")
    spent: float = Field(description="Price times quantity of the purchases, refunds not subtracted")
    refunded: float
    without_price: int = Field(description="Purchases and refunds without a price, which count 0")


class FavouriteCategory(Answer):
    category: str = Field(examples=["Kitchen > Mugs"])
    by: Literal["purchases", "interactions"] = Field(
        description="What is counted; interactions of who has bought nothing"
    )
    count: int
    share: float


class Totals(Answer):
    interactions: int
    orders: int = Field(description="By the shop's order id; without one, the purchases of a UTC day")
    purchases: int = Field(description="Item lines bought")
    refunds: int = Field(description="Item lines refunded")
    money: list[CurrencyTotals]
    first_seen: str | None
    last_seen: str | None
    favourite_categories: list[FavouriteCategory] = Field(description="The first five")


class ServiceContacts(Answer):
    contacts: int
    latest: str | None
    by_type: dict[str, int] = Field(
        description="complaint, question, return, other", examples=[{"complaint": 1, "question": 0}]
    )


class Profile(Answer):
    user_id: str
    attributes: dict[str, Any]
    created_at: str
    model_version: str | None = Field(description="null before the first training")
    as_of: str
    totals: Totals
    service: ServiceContacts
    rfm: RfmScores | None = Field(description="null where the shop's data do not allow it; see `missing`")
    segments: list[Membership]
    predictions: dict[str, Glance] = Field(description="By name: churn, next_purchase, value, lifetime")
    features: dict[str, FeatureValue] = Field(
        description="Behaviour in numbers; `GET /v1/predictions/features` says what each one means"
    )
    missing: dict[str, str] = Field(description="What the training could not fit, and what it needs")
    interactions: list[StoredInteraction] = Field(description="The latest 20, newest first")
    recommendations: list[Recommendation] = Field(description="The best ten")
    recommendation_id: str
    warnings: list[str] = []
