"""Breakers at work in an executor: put off without a place in the window, remembered, given up after days, and taken back."""

from __future__ import annotations

from typing import Any

from squirrel.executor.breaker import FAILURES_IN_A_ROW, OPEN_SECONDS_FIRST
from squirrel.executor.circuits import REMEMBERED_AFTER_MS, Circuits
from squirrel.executor.partition import Call
from squirrel.model.target import HttpTarget
from squirrel.wire.attempt import Outcome
from squirrel.wire.breaker_link import CloseBreaker, GetBreakers, decode_answers, encode_asks
from squirrel.wire.outages import Outage, outage_key, outage_value
from squirrel.wire.records import Execution
from tests.eventually import eventually
from tests.unit.executor.conftest import SetClock
from tests.unit.executor.plugins import Book

HOST = "https://dead.example"
DAY_MS = 86_400_000


class Desk:
    """Circuits over a definitions topic that is a dict."""

    def __init__(self, book: Book | None = None, disable_after_ms: int = 5 * DAY_MS) -> None:
        self.clock = SetClock()
        self.book = book or Book()
        self.notices: list[tuple[str, str, str]] = []
        self.circuits = Circuits(self.clock, self.book, self.write, self.notify, disable_after_ms)

    async def write(self, key: str, value: bytes | None) -> None:
        if value is None:
            self.book.values.pop(key.encode(), None)
        else:
            self.book.values[key.encode()] = value
        self.book.next_offset += 1

    async def notify(self, namespace: str, title: str, text: str) -> None:
        self.notices.append((namespace, title, text))

    def call(self, track: bool = True) -> Call:
        execution = Execution("run_1", 1, "default", "s", "e", 0, 0, 0, 1, HttpTarget(HOST + "/x"), b"{}", track)
        return Call(None, 0, execution, HOST, {}, 0, 0)  # type: ignore[arg-type]

    def fail(self, times: int = 1, call: Call | None = None) -> None:
        for _ in range(times):
            now_ms = self.clock.wall_ms
            self.circuits.took(
                call or self.call(), Outcome("failed", now_ms, now_ms, error_type="connect", retryable=True)
            )

    def succeed(self, call: Call) -> None:
        now_ms = self.clock.wall_ms
        self.circuits.took(call, Outcome("succeeded", now_ms, now_ms, 200))

    def passes(self, milliseconds: int) -> None:
        self.clock.wall_ms += milliseconds
        self.clock.seconds += milliseconds / 1000

    async def ask(self, *asks: Any) -> list[Any]:
        return decode_answers(await self.circuits.answer(encode_asks(list(asks))))


async def test_an_open_circuit_puts_off_what_is_tracked_and_drops_what_nobody_waits_for() -> None:
    desk = Desk()
    assert desk.circuits.refusal(desk.call()) is None
    desk.fail(FAILURES_IN_A_ROW)
    outcome = desk.circuits.refusal(desk.call())
    assert outcome is not None
    assert (outcome.state, outcome.error_type, outcome.retryable) == ("deferred", "circuit_open", True)
    assert outcome.retry_after_ms is not None
    assert outcome.retry_after_ms > OPEN_SECONDS_FIRST * 1000
    dropped = desk.circuits.refusal(desk.call(track=False))
    assert dropped is not None
    assert dropped.state == "failed"
    assert desk.circuits.values() == {"breakers_open": 1, "breakers_opened": 1, "calls_put_off": 2}
    (states,) = await desk.ask(GetBreakers("default"))
    (state,) = states.breakers
    assert (state.name, state.state, state.failures, state.put_off) == (
        "https:dead.example",
        "open",
        FAILURES_IN_A_ROW,
        2,
    )
    assert (await desk.ask(GetBreakers("acme")))[0].breakers == []


async def test_a_long_outage_is_written_down_and_a_success_takes_it_off() -> None:
    desk = Desk()
    desk.fail(FAILURES_IN_A_ROW)
    assert desk.book.values == {}
    desk.passes(REMEMBERED_AFTER_MS)
    probe = desk.call()
    assert desk.circuits.refusal(probe) is None
    desk.fail(1, probe)
    await eventually(lambda: outage_key("default", HOST).encode() in desk.book.values)
    desk.passes(600_000)
    probe = desk.call()
    assert desk.circuits.refusal(probe) is None
    desk.succeed(probe)
    await eventually(lambda: not desk.book.values)
    assert desk.circuits.refusal(desk.call()) is None


async def test_after_days_of_failure_it_is_given_up_even_by_a_process_that_began_today() -> None:
    before = Desk()
    since_ms = before.clock.wall_ms - 5 * DAY_MS - 1
    before.book.values[outage_key("default", HOST).encode()] = outage_value(Outage(HOST, since_ms))
    before.book.next_offset = 1
    assert before.circuits.refusal(before.call()) is None, "it is only remembered since when it fails"
    before.fail()
    await eventually(lambda: bool(before.notices))
    ((namespace, title, text),) = before.notices
    assert (namespace, HOST in title) == ("default", True)
    assert "POST /api/v1/breakers/https:dead.example:close" in text
    outcome = before.circuits.refusal(before.call())
    assert outcome is not None
    assert (outcome.state, outcome.error_type, outcome.retryable) == ("failed", "disabled", False)
    other = Desk(before.book)
    refused = other.circuits.refusal(other.call())
    assert refused is not None, "every executor follows the topic"
    assert refused.error_type == "disabled"
    await other.write(outage_key("default", HOST), None)
    assert other.circuits.refusal(other.call()) is None, "and the way back is taken by all of them"
    assert before.circuits.refusal(before.call()) is None


async def test_closing_by_hand_calls_again_at_once() -> None:
    desk = Desk()
    desk.fail(FAILURES_IN_A_ROW)
    assert desk.circuits.refusal(desk.call()) is not None
    (answer,) = await desk.ask(CloseBreaker("default", "https:dead.example"))
    assert answer.was_open
    assert desk.circuits.refusal(desk.call()) is None
    (answer,) = await desk.ask(CloseBreaker("default", "https:dead.example"))
    assert not answer.was_open


async def test_never_disabled_when_the_setting_says_so() -> None:
    desk = Desk(disable_after_ms=0)
    desk.fail(FAILURES_IN_A_ROW)
    desk.passes(400 * DAY_MS)
    probe = desk.call()
    assert desk.circuits.refusal(probe) is None
    desk.fail(1, probe)
    assert desk.notices == []
