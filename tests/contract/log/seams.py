"""One seam, two sides of it: the twin of `tests/simulation` and a real Kafka. A check is written once and run over both."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition

from squirrel.runtime.clock import SystemClock
from squirrel.streams.app import lane_app
from squirrel.streams.lanes import LaneSettings
from squirrel.streams.lean_consumer import LeanConsumer
from squirrel.streams.topics_admin import TopicDescription, TopicsAdmin
from squirrel.streams.writer import BatchWriter
from tests.eventually import eventually
from tests.simulation.clients import Consumer
from tests.simulation.loop import VirtualLoop
from tests.simulation.member import MemberApp
from tests.simulation.process import Process
from tests.simulation.seams import twins_in_place
from tests.simulation.world import World

PARTITIONS = 3
COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "200",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "86400000",
}


class Member:
    """One member of a group and what it was handed: (partition, offset, value)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen: list[tuple[int, int, bytes | None]] = []
        self.epochs: dict[int, int] = {}
        self.retained: list[int] = []
        self.fatal: list[BaseException] = []
        self.app: Any = None

    async def take(self, topic: str, partition: int, records: Sequence[Any]) -> None:
        self.seen += [(partition, record.offset, record.value) for record in records]

    async def on_assigned(self, partition: int, epoch: int) -> None:
        self.epochs[partition] = epoch

    async def on_retained(self, partition: int, epoch: int) -> None:
        self.epochs[partition] = epoch
        self.retained.append(partition)

    async def on_revoked(self, partition: int) -> None:
        return

    async def on_lost(self, partition: int) -> None:
        self.epochs.pop(partition, None)

    async def ready(self, count: int) -> None:
        await eventually(lambda: len(self.app.ready()) == count, 20, f"{self.name} has {count} partitions")


class Seam(Protocol):
    """What a check may use."""

    async def topic(self, *, compacted: bool = False) -> str: ...

    async def writer(self) -> BatchWriter: ...

    async def consumer(self) -> Any: ...

    def reader(self) -> Any: ...

    async def compact(self, writer: BatchWriter, topic: str) -> None: ...

    async def join(self, name: str, group: str, topic: str) -> Member: ...

    def age(self, member: Member) -> None: ...


Check = Callable[[Seam], Awaitable[None]]


def _settings(member: Member, group: str, topic: str, clock: Any, folder: Path, brokers: str) -> LaneSettings:
    return LaneSettings(
        group=group,
        brokers=brokers,
        client_id=member.name,
        lanes={topic: member.take},
        datadir=folder / member.name,
        clock=clock,
        on_fatal=member.fatal.append,
        owner=member,
        instance_id=member.name,
        auto_mark=False,
        session_seconds=6.0,
        commit_seconds=0.1,
    )


class RealSeam:
    """Kafka itself."""

    def __init__(self, kafka: str, folder: Path) -> None:
        self.kafka = kafka
        self.folder = folder
        self._open: list[Any] = []

    async def topic(self, *, compacted: bool = False) -> str:
        name = f"contract-{uuid.uuid4().hex[:8]}"
        async with TopicsAdmin(self.kafka) as admin:
            await admin.apply([TopicDescription(name, PARTITIONS, 1, COMPACTED if compacted else {})])
        return name

    async def writer(self) -> BatchWriter:
        writer = BatchWriter(self.kafka, client_id="contract")
        await writer.start()
        self._open.append(writer)
        return writer

    async def consumer(self) -> Any:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka, enable_auto_commit=False, auto_offset_reset="none")
        await consumer.start()
        self._open.append(consumer)
        return consumer

    def reader(self) -> Any:
        return LeanConsumer(bootstrap_servers=self.kafka, enable_auto_commit=False, auto_offset_reset="none")

    async def compact(self, writer: BatchWriter, topic: str) -> None:
        """Kafka's cleaner comes by itself, within its backoff of 15 s; it leaves the segment alone that is written to."""
        consumer = await self.consumer()
        tp = TopicPartition(topic, 0)
        consumer.assign([tp])
        await eventually(lambda: _cleaned(writer, consumer, tp), 90, "the cleaner came")

    async def join(self, name: str, group: str, topic: str) -> Member:
        member = Member(name)
        (self.folder / name).mkdir(exist_ok=True)
        member.app = lane_app(_settings(member, group, topic, SystemClock(), self.folder, self.kafka))
        await member.app.start()
        self._open.append(member.app)
        return member

    def age(self, member: Member) -> None:
        """It believes in a generation that is over."""
        member.app._thread._ensure_consumer()._coordinator.generation -= 1

    async def close(self) -> None:
        for each in reversed(self._open):
            await each.stop()


async def _cleaned(writer: BatchWriter, consumer: Any, tp: TopicPartition) -> bool:
    """Whether the first records, which others of their keys follow, are gone. Writes, so that the segment is closed."""
    await writer.append(tp.topic, tp.partition, [(b"filler", b"x", ())])
    consumer.seek(tp, 0)
    batch = (await consumer.getmany(tp, timeout_ms=500)).get(tp, [])
    return bool(batch) and batch[0].offset > 2


class TwinSeam:
    """The simulated one."""

    def __init__(self, folder: Path) -> None:
        self.world = World(1, folder, partitions=PARTITIONS)
        self.process = Process(self.world, "client", "contract", 0)
        self.folder = folder

    async def topic(self, *, compacted: bool = False) -> str:
        name = f"contract-{len(self.world.broker.topics)}"
        self.world.broker.create(name, PARTITIONS)
        return name

    async def writer(self) -> BatchWriter:
        writer = BatchWriter("simulated:1", client_id="contract")
        await writer.start()
        return writer

    async def consumer(self) -> Any:
        consumer = Consumer()
        await consumer.start()
        return consumer

    def reader(self) -> Any:
        return Consumer()

    async def compact(self, writer: BatchWriter, topic: str) -> None:
        await writer.append(topic, 0, [(b"filler", b"x", ())])
        self.world.broker.log(topic, 0).compact(0)

    async def join(self, name: str, group: str, topic: str) -> Member:
        member = Member(name)
        member.app = MemberApp(_settings(member, group, topic, self.process.clock, self.folder, "simulated:1"))
        await member.app.start()
        return member

    def age(self, member: Member) -> None:
        member.app._thread.generation -= 1


def run_on_twin(check: Check, folder: Path) -> None:
    loop = VirtualLoop()

    async def run() -> None:
        seam = TwinSeam(folder)
        task = seam.process.run(check(seam))
        await asyncio.wait({task})
        task.result()
        seam.world.close()

    try:
        with twins_in_place():
            loop.run_until_complete(run())
    finally:
        loop.close()


def run_on_kafka(check: Check, kafka: str, folder: Path) -> None:
    async def run() -> None:
        seam = RealSeam(kafka, folder)
        try:
            await check(seam)
        finally:
            await seam.close()

    asyncio.run(run())
