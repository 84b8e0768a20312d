"""A local store that is not what the engine left: damaged, an old copy, another partition's, another installation's.

Each is noticed, said with path and reason, and afterwards the store holds exactly what the changelog says.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from squirrel.model.errors import Fatal
from squirrel.streams.timeline.keys import s_key
from squirrel.streams.timeline.origin import Origin
from squirrel.streams.timeline.recovery import Recovery
from squirrel.streams.timeline.store import TimelineStore
from tests.system.streams.log import DAY_MS, Log, P, a_log, everything, records, recovered
from tests.unit.streams.rows import encoded

OTHER = 0


@pytest.fixture
async def log(kafka: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Log]:
    async with a_log(kafka, topic_prefix, tmp_path) as made:
        yield made


async def truth_of(log: Log) -> dict[bytes, bytes]:
    """What the changelog says, by a recovery on an empty disk."""
    async with recovered(log, "truth") as (store, _):
        found = everything(store)
    shutil.rmtree(log.folder / "truth")
    return found


def replace(log: Log, copy: str, partition: int = P) -> None:
    """Puts the copy in the place of the partition's store."""
    shutil.rmtree(log.folder / "disk" / str(P))
    shutil.copytree(log.folder / copy / str(partition), log.folder / "disk" / str(P))


async def test_an_old_copy_is_brought_forward(log: Log) -> None:
    """Rows deleted since the copy was taken go again: the changelog still has their tombstones."""
    async with recovered(log, writer=log.writer) as (store, _):
        await log.write(store, records(100))
        store.flush(P)
        shutil.copytree(log.folder / "disk", log.folder / "copy")
        await log.write(store, [(s_key("default", f"id{n:05}"), None) for n in range(50)])
        await log.write(store, [(s_key("default", "id00099"), encoded("id00099", wake_ms=5))])
    replace(log, "copy")
    truth = await truth_of(log)
    async with recovered(log, writer=log.writer) as (store, found):
        assert found.records == 51 + 1  # and the record that says that it was taken over
        assert everything(store) == truth
        assert store.pending(P) == 50


async def test_an_old_copy_whose_tombstones_may_be_gone_is_rebuilt(log: Log) -> None:
    async with recovered(log, writer=log.writer) as (store, _):
        await log.write(store, records(10))
        store.flush(P)
        shutil.copytree(log.folder / "disk", log.folder / "copy")
    log.clock.ahead_ms = DAY_MS + 1000
    async with recovered(log, writer=log.writer) as (store, _):
        await log.write(store, records(3, wake_ms=77))
    replace(log, "copy")
    truth = await truth_of(log)
    async with recovered(log, writer=log.writer) as (store, found):
        assert "deleted rows could come back" in str(found.rebuilt_because)
        assert everything(store) == truth
    assert str(log.folder / "disk" / str(P)) in log.noted[-1]


async def test_a_copy_of_a_wrong_clock_is_rebuilt(log: Log) -> None:
    log.clock.ahead_ms = 2 * DAY_MS
    async with recovered(log, writer=log.writer) as (store, _):
        await log.write(store, records(10))
    log.clock.ahead_ms = 0
    async with recovered(log, writer=log.writer) as (_, found):
        assert "by a wrong clock" in str(found.rebuilt_because)


async def test_a_copy_that_is_ahead_of_the_log_stops_the_engine(log: Log) -> None:
    async with recovered(log, writer=log.writer) as (store, _):
        await log.write(store, records(3))
        store.apply(P, (), wall_ms=log.clock.now_ms(), changelog_offset=500)
    with pytest.raises(Fatal, match=r"changelog/1 ends at offset 5, before the local state's 500"):
        async with recovered(log, writer=log.writer):
            pass


async def test_another_partitions_copy_is_rebuilt(log: Log) -> None:
    """Also when it is ahead of this partition's changelog, and would be taken for a recreated one."""
    store = log.store("copy")
    await log.recovery(store, writer=log.writer).recover(OTHER)
    store.apply(OTHER, (), wall_ms=log.clock.now_ms(), changelog_offset=400)
    store.close_all()
    async with recovered(log, writer=log.writer) as (live, _):
        await log.write(live, records(20))
    replace(log, "copy", OTHER)
    async with recovered(log, writer=log.writer) as (live, found):
        assert found.rebuilt_because == "local state is a copy of partition 0"
        assert len(everything(live)) == 20 * 5
    async with recovered(log, writer=log.writer) as (_, found):
        assert found.rebuilt_because is None, "once is enough"


async def test_another_installations_copy_is_rebuilt(log: Log) -> None:
    async with recovered(log, writer=log.writer) as (store, _):
        await log.write(store, records(20))
        mine = Origin.decode(store.origin(P))
        assert mine is not None
        assert len(mine.log_id) == 32
        store.claim(P, mine._replace(cluster="of-somebody-else").encode())
        store.apply(P, (), wall_ms=log.clock.now_ms())
    async with recovered(log, writer=log.writer) as (store, found):
        assert f"is a copy of {log.topic} in the Kafka cluster of-somebody-else" in str(found.rebuilt_because)
        assert len(everything(store)) == 20 * 5
        assert Origin.decode(store.origin(P)) == mine


async def test_a_store_of_a_release_that_named_no_origin_is_rebuilt_once(log: Log) -> None:
    async with recovered(log, writer=log.writer) as (store, _):
        await log.write(store, records(20))
        store.claim(P, b"")
        store.apply(P, (), wall_ms=log.clock.now_ms())
    async with recovered(log, writer=log.writer) as (_, found):
        assert found.rebuilt_because is not None
        assert found.rebuilt_because.startswith("local state does not say whose copy it is")
    async with recovered(log, writer=log.writer) as (_, found):
        assert found.rebuilt_because is None


async def test_what_broke_while_running_is_rebuilt_by_the_next_start(log: Log) -> None:
    async with recovered(log, writer=log.writer) as (store, _):
        await log.write(store, records(2000))
        store.flush(P)
        await log.write(store, records(1, wake_ms=9))
    largest = max((log.folder / "disk" / str(P)).glob("*.sst"), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[100] ^= 1
    largest.write_bytes(content)
    truth = await truth_of(log)
    with pytest.raises(Fatal, match="block checksum mismatch"):
        await _read_all(log)
    told: list[str] = []
    store = TimelineStore(log.folder / "disk", on_wiped=lambda partition, reason: told.append(reason))
    try:
        found = await Recovery(log.recovery(store)._settings, store, log.writer).recover(P)
        assert found.records > 2000
        assert everything(store) == truth
    finally:
        store.close_all()
    (sentence,) = told
    assert str(log.folder / "disk" / str(P)) in sentence
    assert "block checksum mismatch" in sentence


async def _read_all(log: Log) -> None:
    store = log.store()
    store.open(P)
    try:
        everything(store)
    finally:
        store._open[P].db.close()
