"""Who is let in, who waits, and who is refused before it costs anything."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.api import admission
from app.api.admission import BODY_SECONDS, TURN_SECONDS, Admission, Turns
from app.api.refusals import Refusals
from app.core.errors import Unavailable

OPERATIONS = [
    ("GET", "/v1/items"),
    ("POST", "/v1/items"),
    ("GET", "/v1/items/{item_id}"),
    ("GET", "/v1/items/{item_id}/similar"),
    ("GET", "/v1/reports/sales"),
    ("GET", "/v1/reports/{other}"),
    ("POST", "/v1/recommendations"),
    ("POST", "/v1/recommendations/batch"),
]


def _scope(path: str = "/v1/items", method: str = "GET", body: bool = False) -> Scope:
    headers = [(b"content-length", b"9")] if body else []
    return {"type": "http", "method": method, "path": path, "headers": headers}


def _door(at_once: int = 2, most: int = 1_000) -> Admission:
    return Admission(most, at_once, Refusals(0, []), OPERATIONS)


class Calls:
    """Requests at a door, to an application that takes some time for each."""

    def __init__(self, door: Admission, work: Callable[[], Awaitable[None]]) -> None:
        self.door = door
        self.work = work
        self.at_work = self.most_at_work = 0
        self.order: list[int] = []

    async def make(self, number: int = 0, scope: Scope | None = None, body: tuple[Message, ...] = ()) -> int:
        """The status; 0 where there was no room."""
        scope = scope or _scope()
        if not self.door.has_room(scope):
            return 0
        parts = list(body)
        sent: list[Message] = []

        async def app(_scope: Scope, receive: Receive, send: Send) -> None:
            while parts:
                await receive()
            self.order.append(number)
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
            await self.work()
            self.at_work -= 1
            await send({"type": "http.response.start", "status": 200, "headers": []})

        async def receive() -> Message:
            return parts.pop(0)

        async def send(message: Message) -> None:
            sent.append(message)

        await self.door.around(app, scope)(scope, receive, send)
        status: int = sent[0]["status"]
        return status


async def _all(calls: Iterable[Awaitable[Any]]) -> list[Any]:
    return list(await asyncio.gather(*calls))


def test_so_many_of_a_kind_are_worked_on_at_once_and_the_others_in_the_order_of_coming() -> None:
    async def run() -> None:
        calls = Calls(_door(at_once=3), lambda: asyncio.sleep(0.005))
        assert await _all([calls.make(number) for number in range(30)]) == [200] * 30
        assert calls.most_at_work == 3
        assert calls.order == list(range(30))
        assert calls.door.running == 0

    asyncio.run(run())


def test_a_call_that_would_wait_too_long_is_refused_at_once_and_other_kinds_are_not() -> None:
    async def run() -> None:
        slow = Calls(_door(), lambda: asyncio.sleep(0.2))
        first = asyncio.gather(*[slow.make(scope=_scope("/v1/reports/sales")) for _ in range(8)])
        assert await first == [200] * 8  # now it is known how long they take
        working = [asyncio.ensure_future(slow.make(scope=_scope("/v1/reports/sales"))) for _ in range(40)]
        await asyncio.sleep(0.01)
        assert not slow.door.has_room(_scope("/v1/reports/sales"))
        assert slow.door.has_room(_scope("/v1/items"))
        statuses = await asyncio.gather(*working)
        assert statuses.count(200) > 2
        assert statuses.count(0) > 5
        assert slow.door.has_room(_scope("/v1/reports/sales"))

    asyncio.run(run())


def test_nobody_waits_for_longer_whatever_was_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(admission, "AT_FIRST", 0.0)
    done = asyncio.Event()

    async def run() -> None:
        stuck = Calls(_door(), lambda: _wait(done))
        working = [asyncio.ensure_future(stuck.make()) for _ in range(4)]
        await asyncio.sleep(0.3)
        assert [one.done() and one.result() for one in working] == [False, False, 503, 503]
        posted = _scope(method="POST", body=True)
        posts = [
            asyncio.ensure_future(stuck.make(scope=posted, body=({"type": "http.request"},)))
            for _ in range(3)
        ]
        await asyncio.sleep(0.3)
        assert isinstance(posts[2].exception(), Unavailable), "here the application itself says it"
        done.set()
        assert [await one for one in working] == [200, 200, 503, 503]
        assert [await one for one in posts[:2]] == [200, 200]
        assert stuck.door.running == 0
        assert await stuck.make() == 200

    asyncio.run(run())


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


def test_who_is_given_up_while_it_waits_leaves_its_place_to_others() -> None:
    async def run() -> None:
        calls = Calls(_door(at_once=1), lambda: asyncio.sleep(0.02))
        made = [asyncio.ensure_future(calls.make(number)) for number in range(5)]
        await asyncio.sleep(0.005)
        made[0].cancel()
        made[2].cancel()
        found = await asyncio.gather(*made, return_exceptions=True)
        assert [isinstance(one, asyncio.CancelledError) or one for one in found] == [
            True,
            200,
            True,
            200,
            200,
        ]
        assert calls.door.running == 0
        assert await calls.make() == 200

    asyncio.run(run())


def test_who_waits_for_its_client_holds_up_nobody() -> None:
    async def run() -> None:
        calls = Calls(_door(at_once=1), lambda: asyncio.sleep(0))
        posted = _scope(method="POST", body=True)
        slow = asyncio.Event()

        async def receive() -> Message:
            if not slow.is_set():
                await slow.wait()
                return {"type": "http.request", "more_body": True}
            return {"type": "http.request"}

        async def app(_scope: Scope, receive: Receive, send: Send) -> None:
            while (await receive()).get("more_body"):
                pass
            await send({"type": "http.response.start", "status": 201, "headers": []})

        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        waiting = asyncio.ensure_future(calls.door.around(app, posted)(posted, receive, send))
        await asyncio.sleep(0)
        whole: Message = {"type": "http.request"}
        found = await _all([calls.make(scope=posted, body=(whole,)) for _ in range(5)])
        assert found == [200] * 5
        slow.set()
        await waiting
        assert sent[0]["status"] == 201
        assert calls.door.running == 0

    asyncio.run(run())


def test_heads_whose_bodies_do_not_come_leave_room_for_others() -> None:
    async def run() -> None:
        door = _door(at_once=1)
        posted = _scope(method="POST", body=True)
        for _ in range(500):
            door.around(_answer, posted)
        assert not door.has_room(posted)
        await asyncio.sleep(2 * BODY_SECONDS)
        assert door.has_room(posted)
        calls = Calls(door, lambda: asyncio.sleep(0))
        assert await calls.make(scope=posted, body=({"type": "http.request"},)) == 200

    asyncio.run(run())


def test_who_reads_an_answer_slowly_holds_up_nobody() -> None:
    async def run() -> None:
        door = _door(at_once=1)
        read = asyncio.Event()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                await read.wait()

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        scope = _scope()
        slow = [asyncio.ensure_future(door.around(_answer, scope)(scope, receive, send)) for _ in range(5)]
        await asyncio.sleep(0.01)
        assert await Calls(door, lambda: asyncio.sleep(0)).make() == 200
        assert door.running == 5
        read.set()
        await asyncio.gather(*slow)
        assert door.running == 0

    asyncio.run(run())


async def _answer(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body"})


def test_what_a_crowd_was_like_is_forgotten() -> None:
    async def run() -> None:
        calls = Calls(_door(at_once=1), lambda: asyncio.sleep(0.3))
        await _all([calls.make() for _ in range(8)])
        lane = calls.door._lane(_scope())
        lane._seconds_each = 5.0  # as after calls of five seconds, one at a time
        calls.work = lambda: asyncio.sleep(0.001)
        found = await _all([calls.make() for _ in range(30)])
        assert found.count(200) >= 2, "some may always wait"
        for _ in range(40):
            await calls.make()
        assert await _all([calls.make() for _ in range(30)]) == [200] * 30

    asyncio.run(run())


def test_a_request_with_a_body_that_nobody_reads_waits_like_all_others() -> None:
    async def run() -> None:
        calls = Calls(_door(at_once=2), lambda: asyncio.sleep(0.005))
        read = _scope(method="GET", body=True)
        assert await _all([calls.make(scope=read) for _ in range(10)]) == [200] * 10
        assert calls.most_at_work == 2

    asyncio.run(run())


def test_one_operation_leaves_room_for_the_others() -> None:
    async def run() -> None:
        done = asyncio.Event()
        calls = Calls(_door(at_once=2, most=40), lambda: _wait(done))
        made = [asyncio.ensure_future(calls.make()) for _ in range(60)]
        await asyncio.sleep(0.01)
        assert calls.door.running == 10
        assert calls.door.has_room(_scope("/v1/reports/sales"))
        done.set()
        assert (await asyncio.gather(*made)).count(200) == 10

    asyncio.run(run())


def test_streams_are_in_no_lane_and_all_calls_together_have_a_bound() -> None:
    async def run() -> None:
        done = asyncio.Event()
        calls = Calls(_door(at_once=1, most=5), lambda: _wait(done))
        stream = _scope("/v1/import/items", "POST", body=True)
        working = [asyncio.ensure_future(calls.make(scope=stream)) for _ in range(7)]
        await asyncio.sleep(0.01)
        assert calls.at_work == 5
        assert not calls.door.has_room(_scope())
        done.set()
        assert [await one for one in working] == [200] * 5 + [0, 0]

    asyncio.run(run())


def test_each_operation_has_a_lane_of_its_own_and_all_else_one_together() -> None:
    door = _door()
    known = [door._lane(_scope(path.replace("{item_id}", "i"), method)) for method, path in OPERATIONS]
    assert len(set(map(id, known))) == len(OPERATIONS)
    slashed = dict(_scope("/v1/items/a/b/similar"), raw_path=b"/v1/items/a%2Fb/similar")
    assert door._lane(slashed) is known[3]
    assert door._lane(_scope("/v1/reports/items")) is known[5]
    made_up = [door._lane(_scope(f"/v1/{number}" * (number % 4), "GET")) for number in range(1_000)]
    assert len(set(map(id, made_up))) == 1
    assert not {id(made_up[0])} & set(map(id, known))


def test_what_takes_long_may_be_waited_for_twice_as_long() -> None:
    async def run() -> None:
        slow = Calls(_door(), lambda: asyncio.sleep(1.0))
        assert await slow.make() == 200
        slow.work = lambda: asyncio.sleep(0.6)
        # Two at once: the last of six wait for 1.2 s.
        assert await _all([slow.make() for _ in range(6)]) == [200] * 6

    asyncio.run(run())


def test_the_loop_looks_after_others_between_calls_that_take_it_for_themselves() -> None:
    async def run() -> list[float]:
        turns = Turns()
        over = False
        longest: list[float] = []

        async def look_after() -> None:
            while not over:
                before = time.perf_counter()
                await asyncio.sleep(0)
                longest.append(time.perf_counter() - before)

        async def call() -> None:
            await turns.mine()
            time.sleep(TURN_SECONDS / 4)

        looking = asyncio.ensure_future(look_after())
        await _all([call() for _ in range(40)])
        over = True
        await looking
        return longest

    # 40 calls of 5 ms: were they all to begin in one turn of the loop, it would take ten times its share.
    found = asyncio.run(run())
    assert len(found) > 6
    assert sum(1 for took in found if took > 3 * TURN_SECONDS) < 3


def test_turns_pass_over_who_was_given_up() -> None:
    async def run() -> None:
        turns = Turns()
        made = [asyncio.ensure_future(_take(turns)) for _ in range(20)]
        await asyncio.sleep(0)
        for one in made[5:15]:
            one.cancel()
        found = await asyncio.gather(*made, return_exceptions=True)
        assert sum(one is None for one in found) == 10
        await asyncio.wait_for(turns.mine(), 1)

    asyncio.run(run())


async def _take(turns: Turns) -> None:
    await turns.mine()
    time.sleep(TURN_SECONDS / 2)
