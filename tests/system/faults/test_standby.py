"""Standby copies on a real Kafka, in real processes: a takeover replays what its copy lacks, and nothing else changes."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from benchmarks.bare_kafka import produce
from benchmarks.stage import Service, Stage, existing_kafka, stage
from benchmarks.workload import creates, far_future
from squirrel.streams.timeline.store import TimelineStore
from tests.eventually import eventually
from tests.system.faults.test_stalled_engine import everything, folder_of, partitions_of, replayed

COUNT = 4000
TARGET = "http://127.0.0.1:9/hook"


@pytest.fixture
async def on(kafka: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setenv("SQUIRREL_SESSION_TIMEOUT_SECONDS", "4")
    monkeypatch.setenv("SQUIRREL_HEARTBEAT_SECONDS", "1")
    token = existing_kafka.set(kafka)
    async with stage() as made:
        yield made
    existing_kafka.reset(token)


def said(service: Service, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in service.lines if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


async def rows_of(*services: Service) -> float:
    return sum([(await service.metrics())["rows"] for service in services])


async def create(on: Stage, count: int, seed: int) -> None:
    now_ms = time.time_ns() // 1_000_000
    chunks = creates(count, far_future(now_ms), now_ms=now_ms, partitions=on.partitions, url=TARGET, seed=seed)
    await produce(on.brokers, on.topics.commands, chunks)


async def test_a_takeover_replays_only_what_its_copy_lacks(on: Stage) -> None:
    first, second = await on.start("engine-first", "engine-second")
    await create(on, COUNT, 1)

    async def all_in() -> bool:
        return await rows_of(first, second) == COUNT

    await eventually(all_in, 40, "all schedules are pending")

    async def shared() -> bool:
        return [await partitions_of(first), await partitions_of(second)] == [4, 4]

    await eventually(shared, 20, "each owns half")
    owned = {p for line in said(first, "partition recovered") for p in [line["partition"]]}
    await eventually(lambda: _young_copies(on, "second", 4), 30, "the other half is on disk")
    before = len(said(second, "partition recovered"))
    await on.kill("engine-first")

    async def has_all() -> bool:
        return await partitions_of(second) == on.partitions

    await eventually(has_all, 30, "the second has all partitions")
    taken = said(second, "partition recovered")[before:]
    assert {line["partition"] for line in taken} <= owned
    assert len(taken) == 4
    assert sum(line["records"] for line in taken) < COUNT / 4, f"a full replay: {taken}"
    assert await rows_of(second) == COUNT
    await create(on, 100, 2)
    await eventually(lambda: _rows(second, COUNT + 100), 20, "it works on")
    await on.stop("engine-second")
    store = TimelineStore(folder_of(on, "second"), cache_bytes=1 << 20, write_buffer_bytes=1 << 20)
    for partition in range(on.partitions):
        store.open(partition)
        assert everything(store, partition) == await replayed(on, partition), f"partition {partition}"
        shutil.rmtree(on.folder / "replayed")
    store.close_all()


async def _rows(service: Service, count: int) -> bool:
    return await rows_of(service) == count


def _young_copies(on: Stage, worker: str, count: int) -> bool:
    """It said so after its first round; later rounds bring them forward every two seconds."""
    service = on.services[f"engine-{worker}"]
    return bool(said(service, "standing by")) and len(said(service, "standing by")[-1]["partitions"]) == count
