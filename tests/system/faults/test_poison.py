"""Poison in every topic: records that nobody of ours wrote are set aside with their place, and every partition goes on.

All services run as real processes; none may end, and none may be stopped by what it cannot read.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from benchmarks.bare_kafka import batches
from benchmarks.stage import Stage, existing_kafka, stage
from squirrel.streams.timeline.keys import s_key
from squirrel.wire.partitioner import partition_of
from tests.eventually import eventually
from tests.system.dev.sink import Sink
from tests.system.streams.log import Log, P, a_log, everything, records, recovered

AHEAD_MS = 1_800_000  # brokers refuse a timestamp more than an hour ahead themselves
HEADER_BYTES = 1 << 20
SERVICES = ("engine", "executor", "recorder", "intake", "gateway")
# What other programs, releases and mistakes may put on a topic: name, key, value, headers, milliseconds its timestamp is ahead.
POISON: tuple[tuple[str, bytes | None, bytes | None, list[tuple[str, bytes]], int], ...] = (
    ("undecodable", b"k", b"\xff\x00\x9f not ours", [], 0),
    ("empty", b"k", b"", [], 0),
    ("null value", b"k", None, [], 0),
    ("no key", None, b"\xc1", [], 0),
    ("a later release's array", b"k", msgspec.msgpack.encode([99, {"v": 2}]), [], 0),
    ("a later release's object", b"k", b'{"specversion":"9.0","v":99}', [], 0),
    ("the wrong type in a field", b"k", msgspec.msgpack.encode(["create", 5, None, [], {}]), [], 0),
    ("nested beyond reason", b"k", b"[" * 100_000, [], 0),
    ("an integer beyond 64 bits", b"k", b"1" + b"0" * 400, [], 0),
    ("a key that is no text", b"\xff\xfe\x00", b'"text"', [], 0),
    ("a header of 1 MB", b"k", b"{}", [("h", b"x" * HEADER_BYTES)], 0),
    ("from the future", b"k", b"{}", [], AHEAD_MS),
)
# What nobody reads can stop nobody; a null value in a compacted topic is a deletion and no poison.
SAID = ("inbox", "commands", "executions", "results", "completions", "dead_letters")


@pytest.fixture
async def on(kafka: str) -> AsyncIterator[Stage]:
    token = existing_kafka.set(kafka)
    async with stage() as made:
        yield made
    existing_kafka.reset(token)


async def poison(on: Stage, topic: str) -> list[tuple[str, int, int]]:
    """One of each into the topic, over its partitions in turn; where they stand."""
    places = []
    producer = AIOKafkaProducer(bootstrap_servers=on.brokers, max_request_size=4 << 20)
    await producer.start()
    try:
        count = len(await producer.partitions_for(topic))
        for number, (_, key, value, headers, ahead_ms) in enumerate(POISON):
            if key is None and topic == on.topics.definitions:
                continue  # a compacted topic takes none without a key
            partition = number % count
            stamp_ms = int(time.time() * 1000) + ahead_ms
            record = await producer.send_and_wait(
                topic, value, key=key, partition=partition, timestamp_ms=stamp_ms, headers=headers
            )
            places.append((topic, partition, record.offset))
    finally:
        await producer.stop()
    return places


async def refused(on: Stage) -> set[tuple[str, int, int]]:
    found = set()
    async for batch in batches(on.brokers, on.topics.refused, on.partitions):
        for record in batch:
            received = json.loads(record.value)["received"]
            found.add((received["topic"], received["partition"], received["offset"]))
    return found


def ids_of_every_partition(on: Stage) -> list[str]:
    found: dict[int, str] = {}
    while len(found) < on.partitions:
        name = uuid.uuid4().hex
        found.setdefault(partition_of("default", name, on.partitions), name)
    return list(found.values())


async def test_poison_is_set_aside_and_every_partition_goes_on(on: Stage) -> None:
    async with Sink() as sink:
        await on.start(*SERVICES)
        pids = {name: service.pid for name, service in on.services.items()}
        names = [*SAID, "definitions", "audit"]
        placed = {name: await poison(on, getattr(on.topics, name)) for name in names}
        expected = {place for name in SAID for place in placed[name]}

        async def all_said() -> bool:
            left = expected - await refused(on)
            assert not left, sorted(left)
            return True

        await eventually(all_said, 60, "each is in squirrel.refused with its topic, partition and offset")
        ids = ids_of_every_partition(on)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{on.settings.port}", timeout=20) as client:
            for name in ids:
                asked = {
                    "id": name,
                    "event": "e",
                    "when": {"in_seconds": 0},
                    "target": {"type": "http", "url": sink.url},
                }
                answer = await client.post("/api/v1/schedules", json=asked)
                assert answer.status_code == 201, answer.text
            await sink.count(len(ids), 40)
            for name in ids:
                await eventually(lambda name=name: _succeeded(client, name), 40, "its run is in the history")
        assert {name: service.pid for name, service in on.services.items()} == pids, "a service was ended by poison"
        metrics = await on.services["engine"].metrics()
        assert metrics["poison"] == 2 * len(POISON), "commands and results"


async def _succeeded(client: httpx.AsyncClient, name: str) -> bool:
    runs = (await client.get(f"/api/v1/schedules/{name}/runs")).json()
    assert [run["state"] for run in runs["items"]] == ["succeeded"], runs
    return True


@pytest.fixture
async def log(kafka: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Log]:
    async with a_log(kafka, topic_prefix, tmp_path) as made:
        yield made


async def test_poison_in_the_changelog_is_set_aside_by_a_recovery(log: Log) -> None:
    """Nobody but us may write there; if somebody did, the partition is recovered without it all the same."""
    said: list[tuple[int, int, str]] = []

    async def set_aside(partition: int, offset: int, key: bytes, value: bytes | None, reason: str) -> None:
        said.append((partition, offset, reason))

    row = s_key("default", "id00003")
    async with recovered(log, writer=log.writer) as (store, _):
        await log.write(store, records(10))
        truth = everything(store)
    await log.write(None, [(row, b"\xff not a row"), (b"S", b""), (b"Wdefault\0p\0c", b"\xff"), (b"Z?", b"whatever")])
    await log.write(None, [(row, b"\x93\x01\x02\x03")])
    before = time.time()
    for disk in ("disk", "empty"):
        said.clear()
        async with recovered(log, disk, writer=log.writer, set_aside=set_aside) as (store, found):
            assert everything(store) == truth, disk
            assert found.rebuilt_because is None
        assert [(partition, offset) for partition, offset, _ in said] == [(P, 12), (P, 13), (P, 14), (P, 16)]
        assert all(reason.startswith("not a row") for _, _, reason in said)
    assert time.time() - before < 60
