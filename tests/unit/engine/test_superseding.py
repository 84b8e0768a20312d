"""Changes while a run is under way: refused, for the next run, or at once; and what becomes of the run."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from squirrel.model.retry import RetryPolicy
from squirrel.model.schedule import State
from squirrel.model.target import HttpTarget
from squirrel.model.when import Every, When
from tests.unit.engine.world import T0, TARGET, World, spec

OTHER = HttpTarget("https://other.example/hook")
POLICY = RetryPolicy(3, "fixed", 60_000)
HOURLY = When(every=Every("hour", 1, T0 + 1000))


def failed_once(**changes: object) -> World:
    world = World()
    world.create("job", retry=POLICY, message=b'"old"', **changes)
    world.run_until(T0 + 1000)
    world.answer(world.executions[0], 500)
    return world


def changed(**changes: object) -> object:
    return spec(**{"retry": POLICY, "message": b'"new"', "target": OTHER, **changes})


def test_without_force_the_run_is_named_and_nothing_changes() -> None:
    world = failed_once()
    decided = world.tell("update", "job", spec=changed())
    assert (decided.code, decided.open_run is not None) == ("too_late", True)


def test_next_leaves_the_open_run_as_it_began() -> None:
    world = failed_once(when=HOURLY)
    assert world.tell("update", "job", spec=changed(when=HOURLY), force="next").code == "changed"
    world.run_until(T0 + 61_000)
    retried = world.executions[1]
    assert (retried.message, retried.target, retried.attempt) == (b'"old"', TARGET, 2)
    world.answer(retried)
    world.run_until(T0 + 3_700_000)
    assert (world.executions[2].message, world.executions[2].target) == (b'"new"', OTHER)


def test_now_cancels_the_retry_and_says_so() -> None:
    world = failed_once()
    decided = world.tell("update", "job", spec=changed(when=When(at_ms=T0 + 500_000)), force="now")
    assert decided.code == "changed"
    assert "the retry of its attempt 1 is cancelled" in decided.detail
    assert world.completed("job") == ["cancelled"]
    world.run_until(T0 + 600_000)
    assert [(each.due_ms - T0, each.message) for each in world.executions[1:]] == [(500_000, b'"new"')]
    assert len({each.run for each in world.executions}) == 2


def test_now_makes_the_call_in_flight_the_last_of_its_run() -> None:
    world = World()
    world.create("job", retry=POLICY, when=HOURLY)
    world.run_until(T0 + 1000)
    decided = world.tell("update", "job", spec=changed(when=HOURLY), force="now")
    assert "is in flight and ends the run" in decided.detail
    world.answer(world.executions[0], 500)
    assert world.completed("job") == ["cancelled"]
    assert world.dead_letters == []
    world.run_until(T0 + 3_700_000)
    assert world.executions[-1].message == b'"new"'


def test_now_on_a_one_shot_whose_rule_stays_ends_it() -> None:
    world = failed_once()
    world.tell("update", "job", spec=replace(spec(), retry=POLICY), force="now")
    assert world.completed("job") == ["cancelled"]
    assert world.state("job") is State.FINISHED


def test_runs_that_would_keep_too_much_are_said() -> None:
    world = World()
    world.create("job", when=replace(HOURLY), overlap="allow", message=b'"' + b"x" * 200_000 + b'"', retry=POLICY)
    world.run_until(T0 + 3_700_000)
    assert len(world.executions) == 2
    refused = world.tell("update", "job", spec=changed(when=HOURLY, overlap="allow"), force="next")
    assert (refused.code, refused.field) == ("refused", "message")


@pytest.mark.parametrize("force", ["", "next", "now"])
def test_the_inbox_forces_as_the_gateway_does(force: str) -> None:
    world = failed_once(when=HOURLY)
    world.tell("retime", "job", patch=b'{"message": "new"}', force=force, reply=False)
    world.run_until(T0 + 61_000)
    retried = [each for each in world.executions if each.attempt == 2]
    for each in retried:
        world.answer(each)
    world.run_until(T0 + 3_700_000)
    first = world.executions[1 + len(retried)]
    if not force:
        assert [(each.code, each.field) for each in world.refusals] == [("too_late", "id")]  # type: ignore[attr-defined]
        assert (len(retried), first.message) == (1, b'"old"')
        return
    assert world.refusals == []
    assert len(retried) == (1 if force == "next" else 0)
    assert all(each.message == b'"old"' for each in retried)
    assert first.message == b'"new"'
    assert world.completed("job")[0] == ("cancelled" if force == "now" else "succeeded")


def test_the_call_in_flight_of_a_cancelled_rule_is_its_last() -> None:
    world = World()
    world.create("job", retry=POLICY, when=HOURLY)
    world.run_until(T0 + 1000)
    decided = world.tell("cancel", "job")
    assert decided.code == "cancelled"
    assert world.tell("cancel", "job").code == "cancelled", "asked again it says the same, and the run is still open"
    world.answer(world.executions[0], 500)
    world.run_until(T0 + 8_000_000)
    assert [each.attempt for each in world.executions] == [1]
    assert len(world.completed("job")) == 2  # the run, and the slot that was planned
