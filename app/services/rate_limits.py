"""How often may be called: by each key, by each visitor of a page, with wrong keys."""

import math
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from limits import RateLimitItem, parse_many
from limits.strategies import FixedWindowRateLimiter

from app.core.clock import now_ms
from app.core.errors import TooManyRequests
from app.services.keys import Access
from app.services.shared_counts import SharedCounts


@dataclass(frozen=True)
class Standing:
    """Where a caller stands after a call."""

    amount: int
    window_seconds: int
    remaining: int
    reset_seconds: int

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """As draft-ietf-httpapi-ratelimit-headers has it."""
        policy = f'"calls";q={self.amount};w={self.window_seconds}'
        now = f'"calls";r={self.remaining};t={self.reset_seconds}'
        return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", now.encode())]


class RateLimits:
    """The limits of one service; processes that are given the same file count together."""

    def __init__(
        self,
        per_key: str | None,
        per_visitor: str | None,
        wrong_keys: str | None,
        file: Path | None = None,
    ) -> None:
        self._per_key = parse_many(per_key) if per_key else []
        self._per_visitor = parse_many(per_visitor) if per_visitor else []
        self._wrong_keys = parse_many(wrong_keys) if wrong_keys else []
        self._counts = SharedCounts(file)
        self._windows = FixedWindowRateLimiter(self._counts)

    def count(self, access: Access, address: str) -> Standing | None:
        """Count a call; None where no limit applies. Raises TooManyRequests, with `standing`."""
        if access.public:
            return self._count(self._per_visitor, "visitor", access.actor, _network(address))
        return self._count(self._per_key, "key", access.actor)

    def guesses_left(self, address: str) -> bool:
        """Whether an address has not sent too many wrong keys lately."""
        network = _network(address)
        return all(self._windows.test(limit, "wrong", network) for limit in self._wrong_keys)

    def count_wrong_key(self, address: str) -> None:
        """Count a wrong key; raises TooManyRequests."""
        self._count(self._wrong_keys, "wrong", _network(address))

    def close(self) -> None:
        """Give the memory of the counts back."""
        self._counts.close()

    def _count(self, limits: list[RateLimitItem], *whom: str) -> Standing | None:
        tightest: Standing | None = None
        refused: list[Standing] = []
        for limit in limits:
            passed = self._windows.hit(limit, *whom)
            window = self._windows.get_window_stats(limit, *whom)
            reset = max(1, math.ceil(window.reset_time - now_ms() / 1000))
            standing = Standing(limit.amount, limit.get_expiry(), window.remaining, reset)
            if not passed:
                refused.append(standing)
            if tightest is None or standing.remaining < tightest.remaining:
                tightest = standing
        if refused:
            longest = max(refused, key=lambda one: one.reset_seconds)
            raise TooManyRequests(
                f"More than {longest.amount} calls in {longest.window_seconds} seconds; "
                f"try again in {longest.reset_seconds}.",
                longest.reset_seconds,
                longest.headers,
            )
        return tightest


def _network(address: str) -> str:
    """What counts as one address: of IPv6 the 64 bits that a single connection usually has for itself."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    return str(parsed.ipv4_mapped) if parsed.ipv4_mapped else parsed.exploded[:19]
