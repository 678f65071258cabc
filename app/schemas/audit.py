"""Wire types of the audit log."""

from pydantic import Field

from app.schemas.fields import Answer


class AuditEntry(Answer):
    at: str
    actor: str = Field(
        description="The key's id; `settings`: VITRINE_ADMIN_KEY; `local`: this machine, before the first "
        "key; `cli`: the command line",
        examples=["key_2f6c1e0a9b3d4c58"],
    )
    action: str = Field(description="What was done or asked for", examples=["key.rotated"])
    target: str = Field(
        description="To what; of an erasure the id of its receipt, never of the person",
        examples=["key_81d0c7e2a4f35b69"],
    )
    outcome: str = Field(description="`done`, or the code of the refusal", examples=["done"])
    request_id: str | None


class AuditPage(Answer):
    entries: list[AuditEntry]
    next_cursor: str | None
