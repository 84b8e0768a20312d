"""The lane on a real SQLite file: durable when it returns, nothing skipped in an outage, one poison record stops nobody."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from squirrel.model.ids import run_id
from squirrel.recorder import shell
from squirrel.recorder.shell import RecorderLane
from squirrel.recorder.step import Poison
from squirrel.stores.history import HistoryBatch, HistoryRejects
from squirrel.stores.sqlite import SqliteHistory
from tests.eventually import eventually
from tests.unit.recorder.records import SLOT_MS, completion, dead_letter, records, result

KINDS = {"x.results": "results", "x.completions": "completions", "x.dead-letters": "dead-letters"}


HASTY = pytest.mark.parametrize("world", [0.3], indirect=True)  # the store's deadline in seconds


class StoppedClock:
    def __init__(self) -> None:
        self.ms = SLOT_MS + 1000

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


class CountingHistory(SqliteHistory):
    """The real store; notes the sizes of its batches and takes no body that says so."""

    def __init__(self, path: Path, timeout_seconds: float) -> None:
        super().__init__(path, timeout_seconds)
        self.sizes: list[int] = []

    async def write(self, batch: HistoryBatch) -> None:
        self.sizes.append(len(batch))
        if any(attempt.body == "indigestible" for attempt in batch.attempts):
            raise HistoryRejects("cannot hold this")
        await super().write(batch)


class World:
    def __init__(self, directory: Path, timeout_seconds: float) -> None:
        self.path = directory / "history.db"
        self.history = CountingHistory(self.path, timeout_seconds)
        self.reader = SqliteHistory(self.path, timeout_seconds=20)
        self.clock = StoppedClock()
        self.refused: list[Poison] = []
        self.lane = RecorderLane(self.history, KINDS, self.refuse, self.clock, prune_seconds=0.05)

    async def refuse(self, poison: Poison) -> None:
        self.refused.append(poison)

    async def attempts_of(self, schedule: str) -> list[int]:
        run = await self.reader.run("default", run_id("default", schedule, SLOT_MS))
        return [] if run is None else [attempt.number for attempt in run.attempts]


@pytest.fixture
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path, getattr(request, "param", 20.0))
    await world.reader.start()
    await world.lane.start()
    yield world
    await world.lane.stop()
    await world.history.close()
    await world.reader.close()


async def test_records_are_durable_when_process_returns(world: World) -> None:
    await world.lane.process("x.results", 0, records("x.results", result("a", 1), result("a", 2)))
    assert await world.attempts_of("a") == [1, 2]
    await world.lane.process("x.completions", 0, records("x.completions", completion("a")))
    await world.lane.process("x.dead-letters", 0, records("x.dead-letters", dead_letter("a")))
    run = await world.reader.run("default", run_id("default", "a", SLOT_MS))
    assert run is not None
    assert run.record.state == "failed"
    assert len((await world.reader.dead_letters("default")).items) == 1
    state = world.lane.state
    assert (state.ready, state.pending_records, state.lag_ms, state.written_total) == (True, 0, 0, 4)


async def test_partitions_share_writes_and_a_large_hand_in_is_cut(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = [world.lane.process("x.results", p, records("x.results", result(f"s{p}"), partition=p)) for p in range(20)]
    await asyncio.gather(*work)
    assert sum(world.history.sizes) == 20
    assert len(world.history.sizes) <= 2
    world.history.sizes.clear()
    await world.lane.process("x.results", 0, records("x.results", *(result(f"b{n}") for n in range(4500))))
    assert world.history.sizes == [2000, 2000, 500]
    world.history.sizes.clear()
    monkeypatch.setattr(shell, "HISTORY_BATCH_BYTES_MAX", 100_000)
    await world.lane.process(
        "x.results", 0, records("x.results", *(result("c", n, body="b" * 40_000) for n in (1, 2, 3)))
    )
    assert world.history.sizes == [2, 1]


async def test_poison_goes_to_refuse_and_its_neighbours_are_written(world: World) -> None:
    await world.lane.process("x.results", 5, records("x.results", result("a"), b"junk", result("b"), partition=5))
    assert [(each.partition, each.offset) for each in world.refused] == [(5, 1)]
    assert await world.attempts_of("b") == [1]
    await world.lane.process("x.results", 5, records("x.results", None, b"", partition=5, first=3))
    assert [each.offset for each in world.refused] == [1, 3, 4]
    assert world.lane.state.refused_total == 3


async def test_what_the_store_rejects_is_found_among_its_neighbours(world: World) -> None:
    values = [result(f"s{n}", body="indigestible" if n in (7, 30) else "ok") for n in range(40)]
    await world.lane.process("x.results", 2, records("x.results", *values, partition=2))
    assert sorted(each.offset for each in world.refused) == [7, 30]
    for n in range(40):
        assert await world.attempts_of(f"s{n}") == ([] if n in (7, 30) else [1])


@HASTY
async def test_an_outage_delays_and_loses_nothing(world: World) -> None:
    lock = sqlite3.connect(world.path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    work = [
        asyncio.create_task(
            world.lane.process("x.results", p, records("x.results", result(f"s{p}", 1), result(f"s{p}", 2)))
        )
        for p in range(5)
    ]
    await eventually(lambda: world.lane.state.failures_total >= 2)
    state = world.lane.state
    assert not state.ready
    assert "locked" in state.last_error or "no answer" in state.last_error
    assert (state.pending_records, state.failing_since_ms, state.lag_ms) == (10, world.clock.ms, 980)
    assert not any(task.done() for task in work)
    assert await world.attempts_of("s0") == []
    lock.execute("ROLLBACK")
    lock.close()
    await asyncio.wait_for(asyncio.gather(*work), 10)
    for p in range(5):
        assert await world.attempts_of(f"s{p}") == [1, 2]
    assert world.lane.state.ready
    assert world.lane.state.pending_records == 0


@HASTY
async def test_a_partition_taken_away_is_forgotten_and_the_others_go_on(world: World) -> None:
    lock = sqlite3.connect(world.path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    lost = asyncio.create_task(world.lane.process("x.results", 0, records("x.results", result("lost"))))
    kept = asyncio.create_task(world.lane.process("x.results", 1, records("x.results", result("kept"))))
    await eventually(lambda: world.lane.state.failures_total >= 1)
    lost.cancel()
    await asyncio.wait({lost})
    lock.execute("ROLLBACK")
    lock.close()
    await asyncio.wait_for(kept, 10)
    assert await world.attempts_of("kept") == [1]
    assert lost.cancelled()


@HASTY
async def test_stopping_leaves_waiting_calls_undone(world: World) -> None:
    lock = sqlite3.connect(world.path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(world.lane.process("x.results", 0, records("x.results", result("a"))))
    await eventually(lambda: world.lane.state.failures_total >= 1)
    await world.lane.stop()
    await asyncio.wait({waiting}, timeout=5)
    assert waiting.cancelled()
    lock.close()
    with pytest.raises(RuntimeError, match="not running"):
        await world.lane.process("x.results", 0, records("x.results", result("a")))


async def test_a_defect_ends_the_calls_that_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(batch: HistoryBatch) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.history, "write", broken)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(world.lane.process("x.results", 0, records("x.results", result("a"))), 5)


async def test_what_outlived_its_retention_is_pruned(world: World) -> None:
    await world.lane.process("x.results", 0, records("x.results", result("a"), result("b", retention_ms=10**9)))
    world.clock.ms = SLOT_MS + 2 * 3_600_000
    await eventually(lambda: world.lane.state.pruned_total == 1)
    assert await world.attempts_of("a") == []
    assert await world.attempts_of("b") == [1]


async def test_a_topic_that_is_not_ours_is_a_defect(world: World) -> None:
    with pytest.raises(KeyError, match=r"x\.other"):
        await world.lane.process("x.other", 0, records("x.other", result("a")))
