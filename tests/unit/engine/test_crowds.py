"""Crowds at one owner: who is emitted while a namespace has more due than a step takes. Time stands where a test puts it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from squirrel.engine.admission import HELD_LOOK_MS, KEPT_PART, REPLAYED_PART
from squirrel.engine.owner import Owner
from squirrel.engine.parts import Counters, EngineParts, TopicNames
from squirrel.model.flow import Flow, flow_group
from squirrel.model.limits import DUE_BATCH_MAX
from squirrel.model.schedule import Spec
from squirrel.model.when import When
from squirrel.recurrence import no_calendars
from squirrel.streams.timeline.store import TimelineStore
from squirrel.wire.public import Result
from squirrel.wire.records import Command, Execution, decode_execution, encode_command
from tests.unit.engine.world import T0, TARGET

TOPICS = TopicNames(
    "commands", "results", "changelog", "executions", "completions", "letters", "refused", "definitions"
)
WINDOW = 60
OF_A_CROWD = WINDOW - WINDOW // KEPT_PART
CROWD = 1_000
BEFORE_MS = T0 - 60_000
BULK_MS = T0 - 30_000  # long due


class Clock:
    """Time that only a test moves."""

    ms = BEFORE_MS

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


class Partition:
    """An owner over a store of its own; what it emits is kept, and answered when a test says so."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.emitted: list[Execution] = []
        self.offsets = count()
        self.store = TimelineStore(folder)
        self.store.open(0)
        parts = EngineParts(
            store=self.store, writer=self, topics=TOPICS, partitions=1, refused_partitions=1, clock=self.clock,
            route=lambda namespace, event: None, calendars=lambda namespace: no_calendars,
            listeners=lambda namespace, event: (), draw=lambda: 0.5, counters=Counters(), emit_ahead_ms=0,
            observe_lateness=lambda lateness_ms: None, log=None, emit_window=WINDOW,
        )  # fmt: skip
        self.owner = Owner(parts, 0, 1)

    async def append(self, topic: str, partition: int, records: Sequence[Any]) -> int:
        if topic == TOPICS.executions:
            self.emitted += [decode_execution(value) for _, value, _ in records]
        return next(self.offsets)

    async def tell(self, *commands: Command) -> None:
        records = [SimpleNamespace(offset=next(self.offsets), key=b"", value=encode_command(each)) for each in commands]
        await self.owner.take_commands(records)

    async def create(self, prefix: str, number: int, at_ms: int, **fields: Any) -> None:
        made = Spec("paid", When(at_ms=at_ms), target=TARGET, **fields)
        ids = [f"{prefix}{n:04d}" for n in range(number)]
        await self.tell(*(Command("create", "default", each, f"c-{each}", self.clock.ms, spec=made) for each in ids))

    async def in_flow(self, key: str, number: int, at_ms: int, **limits: Any) -> None:
        """Schedules `<key>0000` and on, as the door makes them: in the group of their flow."""
        await self.create(key, number, at_ms, flow=Flow(key, **limits), group=flow_group(key))

    async def step(self) -> list[str]:
        """Whose attempts one firing step orders."""
        before = len(self.emitted)
        await self.owner.fire(DUE_BATCH_MAX)
        return [each.schedule for each in self.emitted[before:]]

    async def answer(self, number: int) -> None:
        """The oldest so many attempts under way end well, now."""
        done, self.emitted = self.emitted[:number], self.emitted[number:]
        results = [
            Result(
                run=each.run, schedule_id=each.schedule, namespace=each.namespace, event=each.event, slot="", due="",
                emitted="", picked_up="", started="", finished="", attempt=each.attempt, state="succeeded", target={},
                status=200, finished_ms=self.clock.ms, started_ms=self.clock.ms - 1, due_ms=each.due_ms,
            )
            for each in done
        ]  # fmt: skip
        await self.owner.take_results([SimpleNamespace(value=each, offset=0) for each in results], lambda value: value)

    @property
    def under_way(self) -> int:
        return len(self.emitted)


@pytest.fixture
async def partition(tmp_path: Path) -> AsyncIterator[Partition]:
    made = Partition(tmp_path)
    yield made
    made.store.close_all()


async def test_a_flow_with_a_crowd_delays_no_other_flow_and_no_schedule_without_one(partition: Partition) -> None:
    await partition.in_flow("bulk", CROWD, BULK_MS, parallelism=2)
    await partition.in_flow("mail", 1, BULK_MS + 1, parallelism=2)
    await partition.create("plain", 1, BULK_MS + 1)
    partition.clock.ms = T0
    first = await partition.step()
    assert {"mail0000", "plain0000"} <= set(first), "in the first step, beside a thousand that are due before them"
    assert sum(each.startswith("bulk") for each in first) == 2, "the flow itself keeps to its limit"


async def test_a_crowd_without_a_flow_delays_no_flow(partition: Partition) -> None:
    await partition.create("bulk", CROWD, BULK_MS)
    await partition.in_flow("mail", 3, T0 - 100, parallelism=10)
    partition.clock.ms = T0
    first = await partition.step()
    assert [each for each in first if each.startswith("mail")] == ["mail0000", "mail0001", "mail0002"]
    assert len(first) == OF_A_CROWD + 3


async def test_what_comes_due_behind_a_crowd_has_room_although_nobody_has_answered(partition: Partition) -> None:
    """A crowd's calls hang, or its instant has just been: what is due a moment later does not wait for their ends."""
    await partition.create("bulk", CROWD, T0)
    await partition.create("after", WINDOW // KEPT_PART, T0 + 1)
    partition.clock.ms = T0
    assert len(await partition.step()) == OF_A_CROWD
    assert await partition.step() == [], "the rest of the window is not the crowd's"
    assert partition.owner.admission.look_again_ms(T0) == HELD_LOOK_MS, "nobody may answer, and more may come due"
    partition.clock.ms = T0 + 1
    after = await partition.step()
    assert len(after) == WINDOW // KEPT_PART
    assert all(each.startswith("after") for each in after)
    assert partition.under_way == WINDOW


async def test_within_a_flow_and_within_a_group_nobody_goes_before_the_crowd(partition: Partition) -> None:
    await partition.in_flow("a", CROWD, BULK_MS, parallelism=500)
    await partition.in_flow("a9", 5, BULK_MS + 1, parallelism=500)  # another key
    late = Spec("paid", When(at_ms=BULK_MS + 1), target=TARGET, flow=Flow("a", parallelism=500), group=flow_group("a"))
    await partition.tell(Command("create", "default", "late", "c-late", BEFORE_MS, spec=late))
    await partition.create("ordered", 5, BULK_MS + 2, group="g")
    partition.clock.ms = T0
    first = await partition.step()
    assert sum(each.startswith("a9") for each in first) == 5
    assert not [each for each in first if each == "late" or each.startswith("ordered")]


async def test_what_is_made_up_for_shares_one_budget_with_live_traffic_which_goes_first(partition: Partition) -> None:
    """An outage is over: a backlog that is long due, and each answer's place goes to what is due now while there is any."""
    await partition.create("owed", CROWD, BULK_MS)
    partition.clock.ms = T0
    while await partition.step():
        assert partition.under_way <= WINDOW
    assert partition.under_way == OF_A_CROWD, "what was owed has filled its part"
    for second in range(20):
        partition.clock.ms = T0 + second * 1000
        await partition.create(f"live{second}-", 2, partition.clock.ms)
        await partition.answer(2)
        assert {f"live{second}-0000", f"live{second}-0001"} <= set(await partition.step())
        assert partition.under_way <= WINDOW
    await partition.answer(partition.under_way - OF_A_CROWD + 10)
    caught_up = await partition.step()
    assert len(caught_up) == 10, "and with nothing live due the backlog has all of it"
    assert all(each.startswith("owed") for each in caught_up)


async def test_replays_have_their_part_of_the_budget_and_wait_behind_live_traffic_beyond_it(
    partition: Partition,
) -> None:
    await partition.create("done", 200, BULK_MS)
    partition.clock.ms = T0
    while await partition.step():
        await partition.answer(partition.under_way)
    assert partition.under_way == 0

    again = [Command("replay", "default", f"done{n:04d}", f"r{n}", T0, run=f"run_{n}") for n in range(200)]
    await partition.tell(*again)
    assert partition.under_way == WINDOW // REPLAYED_PART, "at once only into a part of the window"
    partition.clock.ms += 1
    await partition.create("live", 10, partition.clock.ms)
    first = await partition.step()
    assert [each for each in first if each.startswith("live")] == [f"live{n:04d}" for n in range(10)]
    assert partition.under_way == OF_A_CROWD + 10
    partition.clock.ms += 5
    replayed = {each.schedule for each in partition.emitted if each.replay_of}
    while partition.under_way:
        await partition.answer(7)
        await partition.step()
        assert partition.under_way <= WINDOW
        replayed |= {each.schedule for each in partition.emitted if each.replay_of}
    assert len(replayed) == 200, "and none is lost"
