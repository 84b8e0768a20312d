"""The watchdog ends what stands still, once, and only that."""

from __future__ import annotations

import asyncio
import threading

import pytest

from squirrel.streams.watchdog import LANE_SECONDS_MAX, REBALANCE_SECONDS_MAX, Starvation, Watchdog
from tests.eventually import eventually


class Hand:
    """A clock moved by hand, from any thread."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now_ms(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds


class App:
    """What the watchdog reads of a LaneApp."""

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self.rebalancing_since: float | None = None
        self.crashed = False
        self.lanes: list[tuple[str, int, float]] = []
        self.beat_at: float | None = None

    def busy(self) -> list[tuple[str, int, float]]:
        return self.lanes

    def heartbeat_at(self) -> float | None:
        return self.beat_at


async def ended(app: App, clock: Hand, seconds: float) -> str:
    """Moves the clock in steps small enough for the loop to follow, and gives the reason of the end, if any."""
    reasons: list[str] = []
    watchdog = Watchdog(clock, lambda error: reasons.append(str(error)), stall_seconds=5.0)
    watchdog.watch_app(app, silent_seconds=10.0)
    watchdog.start()
    looked: list[float] = []
    watchdog.watch(looked.append)
    try:
        target = clock.seconds + seconds
        while clock.seconds < target and not reasons:
            clock.seconds = min(clock.seconds + 1.0, target)
            beat = clock.seconds
            await eventually(lambda beat=beat: watchdog._beat_at >= beat, what="a beat")
        await eventually(lambda: reasons or (looked and looked[-1] >= target), what="a look")
    finally:
        await watchdog.stop()
        await watchdog.stop()
    assert len(reasons) <= 1
    return reasons[0] if reasons else ""


async def test_a_process_that_works_is_left_alone() -> None:
    clock = Hand()
    app = App()
    app.lanes = [("commands", 1, clock.seconds)]
    app.rebalancing_since = app.beat_at = clock.seconds
    assert await ended(app, clock, 10) == ""


async def test_a_rebalance_that_does_not_end() -> None:
    clock = Hand()
    app = App()
    app.rebalancing_since = clock.seconds - REBALANCE_SECONDS_MAX
    assert "rebalancing for" in await ended(app, clock, 3)


async def test_a_lane_that_holds_its_batch() -> None:
    clock = Hand()
    app = App()
    app.lanes = [("commands", 1, clock.seconds - LANE_SECONDS_MAX)]
    assert "the lane of commands/1 has held one batch" in await ended(app, clock, 3)


async def test_an_owner_that_kafka_does_not_hear() -> None:
    clock = Hand()
    app = App()
    app.beat_at = clock.seconds - 9
    assert "taken no heartbeat for" in await ended(app, clock, 3)


async def test_a_crash_nobody_acted_on() -> None:
    app = App()
    app.crashed = True
    assert "the Faust app crashed" in await ended(app, Hand(), 1)
    app.failure = ValueError("acted on")
    assert await ended(app, Hand(), 1) == ""


async def test_a_loop_that_stands_still_is_seen_from_outside() -> None:
    clock = Hand()
    seen = threading.Event()
    reasons: list[str] = []

    def end(error: BaseException) -> None:
        reasons.append(str(error))
        seen.set()

    watchdog = Watchdog(clock, end, stall_seconds=5.0)
    watchdog.start()
    await eventually(lambda: watchdog._beating is not None)
    clock.seconds += 5.5
    assert seen.wait(10), "the loop is held here, as a stalled one would be"
    assert reasons == [
        "the event loop stood still for 5.5 s; ending the process so that its supervisor starts it again"
    ]
    await watchdog.stop()


@pytest.mark.parametrize("started", [True, False])
async def test_stop_is_safe(started: bool) -> None:
    watchdog = Watchdog(Hand(), lambda error: None, stall_seconds=5.0)
    if started:
        watchdog.start()
    await watchdog.stop()
    await asyncio.wait_for(watchdog.stop(), 1)


def test_records_that_nobody_brings_are_noticed() -> None:
    starvation = Starvation(30.0)
    place = ("commands", 3)
    assert starvation.look(0.0, {place: (7, 9)}) is None
    assert starvation.look(30.0, {place: (7, 12)}) is None
    reason = starvation.look(30.1, {place: (7, 12)})
    assert reason is not None
    assert reason.startswith("commands/3 has been read no further than offset 7 of 12 for 30 s")


def test_a_position_that_was_never_known_is_noticed_too() -> None:
    starvation = Starvation(30.0)
    assert starvation.look(0.0, {("commands", 0): (None, 5)}) is None
    assert "offset None of 5" in str(starvation.look(31.0, {("commands", 0): (None, 5)}))


@pytest.mark.parametrize(
    "between", [{("t", 0): (8, 9)}, {("t", 0): (9, 9)}, {}], ids=["moved", "reached", "not flowing"]
)
def test_what_moved_reached_its_end_or_was_kept_from_flowing_is_not_starved(
    between: dict[tuple[str, int], tuple[int | None, int]],
) -> None:
    starvation = Starvation(30.0)
    assert starvation.look(0.0, {("t", 0): (7, 9)}) is None
    assert starvation.look(20.0, between) is None
    assert starvation.look(40.0, {("t", 0): (7 if not between else 8, 9)}) is None


def test_an_outage_of_kafka_is_no_starvation() -> None:
    starvation = Starvation(30.0)
    assert starvation.look(0.0, {("t", 0): (7, 9)}) is None
    starvation.forget()
    assert starvation.look(300.0, {("t", 0): (7, 9)}) is None
