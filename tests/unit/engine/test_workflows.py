"""Workflows: the order of steps, branches, lists, joins, failures and what undoes them; and that all of it waits on disk."""

from __future__ import annotations

import json

from squirrel.model.schedule import State
from squirrel.model.target import PluginTarget
from squirrel.model.when import Every, When
from squirrel.model.workflow import TARGET_KIND
from tests.unit.engine.flows import RUN, Flow, defined, step
from tests.unit.engine.world import T0, World

DAY = 86_400_000


def test_steps_run_after_each_other_and_see_what_came_before() -> None:
    flow = Flow(
        step("charge", message={"order": "{{ input.order }}"}),
        step("ship", "charge", message={"paid": "{{ steps.charge.body.id }}", "run": "{{ run }}"}),
        step("thank", "ship", delay_seconds=2 * 86_400, message="{{ steps.ship.status }}"),
        given={"order": 7},
    )
    flow.run(until_ms=T0 + 2 * DAY + 1000, charge=(201, {"id": "c-1"}))
    assert flow.calls() == ["charge", "ship", "thank"]
    assert flow.messages() == [{"order": 7}, {"paid": "c-1", "run": RUN}, 200]
    assert flow.world.executions[2].due_ms == T0 + 2 * DAY
    assert flow.state.phase == "succeeded"
    assert flow.row.state is State.FINISHED
    assert flow.world.completed(RUN) == ["succeeded"]


def test_what_waits_for_months_is_rows_and_nothing_else() -> None:
    flow = Flow(step("a"), step("b", "a", delay_seconds=180 * 86_400))
    flow.run(until_ms=T0 + 1000)
    kept = dict(flow.world.rows), dict(flow.world.waiters)
    again = World()
    again.rows, again.waiters = kept[0], kept[1]
    again.wakes = dict(flow.world.wakes)
    again.now_ms = T0 + 2000
    flow.world = again
    flow.answered = 0
    flow.run(until_ms=T0 + 180 * DAY + 5000)
    assert flow.calls() == ["b"]
    assert flow.state.phase == "succeeded"


def test_branches_skip_what_their_condition_does_not_let_and_a_completion_joins_them() -> None:
    flow = Flow(
        step("look"),
        step("large", "look", **{"if": "steps.look.body.total > `100`"}),
        step("small", "look", **{"if": "steps.look.body.total <= `100`"}),
        step("wrap", "small"),
        step("done", "large", "small", join="any"),
        step("always", {"step": "wrap", "on": "completion"}),
    )
    flow.run(look=(200, {"total": 500}))
    assert flow.steps() == {
        "look": "succeeded", "large": "succeeded", "small": "skipped", "wrap": "skipped", "done": "succeeded",
        "always": "succeeded",
    }  # fmt: skip
    assert "condition" in flow.state.steps[2].reason
    assert flow.state.phase == "succeeded"


def test_a_list_is_called_item_by_item_within_its_parallelism_and_joined() -> None:
    flow = Flow(
        step("each", for_each="input.lines", parallelism=2, message={"sku": "{{ item.sku }}", "n": "{{ index }}"}),
        step("sum", "each", message="{{ steps.each.items[2].body.from }}"),
        given={"lines": [{"sku": letter} for letter in "abcde"]},
    )
    flow.run(until_ms=T0, each=None)
    assert flow.calls() == ["each.0", "each.1"]
    for execution in tuple(flow.world.executions):
        flow.world.answer(execution, body='{"from": "first"}')
    flow.run(each=(200, {"from": "later"}))
    assert flow.calls() == ["each.0", "each.1", "each.2", "each.3", "each.4", "sum"]
    assert flow.messages()[:2] == [{"sku": "a", "n": 0}, {"sku": "b", "n": 1}]
    assert flow.messages()[-1] == "later"


def test_an_empty_list_is_done_and_what_is_no_list_fails() -> None:
    flow = Flow(step("each", for_each="input.lines"), step("next", "each"), given={"lines": []})
    flow.run()
    assert flow.calls() == ["next"]
    broken = Flow(step("each", for_each="input.lines"), given={"lines": {"a": 1}})
    broken.run()
    assert (broken.state.phase, "gives no list" in broken.state.reason) == ("failed", True)


def test_a_failure_stops_the_run_and_undoes_what_was_done_last_first() -> None:
    def undo(name: str) -> dict[str, object]:
        return {
            "target": {"type": "http", "url": "https://undo.example.com/"},
            "message": f"{{{{ steps.{name}.body.id }}}}",
        }

    flow = Flow(
        step("book", compensate=undo("book")),
        step("charge", "book", compensate=undo("charge")),
        step("ship", "charge"),
        step("later", "book", delay_seconds=86_400),
    )
    flow.run(book=(200, {"id": "b"}), charge=(200, {"id": "c"}), ship=500)
    assert flow.calls() == ["book", "charge", "ship", "charge.undo", "book.undo"]
    assert flow.messages()[3:] == ["c", "b"]
    assert (flow.state.phase, flow.state.reason) == ("failed", "ship: status: 500")
    assert flow.steps()["later"] == "cancelled"
    assert flow.world.state(f"{RUN}.later") is State.CANCELLED
    assert flow.world.completed(RUN) == ["failed"]
    assert flow.ask("retry").code == "refused"


def test_a_failure_that_a_step_waits_for_is_handled() -> None:
    flow = Flow(step("try"), step("mend", {"step": "try", "on": "failure"}), step("fine", "try"))
    flow.run(**{"try": 500})
    assert flow.calls() == ["try", "mend"]
    assert flow.state.phase == "succeeded"


def test_a_step_that_takes_too_long_fails_and_so_does_a_run() -> None:
    flow = Flow(step("slow", timeout_seconds=60), step("late", {"step": "slow", "on": "failure"}))
    flow.run(slow=None)
    assert flow.calls() == ["slow", "late"]
    whole = Flow(step("a", delay_seconds=3600), timeout_seconds=60)
    whole.run()
    assert whole.calls() == []
    assert (whole.state.phase, whole.state.reason) == ("failed", "timeout_seconds of the workflow are over")
    assert whole.state.finished_ms == T0 + 60_000


def test_a_step_may_wait_for_the_next_instant_of_a_rule() -> None:
    flow = Flow(
        step("a"), step("b", "a", when={"every": {"interval": "hour", "value": 1}, "start": "2027-01-15T08:10:00Z"})
    )
    flow.run()
    assert flow.calls() == ["a", "b"]
    assert flow.world.executions[1].due_ms % 3_600_000 == 600_000
    assert flow.state.phase == "succeeded"


def test_retry_begins_with_what_failed_and_keeps_the_rest() -> None:
    flow = Flow(step("a"), step("b", "a"), step("c", "b", message="{{ steps.a.body.from }}"))
    flow.run(b=500)
    assert flow.ask("retry", "a").code == "refused"
    assert flow.ask("retry").code == "changed"
    flow.run()
    assert flow.calls() == ["a", "b", "b~2", "c"]
    assert flow.messages()[-1] == "a"
    assert flow.world.completed(RUN) == ["failed", "succeeded"]
    assert flow.row.last is not None
    assert flow.world.completions[-1].replay_of is not None  # type: ignore[attr-defined]
    assert flow.ask("retry").code == "refused"


def test_skip_lets_the_rest_go_on_while_it_runs_and_after_it_failed() -> None:
    flow = Flow(step("a"), step("b", "a", delay_seconds=3600), step("c", "b"))
    flow.run(until_ms=T0 + 1000)
    assert flow.ask("skip", "b").code == "changed"
    flow.run()
    assert flow.calls() == ["a", "c"]
    failed = Flow(step("a"), step("b", "a"), step("c", "b"))
    failed.run(b=500)
    assert failed.ask("skip", "b").code == "changed"
    failed.run()
    assert failed.calls() == ["a", "b", "c"]
    assert failed.state.phase == "succeeded"


def test_pause_holds_and_cancel_ends() -> None:
    flow = Flow(step("a"), step("b", "a", delay_seconds=10), step("c", "b"))
    flow.run(until_ms=T0 + 1000)
    assert flow.ask("pause").code == "changed"
    flow.run(until_ms=T0 + 100_000)
    assert flow.calls() == ["a"]
    flow.ask("resume")
    flow.run(until_ms=T0 + 100_000, b=None)
    assert flow.calls() == ["a", "b"]
    assert flow.ask("cancel").code == "changed"
    assert flow.world.completed(RUN) == ["cancelled"]
    flow.world.answer(flow.world.executions[1])
    flow.run()
    assert flow.calls() == ["a", "b"]
    assert flow.steps() == {"a": "succeeded", "b": "cancelled", "c": "cancelled"}


def test_a_step_whose_schedule_somebody_cancels_does_not_hold_the_run_for_ever() -> None:
    flow = Flow(step("a", delay_seconds=3600))
    flow.world.tell("cancel", f"{RUN}.a")
    flow.run()
    assert flow.state.phase == "failed"


def test_a_rule_starts_runs_and_each_ends_the_run_that_started_it() -> None:
    world = World()
    world.workflows["order"] = defined(step("a", message="{{ input.n }}"))
    world.create(
        "nightly",
        when=When(every=Every("hour", 1, T0 + 1000), max_runs=2),
        target=PluginTarget(TARGET_KIND, json.dumps({"name": "order"}).encode()),
        message=b'{"n": 5}',
    )
    world.run_until(T0 + 2000)
    (execution,) = world.executions
    assert execution.message == b"5"
    assert world.completed("nightly") == []
    world.answer(execution)
    assert world.completed("nightly") == ["succeeded"]
    world.run_until(T0 + 3_700_000)
    world.answer(world.executions[1], 400)
    world.run_until(T0 + 3_800_000)
    assert world.completed("nightly")[0] == "succeeded"
    assert len({each.schedule for each in world.executions}) == 2


def test_a_workflow_that_is_not_there_fails_its_starter() -> None:
    world = World()
    world.create("start", target=PluginTarget(TARGET_KIND, b'{"name":"nobody"}'))
    world.run_until(T0 + 2000)
    assert world.completed("start") == ["failed"]
    assert "no workflow nobody" in world.completions[0].reason  # type: ignore[attr-defined]


def test_outcomes_that_come_twice_change_nothing() -> None:
    flow = Flow(step("a"), step("b", "a", delay_seconds=60))
    flow.run(until_ms=T0 + 1000)
    before = flow.world.rows.copy()
    flow.world.tell("release", RUN, child=f"{RUN}.a", outcome="failure", finished_ms=T0)
    flow.world.tell("release", RUN, child=f"{RUN}.nobody", outcome="failure", finished_ms=T0)
    flow.world.tell("release", RUN, child=f"{RUN}.b~7", outcome="success", finished_ms=T0)
    assert flow.steps() == {"a": "succeeded", "b": "waiting"}
    assert flow.world.rows.keys() == before.keys()
