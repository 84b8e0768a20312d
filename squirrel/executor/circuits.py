"""The breakers of an executor at work: attempts put off, trouble remembered over restarts, hosts given up and taken back.

What must outlive a process (since when a host fails, that it is disabled) stands on the definitions topic, which every executor
follows; a breaker that opens for minutes does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from squirrel.executor.breaker import Breaker, Breakers
from squirrel.executor.partition import Call
from squirrel.model.clock import Clock
from squirrel.wire.attempt import Outcome
from squirrel.wire.breaker_link import (
    BreakerState,
    BreakerStates,
    CloseBreaker,
    Closed,
    GetBreakers,
    decode_asks,
    encode_answers,
)
from squirrel.wire.outages import Outage, OutageBook, breaker_name, outage_key, outage_value
from squirrel.wire.route_book import DEFINITIONS_PARTITION, Definitions

REMEMBERED_AFTER_MS: Final = 600_000  # an outage that lasted so long is written down
OUTAGES_MAX: Final = 1000  # written down, over all namespaces
Write = Callable[[str, bytes | None], Awaitable[None]]
Notify = Callable[[str, str, str], Awaitable[None]]  # namespace, title, text


class Circuits:
    """`disable_after_ms` 0: never. `write(key, value)` puts a record on the definitions topic."""

    def __init__(
        self, clock: Clock, definitions: Definitions, write: Write, notify: Notify, disable_after_ms: int
    ) -> None:
        self.breakers = Breakers()
        self._clock = clock
        self._book = OutageBook(definitions)
        self._write = write
        self._notify = notify
        self._disable_after_ms = disable_after_ms
        self._tasks: set[asyncio.Task[None]] = set()
        self._written: dict[tuple[str, str], Outage] = {}
        self._followed = -1
        self._definitions = definitions

    def refusal(self, call: Call) -> Outcome | None:
        """The outcome of an attempt that is not made: put off, or given up. None: call."""
        if self._followed != self._definitions.next_offset:
            self._follow()
        if not self.breakers or call.host == "kafka:":
            return None
        execution = call.execution
        now_ms = self._clock.now_ms()
        refused = self.breakers.refusal(
            (execution.namespace, call.host), call, execution.run, (self._clock.monotonic(), now_ms)
        )
        if refused is None:
            return None
        name = breaker_name(call.host)
        if refused.retry_after_ms is None:
            detail = f"the host is disabled after days of failure; POST /api/v1/breakers/{name}:close to call it again"
            return Outcome("failed", now_ms, now_ms, error_type="disabled", error_detail=detail)
        detail = f"not called: the host has failed again and again; see GET /api/v1/breakers, {name}"
        state: Any = "deferred" if execution.track else "failed"
        return Outcome(
            state, now_ms, now_ms, error_type="circuit_open", error_detail=detail,
            retry_after_ms=refused.retry_after_ms, retryable=True,
        )  # fmt: skip

    def took(self, call: Call, outcome: Outcome) -> None:
        """Learn from an attempt that was made."""
        if not self.breakers and outcome.state in ("succeeded", "promised"):
            return
        if call.host == "kafka:":
            return
        place = (call.execution.namespace, call.host)
        failing = self.breakers.took(place, call, outcome, self._clock.monotonic())
        if failing is not None:
            self._failed(place, failing, outcome.finished_ms)
        elif place in self._written and outcome.status is not None:
            del self._written[place]
            self._spawn(self._write(outage_key(*place), None))

    def _failed(self, place: tuple[str, str], breaker: Breaker, now_ms: int) -> None:
        written = self._written.get(place)
        if written is not None:
            breaker.since_ms = min(breaker.since_ms, written.since_ms)
        lasted_ms = now_ms - breaker.since_ms
        if self._disable_after_ms and lasted_ms >= self._disable_after_ms and not breaker.disabled:
            breaker.disabled = True
            self._spawn(self._disable(place, breaker.since_ms, now_ms))
        elif written is None and lasted_ms >= REMEMBERED_AFTER_MS and len(self._written) < OUTAGES_MAX:
            outage = self._written[place] = Outage(place[1], breaker.since_ms)
            self._spawn(self._write(outage_key(*place), outage_value(outage)))

    async def _disable(self, place: tuple[str, str], since_ms: int, now_ms: int) -> None:
        outage = self._written[place] = Outage(place[1], since_ms, now_ms)
        await self._write(outage_key(*place), outage_value(outage))
        days = (now_ms - since_ms) / 86_400_000
        name = breaker_name(place[1])
        await self._notify(
            place[0],
            f"Squirrel has disabled {place[1]}",
            f"Every call to {place[1]} (namespace {place[0]}) failed for {days:.1f} days. Its runs now fail without a call and "
            f"stand in the dead letters. When it works again: POST /api/v1/breakers/{name}:close, then replay them.",
        )

    def _follow(self) -> None:
        """What other executors, or people, wrote: disabled hosts are disabled here, and taken back."""
        self._followed = self._definitions.next_offset
        found = self._book.all()
        for place, outage in found.items():
            if outage.disabled_ms is not None:
                self.breakers.disable(place, outage.since_ms)
        for place, outage in self._written.items():
            if place not in found and outage.disabled_ms is not None:
                self.breakers.close(place)
        self._written = {**{p: o for p, o in self._written.items() if o.disabled_ms is None}, **found}

    def _spawn(self, work: Awaitable[None]) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Ends what is being written. Safe twice."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def answer(self, body: bytes) -> bytes:
        """A gateway's asks over the internal door. Raises ValueError for what is none."""
        now_s = self._clock.monotonic()
        answers: list[BreakerStates | Closed] = []
        for ask in decode_asks(body):
            if isinstance(ask, GetBreakers):
                states = [self._state(host, each, now_s) for host, each in self.breakers.of(ask.namespace)]
                answers.append(BreakerStates(states))
            else:
                answers.append(Closed(self._close(ask)))
        return encode_answers(answers)

    def _close(self, ask: CloseBreaker) -> bool:
        hosts = [host for host, _ in self.breakers.of(ask.namespace) if breaker_name(host) == ask.name]
        for host in hosts:
            self._written.pop((ask.namespace, host), None)
            self.breakers.close((ask.namespace, host))
        return bool(hosts)

    def _state(self, host: str, breaker: Breaker, now_s: float) -> BreakerState:
        state = breaker.state(now_s)
        left_s = 0.0
        if state == "open" and breaker.opened_at is not None:
            left_s = breaker.opened_at + breaker.open_seconds - now_s
        return BreakerState(
            breaker_name(host), host, state, breaker.since_ms, breaker.failures, breaker.failures_in_a_row,
            breaker.put_off, left_s, breaker.last_error,
        )  # fmt: skip

    def values(self) -> dict[str, float]:
        """Counters and gauges, named as in `runtime/metrics.py`."""
        return {
            "breakers_open": self.breakers.open_count(self._clock.monotonic()),
            "breakers_opened": self.breakers.opened,
            "calls_put_off": self.breakers.put_off,
        }


async def write_definition(append: Any, topic: str, key: str, value: bytes | None) -> None:
    """One record of the definitions topic."""
    await append(topic, DEFINITIONS_PARTITION, [(key.encode(), value, [])])
