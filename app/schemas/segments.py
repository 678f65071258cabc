"""Wire types of customer segments."""

from typing import Any

from pydantic import Field

from app.schemas.fields import Answer


class Segment(Answer):
    segment_id: str
    kind: str
    name: str
    size: int
    share: float = Field(description="Of all users in the segmentation, 0–1")
    centre: dict[str, float] = Field(description="Mean of each feature, in its own unit")
    distinguishing: list[dict[str, Any]] = Field(description="What sets the segment apart")


class Segments(Answer):
    model_version: str
    as_of: str
    segments: list[Segment]
    quality: dict[str, Any] = Field(description="Quality indices over the numbers of segments tried")
    units: dict[str, str] = Field(description="Unit of each feature")


class SegmentAnswer(Answer):
    model_version: str
    as_of: str
    segment: Segment
    units: dict[str, str]


class SegmentUsers(Answer):
    segment_id: str
    model_version: str
    users: list[str]
    next_cursor: str | None


class UserSegments(Answer):
    user_id: str
    model_version: str
    as_of: str
    segments: list[Segment]
    warnings: list[str] = []
