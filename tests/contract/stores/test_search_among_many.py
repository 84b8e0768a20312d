"""A rare run among 100,000: a page looks into a bounded number of runs and says where to go on; none is met twice.

Cassandra is filled with `HISTORY_RUNS` (25,000, more than one page may look at): a hundred thousand take it a minute or two.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from squirrel.model.limits import HISTORY_BATCH_MAX
from squirrel.stores import sqlite
from squirrel.stores.cassandra import SCAN_ROWS
from squirrel.stores.cassandra_rows import SHARDS
from squirrel.stores.cassandra_session import CassandraSession
from squirrel.stores.history import SCAN_LOADED_RUNS_MAX, SCAN_RUNS_MAX, History, HistoryBatch, RunFilter
from squirrel.stores.open import open_history
from squirrel.stores.sqlite import SqliteHistory
from tests.contract.stores.records import SLOT_MS, attempt, completion, own_namespace

RUNS = 100_000
BATCH = 10_000
CASSANDRA_RUNS = int(os.environ.get("HISTORY_RUNS", "25000"))
RARE = (3, 54_321, RUNS - 1)  # the oldest, one in the middle, the newest
RARE_TARGET = b'{"type":"http","url":"https://rare.example.com/hook","method":"POST"}'


async def filled(store: History, runs: int = RUNS, batch: int = BATCH, rare: Sequence[int] = RARE) -> None:
    for first in range(0, runs, batch):
        numbers = range(first, min(runs, first + batch))
        done = tuple(completion("s", SLOT_MS + n, event=f"e.{n % 7}") for n in numbers)
        tried = tuple(
            attempt("s", SLOT_MS + n, event=f"e.{n % 7}", target=RARE_TARGET, status=418, body="The Needle")
            for n in rare
            if n in numbers
        )
        await store.write(HistoryBatch(tried, done))


async def walked(store: SqliteHistory, counted: list[int], **where: Any) -> tuple[list[int], list[int]]:
    """(slots found, runs read whole for each page)."""
    found: list[int] = []
    work: list[int] = []
    cursor = None
    while True:
        before = len(counted)
        page = await store.runs(own_namespace(), RunFilter(**where), 10, cursor)
        work.append(len(counted) - before)
        found += [run.record.slot_ms - SLOT_MS for run in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found, work


async def test_a_page_looks_into_a_bounded_number_of_runs(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteHistory(tmp_path / "history.db", 60.0)
    await store.start()
    await filled(store)
    counted: list[int] = []
    load = sqlite._loaded  # what is counted is the work inside

    def counting(connection: Any, key: int, namespace: str) -> Any:
        counted.append(key)
        return load(connection, key, namespace)

    monkeypatch.setattr(sqlite, "_loaded", counting)
    searches: tuple[dict[str, Any], ...] = ({"host": "rare.example.com", "status": (418, 418)}, {"q": "the needle"})
    for where in searches:
        counted.clear()
        found, work = await walked(store, counted, **where)
        assert found == sorted(RARE, reverse=True), where
        assert max(work) <= SCAN_LOADED_RUNS_MAX
        assert len(work) <= RUNS // SCAN_LOADED_RUNS_MAX + 1
        assert len(set(counted)) == len(counted) == RUNS, "each run is looked into once"

    counted.clear()
    found, work = await walked(store, counted, q="the needle", from_ms=SLOT_MS + 54_000, to_ms=SLOT_MS + 55_000)
    assert (found, sum(work)) == ([54_321], 1000), "a time narrows what is looked into"
    counted.clear()
    found, work = await walked(store, counted, event="e.9")
    assert (found, counted, len(work)) == ([], [], RUNS // SCAN_RUNS_MAX + 1), (
        "what an index row tells costs no reading"
    )
    await store.close()


async def test_a_page_of_cassandra_looks_into_a_bounded_number_too(
    cassandra: str, keyspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CASSANDRA_RUNS > SCAN_RUNS_MAX, "else nothing is bounded here"
    store = open_history(f"cassandra://{cassandra}/{keyspace}", 60.0)
    await store.start()
    rare = (3, CASSANDRA_RUNS // 2, CASSANDRA_RUNS - 1)
    await filled(store, CASSANDRA_RUNS, HISTORY_BATCH_MAX, rare)
    read: Counter[str] = Counter()  # runs read whole, and rows of the index
    run_all = CassandraSession.run_all

    async def counting(self: CassandraSession, work: Sequence[Any]) -> list[Any]:
        found = await run_all(self, work)
        for each, rows in zip(work, found, strict=True):
            read[each[0]] += 1 if each[0] == "run" else len(rows)
        return found

    async def page(cursor: str | None, **where: Any) -> tuple[list[int], str | None]:
        read.clear()
        answered = await store.runs(own_namespace(), RunFilter(**where), 10, cursor)
        return [run.record.slot_ms - SLOT_MS for run in answered.items], answered.next_cursor

    monkeypatch.setattr(CassandraSession, "run_all", counting)
    inside: tuple[dict[str, Any], ...] = ({"host": "rare.example.com", "status": (418, 418)}, {"q": "the needle"})
    for where in inside:
        found, cursor = await page(None, **where)
        assert (found, read["run"]) == ([rare[2]], SCAN_LOADED_RUNS_MAX), where
        assert read["hour_runs"] <= SCAN_LOADED_RUNS_MAX + 2 * SHARDS * SCAN_ROWS, (
            "shards are read ahead by a page each"
        )
        found, cursor = await page(cursor, **where)
        assert (found, read["run"]) == ([], SCAN_LOADED_RUNS_MAX), "and goes on behind it"
        assert cursor is not None

    middle_ms = SLOT_MS + rare[1]
    found, cursor = await page(None, q="the needle", from_ms=middle_ms - 500, to_ms=middle_ms + 500)
    assert (found, cursor, read["run"]) == ([rare[1]], None, 1000), "a time narrows what is looked into"

    pages, cursor = 0, None
    while pages == 0 or cursor is not None:
        found, cursor = await page(cursor, event="e.9")
        pages += 1
        assert (found, read["run"]) == ([], 0), "what an index row tells costs no reading"
        assert read["hour_runs"] <= SCAN_RUNS_MAX + 2 * SHARDS * SCAN_ROWS
    assert pages == CASSANDRA_RUNS // SCAN_RUNS_MAX + 1
    await store.close()
