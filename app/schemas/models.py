"""Wire types of model versions."""

from typing import Any

from pydantic import Field

from app.schemas.fields import Answer


class ModelVersion(Answer):
    version: str
    active: bool
    run_id: str
    created_at: str
    activated_at: str | None
    available: bool = Field(description="Whether its artifacts are still there to be activated")
    evaluation: dict[str, Any] = Field(description="Metrics, beside popularity and the version before")
    content: dict[str, Any] = Field(description="Families, configs, blend and data window")


class ModelPage(Answer):
    models: list[ModelVersion]
    next_cursor: str | None
