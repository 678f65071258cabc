"""Settings of the service, read from `VITRINE_*` variables and a `.env` file by the doors alone."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.core.events import DEFAULT_WEIGHTS, canonical

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s@]+")


class Settings(BaseSettings):
    """Every setting, its default and what it does."""

    model_config = SettingsConfigDict(env_prefix="VITRINE_", env_file=".env", extra="ignore")

    database_url: str = "sqlite:///var/vitrine.db"
    """SQLAlchemy address of the database: SQLite (embedded) or PostgreSQL."""
    artifacts: Path = Path("var/artifacts")
    """Folder of the trained model versions; shared by the API and the trainer."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """API processes."""
    admin_key: SecretStr | None = None
    """A key with all scopes, given from outside (a container's secret) rather than stored."""
    cors_origins: Annotated[list[str], NoDecode] = []
    """Origins of web pages that may call the API from a browser, comma-separated."""
    user_token_secret: SecretStr | None = None
    """With it, `track` keys may name a user only with that user's token; see docs/security.md."""
    rate_limit: str | None = None
    """Calls that each key may make, such as `600/minute`; None: no limit."""
    track_rate_limit: str | None = None
    """Calls that each address may make with a `track` key; None: no limit."""
    wrong_key_limit: str | None = "60/minute"
    """Wrong keys from one address, beyond which none is compared with the admin key; empty: no limit."""
    rate_limit_file: Path | None = None
    """Where the processes of one machine count calls together; `vitrine serve` gives them one."""
    max_concurrent: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    """Calls that each API process works on at once; more are answered 503."""
    body_seconds: Annotated[float, Field(gt=0, le=3_600)] = 20.0
    """How long a body may be waited for, beside a second for each 2 KiB that came."""
    hsts_seconds: Annotated[int, Field(ge=0, le=63_072_000)] = 0
    """`max-age` of Strict-Transport-Security, for a service behind HTTPS; 0: the header is not sent."""
    audit_days: Annotated[int, Field(ge=1, le=3_653)] = 400
    """How long entries of the audit log are kept."""
    max_body_mb: Annotated[int, Field(ge=1, le=1024)] = 32
    """Largest body of a call in MiB; NDJSON imports are streams and have no limit."""
    database_pool: Annotated[int, Field(ge=1, le=200)] = 10
    """Database connections of each process, at most."""
    without_database_seconds: Annotated[float, Field(ge=0, le=86_400)] = 300.0
    """How long recommendations go on without the database, for keys that it knew then; 0: they fail."""
    metrics_dir: Path = Path("var/metrics")
    """Folder in which API processes add up their metrics; wiped at start."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    access_log: bool = True

    event_weights: dict[str, float] = {}
    """Implicit weights that differ from the defaults, as JSON: {"purchase": 8, "watched_trailer": 1}."""
    model_poll_seconds: Annotated[float, Field(gt=0, le=60)] = 1.0
    """How often each API process looks whether another model version is active."""
    shown_days: Annotated[int, Field(ge=0, le=3_653)] = 90
    """How long it is kept what was shown to whom, for `/v1/reports/recommendations`; 0: nothing is."""
    keep_versions: Annotated[int, Field(ge=1, le=100)] = 5
    """Model versions kept on disk; the active one and the newest."""
    pseudonym_key: SecretStr | None = None
    """With it, users are stored under pseudonyms: a keyed hash of their ids. For an empty database only."""
    erasure_days: Annotated[float, Field(ge=0, le=365)] = 7.0
    """Days within which versions that learned from an erased person are replaced and deleted."""
    retention_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    """Interactions older than this are removed by the trainer; 0: they are kept for ever."""

    train_interval_hours: Annotated[float, Field(ge=0)] = 24.0
    """A training is queued when the last one is this old and there is new data; 0: never."""
    train_after_interactions: Annotated[int, Field(ge=0)] = 50_000
    """A training is queued after this many new interactions; 0: never."""
    lease_seconds: Annotated[float, Field(ge=1, le=600)] = 30.0
    """How long a trainer that no longer reports keeps its run before another takes it up."""
    max_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    """How often a run whose trainer died is taken up again before it counts as failed."""
    search_seconds: Annotated[float, Field(ge=0, le=86_400)] = 25.0
    """Time that a training may spend on the search for hyperparameters; 0: only what won before."""
    trainer_memory_mb: Annotated[int, Field(ge=64, le=65_536)] = 500
    """Memory in MiB for fitting one large model (EASE, segments); what does not fit is cut or sampled."""
    trainer_threads: Annotated[int, Field(ge=0, le=256)] = 0
    """Cores that a training may use; 0: all but one, so that answers do not wait for it."""
    churn_days: Annotated[int, Field(ge=0, le=365)] = 0
    """Days without a purchase that count as churn; 0: by the shop's own rhythm. Otherwise at least 7."""
    prediction_days: Annotated[int, Field(ge=7, le=365)] = 30
    """How far ahead the next purchase and the value are predicted."""
    lifetime_days: Annotated[int, Field(ge=1, le=3653)] = 365
    """How far ahead lifetime value is counted."""
    rules_min_support: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Least share of baskets with all items of an association rule; 0: found for the shop."""
    rules_min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Least confidence of an association rule."""
    seed: int = 20_260

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        return (
            [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        )

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: list[str]) -> list[str]:
        for origin in value:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(f"'{origin}' is not an origin such as https://shop.example (no path)")
        return value

    @field_validator("rate_limit", "track_rate_limit", "wrong_key_limit")
    @classmethod
    def _is_limit(cls, value: str | None) -> str | None:
        if value:
            from limits import parse_many

            try:
                parse_many(value)
            except ValueError:
                raise ValueError("a limit such as 600/minute, or several with ; between them") from None
        return value

    @field_validator("pseudonym_key")
    @classmethod
    def _is_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 16:
            raise ValueError("at least 16 characters, for example from 'openssl rand -hex 32'")
        return value

    @field_validator("churn_days")
    @classmethod
    def _long_enough(cls, value: int) -> int:
        if 0 < value < 7:
            raise ValueError("0 (by the shop's own rhythm) or at least 7 days")
        return value

    @field_validator("event_weights")
    @classmethod
    def _known_events(cls, value: dict[str, float]) -> dict[str, float]:
        weights = {}
        for name, weight in value.items():
            stored = canonical(name)
            if stored is None:
                raise ValueError(f"'{name}' is not an event name")
            weights[stored] = weight
        return weights

    @property
    def pseudonyms_by(self) -> str | None:
        """The key of pseudonyms, if users are stored under these."""
        return None if self.pseudonym_key is None else self.pseudonym_key.get_secret_value()

    @property
    def weights(self) -> dict[str, float]:
        """The implicit weight of every event: the defaults with the shop's own over them."""
        return DEFAULT_WEIGHTS | self.event_weights
