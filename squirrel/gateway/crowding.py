"""A warning when a new run joins a crowd: how many come due in its minute, and the spread that would thin them out.

Advice, so it may never cost much: a minute is counted once and remembered for seconds, further creates are added to what is
remembered, a few minutes a second are asked about at most, and an owner that does not answer at once is not waited for.
"""

from __future__ import annotations

import asyncio
from typing import Final

from squirrel.gateway.owner_link import OwnerLink
from squirrel.model.clock import Clock
from squirrel.model.errors import Unavailable
from squirrel.model.instants import format_instant
from squirrel.model.limits import CROWD_COUNTED_MAX
from squirrel.model.schedule import decode_row
from squirrel.wire.documents import next_run_ms
from squirrel.wire.owner_link import CHANGED, CREATED, Buckets, Crowd, Decided

MINUTE_MS: Final = 60_000
KEPT_SECONDS: Final = 10.0
KEPT_MINUTES_MAX: Final = 2_000
ASKED_PER_SECOND_MAX: Final = 5.0
WAIT_SECONDS_MAX: Final = 0.25
SPREADS: Final = (120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400)


class _Minute:
    """What is known of one minute: runs, and when they were counted."""

    __slots__ = ("counted_at", "runs")

    def __init__(self, counted_at: float) -> None:
        self.counted_at = counted_at
        self.runs = 0


class Crowding:
    """One for the gateway. `runs_max` is how many runs one minute may hold without a word; 0 turns it off."""

    def __init__(self, clock: Clock, link: OwnerLink, runs_max: int) -> None:
        self._clock = clock
        self._link = link
        self._runs_max = runs_max
        self._minutes: dict[tuple[str, int], _Minute] = {}
        self._allowance = ASKED_PER_SECOND_MAX
        self._allowed_at = 0.0

    async def warnings(self, namespace: str, decided: Decided | None) -> list[str]:
        """For a schedule that was just made or changed; empty when its minute is not crowded, or not known in time."""
        if not self._runs_max or decided is None or decided.code not in (CREATED, CHANGED) or decided.row is None:
            return []
        row = decode_row(decided.row)
        due_ms = next_run_ms(row)
        return [] if due_ms is None else await self.warnings_at(namespace, due_ms, row.spec.when.spread_seconds)

    def due_ms(self, decided: Decided) -> int | None:
        """When the schedule of an outcome runs next; None where nobody wants to know."""
        return next_run_ms(decode_row(decided.row)) if self._runs_max and decided.row is not None else None

    async def warnings_at(self, namespace: str, due_ms: int, spread_seconds: int = 0, runs: int = 1) -> list[str]:
        """The same for runs of which only the instant is known; they have been added to the timeline already."""
        if not self._runs_max:
            return []
        minute = due_ms // MINUTE_MS
        known = self._minutes.get((namespace, minute))
        now = self._clock.monotonic()
        if known is not None and now - known.counted_at < KEPT_SECONDS:
            known.runs += runs
        elif self._may_ask(now):
            known = await self._counted(namespace, minute, now)
        else:
            return []
        if known.runs <= self._runs_max:
            return []
        return [sentence(minute * MINUTE_MS, known.runs, self._runs_max, spread_seconds)]

    def _may_ask(self, now: float) -> bool:
        earned = (now - self._allowed_at) * ASKED_PER_SECOND_MAX
        self._allowance = min(self._allowance + earned, ASKED_PER_SECOND_MAX)
        self._allowed_at = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

    async def _counted(self, namespace: str, minute: int, now: float) -> _Minute:
        if len(self._minutes) >= KEPT_MINUTES_MAX:
            self._minutes.clear()
        # In its place at once, so that creates that come while it is counted only add themselves.
        known = self._minutes[namespace, minute] = _Minute(now)
        ask = Crowd(namespace, minute * MINUTE_MS, (minute + 1) * MINUTE_MS, CROWD_COUNTED_MAX)
        try:
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                answers = await self._link.ask_all(ask)
        except (Unavailable, TimeoutError):
            return known
        known.runs += sum(each.schedules for each in answers if isinstance(each, Buckets))
        return known


def sentence(minute_ms: int, runs: int, runs_max: int, spread_seconds: int) -> str:
    """What a person should know, and do."""
    more = "or more " if runs >= CROWD_COUNTED_MAX else ""
    wider = spread_for(runs, runs_max, spread_seconds)
    said = f"{runs} {more}runs are due in the minute from {format_instant(minute_ms)}, where {runs_max} are ordinary"
    return f"{said}; spread_seconds: {wider} on each of them would bring them under it"


def spread_for(runs: int, runs_max: int, spread_seconds: int = 0) -> int:
    """The shortest usual spread, wider than the one there is, over which no minute holds more than `runs_max`."""
    needed = max(-(-runs * 60 // runs_max), spread_seconds + 1)
    return next((each for each in SPREADS if each >= needed), SPREADS[-1])
