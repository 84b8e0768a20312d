"""Retries on the timeline: the waits of each strategy, the deadline, the rules that ride along, fallbacks with their own."""

from __future__ import annotations

import pytest

from squirrel.model.retry import RetryPolicy, RetryRules
from squirrel.model.target import Fallback, HttpTarget, Route
from tests.unit.engine.world import T0, TARGET, World

BACKUP = HttpTarget("https://backup.example/hook")
LAST = HttpTarget("https://last.example/hook")


def walk(world: World, schedule_id: str, works: HttpTarget | None = None) -> list[int]:
    """Every attempt is answered the instant it is due, by 500 unless it goes to `works`; seconds after the first."""
    answered = 0
    while not world.completed(schedule_id):
        world.run_until(min(world.wakes.values()))
        for execution in world.executions[answered:]:
            world.answer(execution, 200 if execution.target == works else 500)
            answered += 1
    first_ms = world.executions[0].due_ms
    return [(each.due_ms - first_ms) // 1000 for each in world.executions]


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [
        (RetryPolicy(5, "exponential", 1_000), [0, 1, 3, 7, 15, 31]),
        (RetryPolicy(3, "linear", 5_000), [0, 5, 15, 30]),
        (RetryPolicy(2, "fixed", 4_000), [0, 4, 8]),
        (RetryPolicy(5, "exponential", 1_000, max_ms=2_000), [0, 1, 3, 5, 7, 9]),
        (RetryPolicy(5, "exponential", 1_000, deadline_ms=7_000), [0, 1, 3, 7]),
        (RetryPolicy(-1, "fixed", 4_000, deadline_ms=13_000), [0, 4, 8, 12]),
    ],
)
def test_when_attempts_are_due(policy: RetryPolicy, seconds: list[int]) -> None:
    world = World()
    world.create("job", retry=policy)
    assert walk(world, "job") == seconds
    assert world.completed("job") == ["failed"]
    assert len(world.dead_letters) == 1


def test_retry_after_beyond_the_deadline_ends_the_run() -> None:
    world = World()
    world.create("job", retry=RetryPolicy(-1, "fixed", 1_000, deadline_ms=10_000))
    world.run_until(T0 + 1000)
    world.answer(world.executions[0], 503, retry_after_ms=60_000)
    assert world.completed("job") == ["failed"]


def test_each_fallback_has_its_own_attempts_and_deadline_and_the_result_says_who_answered() -> None:
    world = World()
    chain = (Fallback(BACKUP, RetryPolicy(5, "fixed", 4_000, deadline_ms=5_000)), Fallback(LAST))
    world.create("job", retry=RetryPolicy(1, "fixed", 30_000), fallback=chain)
    walk(world, "job", works=LAST)
    assert [each.target for each in world.executions] == [TARGET, TARGET, BACKUP, BACKUP, LAST]
    assert [each.attempt for each in world.executions] == [1, 2, 3, 4, 5]
    assert [each.stage for each in world.executions] == [0, 0, 1, 1, 2]
    assert len({each.run for each in world.executions}) == 1
    assert world.completions[0].stage == 2  # type: ignore[attr-defined]


def test_rules_ride_in_the_execution_of_the_policy_that_holds() -> None:
    world = World()
    rules = RetryRules(("5xx", "network"), "body.state == 'pending'")
    world.routes["order.paid"] = Route("order.paid", TARGET, RetryPolicy(rules=rules))
    world.create("by-route", target=None)
    world.create("own", retry=RetryPolicy(rules=RetryRules(("429",))))
    world.create("plain", retry=RetryPolicy())
    world.run_until(T0 + 1000)
    found = {each.schedule: each.rules for each in world.executions}
    assert found == {"by-route": rules, "own": RetryRules(("429",)), "plain": None}


def test_fire_and_forget_keeps_nothing_open_unless_a_fallback_waits_for_the_outcome() -> None:
    world = World()
    world.create("gone", fire_and_forget=True)
    world.create("watched", fire_and_forget=True, fallback=(Fallback(BACKUP),))
    world.run_until(T0 + 1000)
    gone, watched = world.row("gone"), world.row("watched")
    assert gone is not None
    assert gone.runs == []
    assert world.completed("gone") == ["sent"]
    assert watched is not None
    assert len(watched.runs) == 1
    assert world.completed("watched") == []
    assert {each.schedule: each.track for each in world.executions} == {"gone": False, "watched": True}
