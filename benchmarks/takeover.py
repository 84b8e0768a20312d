"""How long nobody fires: one of three engines is killed, then each is restarted in turn, with many schedules pending.

`takeover_s_max`: from `kill -9` until the last of its partitions fires again at another engine (the first execution of the new
owner's epoch); the session timeout is in it. `rolling_restart_late_s_max`: under a steady load every engine is ended with
SIGTERM and started again, one after another; the worst lateness of an emission, due instant to the engine's stamp. Both runs
check that every schedule was emitted, none early. There is no ceiling: what is waited for are Kafka's timeouts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import le

from benchmarks.bare_kafka import batches, produce
from benchmarks.engine_ingest import TARGET
from benchmarks.figure import Figure
from benchmarks.stage import Stage, note, stage
from benchmarks.workload import creates, far_future
from squirrel.streams.timeline.standby import FOLLOW_SECONDS
from squirrel.wire.owner_mark import owner_mark_of
from squirrel.wire.records import Execution, decode_execution

ENGINES = ("engine-a", "engine-b", "engine-c")
PENDING = 1_000_000
PENDING_SMALL = 2_000
KILL_RATE_PER_S = 100
RESTART_RATE_PER_S = 500
KILL_SECONDS = 40
KILL_SECONDS_SMALL = 20
RESTART_SECONDS = 60
RESTART_SECONDS_SMALL = 12  # and one engine of the three
LEAD_SECONDS = 6
BEFORE_SECONDS = 3
SECONDS_MAX = 400.0


@dataclass(slots=True)
class Load:
    """One-shots due at a steady rate from `first_ms` on."""

    first_ms: int
    count: int
    rate_per_s: int

    def due_ms(self, index: int) -> int:
        return self.first_ms + index * 1000 // self.rate_per_s


async def run(small: bool) -> list[Figure]:
    async with stage(emit_window=0) as on:
        await on.start(*ENGINES)
        pending = await _pending(on, PENDING_SMALL if small else PENDING)
        takeover, taken = await _killed(on, KILL_RATE_PER_S, KILL_SECONDS_SMALL if small else KILL_SECONDS)
        await on.start(ENGINES[-1])
        await _copied(on)
        if small:
            late, restarts = await _restarted(on, ENGINES[:1], RESTART_SECONDS_SMALL)
        else:
            late, restarts = await _restarted(on, ENGINES, RESTART_SECONDS)
    return [
        Figure("takeover_s_max", takeover, "s", None, {"pending": pending, **taken}),
        Figure("rolling_restart_late_s_max", late, "s", None, {"pending": pending, **restarts}),
    ]


async def _pending(on: Stage, count: int) -> int:
    now_ms = time.time_ns() // 1_000_000
    chunks = creates(count, far_future(now_ms), now_ms=now_ms, partitions=on.partitions, url=TARGET)
    await produce(on.brokers, on.topics.commands, chunks)
    await on.until(_sum_of(on, "rows"), lambda seen: seen >= count, SECONDS_MAX, "not all pending", 0.5)
    note(f"{count} pending in {len(ENGINES)} engines")
    await _copied(on)
    return count


async def _copied(on: Stage) -> None:
    """Every partition has a standby copy that lacks no more than a second's records: an engine dies on an ordinary day."""
    await on.until(_sum_of(on, "standby_copies"), lambda seen: seen == on.partitions, SECONDS_MAX, "not copied", 0.5)
    await asyncio.sleep(FOLLOW_SECONDS)  # the figures are those of the last round
    await on.until(
        _sum_of(on, "standby_behind"), lambda seen: seen <= RESTART_RATE_PER_S, SECONDS_MAX, "copies are behind", 0.5
    )
    note("every partition has a copy")


def _sum_of(on: Stage, metric: str) -> Callable[[], Awaitable[float]]:
    async def ask() -> float:
        found = await asyncio.gather(*(service.metrics() for service in on.services.values()))
        return sum(each.get(metric, 0.0) for each in found)

    return ask


async def _load(on: Stage, rate_per_s: int, seconds: int, seed: int) -> Load:
    load = Load(time.time_ns() // 1_000_000 + LEAD_SECONDS * 1000, rate_per_s * seconds, rate_per_s)
    chunks = creates(load.count, load.due_ms, now_ms=load.first_ms, partitions=on.partitions, url=TARGET, seed=seed)
    await produce(on.brokers, on.topics.commands, chunks)
    await asyncio.sleep(load.first_ms / 1000 + BEFORE_SECONDS - time.time())
    return load


async def _killed(on: Stage, rate_per_s: int, seconds: int) -> tuple[float, dict[str, object]]:
    load = await _load(on, rate_per_s, seconds, seed=2)
    killed_ms = time.time_ns() // 1_000_000
    await on.kill(ENGINES[-1])
    note("killed one of three engines")
    executions = await _emitted(on, load, 0)
    before = {each.partition: each.epoch for each in executions if each.emitted_ms < killed_ms}
    first: dict[int, int] = {}
    for each in executions:
        if each.epoch != before[each.partition] and each.partition not in first:
            first[each.partition] = each.emitted_ms
    assert first, "nobody took over"
    gaps = {number: (at_ms - killed_ms) / 1000 for number, at_ms in sorted(first.items())}
    return max(gaps.values()), {
        "partitions": len(gaps),
        "first_partition_s": min(gaps.values()),
        "late_s_max": _late_s_max(executions),
        "session_timeout_s": on.settings.session_timeout_seconds,
    }


async def _restarted(on: Stage, names: Sequence[str], seconds: int) -> tuple[float, dict[str, object]]:
    async with on.offsets() as ends:
        emitted_before = await ends(on.topics.executions)
    load = await _load(on, RESTART_RATE_PER_S, seconds, seed=3)
    stops: list[float] = []
    starts: list[float] = []
    for name in names:
        began = time.perf_counter()
        await on.stop(name)
        stopped = time.perf_counter()
        await on.start(name)
        stops.append(round(stopped - began, 2))
        starts.append(round(time.perf_counter() - stopped, 2))
        note(f"{name}: stopped in {stops[-1]} s, ready again in {starts[-1]} s")
    executions = await _emitted(on, load, emitted_before)
    details = {"rate_per_s": load.rate_per_s, "stop_s": stops, "ready_s": starts}
    return _late_s_max(executions), details


@dataclass(slots=True)
class Emitted:
    """One execution as it stands in the topic."""

    partition: int
    epoch: int
    due_ms: int
    emitted_ms: int
    schedule: str


async def _emitted(on: Stage, load: Load, skip: int) -> list[Emitted]:
    """The executions of this load, in the order of each partition; every schedule was emitted, and none early."""
    found: list[Emitted] = []
    wanted = skip + load.count
    async with on.offsets() as ends:
        while len({each.schedule for each in found}) < load.count:
            seen = await on.until(
                lambda: ends(on.topics.executions), partial(le, wanted), SECONDS_MAX, "not all emitted", 0.5
            )
            found = await _of_load(on, load)
            wanted = seen + 1  # owners' marks and repeats were among them
    assert all(each.due_ms - each.emitted_ms <= on.settings.emit_ahead_ms for each in found), "emitted too early"
    return found


async def _of_load(on: Stage, load: Load) -> list[Emitted]:
    found: list[Emitted] = []
    last_ms = load.due_ms(load.count - 1)
    async for records in batches(on.brokers, on.topics.executions, on.partitions):
        for record in records:
            if owner_mark_of(record.value) is not None:
                continue
            execution: Execution = decode_execution(record.value)
            if load.first_ms <= execution.due_ms <= last_ms:
                found.append(
                    Emitted(
                        record.partition, execution.epoch, execution.due_ms, execution.emitted_ms, execution.schedule
                    )
                )
    return found


def _late_s_max(executions: list[Emitted]) -> float:
    return max(each.emitted_ms - each.due_ms for each in executions) / 1000
