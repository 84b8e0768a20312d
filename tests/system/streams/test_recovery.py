"""Recovery from a real changelog: empty disk, existing state, stale state, and a changelog that was emptied."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from squirrel.model.errors import Fatal
from squirrel.runtime.clock import SystemClock
from squirrel.streams.timeline.changes import changes_of, row_keys
from squirrel.streams.timeline.keys import derived_keys, s_key, w_key
from squirrel.streams.timeline.recovery import Recovered, Recovery, RecoverySettings
from squirrel.streams.timeline.store import NO_OFFSET, TimelineStore
from squirrel.streams.topics_admin import TopicDescription, TopicsAdmin
from squirrel.streams.writer import BatchWriter
from tests.unit.streams.rows import encoded, row

DAY_MS = 86_400_000
P = 1
Records = list[tuple[bytes, bytes | None]]


class Skewed:
    """The machine's clock, ahead by `ahead_ms`."""

    def __init__(self) -> None:
        self.ahead_ms = 0
        self._clock = SystemClock()

    def now_ms(self) -> int:
        return self._clock.now_ms() + self.ahead_ms

    def monotonic(self) -> float:
        return self._clock.monotonic()


class Log:
    """A changelog and what recovers from it. `write` is the live path: log, then local."""

    def __init__(self, kafka: str, topic: str, folder: Path, writer: BatchWriter) -> None:
        self.kafka = kafka
        self.topic = topic
        self.folder = folder
        self.writer = writer
        self.clock = Skewed()
        self.noted: list[str] = []
        self.progress: list[tuple[int, int, int]] = []

    def store(self, name: str = "disk") -> TimelineStore:
        return TimelineStore(self.folder / name, cache_bytes=1 << 20, write_buffer_bytes=1 << 20)

    def recovery(self, store: TimelineStore, **changes: Any) -> Recovery:
        writer = changes.pop("writer", None)
        settings: dict[str, Any] = {
            "brokers": self.kafka,
            "changelog": self.topic,
            "client_id": "test",
            "delete_retention_ms": DAY_MS,
            "clock": self.clock,
            "progress": lambda *args: self.progress.append(args),
            "noted": lambda partition, sentence: self.noted.append(sentence),
        }
        return Recovery(RecoverySettings(**settings | changes), store, writer)

    async def write(self, store: TimelineStore | None, records: Records) -> None:
        offset = await self.writer.append(self.topic, P, [(key, value, ()) for key, value in records])
        if store is not None:
            keys = row_keys(records)
            changes = changes_of(records, dict(zip(keys, store.get_many(P, keys), strict=True)))
            store.apply(P, changes, wall_ms=self.clock.now_ms(), changelog_offset=offset)

    async def delete_before(self, offset: int) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            await admin.delete_records({TopicPartition(self.topic, P): RecordsToDelete(before_offset=offset)})
        finally:
            await admin.close()


def everything(store: TimelineStore) -> dict[bytes, bytes]:
    return {key: value for kind in (b"S", b"W", b"D", b"X") for key, value in store.scan(P, kind, None, 100_000)}


def records(count: int, wake_ms: int = 1000) -> Records:
    return [
        (s_key("default", f"id{n:05}"), encoded(f"id{n:05}", wake_ms=wake_ms + n, tags=("red",))) for n in range(count)
    ]


@pytest.fixture
async def log(kafka: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Log]:
    topic = f"{topic_prefix}changelog"
    async with TopicsAdmin(kafka) as admin:
        await admin.apply([TopicDescription(topic, 2, 1, {"cleanup.policy": "compact,delete"})])
    async with BatchWriter(kafka, client_id="test") as writer:
        yield Log(kafka, topic, tmp_path, writer)


@contextlib.asynccontextmanager
async def recovered(log: Log, name: str = "disk", **changes: Any) -> AsyncIterator[tuple[TimelineStore, Recovered]]:
    store = log.store(name)
    try:
        yield store, await log.recovery(store, **changes).recover(P)
    finally:
        store.close_all()


async def test_an_empty_disk_gets_everything_that_is_still_true(log: Log) -> None:
    rows = records(3000)
    async with recovered(log, "live") as (live, _):
        await log.write(live, rows)
        await log.write(live, [(w_key("default", "id00001", "c"), b"success"), (rows[1][0], None), rows[2]])
        await log.write(
            live, [(s_key("default", "id00002"), encoded("id00002", wake_ms=5)), (rows[3][0], None), rows[3]]
        )
        truth = everything(live)
    assert len(truth) == 2999 * 5 + 1 - 1  # S, D, state, event, tag each; id00002 has lost its tag; one waiter
    async with recovered(log, "empty") as (store, found):
        assert everything(store) == truth
        assert found == Recovered(3006, None)
        assert store.meta(P).changelog_offset == 3005
        assert store.next_due_ms(P) == 5
        assert store.pending(P) == 2999
    assert log.progress[-1] == (P, 3006, 3006)
    assert [done for _, done, _ in log.progress] == sorted(done for _, done, _ in log.progress)


async def test_existing_state_reads_only_what_is_new(log: Log) -> None:
    rows = records(200)
    async with recovered(log) as (store, _):
        await log.write(store, rows)
    await log.write(None, [(rows[0][0], None), (rows[1][0], encoded("id00001", wake_ms=7)), *records(1, 9)])
    async with recovered(log) as (store, found):
        assert found == Recovered(3, None)
        after = everything(store)
    async with recovered(log, "fresh") as (store, found):
        assert found.records == 203
        assert everything(store) == after
    assert log.noted == []


async def test_nothing_new_is_nothing_to_read(log: Log) -> None:
    async with recovered(log) as (store, _):
        await log.write(store, records(10))
    async with recovered(log) as (store, found):
        assert found == Recovered(0, None)
        assert len(everything(store)) == 50


async def test_stale_state_is_wiped_and_rebuilt(log: Log) -> None:
    async with recovered(log) as (store, _):
        await log.write(store, records(10))
        # A row whose tombstone the changelog has forgotten: only this disk still has it.
        ghost = encoded("ghost", wake_ms=1)
        changes = changes_of([(s_key("default", "ghost"), ghost)], {})
        store.apply(P, changes, wall_ms=log.clock.now_ms(), changelog_offset=9)
        assert set(derived_keys(row("ghost", wake_ms=1))) <= set(everything(store))
    log.clock.ahead_ms = DAY_MS + 60_000
    async with recovered(log) as (store, found):
        assert found.records == 10
        assert "deleted rows could come back" in str(found.rebuilt_because)
        assert s_key("default", "ghost") not in everything(store)
        assert len(everything(store)) == 50
    assert log.noted == [found.rebuilt_because]
    async with recovered(log) as (_, found):
        assert found == Recovered(0, None), "the rebuild is as young as its start"


async def test_a_log_that_begins_behind_the_local_state_is_read_anew(log: Log) -> None:
    async with recovered(log) as (store, _):
        await log.write(store, records(10))
    await log.write(None, records(30))
    await log.delete_before(20)
    async with recovered(log) as (store, found):
        assert found.records == 20
        assert "begins at offset 20" in str(found.rebuilt_because)
        assert len(everything(store)) == 20 * 5


@pytest.mark.parametrize("again", [True, False])
async def test_an_emptied_changelog_stops_the_engine(log: Log, again: bool) -> None:
    async with recovered(log) as (store, _):
        await log.write(store, records(10))
    await log.delete_before(10)
    with pytest.raises(
        Fatal, match=r"changelog/1 is empty while the local state has rows up to offset 9.*Restore the topic"
    ):
        async with recovered(log):
            pass
    if again:  # it goes on refusing: nothing was wiped by the first look
        with pytest.raises(Fatal, match="is empty while"):
            async with recovered(log):
                pass


async def test_a_recreated_changelog_stops_the_engine(log: Log, kafka: str) -> None:
    async with recovered(log) as (store, _):
        await log.write(store, records(10))
    other = Log(kafka, f"{log.topic}.recreated", log.folder, log.writer)
    async with TopicsAdmin(kafka) as admin:
        await admin.apply([TopicDescription(other.topic, 2, 1)])
    await other.write(None, records(3))
    with pytest.raises(Fatal, match="ends at offset 3, before the local state's 9"):
        async with recovered(other):
            pass


async def test_an_emptied_changelog_is_known_even_on_an_empty_disk(log: Log) -> None:
    async def committed(partition: int) -> int | None:
        return 12

    with pytest.raises(Fatal, match="although this group has worked on its input before"):
        async with recovered(log, committed=committed):
            pass


async def test_a_first_start_marks_its_changelog_as_used(log: Log) -> None:
    async def nothing(partition: int) -> int | None:
        return None

    async with recovered(log, committed=nothing, writer=log.writer) as (store, found):
        assert found.rebuilt_because is None
        assert store.meta(P).changelog_offset == 0
        assert everything(store) == {}
        await log.write(store, records(2))
    async with recovered(log, "other", writer=log.writer) as (store, found):
        assert found.records == 3
        assert len(everything(store)) == 10


async def test_a_cut_recovery_goes_on_where_it_was(log: Log) -> None:
    async with recovered(log, "live") as (live, _):
        await log.write(live, records(5000))
        truth = everything(live)
    store = log.store()

    def cut(partition: int, done: int, total: int) -> None:
        if done >= 2000:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await log.recovery(store, progress=cut).recover(P)
    assert 1999 <= store.meta(P).changelog_offset < 4999
    left = 4999 - store.meta(P).changelog_offset
    store.close_all()
    async with recovered(log) as (store, found):
        # RocksDB keeps what it flushed when it was closed; the rest is read again.
        assert left <= found.records <= 5000
        assert everything(store) == truth


async def test_a_store_that_never_applied_has_no_offset(log: Log) -> None:
    store = log.store()
    assert store.open(P).changelog_offset == NO_OFFSET
    store.close_all()


async def test_a_recovery_that_stands_still_ends(log: Log) -> None:
    async with recovered(log, "live") as (live, _):
        await log.write(live, records(10))

    class Hurried(Skewed):
        """Every look at the clock is ten seconds later."""

        at = 0.0

        def monotonic(self) -> float:
            self.at += 10.0
            return self.at

    log.clock = Hurried()
    store = log.store()
    try:
        with pytest.raises(Fatal, match="stands still at offset 0 of"):
            await _without_records(log.recovery(store, stall_seconds=1.0))
    finally:
        store.close_all()


async def _without_records(recovery: Recovery) -> None:
    """An end beyond what the log can give: the position never gets there."""

    class Deaf:
        def seek(self, tp: object, offset: int) -> None: ...

        async def getmany(self, *args: object, **kwargs: object) -> dict[object, list[object]]:
            return {}

        async def position(self, tp: object) -> int:
            return 0

    recovery._store.open(P)
    await recovery._replay(Deaf(), TopicPartition(recovery._settings.changelog, P), 0, 10, 0)
