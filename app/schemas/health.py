"""Wire types of health."""

from typing import Literal

from pydantic import Field

from app.schemas.fields import Answer


class Liveness(Answer):
    status: Literal["alive"]


class Readiness(Answer):
    status: Literal["ready", "degraded", "not_ready"] = Field(
        description="degraded: recommendations go on without the database, or by another model version"
    )
    database: str = Field(description="ok, or what is wrong")
    model_version: str | None
    model_problem: str | None = Field(description="Why the active version is not the one served, if so")
