"""The ceilings: what a loop over the bare client reaches on the same broker, doing nothing with the records."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from squirrel.model.limits import MIB
from squirrel.streams.writer import BatchWriter, Record

READ_SECONDS_MAX = 120.0


async def read_records_per_s(brokers: str, topic: str, partitions: int) -> tuple[float, int]:
    """(records/s, records) of a bare `getmany` loop from the beginning to the end of the topic as it is now.

    The rate is from the first list on, which is not counted itself: connecting is no part of it.
    """
    count = 0
    first = 0
    began = time.perf_counter()
    async for records in batches(brokers, topic, partitions):
        if not count:
            began, first = time.perf_counter(), len(records)
        count += len(records)
    if first == count:
        return float(count), count  # a single list: too few to tell
    return (count - first) / (time.perf_counter() - began), count


async def batches(brokers: str, topic: str, partitions: int) -> AsyncIterator[list[Any]]:
    """All records of a topic, in the lists that `getmany` gives; ends at the end offsets of now."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=brokers, max_partition_fetch_bytes=8 * MIB, fetch_max_bytes=64 * MIB, enable_auto_commit=False
    )
    await consumer.start()
    try:
        parts = [TopicPartition(topic, number) for number in range(partitions)]
        ends = await consumer.end_offsets(parts)
        starts = await consumer.beginning_offsets(parts)
        open_parts = {part for part in parts if ends[part] > starts[part]}
        consumer.assign(parts)
        await consumer.seek_to_beginning(*parts)
        async with asyncio.timeout(READ_SECONDS_MAX):
            while open_parts:
                found = await consumer.getmany(timeout_ms=1000, max_records=10_000)
                for records in found.values():
                    yield records
                # The position moves over holes that compaction left.
                open_parts = {part for part in open_parts if await consumer.position(part) < ends[part]}
    finally:
        await consumer.stop()


async def produce(brokers: str, topic: str, chunks: Iterable[dict[int, list[Record]]]) -> tuple[int, float]:
    """(records, seconds in the producer) for appending the chunks, partitions side by side; making a chunk is not counted."""
    count = 0
    seconds = 0.0
    async with BatchWriter(brokers, client_id="bench") as writer:
        for chunk in chunks:
            began = time.perf_counter()
            await asyncio.gather(*(writer.append(topic, number, records) for number, records in chunk.items()))
            seconds += time.perf_counter() - began
            count += sum(map(len, chunk.values()))
    return count, seconds
