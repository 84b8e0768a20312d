"""What only the SQLite history has to show: its file locked, removed, replaced, of another release; pruning."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest

from squirrel.stores.history import HistoryRejects, HistoryUnavailable
from squirrel.stores.sqlite import SqliteHistory
from squirrel.stores.sqlite_thread import SqliteThread
from tests.contract.stores.records import SLOT_MS, attempt, batch, completion, dead_letter, own_namespace, run_of
from tests.eventually import eventually

HOUR_MS = 3_600_000
DEADLINE_SECONDS = 20.0  # a busy machine must not look like an outage
HASTY_SECONDS = 0.5


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "history.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteHistory]:
    store = SqliteHistory(path, DEADLINE_SECONDS)
    await store.start()
    yield store
    await store.close()


async def quietly(work: Awaitable[None]) -> bool:
    try:
        await work
    except HistoryUnavailable:
        return False
    return True


async def numbers(store: SqliteHistory, schedule: str = "s") -> list[int]:
    run = await store.run(own_namespace(), run_of(schedule, SLOT_MS))
    return [] if run is None else [each.number for each in run.attempts]


async def test_a_locked_file_is_unavailable_within_the_deadline_and_readers_go_on(
    store: SqliteHistory, path: Path
) -> None:
    hasty = SqliteHistory(path, HASTY_SECONDS)
    await store.write(batch(attempt("s", number=1)))
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(HistoryUnavailable):
        await hasty.write(batch(attempt("s", number=2)))
    assert loop.time() - began < HASTY_SECONDS + 2
    assert await numbers(store) == [1]
    assert await store.healthy()
    lock.execute("ROLLBACK")
    lock.close()
    await eventually(lambda: quietly(hasty.write(batch(attempt("s", number=2)))), 20)
    await hasty.close()
    assert await numbers(store) == [1, 2]


async def test_a_removed_directory_is_unavailable_until_it_is_back(store: SqliteHistory, path: Path) -> None:
    await store.write(batch(attempt("s", number=1)))
    aside = path.parent.with_name("aside")
    path.parent.rename(aside)
    for _ in range(2):
        with pytest.raises(HistoryUnavailable, match="history file"):
            await store.write(batch(attempt("s", number=2)))
        with pytest.raises(HistoryUnavailable):
            await store.run(own_namespace(), run_of("s", SLOT_MS))
    assert not await store.healthy()
    aside.rename(path.parent)
    await store.write(batch(attempt("s", number=2)))
    assert await numbers(store) == [1, 2]


async def test_a_file_deleted_under_the_store_is_noticed_and_made_anew(store: SqliteHistory, path: Path) -> None:
    await store.write(batch(attempt("s", number=1)))
    shutil.rmtree(path.parent)
    path.parent.mkdir()
    await store.write(batch(attempt("s", number=2)))
    other = SqliteHistory(path, DEADLINE_SECONDS)
    assert await numbers(other) == [2]  # not in the old nameless file
    await other.close()
    assert await numbers(store) == [2]


async def test_a_file_deleted_during_a_write_is_noticed(path: Path) -> None:
    thread = SqliteThread(path, DEADLINE_SECONDS, "test", makes_directory=True)
    await thread.call(lambda _: None)
    with pytest.raises(HistoryUnavailable, match="removed or replaced"):
        await thread.call(lambda _: path.unlink())
    await thread.close()


async def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = SqliteHistory(tmp_path / "file" / "history.db", DEADLINE_SECONDS)
    with pytest.raises(HistoryUnavailable):
        await store.start()
    (tmp_path / "file").unlink()
    await store.start()
    assert await store.healthy()
    await store.close()
    await store.close()


async def test_what_is_no_history_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all " * 100)
    store = SqliteHistory(path, DEADLINE_SECONDS)
    with pytest.raises(HistoryUnavailable, match="not a database"):
        await store.start()
    assert path.read_bytes().startswith(b"no database")
    await store.close()


async def test_a_file_of_a_later_release_is_named(store: SqliteHistory, path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("INSERT INTO schema_version VALUES (99)")
    other.commit()
    other.close()
    late = SqliteHistory(path, DEADLINE_SECONDS)
    with pytest.raises(HistoryUnavailable, match="schema version 99"):
        await late.start()
    await late.close()


async def test_content_sqlite_cannot_hold_is_rejected_and_the_batch_is_undone(store: SqliteHistory) -> None:
    for bad in (attempt("s", body="\ud800"), attempt("s", number=2**63)):
        with pytest.raises(HistoryRejects):
            await store.write(batch(attempt("t", number=1, namespace=f"{own_namespace()}-new"), bad))
    await store.write(batch(attempt("t", number=2, namespace=f"{own_namespace()}-new"), attempt("s")))
    assert await numbers(store) == [1]
    page = await store.runs(f"{own_namespace()}-new")
    assert [each.number for run in page.items for each in run.attempts] == [2]


async def test_two_processes_create_one_file_together(path: Path) -> None:
    path.parent.mkdir()
    stores = [SqliteHistory(path, 5) for _ in range(6)]
    await asyncio.gather(*(store.start() for store in stores))
    await asyncio.gather(*(store.write(batch(attempt("s", number=n))) for n, store in enumerate(stores, start=1)))
    assert await numbers(stores[0]) == [1, 2, 3, 4, 5, 6]
    await asyncio.gather(*(store.close() for store in stores))


async def test_prune_takes_what_outlived_its_own_retention_and_nothing_else(store: SqliteHistory) -> None:
    short = [attempt(f"short{n}", retention_ms=1000) for n in range(1201)]
    await store.write(batch(*short, dead_letter("short", retention_ms=1000)))
    late_retry = attempt("kept", number=2, retention_ms=HOUR_MS, finished_ms=SLOT_MS + HOUR_MS)
    await store.write(batch(late_retry))
    await store.write(batch(attempt("kept", retention_ms=HOUR_MS, state="failed")))
    await store.write(batch(completion("default"), dead_letter("default")))
    assert await store.prune(SLOT_MS) == 0
    assert len((await store.dead_letters(own_namespace())).items) == 2
    assert await store.prune(SLOT_MS + HOUR_MS + 2000) == 1201
    assert await numbers(store, "short0") == []
    assert await numbers(store, "kept") == [1, 2]
    assert [each.schedule_id for each in (await store.dead_letters(own_namespace())).items] == ["default"]
    assert await store.prune(SLOT_MS + 4 * HOUR_MS) == 1
    assert await numbers(store, "kept") == []
    week_ms = 7 * 24 * HOUR_MS
    assert await store.prune(SLOT_MS + week_ms - HOUR_MS) == 0
    assert await store.prune(SLOT_MS + week_ms + 2 * HOUR_MS) == 1
    assert (await store.runs(own_namespace())).items == ()
    assert (await store.dead_letters(own_namespace())).items == ()


async def test_pruning_gives_pages_back_and_lets_writers_in_between(store: SqliteHistory, path: Path) -> None:
    await store.write(batch(*(attempt(f"s{n}", body="b" * 2000, retention_ms=1) for n in range(3000))))
    pruning = asyncio.create_task(store.prune(SLOT_MS + 2 * HOUR_MS))
    await store.write(batch(attempt("s")))
    assert not pruning.done()
    assert await pruning == 3000
    left = sqlite3.connect(path)
    pages, free = (left.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
    left.close()
    assert pages < 1500
    assert free <= pages / 4
    assert await numbers(store) == [1]


async def test_a_reader_sees_one_moment(store: SqliteHistory, path: Path) -> None:
    """A page is one snapshot: a run pruned meanwhile is whole in it or not there."""
    await store.write(batch(*(attempt(f"s{n}", retention_ms=1) for n in range(600))))
    page, _ = await asyncio.gather(store.runs(own_namespace(), None, 1000), store.prune(SLOT_MS + 2 * HOUR_MS))
    assert all(len(run.attempts) == 1 for run in page.items)
