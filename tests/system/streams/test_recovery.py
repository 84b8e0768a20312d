"""Recovery from a real changelog: empty disk, existing state, stale state, and a changelog that was emptied."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from squirrel.model.errors import Fatal
from squirrel.streams.timeline.changes import changes_of
from squirrel.streams.timeline.keys import MARKER_KEY, derived_keys, s_key, w_key
from squirrel.streams.timeline.recovery import EPOCH_BASE, Recovered, Recovery
from squirrel.streams.timeline.store import NO_OFFSET
from tests.system.streams.log import DAY_MS, Log, P, Skewed, a_log, everything, records, recovered
from tests.unit.streams.rows import encoded, row


@pytest.fixture
async def log(kafka: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Log]:
    async with a_log(kafka, topic_prefix, tmp_path) as made:
        yield made


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
    assert log.noted == [f"{log.folder / 'disk' / str(P)}: {found.rebuilt_because}"]
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


@pytest.mark.parametrize(
    ("count", "sentence"),
    [(3, "ends at offset 4, before the local state's 11"), (40, "is not the one that the local state was made from")],
)
async def test_a_recreated_changelog_stops_the_engine(log: Log, count: int, sentence: str) -> None:
    """Also when it has grown past the local offset meanwhile: its first record says which life of it this is."""
    async with recovered(log, writer=log.writer) as (store, _):
        await log.write(store, records(10))
    await log.recreate()
    await log.write(None, [(MARKER_KEY, b"another life"), *records(count)])
    with pytest.raises(Fatal, match=rf"changelog/1 {sentence}.*Restore the topic"):
        async with recovered(log):
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
        assert store.meta(P).changelog_offset == 1  # its id, and that we took it over
        assert found.epoch == EPOCH_BASE + 1
        assert everything(store) == {}
        await log.write(store, records(2))
    async with recovered(log, "other", writer=log.writer) as (store, found):
        assert found.records == 5
        assert found.epoch == EPOCH_BASE + 4, "a later owner's epoch is above every former one"
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
