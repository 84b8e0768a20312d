"""A changelog on a real Kafka, its local copies, and what recovers them: for the tests of recovery and of damage."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from squirrel.runtime.clock import SystemClock
from squirrel.streams.timeline.changes import changes_of, row_keys
from squirrel.streams.timeline.keys import s_key
from squirrel.streams.timeline.recovery import Recovered, Recovery, RecoverySettings
from squirrel.streams.timeline.store import TimelineStore
from squirrel.streams.topics_admin import TopicDescription, TopicRefused, TopicsAdmin
from squirrel.streams.writer import BatchWriter
from tests.eventually import eventually
from tests.unit.streams.rows import encoded

DAY_MS = 86_400_000
P = 1
Records = list[tuple[bytes, bytes | None]]


class Skewed:
    """The machine's clock, ahead by `ahead_ms`."""

    def __init__(self) -> None:
        self.ahead_ms = 0
        self._clock = SystemClock()

    def now_ms(self) -> int:
        return self._clock.now_ms() + self.ahead_ms

    def monotonic(self) -> float:
        return self._clock.monotonic()


class Log:
    """A changelog and what recovers from it. `write` is the live path: log, then local."""

    def __init__(self, kafka: str, topic: str, folder: Path, writer: BatchWriter) -> None:
        self.kafka = kafka
        self.topic = topic
        self.folder = folder
        self.writer = writer
        self.clock = Skewed()
        self.noted: list[str] = []
        self.progress: list[tuple[int, int, int]] = []

    def store(self, name: str = "disk") -> TimelineStore:
        return TimelineStore(self.folder / name, cache_bytes=1 << 20, write_buffer_bytes=1 << 20)

    def recovery(self, store: TimelineStore, **changes: Any) -> Recovery:
        writer = changes.pop("writer", None)
        settings: dict[str, Any] = {
            "brokers": self.kafka,
            "changelog": self.topic,
            "client_id": "test",
            "delete_retention_ms": DAY_MS,
            "clock": self.clock,
            "progress": lambda *args: self.progress.append(args),
            "noted": lambda partition, sentence: self.noted.append(sentence),
        }
        return Recovery(RecoverySettings(**settings | changes), store, writer)

    async def write(self, store: TimelineStore | None, records: Records) -> None:
        offset = await self.writer.append(self.topic, P, [(key, value, ()) for key, value in records])
        if store is not None:
            keys = row_keys(records)
            changes = changes_of(records, dict(zip(keys, store.get_many(P, keys), strict=True)))
            store.apply(P, changes, wall_ms=self.clock.now_ms(), changelog_offset=offset)

    async def recreate(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            await admin.delete_topics([self.topic])
        finally:
            await admin.close()
        async with TopicsAdmin(self.kafka) as topics:

            async def made_again() -> bool:  # the broker takes a moment to forget the former one
                with contextlib.suppress(TopicRefused):
                    (report,) = await topics.apply([TopicDescription(self.topic, 2, 1)])
                    return report.outcome == "created"
                return False

            await eventually(made_again)
        self.writer = BatchWriter(self.kafka, client_id="test-again")  # the other's producer remembers the former topic
        await self.writer.start()

    async def delete_before(self, offset: int) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            await admin.delete_records({TopicPartition(self.topic, P): RecordsToDelete(before_offset=offset)})
        finally:
            await admin.close()


def everything(store: TimelineStore) -> dict[bytes, bytes]:
    return {key: value for kind in (b"S", b"W", b"D", b"X") for key, value in store.scan(P, kind, None, 100_000)}


def records(count: int, wake_ms: int = 1000) -> Records:
    return [
        (s_key("default", f"id{n:05}"), encoded(f"id{n:05}", wake_ms=wake_ms + n, tags=("red",))) for n in range(count)
    ]


@contextlib.asynccontextmanager
async def a_log(kafka: str, topic_prefix: str, folder: Path) -> AsyncIterator[Log]:
    """An empty changelog of two partitions."""
    topic = f"{topic_prefix}changelog"
    async with TopicsAdmin(kafka) as admin:
        await admin.apply([TopicDescription(topic, 2, 1, {"cleanup.policy": "compact,delete"})])
    async with BatchWriter(kafka, client_id="test") as writer:
        made = Log(kafka, topic, folder, writer)
        yield made
        await made.writer.stop()


@contextlib.asynccontextmanager
async def recovered(log: Log, name: str = "disk", **changes: Any) -> AsyncIterator[tuple[TimelineStore, Recovered]]:
    store = log.store(name)
    try:
        yield store, await log.recovery(store, **changes).recover(P)
    finally:
        store.close_all()
