"""An attempt that the executor did not make because its host fails: put back on the timeline, and no try is used up."""

from __future__ import annotations

from squirrel.model.retry import RetryPolicy
from squirrel.model.schedule import RunState
from squirrel.model.target import Fallback, HttpTarget
from tests.unit.engine.world import T0, World

ONCE_MORE = RetryPolicy(max_retries=1, strategy="fixed", initial_ms=5_000, jitter=0)
BACKUP = HttpTarget("https://backup.example/hook")


def put_off(world: World, after_ms: int = 60_000) -> None:
    world.answer(world.executions[-1], 0, state="deferred", retry_after_ms=after_ms)


def test_it_comes_back_when_the_executor_said_and_costs_no_retry() -> None:
    world = World()
    world.create("a", retry=ONCE_MORE)
    world.run_until(T0 + 1000)
    for turn in range(1, 6):
        put_off(world)
        (run,) = world.row("a").runs  # type: ignore[union-attr]
        assert (run.state, run.due_ms) == (RunState.RETRY_WAIT, world.now_ms + 60_000)
        world.run_until(world.now_ms + 59_999)
        assert len(world.executions) == turn
        world.run_until(world.now_ms + 1)
        assert world.executions[-1].attempt == turn + 1, (
            "a number of its own, or the executor would drop it as a repeat"
        )
    world.answer(world.executions[-1], 500)
    world.run_until(world.now_ms + 5_000)
    world.answer(world.executions[-1], 500)
    assert world.completed("a") == ["failed"]
    assert len(world.executions) == 7, "five that were put off, and two calls"


def test_with_a_fallback_left_it_counts_so_that_the_fallback_is_reached() -> None:
    world = World()
    world.create("a", retry=ONCE_MORE, fallback=(Fallback(BACKUP),))
    world.run_until(T0 + 1000)
    put_off(world)
    world.run_until(world.now_ms + 120_000)
    put_off(world)
    world.run_until(world.now_ms + 120_000)
    assert world.executions[-1].target == BACKUP
    put_off(world)
    world.run_until(world.now_ms + 120_000)
    world.answer(world.executions[-1])
    assert world.completed("a") == ["succeeded"]


def test_a_deadline_ends_it_although_nothing_was_ever_called() -> None:
    world = World()
    world.create("a", retry=RetryPolicy(max_retries=-1, deadline_ms=150_000))
    world.run_until(T0 + 1000)
    for _ in range(10):
        if world.completed("a"):
            break
        put_off(world)
        world.run_until(world.now_ms + 60_000)
    assert world.completed("a") == ["failed"]
    assert len(world.executions) == 3


def test_a_schedule_that_was_cancelled_meanwhile_ends() -> None:
    world = World()
    world.create("a", retry=ONCE_MORE)
    world.run_until(T0 + 1000)
    put_off(world)
    assert world.tell("cancel", "a").code == "cancelled"
    world.run_until(world.now_ms + 86_400_000)
    assert len(world.executions) == 1
    assert world.completed("a") == ["cancelled"]
