"""The watchdog: ends a process that stands still, because a supervisor's restart loses nothing and standing still fires nothing.

A thread of its own, so that it also sees an event loop that never comes back. After a loop stalled longer than half the session
timeout another member may own our partitions already; the epoch fences what we wrote, and we must not go on (design.md).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from squirrel.model.clock import Clock
from squirrel.model.errors import Fatal

CHECK_SECONDS: Final = 0.5
BEAT_SECONDS: Final = 0.1
REBALANCE_SECONDS_MAX: Final = 60.0
LANE_SECONDS_MAX: Final = 120.0  # one batch of one lane; delivery to Kafka gives up after 30 s

STARVED_SECONDS_MAX: Final = 30.0  # records stand in the log and none is handed over
STARVED_LOOK_SECONDS: Final = 10.0

Check = Callable[[float], str | None]


class Watched(Protocol):
    """What the watchdog looks at: a LaneApp is one."""

    failure: BaseException | None
    rebalancing_since: float | None

    @property
    def crashed(self) -> bool: ...

    def busy(self) -> list[tuple[str, int, float]]: ...

    def heartbeat_at(self) -> float | None: ...


class Starvation:
    """Finds a partition whose records stand in the log while its fetcher brings none (aiokafka #1154, #847, #625).

    It is not asked of the fetcher, whose own figures stand still with it, but of the log's end.
    """

    def __init__(self, seconds_max: float = STARVED_SECONDS_MAX) -> None:
        self._seconds_max = seconds_max
        self._standing: dict[Any, tuple[int | None, float]] = {}  # partition -> (position, since when)

    def look(self, now: float, places: Mapping[Any, tuple[int | None, int]]) -> str | None:
        """`places`: (position, end of the log) of what is to flow. Why the process must end, or None."""
        former, self._standing = self._standing, {}
        for place, (position, end) in places.items():
            if position is not None and position >= end:
                continue
            stood_at, since = former.get(place, (None, now))
            if stood_at != position or place not in former:
                since = now
            self._standing[place] = (position, since)
            if now - since > self._seconds_max:
                topic, partition = place
                return (
                    f"{topic}/{partition} has been read no further than offset {position} of {end} for {now - since:.0f} s, "
                    "although nothing keeps it from being read"
                )
        return None

    def forget(self) -> None:
        """The log cannot be asked, or the group moves: time begins anew."""
        self._standing = {}


class Watchdog:
    """Calls `end(reason)` once, from its thread, when a check fails; `end` must end the process without the loop's help."""

    def __init__(self, clock: Clock, end: Callable[[BaseException], None], *, stall_seconds: float) -> None:
        """`stall_seconds`: how long the loop may stand still; half the session timeout for an owner."""
        self._clock = clock
        self._end = end
        self._stall_seconds = stall_seconds
        self._checks: list[Check] = []
        self._beat_at = clock.monotonic()
        self._beating: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def watch(self, check: Check) -> None:
        """`check(now)` answers why the process must end, or None. Called in the watchdog's thread: reads only."""
        self._checks.append(check)

    def watch_app(
        self,
        app: Watched,
        *,
        rebalance_seconds: float = REBALANCE_SECONDS_MAX,
        lane_seconds: float = LANE_SECONDS_MAX,
        silent_seconds: float | None = None,
    ) -> None:
        """A rebalance that does not end, a crash nobody acted on, a lane that holds its batch and does nothing.

        `silent_seconds`, for an owner whose writes must not meet another owner's: end when Kafka took no heartbeat for that
        long, because it gives the partitions away after the session timeout whether we know it or not.
        """

        def check(now: float) -> str | None:
            if app.crashed and app.failure is None:
                return "the Faust app crashed"
            since = app.rebalancing_since
            if since is not None and now - since > rebalance_seconds:
                return f"the group has been rebalancing for {now - since:.0f} s"
            heartbeat_at = app.heartbeat_at()
            if silent_seconds is not None and heartbeat_at is not None and now - heartbeat_at > silent_seconds:
                return f"Kafka has taken no heartbeat for {now - heartbeat_at:.1f} s"
            for topic, partition, busy_since in app.busy():
                if now - busy_since > lane_seconds:
                    return f"the lane of {topic}/{partition} has held one batch for {now - busy_since:.0f} s"
            return None

        self.watch(check)

    def start(self) -> None:
        """On the loop that is to be watched."""
        self._stopped.clear()
        self._beat_at = self._clock.monotonic()
        self._beating = asyncio.get_running_loop().create_task(self._beat(), name="watchdog-beat")
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Harmless when it was never started, and twice."""
        self._stopped.set()
        beating, self._beating = self._beating, None
        if beating is not None:
            beating.cancel()
            await asyncio.wait({beating})
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.join)

    async def _beat(self) -> None:
        while True:
            self._beat_at = self._clock.monotonic()
            await asyncio.sleep(BEAT_SECONDS)

    def _run(self) -> None:
        while not self._stopped.wait(CHECK_SECONDS):
            reason = self._reason(self._clock.monotonic())
            if reason is not None:
                self._end(Fatal(f"{reason}; ending the process so that its supervisor starts it again"))
                return

    def _reason(self, now: float) -> str | None:
        stalled = now - self._beat_at
        if stalled > self._stall_seconds:
            return f"the event loop stood still for {stalled:.1f} s"
        for check in self._checks:
            reason = check(now)
            if reason is not None:
                return reason
        return None
