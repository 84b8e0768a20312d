"""The gateway's writes on a real broker, with the writer, the tail and the directory that production uses."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from squirrel.gateway.app import create_app
from squirrel.gateway.deps import GatewayDeps, GatewaySettings
from squirrel.runtime.clock import SystemClock
from squirrel.stores.sqlite import SqliteHistory
from squirrel.streams.assignor import OwnerDirectory
from squirrel.streams.tail import DefinitionsTail
from squirrel.streams.topics_admin import TopicDescription, TopicsAdmin
from squirrel.streams.writer import BatchWriter
from squirrel.wire.partitioner import partition_of
from squirrel.wire.records import Command, decode_command

PARTITIONS = 4
HOOK = {"type": "http", "url": "https://hooks.example.com/hook"}


@dataclass
class Running:
    """A gateway without an engine: what it was told is in Kafka, and what becomes of it nobody says."""

    api: httpx.AsyncClient
    brokers: str
    commands_topic: str

    async def commands(self) -> dict[int, list[Command]]:
        """All commands by partition, in order."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.brokers)
        await consumer.start()
        try:
            partitions = [TopicPartition(self.commands_topic, number) for number in range(PARTITIONS)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            found: dict[int, list[Command]] = {number: [] for number in range(PARTITIONS)}
            while sum(len(each) for each in found.values()) < sum(ends.values()):
                for tp, records in (await consumer.getmany(timeout_ms=500)).items():
                    found[tp.partition] += [decode_command(record.value) for record in records]
            return found
        finally:
            await consumer.stop()


@pytest.fixture
async def running(kafka: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Running]:
    commands, definitions = f"{topic_prefix}squirrel.commands", f"{topic_prefix}squirrel.definitions"
    async with TopicsAdmin(kafka) as admin:
        await admin.apply(
            [
                TopicDescription(commands, PARTITIONS, 1),
                TopicDescription(definitions, 1, 1, {"cleanup.policy": "compact"}),
            ]
        )
    faults: list[BaseException] = []
    tail = DefinitionsTail(kafka, definitions, client_id="gateway-test", fail=faults.append)
    await tail.start()
    history = SqliteHistory(tmp_path / "history.db")
    await history.start()
    directory = OwnerDirectory(kafka, f"{topic_prefix}squirrel-engine")
    deps = GatewayDeps(
        clock=SystemClock(),
        new_id=lambda: secrets.token_hex(16),
        settings=GatewaySettings(
            partitions=PARTITIONS, commands_topic=commands, definitions_topic=definitions, outcome_seconds=0.5
        ),
        new_writer=lambda: BatchWriter(kafka, client_id="gateway-test", delivery_seconds=5),
        directory=directory,
        definitions=tail,
        history=history,
    )
    app = create_app(deps)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway", timeout=30) as api,
    ):
        yield Running(api, kafka, commands)
    await tail.stop()
    await history.close()
    await directory.close()
    assert faults == []


def one_shot(schedule_id: str) -> dict[str, object]:
    return {"id": schedule_id, "event": "e", "target": HOOK, "when": {"at": "2099-01-01T00:00:00Z"}}


async def test_every_acknowledged_write_is_in_kafka_once_and_where_it_belongs(running: Running) -> None:
    async def create(number: int) -> int:
        headers = {"Prefer": "respond-async"}
        answer = await running.api.post("/api/v1/schedules", json=one_shot(f"s{number}"), headers=headers)
        return answer.status_code

    statuses = await asyncio.gather(*(create(number) for number in range(300)))
    assert set(statuses) == {202}
    batch = {"schedules": [one_shot(f"b{number}") for number in range(300)]}
    answer = await running.api.post("/api/v1/schedules:batch", json=batch, headers={"Prefer": "respond-async"})
    assert {each["status"] for each in answer.json()["results"]} == {202}
    found = await running.commands()
    ids = [command.id for commands in found.values() for command in commands]
    assert sorted(ids) == sorted(f"{kind}{number}" for kind in "sb" for number in range(300))
    for partition, commands in found.items():
        assert all(partition_of("default", command.id, PARTITIONS) == partition for command in commands)
        assert all(command.op == "create" and command.reply for command in commands)


async def test_without_an_engine_writes_are_accepted_and_reads_say_why_not(running: Running) -> None:
    answer = await running.api.post("/api/v1/schedules", json=one_shot("a"))
    assert (answer.status_code, answer.headers["location"]) == (202, "/api/v1/schedules/a")
    away = await running.api.get("/api/v1/schedules/a")
    assert away.status_code == 503
    assert int(away.headers["retry-after"]) >= 1
    ready = await running.api.get("/readyz")
    assert ready.status_code == 503
    assert list(ready.json()["missing"]) == ["engine"]


async def test_a_route_is_read_back_through_the_topic(running: Running) -> None:
    path = "/api/v1/routes/email.*"
    assert (await running.api.put(path, json={"target": HOOK})).status_code == 201
    assert (await running.api.put(path, json={"target": HOOK})).status_code == 200
    bare = {"event": "email.send", "when": {"at": "2099-01-01T00:00:00Z"}}
    assert (await running.api.post("/api/v1/schedules", json=bare)).status_code == 202
    assert (await running.api.delete(path)).status_code == 204
    assert (await running.api.post("/api/v1/schedules", json=bare)).status_code == 422


async def test_a_broker_that_is_not_there_is_said_in_time(tmp_path: Path) -> None:
    history = SqliteHistory(tmp_path / "other.db")
    deps = GatewayDeps(
        clock=SystemClock(),
        new_id=lambda: secrets.token_hex(16),
        settings=GatewaySettings(partitions=PARTITIONS, write_seconds=2.0),
        new_writer=lambda: BatchWriter("127.0.0.1:9", client_id="gateway-test", delivery_seconds=1),
        directory=OwnerDirectory("127.0.0.1:9", "none"),
        definitions=DefinitionsTail("127.0.0.1:9", "none", client_id="gateway-test", fail=lambda _: None),
        history=history,
    )
    app = create_app(deps)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway", timeout=30) as api,
    ):
        async with asyncio.timeout(10):
            answer = await api.post("/api/v1/schedules", json=one_shot("a"))
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert "Retry-After" in answer.headers
    await history.close()
