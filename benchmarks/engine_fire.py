"""How many executions a second one engine worker emits when all are due in the same millisecond.

From the instant the first was emitted (the engine's own stamp, at the earliest the due instant less the emit-ahead) to the last
execution record acknowledged in the topic. Nobody answers here, so the emit window is open: what is beyond it waits for results.
Ceiling: the bare writer with the same records to a topic of its own.
"""

from __future__ import annotations

import time

from benchmarks.bare_kafka import batches, produce
from benchmarks.figure import Figure
from benchmarks.stage import Stage, note, stage
from benchmarks.workload import Chunk, creates
from squirrel.wire.owner_mark import owner_mark_of
from squirrel.wire.records import decode_execution

COUNT = 100_000
COUNT_SMALL = 2_000
INGEST_PER_S_MIN = 10_000  # all must be applied before they are due
LEAD_SECONDS = 3
SECONDS_MAX = 120.0
TARGET = "http://127.0.0.1:9/hook"  # no executor runs


async def run(small: bool) -> list[Figure]:
    count = COUNT_SMALL if small else COUNT
    async with stage(emit_window=0) as on:
        [engine] = await on.start("engine")
        now_ms = time.time_ns() // 1_000_000
        due_ms = now_ms + (LEAD_SECONDS + 2 * count // INGEST_PER_S_MIN) * 1000
        chunks = creates(count, lambda _: due_ms, now_ms=now_ms, partitions=on.partitions, url=TARGET)
        await produce(on.brokers, on.topics.commands, chunks)

        async def applied() -> float:
            return (await engine.metrics())["commands"]

        await on.until(applied, lambda seen: seen >= count, SECONDS_MAX, "not all commands applied", 0.1)
        left_ms = due_ms - on.settings.emit_ahead_ms - time.time_ns() // 1_000_000
        assert left_ms > 0, "the commands were not applied before they were due: too slow a machine for this lead"
        note(f"{count} pending, due in {left_ms} ms")
        cpu_before = engine.cpu_seconds()
        async with on.offsets() as ends:
            marks = await ends(on.topics.executions)  # of the owners; nothing was ordered yet
            await on.until(
                lambda: ends(on.topics.executions),
                lambda seen: seen >= marks + count,
                SECONDS_MAX + left_ms / 1000,
                "not all emitted",
            )
            ended_ms = time.time_ns() / 1e6
        cpu_seconds = engine.cpu_seconds() - cpu_before
        first_ms, chunk = await _emitted(on, count, due_ms)
        await on.stop("engine")
        again, seconds = await produce(on.brokers, await on.ceiling_topic(), [chunk])
    value_bytes = sum(len(value or b"") for records in chunk.values() for _, value, _ in records) // count
    details = {
        "executions": count,
        "seconds": (ended_ms - first_ms) / 1000,
        "first_emitted_before_due_ms": due_ms - first_ms,
        "last_after_due_ms": ended_ms - due_ms,
        "engine_cpu_us_each": cpu_seconds / count * 1e6,
        "record_bytes": value_bytes,
        "partitions": on.partitions,
    }
    rate = count / (ended_ms - first_ms) * 1000
    return [Figure("engine_fire_executions_per_s", rate, "executions/s", again / seconds, details)]


async def _emitted(on: Stage, count: int, due_ms: int) -> tuple[int, Chunk]:
    """(the first instant of emission, all records by partition), each run exactly once and due when it was asked for."""
    runs: set[str] = set()
    first_ms = due_ms
    chunk: Chunk = {number: [] for number in range(on.partitions)}
    total = 0
    async for records in batches(on.brokers, on.topics.executions, on.partitions):
        for record in records:
            if owner_mark_of(record.value) is not None:
                continue
            execution = decode_execution(record.value)
            assert execution.due_ms == due_ms, f"due {execution.due_ms}, asked for {due_ms}"
            assert execution.attempt == 1
            runs.add(execution.run)
            first_ms = min(first_ms, execution.emitted_ms)
            chunk[record.partition].append((record.key, record.value, ()))
            total += 1
    assert total == len(runs) == count, f"{total} executions of {len(runs)} runs, {count} wanted"
    return first_ms, chunk
