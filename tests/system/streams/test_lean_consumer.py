"""What a consumer fetched and nobody read goes with it, without waiting for the collector of cycles."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition

from tests.system.streams.log import Log, P, a_log, records


@pytest.fixture
async def log(kafka: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Log]:
    async with a_log(kafka, topic_prefix, tmp_path) as made:
        yield made


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


async def begun(log: Log) -> tuple[Any, weakref.ref[Any]]:
    """(a consumer that has read ten records of 2,000, what it fetched with them)."""
    consumer = log.recovery(log.store()).reader()
    await consumer.start()
    tp = TopicPartition(log.topic, P)
    consumer.assign([tp])
    consumer.seek(tp, 0)
    found = (await consumer.getmany(tp, timeout_ms=5_000, max_records=10))[tp]
    assert [record.offset for record in found] == list(range(10))
    return consumer, weakref.ref(consumer._fetcher._records[tp]._partition_records)


async def test_at_its_stop(log: Log, without_collector: None) -> None:
    await log.write(None, records(2_000))
    consumer, fetched = await begun(log)
    assert fetched() is not None
    await consumer.stop()
    assert fetched() is None


async def test_when_it_goes_to_another_place(log: Log, without_collector: None) -> None:
    await log.write(None, records(2_000))
    consumer, fetched = await begun(log)
    tp = TopicPartition(log.topic, P)
    consumer.seek(tp, 1_990)
    found = (await consumer.getmany(tp, timeout_ms=5_000))[tp]
    assert [record.offset for record in found] == list(range(1_990, 2_000))
    assert fetched() is None
    await consumer.stop()
