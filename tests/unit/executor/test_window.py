"""The window: never above its limits, never idle while somebody could go, and slow hosts leave room."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from squirrel.executor.window import Window

HOSTS = st.sampled_from(["a", "b", "c", "d"])


@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.lists(st.tuples(HOSTS, st.booleans()), max_size=120),
)
def test_limits_hold_and_nobody_is_forgotten(process_max: int, host_max: int, steps: list[tuple[str, bool]]) -> None:
    window: Window[str] = Window(process_max, host_max)
    running: list[str] = []
    entered = started = 0
    for host, arrives in steps:
        if arrives:
            entered += 1
            if window.enter(host, host):
                running.append(host)
                started += 1
        elif running:
            window.leave(running.pop(0))
            while (call := window.next()) is not None:
                running.append(call)
                started += 1
        per_host = Counter(running)
        assert len(running) == window.in_flight <= process_max
        assert all(count <= host_max for count in per_host.values())
        assert window.waiting == entered - started
        assert running or not window.waiting, "somebody waits although nothing is in flight"
    while running:
        window.leave(running.pop())
        while (call := window.next()) is not None:
            running.append(call)
            started += 1
    assert started == entered
    assert window.in_flight == window.waiting == 0


def test_slow_hosts_leave_room_for_a_fast_one() -> None:
    window: Window[str] = Window(1024, 1024)
    for slow in range(50):
        for _ in range(1024):
            window.enter(f"slow{slow}", "call")
    assert window.enter("fast", "call")


def test_one_host_alone_has_its_whole_limit() -> None:
    window: Window[int] = Window(1024, 256)
    assert [window.enter("only", number) for number in range(300)].count(True) == 256


def test_one_slow_host_leaves_a_third_however_much_it_may_have() -> None:
    window: Window[int] = Window(900, 900)
    assert [window.enter("slow", number) for number in range(900)].count(True) == 600


def test_hosts_take_turns() -> None:
    window: Window[str] = Window(2, 2)
    assert window.enter("a", "a0")
    assert window.enter("a", "a1")
    for call in ("a2", "a3", "b0", "b1", "c0"):
        assert not window.enter(call[0], call)
    order = []
    for host in ("a", "a", "a", "b", "c"):
        window.leave(host)
        while (call := window.next()) is not None:
            order.append(call)
    assert set(order[:3]) == {"a2", "b0", "c0"}
    assert set(order) == {"a2", "a3", "b0", "b1", "c0"}


def test_who_waits_is_not_overtaken_by_a_newcomer_to_the_same_host() -> None:
    window: Window[str] = Window(8, 1)
    assert window.enter("a", "first")
    assert not window.enter("a", "second")
    window.leave("a")
    assert not window.enter("a", "third")
    assert window.next() == "second"
