"""What only Cassandra has to show: stopped, killed, its schema gone; rows that expire; no deletes; a role without DDL."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from squirrel.model.errors import SettingsError
from squirrel.runtime.local.cassandra import EmbeddedCassandra
from squirrel.stores.cassandra import CassandraHistory
from squirrel.stores.cassandra_address import parse_address
from squirrel.stores.cassandra_rows import WRITES
from squirrel.stores.history import History, HistoryRejects, HistoryUnavailable
from squirrel.stores.open import open_history
from tests.conftest import run as run_apart
from tests.contract.stores.records import SLOT_MS, attempt, batch, completion, dead_letter, own_namespace, run_of
from tests.eventually import eventually

DEADLINE_SECONDS = 2.0


@pytest.fixture(scope="module")
def own_cassandra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCassandra]:
    """One that may be stopped and killed."""
    server = EmbeddedCassandra(tmp_path_factory.mktemp("own-cassandra"), environment=os.environ)
    run_apart(server.start())
    yield server
    run_apart(server.stop())


@pytest.fixture
async def store(own_cassandra: EmbeddedCassandra) -> AsyncIterator[History]:
    store = open_history(f"cassandra://{own_cassandra.address}/outages", DEADLINE_SECONDS)

    async def started() -> bool:
        await store.start()
        return True

    await eventually(lambda: quietly(started()), 60)
    yield store
    await store.close()


async def quietly(work: object) -> object:
    try:
        return await work  # type: ignore[misc]
    except HistoryUnavailable:
        return None


async def written(store: History, *numbers: int) -> bool:
    await store.write(batch(*(attempt("s", number=n) for n in numbers)))
    return True


async def numbers(store: History) -> list[int]:
    run = await store.run(own_namespace(), run_of("s", SLOT_MS))
    return [] if run is None else [each.number for each in run.attempts]


async def unavailable_in_time(store: History) -> None:
    loop = asyncio.get_running_loop()
    for call in (written(store, 9), numbers(store), store.runs(own_namespace()), store.dead_letters(own_namespace())):
        began = loop.time()
        with pytest.raises(HistoryUnavailable):
            await call
        assert loop.time() - began < DEADLINE_SECONDS + 1.5
    assert not await store.healthy()


async def test_stopped_and_continued(store: History, own_cassandra: EmbeddedCassandra) -> None:
    await eventually(lambda: quietly(written(store, 1)), 30)
    assert own_cassandra.pid is not None
    os.kill(own_cassandra.pid, signal.SIGSTOP)
    try:
        await unavailable_in_time(store)
    finally:
        os.kill(own_cassandra.pid, signal.SIGCONT)
    await eventually(lambda: quietly(written(store, 2)), 30)
    assert {1, 2} <= set(await numbers(store))


async def test_schema_gone_and_made_again(store: History, own_cassandra: EmbeddedCassandra) -> None:
    from cassandra.cluster import Cluster

    await eventually(lambda: quietly(written(store, 1)), 30)

    def drop() -> None:
        with Cluster(["127.0.0.1"], port=int(own_cassandra.address.rpartition(":")[2]), protocol_version=4) as cluster:
            cluster.connect().execute("DROP KEYSPACE outages", timeout=30)

    await asyncio.to_thread(drop)
    with pytest.raises(HistoryUnavailable):
        await written(store, 2)
    await eventually(lambda: quietly(written(store, 3)), 60)
    assert await numbers(store) == [3]
    assert len((await store.runs(own_namespace())).items) == 1  # the spans were said again too


async def test_killed_and_started_again_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    server = EmbeddedCassandra(tmp_path, environment=os.environ)
    await server.start()
    port = int(server.address.rpartition(":")[2])
    store = open_history(f"cassandra://{server.address}/killed", DEADLINE_SECONDS)
    try:
        await eventually(lambda: quietly(written(store, 1, 2)), 60)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await server.stop()
        await unavailable_in_time(store)
        server = EmbeddedCassandra(tmp_path, port, environment=os.environ)
        await server.start()
        await eventually(lambda: quietly(written(store, 3)), 60)
        assert {1, 2, 3} <= set(await numbers(store))
    finally:
        await store.close()
        await server.stop()


async def test_a_store_that_was_never_there(unused_port: int) -> None:
    store = open_history(f"cassandra://127.0.0.1:{unused_port}/nowhere", DEADLINE_SECONDS)
    with pytest.raises(HistoryUnavailable, match="cassandra 127"):
        await store.start()
    await unavailable_in_time(store)
    await store.close()


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


async def test_rows_expire_with_their_schedules_retention(cassandra: str, keyspace: str) -> None:
    store = open_history(f"cassandra://{cassandra}/{keyspace}", 30)
    try:
        short = {"retention_ms": 1500}
        await store.write(batch(attempt("short", **short), completion("short", **short), dead_letter("short", **short)))
        await store.write(batch(attempt("long"), completion("long"), dead_letter("long")))
        ns = own_namespace()

        async def gone() -> bool:
            found = await store.run(ns, run_of("short", SLOT_MS)) or (await store.runs_of(ns, "short")).items
            return not found and len((await store.runs(ns)).items) == 1

        await eventually(gone, 20)
        assert [each.schedule_id for each in (await store.dead_letters(ns)).items] == ["long"]
        assert [run.record.schedule_id for run in (await store.runs(ns)).items] == ["long"]
        assert await store.prune(SLOT_MS * 2) == 0
    finally:
        await store.close()


async def test_content_cassandra_cannot_hold_is_rejected(cassandra: str, keyspace: str) -> None:
    store = open_history(f"cassandra://{cassandra}/{keyspace}", 30)
    try:
        for bad in (attempt("s", event="\ud800"), attempt("s", number=2**31), attempt("s", run="r" * 70_000)):
            with pytest.raises(HistoryRejects):
                await store.write(batch(bad))
        assert await written(store, 1)
    finally:
        await store.close()


async def test_tables_are_as_promised(cassandra: str) -> None:
    from cassandra.cluster import Cluster

    keyspace = f"k{uuid.uuid4().hex[:12]}"
    stores = [CassandraHistory(parse_address(f"{cassandra}/{keyspace}"), 60) for _ in range(2)]
    await stores[0].start()
    await stores[1].start()  # the schema is there: nothing is made twice
    for store in stores:
        await store.close()

    def tables() -> dict[str, str]:
        with Cluster(["127.0.0.1"], port=int(cassandra.rpartition(":")[2]), protocol_version=4) as cluster:
            rows = cluster.connect().execute(
                f"SELECT table_name, compaction FROM system_schema.tables WHERE keyspace_name = '{keyspace}'"
            )
            return {row.table_name: row.compaction["class"] for row in rows}

    found = await asyncio.to_thread(tables)
    del found["schema_version"]
    assert set(found) == {"run", "runs_by_schedule", "runs_by_hour", "dead_letters", "letter_marks", "spans"}
    assert all(each.endswith("TimeWindowCompactionStrategy") for each in found.values())


def test_nothing_is_deleted_and_every_row_has_an_end() -> None:
    assert all("DELETE" not in text and "UPDATE" not in text for text in WRITES.values())
    assert all(text.endswith("USING TIMESTAMP ? AND TTL ?") for text in WRITES.values())


async def test_an_unknown_option_stops_the_start() -> None:
    with pytest.raises(SettingsError, match="option 'consistency'"):
        open_history("cassandra://127.0.0.1/squirrel?consistency=one")
