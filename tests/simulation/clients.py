"""Twins of aiokafka's producer and of its consumer without a group, as far as the product uses them."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Sequence
from typing import Any, NamedTuple, Self

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from squirrel.streams.fence import Fence
from squirrel.streams.topics_admin import TopicFound
from squirrel.wire.topics import catalogue
from tests.simulation.broker import Broker, Record
from tests.simulation.loop import CURRENT

RESEND_SECONDS = 1.0  # after which an unanswered request is sent again


class Acknowledged(NamedTuple):
    """What a send answers."""

    topic: str
    partition: int
    offset: int


async def take(client: Producer, name: str) -> Fence:
    """As `streams/fence.py`, which asks the transaction's coordinator: the name's producer id, with an epoch of its own."""
    process = client._process
    process.point("fence take before")
    broker = process.world.broker
    producer_id, epoch = await broker.ask(process, lambda: broker.taken(name))
    process.point("fence take after")
    return Fence(producer_id, epoch)


class Producer:
    """An idempotent producer: acknowledged once, in order of its sends to a partition, sent again when an answer is lost."""

    def __init__(self, **settings: Any) -> None:
        self._process: Any = CURRENT.get()
        self._broker: Broker = self._process.world.broker
        self._batch_bytes = settings.get("max_batch_size", 16384)
        self._id = next(self._process.world.producer_ids)
        self._sequences: Counter[tuple[str, int]] = Counter()
        self._waiting: dict[tuple[str, int], deque[tuple[Any, asyncio.Future[Acknowledged]]]] = defaultdict(deque)
        self._closed = False
        self.client = self

    async def start(self) -> None:
        await self._broker.ask(self._process, lambda: None)

    async def stop(self) -> None:
        self._closed = True

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(self._batch_bytes, 0)

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> Awaitable[Acknowledged]:
        """As aiokafka: one request per partition is under way, the others wait in this process for its answer."""
        assert not self._closed, "the producer is closed"
        self._process.point(f"{topic} append before")
        future: asyncio.Future[Acknowledged] = asyncio.get_running_loop().create_future()
        waiting = self._waiting[topic, partition]
        waiting.append((batch, future))
        if len(waiting) == 1:
            self._leave(topic, partition)
        self._process.point(f"{topic} append sent")
        return self._acknowledged(future, topic)

    def _leave(self, topic: str, partition: int) -> None:
        """The oldest batch goes out, stamped with the producer's number and its own."""
        process, broker, world = self._process, self._broker, self._process.world
        batch, _ = self._waiting[topic, partition][0]
        batch._set_producer_state(self._id, 0, self._sequences[topic, partition])
        self._sequences[topic, partition] += batch.record_count()
        data = bytes(batch._build())
        answer: asyncio.Future[Acknowledged] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda done: self._answered(topic, partition, done))

        def arrive() -> None:
            try:
                base = broker.produce(topic, partition, data)
            except KafkaError as error:
                broker.reply(process, answer, None, error)
                return
            if world.loses_answer():
                world.count("batch_resent")
                asyncio.get_running_loop().call_later(RESEND_SECONDS, broker.send, process, arrive)
            else:
                broker.reply(process, answer, Acknowledged(topic, partition, base))

        broker.send(process, arrive)

    def _answered(self, topic: str, partition: int, answer: asyncio.Future[Acknowledged]) -> None:
        waiting = self._waiting[topic, partition]
        _, future = waiting.popleft()
        error = answer.exception()
        if future.done():
            pass  # whoever waited has given up
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(answer.result())
        if waiting:
            self._leave(topic, partition)

    async def _acknowledged(self, future: asyncio.Future[Acknowledged], topic: str) -> Acknowledged:
        found = await future
        self._process.point(f"{topic} append acknowledged")
        return found


class Consumer:
    """A consumer without a group: `assign`, `seek`, `getmany`."""

    def __init__(self, **settings: Any) -> None:
        del settings
        self._process: Any = CURRENT.get()
        self._broker: Broker = self._process.world.broker
        self._positions: dict[TopicPartition, int] = {}
        self._appended = asyncio.Event()

    async def start(self) -> None:
        self._broker.watch(self._told)
        await self._broker.ask(self._process, lambda: None)

    async def stop(self) -> None:
        self._broker.unwatch(self._told)

    def _told(self, topic: str, partition: int) -> None:
        if TopicPartition(topic, partition) in self._positions and not self._process.dead:
            self._appended.set()

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        self._positions = {tp: self._broker.log(*tp).first for tp in partitions}

    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        found: dict[TopicPartition, int] = await self._broker.ask(
            self._process, lambda: {tp: self._broker.log(*tp).first for tp in partitions}
        )
        return found

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        found: dict[TopicPartition, int] = await self._broker.ask(
            self._process, lambda: {tp: self._broker.log(*tp).next for tp in partitions}
        )
        return found

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._positions[tp] = offset

    async def position(self, tp: TopicPartition) -> int:
        return self._positions[tp]

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[Record]]:
        tps = partitions or tuple(self._positions)
        found = await self._fetch(tps, max_records or 500)
        if not found:
            self._appended.clear()
            try:
                async with asyncio.timeout(timeout_ms / 1000):
                    await self._appended.wait()
            except TimeoutError:
                return {}
            found = await self._fetch(tps, max_records or 500)
        return found

    async def _fetch(self, tps: Sequence[TopicPartition], limit: int) -> dict[TopicPartition, list[Record]]:
        def read() -> dict[TopicPartition, tuple[list[Record], int]]:
            answer = {}
            for tp in tps:
                log = self._broker.log(*tp)
                records = log.read(self._positions[tp], limit)
                answer[tp] = records, records[-1].offset + 1 if records else max(log.next, self._positions[tp])
            return answer

        found = await self._broker.ask(self._process, read)
        out = {}
        for tp, (records, position) in found.items():
            self._positions[tp] = position
            if records:
                out[tp] = records
        return out


class Admin:
    """Twin of `streams/topics_admin.py`: describes the topics as the catalogue wants them."""

    def __init__(self, brokers: str, **settings: Any) -> None:
        del brokers, settings
        self._process: Any = CURRENT.get()

    async def __aenter__(self) -> Self:
        await self._process.world.broker.ask(self._process, lambda: None)
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def describe(self, names: Sequence[str]) -> dict[str, TopicFound]:
        world = self._process.world
        plans = {plan.name: plan for plan in catalogue("", world.partitions)}
        topics = world.broker.topics

        def found() -> dict[str, TopicFound]:
            return {
                name: TopicFound(name, len(topics[name]), 1, dict(plans[name].configs))
                for name in names
                if name in topics
            }

        answer: dict[str, TopicFound] = await world.broker.ask(self._process, found)
        return answer
