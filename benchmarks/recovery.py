"""Pending schedules: how fast one worker rebuilds them on an empty disk, and what they cost there and in memory.

`pending_disk_bytes`: of the timeline's directory per schedule, once the engine has flushed and compacted (the changelog is
Kafka's and not counted; ceiling: the bytes of a schedule's changelog record). The engine is then ended, its directory removed
and the engine started again: `recovery_schedules_per_s` is from the process being up (its internal door answers) until it owns
every partition with S, D and X rows rebuilt. Ceiling: a bare `getmany` loop over the changelog. `engine_rss_mb` is the larger
of two resident sizes with all pending: of the engine that took them in, right after, and of the one that rebuilt them, at most.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from benchmarks.bare_kafka import batches, produce, read_records_per_s
from benchmarks.engine_ingest import TARGET
from benchmarks.figure import Figure
from benchmarks.stage import Service, Stage, note, stage
from benchmarks.workload import creates, far_future

COUNT = 1_000_000
COUNT_SMALL = 3_000
SECONDS_MAX = 300.0
SETTLED_LOOKS = 5  # equal sizes, a second apart
SETTLE_SECONDS_MAX = 60.0


async def run(small: bool) -> list[Figure]:
    count = COUNT_SMALL if small else COUNT
    async with stage() as on:
        ingested_mb = await _ingest(on, count)
        ceiling, records = await read_records_per_s(on.brokers, on.topics.timeline_changelog, on.partitions)
        record_bytes = await _record_bytes(on)
        shutil.rmtree(on.settings.data_dir / "timeline")
        note(f"{records} changelog records; a bare loop reads {ceiling:,.0f}/s")
        began = time.perf_counter()
        [engine] = await on.start("engine", wait_ready=False)
        up_seconds = time.perf_counter() - began
        cpu_before = engine.cpu_seconds()
        seconds = await _recovered(on, engine, count)
        cpu_seconds = engine.cpu_seconds() - cpu_before
        rss_mb, rss_mb_max = engine.memory_mb()
        disk_bytes = await _settled(on, 1 if small else SETTLED_LOOKS)
        settled_mb, _ = engine.memory_mb()
    shared: dict[str, Any] = {"pending": count, "partitions": on.partitions}
    memory = {
        "after_ingest_mb": ingested_mb,
        "recovering_mb_max": rss_mb_max,
        "recovered_mb": rss_mb,
        "settled_mb": settled_mb,
        "store_memory_mb": on.settings.store_memory_mb,
    }
    return [
        Figure(
            "recovery_schedules_per_s",
            count / seconds,
            "schedules/s",
            ceiling,
            {
                **shared,
                "changelog_records": records,
                "seconds": seconds,
                "process_start_seconds": up_seconds,
                "engine_cpu_us_each": cpu_seconds / count * 1e6,
            },
        ),
        Figure(
            "pending_disk_bytes",
            disk_bytes / count,
            "bytes/schedule",
            record_bytes,
            {**shared, "disk_bytes": disk_bytes, "message": "200 random bytes as base64"},
        ),
        Figure("engine_rss_mb", max(ingested_mb, rss_mb_max), "MiB", None, {**shared, **memory}),
    ]


async def _ingest(on: Stage, count: int) -> float:
    """Bring the pending schedules in through the engine, so that the changelog is what the product writes; its MiB then."""
    [engine] = await on.start("engine")
    now_ms = time.time_ns() // 1_000_000
    chunks = creates(count, far_future(now_ms), now_ms=now_ms, partitions=on.partitions, url=TARGET)
    await produce(on.brokers, on.topics.commands, chunks)

    async def applied() -> float:
        return (await engine.metrics())["commands"]

    await on.until(applied, lambda seen: seen >= count, SECONDS_MAX, "not all commands applied", 0.2)
    async with on.group("engine") as committed:
        await on.until(lambda: committed(on.topics.commands), lambda seen: seen >= count, 30, "offsets not committed")
    resident_mb, _ = engine.memory_mb()
    note(f"{count} pending; resident {resident_mb:.0f} MiB after taking them in")
    await on.stop("engine")
    return resident_mb


async def _recovered(on: Stage, engine: Service, count: int) -> float:
    """Seconds from now until the engine is ready with every schedule on its timeline and nothing left to apply."""
    began = time.perf_counter()

    async def partitions() -> float:
        return (await engine.metrics()).get("partitions", 0.0)

    await on.until(partitions, lambda seen: seen >= on.partitions, SECONDS_MAX, "not recovered", 0.05)
    seconds = time.perf_counter() - began
    counters = await engine.metrics()
    assert counters["rows"] == count, f"{counters['rows']:.0f} schedules after the recovery, {count} before"
    assert counters["commands"] == 0, "commands were applied again: their offsets had been committed"
    return seconds


async def _settled(on: Stage, looks: int) -> int:
    """Bytes of the timeline's directory once it stands still."""
    sizes: list[int] = []

    async def look() -> list[int]:
        sizes.append(disk_bytes(on.settings.data_dir / "timeline"))
        return sizes[-looks:]

    await on.until(
        look,
        lambda newest: len(newest) == looks and len(set(newest)) == 1,
        SETTLE_SECONDS_MAX,
        "the disk moves on",
        1.0,
    )
    return sizes[-1]


def disk_bytes(folder: Path) -> int:
    """Sum of file sizes below a folder; files that go meanwhile count nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


async def _record_bytes(on: Stage) -> float:
    """Mean bytes of key and value of the changelog's first records, uncompressed."""
    sizes: list[int] = []
    async for records in batches(on.brokers, on.topics.timeline_changelog, on.partitions):
        sizes.extend(len(record.key) + len(record.value) for record in records if record.value)
        if len(sizes) > 10_000:
            break
    return sum(sizes) / len(sizes)
