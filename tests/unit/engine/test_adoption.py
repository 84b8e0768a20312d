"""What a dead owner had emitted and not logged: the next one makes its rows what they would have been, and says nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from msgspec.structs import replace

from squirrel.engine.adoption import LastGivenUp, LastStep, adopt, adopt_given_up
from squirrel.engine.flows import Flows
from squirrel.model.flow import Flow
from squirrel.model.retry import RetryPolicy
from squirrel.model.schedule import Row, RunState, State, decode_row
from squirrel.model.target import Fallback, HttpTarget
from squirrel.model.when import Every, When
from squirrel.streams.timeline.keys import s_key
from squirrel.wire import owner_link as codes
from squirrel.wire.owner_mark import OwnerMark, encode_owner_mark
from squirrel.wire.public import Completion, encode_public
from squirrel.wire.records import Execution, encode_execution
from tests.unit.engine.world import T0, TARGET, World

OTHER = HttpTarget("https://other.example/hook")
EACH_SECOND = When(every=Every("second", 1, T0 + 1000))
DAY_MS = 86_400_000


class Crash:
    """A step whose process ended between emitting and logging: what it had emitted, and the rows it would have logged."""

    def __init__(self, world: World, step: Callable[[], object]) -> None:
        rows, wakes, waiters = dict(world.rows), dict(world.wakes), dict(world.waiters)
        emitted, said = len(world.executions), len(world.completions)
        step()
        self.orders = world.executions[emitted:]
        self.said = world.completions[said:]
        self.logged = dict(world.rows)
        world.rows, world.wakes, world.waiters = rows, wakes, waiters
        del world.completions[said:]
        world.flows = Flows()
        world.flows.recount(decode_row(value) for value in rows.values())


def take_over(world: World, orders: Sequence[Execution], late_ms: int = 0) -> list[Execution]:
    """A new owner, `late_ms` after the crash."""
    work = world._work(list(world.rows))
    work.now_ms = orders[0].emitted_ms
    work.horizon_ms = work.now_ms + world.ahead_ms
    adopted = adopt(work, orders)
    assert work.executions == [], "nothing is ordered again"
    world._carry_out(work)
    world.now_ms += late_ms
    return adopted


def row(world: World, name: str = "a") -> Row:
    found = world.row(name)
    assert found is not None
    return found


def _one_shot(world: World) -> Crash:
    world.create("a", max_lateness_ms=0)
    return Crash(world, lambda: world.run_until(T0 + 1000))


def _rule(world: World, **spec: object) -> Crash:
    world.create("a", when=spec.pop("when", EACH_SECOND), **spec)
    return Crash(world, lambda: world.run_until(T0 + 1000))


def _spread(world: World) -> Crash:
    world.create("a", when=When(every=Every("minute", 1, T0 + 1000), spread_seconds=50))
    return Crash(world, lambda: world.run_until(T0 + 52_000))


def _late_rule(world: World, **spec: object) -> Crash:
    """An engine that was away for five and a half slots."""
    world.create("a", when=spec.pop("when", EACH_SECOND), **spec)
    world.now_ms = T0 + 6500
    return Crash(world, lambda: world.run_until(T0 + 6500))


def _retry(world: World, **spec: object) -> Crash:
    world.create("a", **{"retry": RetryPolicy(3, "fixed", 500, jitter=0.0, deadline_ms=60_000), **spec})
    world.run_until(T0 + 1000)
    world.answer(world.executions[0], 500)
    return Crash(world, lambda: world.run_until(T0 + 2000))


def _queued(world: World) -> Crash:
    """The run that waited is ordered by the result of the one before it."""
    world.create("a", when=EACH_SECOND, overlap="queue")
    world.run_until(T0 + 2000)
    return Crash(world, lambda: world.answer(world.executions[0]))


def _flow(world: World, flow: Flow) -> Crash:
    """Its turn came after it had waited for the other."""
    world.create("Z", flow=flow)
    world.create("a", flow=flow)
    world.run_until(T0 + 1000)
    for each in tuple(world.executions):
        if each.schedule == "Z":
            world.answer(each)
    return Crash(world, lambda: world.run_until(T0 + 2000))


CRASHES: dict[str, Callable[[World], Crash]] = {
    "one shot": _one_shot,
    "route": lambda world: _rule(world, when=When(at_ms=T0 + 1000), message=b'{"a":1}'),
    "rule, skip": lambda world: _rule(world, missed="skip"),
    "rule, last run": lambda world: _rule(world, when=When(every=EACH_SECOND.every, max_runs=1)),
    "rule, fire and forget": lambda world: _rule(world, fire_and_forget=True),
    "spread": _spread,
    "late, run_last": lambda world: _late_rule(world, missed="run_last"),
    "late, run_all": lambda world: _late_rule(world, missed="run_all"),
    "late, run_all side by side": lambda world: _late_rule(world, missed="run_all", overlap="allow"),
    "late, bounded": lambda world: _late_rule(world, missed="run_all", max_lateness_ms=2_000),
    "late, fire and forget": lambda world: _late_rule(world, missed="run_all", fire_and_forget=True),
    "retry": _retry,
    "fallback": lambda world: _retry(world, retry=RetryPolicy(max_retries=0), fallback=(Fallback(OTHER),)),
    "queued": _queued,
    "flow, places": lambda world: _flow(world, Flow("mail", parallelism=1)),
    "flow, instants": lambda world: _flow(world, Flow("mail", rate_per_second=2)),
}


@pytest.mark.parametrize("crash", CRASHES.values(), ids=CRASHES)
def test_the_row_is_what_the_dead_owner_would_have_logged(crash: Callable[[World], Crash]) -> None:
    world = World()
    lost = crash(world)
    assert lost.orders
    former = {run.id for run in row(world).runs if run.state is RunState.IN_FLIGHT}
    assert take_over(world, lost.orders, late_ms=DAY_MS) == lost.orders
    found, wanted = row(world), decode_row(lost.logged[next(key for key in lost.logged if key.endswith(b"a"))])
    if former - {run.id for run in wanted.runs}:  # a result was taken in that step: it is taken again
        assert [run.id for run in found.runs if run.id not in former] == [run.id for run in wanted.runs]
        return
    assert found == wanted
    said = [each for each in world.completions if each.schedule_id == "a"]
    assert said == lost.said, "and what else it had said is said the same"
    assert take_over(world, lost.orders) == [], "it is known now"


def test_of_a_step_that_was_emitted_in_part_the_rest_is_emitted() -> None:
    world = World()
    lost = _late_rule(world, missed="run_all", overlap="allow")
    work = world._work(list(world.rows))
    work.now_ms = work.horizon_ms = lost.orders[0].emitted_ms
    assert adopt(work, lost.orders[:3]) == lost.orders[:3]
    assert work.executions == lost.orders[3:]
    world._carry_out(work)
    assert world.rows == lost.logged


@pytest.mark.parametrize("missed", ["skip", "run_last", "run_all"])
@pytest.mark.parametrize("adopted", [True, False])
def test_a_run_that_is_called_is_never_given_up(missed: str, adopted: bool) -> None:
    """The slot is a day late when the next owner is there: without the order it would skip it."""
    world = World()
    world.create("a", when=When(every=Every("second", 1, T0 + 1000), end_ms=T0 + 2000), missed=missed)
    lost = Crash(world, lambda: world.run_until(T0 + 1000))
    if adopted:
        take_over(world, lost.orders)
    world.now_ms += DAY_MS
    world.run_until(world.now_ms)
    if adopted:
        world.answer(lost.orders[0])
    told = [each.state for each in world.completions if each.run == lost.orders[0].run]
    expected = {"skip": ["skipped"], "run_last": ["skipped"], "run_all": []}[missed]
    assert told == (["succeeded"] if adopted else expected)


@pytest.mark.parametrize("adopted", [True, False])
def test_a_cancel_at_the_new_owner_comes_too_late(adopted: bool) -> None:
    world = World()
    lost = _one_shot(world)
    if adopted:
        take_over(world, lost.orders)
    assert world.tell("cancel", "a").code == (codes.TOO_LATE if adopted else codes.CANCELLED)


def test_a_rule_that_is_cancelled_keeps_the_queued_run_that_is_called() -> None:
    world = World()
    lost = _queued(world)
    take_over(world, lost.orders)
    world.tell("cancel", "a")
    assert world.completed("a") == ["cancelled"], "the slot that was to come"
    world.answer(world.executions[0])
    world.answer(lost.orders[0])
    assert world.completed("a") == ["cancelled", "succeeded", "succeeded"]
    assert world.state("a") is State.CANCELLED


@pytest.mark.parametrize("verb", ["trigger", "replay"])
def test_a_run_on_demand_whose_result_comes_before_its_command(verb: str) -> None:
    world = World()
    world.create("a", when=EACH_SECOND)
    world.now_ms += 10
    own = {} if verb == "trigger" else {"run": "r", "message": b'"own"', "target": OTHER}
    command = world.command(verb, "a", actor="ann", **own)
    lost = Crash(world, lambda: world.deliver(command, 7))
    assert take_over(world, lost.orders) == lost.orders
    world.now_ms += 10
    world.answer(lost.orders[0])
    assert world.deliver(command, 7).code == codes.TRIGGERED
    assert row(world).runs == []
    assert world.completed("a") == ["succeeded"]


def test_a_replay_that_is_adopted_is_tried_again_as_it_was() -> None:
    world = World()
    world.create("a", retry=RetryPolicy(3, "fixed", 500, jitter=0.0))
    world.now_ms += 10
    command = world.command("replay", "a", run="r", message=b'"own"', target=OTHER)
    lost = Crash(world, lambda: world.deliver(command, 7))
    take_over(world, lost.orders)
    world.deliver(command, 7)
    world.answer(lost.orders[0], 500)
    world.run_until(world.now_ms + 600)
    again = world.executions[-1]
    assert (again.run, again.attempt, again.message, again.target) == (lost.orders[0].run, 2, b'"own"', OTHER)


def test_a_trigger_names_who_asked_when_its_command_is_read_again() -> None:
    world = World()
    world.create("a", when=EACH_SECOND)
    world.now_ms += 10
    command = world.command("trigger", "a", actor="ann")
    lost = Crash(world, lambda: world.deliver(command, 7))
    take_over(world, lost.orders)
    world.deliver(command, 7)
    assert [run.triggered_by for run in row(world).runs] == ["ann"]


def test_what_the_rows_know_is_not_adopted() -> None:
    """An order that was logged, answered, and followed by another run: nobody will answer it again."""
    world = World()
    world.create("a", when=EACH_SECOND, retry=RetryPolicy(1, "fixed", 100, jitter=0.0))
    world.now_ms += 10
    world.tell("trigger", "a")
    trigger = world.executions[-1]
    world.answer(trigger)
    world.run_until(T0 + 1000)
    slot = world.executions[-1]
    world.answer(slot, 500)
    world.run_until(T0 + 1200)
    retry = world.executions[-1]
    world.answer(retry)
    world.tell("trigger", "a")
    before = row(world)
    for order in (trigger, slot, retry, world.executions[-1]):
        assert take_over(world, [order]) == []
    assert row(world) == before


def test_what_no_row_can_take_is_left() -> None:
    world = World()
    lost = _one_shot(world)
    order = lost.orders[0]
    others = [
        replace(order, revision=2),  # the row is another one by now
        replace(order, schedule="gone"),
        replace(order, not_after_ms=T0),  # recorded before it was emitted
        replace(order, attempt=2),
        replace(order, epoch=0),  # the row was written by a newer owner
    ]
    for other in others:
        work = world._work([*world.rows, b"S\x00default\x00gone"])
        work.now_ms = order.emitted_ms
        work.entries.setdefault(s_key(other.namespace, other.schedule), work.newest)
        assert adopt(work, [other]) == []
        assert not any(entry.touched for entry in work.entries.values())
    assert take_over(world, lost.orders) == lost.orders


@pytest.mark.parametrize("overlap", ["skip", "allow"])
def test_a_run_that_was_said_to_be_skipped_is_not_called(overlap: str) -> None:
    """Skipped for the run before it, which is over when the next owner comes; or for the hour, by a clock that was ahead."""
    world = World()
    lateness = {} if overlap == "skip" else {"max_lateness_ms": 500}
    world.create("a", when=EACH_SECOND, missed="run_all", overlap=overlap, **lateness)
    world.run_until(T0 + 1000)
    if overlap == "allow":
        world.now_ms = T0 + 2600
    lost = Crash(world, lambda: world.run_until(T0 + 2600))
    assert len(lost.said) == 1
    work = world._work(list(world.rows))
    work.now_ms = work.horizon_ms = lost.said[0].finished_ms
    assert adopt_given_up(work, lost.said) == 1
    world._carry_out(work)
    assert (world.rows, world.completions) == (lost.logged, lost.said)
    work = world._work(list(world.rows))
    assert adopt_given_up(work, lost.said) == 0, "it is known now"
    world.answer(world.executions[0])
    world.run_until(T0 + 2700)
    assert lost.said[0].run not in {each.run for each in world.executions}


def test_what_was_given_up_of_other_rows_is_left() -> None:
    world = World()
    world.create("a", when=EACH_SECOND, missed="skip", at_most_once=True)
    world.create("b", when=EACH_SECOND, missed="skip")
    world.now_ms = T0 + 3500
    lost = Crash(world, lambda: world.run_until(T0 + 3500))
    once = [each for each in lost.said if each.schedule_id == "a"]
    gone = [replace(each, schedule_id="gone") for each in once]
    on_demand = [replace(each, run="run_x") for each in lost.said if each.schedule_id == "b"]
    assert len(once) == len(on_demand) == 2
    work = world._work([*world.rows, s_key("default", "gone")])
    assert adopt_given_up(work, [*once, *gone, *on_demand]) == 0


def _said(run: str, state: str, finished_ms: int, attempts: int = 0) -> bytes:
    return encode_public(
        Completion(run, "a", "default", "paid", "", "", state, attempts, "", finished_ms=finished_ms, slot_ms=T0)
    )


def test_the_newest_step_that_gave_up_is_read_and_little_else() -> None:
    older = [_said(f"o{number}", "skipped", T0 + number) for number in range(9)]
    newest = [_said("n0", "skipped", T0 + 100), _said("n1", "missed", T0 + 100)]
    other = [_said("x", "succeeded", T0 + 200, 1), _said("y", "cancelled", T0 + 200)]
    for log, expected, pages in (
        ([*older, *newest, *other], ["n0", "n1"], 2),
        ([*older, *newest], ["n0", "n1"], 1),
        (other, [], 1),
        ([*newest, b"{", b"", b"{", b""], ["n0", "n1"], 2),
    ):
        last, high, read = LastGivenUp(), len(log), 0
        while high > 0:
            read += 1
            if not last.take(log[max(0, high - 4) : high]):
                break
            high -= 4
        assert ([each.run for each in last.completions], read) == (expected, pages)


def _order(run: str, epoch: int, emitted_ms: int) -> Execution:
    return Execution(run, 1, "default", "a", "paid", T0, T0, emitted_ms, epoch, TARGET, b"null")


def _mark(epoch: int) -> bytes:
    return encode_owner_mark(OwnerMark(epoch, T0))


def _read(*log: Execution | bytes, page: int = 2) -> tuple[list[str], int]:
    """(the runs of the last step, pages read)."""
    values = [each if isinstance(each, bytes) else encode_execution(each) for each in log]
    last, high, pages = LastStep(), len(values), 0
    while high > 0:
        low = max(0, high - page)
        pages += 1
        if not last.take(values[low:high]):
            break
        high = low
    return [each.run for each in last.orders], pages


def test_the_last_step_is_read_and_little_else() -> None:
    older = [_order(f"o{number}", 5, T0 + number) for number in range(50)]
    newest = [_order(f"n{number}", 5, T0 + 100) for number in range(5)]
    assert _read(*older, *newest) == ([f"n{number}" for number in range(5)], 3)
    assert _read(*older, *newest[:4]) == ([f"n{number}" for number in range(4)], 3)
    assert _read(*newest) == ([f"n{number}" for number in range(5)], 3)
    assert _read() == ([], 0)


def test_a_record_of_nobody_is_passed_over() -> None:
    assert _read(_order("a", 5, T0), b"\xc1", b"", b"\xc1", b"", b"[]") == (["a"], 3)


@pytest.mark.parametrize("page", [1, 2, 3, 9])
def test_what_was_on_its_way_when_its_owner_was_replaced_is_none_of_ours(page: int) -> None:
    """It stands behind its successor's mark: executors drop it, so nobody may wait for its result."""
    last = [_order(f"a{number}", 5, T0 + 5) for number in range(2)]
    late = [_order(f"l{number}", 5, T0 + 10) for number in range(3)]
    for log, expected in (
        ([_mark(5), *last, _mark(6), *late, _mark(7)], ["a0", "a1"]),  # the successor died before it ordered anything
        ([_mark(5), *last, late[0], _mark(6), *late[1:], _mark(7), _mark(8)], ["l0"]),  # the step was cut in two
        ([_mark(5), *last, _mark(6), _order("b", 6, T0 + 9), *late, _order("c", 6, T0 + 9), _mark(7)], ["b", "c"]),
        ([_mark(5), *last, _mark(6), _mark(5), *late, _mark(7)], ["a0", "a1"]),  # a mark of its own on its way, too
        ([_mark(6), *late], []),
    ):
        assert _read(*log, page=page)[0] == expected


def test_an_owner_that_ordered_little_is_read_back_to_its_mark() -> None:
    older = [_order(f"o{number}", 5, T0 + number) for number in range(50)]
    assert _read(*older, _mark(6), _order("n", 6, T0 + 100), _mark(7)) == (["n"], 3)


def test_what_a_replaced_owner_sent_behind_its_successor_is_none_of_ours() -> None:
    """Executors drop it. Also where more of it stands there than a page holds."""
    stale = [_order(f"s{number}", 5, T0 + 10) for number in range(6)]
    assert _read(_order("x", 5, T0), _order("a", 6, T0 + 5), *stale)[0] == ["a"]
