"""Recurring schedules: every slot once, the missed and overlap policies, calendars, revisions."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from squirrel.model.schedule import State
from squirrel.model.when import Every, When
from squirrel.recurrence import Calendar
from tests.unit.engine.world import T0, World, spec

MINUTE = 60_000


def every_minute(**changes: object) -> When:
    return When(every=Every("minute", 1, T0), **changes)  # type: ignore[arg-type]


def answer_all(world: World) -> None:
    for execution in list(world.executions):
        world.answer(execution)


def test_every_slot_is_a_run_of_its_own() -> None:
    world = World()
    world.create("a", when=every_minute())
    for minute in range(5):
        world.run_until(T0 + minute * MINUTE)
        world.answer(world.executions[-1])
    assert [execution.due_ms for execution in world.executions] == [T0 + minute * MINUTE for minute in range(5)]
    assert len({execution.run for execution in world.executions}) == 5
    assert world.state("a") is State.ACTIVE


def test_max_runs_ends_it() -> None:
    world = World()
    world.create("a", when=every_minute(max_runs=2))
    for minute in range(4):
        world.run_until(T0 + minute * MINUTE)
        answer_all(world)
    assert len(world.executions) == 2
    assert world.state("a") is State.FINISHED


@pytest.mark.parametrize(
    ("policy", "ran", "skipped"), [("run_all", 6, 0), ("run_last", 2, 4), ("skip", 1, 5), (None, 2, 4)]
)
def test_missed_slots_follow_one_policy(policy: str | None, ran: int, skipped: int) -> None:
    world = World()
    world.create("a", when=every_minute(), missed=policy)
    world.run_until(T0)
    world.answer(world.executions[0])
    world.now_ms = T0 + 5 * MINUTE + 30_000  # nobody ran for slots 1 to 5
    for _ in range(10):
        world.run_until(world.now_ms)
        answer_all(world)
    assert len(world.executions) == ran
    assert world.completed("a").count("skipped") == skipped
    slots = [execution.slot_ms for execution in world.executions]
    assert slots == sorted(slots)


def test_resume_after_a_pause_is_the_same_policy() -> None:
    world = World()
    world.create("a", when=every_minute(), missed="run_all")
    world.tell("pause", "a")
    world.run_until(T0 + 3 * MINUTE + 1000)
    assert world.executions == []
    world.tell("resume", "a")
    for _ in range(6):
        world.run_until(T0 + 3 * MINUTE + 2000)
        answer_all(world)
    assert [execution.slot_ms for execution in world.executions] == [T0 + minute * MINUTE for minute in range(4)]


@pytest.mark.parametrize(("overlap", "called_meanwhile", "said"), [("skip", 1, 2), ("queue", 1, 0), ("allow", 3, 0)])
def test_a_slot_that_meets_an_open_run(overlap: str, called_meanwhile: int, said: int) -> None:
    world = World()
    world.create("a", when=every_minute(), overlap=overlap)
    world.run_until(T0 + 2 * MINUTE)
    assert len(world.executions) == called_meanwhile
    assert world.completed("a").count("skipped") == said
    for _ in range(3):
        answer_all(world)
    assert len(world.executions) == (1 if overlap == "skip" else 3)


def test_an_excluded_day_is_left_out_also_when_the_calendar_changes_later() -> None:
    world = World()
    daily = When(every=Every("day", 1, T0), exclude=("holidays",))
    world.calendars["holidays"] = Calendar()
    world.create("a", when=daily)
    world.run_until(T0)
    answer_all(world)
    tomorrow = datetime.fromtimestamp((T0 + 86_400_000) / 1000, UTC).date()
    world.calendars["holidays"] = Calendar(frozenset({date(tomorrow.year, tomorrow.month, tomorrow.day)}))
    world.run_until(T0 + 2 * 86_400_000)
    assert [execution.slot_ms for execution in world.executions] == [T0, T0 + 2 * 86_400_000]
    world.tell("replan", "a", reply=False)
    assert world.state("a") is State.ACTIVE


def test_a_rule_that_cannot_be_evaluated_parks_its_schedule_alone() -> None:
    world = World()
    world.create("bad", when=When(every=Every("day", 1, T0), exclude=("nowhere",)))
    world.create("good")
    world.run_until(T0 + 2000)
    assert world.state("bad") is State.FAILED
    row = world.row("bad")
    assert row is not None
    assert "nowhere" in row.reason
    assert [execution.schedule for execution in world.executions] == ["good"]


def test_former_revisions_are_kept_and_come_back() -> None:
    world = World()
    world.create("a", name="one")
    world.tell("update", "a", spec=spec(name="two"))
    world.tell("update", "a", spec=spec(name="three"))
    row = world.row("a")
    assert row is not None
    assert [(each.revision, each.spec.name) for each in row.revisions] == [(1, "one"), (2, "two")]
    assert world.tell("rollback", "a", revision=1).code == "changed"
    row = world.row("a")
    assert row is not None
    assert (row.revision, row.spec.name) == (4, "one")
    assert world.tell("rollback", "a", revision=77).code == "refused"
