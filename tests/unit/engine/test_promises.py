"""Asynchronous targets: a 202 is a promise that is kept, extended, broken, or tried again."""

from __future__ import annotations

from squirrel.model.retry import NEVER, RetryPolicy
from squirrel.model.schedule import RunState
from squirrel.model.target import HttpTarget
from squirrel.wire.records import Execution
from tests.unit.engine.world import T0, TARGET, World

SLOW = HttpTarget("https://slow.example/hook", completion_timeout_ms=60_000)


def promised(world: World, **changes: object) -> Execution:
    """A run whose target has answered 202 at T0 + 1 s."""
    world.create("slow", target=SLOW, **changes)
    world.run_until(T0 + 1000)
    world.answer(world.executions[0], 202, state="promised")
    return world.executions[0]


def test_a_promise_is_kept() -> None:
    world = World()
    execution = promised(world)
    world.create("child", when=world.after("slow"))
    world.run_until(T0 + 30_000)
    assert world.completed("slow") == []
    decided = world.tell("complete", "slow", run=execution.run, attempt=1, outcome="success", message=b'{"id":7}')
    assert decided.code == "changed"
    assert decided.last_run is not None
    assert decided.last_run.state is RunState.SUCCEEDED
    (result,) = world.results
    assert (result.state, result.body, result.attempt, result.status) == ("succeeded", '{"id":7}', 1, 202)
    world.run_until(T0 + 1_000_000)
    assert [each.schedule for each in world.executions] == ["slow", "child"]
    assert world.tell("complete", "slow", run=execution.run, attempt=1).code == "too_late"


def test_a_broken_promise_fails_the_attempt_and_is_tried_again() -> None:
    world = World()
    promised(world, retry=RetryPolicy(1, "fixed", 5_000))
    world.run_until(T0 + 61_000)
    assert world.results[0].error is not None
    assert "neither completed" in world.results[0].error.detail
    world.run_until(T0 + 66_000)
    second = world.executions[1]
    assert (second.attempt, second.due_ms) == (2, T0 + 66_000)
    assert world.tell("complete", "slow", run=second.run, attempt=1).code == "too_late", "the first attempt's token"
    assert world.tell("complete", "slow", run=second.run, attempt=2).code == "changed"
    assert world.completed("slow") == ["succeeded"]


def test_heartbeats_extend_it_and_a_repeat_of_the_202_does_not_shorten_it() -> None:
    world = World()
    execution = promised(world, retry=NEVER)
    for second in (50, 100, 150):
        world.run_until(T0 + second * 1000)
        assert world.tell("heartbeat", "slow", run=execution.run, attempt=1).code == "changed"
    world.now_ms = T0 + 1000
    world.answer(execution, 202, state="promised")
    world.run_until(T0 + 209_000)
    assert world.completed("slow") == []
    world.run_until(T0 + 210_000)
    assert world.completed("slow") == ["failed"]


def test_a_completion_may_overtake_the_202() -> None:
    world = World()
    world.create("slow", target=SLOW)
    world.run_until(T0 + 1000)
    execution = world.executions[0]
    assert world.tell("complete", "slow", run=execution.run, attempt=1).code == "changed"
    world.answer(execution, 202, state="promised")
    assert world.completed("slow") == ["succeeded"]


def test_a_reported_failure_follows_the_policy_unless_it_is_final() -> None:
    world = World()
    execution = promised(world, retry=RetryPolicy(1, "fixed", 5_000))
    failure = {"outcome": "failure", "detail": "no stock"}
    world.tell("complete", "slow", run=execution.run, attempt=1, **failure)
    world.run_until(T0 + 10_000)
    assert len(world.executions) == 2
    world.tell("complete", "slow", run=execution.run, attempt=2, final=True, **failure)
    assert world.completed("slow") == ["failed"]
    assert world.completions[-1].reason == "target: no stock"  # type: ignore[attr-defined]


def test_a_target_that_promises_nothing_cannot_be_completed() -> None:
    world = World()
    world.create("plain", target=TARGET)
    world.run_until(T0 + 1000)
    decided = world.tell("complete", "plain", run=world.executions[0].run)
    assert decided.code == "refused"
    assert "completion" in decided.detail
    assert world.tell("complete", "plain", run="run_of_nobody").code == "too_late"
