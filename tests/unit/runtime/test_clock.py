"""Wall time never goes back, is not fooled by a step, and believes a resume."""

from __future__ import annotations

import time
import timeit

from hypothesis import given
from hypothesis import strategies as st

from squirrel.runtime.clock import DISTRUST_NS_MAX, NS_PER_MS, Anchor, SystemClock, advance

SECOND_NS = 1_000_000_000
START_NS = 1_800_000_000 * SECOND_NS


class Machine:
    """A machine's two clocks, set by hand."""

    def __init__(self) -> None:
        self.wall_ns = START_NS
        self.boot_ns = 77 * SECOND_NS
        self.asked: list[int] = []
        self.broker_agrees = False
        self.clock = SystemClock(self.confirm, wall_ns=lambda: self.wall_ns, boot_ns=lambda: self.boot_ns)

    def confirm(self, now_ms: int) -> bool:
        self.asked.append(now_ms)
        return self.broker_agrees

    def run_seconds(self, seconds: float) -> None:
        self.wall_ns += round(seconds * SECOND_NS)
        self.boot_ns += round(seconds * SECOND_NS)

    def since_start_ms(self) -> int:
        return self.clock.now_ms() - START_NS // NS_PER_MS


def test_is_the_wall_clock_while_nothing_happens() -> None:
    machine = Machine()
    assert machine.since_start_ms() == 0
    machine.run_seconds(1.2345)
    assert machine.since_start_ms() == 1234
    machine.wall_ns += 300 * NS_PER_MS  # NTP
    assert machine.since_start_ms() == 1534
    assert not machine.asked


def test_small_step_back_stands_still_until_caught_up() -> None:
    machine = Machine()
    machine.run_seconds(10)
    assert machine.since_start_ms() == 10_000
    machine.wall_ns -= 3 * SECOND_NS
    machine.run_seconds(1)
    assert machine.since_start_ms() == 10_000
    assert machine.clock.ahead_ms == 2000
    machine.run_seconds(2.5)
    assert machine.since_start_ms() == 10_500
    assert machine.clock.ahead_ms == 0


def test_forward_step_is_distrusted_for_five_seconds() -> None:
    machine = Machine()
    machine.wall_ns += 3600 * SECOND_NS
    assert machine.since_start_ms() == 0
    assert machine.clock.suspect
    machine.run_seconds(4.9)
    assert machine.since_start_ms() == 4900, "time goes on meanwhile"
    machine.run_seconds(0.1)
    assert machine.since_start_ms() == 3_605_000
    assert not machine.clock.suspect


def test_forward_step_that_the_broker_confirms_is_believed_at_once() -> None:
    machine = Machine()
    machine.broker_agrees = True
    machine.wall_ns += 3600 * SECOND_NS
    assert machine.since_start_ms() == 3_600_000
    assert machine.asked == [(START_NS + 3600 * SECOND_NS) // NS_PER_MS]


def test_broker_is_not_asked_at_every_look() -> None:
    machine = Machine()
    machine.wall_ns += 3600 * SECOND_NS
    for _ in range(100):
        machine.run_seconds(0.01)
        machine.clock.now_ms()
    assert 9 <= len(machine.asked) <= 11


def test_forward_step_that_is_taken_back_leaves_no_doubt_behind() -> None:
    machine = Machine()
    machine.wall_ns += 3600 * SECOND_NS
    assert machine.since_start_ms() == 0
    machine.run_seconds(1)
    machine.wall_ns -= 3600 * SECOND_NS
    assert machine.since_start_ms() == 1000
    assert not machine.clock.suspect
    machine.run_seconds(60)
    machine.wall_ns += 3600 * SECOND_NS
    assert machine.since_start_ms() == 61_000, "a new step is doubted anew"


def test_resume_from_suspend_is_believed_at_once() -> None:
    machine = Machine()
    machine.run_seconds(8 * 3600)  # BOOTTIME counts the suspend
    assert machine.since_start_ms() == 8 * 3_600_000
    assert not machine.asked


def test_process_stopped_between_two_reads_is_no_step() -> None:
    machine = Machine()
    pauses = iter(
        [0, 0, 15, 15]
    )  # construction and a look; then 15 s go by between two reads, and again at the second try

    def paused_wall() -> int:
        machine.run_seconds(next(pauses, 0))
        return machine.wall_ns

    clock = SystemClock(wall_ns=paused_wall, boot_ns=lambda: machine.boot_ns)
    clock.now_ms()
    assert clock.now_ms() - START_NS // NS_PER_MS == 30_000
    assert not clock.suspect


@given(st.lists(st.tuples(st.integers(0, 10 * SECOND_NS), st.integers(-5 * SECOND_NS, 5 * SECOND_NS)), max_size=30))
def test_never_decreases_and_is_at_most_a_bounded_time_away(moves: list[tuple[int, int]]) -> None:
    anchor, wall_ns, boot_ns = Anchor(START_NS, 0), START_NS, 0
    highest_ns = wall_ns
    for elapsed_ns, step_ns in moves:
        boot_ns += elapsed_ns
        wall_ns += elapsed_ns + step_ns
        highest_ns = max(highest_ns, wall_ns)
        after = advance(anchor, wall_ns, boot_ns)
        assert after.wall_ns >= anchor.wall_ns
        assert after.wall_ns <= max(highest_ns, anchor.wall_ns), "never ahead of everything REALTIME ever said"
        anchor = after
    first = advance(anchor, wall_ns, boot_ns)
    settled = advance(first, wall_ns + DISTRUST_NS_MAX, boot_ns + DISTRUST_NS_MAX)
    assert settled.wall_ns == max(first.wall_ns, wall_ns + DISTRUST_NS_MAX), "no doubt lasts longer than 5 s"


def test_on_this_machine_it_is_exact_and_cheap() -> None:
    clock = SystemClock()
    for _ in range(1000):
        before_ms = time.time_ns() // NS_PER_MS
        now_ms = clock.now_ms()
        assert before_ms <= now_ms <= time.time_ns() // NS_PER_MS
    assert min(timeit.repeat(clock.now_ms, number=10_000, repeat=20)) / 10_000 < 5e-6, "microseconds, not system calls"
    assert clock.monotonic() <= time.monotonic()
