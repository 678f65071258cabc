"""Wire types of training runs."""

from typing import Any, Literal

from pydantic import Field

from app.schemas.fields import Answer

State = Literal["queued", "running", "succeeded", "rejected", "failed", "cancelled"]


class TrainingRun(Answer):
    run_id: str
    state: State
    trigger: str = Field(description="Who asked: api, cli, schedule, interactions or erasure")
    stage: str | None = Field(description="One of: snapshot, search, evaluate, gate, fit, publish")
    progress: float = Field(description="0–1")
    attempt: int = Field(description="How often a trainer took the run up")
    cancel_requested: bool
    queued_at: str
    started_at: str | None
    finished_at: str | None
    model_version: str | None
    metrics: dict[str, Any] | None
    error: str | None


class TrainingRunPage(Answer):
    training_runs: list[TrainingRun]
    next_cursor: str | None
