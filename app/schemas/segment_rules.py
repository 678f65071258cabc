"""Wire types of saved filters."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from app.schemas.fields import Answer, Wire

RuleName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]+$", strict=True)]
FilterText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=4000, pattern=r"^[^\x00]+$", strict=True),
    Field(
        description="Comparisons of features, predicted figures and attributes, joined by and, or, not, ( )",
        examples=["purchase_recency_days <= 30 and monetary > 100", 'country = "DE" or newsletter = true'],
    ),
]


class SegmentRuleFields(Wire):
    """A filter to save."""

    name: RuleName = Field(description="For people", examples=["Big spenders of this month"])
    filter: FilterText


class FilterRequest(Wire):
    """A filter to try out."""

    filter: FilterText


class SegmentRule(Answer):
    segment: str
    segment_id: str = Field(description="Of the segment that the filter makes, for `/v1/segments`")
    name: str
    filter: str
    created_at: str
    updated_at: str


class SegmentRuleList(Answer):
    segment_rules: list[SegmentRule]


class FilterPreview(Answer):
    model_version: str
    as_of: str
    size: int
    share: float = Field(description="Of all customers at the last training, 0–1")
    user_ids: list[str] = Field(description="A few of them")
    distinguishing: list[dict[str, Any]] = Field(
        description="The three features that differ most, in numbers"
    )
    sets_apart: list[str] = Field(description="The same as sentences")


class FilterField(Answer):
    name: str
    source: Literal["feature", "prediction", "attribute"]
    type: Literal["number", "text", "yes or no"] = Field(description="What it can be compared with")
    unit: str | None
    meaning: str
    needs: str | None = Field(description="What a prediction lacks, if it is not there; null: it is")
    users: int | None = Field(description="How many users have the attribute")


class FilterFields(Answer):
    fields: list[FilterField]
