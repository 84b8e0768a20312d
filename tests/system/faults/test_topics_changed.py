"""Topics that are deleted, recreated, emptied, given partitions or another retention: the engine stops and names the topic.

While it runs, and at its next start. What it never does is go on with what is left.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from benchmarks.bare_kafka import produce
from benchmarks.stage import Service, Stage, existing_kafka, stage
from benchmarks.workload import creates, far_future
from squirrel.runtime.dev import environment_of
from tests.eventually import eventually

COUNT = 400
TARGET = "http://127.0.0.1:9/hook"
Hand = Callable[[AIOKafkaAdminClient, Stage], Awaitable[Any]]


async def deleted(admin: AIOKafkaAdminClient, on: Stage) -> str:
    await admin.delete_topics([on.topics.results])
    return f"{on.topics.results}: it does not exist"


async def recreated(admin: AIOKafkaAdminClient, on: Stage) -> str:
    changelog = on.topics.timeline_changelog
    await admin.delete_topics([changelog])

    async def made() -> bool:
        (error,) = (await admin.create_topics([NewTopic(changelog, on.partitions, 1)])).topic_errors
        return error[1] == 0

    await eventually(made, 20)
    await _add(on, 2)  # the running engine writes to it
    return changelog


async def retention(admin: AIOKafkaAdminClient, on: Stage) -> str:
    changelog = on.topics.timeline_changelog
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, changelog, {"cleanup.policy": "delete"})])
    return f"{changelog}: "


async def partitions(admin: AIOKafkaAdminClient, on: Stage) -> str:
    await admin.create_partitions({on.topics.commands: NewPartitions(on.partitions + 1)})
    return f"{on.topics.commands}: it has {on.partitions + 1} partitions"


@pytest.fixture
async def on(kafka: str) -> AsyncIterator[Stage]:
    token = existing_kafka.set(kafka)
    async with stage() as made:
        yield made
    existing_kafka.reset(token)


async def _add(on: Stage, seed: int) -> None:
    now_ms = time.time_ns() // 1_000_000
    chunks = creates(COUNT, far_future(now_ms), now_ms=now_ms, partitions=on.partitions, url=TARGET, seed=seed)
    await produce(on.brokers, on.topics.commands, chunks)


async def _running(on: Stage) -> Service:
    (engine,) = await on.start("engine")
    await _add(on, 1)

    async def all_in() -> bool:
        return (await engine.metrics())["rows"] == COUNT

    await eventually(all_in, 30, "all schedules are pending")
    return engine


def _again(on: Stage) -> subprocess.CompletedProcess[str]:
    """The engine's next start, to its end."""
    environment = environment_of(on.settings, 0)
    argv = [sys.executable, "-m", "squirrel", "engine"]
    return subprocess.run(argv, check=False, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("hand", [deleted, recreated, retention, partitions])
async def test_a_running_engine_stops_and_names_the_topic(on: Stage, hand: Callable[..., Awaitable[str]]) -> None:
    engine = await _running(on)
    admin = AIOKafkaAdminClient(bootstrap_servers=on.brokers)
    await admin.start()
    try:
        sentence = await hand(admin, on)
    finally:
        await admin.close()

    async def ended() -> bool:
        return engine.lost is not None and engine.lost.done()

    await eventually(ended, 60, "the engine ended")
    on.services.pop("engine")
    reasons = [line for line in engine.lines if '"ending the process"' in line or "ended by the watchdog" in line]
    assert any(sentence in reason or "went back to offset" in reason for reason in reasons), engine.lines[-6:]
    again = await asyncio.to_thread(_again, on)
    assert again.returncode != 0, "it goes on with what is left"
    assert sentence in again.stdout + again.stderr


async def test_an_input_that_was_emptied_or_eaten_stops_the_next_start(on: Stage) -> None:
    await _running(on)
    async with on.group("engine") as committed:
        await on.until(lambda: committed(on.topics.commands), lambda seen: seen == COUNT, 20, "not committed")
    await on.stop("engine")
    await _add(on, 2)
    admin = AIOKafkaAdminClient(bootstrap_servers=on.brokers)
    await admin.start()
    try:
        every = [TopicPartition(on.topics.commands, number) for number in range(on.partitions)]
        await admin.delete_records({tp: RecordsToDelete(before_offset=-1) for tp in every})
    finally:
        await admin.close()
    again = await asyncio.to_thread(_again, on)
    assert again.returncode == 1
    said = again.stdout + again.stderr
    assert f"{on.topics.commands}/" in said
    assert "its retention ate the rest" in said
    assert "set the offsets of the group" in said
    assert (on.settings.data_dir / "timeline").is_dir(), "nothing was removed"
