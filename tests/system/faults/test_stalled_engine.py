"""A stalled engine that comes back, in real processes: its partitions have another owner, whose state it may not change."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchmarks.bare_kafka import batches, produce
from benchmarks.stage import Service, Stage, existing_kafka, stage
from benchmarks.workload import creates
from squirrel.runtime.clock import SystemClock
from squirrel.streams.timeline.keys import TAKEN_KEY
from squirrel.streams.timeline.recovery import Recovery, RecoverySettings
from squirrel.streams.timeline.store import TimelineStore
from squirrel.wire.owner_mark import owner_mark_of
from squirrel.wire.records import decode_execution
from tests.eventually import eventually

TARGET = "http://127.0.0.1:9/hook"  # no executor runs
COUNT = 10_000
SPREAD_MS = 20_000
LEAD_MS = 4_000


@pytest.fixture
async def on(kafka: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setenv("SQUIRREL_SESSION_TIMEOUT_SECONDS", "4")
    monkeypatch.setenv("SQUIRREL_HEARTBEAT_SECONDS", "1")
    token = existing_kafka.set(kafka)
    async with stage(emit_window=0) as made:  # nobody answers
        yield made
    existing_kafka.reset(token)


async def partitions_of(service: Service) -> float:
    return (await service.metrics()).get("partitions", 0.0)


def folder_of(on: Stage, worker: str) -> Path:
    return on.settings.data_dir / "timeline" / f"{worker}-engine"


async def replayed(on: Stage, partition: int) -> dict[bytes, bytes]:
    """All rows of the partition, by its changelog alone."""
    folder = on.folder / "replayed"
    store = TimelineStore(folder, cache_bytes=1 << 20, write_buffer_bytes=1 << 20)
    settings = RecoverySettings(on.brokers, on.topics.timeline_changelog, "judge", 86_400_000, SystemClock())
    try:
        await Recovery(settings, store).recover(partition)
        return everything(store, partition)
    finally:
        store.close_all()


def everything(store: TimelineStore, partition: int) -> dict[bytes, bytes]:
    return {
        key: value for kind in (b"S", b"W", b"D", b"X") for key, value in store.scan(partition, kind, None, 1_000_000)
    }


async def test_a_stalled_engine_that_comes_back_changes_nothing(on: Stage) -> None:
    stalled, other = await on.start("engine-stalled", "engine-other")
    await eventually(lambda: _shared(stalled, other), 30, "both own partitions")
    now_ms = time.time_ns() // 1_000_000

    def due_ms(index: int) -> int:
        return now_ms + LEAD_MS + index * SPREAD_MS // COUNT

    await produce(
        on.brokers, on.topics.commands, creates(COUNT, due_ms, now_ms=now_ms, partitions=on.partitions, url=TARGET)
    )
    # In the midst of firing: batches are decided, on their way and half acknowledged.
    await eventually(lambda: time.time_ns() // 1_000_000 > now_ms + LEAD_MS + 1500, 30)
    pid = stalled.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        await eventually(lambda: _owns(other, on.partitions), 40, "the other engine has all partitions")
        taken = await _offsets_of_takings(on)
    finally:
        os.kill(pid, signal.SIGCONT)
    on.services.pop("engine-stalled")
    await eventually(lambda: _ended(stalled), 20, "the stalled engine ended by itself")
    assert stalled.lost is not None
    stalled.lost.cancel()
    await stalled.supervisor.stop()  # its supervisor starts it anew, which is not the subject here
    assert any("ending the process" in line for line in stalled.lines), stalled.lines[-5:]
    await on.until(lambda: _emitted(on), lambda epochs: len(epochs) >= COUNT, 60, "not all emitted", 0.5)
    await on.stop("engine-other")
    assert await _offsets_of_takings(on) == taken, "the stalled engine took a changelog over"
    live = TimelineStore(folder_of(on, "other"), cache_bytes=1 << 20, write_buffer_bytes=1 << 20)
    for partition in range(on.partitions):
        live.open(partition)
        assert everything(live, partition) == await replayed(on, partition), f"partition {partition}"
    live.close_all()
    await _nothing_lost_and_repeats_are_known(on)


async def _shared(*services: Service) -> bool:
    return all([await partitions_of(service) == 4 for service in services])


async def _owns(service: Service, count: int) -> bool:
    return await partitions_of(service) == count


async def _ended(service: Service) -> bool:
    return any("ended with status" in line for line in service.lines)


async def _offsets_of_takings(on: Stage) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    async for records in batches(on.brokers, on.topics.timeline_changelog, on.partitions):
        found += [(record.partition, record.offset) for record in records if record.key == TAKEN_KEY]
    return sorted(found)


async def _emitted(on: Stage) -> dict[tuple[str, int], list[int]]:
    """The epochs in which each attempt was ordered; an owner's mark orders nothing."""
    epochs: dict[tuple[str, int], list[int]] = {}
    async for records in batches(on.brokers, on.topics.executions, on.partitions):
        for record in records:
            if owner_mark_of(record.value) is None:
                execution = decode_execution(record.value)
                epochs.setdefault((execution.run, execution.attempt), []).append(execution.epoch)
    return epochs


async def _nothing_lost_and_repeats_are_known(on: Stage) -> None:
    """Each run was emitted; one that was emitted twice carries the same run and attempt, and the later owner's epoch."""
    epochs = await _emitted(on)
    assert len(epochs) == COUNT
    assert all(attempt == 1 for _, attempt in epochs)
    assert all(len(set(seen)) == len(seen) for seen in epochs.values()), "an owner emitted a run twice"
