"""Wire types of rating predictions."""

from pydantic import Field

from app.schemas.fields import Answer, Id, UserRef, Wire


class RatingRequest(Wire):
    user_id: UserRef
    item_ids: list[Id] = Field(min_length=1, max_length=1_000)


class RatingScale(Answer):
    low: float
    high: float


class PredictedRating(Answer):
    item_id: str
    rating: float | None = Field(description="On the shop's own scale; null for an item no training knows")
    std: float | None = Field(description="Standard deviation of the prediction")


class RatingPredictions(Answer):
    user_id: str
    model_version: str
    as_of: str
    scale: RatingScale
    predictions: list[PredictedRating]
    warnings: list[str] = []
