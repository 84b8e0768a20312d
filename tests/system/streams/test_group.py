"""One group on a real broker: assignment, revocation, takeover, commit, failure."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from squirrel.streams.assignor import owners
from squirrel.streams.lanes import BUFFER_BATCHES_MAX, Committed
from tests.eventually import eventually
from tests.system.streams.members import PARTITIONS, SESSION_SECONDS, Member, World

ALL = tuple(range(PARTITIONS))


@pytest.fixture
async def world(kafka: str, topic_prefix: str, tmp_path: Path) -> World:
    world = World(kafka, topic_prefix, tmp_path)
    await world.create()
    return world


async def test_records_flow_in_order_after_the_partition_was_opened(world: World) -> None:
    one = world.member("one")
    async with world.running(one) as writer:
        values = await world.fill(writer, 0, 4000)
        await eventually(lambda: len(world.ledger.seen) == 4000, what="4000 records")
        assert sorted(world.ledger.values()) == values
        for topic in world.topics:
            for partition in ALL:
                offsets = [o for _, t, p, o, _ in world.ledger.seen if (t, p) == (topic, partition)]
                assert offsets == list(range(500))
                await eventually(lambda t=topic, p=partition: _committed(one, t, p, 500), what="committed")
        assert set(one.app.lag().values()) == {0}
    assert world.ledger.broken == []
    assert world.ledger.named("one", "assigned") == list(ALL)
    assert world.ledger.named("one", "revoked") == list(ALL)
    assert world.ledger.named("one", "lost") == list(ALL)


async def test_a_second_member_takes_its_share_and_nothing_is_lost_or_shared(world: World) -> None:
    one, two = world.member("one"), world.member("two")

    async def takes_a_while(topic: str, partition: int, records: Sequence[Any]) -> None:
        await asyncio.to_thread(lambda: None)  # the loop is free meanwhile, so a second lane could slip in

    one.inside = two.inside = takes_a_while
    async with world.running(one) as writer:
        await one.ready(*ALL)
        values = await world.fill(writer, 0, 20_000)
        loading = asyncio.create_task(_load(world, writer, 20_000, 20_000))
        await two.app.start()
        try:
            await eventually(lambda: len(two.app.ready()) == 2, 20, "two ready")
            await one.ready(*(set(ALL) - set(two.app.ready())))
            values += await loading
            await eventually(lambda: len(set(world.ledger.values())) == 40_000, 30, "all records")
        finally:
            await two.app.stop()
        await one.ready(*ALL)
    assert world.ledger.broken == []
    assert sorted(set(world.ledger.values())) == values
    # Nobody failed, so nothing is repeated either: lanes finished and committed before the group moved on.
    assert len(world.ledger.seen) == 40_000
    assert len(world.ledger.named("two", "assigned")) == 2
    first_epoch = min(epoch for who, what, _, epoch in world.ledger.calls if (who, what) == ("one", "assigned"))
    kept = {
        p for who, what, p, epoch in world.ledger.calls if (who, what, epoch) == ("one", "retained", first_epoch + 1)
    }
    assert len(kept) == 2
    # What moved was let go when it moved and again at the end; what stayed only at the end.
    assert world.ledger.named("one", "lost") == sorted([*ALL, *(set(ALL) - kept)])


async def test_a_killed_member_is_replaced(world: World) -> None:
    one = world.member("one")
    program = [sys.executable, "-m", "tests.system.streams.one_member", world.kafka, world.group, *world.topics]
    process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            while (line := await process.stdout.readline()) != b"ready 4\n":
                assert line, "the member process ended before it was ready"
        async with world.running(one) as writer:
            await eventually(lambda: len(one.app.ready()) == 2, 20, "the group shares")
            process.send_signal(signal.SIGKILL)
            await process.wait()
            values = await world.fill(writer, 0, 800)
            await one.ready(*ALL)
            await eventually(lambda: set(values) <= set(world.ledger.values()), 20, "the dead member's records")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    assert world.ledger.broken == []


async def test_a_static_member_comes_back_without_a_rebalance(world: World) -> None:
    stays = {"instance_id": "two", "leave_on_stop": False}
    one, two = world.member("one"), world.member("two", **stays)
    async with world.running(one, two):
        await eventually(lambda: len(one.app.ready()) == len(two.app.ready()) == 2, 20, "shared")
        generation, before = one.app.generation, two.app.ready()
        await two.app.stop()
        again = world.member("two", **stays)
        await again.app.start()
        try:
            await again.ready(*before)
            assert one.app.generation == again.app.generation == generation
        finally:
            await again.app.stop()


async def test_a_static_member_that_stops_gives_its_partitions_away_at_once(world: World) -> None:
    one, two = world.member("one", instance_id="one"), world.member("two", instance_id="two")
    async with world.running(one, two):
        await eventually(lambda: len(one.app.ready()) == len(two.app.ready()) == 2, 20, "shared")
        await two.app.stop()
        await eventually(lambda: one.app.ready() == list(ALL), SESSION_SECONDS - 2, "taken over within the session")
    assert world.ledger.broken == []


async def test_a_static_member_that_was_alone_keeps_its_place(world: World) -> None:
    """Nobody could take over; with its place kept its return is no rebalance."""
    one = world.member("one", instance_id="one")
    await one.app.start()
    await one.ready(*ALL)
    generation = one.app.generation
    await one.app.stop()
    again = world.member("one", instance_id="one")
    async with world.running(again):
        await again.ready(*ALL)
        assert again.app.generation == generation


async def test_an_error_in_a_lane_ends_the_process_and_commits_nothing(world: World) -> None:
    one = world.member("one")

    async def fails(topic: str, partition: int, records: Sequence[Any]) -> None:
        raise ValueError("a lane broke")

    one.inside = fails
    async with world.running(one) as writer:
        await one.ready(*ALL)
        await writer.append(world.topics[0], 0, [(b"k", b"v", ())])
        await eventually(lambda: one.fatal, what="on_fatal")
        assert str(one.fatal[0]) == "a lane broke"
        assert one.app.failure is one.fatal[0]
        await eventually(lambda: one.app.crashed, what="Faust knows")
        await writer.append(world.topics[0], 1, [(b"k", b"v", ())])
    assert len(one.fatal) == 1
    assert world.ledger.seen == []
    assert world.ledger.named("one", "revoked") == []  # state is closed, not drained
    assert world.ledger.named("one", "lost") == list(ALL)
    two = world.member("two")
    async with world.running(two):
        assert await two.app.committed(world.topics[0], 0) == Committed(None, "")
        await eventually(lambda: len(world.ledger.seen) == 2, what="both records read again")


async def test_a_stop_waits_for_the_batch_a_lane_has_and_commits_it(world: World) -> None:
    one = world.member("one", commit_seconds=3600.0)
    entered, free = asyncio.Event(), asyncio.Event()

    async def waits(topic: str, partition: int, records: Sequence[Any]) -> None:
        entered.set()
        await free.wait()

    one.inside = waits
    async with world.running(one) as writer:
        await one.ready(*ALL)
        await writer.append(world.topics[0], 2, [(b"k", b"v", ())] * 3)
        await entered.wait()
        stopping = asyncio.create_task(one.app.stop())
        await eventually(lambda: not one.app.ownership.active, what="stopping")
        assert world.ledger.named("one", "lost") == []
        free.set()
        await stopping
    assert world.ledger.named("one", "lost") == list(ALL)
    assert len(world.ledger.seen) == 3
    two = world.member("two")
    async with world.running(two):
        await two.ready(*ALL)
        assert (await two.app.committed(world.topics[0], 2)).offset == 3
    assert world.ledger.broken == []


async def test_an_owner_that_cannot_open_ends_the_process(world: World) -> None:
    one = world.member("one")

    async def refuses(partition: int) -> None:
        raise OSError("no disk")

    one.opening = refuses
    async with world.running(one):
        await eventually(lambda: one.fatal, what="on_fatal")
        assert str(one.fatal[0]) == "no disk"


async def test_what_is_marked_is_committed_with_its_metadata(world: World) -> None:
    one = world.member("one", auto_mark=False)
    topic = world.topics[0]
    async with world.running(one) as writer:
        await one.ready(*ALL)
        await writer.append(topic, 2, [(b"k", b"v", ())] * 10)
        await eventually(lambda: len(world.ledger.seen) == 10, what="handed over")
        one.app.mark(topic, 2, 4, "finished:5,7")
        one.app.mark(topic, 2, 3, "a mark never goes back")
        await eventually(lambda: _is(one, topic, 2, Committed(4, "finished:5,7")), what="committed")
        assert await one.app.committed(topic, 1) == Committed(None, "")
        one.app.mark(topic, 2, 4, "finished:5,6,7")
    again = world.member("again", auto_mark=False)
    async with world.running(again):
        await again.ready(*ALL)
        assert await again.app.committed(topic, 2) == Committed(4, "finished:5,6,7")
        await eventually(lambda: len(world.ledger.seen) == 16, what="read again behind the mark")
    assert [offset for who, _, _, offset, _ in world.ledger.seen if who == "again"] == list(range(4, 10))


async def test_a_retained_partition_goes_on_behind_what_was_handed_over(world: World) -> None:
    one, two = world.member("one", auto_mark=False), world.member("two", auto_mark=False)
    topic = world.topics[0]
    async with world.running(one) as writer:
        await one.ready(*ALL)
        for partition in ALL:
            await writer.append(topic, partition, [(b"k", b"v", ())] * 5)
        await eventually(lambda: len(world.ledger.seen) == 20, what="handed over, nothing marked")
        async with world.running(two):
            await eventually(lambda: len(two.app.ready()) == len(one.app.ready()) == 2, 20, "shared")
            kept = one.app.ready()
            await eventually(lambda: len(world.ledger.seen) == 30, what="the other two are read again by two")
            await writer.append(topic, kept[0], [(b"k", b"last", ())])
            await eventually(lambda: b"last" in world.ledger.values(), what="flows")
    mine = [offset for who, _, partition, offset, _ in world.ledger.seen if who == "one" and partition == kept[0]]
    assert mine == [0, 1, 2, 3, 4, 5]
    assert world.ledger.broken == []


async def test_a_partition_that_opens_slowly_holds_up_no_other_and_no_heartbeat(world: World) -> None:
    one = world.member("one")
    opened = asyncio.Event()

    async def slow(partition: int) -> None:
        if partition == 3:
            await opened.wait()

    one.opening = slow
    async with world.running(one) as writer:
        await one.ready(0, 1, 2)
        await world.fill(writer, 0, 800)
        await eventually(lambda: len(world.ledger.seen) == 600, what="the three that are open")
        opened.set()
        await one.ready(*ALL)
        await eventually(lambda: len(world.ledger.seen) == 800, what="the fourth")
        assert one.app.assigned() == list(ALL)
    assert world.ledger.broken == []


async def test_a_revocation_cuts_an_opening_short(world: World) -> None:
    one, two = world.member("one"), world.member("two")
    never = asyncio.Event()

    async def hangs(partition: int) -> None:
        await never.wait()

    one.opening = hangs
    async with world.running(one):
        await eventually(lambda: len(world.ledger.named("one", "assigned")) == 4, what="opening")
        async with world.running(two):
            await eventually(lambda: len(two.app.ready()) == 2, 20, "two ready")
        assert world.ledger.named("one", "revoked") == []
        assert set(two.app.ready()) <= set(world.ledger.named("one", "lost"))
    assert one.fatal == []


async def test_a_lane_that_waits_holds_up_only_its_partition_and_only_so_much(world: World) -> None:
    one = world.member("one", batch_records_max=100)
    free = asyncio.Event()

    async def waits(topic: str, partition: int, records: Sequence[Any]) -> None:
        if partition == 0:
            await free.wait()

    one.inside = waits
    async with world.running(one) as writer:
        await one.ready(*ALL)
        first = await world.fill(writer, 0, 80)
        await eventually(lambda: len(world.ledger.seen) >= 60, what="the other three flow")
        many = [(b"k", b"%08d" % number, ()) for number in range(1000, 61_000)]
        for start in range(0, 60_000, 5000):  # each append is its own batch on the broker
            await writer.append(world.topics[0], 0, [(k, v * 20, h) for k, v, h in many[start : start + 5000]])
        await writer.append(world.topics[1], 3, [(b"k", b"%08d" % 99, ())])
        await eventually(lambda: b"00000099" in world.ledger.values(), what="still flowing")
        (held,) = [worker for worker in one.app.ownership.workers() if worker.number == 0]
        assert held.waiting() < 60_000, "a lane that waits must be left out of the fetch"
        assert held.waiting() >= 100 * BUFFER_BATCHES_MAX
        assert one.app.busy()[0][:2] in {(world.topics[0], 0), (world.topics[1], 0)}
        free.set()
        await eventually(lambda: len(world.ledger.seen) == 80 + 60_000 + 1, 30, "nothing was dropped")
        offsets = [o for _, t, p, o, _ in world.ledger.seen if (t, p) == (world.topics[0], 0)]
        assert offsets == list(range(len(offsets)))
    assert set(first) <= set(world.ledger.values())
    assert world.ledger.broken == []


async def test_outsiders_find_the_owner_of_a_partition(world: World) -> None:
    one, two = world.member("one"), world.member("two")
    async with world.running(one, two):
        await eventually(lambda: len(one.app.ready()) == len(two.app.ready()) == 2, 20, "shared")
        found = await eventually(lambda: owners(world.kafka, world.group), what="owners")
        assert sorted(found) == list(ALL)
        assert {p for p, url in found.items() if url == "http://one"} == set(one.app.ready())
        assert {p for p, url in found.items() if url == "http://two"} == set(two.app.ready())
    assert await eventually(lambda: _no_owners(world), what="nobody left")


async def test_heartbeats_that_kafka_took_are_known(world: World) -> None:
    one = world.member("one", heartbeat_seconds=0.1)
    assert one.app.heartbeat_at() is None
    async with world.running(one):
        await one.ready(*ALL)
        first = one.app.heartbeat_at()
        assert first is not None
        await eventually(lambda: (one.app.heartbeat_at() or 0) > first, what="the next one")


async def test_a_consumer_that_brings_nothing_ends_the_process(world: World) -> None:
    """aiokafka #1154, #847, #625: the fetcher is gone or waits for ever, heartbeats go on, and nobody is told."""
    one = world.member("one", starved_seconds=1.5)
    async with world.running(one) as writer:
        await one.ready(*ALL)
        await writer.append(world.topics[0], 1, [(b"k", b"first", ())])
        await eventually(lambda: len(world.ledger.seen) == 1, what="it flows")
        fetcher = one.app._thread._ensure_consumer()._fetcher
        one.app._thread.thread_loop.call_soon_threadsafe(fetcher._fetch_task.cancel)
        await eventually(fetcher._fetch_task.done, what="it is gone")
        for value in (b"may be in a fetch that was under way", b"nobody fetches this", b"nor this"):
            await writer.append(world.topics[0], 1, [(b"k", value, ())])
        await eventually(lambda: one.fatal, 20, "on_fatal")
        assert re.search(r"commands/1 has been read no further than offset [123] of 4", str(one.fatal[0]))


async def test_a_lane_that_waits_is_not_taken_for_a_consumer_that_does(world: World) -> None:
    one = world.member("one", starved_seconds=0.6, batch_records_max=10)
    free = asyncio.Event()

    async def waits(topic: str, partition: int, records: Sequence[Any]) -> None:
        await free.wait()

    one.inside = waits
    async with world.running(one) as writer:
        await one.ready(*ALL)
        for _ in range(10):
            await writer.append(world.topics[0], 0, [(b"k", b"v" * 100, ())] * 100)
        (held,) = [worker for worker in one.app.ownership.workers() if worker.number == 0]
        await eventually(lambda: held.waiting() >= 20, what="as much as may wait")
        looks = one.app.settings.clock.monotonic() + 2.0
        await eventually(lambda: one.app.settings.clock.monotonic() > looks, what="some looks later")
        assert one.fatal == []
        free.set()
        await eventually(lambda: len(world.ledger.seen) == 1000, 20, "everything")


async def test_state_on_disk_is_preferred(world: World) -> None:
    one, two = world.member("one"), world.member("two", held=(0, 2))
    async with world.running(one, two):
        await one.ready(1, 3)
        await two.ready(0, 2)


async def _load(world: World, writer: Any, first: int, count: int) -> list[bytes]:
    values: list[bytes] = []
    for start in range(first, first + count, 1000):
        values += await world.fill(writer, start, 1000)
    return values


async def _committed(member: Member, topic: str, partition: int, offset: int) -> bool:
    return (await member.app.committed(topic, partition)).offset == offset


async def _is(member: Member, topic: str, partition: int, committed: Committed) -> bool:
    return await member.app.committed(topic, partition) == committed


async def _no_owners(world: World) -> bool:
    return await owners(world.kafka, world.group) == {}
