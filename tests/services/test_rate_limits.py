"""Counts that processes share, and who is counted as one."""

import multiprocessing
from pathlib import Path

import pytest
import time_machine
from limits.strategies import FixedWindowRateLimiter

from app.core.clock import from_ms, now_ms
from app.core.errors import TooManyRequests
from app.services import shared_counts
from app.services.keys import Access
from app.services.rate_limits import RateLimits
from app.services.shared_counts import FILE_BYTES, SharedCounts

PAGE = Access("key_page", frozenset({"track"}))
SHOP = Access("key_shop", frozenset({"query"}))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "counts"


def _count(file: Path, times: int) -> None:
    counts = SharedCounts(file)
    for _ in range(times):
        counts.incr("k", 60)
    counts.close()


def test_processes_count_together_and_lose_nothing(file: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_count, args=(file, 2_000)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    counts = SharedCounts(file)
    assert counts.get("k") == 6_000
    counts.clear("k")
    assert counts.get("k") == 0
    assert file.stat().st_size == FILE_BYTES
    counts.close()


def test_a_window_ends_and_another_begins() -> None:
    counts = SharedCounts()
    with time_machine.travel(from_ms(now_ms()), tick=False) as clock:
        began = now_ms() / 1000
        assert [counts.incr("k", 10) for _ in range(3)] == [1, 2, 3]
        clock.shift(9.9)
        assert counts.incr("k", 10) == 4
        assert counts.get_expiry("k") == pytest.approx(began + 10, abs=0.01)
        clock.shift(0.2)
        assert counts.get("k") == 0
        assert counts.incr("k", 10) == 1


def test_where_all_places_are_taken_the_count_that_ends_first_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_counts, "SLOTS", shared_counts.PLACES + 1)  # one place for all keys
    counts = SharedCounts()
    with time_machine.travel(from_ms(now_ms()), tick=False):
        for number in range(shared_counts.PLACES):
            counts.incr(f"k{number}", 100 - number)
        assert counts.incr("another", 500) == 1
        assert counts.get(f"k{shared_counts.PLACES - 1}") == 0
        assert [counts.get(f"k{number}") for number in range(shared_counts.PLACES - 1)] == [1] * 7


def test_it_is_a_storage_like_those_of_limits() -> None:
    counts = SharedCounts()
    assert counts.check()
    counts.incr("k", 60)
    counts.reset()
    assert FixedWindowRateLimiter(counts).storage.get("k") == 0


def test_keys_are_counted_whole_and_pages_by_address(file: Path) -> None:
    one, other = (RateLimits("3/minute", "2/minute;100/hour", None, file) for _ in range(2))
    for limits in (one, other, one):
        standing = limits.count(SHOP, "10.0.0.1")
    assert standing is not None
    assert standing.remaining == 0
    with pytest.raises(TooManyRequests) as refused:
        other.count(SHOP, "10.0.0.2")
    assert 1 <= refused.value.retry_after <= 60
    # The addresses of one connection are one visitor; others are not touched.
    for address in ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"):
        one.count(PAGE, address)
    with pytest.raises(TooManyRequests):
        other.count(PAGE, "2001:db8:1:2::3")
    for address in ("2001:db8:1:3::1", "::ffff:10.0.0.1", "10.0.0.1", "not an address"):
        one.count(PAGE, address)
    with pytest.raises(TooManyRequests):
        other.count(PAGE, "::ffff:10.0.0.1")
    one.close()
    other.close()


def test_without_limits_nothing_is_counted() -> None:
    limits = RateLimits(None, None, "")
    assert all(limits.count(access, "10.0.0.1") is None for access in (PAGE, SHOP) for _ in range(100))
    limits.count_wrong_key("10.0.0.1")
    assert limits.guesses_left("10.0.0.1")
