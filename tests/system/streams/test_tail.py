"""A compacted topic in memory: whole, followed, bounded."""

from __future__ import annotations

import asyncio

import pytest

from squirrel.streams import tail as tail_module
from squirrel.streams.tail import DefinitionsTail
from squirrel.streams.topics_admin import TopicDescription, TopicsAdmin
from squirrel.streams.writer import BatchWriter
from tests.eventually import eventually


@pytest.fixture
async def topic(kafka: str, topic_prefix: str) -> str:
    name = f"{topic_prefix}definitions"
    async with TopicsAdmin(kafka) as admin:
        await admin.apply([TopicDescription(name, 1, 1, {"cleanup.policy": "compact"})])
    return name


async def test_it_holds_what_is_true_and_follows(kafka: str, topic: str) -> None:
    changes: list[tuple[bytes, bytes | None]] = []
    failures: list[BaseException] = []
    async with BatchWriter(kafka, client_id="test") as writer:
        await writer.append(topic, 0, [(b"a", b"1", ()), (b"b", b"1", ()), (b"a", b"2", ()), (b"b", None, ())])
        tail = DefinitionsTail(
            kafka,
            topic,
            client_id="test",
            fail=failures.append,
            changed=lambda key, value: changes.append((key, value)),
        )
        await tail.start()
        try:
            async with asyncio.timeout(10):
                await tail.ready()
            assert tail.values == {b"a": b"2"}
            offset = await writer.append(topic, 0, [(b"c", b"3", ())])
            async with asyncio.timeout(10):
                await tail.reached(offset)
            assert tail.values == {b"a": b"2", b"c": b"3"}
            assert changes == [(b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"b", None), (b"c", b"3")]
        finally:
            await tail.stop()
            await tail.stop()
    assert failures == []


async def test_an_empty_topic_is_ready_at_once(kafka: str, topic: str) -> None:
    tail = DefinitionsTail(kafka, topic, client_id="test", fail=lambda error: None)
    await tail.start()
    async with asyncio.timeout(10):
        await tail.ready()
    assert tail.values == {}
    await tail.stop()


async def test_too_many_definitions_are_a_failure(kafka: str, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail_module, "DEFINITIONS_MAX", 2)
    failures: list[BaseException] = []
    async with BatchWriter(kafka, client_id="test") as writer:
        await writer.append(topic, 0, [(b"a", b"1", ()), (b"b", b"1", ()), (b"c", b"1", ())])
    tail = DefinitionsTail(kafka, topic, client_id="test", fail=failures.append)
    await tail.start()
    await eventually(lambda: failures, what="a failure")
    assert "more than 2 definitions" in str(failures[0])
    await tail.stop()
