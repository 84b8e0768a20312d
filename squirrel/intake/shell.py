"""The lane between inbox and commands: decides each record, writes the answers by destination, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from squirrel.intake.step import InboxRecord, Refusal, Surroundings, decide
from squirrel.model.clock import Clock
from squirrel.model.limits import KIB
from squirrel.wire.partitioner import partition_of
from squirrel.wire.public import refused_record
from squirrel.wire.records import encode_command
from squirrel.wire.topics import Topics

KEY_BYTES_KEPT_MAX = 64 * KIB  # of a refused record's own key; a longer one is left out so that the record fits
_JSON = (("content-type", b"application/json"),)
Record = tuple[bytes, bytes | None, Sequence[tuple[str, bytes]]]


class Writer(Protocol):
    """`streams.writer.BatchWriter`: appends in order, returns when the broker has acknowledged all."""

    async def append(self, topic: str, partition: int, records: Sequence[Record]) -> int: ...


class Received(Protocol):
    """A consumer's record, as aiokafka has it."""

    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...
    @property
    def timestamp(self) -> int: ...


class IntakeLane:
    """Takes whole lists of inbox records. Offsets may be committed when `process` has returned."""

    def __init__(self, writer: Writer, topics: Topics, partitions: int, around: Surroundings, clock: Clock) -> None:
        """`partitions` is the installation's common count, that of commands and refused alike."""
        self._writer = writer
        self._topics = topics
        self._partitions = partitions
        self._around = around
        self._clock = clock
        self.accepted = 0
        self.refused = 0

    async def process(self, topic: str, partition: int, records: Sequence[Received]) -> None:
        """Writes a command or a refusal for every record; raises what the writer raises, then nothing may be committed."""
        now_ms = self._clock.now_ms()
        commands: dict[int, list[Record]] = {}
        refused: list[Record] = []
        for each in records:
            record = InboxRecord(topic, partition, each.offset, each.key, each.value, each.headers, each.timestamp)
            decided = decide(record, now_ms=now_ms, around=self._around)
            if isinstance(decided, Refusal):
                refused.append(_refused(decided))
                continue
            command = decided.command
            owner = partition_of(command.namespace, decided.home, self._partitions)
            commands.setdefault(owner, []).append((command.id.encode(), encode_command(command), ()))
        writes = [self._writer.append(self._topics.commands, owner, batch) for owner, batch in commands.items()]
        if refused:
            writes.append(self._writer.append(self._topics.refused, partition % self._partitions, refused))
        # All are awaited before one is raised: no write may go on behind the back of who ends the process.
        for outcome in await asyncio.gather(*writes, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
        self.accepted += len(records) - len(refused)
        self.refused += len(refused)


def _refused(refusal: Refusal) -> Record:
    record = refusal.record
    received = (record.topic, record.partition, record.offset)
    key = record.key if record.key is not None and len(record.key) <= KEY_BYTES_KEPT_MAX else b""
    return key, refused_record(refusal.reason, refusal.field, refusal.detail, received, record.value), _JSON
