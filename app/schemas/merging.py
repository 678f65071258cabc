"""Wire types of anonymous sessions that become a user's."""

from pydantic import Field

from app.schemas.fields import Answer, Id, Wire


class MergeRequest(Wire):
    """The session of a visitor who has logged in."""

    session_id: Id


class Merge(Answer):
    user_id: str
    session_id: str
    merged: int = Field(description="Events that became the user's by this call")
    warnings: list[str]
