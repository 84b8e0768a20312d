"""Rebalances that a real broker gives only by accident: a missed generation, late records, a log that went back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiokafka.errors import CommitFailedError, OffsetMetadataTooLargeError

from squirrel.runtime.clock import SystemClock
from squirrel.streams.lanes import LaneSettings, TopicPartition
from squirrel.streams.offsets import Offsets
from squirrel.streams.ownership import Ownership
from tests.eventually import eventually

TOPIC = "commands"


class Record(NamedTuple):
    offset: int
    key: bytes = b"k"
    value: bytes = b"v"


class Stage:
    """An ownership whose group, fetcher and owner are played by the test."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.seen: list[int] = []
        self.flows: list[Mapping[TopicPartition, int | None]] = []
        self.committed: list[Mapping[TopicPartition, tuple[int, str]]] = []
        self.refusal: Exception | None = None
        self.failures: list[BaseException] = []
        self.entered, self.free = asyncio.Event(), asyncio.Event()
        self.free.set()
        settings = LaneSettings(
            group="g",
            brokers="none:1",
            client_id="c",
            lanes={TOPIC: self.lane},
            datadir=Path("unused"),
            clock=SystemClock(),
            on_fatal=self.failures.append,
            owner=self,
        )
        self.offsets = Offsets(self.commit, self.failures.append, 3600.0)
        self.ownership = Ownership(settings, self.offsets, self.failures.append, lambda: self, self.flow)

    async def lane(self, topic: str, partition: int, records: Sequence[Any]) -> None:
        self.entered.set()
        await self.free.wait()
        self.seen.extend(record.offset for record in records)

    async def on_assigned(self, partition: int, epoch: int) -> None:
        self.calls.append(("assigned", epoch))

    async def on_retained(self, partition: int, epoch: int) -> None:
        self.calls.append(("retained", epoch))

    async def on_revoked(self, partition: int) -> None:
        self.calls.append(("revoked", 0))

    async def on_lost(self, partition: int) -> None:
        self.calls.append(("lost", 0))

    async def commit(self, marks: Mapping[TopicPartition, tuple[int, str]]) -> set[TopicPartition]:
        if self.refusal is not None:
            raise self.refusal
        self.committed.append(dict(marks))
        return set(marks)

    async def flow(self, positions: Mapping[TopicPartition, int | None]) -> None:
        self.flows.append(dict(positions))

    def hold(self, tp: TopicPartition) -> None: ...

    def release(self, tp: TopicPartition) -> None: ...

    async def settle(self, generation: int) -> None:
        flows = len(self.flows)
        await self.ownership.assign({TopicPartition(TOPIC, 0)}, generation)
        await eventually(lambda: self.ownership.ready() == [0] and len(self.flows) > flows, what="ready")

    async def read(self, generation: int, *offsets: int) -> None:
        self.ownership.deliver(generation, {TopicPartition(TOPIC, 0): [Record(offset) for offset in offsets]})
        await eventually(lambda: self.ownership.workers()[0].waiting() == 0, what="handed over")
        await asyncio.to_thread(lambda: None)


@pytest.fixture
async def stage() -> Stage:
    return Stage()


async def test_the_next_generation_retains_and_goes_on_behind_the_last_record(stage: Stage) -> None:
    await stage.settle(5)
    await stage.read(5, 10, 11, 12)
    await stage.ownership.revoke()
    assert stage.committed == [{TopicPartition(TOPIC, 0): (13, "")}]
    await stage.settle(6)
    assert stage.calls == [("assigned", 5), ("revoked", 0), ("retained", 6)]
    assert stage.flows == [{TopicPartition(TOPIC, 0): None}, {TopicPartition(TOPIC, 0): 13}]


async def test_a_missed_generation_means_somebody_else_may_have_had_it(stage: Stage) -> None:
    await stage.settle(5)
    await stage.read(5, 10)
    await stage.ownership.revoke()
    await stage.settle(7)
    assert stage.calls == [("assigned", 5), ("revoked", 0), ("lost", 0), ("assigned", 7)]
    assert stage.flows[-1] == {TopicPartition(TOPIC, 0): None}, "from where the group is, not from what we remember"
    assert stage.offsets.marked(TOPIC, 0) is None


async def test_records_of_another_generation_are_dropped(stage: Stage) -> None:
    await stage.settle(5)
    stage.ownership.deliver(4, {TopicPartition(TOPIC, 0): [Record(1)]})
    await stage.read(5, 2)
    assert stage.seen == [2]
    await stage.ownership.revoke()
    stage.ownership.deliver(5, {TopicPartition(TOPIC, 0): [Record(3)]})
    assert stage.seen == [2]


async def test_what_was_fetched_before_the_seek_is_not_handed_over_twice(stage: Stage) -> None:
    await stage.settle(5)
    await stage.read(5, 10, 11)
    await stage.ownership.revoke()
    await stage.ownership.assign({TopicPartition(TOPIC, 0)}, 6)
    stage.ownership.deliver(6, {TopicPartition(TOPIC, 0): [Record(9), Record(10), Record(11), Record(12)]})
    await eventually(lambda: 12 in stage.seen, what="the new one")
    assert stage.seen == [10, 11, 12]
    assert stage.failures == []


async def test_what_no_lane_was_handed_is_taken_again_after_a_rebalance(stage: Stage) -> None:
    tp = TopicPartition(TOPIC, 0)
    await stage.settle(5)
    stage.free.clear()
    stage.ownership.deliver(5, {tp: [Record(10)]})
    await stage.entered.wait()
    stage.ownership.deliver(5, {tp: [Record(11)]})
    revoking = asyncio.create_task(stage.ownership.revoke())
    await eventually(lambda: not stage.ownership.active, what="revoking")
    stage.free.set()
    await revoking
    assert stage.seen == [10]
    await stage.settle(6)
    assert stage.flows[-1] == {tp: 11}
    await stage.read(6, 11)
    assert stage.seen == [10, 11]


async def test_a_log_that_goes_back_is_fatal(stage: Stage) -> None:
    await stage.settle(5)
    await stage.read(5, 10)
    with pytest.raises(Exception, match="went back from offset 11 to 0"):
        stage.ownership.deliver(5, {TopicPartition(TOPIC, 0): [Record(0)]})


async def test_marks_wait_for_the_new_generation_when_the_old_one_refused_them(stage: Stage) -> None:
    await stage.settle(5)
    await stage.read(5, 10)
    stage.refusal = CommitFailedError("the group has already rebalanced")
    await stage.ownership.revoke()
    stage.refusal = None
    await stage.offsets.commit()
    assert stage.committed == [], "nothing is committed while the group moves"
    await stage.settle(6)
    await stage.offsets.commit()
    await stage.offsets.commit()
    assert stage.committed == [{TopicPartition(TOPIC, 0): (11, "")}]
    assert stage.failures == []


async def test_a_refused_commit_is_fatal(stage: Stage) -> None:
    await stage.settle(5)
    stage.offsets.mark(TOPIC, 0, 3, "x" * 10_000)
    stage.refusal = OffsetMetadataTooLargeError()
    await stage.offsets.commit()
    assert "refused to commit" in str(stage.failures[0])


async def test_stop_twice_and_after_a_failure(stage: Stage) -> None:
    await stage.settle(5)
    stage.ownership.abandon()
    await stage.ownership.stop(failed=True)
    await stage.ownership.stop(failed=False)
    assert stage.calls == [("assigned", 5), ("lost", 0)]
    assert stage.committed == []
