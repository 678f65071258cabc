"""Wire types of erasure and of what is held of a person."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from app.schemas.fields import Answer


class HeldVersion(Answer):
    version: str
    deadline: str = Field(description="By when its artifacts are deleted")
    released_at: str | None = Field(description="When they were; null: not yet")


class Receipt(Answer):
    """What was removed, from where, and which model versions still hold it until when."""

    receipt_id: str
    kind: Literal["user", "session"]
    fingerprint: str = Field(description="HMAC-SHA256 of the erased id under the proof, in hexadecimal")
    requested_at: str
    deadline: str
    completed_at: str | None = Field(description="When the last of the versions was deleted; null: not yet")
    removed: dict[str, int] = Field(description="Rows removed at once, by table of the database")
    versions: list[HeldVersion] = Field(
        description="Model versions that learned from the person; none of their answers names the person"
    )


class NewReceipt(Receipt):
    proof: str = Field(
        description="Key of the fingerprint: it shows later whose receipt this is. Given this once, not kept"
    )


_EXAMPLE: dict[str, Any] = {
    "user_id": "ana",
    "receipt_id": "er_Q7nk6aq9Hf1pe6cFlFIraA",
    "kind": "user",
    "fingerprint": "f8cbd64cbd272e7cd3b4d98e0a6ffe65bd396c3cc8e734f3cab22542a6a62a88",
    "requested_at": "2026-11-21T09:30:00.000Z",
    "deadline": "2026-11-28T09:30:00.000Z",
    "completed_at": None,
    "removed": {
        "users": 1,
        "interactions": 214,
        "sessions": 9,
        "shown_recommendations": 31,
        "relations": 2,
        "corrections": 0,
    },
    "versions": [
        {
            "version": "20261120T020003Z-17-3",
            "deadline": "2026-11-28T09:30:00.000Z",
            "released_at": None,
        }
    ],
    "proof": "k8D-7nQhwXCoYKMt9aqFLFKyx6aCW6-G_UYiFXtV658",
}


class Erasure(NewReceipt):
    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    user_id: str


class SessionErasure(NewReceipt):
    session_id: str


class ReceiptPage(Answer):
    receipts: list[Receipt]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null: the end")


class HeldRelation(Answer):
    user_id: str
    other_id: str
    kind: str
    weight: float
    updated_at: str


class PersonalData(Answer):
    """All that is held of a person, in the order in which it is sent."""

    user_id: str
    exported_at: str
    attributes: dict[str, Any]
    created_at: str
    updated_at: str
    learned: dict[str, Any] | None = Field(
        description="What the active version says of the person: segments, predictions, features; "
        "null before the first training"
    )
    relations: list[HeldRelation] = Field(description="Ties that the person or the other one has named")
    corrections: list[dict[str, Any]]
    sessions: list[dict[str, Any]] = Field(description="`session_id`, and whether it became the person's own")
    interactions: list[dict[str, Any]] = Field(description="Oldest first")
    anonymous_interactions: list[dict[str, Any]] = Field(
        description="Without a user, in sessions in which this user and nobody else was logged in"
    )
    shown_recommendations: list[dict[str, Any]] = Field(description="What was recommended, oldest first")
