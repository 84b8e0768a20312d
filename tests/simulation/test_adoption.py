"""An engine that dies between emitting and logging and comes back late: what was called has one truth, whatever gave it up."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from squirrel.engine.owner import Owner
from squirrel.engine.shell import Engine
from squirrel.model.when import Every, When
from squirrel.wire.owner_mark import owner_mark_of
from tests.judge.history import History
from tests.judge.verdict import judge
from tests.simulation.aftermath import write_down
from tests.simulation.client import Client
from tests.simulation.loop import STAGE, VirtualLoop, pause
from tests.simulation.process import Process
from tests.simulation.scenario import memory
from tests.simulation.seams import twins_in_place
from tests.simulation.workload import Workload
from tests.simulation.world import World

NAME = "dying"
SLOTS = 10


class DyingWorld(World):
    """Its engine dies when it has emitted what is due for the n-th time, and before it logs it; it is away for so long."""

    emissions_left = 1
    away_seconds = 0.0

    def at_point(self, process: Process, name: str) -> None:
        super().at_point(process, name)
        dies = (
            process.role == "engine" and STAGE.get() == "firing" and name.endswith("timeline-changelog append before")
        )
        if not dies:
            return
        self.emissions_left -= 1
        if self.emissions_left == 0:
            self.fault("kill", process.name, self.away_seconds)
            self.kill(process)
            self.loop.call_later(self.away_seconds, self.start, "engine", process.name, context=Context())


class CutWorld(World):
    """Its engine is cut off when what is due leaves it for the n-th time: that arrives when the cut is mended."""

    emissions_left = 1
    away_seconds = 0.0

    def at_point(self, process: Process, name: str) -> None:
        super().at_point(process, name)
        leaves = (
            process.role == "engine" and STAGE.get() == "firing" and name.endswith("squirrel.executions append sent")
        )
        if not leaves:
            return
        self.emissions_left -= 1
        if self.emissions_left == 0:
            self.fault("cut", process.name, self.away_seconds)
            process.cut_since = self.loop.time()
            self.loop.call_later(self.away_seconds, self.mend, process, context=Context())


Faulty = DyingWorld | CutWorld
Ask = Callable[[World, Workload], Coroutine[Any, Any, None]]


def _lived(
    ask: Ask, away_seconds: float, emissions: int, replaced: Any = None, world_of: type[Faulty] = DyingWorld
) -> tuple[list[str], list[str], list[int]]:
    """(what the judge says, final states of the runs that were called, their attempts as the target saw them)."""
    folder = Path(tempfile.mkdtemp(prefix="simulation-", dir=memory()))
    loop = VirtualLoop()
    try:
        with twins_in_place(replaced):
            return loop.run_until_complete(_run(folder, ask, away_seconds, emissions, world_of))
    finally:
        loop.close()
        shutil.rmtree(folder, ignore_errors=True)


async def _run(
    folder: Path, ask: Ask, away_seconds: float, emissions: int, world_of: type[Faulty]
) -> tuple[list[str], list[str], list[int]]:
    world = world_of(1, folder / "world", partitions=1)
    world.away_seconds, world.emissions_left = away_seconds, emissions
    client = Client(world)
    for role in ("engine", "executor", "recorder", "intake"):
        world.start(role, f"{role}1")
    await pause(2.0)
    await ask(world, Workload(world, client, count=0, seconds=1.0, horizon=1.0))
    await pause(60.0)
    judged = await write_down(world, client, world.boot_ns() - 40_000_000_000)
    assert world.emissions_left <= 0, "it died where it should"
    history = History(judged)
    called = dict.fromkeys(call.run for call in history.calls)
    states = [history.completions[run][1] for run in called if run in history.completions]
    violations = [str(each) for each in judge(judged).violations]
    world.close()
    return violations, states, [call.attempt for call in history.calls]


def _rule(missed: str) -> Ask:
    async def ask(world: World, workload: Workload) -> None:
        start_ms = (world.wall_ms() // 1000 + 2) * 1000
        end_ms = start_ms + (SLOTS - 1) * 2000
        asked = {"every_ms": 2000, "start_ms": start_ms, "max_runs": SLOTS, "missed": missed, "overlap": "skip"}
        asked |= {**workload.common(NAME), "max_retries": 2, "fails": 1, "wait_ms": 300, "fallback": False}
        world.scripts[NAME] = lambda attempt: (500 if attempt.number == 1 else 200, 0.003)
        await workload.created(NAME, asked, When(every=Every("second", 2, start_ms), end_ms=end_ms))

    return ask


async def _slow(world: World, workload: Workload) -> None:
    await _rule("run_all")(world, workload)
    world.scripts[NAME] = lambda attempt: (500 if attempt.number == 1 else 200, 1.9)


async def adopt_nothing(self: Engine, owner: object) -> None:
    """An engine of a former release."""
    del self, owner


async def _cancelled_while_away(world: World, workload: Workload) -> None:
    asked = {"at_ms": world.wall_ms() + 1000, **workload.common(NAME), "max_retries": 0, "fails": 0, "fallback": False}
    world.scripts[NAME] = lambda attempt: (200, 0.003)
    await workload.created(NAME, asked, When(at_ms=asked["at_ms"]))
    await pause(2.0)
    await workload._change("cancel", NAME)


@pytest.mark.parametrize("away_seconds", [4.0, 14.0], ids=["within the session", "beyond it"])
@pytest.mark.parametrize("missed", ["skip", "run_last"])
def test_a_slot_that_was_called_is_not_given_up(missed: str, away_seconds: float) -> None:
    violations, states, attempts = _lived(_rule(missed), away_seconds, 1)
    assert violations == []
    assert set(states) == {"succeeded"}
    assert attempts[:2] == [1, 2], "its failed attempt is tried again"


def test_a_retry_that_was_called_is_not_called_twice() -> None:
    violations, states, attempts = _lived(_rule("run_all"), 4.0, 2)
    assert violations == []
    assert set(states) == {"succeeded"}
    assert attempts == [1, 2] * SLOTS


def test_a_cancel_at_the_next_owner_finds_it_in_flight() -> None:
    violations, states, attempts = _lived(_cancelled_while_away, 4.0, 1)
    assert violations == []
    assert (states, attempts) == (["succeeded"], [1])


def test_a_run_that_was_said_to_be_skipped_is_not_called() -> None:
    """Its engine dies when it has said so, for the run before is still open, and is back when that one is over."""
    violations, states, _ = _lived(_slow, 4.0, 2)
    assert violations == []
    assert set(states) == {"succeeded"}


def test_without_adoption_what_was_skipped_is_called() -> None:
    """The teeth of that."""
    violations, _, _ = _lived(_slow, 4.0, 2, {(Engine, "_adopt"): adopt_nothing})
    assert any("ended as skipped and as succeeded" in each for each in violations)


async def _due_once(world: World, workload: Workload, missed: str = "skip") -> None:
    """One slot and no more: the next owner has nothing else to order, so executors hear of it by its mark alone."""
    start_ms = (world.wall_ms() // 1000 + 2) * 1000
    asked = {"every_ms": 2000, "start_ms": start_ms, "max_runs": 1, "missed": missed, "overlap": "skip"}
    asked |= {**workload.common(NAME), "max_retries": 0, "fails": 0, "fallback": False}
    world.scripts[NAME] = lambda attempt: (200, 0.003)
    await workload.created(NAME, asked, When(every=Every("second", 2, start_ms), end_ms=start_ms))


async def _cancelled_at_the_next(world: World, workload: Workload) -> None:
    asked = {"at_ms": world.wall_ms() + 1000, **workload.common(NAME), "max_retries": 0, "fails": 0, "fallback": False}
    world.scripts[NAME] = lambda attempt: (200, 0.003)
    await workload.created(NAME, asked, When(at_ms=asked["at_ms"]))
    await pause(13.0)
    await workload._change("cancel", NAME)


async def unmarked(self: Engine, owner: Owner) -> None:
    """The owner of a former release: it read what was there, and said nothing."""
    writer = self.parts.writer

    class Silent:
        async def append(self, topic: str, partition: int, records: Any) -> int:
            return -1 if owner_mark_of(records[0][1]) else await writer.append(topic, partition, records)

    engine = Engine(replace(self.parts, writer=Silent()), self._recover, self._crash, self._read_back)
    await _adopt(engine, owner)


_adopt = Engine._adopt
UNMARKED = {(Engine, "_adopt"): unmarked}


def test_an_order_on_its_way_when_its_owner_was_replaced_is_not_called() -> None:
    violations, states, _ = _lived(_due_once, 30.0, 1, world_of=CutWorld)
    assert (violations, states) == ([], [])


def test_without_its_successors_mark_it_is_called_although_it_was_skipped() -> None:
    """The teeth of that."""
    violations, states, _ = _lived(_due_once, 30.0, 1, UNMARKED, CutWorld)
    assert states == ["skipped"]
    assert violations


def test_an_order_that_is_still_owed_is_ordered_by_the_successor() -> None:
    async def ask(world: World, workload: Workload) -> None:
        await _due_once(world, workload, "run_all")

    violations, states, attempts = _lived(ask, 30.0, 1, world_of=CutWorld)
    assert (violations, states, attempts) == ([], ["succeeded"], [1])


def test_without_adoption_the_judge_says_so() -> None:
    """The teeth of the tests above."""
    violations, states, _ = _lived(_rule("skip"), 4.0, 1, {(Engine, "_adopt"): adopt_nothing})
    assert any("was attempted 1 times, 2 are owed" in each for each in violations)
    assert states[0] == "skipped"
