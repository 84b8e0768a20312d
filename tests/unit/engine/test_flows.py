"""Flow limits: never more calls than a flow allows, none lost for it, and nothing kept in memory for those that wait."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from squirrel.engine.flows import Flows
from squirrel.model.flow import Flow
from squirrel.model.schedule import RunState
from squirrel.model.target import Route
from squirrel.model.when import When
from tests.unit.engine.world import T0, TARGET, World


def test_a_rate_spaces_the_calls_of_all_schedules_of_a_flow() -> None:
    world = World(ahead_ms=100)
    for name in "abcde":
        world.create(name, flow=Flow("mail", rate_per_second=4))
    world.run_until(T0 + 10_000)
    assert [each.due_ms - T0 for each in world.executions] == [1000, 1250, 1500, 1750, 2000]
    assert all(each.emitted_ms <= each.due_ms for each in world.executions), "a turn is known before it comes"


def test_a_late_run_keeps_its_due_time_when_its_flow_is_free() -> None:
    world = World()
    world.create("late", when=When(at_ms=T0 - 60_000), flow=Flow("mail", rate_per_second=1))
    world.run_until(T0)
    assert world.executions[0].due_ms == T0 - 60_000


def test_parallelism_holds_the_rest_until_calls_end() -> None:
    world = World()
    for name in "abcd":
        world.create(name, flow=Flow("mail", parallelism=2))
    world.run_until(T0 + 5_000)
    assert len(world.executions) == 2
    world.answer(world.executions[0])
    world.run_until(world.now_ms + 1_000)
    assert len(world.executions) == 3
    for execution in list(world.executions[1:]):
        world.answer(execution)
    world.run_until(world.now_ms + 1_000)
    assert len(world.executions) == 4
    world.answer(world.executions[3])
    assert [world.completed(name) for name in "abcd"] == [["succeeded"]] * 4


def test_flows_of_other_keys_and_schedules_without_one_are_not_held() -> None:
    world = World()
    world.create("a", flow=Flow("mail", parallelism=1))
    world.create("b", flow=Flow("mail", parallelism=1))
    world.create("c", flow=Flow("sms", parallelism=1))
    world.create("d")
    world.run_until(T0 + 1_000)
    assert sorted(each.schedule for each in world.executions) == ["a", "c", "d"]


def test_a_retry_takes_its_place_in_the_flow_again() -> None:
    world = World()
    world.create("a", flow=Flow("mail", parallelism=1))
    world.run_until(T0 + 1_000)
    world.answer(world.executions[0], status=500)
    world.create("b", flow=Flow("mail", parallelism=1), when=When(at_ms=world.now_ms))
    world.run_until(world.now_ms)
    assert [each.schedule for each in world.executions] == ["a", "b"], "a waits for its retry and holds no place"
    world.run_until(world.now_ms + 60_000)
    assert len(world.executions) == 2, "b is under way, so the retry of a waits"
    world.answer(world.executions[1])
    world.run_until(world.now_ms + 60_000)
    assert [each.schedule for each in world.executions] == ["a", "b", "a"]


def test_the_routes_flow_holds_for_those_it_gives_a_target() -> None:
    world = World()
    world.routes["order.paid"] = Route("order.*", TARGET, flow=Flow("orders", parallelism=1))
    for name in "ab":
        world.create(name, target=None)
    world.create("own")
    world.run_until(T0 + 2_000)
    assert sorted(each.schedule for each in world.executions) == ["a", "own"]


def test_a_call_that_nobody_reports_counts_in_the_rate_alone() -> None:
    world = World()
    for name in "abc":
        world.create(name, flow=Flow("mail", parallelism=1, rate_per_second=1), fire_and_forget=True)
    world.run_until(T0 + 10_000)
    assert [each.due_ms - T0 for each in world.executions] == [1000, 2000, 3000]


def test_a_new_owner_counts_what_is_under_way() -> None:
    world = World()
    for name in "ab":
        world.create(name, flow=Flow("mail", parallelism=1))
    world.run_until(T0 + 1_000)
    world.flows = Flows()
    world.flows.recount(row for name in "ab" if (row := world.row(name)) is not None)
    assert world.flows.under_way("default", "mail") == 1
    world.run_until(T0 + 10_000)
    assert len(world.executions) == 1


@settings(deadline=None)
@given(
    dues=st.lists(st.integers(0, 3_000), min_size=1, max_size=25),
    rate=st.sampled_from([None, 1.0, 3.0, 50.0]),
    parallelism=st.sampled_from([None, 1, 2, 5]),
    takes=st.integers(1, 900),
    fails=st.integers(0, 3),
)
def test_no_flow_ever_exceeds_its_limits_and_every_run_ends(
    dues: list[int], rate: float | None, parallelism: int | None, takes: int, fails: int
) -> None:
    if rate is None and parallelism is None:
        return
    world = World()
    for number, due in enumerate(dues):
        when = When(at_ms=T0 + due)
        world.create(f"s{number}", when=when, flow=Flow("k", rate_per_second=rate, parallelism=parallelism))
    ends: list[tuple[int, int]] = []  # when a call ends, its place in `executions`
    seen = 0
    for tick in range(T0, T0 + 200_000, 50):
        world.run_until(tick)
        ends += [(tick + takes, place) for place in range(seen, len(world.executions))]
        seen = len(world.executions)
        assert parallelism is None or len(ends) <= parallelism
        for end in [each for each in ends if each[0] <= tick]:
            ends.remove(end)
            world.answer(world.executions[end[1]], status=500 if end[1] < fails else 200)
    begun = sorted(each.due_ms for each in world.executions)
    if rate is not None:
        assert all(later - earlier >= 1000 / rate - 1 for earlier, later in pairwise(begun))
    assert all(world.completed(f"s{number}") == ["succeeded"] for number in range(len(dues)))
    assert all(run.state is not RunState.IN_FLIGHT for number in range(len(dues)) for run in _runs(world, number))


def _runs(world: World, number: int) -> list:  # type: ignore[type-arg]
    row = world.row(f"s{number}")
    return [] if row is None else row.runs
