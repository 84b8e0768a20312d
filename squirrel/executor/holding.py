"""Executions wait here for their due millisecond: never let go before the clock says so, and at once when it has.

One timer, for the earliest of the milliseconds that somebody waits for. A timer only says when to look: the clock decides, so a
timer that comes early (uvloop counts whole milliseconds of a cached time) or a wall clock that was set does no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final, Generic, TypeVar

from squirrel.model.clock import Clock

T = TypeVar("T")
# The wall clock may be set forward while we sleep; we look again after this long.
LOOK_AGAIN_MS: Final = 1000


class Holding(Generic[T]):
    """`let_go(call)` is called on the loop, in the order of due instants."""

    def __init__(self, clock: Clock, let_go: Callable[[T], None]) -> None:
        self._clock = clock
        self._let_go = let_go
        self._buckets: dict[int, list[T]] = {}
        self._dues: list[int] = []  # a heap of the buckets' keys
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due_ms = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def hold(self, due_ms: int, call: T, now_ms: int) -> None:
        """Lets `call` go when the clock reaches `due_ms`; one that is due goes in the same breath. `now_ms`: read just now."""
        if due_ms <= now_ms:
            self._let_go(call)
            return
        self._count += 1
        bucket = self._buckets.get(due_ms)
        if bucket is not None:
            bucket.append(call)
            return
        self._buckets[due_ms] = [call]
        heappush(self._dues, due_ms)
        if self._timer is None or due_ms < self._timer_due_ms:
            self._arm(now_ms)

    def close(self) -> None:
        """Forgets what is held and stops the timer. Safe twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._buckets.clear()
        self._dues.clear()
        self._count = 0

    def _arm(self, now_ms: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due_ms = self._dues[0]
        wait_ms = min(self._timer_due_ms - now_ms, LOOK_AGAIN_MS)
        self._timer = asyncio.get_running_loop().call_later(wait_ms / 1000, self._wake)

    def _wake(self) -> None:
        self._timer = None
        now_ms = self._clock.now_ms()
        while self._dues and self._dues[0] <= now_ms:
            bucket = self._buckets.pop(heappop(self._dues))
            self._count -= len(bucket)
            for call in bucket:
                self._let_go(call)
        if self._dues and self._timer is None:
            self._arm(now_ms)
