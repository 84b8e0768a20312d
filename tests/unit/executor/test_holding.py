"""Holding: never before the clock says so, all of a millisecond together, in order."""

from __future__ import annotations

import asyncio

from squirrel.executor.holding import Holding
from squirrel.runtime.clock import SystemClock
from tests.eventually import eventually
from tests.unit.executor.conftest import SetClock


class Let:
    """What was let go, and when by the clock."""

    def __init__(self, clock: SystemClock | SetClock) -> None:
        self.clock = clock
        self.gone: list[tuple[int, int]] = []  # (due, when)
        self.holding: Holding[int] = Holding(clock, lambda due: self.gone.append((due, clock.now_ms())))

    def hold(self, *dues: int) -> None:
        for due in dues:
            self.holding.hold(due, due, self.clock.now_ms())


async def test_never_early_and_in_order() -> None:
    let = Let(SystemClock())
    now_ms = let.clock.now_ms()
    dues = [now_ms + (7 * number) % 60 for number in range(300)]
    let.hold(*dues)
    held_ms = let.clock.now_ms()  # what was due by then may have gone at once
    await eventually(lambda: len(let.gone) == len(dues))
    assert all(when >= due for due, when in let.gone)
    later = [due for due, _ in let.gone if due > held_ms]
    assert later == sorted(later)
    assert len(let.holding) == 0


async def test_what_is_late_goes_in_the_same_breath(clock: SetClock) -> None:
    let = Let(clock)
    let.hold(clock.wall_ms, clock.wall_ms - 5000)
    assert [due for due, _ in let.gone] == [clock.wall_ms, clock.wall_ms - 5000]
    assert len(let.holding) == 0


async def test_a_timer_that_comes_early_lets_nothing_go(clock: SetClock) -> None:
    let = Let(clock)
    due = clock.wall_ms + 2
    let.hold(due)
    looked = clock.looked
    await eventually(lambda: clock.looked > looked + 1)  # the timer came more than once: the wall clock stands still
    assert let.gone == []
    assert len(let.holding) == 1
    clock.wall_ms = due
    await eventually(lambda: let.gone == [(due, due)])


async def test_a_clock_that_was_set_forward_is_seen(clock: SetClock) -> None:
    let = Let(clock)
    let.hold(clock.wall_ms + 3_600_000)
    clock.wall_ms += 3_600_000
    await eventually(lambda: len(let.gone) == 1, 5)


async def test_an_earlier_one_moves_the_timer_up() -> None:
    let = Let(SystemClock())
    now_ms = let.clock.now_ms()
    let.hold(now_ms + 60_000, now_ms + 20)
    await eventually(lambda: len(let.gone) == 1, 2)
    assert len(let.holding) == 1
    let.holding.close()
    let.holding.close()
    assert len(let.holding) == 0


async def test_letting_go_may_hold_again() -> None:
    clock = SystemClock()
    gone: list[int] = []

    def let_go(number: int) -> None:
        gone.append(number)
        if number < 5:
            holding.hold(clock.now_ms() + 2, number + 1, clock.now_ms())

    holding: Holding[int] = Holding(clock, let_go)
    holding.hold(clock.now_ms() + 2, 0, clock.now_ms())
    await eventually(lambda: gone == [0, 1, 2, 3, 4, 5])
    await asyncio.get_running_loop().run_in_executor(None, lambda: None)
    assert len(holding) == 0
