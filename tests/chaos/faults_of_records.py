"""Faults of what stands in the topics: records nobody can read, records that were there before, offsets set back."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from squirrel.wire.records import Undecodable, decode_command
from tests.chaos.installation import PARTITIONS
from tests.chaos.nemesis import Fault, World
from tests.chaos.plan import ENGINES

SEND_SECONDS_MAX: Final = 10.0
REPLAYED_RECORDS: Final = 150
# Of each topic that somebody works on: values that are no record of ours.
POISON: Final[dict[str, tuple[bytes | None, ...]]] = {
    "inbox": (b"{", b"[1, 2]", b'{"event": 5}', b"\xff\xfe", None),
    "commands": (b"\x00", b"not msgpack", b"\x93\x01\x02\x03", None),
    "executions": (b"\xc1", b"{}", None),
    "results": (b"{", b"[]", b'{"run": 1}', None),
    "completions": (b"{", b"null"),
    "dead_letters": (b"{", b"7"),
}


async def poison(world: World, _: str, seconds: float) -> None:
    """Every bad value once, each at a partition of chance; where it came to stand is in the ledger."""
    async with producing(world) as producer:
        sending = [
            _poisoned(world, producer, getattr(world.on.topics, name), world.chance.randrange(PARTITIONS), value)
            for name, values in POISON.items()
            for value in values
        ]
        await asyncio.gather(*sending)


async def _poisoned(world: World, producer: Any, topic: str, partition: int, value: bytes | None) -> None:
    what = "null" if value is None else value.hex()
    i = world.ledger.invoke("nemesis", "poison", f"poison:{topic}:{what}", {"what": what})
    try:
        async with asyncio.timeout(SEND_SECONDS_MAX):
            sent = await producer.send_and_wait(topic, value, key=b"poison", partition=partition)
    except (KafkaError, TimeoutError):
        world.ledger.ended(i, "info", {})
        return
    world.ledger.ended(i, "ok", {"topic": topic, "partition": partition, "offset": sent.offset})


async def replay_records(world: World, _: str, seconds: float) -> None:
    """The newest creates, executions and results of one partition once more, shuffled."""
    partition = world.chance.randrange(PARTITIONS)
    topics = world.on.topics
    with contextlib.suppress(KafkaError, TimeoutError):
        async with asyncio.timeout(SEND_SECONDS_MAX), producing(world) as producer:
            for topic in (topics.commands, topics.executions, topics.results):
                records = await newest(world, topic, partition, REPLAYED_RECORDS)
                if topic == topics.commands:
                    records = [record for record in records if _is_create(record.value)]
                for record in world.chance.sample(records, len(records)):
                    await producer.send(
                        topic, record.value, key=record.key, partition=partition, headers=list(record.headers)
                    )


def _is_create(value: bytes | None) -> bool:
    """A change that is repeated under another offset is a change that somebody asked for again; a create is none."""
    try:
        return decode_command(value).op == "create"
    except Undecodable:
        return False


async def newest(world: World, topic: str, partition: int, count: int) -> list[Any]:
    """The last `count` records of a partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=world.on.kafka.bootstrap, enable_auto_commit=False)
    try:
        await consumer.start()
        tp = TopicPartition(topic, partition)
        consumer.assign([tp])
        first, end = (await consumer.beginning_offsets([tp]))[tp], (await consumer.end_offsets([tp]))[tp]
        consumer.seek(tp, max(first, end - count))
        found: list[Any] = []
        while await consumer.position(tp) < end:
            found.extend((await consumer.getmany(tp, timeout_ms=500)).get(tp, ()))
        return found
    finally:
        await consumer.stop()


async def reset_offsets(world: World, _: str, seconds: float) -> None:
    """All engines are down, and their group begins at the beginning: every command and result is read again."""
    services = [world.on.services[name] for name in ENGINES]
    try:
        await asyncio.gather(*(service.down(signal.SIGTERM) for service in services))
        await world.pause(world.on.session_seconds + 3)  # until their group has no member left
        await _rewind(world)
    finally:
        for service in services:
            await service.up()


async def _rewind(world: World) -> None:
    topics = [world.on.topics.commands, world.on.topics.results]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=world.on.kafka.bootstrap, group_id="squirrel-engine", enable_auto_commit=False
    )
    await consumer.start()
    try:
        parts = [TopicPartition(topic, partition) for topic in topics for partition in range(PARTITIONS)]
        consumer.assign(parts)
        with contextlib.suppress(KafkaError):
            await consumer.commit(await consumer.beginning_offsets(parts))
    finally:
        await consumer.stop()


@contextlib.asynccontextmanager
async def producing(world: World) -> Any:
    """A producer of nobody's: straight to the broker, past all proxies."""
    producer = AIOKafkaProducer(
        bootstrap_servers=world.on.kafka.bootstrap, acks="all", request_timeout_ms=int(SEND_SECONDS_MAX * 1000)
    )
    try:
        async with asyncio.timeout(SEND_SECONDS_MAX):
            await producer.start()
    except (KafkaError, TimeoutError):
        await producer.stop()
        yield _Nowhere()
        return
    try:
        yield producer
    finally:
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(SEND_SECONDS_MAX):
                await producer.stop()


class _Nowhere:
    """The broker is away: what would be sent never leaves."""

    async def send_and_wait(self, *_: Any, **__: Any) -> Any:
        raise KafkaError

    send = send_and_wait


FAULTS: dict[str, Fault] = {"poison": poison, "replay-records": replay_records, "reset-offsets": reset_offsets}
