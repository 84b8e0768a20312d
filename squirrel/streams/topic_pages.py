"""A topic read from its end towards its beginning, or from its beginning once: for questions of people, without a group."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from squirrel.model.errors import Unavailable

CHUNK_RECORDS: Final = 200  # of one partition at a time
READ_SECONDS_MAX: Final = 10.0


class Kept(NamedTuple):
    """A record, where it stands, and Kafka's own instant of it (epoch ms)."""

    timestamp_ms: int
    partition: int
    offset: int
    value: bytes


class TopicPages:
    """One consumer, made when first asked; questions take turns. Raises Unavailable while Kafka cannot be read."""

    def __init__(self, brokers: str, topic: str, *, client_id: str) -> None:
        self._brokers = brokers
        self._topic = topic
        self._client_id = client_id
        self._consumer: Any = None
        self._turn = asyncio.Lock()

    async def stop(self) -> None:
        """Harmless when it was never asked, and twice."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()

    async def beginnings(self) -> dict[int, int]:
        """The first offset that each partition still has."""
        return (await self._ends())[0]

    async def backwards(self, below: Mapping[int, int] | None = None) -> AsyncIterator[Kept]:
        """Newest first by Kafka's instant, of what lies below these offsets (of the partitions that are named); None is all."""
        begins, ends = await self._ends()
        if below is not None:
            ends = {each: min(end, below.get(each, end)) for each, end in ends.items()}
        walks = {partition: _Walk(partition, begins[partition], ends[partition]) for partition in begins}
        heads: list[tuple[int, int, int]] = []  # newest first: (-instant, partition, -offset)
        for walk in walks.values():
            await self._push(heads, walk)
        while heads:
            _, partition, _ = heapq.heappop(heads)
            walk = walks[partition]
            yield walk.kept.pop()
            await self._push(heads, walk)

    async def forwards(self) -> AsyncIterator[list[Kept]]:
        """All there is now, partition by partition, in the order of offsets."""
        begins, ends = await self._ends()
        for partition in sorted(begins):
            at = begins[partition]
            while at < ends[partition]:
                found, at = await self._read(partition, at, min(ends[partition], at + CHUNK_RECORDS))
                yield found

    async def value_at(self, partition: int, offset: int) -> bytes | None:
        """The record at exactly this offset; None when it was compacted or deleted."""
        begins, ends = await self._ends()
        if not begins.get(partition, 0) <= offset < ends.get(partition, 0):
            return None
        found, _ = await self._read(partition, offset, offset + 1)
        return found[0].value if found else None

    async def _push(self, heads: list[tuple[int, int, int]], walk: _Walk) -> None:
        while not walk.kept and walk.end > walk.begin:
            start = max(walk.begin, walk.end - CHUNK_RECORDS)
            walk.kept, _ = await self._read(walk.partition, start, walk.end)
            walk.end = start
        if walk.kept:
            last = walk.kept[-1]
            heapq.heappush(heads, (-last.timestamp_ms, walk.partition, -last.offset))

    async def _ends(self) -> tuple[dict[int, int], dict[int, int]]:
        async with self._turn:
            try:
                async with asyncio.timeout(READ_SECONDS_MAX):
                    consumer = await self._connected()
                    tps = [
                        TopicPartition(self._topic, each)
                        for each in sorted(consumer.partitions_for_topic(self._topic) or ())
                    ]
                    begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
            except (KafkaError, OSError, TimeoutError) as error:
                raise await self._away(error) from error
        return {tp.partition: begins[tp] for tp in tps}, {tp.partition: ends[tp] for tp in tps}

    async def _read(self, partition: int, start: int, end: int) -> tuple[list[Kept], int]:
        """Records of [start, end), and the offset where reading stands."""
        tp = TopicPartition(self._topic, partition)
        found: list[Kept] = []
        async with self._turn:
            try:
                async with asyncio.timeout(READ_SECONDS_MAX):
                    consumer = await self._connected()
                    consumer.assign([tp])
                    consumer.seek(tp, start)
                    while await consumer.position(tp) < end:
                        batch = (await consumer.getmany(tp, timeout_ms=500)).get(tp, ())
                        found += [
                            Kept(record.timestamp, partition, record.offset, record.value or b"")
                            for record in batch
                            if record.offset < end
                        ]
            except (KafkaError, OSError, TimeoutError) as error:
                raise await self._away(error) from error
        return found, end

    async def _connected(self) -> Any:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                self._topic,
                bootstrap_servers=self._brokers,
                client_id=self._client_id,
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                fetch_max_wait_ms=50,
            )
            try:
                await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
            consumer.unsubscribe()
            self._consumer = consumer
        return self._consumer

    async def _away(self, error: BaseException) -> Unavailable:
        await self.stop()
        return Unavailable(f"{self._topic} cannot be read now ({type(error).__name__}); ask again", 2)


class _Walk:
    """One partition: what was read and not given yet, oldest first, and how much lies below."""

    __slots__ = ("begin", "end", "kept", "partition")

    def __init__(self, partition: int, begin: int, end: int) -> None:
        self.partition = partition
        self.begin = begin
        self.end = end
        self.kept: list[Kept] = []
