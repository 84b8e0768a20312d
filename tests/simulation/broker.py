"""The twin of a Kafka broker: topics, partitions, offsets, idempotent appends, compaction, a broker that is away for a while.

Latencies are drawn from the world's chance. A request that was sent arrives although its sender has died since.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from contextvars import Context
from typing import Any, NamedTuple

from aiokafka.errors import InvalidProducerEpoch, OutOfOrderSequenceNumber
from aiokafka.record.memory_records import MemoryRecords

Headers = Sequence[tuple[str, bytes]]


class Record(NamedTuple):
    """As aiokafka hands it over."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Log:
    """One partition."""

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.records: list[Record] = []
        self.first = 0
        self.next = 0
        self.producers: dict[
            int, tuple[int, int, int]
        ] = {}  # id -> (epoch, next sequence, base offset of the last batch)

    def append(self, records: Iterable[tuple[bytes | None, bytes | None, Headers]], timestamp: int) -> int:
        """The offset of the first one."""
        base = self.next
        for key, value, headers in records:
            self.records.append(Record(self.topic, self.partition, self.next, timestamp, key, value, headers))
            self.next += 1
        return base

    def read(self, offset: int, limit: int) -> list[Record]:
        start = bisect_left(self.records, offset, key=lambda record: record.offset)
        return self.records[start : start + limit]

    def compact(self, tombstones_before: int) -> int:
        """Keeps the newest record of each key; tombstones stay until their time is over. The last record is never touched."""
        newest = {record.key: record.offset for record in self.records}
        kept = [
            record
            for record in self.records
            if record.offset == self.next - 1
            or (
                newest[record.key] == record.offset
                and (record.value is not None or record.timestamp >= tombstones_before)
            )
        ]
        removed = len(self.records) - len(kept)
        self.records = kept
        return removed


class Broker:
    """One broker. `away` while it is down: requests wait at its door, in order."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.topics: dict[str, list[Log]] = {}
        self.away = False
        self.back_at = 0.0
        self._door: list[Callable[[], None]] = []
        self._names: dict[str, tuple[int, int]] = {}
        self._watchers: dict[Callable[[str, int], None], None] = {}  # in order: a set's would change from run to run

    def create(self, topic: str, partitions: int) -> None:
        self.topics[topic] = [Log(topic, number) for number in range(partitions)]

    def log(self, topic: str, partition: int) -> Log:
        return self.topics[topic][partition]

    def watch(self, told: Callable[[str, int], None]) -> None:
        """`told(topic, partition)` after every append."""
        self._watchers[told] = None

    def unwatch(self, told: Callable[[str, int], None]) -> None:
        self._watchers.pop(told, None)

    # --- the network ------------------------------------------------------------------------------------------------

    def send(self, sender: Any, arrived: Callable[[], None]) -> None:
        """`arrived()` runs at the broker when the request is there."""
        asyncio.get_running_loop().call_later(self.world.latency(), self._arrive, sender, arrived, context=Context())

    def _arrive(self, sender: Any, arrived: Callable[[], None]) -> None:
        if self.away:
            self._door.append(lambda: self._arrive(sender, arrived))
        elif sender is not None and sender.cut_since is not None:
            sender.world.cut_off(sender, lambda: self._arrive(sender, arrived))
        else:
            arrived()

    async def ask(self, sender: Any, question: Callable[[], Any]) -> Any:
        """A request and its answer, both on the network."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def answer() -> None:
            try:
                found, error = question(), None
            except Exception as raised:  # noqa: BLE001 - the answer is an error
                found, error = None, raised
            self.reply(sender, future, found, error)

        self.send(sender, answer)
        return await future

    def reply(self, sender: Any, future: asyncio.Future[Any], found: Any, error: Exception | None = None) -> None:
        """The answer travels back."""
        del sender

        def arrive() -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(found)

        asyncio.get_running_loop().call_later(self.world.latency(), arrive, context=Context())

    def leave(self) -> None:
        """The broker goes down; what it has acknowledged stays."""
        self.away = True

    def come_back(self) -> None:
        """It serves again; what waited at the door comes in, in order."""
        self.away = False
        self.back_at = asyncio.get_running_loop().time()
        waiting, self._door = self._door, []
        for enter in waiting:
            enter()

    # --- fences -----------------------------------------------------------------------------------------------------

    def taken(self, name: str) -> tuple[int, int]:
        """The producer id of a name, with a higher epoch for whoever asks for it."""
        producer_id, epoch = self._names.get(name, (next(self.world.producer_ids), -1))
        self._names[name] = producer_id, epoch + 1
        return producer_id, epoch + 1

    # --- appends ----------------------------------------------------------------------------------------------------

    def produce(self, topic: str, partition: int, data: bytes) -> int:
        """A batch as it travels. A copy is known by its sequence number; one of a producer that was replaced is refused."""
        batch = MemoryRecords(data).next_batch()
        log = self.log(topic, partition)
        epoch, expected, last_base = log.producers.get(batch.producer_id, (-1, 0, -1))
        if batch.producer_epoch < epoch:
            self.world.count("fenced_append_refused")
            raise InvalidProducerEpoch
        if batch.producer_epoch > epoch:
            expected = 0
        elif batch.base_sequence < expected:
            return last_base
        if batch.base_sequence != expected:
            raise OutOfOrderSequenceNumber
        records = [(record.key, record.value, tuple(record.headers)) for record in batch]
        base = self.append(topic, partition, records)
        log.producers[batch.producer_id] = (batch.producer_epoch, expected + len(records), base)
        return base

    def append(self, topic: str, partition: int, records: Sequence[tuple[Any, Any, Headers]]) -> int:
        """At the broker: the base offset of what was appended."""
        log = self.log(topic, partition)
        base = log.append(records, self.world.wall_ms())
        self.world.appended(log.records[len(log.records) - len(records) :])
        for told in tuple(self._watchers):
            told(topic, partition)
        return base
