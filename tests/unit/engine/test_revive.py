"""`force: revive`: a foreign API's PUT and DELETE reach a schedule that is over; nobody else's do."""

from __future__ import annotations

import pytest

from squirrel.engine.changes import REVIVE
from squirrel.model.schedule import MOVES, State
from squirrel.model.when import When
from tests.unit.engine.world import T0, World, spec


def finished() -> World:
    world = World()
    world.create("a")
    world.run_until(T0 + 1000)
    world.answer(world.executions[0])
    assert world.state("a") is State.FINISHED
    return world


def test_an_update_starts_it_again() -> None:
    world = finished()
    later = spec(when=When(at_ms=T0 + 9000))
    assert world.tell("update", "a", spec=later).code == "too_late"
    assert world.tell("update", "a", spec=later, force=REVIVE).code == "changed"
    row = world.row("a")
    assert row is not None
    assert (row.state, row.slot_ms, row.expires_ms, row.reason) == (State.ACTIVE, T0 + 9000, None, "")
    world.run_until(T0 + 9000)
    world.answer(world.executions[1])
    assert world.completed("a") == ["succeeded", "succeeded"]
    assert world.state("a") is State.FINISHED


def test_a_cancel_takes_it_off_the_lists_and_calls_nothing() -> None:
    world = finished()
    assert world.tell("cancel", "a").code == "too_late"
    assert world.tell("cancel", "a", force=REVIVE).code == "cancelled"
    assert world.state("a") is State.CANCELLED
    world.run_until(T0 + 60_000)
    assert len(world.executions) == 1
    assert world.completed("a") == ["succeeded"]


def test_an_update_of_a_cancelled_one_makes_it_new() -> None:
    world = World()
    world.create("a")
    world.tell("cancel", "a")
    assert world.tell("update", "a", spec=spec(when=When(at_ms=T0 + 5000)), force=REVIVE).code == "changed"
    world.run_until(T0 + 5000)
    assert len(world.executions) == 1


def test_a_one_shot_on_its_way_is_not_cancelled_even_so() -> None:
    world = World()
    world.create("a")
    world.run_until(T0 + 1000)
    assert world.tell("cancel", "a", force=REVIVE).code == "too_late"


@pytest.mark.parametrize("state", [State.FINISHED, State.CANCELLED])
def test_the_table_of_moves_knows(state: State) -> None:
    assert State.ACTIVE in MOVES[state]
