"""Schedules that listen to events, and groups that live together."""

from __future__ import annotations

from squirrel.engine import groups, step
from squirrel.engine.work import Work
from squirrel.model.schedule import State
from squirrel.model.when import EventMatch, When
from squirrel.streams.timeline.keys import s_key
from squirrel.wire.records import Command
from tests.unit.engine.world import T0, World, spec


def test_every_matching_completion_is_a_run_its_delay_later() -> None:
    world = World()
    world.create("listener", event="audit.log", when=When(on_event=EventMatch("order.*", "success"), delay_seconds=5))
    world.create("a")
    world.create("b", when=When(at_ms=T0 + 2000))
    world.create("c", event="other.thing")
    world.run_until(T0 + 2000)
    for execution in list(world.executions):
        world.answer(execution)
    world.run_until(T0 + 6999)
    heard = [execution for execution in world.executions if execution.schedule == "listener"]
    assert heard == []
    world.run_until(T0 + 60_000)
    heard = [execution for execution in world.executions if execution.schedule == "listener"]
    assert len({execution.run for execution in heard}) == len(heard) == 2
    assert world.state("listener") is State.ACTIVE


def test_the_outcome_must_match_and_max_runs_ends_the_listening() -> None:
    world = World()
    world.create("listener", event="x", when=When(on_event=EventMatch("order.paid", "failure"), max_runs=1))
    for name in ("a", "b", "c"):
        world.create(name)
    world.run_until(T0 + 1000)
    first, second, third = world.executions
    world.answer(first)
    world.answer(second, 404, final=True)
    world.answer(third, 404, final=True)
    world.run_until(T0 + 2000)
    (heard,) = [execution for execution in world.executions if execution.schedule == "listener"]
    world.answer(heard)
    assert world.state("listener") is State.FINISHED
    assert world.definitions == {}


def test_a_cancelled_listener_hears_nothing_more() -> None:
    world = World()
    world.create("listener", event="x", when=When(on_event=EventMatch("order.*", "completion")))
    assert world.definitions != {}
    world.tell("cancel", "listener")
    assert world.definitions == {}


def test_the_same_completion_twice_is_one_run() -> None:
    world = World()
    world.create("listener", event="x", when=When(on_event=EventMatch("order.*", "success")))
    heard = Command("event", "default", "listener", "c", T0, child="a", outcome="success", finished_ms=T0, run="run_1")
    world.deliver(heard)
    world.deliver(heard)
    world.run_until(T0 + 1000)
    assert len(world.executions) == 1


def work_on(*rows: object) -> Work:
    work = Work(T0, T0, 1, lambda: 0.5, lambda namespace, event: None, lambda *scan: ())
    work.load(s_key("default", "a"), None)
    return work


def test_a_placeholder_passes_on_what_arrives_for_a_schedule_in_a_group() -> None:
    work = work_on()
    step.take_command(work, Command("cancel", "default", "a", "c1", T0, park=True), 0)
    step.take_command(work, Command("place", "default", "a", "c2", T0, child="team"), 1)
    step.take_command(work, Command("subscribe", "default", "a", "c3", T0, child="child", on="success"), 2)
    assert [(order.op, order.home) for order in work.orders] == [("cancel", "team"), ("subscribe", "team")]
    conflict = Command("create", "default", "a", "c4", T0, spec=spec(), reply=True)
    step.take_command(work, conflict, 3)
    assert work.outcomes[3].code == "conflict"
    step.take_command(work, Command("place", "default", "a", "c5", T0), 4)
    assert work.row("default", "a") is None


def test_a_grouped_schedule_tells_its_own_partition_where_it_went_and_when_it_left() -> None:
    work = work_on()
    step.take_command(work, Command("create", "default", "a", "c1", T0, spec=spec(group="team")), 0)
    (order,) = work.orders
    assert (order.op, order.child, order.home) == ("place", "team", "")
    row = work.row("default", "a")
    assert row is not None
    groups.unplace(work, row)
    assert work.orders[-1].child == ""
