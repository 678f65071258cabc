"""Errors that a caller can act on; the API answers them as RFC 9457 problems, the CLI as one line."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class InputError:
    """One thing that is wrong with an input: where (a JSON pointer, or a parameter's name) and what."""

    pointer: str
    code: str
    detail: str


def pointed(name: str) -> str:
    """A name as a part of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


class AppError(Exception):
    """Base of all errors with a stable code and an HTTP status."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, errors: list[InputError] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors or []

    def problem(self) -> dict[str, Any]:
        """The body of an `application/problem+json` answer."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = [asdict(error) for error in self.errors]
        return body


class InvalidInput(AppError):
    """The payload is well-formed JSON, but not what the call takes."""

    status, code, title = 422, "invalid_input", "Invalid input"


class MalformedJson(AppError):
    """The body is not JSON in UTF-8."""

    status, code, title = 400, "malformed_json", "Malformed JSON"


class MalformedRequest(AppError):
    """What came is not HTTP."""

    status, code, title = 400, "malformed_request", "Malformed request"


class HeadTooLarge(AppError):
    """The request's headers are larger, or more, than any call needs."""

    status, code, title = 431, "head_too_large", "Headers too large"


class BodyTooLarge(AppError):
    """The body is larger than the setting allows."""

    status, code, title = 413, "body_too_large", "Body too large"


class NotFound(AppError):
    """The thing that the path names does not exist."""

    status, code, title = 404, "not_found", "Not found"


class Conflict(AppError):
    """The call does not fit the state of the thing that it names."""

    status, code, title = 409, "conflict", "Conflict"


class Unauthorized(AppError):
    """No key, or one that is not (or no longer) valid."""

    status, code, title = 401, "unauthorized", "Unauthorized"


class Forbidden(AppError):
    """The key is valid, but lacks the scope."""

    status, code, title = 403, "forbidden", "Forbidden"


class UserTokenNeeded(Forbidden):
    """A browser's key names a user without the proof that it speaks for this user."""

    code, title = "user_token_needed", "User token needed"


class SlowBody(AppError):
    """The body comes so slowly that the call is given up."""

    status, code, title = 408, "slow_body", "Body too slow"


class UnsupportedEncoding(AppError):
    """The body is compressed."""

    status, code, title = 415, "unsupported_encoding", "Unsupported encoding"


class TooManyRequests(AppError):
    """More calls than the limit of a key or of an address allows."""

    status, code, title = 429, "too_many_requests", "Too many requests"

    def __init__(self, detail: str, retry_after: int, standing: list[tuple[bytes, bytes]]) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        """Seconds until the next call may be answered."""
        self.standing = standing
        """Headers that say where the caller stands."""


class Unavailable(AppError):
    """The database or another part cannot be reached just now; the call may be tried again."""

    status, code, title = 503, "unavailable", "Temporarily unavailable"


class ModelNotReady(AppError):
    """The call needs a trained model (or a part of it) that does not exist yet."""

    status, code, title = 409, "model_not_ready", "Model not ready"
