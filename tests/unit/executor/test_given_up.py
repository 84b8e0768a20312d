"""A host that is dead for days: given up, its people told through a real webhook, and taken back. Days pass by its clock."""

from __future__ import annotations

from typing import Any

import orjson
import structlog

from squirrel.executor.breaker import FAILURES_IN_A_ROW
from squirrel.executor.callers import Callers
from squirrel.executor.circuits import Circuits
from squirrel.executor.notices import Notices
from squirrel.executor.partition import Call
from squirrel.model.target import HttpTarget
from squirrel.testing import Target, answer
from squirrel.wire.attempt import Outcome
from squirrel.wire.breaker_link import CloseBreaker, encode_asks
from squirrel.wire.outages import outage_key
from squirrel.wire.records import Execution
from tests.eventually import eventually
from tests.unit.executor.conftest import attempt_at
from tests.unit.executor.plugins import Kit, kit

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


class Executor:
    """An executor's circuits before its real callers."""

    def __init__(self, parts: Kit, notify: str) -> None:
        self.parts = parts
        self.callers = Callers(parts.plain, parts.secured, parts.plain, parts.plugins)
        notices = Notices(self.callers, [HttpTarget(notify, timeout_ms=5_000)], parts.clock, structlog.get_logger())
        self.circuits = Circuits(parts.clock, parts.book, self.write, notices.tell, 5 * DAY_MS)

    async def write(self, key: str, value: bytes | None) -> None:
        if value is None:
            self.parts.book.values.pop(key.encode(), None)
        else:
            self.parts.book.values[key.encode()] = value
        self.parts.book.next_offset += 1

    async def call(self, url: str) -> Outcome:
        """An attempt as the executor makes it: the circuit is asked, and learns."""
        host = url.removesuffix("/hook")
        execution = Execution("run_1", 1, "default", "s", "e", 0, 0, 0, 1, HttpTarget(url), b"{}", True)
        call: Any = Call(None, 0, execution, host, {}, 0, 0)  # type: ignore[arg-type]
        refused = self.circuits.refusal(call)
        if refused is not None:
            return refused
        outcome = await self.callers.call(attempt_at(url))
        self.circuits.took(call, outcome)
        return outcome


async def test_five_dead_days_end_in_one_notice_and_closing_the_breaker_is_the_way_back() -> None:
    async with kit() as parts, Target(answer(503)) as target, Target(answer()) as people:
        first, second = Executor(parts, people.url), Executor(parts, people.url)
        for _ in range(FAILURES_IN_A_ROW):
            assert (await first.call(target.url)).status == 503
        assert (await first.call(target.url)).state == "deferred"
        hours = 0
        while (outcome := await first.call(target.url)).error_type != "disabled":
            assert hours <= 5 * 24 + 1, "given up after five days"
            assert people.requests == []
            parts.clock.wall_ms += HOUR_MS
            parts.clock.seconds += HOUR_MS / 1000
            hours += 1
        assert hours >= 5 * 24
        assert (outcome.state, outcome.retryable) == ("failed", False)
        await eventually(lambda: bool(people.requests))
        (told,) = people.requests
        notice = orjson.loads(told.body)
        name = target.url.removesuffix("/hook").replace("://", ":")
        assert "disabled" in notice["subject"]
        assert f"POST /api/v1/breakers/{name}:close" in notice["text"]
        calls = len(target.requests)
        assert (await second.call(target.url)).error_type == "disabled", "every executor follows"
        assert (await first.call(target.url)).error_type == "disabled"
        assert len(target.requests) == calls, "a disabled host costs no call"

        target.behaviour = answer()
        host = target.url.removesuffix("/hook")
        await first.write(outage_key("default", host), None)  # what the gateway writes for :close
        for each in (first, second):
            await each.circuits.answer(encode_asks([CloseBreaker("default", name)]))
            assert (await each.call(target.url)).state == "succeeded"
        assert len(people.requests) == 1
        for each in (first, second):
            await each.circuits.close()
