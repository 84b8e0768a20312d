"""What the product needs of Kafka, held against Kafka itself and against the twin that the simulation stands on."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError

from squirrel.model.errors import Fatal
from squirrel.streams.topic_end import PAGE_RECORDS, TopicEnd
from tests.contract.log.seams import PARTITIONS, Check, Seam, run_on_kafka, run_on_twin
from tests.eventually import eventually

On = Callable[[Check], None]


@pytest.fixture(params=["twin", "kafka"])
def on(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[On]:
    """Runs a check on one side of the seam."""
    if request.param == "twin":
        yield lambda check: run_on_twin(check, tmp_path / "world")
    else:
        kafka = request.getfixturevalue("kafka")
        yield lambda check: run_on_kafka(check, kafka, tmp_path)


async def _read(consumer: object, tp: TopicPartition, since: int = 0) -> list[tuple[int, bytes | None, bytes | None]]:
    """(offset, key, value) up to the end of now."""
    consumer.assign([tp])  # type: ignore[attr-defined]
    end = (await consumer.end_offsets([tp]))[tp]  # type: ignore[attr-defined]
    consumer.seek(tp, since)  # type: ignore[attr-defined]
    found = []
    while await consumer.position(tp) < end:  # type: ignore[attr-defined]
        batch = (await consumer.getmany(tp, timeout_ms=500)).get(tp, [])  # type: ignore[attr-defined]
        found += [(record.offset, record.key, record.value) for record in batch]
    return found


def test_appends_stand_in_order_and_answer_their_offsets(on: On) -> None:
    async def check(seam: Seam) -> None:
        topic, writer, consumer = await seam.topic(), await seam.writer(), await seam.consumer()
        assert await writer.append(topic, 0, [(b"a", b"1", ()), (b"b", b"2", [("h", b"x")])]) == 1
        assert await writer.append(topic, 0, [(b"c", None, ())]) == 2
        assert await writer.append(topic, 1, [(b"d", b"4", ())]) == 0
        found = await _read(consumer, TopicPartition(topic, 0))
        assert found == [(0, b"a", b"1"), (1, b"b", b"2"), (2, b"c", None)]
        assert await _read(consumer, TopicPartition(topic, 2)) == []

    on(check)


def test_concurrent_appends_keep_their_order(on: On) -> None:
    async def check(seam: Seam) -> None:
        topic, writer, consumer = await seam.topic(), await seam.writer(), await seam.consumer()
        offsets = await asyncio.gather(*(writer.append(topic, 0, [(b"k", b"%d" % n, ())]) for n in range(20)))
        assert offsets == list(range(20))
        found = await _read(consumer, TopicPartition(topic, 0))
        assert [value for _, _, value in found] == [b"%d" % n for n in range(20)]

    on(check)


def test_offsets_of_begin_end_and_position(on: On) -> None:
    async def check(seam: Seam) -> None:
        topic, writer, consumer = await seam.topic(), await seam.writer(), await seam.consumer()
        tp = TopicPartition(topic, 0)
        consumer.assign([tp])
        assert (await consumer.beginning_offsets([tp]), await consumer.end_offsets([tp])) == ({tp: 0}, {tp: 0})
        await writer.append(topic, 0, [(b"k", b"v", ())] * 5)
        assert (await consumer.end_offsets([tp]))[tp] == 5
        consumer.seek(tp, 3)
        found: list[int] = []
        while len(found) < 2:
            found += [record.offset for record in (await consumer.getmany(tp, timeout_ms=500)).get(tp, [])]
        assert found == [3, 4]
        assert await consumer.position(tp) == 5
        assert await consumer.getmany(tp, timeout_ms=50) == {}

    on(check)


def test_the_end_of_a_partition_is_read_backwards(on: On) -> None:
    async def check(seam: Seam) -> None:
        topic, writer = await seam.topic(), await seam.writer()
        count = 2 * PAGE_RECORDS + 50
        await writer.append(topic, 0, [(b"k", b"%d" % number, ()) for number in range(count)])
        await writer.append(topic, 1, [(b"k", b"other", ())])
        end, pages = TopicEnd(seam.reader), list[list[int]]()

        def take(page: Sequence[bytes]) -> bool:
            pages.append([int(value) for value in page])
            return len(pages) != wanted

        for wanted in (1, 2, 3):
            pages.clear()
            await end.read_back(topic, 0, take)
            assert [number for page in reversed(pages) for number in page][-PAGE_RECORDS:] == [*range(count)][
                -PAGE_RECORDS:
            ]
            assert len(pages) == wanted
        assert pages[-1] == list(range(50)), "the beginning is the end of it"
        await end.read_back(topic, 2, take)
        assert len(pages) == 3, "of an empty partition nothing is handed over"

    on(check)


def test_compaction_keeps_the_newest_of_each_key_at_its_offset(on: On) -> None:
    async def check(seam: Seam) -> None:
        topic, writer, consumer = await seam.topic(compacted=True), await seam.writer(), await seam.consumer()
        for round_ in range(6):
            await writer.append(topic, 0, [(b"k%d" % n, b"%d" % round_, ()) for n in range(3)])
        await writer.append(topic, 0, [(b"k0", None, ())])
        await seam.compact(writer, topic)
        found = await _read(consumer, TopicPartition(topic, 0))
        newest = {key: (offset, value) for offset, key, value in found}
        assert newest[b"k0"] == (18, None), "a tombstone stays for its time"
        assert newest[b"k1"] == (16, b"5")
        assert newest[b"k2"] == (17, b"5")
        assert [offset for offset, _, _ in found] == sorted(offset for offset, _, _ in found)
        assert [key for _, key, _ in found].count(b"k1") == 1

    on(check)


def test_who_takes_over_shuts_the_former_writer_out(on: On) -> None:
    async def check(seam: Seam) -> None:
        topic, old, new = await seam.topic(), await seam.writer(), await seam.writer()
        consumer = await seam.consumer()
        assert await old.take_over(topic, 0, [(b"E", b"old", ())]) == 0
        assert await old.append(topic, 0, [(b"k", b"1", ())]) == 1
        assert await new.take_over(topic, 0, [(b"E", b"new", ())]) == 2
        with pytest.raises(Fatal, match="another owner"):
            await old.append(topic, 0, [(b"k", b"2", ())])
        assert await new.append(topic, 0, [(b"k", b"3", ())]) == 3
        found = await _read(consumer, TopicPartition(topic, 0))
        assert [value for _, _, value in found] == [b"old", b"1", b"new", b"3"]

    on(check)


def test_a_group_hands_out_each_record_and_keeps_offset_and_metadata(on: On) -> None:
    async def check(seam: Seam) -> None:
        topic, group, writer = await seam.topic(), f"g-{uuid.uuid4().hex[:6]}", await seam.writer()
        for partition in range(PARTITIONS):
            await writer.append(topic, partition, [(b"k", b"%d" % n, ()) for n in range(4)])
        one = await seam.join("one", group, topic)
        await eventually(lambda: len(one.seen) == 4 * PARTITIONS, 20, "all records")
        for partition in range(PARTITIONS):
            assert [offset for number, offset, _ in one.seen if number == partition] == [0, 1, 2, 3]
        assert await one.app.committed(topic, 0) == (None, "")
        one.app.mark(topic, 0, 3, "what is done")
        await eventually(lambda: _is_committed(one, topic, 3, "what is done"), 10, "committed")
        await one.app.stop()
        assert one.fatal == []
        two = await seam.join("two", group, topic)
        await eventually(lambda: len(two.seen) == 4 * PARTITIONS - 3, 30, "what was not committed")
        assert [offset for number, offset, _ in two.seen if number == 0] == [3]
        assert await two.app.committed(topic, 0) == (3, "what is done")

    on(check)


async def _is_committed(member: object, topic: str, offset: int, metadata: str) -> bool:
    found: bool = await member.app.committed(topic, 0) == (offset, metadata)  # type: ignore[attr-defined]
    return found


def test_a_second_member_takes_its_share_under_a_newer_generation(on: On) -> None:
    async def check(seam: Seam) -> None:
        topic, group = await seam.topic(), f"g-{uuid.uuid4().hex[:6]}"
        one = await seam.join("one", group, topic)
        await one.ready(PARTITIONS)
        before = one.app.generation
        two = await seam.join("two", group, topic)
        await eventually(lambda: len(two.app.ready()) >= 1, 20, "the second has a share")
        await eventually(lambda: len(one.app.ready()) + len(two.app.ready()) == PARTITIONS, 20, "all are owned")
        assert not set(one.app.ready()) & set(two.app.ready())
        assert one.app.generation == two.app.generation > before
        await eventually(lambda: set(one.retained) >= set(one.app.ready()), 10, "what stays is not opened again")
        assert {one.epochs[number] for number in one.app.ready()} == {one.app.generation}

    on(check)


def test_a_commit_of_a_generation_that_is_over_is_refused(on: On) -> None:
    async def check(seam: Seam) -> None:
        topic, group, writer = await seam.topic(), f"g-{uuid.uuid4().hex[:6]}", await seam.writer()
        await writer.append(topic, 0, [(b"k", b"1", ())])
        one = await seam.join("one", group, topic)
        await eventually(lambda: len(one.seen) == 1, 20, "its record")
        seam.age(one)
        with pytest.raises(CommitFailedError):
            await one.app._thread.across(one.app._thread.commit_marks({(topic, 0): (1, "")}))
        assert await one.app.committed(topic, 0) == (None, "")

    on(check)


def test_a_static_member_that_comes_back_in_time_has_what_it_had(on: On) -> None:
    async def check(seam: Seam) -> None:
        topic, group = await seam.topic(), f"g-{uuid.uuid4().hex[:6]}"
        one, two = await seam.join("one", group, topic), await seam.join("two", group, topic)
        await eventually(lambda: len(one.app.ready()) + len(two.app.ready()) == PARTITIONS, 20, "all are owned")
        await eventually(lambda: len(two.app.ready()) >= 1, 20, "both have some")
        await eventually(lambda: len(one.app.ready()) + len(two.app.ready()) == PARTITIONS, 20, "all are owned")
        generation, had = one.app.generation, two.app.ready()
        two.app.fail(RuntimeError("killed"))
        await two.app.stop()
        again = await seam.join("two", group, topic)
        await eventually(lambda: again.app.ready() == had, 20, "it has what it had")
        assert again.app.generation == one.app.generation == generation

    on(check)
