"""Micro-batches: every caller learns its own offset, and hears of it when Kafka is away."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squirrel.gateway import producing
from squirrel.gateway.kafka_writer import KafkaWriter, Record
from squirrel.gateway.producing import VALUE_BYTES_MAX, CommandLog
from squirrel.model.errors import Refused, Unavailable
from tests.unit.gateway.world import SetClock


class Broker:
    """One producer per `start`; `append` waits for `gate`, and raises while `down`."""

    def __init__(self) -> None:
        self.records: dict[int, list[Record]] = defaultdict(list)
        self.sizes: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.down = False
        self.starts = 0
        self.stops = 0

    async def start(self) -> None:
        self.starts += 1
        if self.down:
            raise OSError("no broker")

    async def stop(self) -> None:
        self.stops += 1

    async def append(self, topic: str, partition: int, records: Sequence[Record]) -> int:
        await self.gate.wait()
        if self.down:
            raise OSError("no broker")
        self.records[partition].extend(records)
        self.sizes.append(len(records))
        return len(self.records[partition]) - 1

    async def to(self, partition: int, records: Sequence[Record]) -> int:
        return await self.append("commands", partition, records)


def record(text: str) -> Record:
    return text.encode(), text.encode(), ()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=40))
def test_each_caller_gets_the_offset_of_its_own_records(calls: list[tuple[int, int]]) -> None:
    async def check() -> None:
        broker = Broker()
        log = CommandLog(broker.to)

        async def write(number: int, partition: int, count: int) -> None:
            records = [record(f"{number}-{index}") for index in range(count)]
            last = await log.write(partition, records)
            assert broker.records[partition][last - count + 1 : last + 1] == records

        await asyncio.gather(*(write(number, *call) for number, call in enumerate(calls)))
        assert log.waiting == 0
        assert log.appended == sum(count for _, count in calls)
        await log.close()

    asyncio.run(check())


async def test_concurrent_calls_share_an_append() -> None:
    broker = Broker()
    broker.gate.clear()
    log = CommandLog(broker.to)
    writes = [asyncio.create_task(log.write(0, [record(str(number))])) for number in range(100)]
    await asyncio.wait(writes, timeout=0.01)
    broker.gate.set()
    assert sorted(await asyncio.gather(*writes)) == list(range(100))
    assert len(broker.sizes) <= 3


async def test_a_write_that_hangs_is_given_up() -> None:
    broker = Broker()
    broker.gate.clear()
    log = CommandLog(broker.to, timeout_seconds=0.02)
    with pytest.raises(Unavailable, match="may still be stored"):
        await log.write(0, [record("a")])
    broker.gate.set()
    assert await log.write(1, [record("b")]) == 0
    await log.close()
    with pytest.raises(Unavailable, match="stopping"):
        await log.write(0, [record("c")])


async def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker()
    log = CommandLog(broker.to)
    with pytest.raises(Refused) as refused:
        await log.write(0, [(b"a", b"x" * (VALUE_BYTES_MAX + 1), ())])
    assert refused.value.code == "too_large"
    monkeypatch.setattr(producing, "WAITING_RECORDS_MAX", 2)
    broker.gate.clear()
    waiting = asyncio.create_task(log.write(0, [record("a"), record("b")]))
    await asyncio.wait([waiting], timeout=0.01)
    with pytest.raises(Unavailable, match="more writes wait"):
        await log.write(0, [record("c")])
    broker.gate.set()
    assert await waiting == 1


async def test_a_failed_producer_is_replaced() -> None:
    broker, clock = Broker(), SetClock()
    writer = KafkaWriter(lambda: broker, clock)
    assert await writer.append("t", 0, [record("a")]) == 0
    broker.down = True
    with pytest.raises(Unavailable):
        await writer.append("t", 0, [record("b")])
    assert not writer.connected
    with pytest.raises(Unavailable):
        await writer.append("t", 0, [record("b")])
    starts = broker.starts
    with pytest.raises(Unavailable):  # not asked again at once
        await writer.append("t", 0, [record("b")])
    assert broker.starts == starts
    broker.down = False
    clock.skip_seconds += 60
    assert await writer.append("t", 0, [record("b")]) == 1
    await writer.close()
    assert broker.stops == 2
    with pytest.raises(Unavailable):
        await writer.append("t", 0, [record("c")])
