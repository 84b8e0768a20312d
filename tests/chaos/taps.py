"""Every topic from its first record to its last, by `assign`, as the judge reads it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from squirrel.wire.records import Undecodable, decode_command, decode_execution
from squirrel.wire.topics import Topics
from tests.chaos.installation import PARTITIONS
from tests.judge.ledger import Lines

FETCH_RECORDS: Final = 5_000
FETCH_BYTES: Final = 8 * 1024 * 1024
RESULT_FIELDS: Final = ("run", "attempt", "state", "schedule_id", "due_ms", "started_ms", "finished_ms", "status")
COMPLETION_FIELDS: Final = ("run", "schedule_id", "state", "slot_ms", "due_ms", "finished_ms", "attempts", "reason")
LETTER_FIELDS: Final = ("run", "schedule_id", "attempts", "reason")

Decode = Callable[[bytes | None], dict[str, Any] | None]


async def read_taps(bootstrap: str, topics: Topics, folder: Path) -> dict[str, int]:
    """Writes `taps/*.jsonl`; how many records each topic had. Records nobody can decode are left out: I15 has them."""
    decoders: dict[str, tuple[str, Decode]] = {
        "commands": (topics.commands, _command),
        "executions": (topics.executions, _execution),
        "results": (topics.results, _fields(RESULT_FIELDS)),
        "completions": (topics.completions, _fields(COMPLETION_FIELDS)),
        "dead-letters": (topics.dead_letters, _fields(LETTER_FIELDS)),
        "refused": (topics.refused, _fields(("reason", "field", "detail", "received"))),
    }
    counts = {}
    for name, (topic, decode) in decoders.items():
        with Lines(folder / "taps" / f"{name}.jsonl") as lines:
            counts[name] = await read_all(bootstrap, topic, partial(_write, decode, lines))
    return counts


async def read_all(bootstrap: str, topic: str, take: Callable[[list[Any]], None]) -> int:
    """Hands over all records of a topic in batches of one partition each, in order; how many there were."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    await consumer.start()
    count = 0
    try:
        parts = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
        consumer.assign(parts)
        await consumer.seek_to_beginning(*parts)
        ends = await consumer.end_offsets(parts)
        while any([await consumer.position(tp) < ends[tp] for tp in parts]):
            for batch in (await consumer.getmany(timeout_ms=1000, max_records=FETCH_RECORDS)).values():
                count += len(batch)
                take(batch)
    finally:
        await consumer.stop()
    return count


def _write(decode: Decode, lines: Lines, batch: list[Any]) -> None:
    records = []
    for record in batch:
        value = decode(record.value)
        if value is not None:
            records.append({"partition": record.partition, "offset": record.offset, **value})
    if records:
        lines.write_all(records)


def _command(value: bytes | None) -> dict[str, Any] | None:
    try:
        command = decode_command(value)
    except Undecodable:
        return None
    return {"op": command.op, "id": command.id, "command_id": command.command_id, "accepted_ms": command.accepted_ms}


def _execution(value: bytes | None) -> dict[str, Any] | None:
    try:
        execution = decode_execution(value)
    except Undecodable:
        return None
    fields = ("run", "attempt", "schedule", "slot_ms", "due_ms", "emitted_ms", "epoch", "replay_of")
    return {name: getattr(execution, name) for name in fields}


def _fields(names: tuple[str, ...]) -> Decode:
    def decode(value: bytes | None) -> dict[str, Any] | None:
        try:
            record = orjson.loads(value or b"")
        except orjson.JSONDecodeError:
            return None
        if not isinstance(record, dict) or names[0] not in record or not isinstance(record[names[0]], str):
            return None
        return {name: record[name] for name in names if name in record}

    return decode
