"""A small compacted topic, kept in memory and followed: routes and other definitions that every process needs whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from squirrel.model.errors import Fatal
from squirrel.model.limits import MIB

DEFINITIONS_MAX: Final = 100_000
DEFINITIONS_BYTES_MAX: Final = 64 * MIB  # keys and values together

Changed = Callable[[bytes, bytes | None], None]


class DefinitionsTail:
    """Reads a single-partition topic from its beginning, without a group, and goes on following it.

    `values` is key -> value as of the last record read; a tombstone removes. Reading it needs no await.
    """

    def __init__(
        self,
        brokers: str,
        topic: str,
        *,
        client_id: str,
        fail: Callable[[BaseException], None],
        changed: Changed | None = None,
    ) -> None:
        """`changed(key, value or None)` after every change, in order. `fail` when the topic cannot be followed any more."""
        self.values: dict[bytes, bytes] = {}
        self.next_offset = 0
        self._brokers = brokers
        self._tp = TopicPartition(topic, 0)
        self._client_id = client_id
        self._fail = fail
        self._changed = changed
        self._size_bytes = 0
        self._end = 0
        self._moved = asyncio.Condition()
        self._consumer: Any = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connects and begins to read; `ready` tells when everything written before this call is in `values`."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._brokers,
            client_id=self._client_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
        )
        try:
            await consumer.start()
            consumer.assign([self._tp])
            self.next_offset = (await consumer.beginning_offsets([self._tp]))[self._tp]
            self._end = (await consumer.end_offsets([self._tp]))[self._tp]
            consumer.seek(self._tp, self.next_offset)
        except BaseException:
            await consumer.stop()
            raise
        self._consumer = consumer
        self._task = asyncio.get_running_loop().create_task(self._follow(), name=f"tail-{self._tp.topic}")

    async def ready(self) -> None:
        """Returns when `values` holds all that was in the topic at `start`."""
        await self._reach(self._end)

    async def reached(self, offset: int) -> None:
        """Returns when the record at `offset` is in `values`: a writer waits for its own change."""
        await self._reach(offset + 1)

    async def stop(self) -> None:
        """Harmless when it was never started, and twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()

    async def _reach(self, next_offset: int) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self.next_offset >= next_offset)

    async def _follow(self) -> None:
        try:
            while True:
                batch = (await self._consumer.getmany(self._tp, timeout_ms=1000)).get(self._tp, ())
                self._take(batch)
                reached = await self._consumer.position(self._tp)  # compaction leaves holes that no record fills
                async with self._moved:
                    self.next_offset = reached
                    self._moved.notify_all()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - stale definitions would be used for ever
            self._fail(Fatal(f"{self._tp.topic} cannot be followed: {error!r}"))

    def _take(self, batch: Iterable[Any]) -> None:
        for record in batch:
            key = record.key or b""
            former = self.values.pop(key, None)
            if former is not None:
                self._size_bytes -= len(key) + len(former)
            if record.value is not None:
                self.values[key] = record.value
                self._size_bytes += len(key) + len(record.value)
            if len(self.values) > DEFINITIONS_MAX or self._size_bytes > DEFINITIONS_BYTES_MAX:
                raise Fatal(
                    f"more than {DEFINITIONS_MAX} definitions or {DEFINITIONS_BYTES_MAX} bytes; remove the ones no longer used"
                )
            if self._changed is not None:
                self._changed(key, record.value)
