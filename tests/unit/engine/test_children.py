"""Schedules that wait for others: released once, by the right outcome, after the last attempt's end."""

from __future__ import annotations

from squirrel.model.retry import NEVER
from squirrel.model.schedule import State
from squirrel.model.when import Parent, When
from tests.unit.engine.world import T0, World


def after(*parents: str, on: str = "success", join: str = "all", delay: float = 2) -> When:
    return When(after=tuple(Parent(parent, on) for parent in parents), join=join, delay_seconds=delay)


def test_a_child_fires_its_delay_after_the_parents_end() -> None:
    world = World()
    world.create("parent")
    world.create("child", when=after("parent"))
    assert world.state("child") is State.WAITING
    world.run_until(T0 + 1000)
    world.now_ms = T0 + 1300
    world.answer(world.executions[0])
    world.run_until(T0 + 3299)
    assert len(world.executions) == 1
    world.run_until(T0 + 3300)
    assert world.executions[1].schedule == "child"
    assert world.executions[1].due_ms == T0 + 3300
    assert world.waiters == {}


def test_a_late_subscriber_is_released_at_once() -> None:
    world = World()
    world.create("parent")
    world.run_until(T0 + 1000)
    world.answer(world.executions[0])
    world.now_ms = T0 + 50_000
    world.create("child", when=after("parent"))
    world.run_until(T0 + 50_000)
    assert world.executions[1].schedule == "child"


def test_the_wrong_outcome_skips_the_child_with_the_reason() -> None:
    world = World()
    world.create("parent", retry=NEVER)
    world.create("child", when=after("parent"))
    world.create("grandchild", when=after("child", on="completion"))
    world.run_until(T0 + 1000)
    world.answer(world.executions[0], 500)
    assert world.completed("child") == ["skipped"]
    world.run_until(T0 + 100_000)
    assert [execution.schedule for execution in world.executions] == ["parent", "grandchild"]


def test_failure_and_cancel_reach_those_who_wait_for_them() -> None:
    world = World()
    world.create("parent")
    world.create("on-success", when=after("parent"))
    world.create("on-completion", when=after("parent", on="completion"))
    world.tell("cancel", "parent")
    world.run_until(T0 + 10_000)
    assert [execution.schedule for execution in world.executions] == ["on-completion"]
    assert world.completed("on-success") == ["skipped"]


def test_join_all_goes_after_the_last_and_any_after_the_first() -> None:
    world = World()
    for name, at in (("p1", 1000), ("p2", 5000)):
        world.create(name, when=When(at_ms=T0 + at))
    world.create("all", when=after("p1", "p2"))
    world.create("any", when=after("p1", "p2", join="any"))
    world.run_until(T0 + 1000)
    world.answer(world.executions[0])
    world.run_until(T0 + 5000)
    world.answer(next(execution for execution in world.executions if execution.schedule == "p2"))
    world.run_until(T0 + 20_000)
    due = {execution.schedule: execution.due_ms for execution in world.executions}
    assert due["any"] == T0 + 3000
    assert due["all"] == T0 + 7000
    assert len(world.executions) == 4


def test_a_parent_that_never_comes_fails_the_child_after_the_waiting_time() -> None:
    world = World()
    world.create("child", when=after("nobody"))
    world.run_until(T0 + 59_000)
    assert world.state("child") is State.WAITING
    world.run_until(T0 + 60_000)
    assert world.state("child") is State.FAILED
    assert world.completed("child") == ["failed"]


def test_a_child_may_come_before_its_parent() -> None:
    world = World()
    world.create("child", when=after("parent", delay=0))
    world.now_ms += 500
    world.create("parent")
    world.run_until(T0 + 1000)
    world.answer(world.executions[0])
    world.run_until(T0 + 2000)
    assert [execution.schedule for execution in world.executions] == ["parent", "child"]


def test_more_children_than_one_step_tells() -> None:
    world = World()
    world.create("parent")
    for number in range(2500):
        world.create(f"child-{number}", when=after("parent", delay=0))
    world.run_until(T0 + 1000)
    world.answer(world.executions[0])
    world.run_until(T0 + 2000)
    called = [execution.schedule for execution in world.executions if execution.schedule != "parent"]
    assert len(called) == len(set(called)) == 2500
    assert world.waiters == {}
