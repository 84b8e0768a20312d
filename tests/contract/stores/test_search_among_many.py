"""A rare run among 100,000: a page looks into a bounded number of runs and says where to go on; none is met twice."""

from __future__ import annotations

from typing import Any

import pytest

from squirrel.stores import sqlite
from squirrel.stores.history import SCAN_LOADED_RUNS_MAX, SCAN_RUNS_MAX, HistoryBatch, RunFilter
from squirrel.stores.sqlite import SqliteHistory
from tests.contract.stores.records import SLOT_MS, attempt, completion, own_namespace

RUNS = 100_000
BATCH = 10_000
RARE = (3, 54_321, RUNS - 1)  # the oldest, one in the middle, the newest
RARE_TARGET = b'{"type":"http","url":"https://rare.example.com/hook","method":"POST"}'


async def filled(store: SqliteHistory) -> None:
    for first in range(0, RUNS, BATCH):
        numbers = range(first, first + BATCH)
        done = tuple(completion("s", SLOT_MS + n, event=f"e.{n % 7}") for n in numbers)
        tried = tuple(
            attempt("s", SLOT_MS + n, event=f"e.{n % 7}", target=RARE_TARGET, status=418, body="The Needle")
            for n in RARE
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
