"""Wire types of scenarios."""

from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from app.schemas.fields import Answer, Wire, storable
from app.schemas.recommendations import ListSettings

Note = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$", strict=True)]
Version = Annotated[int, Field(ge=0, le=2**31 - 1, strict=True)]


class ScenarioSettings(ListSettings):
    """What counts in all lists of a scenario, unless a request says something else."""

    @model_validator(mode="after")
    def _fits_a_row(self) -> Self:
        storable(self.model_dump(mode="json", exclude_unset=True))
        return self


class ScenarioFields(Wire):
    """A scenario to save."""

    settings: ScenarioSettings
    note: Note | None = Field(None, description="For people: what was changed and why")
    version: Version | None = Field(
        None,
        description="The version that this one is to replace, 0 for none; if it is no longer the newest, "
        "nothing is saved (409)",
    )


class ScenarioVersionNumber(Wire):
    """A version to go back to."""

    version: Annotated[int, Field(ge=1, le=2**31 - 1, strict=True)]


class Scenario(Answer):
    name: str
    built_in: bool = Field(description="Whether there is a default of this name to fall back to")
    version: int = Field(description="Of the stored settings; 0: these are the built-in ones")
    settings: dict[str, Any] = Field(description="What is set; all else is as in a request without scenario")
    note: str | None
    updated_at: str | None = Field(description="When this version was saved; null: it is built in")


class ScenarioList(Answer):
    scenarios: list[Scenario]


class ScenarioVersion(Answer):
    version: int
    settings: dict[str, Any]
    deleted: bool = Field(description="Whether this version is the deletion of the scenario")
    note: str | None
    created_at: str


class ScenarioVersions(Answer):
    name: str
    versions: list[ScenarioVersion] = Field(description="The newest first")
