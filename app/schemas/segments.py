"""Wire types of customer segments."""

from typing import Any, Literal

from pydantic import Field

from app.schemas.fields import Answer

SegmentKind = Literal["kmeans", "agglomerative", "dbscan", "taste", "rfm", "rule"]


class Segment(Answer):
    segment_id: str = Field(
        description="Lasting: the group that a training finds again keeps it", examples=["kmeans-3"]
    )
    kind: SegmentKind
    name: str
    meaning: str | None = Field(description="Of a group of RFM")
    filter: str | None = Field(description="Of a saved filter")
    size: int = Field(description="Customers at the last training")
    share: float = Field(description="Of all customers in the segmentation, 0–1")
    centre: dict[str, float | None] = Field(
        description="Median of each feature in its own unit; of tastes mean shares of categories"
    )
    distinguishing: list[dict[str, Any]] = Field(
        description="The three features that differ most, in numbers"
    )
    sets_apart: list[str] = Field(description="The same as sentences")


class SegmentationQuality(Answer):
    segments: int = Field(description="Number tried; of DBSCAN what a distance led to")
    silhouette: float | None
    calinski_harabasz: float | None
    davies_bouldin: float | None
    smallest_share: float | None
    votes: int | None = Field(description="Sum of the ranks in the three indices; null: it did not stand")


class SegmentationFacts(Answer):
    """How the segments of a kind came about."""

    quality: list[SegmentationQuality] = Field(description="Indices over all numbers of segments tried")
    chosen_by: str | None = Field(description="The rule by which the number, or the boundaries, were chosen")
    eps: float | None = Field(description="DBSCAN: distance of neighbours, in standard deviations")
    boundaries: dict[str, list[float]] | None = Field(
        description="RFM: upper ends of the first four fifths of each feature"
    )
    outliers: int | None = Field(description="DBSCAN: customers who are like nobody else")
    sampled: int | None = Field(description="Customers from whom the segments were learned")
    units: dict[str, str] = Field(description="Unit of each feature of the centres")
    n_users: int = Field(description="Customers of which shares are told")


class Segments(Answer):
    model_version: str
    as_of: str
    segments: list[Segment]
    segmentations: dict[str, SegmentationFacts] = Field(description="By kind")
    missing: dict[str, str] = Field(
        description="By kind, or id of a saved filter, what it needs that the data do not have"
    )


class SegmentAnswer(Answer):
    model_version: str
    as_of: str
    segment: Segment
    segmentation: SegmentationFacts


class RfmScores(Answer):
    recency: int = Field(description="1–5, 5: bought latest")
    frequency: int
    monetary: int = Field(description="Where the shop's data has no money the frequency again")


class SegmentUsers(Answer):
    segment_id: str
    model_version: str
    users: list[str]
    scores: dict[str, RfmScores] | None = Field(description="RFM: of each of these users")
    next_cursor: str | None


class Membership(Answer):
    segment_id: str
    kind: SegmentKind
    name: str
    meaning: str | None = Field(description="Of a group of RFM")
    filter: str | None = Field(description="Of a saved filter")
    scores: RfmScores | None = Field(description="RFM: the user's own")


class UserSegments(Answer):
    user_id: str
    model_version: str
    as_of: str = Field(description="Of the latest data, the version's or the user's own")
    segments: list[Membership]
    unlike_others: list[str] = Field(description="Kinds by which the user is like nobody else")
    warnings: list[str] = []
