"""Proof that a browser speaks for the user whom it names."""

import hmac
from collections.abc import Collection

from app.core.errors import UserTokenNeeded


def token_of(secret: str, user_id: str) -> str:
    """HMAC-SHA256 of a user's id in hexadecimal, which the shop's backend gives to the user's own pages."""
    return hmac.digest(secret.encode(), user_id.encode(), "sha256").hex()


def check_token(secret: str, token: str | None, user_ids: Collection[str]) -> None:
    """Raises UserTokenNeeded unless the token is that of each of the users."""
    given = (token or "").encode()
    if not all(hmac.compare_digest(token_of(secret, user_id).encode(), given) for user_id in user_ids):
        raise UserTokenNeeded(
            "This key may name a user only with that user's token in 'X-User-Token', "
            "and in one call only one user."
        )
