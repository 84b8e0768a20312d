"""A stalled owner cannot write to a changelog that was taken over: held against a real broker, which does the refusing.

Each test also holds what aiokafka and Kafka must go on doing for `streams/fence.py` to be true.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from squirrel.model.errors import Fatal
from squirrel.streams import fence
from squirrel.streams.fence import Fence
from squirrel.streams.timeline.keys import TAKEN_KEY
from squirrel.streams.topics_admin import TopicDescription, TopicsAdmin
from squirrel.streams.writer import BatchWriter, Record

TAKEN: Record = (TAKEN_KEY, b"engine", ())


@pytest.fixture
async def changelog(kafka: str, topic_prefix: str) -> str:
    topic = f"{topic_prefix}changelog"
    async with TopicsAdmin(kafka) as admin:
        await admin.apply([TopicDescription(topic, 2, 1, {"cleanup.policy": "compact"})])
    return topic


@pytest.fixture
async def former(kafka: str) -> AsyncIterator[BatchWriter]:
    async with BatchWriter(kafka, client_id="former") as writer:
        yield writer


@pytest.fixture
async def later(kafka: str) -> AsyncIterator[BatchWriter]:
    async with BatchWriter(kafka, client_id="later") as writer:
        yield writer


def rows(*values: bytes) -> list[Record]:
    return [(b"S" + value, value, ()) for value in values]


async def values_in(kafka: str, topic: str, partition: int) -> list[bytes]:
    tp = TopicPartition(topic, partition)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        consumer.seek(tp, 0)
        out: list[bytes] = []
        while await consumer.position(tp) < end:
            out += [record.value for record in (await consumer.getmany(tp, timeout_ms=1000)).get(tp, ())]
        return out
    finally:
        await consumer.stop()


async def test_a_former_owner_is_refused_from_the_record_that_took_over(
    kafka: str, changelog: str, former: BatchWriter, later: BatchWriter
) -> None:
    assert await former.take_over(changelog, 0, [TAKEN]) == 0
    assert await former.append(changelog, 0, rows(b"a", b"b")) == 2
    # Nobody took over yet: what the former owner still writes stands before the record, and is read.
    assert await former.append(changelog, 0, rows(b"c")) == 3
    assert await later.take_over(changelog, 0, [TAKEN]) == 4
    with pytest.raises(Fatal, match=rf"{changelog}/0 has another owner by now: Kafka refused 2 records of this one"):
        await former.append(changelog, 0, rows(b"stale", b"stale too"))
    assert await later.append(changelog, 0, rows(b"d")) == 5
    assert await values_in(kafka, changelog, 0) == [b"engine", b"a", b"b", b"c", b"engine", b"d"]


async def test_what_lay_on_the_way_while_its_owner_was_replaced_is_refused(
    kafka: str, changelog: str, former: BatchWriter, later: BatchWriter
) -> None:
    """The taking itself is no fence: a batch that was sent after it and before the record still counts, later ones never."""
    await former.take_over(changelog, 0, [TAKEN])
    held = Fence(former._fences[changelog, 0].producer_id, former._fences[changelog, 0].epoch)
    taken = await fence.take(later._producer.client, f"{changelog}/0")
    assert (taken.producer_id, taken.epoch) == (held.producer_id, held.epoch + 1)
    assert await former.append(changelog, 0, rows(b"just before")) == 1
    later._fences[changelog, 0] = taken
    assert await later.append(changelog, 0, [TAKEN]) == 2
    late = [asyncio.create_task(former.append(changelog, 0, rows(b"%d" % number))) for number in range(5)]
    assert {type(result) for result in await asyncio.gather(*late, return_exceptions=True)} == {Fatal}
    assert await values_in(kafka, changelog, 0) == [b"engine", b"just before", b"engine"]


async def test_one_partition_is_fenced_and_the_others_are_not(
    changelog: str, former: BatchWriter, later: BatchWriter
) -> None:
    await former.take_over(changelog, 0, [TAKEN])
    await former.take_over(changelog, 1, [TAKEN])
    await later.take_over(changelog, 0, [TAKEN])
    assert await former.append(changelog, 1, rows(b"still mine")) == 1
    with pytest.raises(Fatal, match="another owner"):
        await former.append(changelog, 0, rows(b"stale"))


async def test_an_owner_takes_over_from_itself(kafka: str, changelog: str, former: BatchWriter) -> None:
    """A partition that was lost and came back, and the renewal: many batches before and after, in order, none lost."""
    expected: list[bytes] = []
    for turn in range(3):
        await former.take_over(changelog, 0, [TAKEN])
        values = [b"%d.%06d" % (turn, number) + b"x" * 400 for number in range(4000)]  # several batches each
        await former.append(changelog, 0, rows(*values))
        await asyncio.gather(*(former.append(changelog, 0, rows(b"%d-%d" % (turn, number))) for number in range(20)))
        expected += [b"engine", *values, *(b"%d-%d" % (turn, number) for number in range(20))]
    assert await values_in(kafka, changelog, 0) == expected


async def test_batches_are_numbered_past_the_largest_number(kafka: str, changelog: str, former: BatchWriter) -> None:
    """aiokafka goes below zero there (two thousand million records of one partition); the broker goes on at 0."""
    await former.take_over(changelog, 0, [TAKEN])
    await former.append(changelog, 0, rows(b"a"))
    counted = former._fences[changelog, 0]
    assert counted.sequence == 2
    counted.sequence = (1 << 31) - 1
    batch = former._batches(changelog, rows(b"b", b"c"))[0]
    counted.put_on(batch)
    batch._set_producer_state(0, 0, 0)
    assert counted.sequence == 1
