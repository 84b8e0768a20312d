"""`at_most_once`: recorded, then called, then never again, whatever becomes of it."""

from __future__ import annotations

from squirrel.model.limits import ONCE_ANSWER_MS, ONCE_PICKED_UP_MS_MAX
from squirrel.model.retry import RetryPolicy
from squirrel.model.schedule import State
from squirrel.model.target import Fallback, HttpTarget, Route
from tests.unit.engine.world import T0, TARGET, World

UNKNOWN_MS = ONCE_PICKED_UP_MS_MAX + TARGET.timeout_ms + ONCE_ANSWER_MS


def test_one_call_and_its_answer() -> None:
    world = World()
    world.create("pay", at_most_once=True)
    world.run_until(T0 + 1000)
    (execution,) = world.executions
    assert execution.not_after_ms == T0 + 1000 + ONCE_PICKED_UP_MS_MAX
    world.answer(execution)
    assert world.completed("pay") == ["succeeded"]
    assert world.state("pay") is State.FINISHED


def test_a_failure_is_final_whatever_the_route_says() -> None:
    world = World()
    backup = Fallback(HttpTarget("https://backup.example/hook"))
    world.routes["order.paid"] = Route("order.paid", TARGET, RetryPolicy(5), (backup,))
    world.create("pay", at_most_once=True, target=None)
    world.run_until(T0 + 1000)
    world.answer(world.executions[0], 500)
    world.run_until(T0 + 1_000_000)
    assert len(world.executions) == 1
    assert world.completed("pay") == ["failed"]


def test_without_a_result_the_outcome_is_unknown_and_nothing_is_called_again() -> None:
    world = World()
    world.create("pay", at_most_once=True)
    world.create("after", when=world.after("pay", on="failure"))
    world.run_until(T0 + 1000 + UNKNOWN_MS - 1)
    assert world.completed("pay") == []
    world.run_until(T0 + 1000 + UNKNOWN_MS)
    assert world.completed("pay") == ["failed"]
    assert "outcome unknown" in world.completions[0].reason  # type: ignore[attr-defined]
    assert [each.schedule for each in world.executions] == ["pay", "after"]
    (result,) = world.results
    assert (result.state, result.attempt, result.error and result.error.type) == ("failed", 1, "unknown")
    world.answer(world.executions[0])
    assert world.completed("pay") == ["failed"], "a late answer changes nothing that was said"


def test_a_cancelled_schedule_still_hears_of_its_call() -> None:
    world = World()
    world.create("pay", at_most_once=True)
    world.run_until(T0 + 1000)
    assert world.tell("cancel", "pay").code == "too_late"
