"""Repeats and stale epochs: dropped within bounds, and never for good."""

from __future__ import annotations

from squirrel.executor.repeats import ERA_MS, Repeats
from squirrel.model.limits import REPEATS_REMEMBERED_MAX


def test_an_attempt_is_new_once() -> None:
    repeats = Repeats()
    assert repeats.judge("run/1", 1, 0) == "new"
    assert repeats.judge("run/1", 1, 5) == "repeat"
    assert repeats.judge("run/1", 2, 9) == "repeat", "a new owner repeats what the old one had emitted"
    assert repeats.judge("run/2", 2, 9) == "new"


def test_an_owner_that_was_replaced_is_not_heard() -> None:
    repeats = Repeats()
    assert repeats.judge("a/1", 7, 1000) == "new"
    assert repeats.judge("b/1", 6, 1001) == "stale"
    assert repeats.judge("b/1", 7, 1002) == "new", "what a stale owner said is not remembered"


def test_a_group_that_began_anew_is_heard() -> None:
    repeats = Repeats()
    assert repeats.judge("a/1", 900, 1000) == "new"
    assert repeats.judge("b/1", 1, 1000 + ERA_MS - 1) == "stale"
    assert repeats.judge("c/1", 1, 1000 + ERA_MS) == "new"
    assert repeats.judge("d/1", 1, 1000 + ERA_MS) == "new"


def test_memory_is_bounded_and_keeps_the_newest_half() -> None:
    repeats = Repeats()
    for number in range(3 * REPEATS_REMEMBERED_MAX):
        repeats.remember(f"{number}/1")
    assert len(repeats._younger) + len(repeats._older) <= REPEATS_REMEMBERED_MAX
    newest = 3 * REPEATS_REMEMBERED_MAX
    assert repeats.judge(f"{newest - REPEATS_REMEMBERED_MAX // 2}/1", 1, 0) == "repeat"
    assert repeats.judge("0/1", 1, 0) == "new"
