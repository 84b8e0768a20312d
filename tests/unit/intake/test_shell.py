"""The lane: commands to their owners' partitions in order, refusals beside them, nothing lost when a write fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
import pytest

from squirrel.intake import IntakeLane, Surroundings
from squirrel.wire.partitioner import partition_of
from squirrel.wire.public import decode_refused
from squirrel.wire.records import decode_command
from squirrel.wire.topics import Topics
from tests.unit.wire.door import NOW_MS, PLAIN, POLICY

PARTITIONS = 4


class Consumed(NamedTuple):
    """What a consumer hands over."""

    offset: int
    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    timestamp: int = 1


class SetClock:
    def now_ms(self) -> int:
        return NOW_MS

    def monotonic(self) -> float:
        return 0.0


class Log:
    """Partitions as lists; `broken` refuses one topic, as a broker does that is away."""

    def __init__(self, broken: str = "") -> None:
        self.written: dict[tuple[str, int], list[Any]] = {}
        self.broken = broken

    async def append(self, topic: str, partition: int, records: Sequence[Any]) -> int:
        if topic == self.broken:
            raise ConnectionError(topic)
        self.written.setdefault((topic, partition), []).extend(records)
        return len(self.written[topic, partition]) - 1


def lane_on(log: Log, prefix: str = "") -> IntakeLane:
    return IntakeLane(log, Topics(prefix), PARTITIONS, Surroundings(lambda _, __: True, POLICY), SetClock())


def create(schedule_id: str) -> bytes:
    return orjson.dumps({**PLAIN, "id": schedule_id})


async def test_commands_go_to_their_owners_in_order() -> None:
    log = Log()
    ids = [f"schedule-{index}" for index in range(20)]
    values = [create(each) for each in ids] + [orjson.dumps({"op": "cancel", "id": each}) for each in ids]
    await lane_on(log).process("squirrel.inbox", 9, [Consumed(offset, value) for offset, value in enumerate(values)])
    seen: dict[str, list[str]] = {}
    for (topic, partition), records in log.written.items():
        assert topic == "squirrel.commands"
        for key, value, _ in records:
            command = decode_command(value)
            assert key == command.id.encode()
            assert partition == partition_of("default", command.id, PARTITIONS)
            seen.setdefault(command.id, []).append(command.op)
    assert seen == {each: ["create", "cancel"] for each in ids}
    assert len(log.written) == PARTITIONS


async def test_a_bad_record_harms_no_neighbour_and_is_kept_whole() -> None:
    log = Log()
    lane = lane_on(log, "prod-")
    records = [
        Consumed(1, create("a")),
        Consumed(2, b"\xffnot json", b"key"),
        Consumed(3, None),
        Consumed(4, create("b")),
    ]
    await lane.process("prod-squirrel.inbox", 6, records)
    refused = log.written["prod-squirrel.refused", 2]
    assert [key for key, _, _ in refused] == [b"key", b""]
    first = decode_refused(refused[0][1])
    assert (first.reason, first.field) == ("not_json", "body")
    assert first.received == {"topic": "prod-squirrel.inbox", "partition": 6, "offset": 2}
    assert first.value_base64 == "/25vdCBqc29u"
    assert decode_refused(refused[1][1]).reason == "empty"
    accepted = [
        decode_command(v).id
        for (t, _), batch in log.written.items()
        if t == "prod-squirrel.commands"
        for _, v, _ in batch
    ]
    assert sorted(accepted) == ["a", "b"]
    assert (lane.accepted, lane.refused) == (2, 2)


async def test_a_million_byte_key_does_not_spoil_the_refusal() -> None:
    log = Log()
    await lane_on(log).process("squirrel.inbox", 0, [Consumed(1, b"x" * 2_000_000, b"k" * 1_000_000)])
    key, value, _ = log.written["squirrel.refused", 0][0]
    assert key == b""
    assert decode_refused(value).truncated
    assert len(value) < 1_000_000


@pytest.mark.parametrize("broken", ["squirrel.commands", "squirrel.refused"])
async def test_a_write_that_fails_is_raised_so_that_nothing_is_committed(broken: str) -> None:
    lane = lane_on(Log(broken))
    with pytest.raises(ConnectionError, match=broken):
        await lane.process("squirrel.inbox", 0, [Consumed(1, create("a")), Consumed(2, b"{")])
    assert (lane.accepted, lane.refused) == (0, 0)


async def test_no_records_write_nothing() -> None:
    log = Log()
    await lane_on(log).process("squirrel.inbox", 0, [])
    assert log.written == {}
