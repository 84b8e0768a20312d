"""How many schedules a second one gateway takes, an engine beside it.

`rest_schedules_per_s`: single calls on many kept-alive connections; acknowledged by Kafka and applied by the engine (201).
`rest_schedules_async_per_s`: the same with `Prefer: respond-async`; acknowledged by Kafka (202).
`rest_batch_schedules_per_s`: batches of 1,000, each item acknowledged and applied.
Ceilings: the same gateway answering GET /healthz on as many connections; for the batch the bare writer with the same commands.
"""

from __future__ import annotations

import json
import random
import time

from benchmarks.bare_kafka import batches, produce
from benchmarks.figure import Figure
from benchmarks.http_load import Driven, drive, request
from benchmarks.stage import Stage, note, stage
from benchmarks.workload import CHUNK, DAY_MS, SEED, Chunk, document
from squirrel.wire.records import decode_command

SINGLES = 20_000
SINGLES_SMALL = 400
BATCHES = 60
BATCHES_SMALL = 3
BATCH_ITEMS = 1_000
BATCH_ITEMS_SMALL = 100
CONNECTIONS = 128
BATCH_CONNECTIONS = 4
PATH = "/api/v1/schedules"
TARGET = "http://127.0.0.1:9/hook"  # never called: the instants lie days ahead
SECONDS_MAX = 60.0


async def run(small: bool) -> list[Figure]:
    singles = SINGLES_SMALL if small else SINGLES
    connections = 16 if small else CONNECTIONS
    async with stage() as on:
        await on.start("engine", "gateway")
        port = on.settings.port
        bodies = _documents(singles)
        healthz = await drive(
            on.folder, [request("GET", "/healthz")], port=port, count=singles, connections=connections
        )
        assert healthz.statuses == {"200": singles}, healthz
        note(f"the gateway answers {healthz.per_s:,.0f} GET /healthz a second")
        shared = {"port": port, "count": singles, "connections": connections}
        cpu = [_cpu(on)]
        waited = await drive(on.folder, [request("POST", PATH, body) for body in bodies], **shared)
        await _taken(on, waited, "201", singles)
        cpu.append(_cpu(on))
        prefer = "prefer: respond-async\r\n"
        unwaited = await drive(on.folder, [request("POST", PATH, body, prefer) for body in bodies], **shared)
        await _taken(on, unwaited, "202", 2 * singles)
        cpu.append(_cpu(on))
        batch, ceiling = await _batches(on, small, 2 * singles)
    return [
        _figure("rest_schedules_per_s", waited, singles, healthz.per_s, (cpu[0], cpu[1])),
        _figure("rest_schedules_async_per_s", unwaited, singles, healthz.per_s, (cpu[1], cpu[2])),
        batch if ceiling is None else Figure(batch.metric, batch.value, batch.unit, ceiling, batch.details),
    ]


def _cpu(on: Stage) -> tuple[float, float]:
    """CPU seconds of the gateway and of the engine so far."""
    return on.services["gateway"].cpu_seconds(), on.services["engine"].cpu_seconds()


def _figure(
    metric: str, driven: Driven, schedules: int, ceiling: float | None, cpu: tuple[tuple[float, float], ...]
) -> Figure:
    before, after = cpu
    details = {
        "schedules": schedules,
        "seconds": driven.seconds,
        "statuses": driven.statuses,
        "gateway_cpu_us_each": (after[0] - before[0]) / schedules * 1e6,
        "engine_cpu_us_each": (after[1] - before[1]) / schedules * 1e6,
        "answer_ms_p50": driven.answer_ms_p50,
        "answer_ms_p99": driven.answer_ms_p99,
    }
    return Figure(metric, schedules / driven.seconds, "schedules/s", ceiling, details)


async def _batches(on: Stage, small: bool, before: int) -> tuple[Figure, float | None]:
    """The figure without its ceiling, and the ceiling: the same commands, appended by the bare writer."""
    count, items = (BATCHES_SMALL, BATCH_ITEMS_SMALL) if small else (BATCHES, BATCH_ITEMS)
    bodies = _documents(count * items)
    requests = [
        request("POST", f"{PATH}:batch", b'{"schedules":[%b]}' % b",".join(bodies[start : start + items]))
        for start in range(0, count * items, items)
    ]
    cpu_before = _cpu(on)
    driven = await drive(on.folder, requests, port=on.settings.port, count=count, connections=BATCH_CONNECTIONS)
    await _taken(on, driven, "200", before + count * items)
    figure = _figure("rest_batch_schedules_per_s", driven, count * items, None, (cpu_before, _cpu(on)))
    await on.stop()
    commands = await _last_commands(on, count * items)
    appended, seconds = await produce(on.brokers, await on.ceiling_topic(), commands)
    assert appended == count * items
    return figure, appended / seconds


async def _taken(on: Stage, driven: Driven, status: str, commands: int) -> None:
    """Every call was answered with the status, and that many create commands stand in the topic and were applied."""
    assert set(driven.statuses) == {status}, f"{driven.statuses}; the last answer: {driven.last_body}"
    async with on.offsets() as ends:
        assert await ends(on.topics.commands) == commands, f"{await ends(on.topics.commands)} commands, not {commands}"

    async def applied() -> float:
        return (await on.services["engine"].metrics())["commands"]

    await on.until(applied, lambda seen: seen >= commands, SECONDS_MAX, "not all commands applied", 0.05)


async def _last_commands(on: Stage, count: int) -> list[Chunk]:
    """The newest commands of the topic, in chunks as the ceiling appends them; each a create."""
    values: list[tuple[int, int, bytes, bytes]] = []
    async for records in batches(on.brokers, on.topics.commands, on.partitions):
        values.extend((record.timestamp, record.partition, record.key, record.value) for record in records)
    values.sort(key=lambda each: each[0])
    chunks: list[Chunk] = []
    for place, (_, number, key, value) in enumerate(values[-count:]):
        if place % CHUNK == 0:
            chunks.append({each: [] for each in range(on.partitions)})
        assert decode_command(value).op == "create"
        chunks[-1][number].append((key, value, ()))
    return chunks


def _documents(count: int) -> list[bytes]:
    draw = random.Random(SEED)
    due_ms = time.time_ns() // 1_000_000 + DAY_MS
    bodies = [document(due_ms + index, TARGET, draw) for index in range(count)]
    assert json.loads(bodies[0])["message"]["data"]
    return bodies
