"""A bulk that is due in one instant, and what it does to whoever is beside it. Everything runs; all call one target.

`fairness_lateness_ms_p99`: a tenant has 100,000 runs due in the same millisecond; another tenant has single runs, ten a second,
while they drain. How late those are. `burst_drain_ratio`: the same bulk again, beside a stream of 1,000 a second of the same
tenant and another event; calls a second until the bulk and what the stream had due meanwhile are called. Ceiling: the
same executor draining a backlog of executions of the same size with no other service running. `burst_stream_lateness_ms_p99`: how
late that stream is while the bulk drains.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmarks.bare_kafka import produce
from benchmarks.executor_webhooks import backlog
from benchmarks.figure import Figure, percentile
from benchmarks.sink import Received, Sink, sink
from benchmarks.stage import Stage, note, stage
from benchmarks.workload import SEED, creates
from squirrel.model.ids import run_id
from squirrel.wire.records import decode_command

COUNT = 100_000
COUNT_SMALL = 2_000
BACKLOG = 50_000
SINGLES_PER_S = 10
STREAM_PER_S = 1_000
BESIDE_SECONDS = 10  # what comes beside the bulk, from its instant on
BESIDE_SECONDS_SMALL = 1
APPLIED_PER_S_MIN = 10_000  # all must be applied before the first is due
LEAD_SECONDS = 4
SECONDS_MAX = 180.0


class Load(NamedTuple):
    """`count` one-shots, the i-th due at `due_ms(i)`."""

    count: int
    due_ms: Callable[[int], int]
    namespace: str
    event: str
    seed: int


async def run(small: bool) -> list[Figure]:
    count, seconds = (COUNT_SMALL, BESIDE_SECONDS_SMALL) if small else (COUNT, BESIDE_SECONDS)
    async with stage() as on, sink(on.folder) as target:
        ceiling = await _ceiling(on, target, COUNT_SMALL if small else BACKLOG)
        await on.start("engine", "recorder")
        beside = seconds * SINGLES_PER_S
        bulk, singles = await _together(on, target, count, (beside, 1000 // SINGLES_PER_S, "quiet", "bench.single"), 10)
        fairness = percentile(_late(singles), 0.99)
        bulk_seconds = _span_seconds(bulk)
        beside = seconds * STREAM_PER_S
        burst, stream = await _together(on, target, count, (beside, 1000 // STREAM_PER_S, "busy", "bench.stream"), 20)
    ended_us = max(each.received_us for each in burst)
    meanwhile = [each for each in stream if each.due_ms * 1000 <= ended_us]
    drain_seconds = _span_seconds(burst)
    rate = (len(burst) + len(meanwhile)) / drain_seconds
    shared = {"bulk": count, "target": target.kind}
    singly = {"singles": len(singles), "bulk_drain_seconds": bulk_seconds, "p50_ms": percentile(_late(singles), 0.5)}
    late = _late(meanwhile)
    streamed = {"stream": len(meanwhile), "p50_ms": percentile(late, 0.5), "max_ms": late[-1]}
    return [
        Figure("fairness_lateness_ms_p99", fairness, "ms", None, {**shared, **singly}),
        Figure(
            "burst_drain_ratio",
            rate / ceiling,
            "of the executor alone",
            1.0,
            {**shared, "drain_seconds": drain_seconds, "calls_per_s": rate, "executor_alone_per_s": ceiling},
        ),
        Figure("burst_stream_lateness_ms_p99", percentile(late, 0.99), "ms", None, {**shared, **streamed}),
    ]


async def _ceiling(on: Stage, target: Sink, count: int) -> float:
    """Calls a second of the executor alone, from a backlog; it stays up."""
    await produce(on.brokers, on.topics.executions, backlog(count, target.url, on.partitions))
    await on.start("executor", wait_ready=False)
    await on.until(target.count, lambda seen: seen >= count, SECONDS_MAX, "the backlog was not drained", 0.1)
    rate = count / _span_seconds(await target.received())
    note(f"the executor alone makes {rate:,.0f} calls/s")
    return rate


async def _together(
    on: Stage, target: Sink, count: int, other: tuple[int, int, str, str], seed: int
) -> tuple[list[Received], list[Received]]:
    """(calls of a bulk due in one instant, calls of what is due from then on: how many, every how many ms, tenant, event)."""
    beside, every_ms, namespace, event = other
    [engine] = [service for name, service in on.services.items() if name == "engine"]
    now_ms = time.time_ns() // 1_000_000
    total = count + beside
    due_ms = now_ms + (LEAD_SECONDS + total // APPLIED_PER_S_MIN) * 1000
    loads = (
        Load(count, lambda _: due_ms, "busy", "bench.bulk", SEED + seed),
        Load(beside, lambda index: due_ms + index * every_ms, namespace, event, SEED + seed + 1),
    )
    seen_before, applied_before = await target.count(), (await engine.metrics())["commands"]
    runs = [await _create(on, load, now_ms, target.url) for load in loads]

    async def applied() -> float:
        return (await engine.metrics())["commands"] - applied_before

    await on.until(applied, lambda seen: seen >= total, SECONDS_MAX, "not all commands applied", 0.1)
    left_ms = due_ms - time.time_ns() // 1_000_000
    assert left_ms > on.settings.emit_ahead_ms, "the commands were not applied before they were due"
    note(f"{count} due in {left_ms} ms, {beside} from then on")
    wanted = seen_before + total
    # Asked seldom: the target and the cores are there for the calls.
    await on.until(target.count, lambda seen: seen >= wanted, SECONDS_MAX, "not all called", 0.5)
    received = (await target.received())[seen_before:]
    assert len(received) == len({each.run for each in received}) == total, "each run is called once"
    bulk, others = ([each for each in received if each.run in some] for some in runs)
    assert (len(bulk), len(others)) == (count, beside)
    return bulk, others


async def _create(on: Stage, load: Load, now_ms: int, url: str) -> set[str]:
    """Creates them by Kafka; the ids of their runs."""
    chunks = list(
        creates(
            load.count,
            load.due_ms,
            now_ms=now_ms,
            partitions=on.partitions,
            url=url,
            seed=load.seed,
            whose=(load.namespace, load.event),
        )
    )
    runs: set[str] = set()
    for chunk in chunks:
        for records in chunk.values():
            for _, value, _ in records:
                command = decode_command(value)
                assert command.spec is not None
                runs.add(run_id(command.namespace, command.id, command.spec.when.at_ms or 0))
    await produce(on.brokers, on.topics.commands, iter(chunks))
    return runs


def _late(received: Sequence[Received]) -> list[float]:
    late = sorted(each.lateness_ms for each in received)
    assert late[0] >= 0, f"a call came {-late[0]:.3f} ms before it was due"
    return late


def _span_seconds(received: Sequence[Received]) -> float:
    arrivals = [each.received_us for each in received]
    return (max(arrivals) - min(arrivals)) / 1e6
