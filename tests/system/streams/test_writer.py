"""The batch writer on a real broker: order, offsets, refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from squirrel.model.errors import Fatal
from squirrel.model.limits import RECORD_BYTES_MAX
from squirrel.streams.topics_admin import TopicDescription, TopicsAdmin
from squirrel.streams.writer import BATCH_BYTES, RECORD_OVERHEAD_BYTES, BatchWriter, RecordTooLarge


@pytest.fixture
async def topic(kafka: str, topic_prefix: str) -> str:
    name = f"{topic_prefix}log"
    async with TopicsAdmin(kafka) as admin:
        await admin.apply([TopicDescription(name, 2, 1, {"max.message.bytes": "2097152"})])
    return name


@pytest.fixture
async def writer(kafka: str) -> AsyncIterator[BatchWriter]:
    async with BatchWriter(kafka, client_id="test") as writer:
        yield writer


async def read(kafka: str, topic: str, partition: int) -> list[Any]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka, auto_offset_reset="earliest", max_partition_fetch_bytes=1 << 22
    )
    await consumer.start()
    try:
        tp = TopicPartition(topic, partition)
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        out: list[Any] = []
        while len(out) < end:
            for batch in (await consumer.getmany(tp, timeout_ms=1000)).values():
                out.extend(batch)
        return out
    finally:
        await consumer.stop()


async def test_many_appends_at_once_keep_their_order_and_tell_their_last_offset(
    kafka: str, topic: str, writer: BatchWriter
) -> None:
    value = b"v" * 1000
    lists = [[(b"%d" % number, b"%d/%d" % (number, n) + value, ()) for n in range(1500)] for number in range(6)]
    assert len(lists[0]) * len(value) > 2 * BATCH_BYTES, "each append must need several batches"
    lasts = await asyncio.gather(*(writer.append(topic, 0, each) for each in lists))
    found = await read(kafka, topic, 0)
    assert [record.value for record in found] == [value for each in lists for _, value, _ in each]
    for number, last in enumerate(lasts):
        assert found[last].value == lists[number][-1][1]
    assert writer.records_written == 9000


async def test_tombstones_headers_and_nothing(kafka: str, topic: str, writer: BatchWriter) -> None:
    assert await writer.append(topic, 1, []) == -1
    assert await writer.append(topic, 1, [(b"a", None, ()), (b"b", b"1", [("h", b"x"), ("h", b"y")])]) == 1
    found = await read(kafka, topic, 1)
    assert [(r.key, r.value, list(r.headers)) for r in found] == [
        (b"a", None, []),
        (b"b", b"1", [("h", b"x"), ("h", b"y")]),
    ]


async def test_the_largest_record_goes_and_a_larger_one_stops_its_whole_append(
    kafka: str, topic: str, writer: BatchWriter
) -> None:
    largest = b"v" * (RECORD_BYTES_MAX - RECORD_OVERHEAD_BYTES - 1)
    small = [(b"k", b"v" * 1000, ())] * 1000
    assert await writer.append(topic, 0, [(b"k", largest, ())]) == 0
    with pytest.raises(RecordTooLarge, match=rf"record 1000 for {topic} \(key b'long'\) has") as refused:
        await writer.append(topic, 0, [*small, (b"long", largest, ()), *small])
    assert refused.value.index == 1000
    with pytest.raises(RecordTooLarge):
        await writer.append(topic, 0, [(b"k", b"", [("h", largest + b"vv")])])
    assert await writer.append(topic, 0, [(b"k", b"next", ())]) == 1
    assert [len(record.value) for record in await read(kafka, topic, 0)] == [len(largest), 4]


async def test_a_partition_that_is_not_there_and_a_writer_that_is_not_started_are_fatal(
    kafka: str, topic: str, writer: BatchWriter
) -> None:
    with pytest.raises(Fatal, match=f"{topic}/7"):
        await writer.append(topic, 7, [(b"k", b"v", ())])
    stopped = BatchWriter(kafka, client_id="test")
    with pytest.raises(Fatal, match="before the writer was started"):
        await stopped.append(topic, 0, [(b"k", b"v", ())])
    await stopped.stop()


async def test_no_acknowledgement_within_the_delivery_time_is_fatal(kafka: str, topic_prefix: str) -> None:
    async with BatchWriter(kafka, client_id="test", delivery_seconds=0.5) as writer:
        with pytest.raises(Fatal, match=r"Kafka did not acknowledge 1 records in 0\.5 s"):
            await writer.append(f"{topic_prefix}no.such.topic", 0, [(b"k", b"v", ())])
