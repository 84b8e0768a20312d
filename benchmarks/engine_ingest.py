"""How many commands a second one engine worker makes durable: changelog acknowledged, local state written, offsets committed.

The commands stand in the topic before the engine starts. From the first that it applied until its counter has them all and the
group's committed offsets are the topic's end. Ceiling: a bare `getmany` loop over the same topic, before the engine runs.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks.bare_kafka import produce, read_records_per_s
from benchmarks.figure import Figure
from benchmarks.stage import Service, Stage, note, stage
from benchmarks.workload import creates, far_future

COUNT = 500_000
COUNT_SMALL = 3_000
SECONDS_MAX = 120.0
TARGET = "http://127.0.0.1:9/hook"  # never called: the instants lie days ahead


async def run(small: bool) -> list[Figure]:
    count = COUNT_SMALL if small else COUNT
    async with stage() as on:
        now_ms = time.time_ns() // 1_000_000
        chunks = creates(count, far_future(now_ms), now_ms=now_ms, partitions=on.partitions, url=TARGET)
        produced, _ = await produce(on.brokers, on.topics.commands, chunks)
        ceiling, read = await read_records_per_s(on.brokers, on.topics.commands, on.partitions)
        assert produced == read == count, f"{produced} produced, {read} read, {count} wanted"
        note(f"{count} commands stand in the topic; a bare loop reads {ceiling:,.0f}/s")
        [engine] = await on.start("engine", wait_ready=False)
        cpu_before = engine.cpu_seconds()
        seconds, applied_seconds, counted = await apply_all(on, engine, count)
        cpu_seconds = engine.cpu_seconds() - cpu_before
        rss_mb, rss_mb_max = engine.memory_mb()
        counters = await engine.metrics()
        async with on.offsets() as ends:
            rows = await ends(on.topics.timeline_changelog)
    assert counters["refused"] == counters["poison"] == counters["replays"] == 0, counters
    details: dict[str, Any] = {
        "commands": int(counters["commands"]),
        "pending": int(counters["rows"]),
        "changelog_records": rows,
        "seconds": seconds,
        "applied_per_s": counted / applied_seconds,
        "engine_cpu_us_each": cpu_seconds / count * 1e6,
        "rss_mb": rss_mb,
        "rss_mb_max": rss_mb_max,
        "partitions": on.partitions,
        "message": "200 random bytes as base64",
    }
    return [Figure("engine_ingest_commands_per_s", counted / seconds, "commands/s", ceiling, details)]


async def apply_all(on: Stage, engine: Service, count: int) -> tuple[float, float, float]:
    """(seconds until all is committed, seconds until all is applied, commands applied in them).

    Counted from the first look that sees commands applied; those it saw are not counted.
    """

    async def applied() -> float:
        return (await engine.metrics()).get("commands", 0.0)

    first = await on.until(applied, lambda seen: seen > 0, SECONDS_MAX, "the engine applied nothing")
    began = time.perf_counter()
    if first >= count:
        first = 0.0  # a small run is over before the first look
    await on.until(applied, lambda seen: seen >= count, SECONDS_MAX, f"not all of {count} commands applied", 0.05)
    applied_seconds = time.perf_counter() - began
    async with on.group("engine") as committed:
        await on.until(
            lambda: committed(on.topics.commands), lambda seen: seen >= count, SECONDS_MAX, "offsets not committed"
        )
    return time.perf_counter() - began, applied_seconds, count - first
