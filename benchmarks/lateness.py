"""How late a webhook starts: 1,000 a second for 30 s through everything, from the due instant to the request at the target.

All services run; the schedules are created over REST in batches before the first is due. Never negative. `answered_*` is from the
due instant to the end of the call, as the results say. Ceiling (here a floor): one bare loop on raw connections that waits for
each due instant and sends, against the same target on the same machine with all services idle.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

import httpx

from benchmarks.bare_kafka import batches
from benchmarks.figure import Figure, percentile
from benchmarks.http_load import drive, request
from benchmarks.sink import Received, Sink, sink
from benchmarks.stage import Stage, note, stage
from benchmarks.workload import SEED, document, message_of
from squirrel.model.instants import parse_instant
from squirrel.wire.public import decode_result

RATE_PER_S = 1_000
RATE_PER_S_SMALL = 200
SECONDS = 30
SECONDS_SMALL = 2
FLOOR_SECONDS = 5
BATCH = 1_000
CREATE_PER_S_MIN = 2_500  # batches must be in before the first is due
LEAD_SECONDS = 4
SECONDS_MAX = 120.0
STATIONS = ("emitted", "picked_up", "started", "finished")
PERCENTILES = (("p50", 0.5), ("p99", 0.99), ("max", 1.0))


async def run(small: bool) -> list[Figure]:
    rate = RATE_PER_S_SMALL if small else RATE_PER_S
    count = rate * (SECONDS_SMALL if small else SECONDS)
    async with stage() as on, sink(on.folder) as target:
        await on.start(*("engine", "executor", "recorder", "intake", "gateway"))
        floor = await _floor(on, target, rate, rate if small else rate * FLOOR_SECONDS)
        before = await target.count()
        cpu_before = {name: service.cpu_seconds() for name, service in on.services.items()}
        first_due_ms = time.time_ns() // 1_000_000 + (LEAD_SECONDS + count // CREATE_PER_S_MIN) * 1000
        ids = await _create(on, [first_due_ms + index * 1000 // rate for index in range(count)], target.url)
        left_ms = first_due_ms - time.time_ns() // 1_000_000
        assert left_ms > on.settings.emit_ahead_ms, "the schedules were not created before they were due"
        note(f"{count} schedules, the first due in {left_ms} ms")
        async with on.offsets() as ends:
            wait_seconds = SECONDS_MAX + (left_ms + count * 1000 / rate) / 1000
            # Asked seldom: the broker is to do the product's work, not ours.
            await on.until(
                lambda: ends(on.topics.results), lambda seen: seen >= count, wait_seconds, "not all called", 0.5
            )
        cpu = {name: service.cpu_seconds() - cpu_before[name] for name, service in on.services.items()}
        received = (await target.received())[before:]
        stations = await _stations(on, ids)
    late = _checked(received, count)
    figures = []
    for name, part in PERCENTILES:
        details = {
            "answered_ms": percentile(stations["finished"], part),
            **{f"{name}_after_due_ms": percentile(stations[name], part) for name in STATIONS[:3]},
            "calls": len(late),
            "rate_per_s": rate,
            "negative": sum(each < 0 for each in late),
            "cpu_us_each": {service: round(seconds / count * 1e6) for service, seconds in cpu.items()},
            "target": target.kind,
        }
        figures.append(Figure(f"lateness_ms_{name}", percentile(late, part), "ms", percentile(floor, part), details))
    return figures


def _checked(received: Sequence[Received], count: int) -> list[float]:
    """Lateness of each call, ascending; each run came exactly once."""
    runs = {each.run for each in received}
    assert len(received) == len(runs) == count, f"{len(received)} calls of {len(runs)} runs, {count} wanted"
    late = sorted(each.lateness_ms for each in received)
    assert late[0] >= 0, f"a call came {-late[0]:.3f} ms before it was due"
    return late


async def _floor(on: Stage, target: Sink, rate: int, count: int) -> list[float]:
    """Lateness of a bare paced loop, ascending."""
    body = message_of(random.Random(SEED))
    await drive(
        on.folder, [request("POST", "/hook", body)], port=target.port, count=count, connections=64, rate_per_s=rate
    )
    late = sorted(each.lateness_ms for each in await target.received())
    note(f"bare loop: p50 {percentile(late, 0.5):.2f} ms, p99 {percentile(late, 0.99):.2f} ms")
    return late


async def _create(on: Stage, due_ms: Sequence[int], url: str) -> set[str]:
    """Create them over REST; the ids."""
    draw = random.Random(SEED)
    ids: set[str] = set()
    address = f"http://127.0.0.1:{on.settings.port}/api/v1/schedules:batch"
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:

        async def send(part: Sequence[int]) -> None:
            body = b'{"schedules":[%b]}' % b",".join(document(each, url, draw) for each in part)
            answer = await client.post(address, content=body, headers={"content-type": "application/json"})
            assert answer.status_code == 200, answer.text[:500]
            for result in answer.json()["results"]:
                assert result["status"] == 201, result
                ids.add(result["id"])

        parts = [due_ms[start : start + BATCH] for start in range(0, len(due_ms), BATCH)]
        for start in range(0, len(parts), 4):
            await asyncio.gather(*(send(part) for part in parts[start : start + 4]))
    assert len(ids) == len(due_ms)
    return ids


async def _stations(on: Stage, ids: set[str]) -> dict[str, list[float]]:
    """From due to emitted, picked up, started and finished, each ascending, as the results topic says; negative: before."""
    found: dict[str, tuple[float, ...]] = {}
    async for records in batches(on.brokers, on.topics.results, on.partitions):
        for record in records:
            result = decode_result(record.value)
            assert result.state == "succeeded", result
            assert result.started_ms >= result.due_ms, "started before it was due"
            instants = (
                parse_instant(result.emitted),
                parse_instant(result.picked_up),
                result.started_ms,
                result.finished_ms,
            )
            found[result.schedule_id] = tuple(float(each - result.due_ms) for each in instants)
    assert found.keys() == ids, f"{len(found)} schedules have results, {len(ids)} wanted"
    columns = zip(*found.values(), strict=True)
    return {name: sorted(column) for name, column in zip(STATIONS, columns, strict=True)}
