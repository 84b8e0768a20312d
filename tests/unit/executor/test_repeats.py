"""Repeats and stale epochs: dropped within bounds, and never for good."""

from __future__ import annotations

from squirrel.executor.repeats import ERA_MS, Repeats
from squirrel.model.limits import REPEATS_REMEMBERED_MAX


def test_an_attempt_is_new_once() -> None:
    repeats = Repeats()
    assert repeats.judge("run/1", 1, 0, 1) == "new"
    assert repeats.judge("run/1", 1, 5, 2) == "repeat"
    assert repeats.judge("run/1", 2, 9, 3) == "repeat", "a new owner repeats what the old one had emitted"
    assert repeats.judge("run/2", 2, 9, 4) == "new"


def test_an_owner_that_was_replaced_is_not_heard() -> None:
    repeats = Repeats()
    assert repeats.judge("a/1", 7, 1000, 5) == "new"
    assert repeats.judge("b/1", 6, 1001, 6) == "stale"
    assert repeats.judge("b/1", 7, 1002, 7) == "new", "what a stale owner said is not remembered"


def test_an_owner_is_heard_from_its_mark_on() -> None:
    repeats = Repeats()
    assert repeats.judge("a/1", 7, 1000, 5) == "new"
    assert repeats.heard(8, 1001, 6)
    assert repeats.judge("b/1", 7, 1002, 7) == "stale", "on its way when its owner was replaced"
    assert not repeats.heard(7, 1003, 8), "a mark that comes late makes nobody an owner again"
    assert repeats.judge("b/1", 8, 1004, 9) == "new", "its successor had not seen it, and orders it"
    assert [repeats.in_force(base)[0] for base in (6, 7)] == [7, 8], "whoever goes on behind a mark knows it"


def test_what_was_logged_before_it_was_ordered_is_called_whoever_owns_it_now() -> None:
    """At most once: the successor's row says that it is under way, and nobody orders it again."""
    repeats = Repeats()
    assert repeats.heard(8, 1001, 6)
    assert repeats.judge("a/1", 7, 1000, 7, logged=True) == "new"
    assert repeats.judge("a/1", 7, 1000, 8, logged=True) == "repeat"
    assert repeats.judge("b/1", 7, 1000, 9) == "stale", "it puts nobody in force"


def test_a_group_that_began_anew_is_heard() -> None:
    repeats = Repeats()
    assert repeats.judge("a/1", 900, 1000, 8) == "new"
    assert repeats.judge("b/1", 1, 1000 + ERA_MS - 1, 9) == "stale"
    assert repeats.judge("c/1", 1, 1000 + ERA_MS, 10) == "new"
    assert repeats.judge("d/1", 1, 1000 + ERA_MS, 11) == "new"


def test_whoever_goes_on_from_an_offset_hears_what_was_in_force_there() -> None:
    repeats = Repeats()
    for offset, epoch in ((10, 5), (11, 5), (12, 6), (13, 5), (14, 7)):
        repeats.judge(f"{offset}/1", epoch, 1000 + offset, offset)
    assert [repeats.in_force(base)[0] for base in (10, 11, 12, 13, 14, 15)] == [0, 5, 5, 6, 6, 7]


def test_what_a_predecessor_ordered_is_owed_although_its_successor_was_heard() -> None:
    """Found by chaos: the broker stood still, a new owner began, and the executor died with the old owner's last orders."""
    first, second = Repeats(), Repeats()
    for offset, epoch in ((1, 7), (2, 7), (3, 8)):
        first.judge(f"{offset}/1", epoch, 1000 + offset, offset)
    second.go_on_from(*first.in_force(2))  # 1 is finished; 2 and 3 are not
    assert second.judge("2/1", 7, 1002, 2) == "new"
    assert second.judge("3/1", 8, 1003, 3) == "new"
    assert second.judge("4/1", 7, 1004, 4) == "stale"


def test_memory_is_bounded_and_keeps_the_newest_half() -> None:
    repeats = Repeats()
    for number in range(3 * REPEATS_REMEMBERED_MAX):
        repeats.remember(f"{number}/1")
    assert len(repeats._younger) + len(repeats._older) <= REPEATS_REMEMBERED_MAX
    newest = 3 * REPEATS_REMEMBERED_MAX
    assert repeats.judge(f"{newest - REPEATS_REMEMBERED_MAX // 2}/1", 1, 0, 12) == "repeat"
    assert repeats.judge("0/1", 1, 0, 13) == "new"
