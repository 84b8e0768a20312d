"""A one-shot from create to its end, and every way to change it on the way."""

from __future__ import annotations

import pytest

from squirrel.model.ids import run_id
from squirrel.model.retry import NEVER, RetryPolicy
from squirrel.model.schedule import RunState, State
from squirrel.model.target import Fallback, HttpTarget, Route
from squirrel.model.when import When
from squirrel.wire.records import Command
from tests.unit.engine.world import T0, TARGET, World, spec

STEADY = RetryPolicy(max_retries=2, strategy="fixed", initial_ms=5_000, jitter=0)


def test_fires_once_at_its_instant_and_finishes_when_answered() -> None:
    world = World()
    assert world.create("a").code == "created"
    world.run_until(T0 + 999)
    assert world.executions == []
    world.run_until(T0 + 1000)
    (execution,) = world.executions
    assert (execution.due_ms, execution.emitted_ms, execution.attempt) == (T0 + 1000, T0 + 1000, 1)
    world.answer(execution)
    assert world.completed("a") == ["succeeded"]
    assert world.state("a") is State.FINISHED
    world.run_until(T0 + 7 * 86_400_000 + 2000)
    assert world.row("a") is None, "a finished row leaves the state when its retention ends"
    assert len(world.executions) == 1


def test_emit_ahead_emits_early_and_keeps_the_due_instant() -> None:
    world = World(ahead_ms=100)
    world.create("a")
    world.run_until(T0 + 900)
    (execution,) = world.executions
    assert (execution.emitted_ms, execution.due_ms) == (T0 + 900, T0 + 1000)


def test_a_past_instant_fires_at_once_unless_it_is_too_late_for_it() -> None:
    world = World()
    world.create("a", when=When(at_ms=T0 - 60_000))
    world.create("b", when=When(at_ms=T0 - 60_000), max_lateness_ms=1000)
    world.run_until(T0)
    assert [execution.schedule for execution in world.executions] == ["a"]
    assert world.completed("b") == ["missed"]
    assert world.state("b") is State.FINISHED


def test_delay_counts_from_acceptance() -> None:
    world = World()
    world.create("a", when=When(in_seconds=2.5))
    world.run_until(T0 + 10_000)
    assert world.executions[0].due_ms == T0 + 2500


def test_the_same_id_with_the_same_content_is_the_first_answer_and_other_content_a_conflict() -> None:
    world = World()
    assert world.tell("create", "a", spec=spec(), fingerprint="f").code == "created"
    assert world.tell("create", "a", spec=spec(), fingerprint="f").code == "repeated"
    assert world.tell("create", "a", spec=spec(), fingerprint="g").code == "conflict"
    world.run_until(T0 + 2000)
    assert len(world.executions) == 1


def test_a_replayed_create_changes_nothing() -> None:
    world = World()
    command = Command("create", "default", "a", "c", T0, spec=spec(), reply=True)
    world.deliver(command, 0)
    world.run_until(T0 + 1000)
    world.answer(world.executions[0])
    assert world.deliver(command, 0).code == "repeated"
    world.run_until(T0 + 5000)
    assert len(world.executions) == 1


def test_retries_are_due_times_and_the_end_is_a_dead_letter() -> None:
    world = World()
    world.create("a", retry=STEADY)
    for attempt in (1, 2, 3):
        world.run_until(T0 + 1000 + (attempt - 1) * 5000)
        assert world.executions[-1].attempt == attempt
        world.answer(world.executions[-1], 503)
    world.run_until(T0 + 100_000)
    assert len(world.executions) == 3
    assert len({execution.run for execution in world.executions}) == 1
    assert world.completed("a") == ["failed"]
    (letter,) = world.dead_letters
    assert letter.attempts == 3  # type: ignore[attr-defined]


def test_retry_after_postpones_and_a_final_status_ends() -> None:
    world = World()
    world.create("a", retry=STEADY)
    world.create("b", retry=STEADY)
    world.run_until(T0 + 1000)
    first, second = world.executions
    world.answer(first, 429, retry_after_ms=60_000)
    world.answer(second, 404, final=True)
    world.run_until(T0 + 60_999)
    assert len(world.executions) == 2
    world.run_until(T0 + 61_000)
    assert [execution.schedule for execution in world.executions] == [first.schedule, second.schedule, first.schedule]
    assert world.completed(second.schedule) == ["failed"]


def test_fallbacks_follow_when_the_target_is_exhausted() -> None:
    world = World()
    backup = HttpTarget("https://backup.example/hook")
    world.create("a", retry=NEVER, fallback=(Fallback(backup),))
    world.run_until(T0 + 1000)
    world.answer(world.executions[0], 500)
    world.run_until(T0 + 1001)
    assert world.executions[1].target == backup
    assert world.executions[1].attempt == 2
    world.answer(world.executions[1])
    assert world.completed("a") == ["succeeded"]


def test_a_result_that_comes_twice_or_for_another_attempt_is_ignored() -> None:
    world = World()
    world.create("a", retry=STEADY)
    world.run_until(T0 + 1000)
    world.answer(world.executions[0], 500)
    world.answer(world.executions[0], 500)
    world.run_until(T0 + 6000)
    assert len(world.executions) == 2
    world.answer(world.executions[0])
    assert world.completed("a") == []


def test_410_stops_the_schedule() -> None:
    world = World()
    world.create("a", retry=STEADY)
    world.run_until(T0 + 1000)
    world.answer(world.executions[0], 410, gone=True)
    assert world.state("a") is State.FINISHED
    assert world.completed("a") == ["failed"]


def test_fire_and_forget_is_sent_and_over() -> None:
    world = World()
    world.create("a", fire_and_forget=True)
    world.run_until(T0 + 1000)
    assert world.completed("a") == ["sent"]
    assert world.executions[0].track is False
    assert world.state("a") is State.FINISHED


def test_cancel_before_the_instant_wins_and_after_it_says_too_late() -> None:
    world = World()
    world.create("a")
    world.create("b")
    assert world.tell("cancel", "a").code == "cancelled"
    assert world.tell("cancel", "a").code == "cancelled"
    world.run_until(T0 + 1000)
    assert [execution.schedule for execution in world.executions] == ["b"]
    late = world.tell("cancel", "b")
    assert late.code == "too_late"
    assert late.open_run is not None
    assert late.open_run.state is RunState.IN_FLIGHT
    world.answer(world.executions[0])
    assert world.tell("cancel", "b").last_run is not None
    assert world.completed("a") == ["cancelled"]


def test_cancel_while_a_retry_waits_ends_the_run() -> None:
    world = World()
    world.create("a", retry=STEADY)
    world.run_until(T0 + 1000)
    world.answer(world.executions[0], 500)
    assert world.tell("cancel", "a").code == "cancelled"
    world.run_until(T0 + 60_000)
    assert len(world.executions) == 1
    assert world.completed("a") == ["cancelled"]


def test_an_update_moves_the_instant_and_raises_the_revision() -> None:
    world = World()
    world.create("a")
    changed = world.tell("update", "a", spec=spec(when=When(at_ms=T0 + 9000), message=b'{"new":1}'))
    assert changed.code == "changed"
    row = world.row("a")
    assert row is not None
    assert row.revision == 2
    world.run_until(T0 + 8999)
    assert world.executions == []
    world.run_until(T0 + 9000)
    assert world.executions[0].message == b'{"new":1}'
    assert world.tell("update", "a", spec=spec()).code == "too_late"


def test_an_update_of_another_revision_is_refused() -> None:
    world = World()
    world.create("a")
    assert world.tell("update", "a", spec=spec(), if_revision=7).code == "stale_revision"
    assert world.tell("update", "a", spec=spec(name="x"), if_revision=1).code == "changed"


def test_an_inbox_patch_changes_what_it_names() -> None:
    world = World()
    world.create("a", message=b'"kept"')
    patch = b'{"when": {"at": "2027-01-15T08:00:05Z"}}'
    world.tell("retime", "a", patch=patch, reply=False)
    world.run_until(T0 + 3_600_000)
    assert world.executions[0].due_ms == T0 + 5000
    assert world.executions[0].message == b'"kept"'


def test_pause_holds_and_resume_runs_what_is_owed() -> None:
    world = World()
    world.create("a")
    assert world.tell("pause", "a").code == "changed"
    world.run_until(T0 + 50_000)
    assert world.executions == []
    world.tell("resume", "a")
    world.run_until(T0 + 50_001)
    assert len(world.executions) == 1


def test_trigger_runs_beside_the_timeline_with_its_own_run() -> None:
    world = World()
    world.create("a")
    answer = world.tell("trigger", "a", actor="ada")
    assert answer.code == "triggered"
    assert answer.open_run is not None
    assert answer.open_run.triggered_by == "ada"
    world.run_until(T0 + 1000)
    assert len({execution.run for execution in world.executions}) == 2
    for execution in list(world.executions):
        world.answer(execution)
    assert world.state("a") is State.FINISHED
    assert {done.run: done.triggered_by for done in world.completions} == {
        answer.open_run.id: "ada",
        run_id("default", "a", T0 + 1000): "",
    }


def test_a_replay_names_the_old_run_and_may_change_the_message() -> None:
    world = World()
    world.create("a")
    world.run_until(T0 + 1000)
    world.answer(world.executions[0])
    world.tell("replay", "a", run=world.executions[0].run, message=b'"again"')
    replayed = world.executions[1]
    assert replayed.replay_of == world.executions[0].run
    assert replayed.message == b'"again"'
    assert replayed.target == TARGET
    world.answer(replayed)
    assert world.completed("a") == ["succeeded", "succeeded"]


@pytest.mark.parametrize("op", ["update", "cancel", "pause", "resume", "trigger"])
def test_a_change_to_an_unknown_id_is_parked_for_a_while_or_not_found(op: str) -> None:
    world = World()
    assert world.tell(op, "nobody", spec=spec()).code == "not_found"
    world.tell(op, "nobody", spec=spec(), park=True, reply=False)
    world.run_until(T0 + 60_000)
    (refusal,) = world.refusals
    assert refusal.code == "unknown_schedule"  # type: ignore[attr-defined]
    assert world.rows == {}


def test_a_parked_cancel_meets_its_create() -> None:
    world = World()
    world.tell("cancel", "a", park=True, reply=False)
    world.now_ms += 30_000
    world.create("a", when=When(at_ms=T0 + 60_000))
    world.run_until(T0 + 120_000)
    assert world.executions == []
    assert world.state("a") is State.CANCELLED
    assert world.refusals == []


def test_a_route_gives_target_and_retry_and_may_come_a_moment_late() -> None:
    world = World()
    world.create("a", target=None)
    world.run_until(T0 + 1300)
    assert world.executions == []
    world.routes["order.paid"] = Route("order.*", TARGET, NEVER)
    world.run_until(T0 + 1500)
    (execution,) = world.executions
    assert execution.target == TARGET
    world.answer(execution, 500)
    assert world.completed("a") == ["failed"]


def test_no_route_at_all_fails_the_run_with_the_reason() -> None:
    world = World()
    world.create("a", target=None)
    world.run_until(T0 + 60_000)
    assert world.completed("a") == ["failed"]
    assert "no route" in world.completions[0].reason  # type: ignore[attr-defined]


def test_the_same_replay_sent_again_is_one_run() -> None:
    """An operation that lost its gateway sends a chunk again, with the same command ids and instants."""
    world = World()
    world.create("a")
    world.run_until(T0 + 1000)
    world.answer(world.executions[0])
    command = Command("replay", "default", "a", "op1", world.now_ms, reply=True, run=world.executions[0].run)
    first, second = world.deliver(command), world.deliver(command)
    assert (first.code, second.code, len(world.executions)) == ("triggered", "triggered", 2)
    assert second.open_run == first.open_run
    world.answer(world.executions[1])
    assert world.deliver(command).code == "triggered"
    assert len(world.executions) == 2
