"""How many webhooks a second one executor calls, results produced, from a backlog of executions that are all due.

From the first request at the target to the last result record in its topic. Ceiling: raw connections against the same target,
as many as the executor may have to one host, with a request of the same size and nothing else to do.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from benchmarks.bare_kafka import batches, produce
from benchmarks.figure import Figure
from benchmarks.http_load import drive, request
from benchmarks.sink import Sink, sink
from benchmarks.stage import Stage, note, stage
from benchmarks.workload import CHUNK, EVENT, NAMESPACE, SEED, Chunk, message_of
from squirrel.model.ids import run_id
from squirrel.model.target import HttpTarget
from squirrel.wire.partitioner import partition_of
from squirrel.wire.public import decode_result
from squirrel.wire.records import Execution, encode_execution

COUNT = 50_000
COUNT_SMALL = 1_000
SECONDS_MAX = 180.0
EPOCH = 1
HEAD_LIKE_OURS = "".join(f"x-same-size-{place}: {'0' * 40}\r\n" for place in range(8))


async def run(small: bool) -> list[Figure]:
    count = COUNT_SMALL if small else COUNT
    async with stage() as on, sink(on.folder) as target:
        body = message_of(random.Random(SEED))
        window = on.settings.window_per_host
        bare = await drive(
            on.folder,
            [request("POST", "/hook", body, HEAD_LIKE_OURS)],
            port=target.port,
            count=count,
            connections=window,
        )
        note(f"raw connections make {bare.per_s:,.0f} calls/s")
        called_before = await target.count()
        await produce(on.brokers, on.topics.executions, backlog(count, target.url, on.partitions))
        [executor] = await on.start("executor", wait_ready=False)
        cpu_before = executor.cpu_seconds()
        async with on.offsets() as ends:
            await on.until(lambda: ends(on.topics.results), lambda seen: seen >= count, SECONDS_MAX, "not all answered")
            ended_us = time.time_ns() / 1000
        cpu_seconds = executor.cpu_seconds() - cpu_before
        await on.stop("executor")
        seconds, runs = await _called(on, target, called_before, ended_us)
    assert runs == count, f"{runs} runs were called, {count} wanted"
    details = {"calls": count, "seconds": seconds, "window_per_host": window, "target": target.kind}
    details["executor_cpu_us_each"] = cpu_seconds / count * 1e6
    return [Figure("executor_webhooks_per_s", count / seconds, "calls/s", bare.per_s, details)]


async def _called(on: Stage, target: Sink, before: int, ended_us: float) -> tuple[float, int]:
    """(seconds from the first request to the end, distinct runs that reached the target and have a result that says so)."""
    received = (await target.received())[before:]
    runs = {each.run for each in received}
    assert len(received) == len(runs), f"{len(received)} calls for {len(runs)} runs: some were called twice"
    answered = set()
    async for records in batches(on.brokers, on.topics.results, on.partitions):
        for record in records:
            result = decode_result(record.value)
            assert (result.state, result.status) == ("succeeded", 200), result
            answered.add(result.run)
    assert answered == runs, f"{len(answered)} runs have results, {len(runs)} were called"
    return (ended_us - received[0].received_us) / 1e6, len(runs)


def backlog(count: int, url: str, partitions: int) -> Iterator[Chunk]:
    """Executions that were due a second ago, as an engine of epoch 1 writes them."""
    draw = random.Random(SEED)
    now_ms = time.time_ns() // 1_000_000 - 1000
    target = HttpTarget(url)
    for start in range(0, count, CHUNK):
        chunk: Chunk = {number: [] for number in range(partitions)}
        for _ in range(start, min(start + CHUNK, count)):
            schedule_id = f"{draw.getrandbits(128):032x}"
            execution = Execution(
                run=run_id(NAMESPACE, schedule_id, now_ms),
                attempt=1,
                namespace=NAMESPACE,
                schedule=schedule_id,
                event=EVENT,
                slot_ms=now_ms,
                due_ms=now_ms,
                emitted_ms=now_ms,
                epoch=EPOCH,
                target=target,
                message=message_of(draw),
                retention_ms=604_800_000,
                revision=1,
            )
            number = partition_of(NAMESPACE, schedule_id, partitions)
            chunk[number].append((schedule_id.encode(), encode_execution(execution), ()))
        yield chunk
