"""Kills, stops and rebalances: nothing is lost, and only what was in flight is called again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator

from aiokafka import AIOKafkaConsumer, TopicPartition

from squirrel.testing import Line, Received, Target, answer
from squirrel.wire.public import decode_result
from tests.eventually import eventually
from tests.system.executor.conftest import PARTITIONS, SESSION_SECONDS, World

ALL = 3000


def runs_of(requests: list[Received]) -> list[str]:
    return [request.header("webhook-id") or "" for request in requests]


async def reported(world: World) -> set[str]:
    """The runs whose results stand in the log now, read to its end."""
    consumer = AIOKafkaConsumer(bootstrap_servers=world.settings.kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        tps = [TopicPartition(world.topics.results, number) for number in range(PARTITIONS)]
        consumer.assign(tps)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(tps)
        found: set[str] = set()
        while any([await consumer.position(tp) < ends[tp] for tp in tps]):
            for records in (await consumer.getmany(timeout_ms=100)).values():
                found |= {decode_result(record.value).run for record in records}
        return found
    finally:
        await consumer.stop()


@contextlib.asynccontextmanager
async def killed_at_the_end(process: asyncio.subprocess.Process) -> AsyncIterator[asyncio.subprocess.Process]:
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_killed_executor_repeats_only_what_was_in_flight(world: World) -> None:
    async with Target(answer()) as target:
        executions = [world.execution(n, target.url) for n in range(ALL)]
        await world.emit(*executions)
        async with killed_at_the_end(await world.process()) as first:
            await eventually(lambda: len(target.requests) >= ALL // 3, 30)
            first.send_signal(signal.SIGKILL)
            await first.wait()
        await eventually(target.idle.is_set, 5)
        before = runs_of(target.requests)
        assert len(before) < ALL, "it was killed in the middle"
        done = await reported(world)
        assert done
        async with killed_at_the_end(await world.process()) as second:
            await eventually(lambda: len(world.finished) == ALL, 60, "all results")
            second.send_signal(signal.SIGTERM)
            assert await second.wait() == 0
        after = runs_of(target.requests)[len(before) :]
        assert set(before) | set(after) == {execution.run for execution in executions}, "called at least once"
        assert done.isdisjoint(after), "a reported call was repeated"
        assert max(Counter(after).values()) == 1
        repeated = set(before) & set(after)
        assert repeated == set(before) - done
        assert len(repeated) <= world.settings.window
        bodies = {(request.header("webhook-id"), request.body) for request in target.requests}
        assert len(bodies) == ALL, "a repeat carries the same ids and the same bytes"


async def test_what_is_held_at_a_stop_is_called_by_the_next_owner(world: World) -> None:
    async with Target(answer()) as target:
        loop = asyncio.get_running_loop()
        due_ms = world.now_ms() + 5_000
        async with world.executor() as service:
            await world.emit(*(world.execution(n, target.url, due_ms=due_ms) for n in range(20)))
            await world.emit(*(world.execution(n, target.url) for n in range(20, 40)))
            await world.until(20)
            await eventually(lambda: service.values()["held"] == 20)
            begin = loop.time()
        assert loop.time() - begin < 3.5
        assert len(target.requests) == 20
        async with world.executor():
            await world.until(40)
        counts = Counter(runs_of(target.requests))
        assert len(counts) == 40
        assert set(counts.values()) == {1}, "what was finished beyond the first held one is not called again"
        assert all(result.started_ms >= due_ms for result in world.results if json.loads(result.schedule_id[1:]) < 20)


async def test_a_stop_waits_for_calls_in_flight(world: World) -> None:
    async def takes_a_second(line: Line, received: Received) -> bool:
        await line.target.pause(1.0)
        return await answer()(line, received)

    async with Target(takes_a_second) as target:
        async with world.executor():
            await world.emit(*(world.execution(n, target.url) for n in range(8)))
            await eventually(lambda: len(target.requests) == 8)
        await world.until(8, 5)
        async with world.executor() as service:
            await eventually(lambda: len(service.app.ready()) == PARTITIONS)
            assert {owned.mark()[0] for owned in service.executor.partitions.values()} == {2}, (
                "committed on the way out"
            )
        assert len(target.requests) == 8


async def test_a_call_that_outlives_the_stop_is_left_to_the_next_owner(world: World) -> None:
    async def slow_at_first(line: Line, received: Received) -> bool:
        if len(line.target.requests) == 1:
            await line.until_dropped()
            return False
        return await answer()(line, received)

    async with Target(slow_at_first) as target:
        loop = asyncio.get_running_loop()
        async with world.executor():
            await world.emit(world.execution(1, target.url))
            await eventually(lambda: len(target.requests) == 1)
            begin = loop.time()
        assert loop.time() - begin < 3.9
        assert world.results == []
        async with world.executor():
            await world.until(1)
        assert len(set(runs_of(target.requests))) == 1
        assert len(target.requests) == 2


async def test_a_rebalance_loses_nothing_and_repeats_nothing(world: World) -> None:
    async def unhurried(line: Line, received: Received) -> bool:
        await line.target.pause(0.02)
        return await answer()(line, received)

    async with Target(unhurried) as target, contextlib.AsyncExitStack() as second:
        async with world.executor(window=32, window_per_host=32):
            await world.emit(*(world.execution(n, target.url) for n in range(ALL)))
            await eventually(lambda: len(target.requests) > 200, 30)
            joined = await second.enter_async_context(world.executor(worker="second", window=32, window_per_host=32))
            assert len(target.requests) < ALL, "the second joined in the middle"
            await eventually(lambda: joined.values()["calls"] > 50, 30)
            assert len(joined.app.assigned()) == PARTITIONS // 2
        # The first one's partitions come over when its session has ended: its name is static.
        await eventually(lambda: len(world.finished) == ALL, SESSION_SECONDS + 60, "all results")
        counts = Counter(runs_of(target.requests))
        assert len(counts) == ALL
        assert set(counts.values()) == {1}, "both drained before they let go"


async def test_a_full_executor_holds_its_lane_back_and_lets_its_partitions_go(world: World) -> None:
    async def stuck_until(line: Line, received: Received) -> bool:
        await release.wait()
        return await answer()(line, received)

    release = asyncio.Event()
    async with Target(stuck_until) as target:
        async with world.executor(window=4, window_per_host=4) as service:
            service.executor._calls = 10**9  # as if so many were held: there is room for nobody
            await world.emit(*(world.execution(n, target.url) for n in range(50)))
            await eventually(lambda: sum(len(owned.rest) for owned in service.executor.partitions.values()) == 50)
            begin = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - begin < 3.5, "a lane without room does not stop the stop"
        assert target.requests == []
        release.set()
        async with world.executor(window=4, window_per_host=4):
            await world.until(50)
        assert len(set(runs_of(target.requests))) == len(target.requests) == 50


async def test_a_killed_executor_repeats_no_call_that_may_be_made_but_once(world: World) -> None:
    async with Target(answer()) as target:
        due_ms = world.now_ms()
        executions = [world.execution(n, target.url, not_after_ms=due_ms + 600_000) for n in range(ALL // 3)]
        await world.emit(*executions)
        async with killed_at_the_end(await world.process()) as first:
            await eventually(lambda: len(target.requests) >= ALL // 10, 30)
            first.send_signal(signal.SIGKILL)
            await first.wait()
        await eventually(target.idle.is_set, 5)
        before = runs_of(target.requests)
        assert len(before) < len(executions), "it was killed in the middle"
        last = [world.execution(n, target.url) for n in range(ALL, ALL + PARTITIONS)]
        await world.emit(*last)
        async with killed_at_the_end(await world.process()) as second:
            await eventually(lambda: {each.run for each in last} <= world.finished, 60, "what stands behind all others")
            second.send_signal(signal.SIGTERM)
            assert await second.wait() == 0
        calls = Counter(runs_of(target.requests))
        assert max(calls.values()) == 1, "nothing was called twice"
        missing = {execution.run for execution in executions} - set(calls)
        assert len(missing) <= world.settings.window, "only what was committed and not yet called is missing"


async def test_a_call_that_came_too_late_is_reported_and_not_made(world: World) -> None:
    async with Target(answer()) as target, world.executor():
        await world.emit(world.execution(1, target.url, not_after_ms=world.now_ms() - 1))
        (result,) = await world.until(1)
    assert target.requests == []
    assert (result.state, result.final) == ("failed", True)
    assert result.error is not None
    assert "not called" in result.error.detail
